"""The starting point of `highs-direct` pays: fewer iterations, the same optimum, nothing carried over."""

from __future__ import annotations

import numpy as np
import pytest

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.backends.highs_direct import HighsDirectSession
from phasewise.solvers.forms.max_min_start import start
from phasewise.solvers.instances import Trait, random_problem
from phasewise.solvers.session import Walk


def test_where_capacity_does_not_bind_the_start_is_the_optimum() -> None:
    solver = Walk.of("highs-direct", {}, PhaseTimer())
    for seed in range(20):
        for traits in ({Trait.AMPLE}, {Trait.AMPLE, Trait.CANONICAL}, {Trait.AMPLE, Trait.TIES, Trait.GANGS}):
            assert solver.solve(random_problem(seed, 40, 3, traits)).iterations == 0


ROOMY = (
    (),
    (Trait.GANGS,),
    (Trait.FRACTIONAL,),
    (Trait.TIES,),
    (Trait.DUPLICATES,),
    (Trait.ZEROS, Trait.MASKED),
    (Trait.NO_CAPACITY,),
    (Trait.HUGE,),
    (Trait.TINY,),
    (Trait.UNITS,),
)


@pytest.mark.parametrize("traits", ROOMY, ids=lambda traits: "+".join(traits) or "plain")
def test_an_optimum_that_is_written_down_is_what_highs_returns_to_the_last_bit(traits: tuple[Trait, ...]) -> None:
    asked, written = HighsDirectSession("highs-direct", {"threads": 1}, PhaseTimer()), 0
    for seed in range(24):
        jobs, types = ((1, 1), (3, 2), (7, 3), (44, 3), (60, 6), (300, 4))[seed % 6]
        problem = random_problem(seed, jobs, types, {Trait.AMPLE, *traits})
        vertex = start(problem)
        ours = None if vertex is None else vertex.optimum()
        if ours is None:
            continue
        theirs, _ = asked.solve(problem.anew())
        assert ours.x is not None
        assert theirs.x is not None
        assert ours.x.tobytes() == theirs.x.tobytes()
        assert (ours.status, ours.iterations, ours.rebuild) == (theirs.status, theirs.iterations, theirs.rebuild)
        for name in ("capacity", "gain", "time"):
            np.testing.assert_array_equal(getattr(ours.duals, name), getattr(theirs.duals, name), strict=True)
        written += 1
    assert written > 2


@pytest.mark.parametrize(
    "traits",
    [{Trait.SCARCE}, {Trait.AMPLE, Trait.CANONICAL}, {Trait.AMPLE, Trait.SWITCHING}],
    ids=["scarce", "canonical", "switching"],
)
def test_highs_is_asked_where_another_vertex_may_be_better(traits: set[Trait]) -> None:
    for seed in range(5):
        vertex = start(random_problem(seed, 40, 3, traits))
        assert vertex is not None
        assert vertex.optimum() is None


def test_a_solve_is_entered_once_a_problem_whoever_solves_it() -> None:
    timer = PhaseTimer()
    session = HighsDirectSession("highs-direct", {}, timer)
    for traits in ({Trait.AMPLE}, {Trait.SCARCE}):
        session.solve(random_problem(1, 20, 3, traits))
        calls = dict(zip(Phase, timer.take().calls, strict=True))
        assert (calls[Phase.LP_BUILD], calls[Phase.LP_SOLVE]) == (1, 1)


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
