"""The starting point of `highs-direct` pays: fewer iterations, the same optimum, nothing carried over."""

from __future__ import annotations

import numpy as np
import pytest

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.instances import Trait, random_problem
from phasewise.solvers.session import Walk


def test_where_capacity_does_not_bind_the_start_is_the_optimum() -> None:
    solver = Walk.of("highs-direct", {}, PhaseTimer())
    for seed in range(20):
        for traits in ({Trait.AMPLE}, {Trait.AMPLE, Trait.CANONICAL}, {Trait.AMPLE, Trait.TIES, Trait.GANGS}):
            assert solver.solve(random_problem(seed, 40, 3, traits)).iterations == 0


@pytest.mark.parametrize("jobs", [40, 300])
def test_where_capacity_binds_the_start_saves_most_iterations(jobs: int) -> None:
    from_the_start = Walk.of("highs-direct", {}, PhaseTimer())
    from_nothing = Walk.of("highs-direct", {"simplex_strategy": 4}, PhaseTimer())
    problems = [random_problem(seed, jobs, 3, {Trait.GANGS}) for seed in range(8)]
    ours = sum(from_the_start.solve(problem).iterations for problem in problems)
    theirs = sum(from_nothing.solve(problem).iterations for problem in problems)
    assert ours < 0.5 * theirs


def test_jobs_without_a_preference_are_spread_by_capacity() -> None:
    solution = Walk.of("highs-direct", {}, PhaseTimer()).solve(random_problem(3, 100, 3, {Trait.TIES, Trait.AMPLE}))
    assert (solution.x > 0.0).any(axis=0).all()


def test_the_same_problem_gives_the_same_bytes_whatever_was_solved_before() -> None:
    problem = random_problem(9, 30, 3)
    alone = Walk.of("highs-direct", {}, PhaseTimer()).solve(problem)
    solver = Walk.of("highs-direct", {}, PhaseTimer())
    for seed in range(5):
        solver.solve(random_problem(seed, 10 + seed, 2))
    again = solver.solve(problem)
    assert again.x.tobytes() == alone.x.tobytes()
    assert again.iterations == alone.iterations
    np.testing.assert_array_equal(again.x, alone.x)
