"""Packing by kinds: whatever the instance, the optimum over all pairs, proven, with teams that are what they say."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import PER_BACKEND
from pair_programs import team_program

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.api import Solution
from phasewise.solvers.families.packed import PackedProblem
from phasewise.solvers.packed_instances import (
    PackedTrait,
    lexicographic,
    moving,
    random_packed,
    random_packed_finish_time,
)
from phasewise.solvers.problems import Floats
from phasewise.solvers.session import Walk

pytestmark = pytest.mark.thorough

SEEDS = st.integers(0, 2**32 - 1)
SHAPES = st.tuples(st.integers(1, 16), st.integers(1, 3), st.integers(1, 5))
TRAITS = st.sets(st.sampled_from(PackedTrait), max_size=4)
PROVEN = 1e-9


@pytest.fixture(scope="module")
def walk() -> Walk:
    return Walk.of("by-kinds", {}, PhaseTimer())


def gains(problem: PackedProblem, solution: Solution) -> Floats:
    """Return (J,) what every job has in a solution, team by team, after checking that it is feasible."""
    assert solution.members is not None
    total, time = np.zeros(problem.jobs), np.zeros(problem.jobs)
    for (first, second), x in zip(solution.members.tolist(), solution.x, strict=True):
        if second < 0:
            total[first] += problem.alone[first] @ x
        else:
            one, other = problem.kind[first], problem.kind[second]
            total[first] += problem.factors[first] * problem.rate[one, other] @ x
            total[second] += problem.factors[second] * problem.rate[other, one] @ x
            assert problem.scale_factor[first] == problem.scale_factor[second]
            assert (x[(problem.rate[one, other] == 0.0) | (problem.rate[other, one] == 0.0)] == 0.0).all()
            time[second] += x.sum()
        time[first] += x.sum()
    assert (solution.x >= 0.0).all()
    assert time.max() <= 1.0 + 1e-12
    assert (problem.scale_factor[solution.members[:, 0]] @ solution.x <= problem.capacity * (1.0 + 1e-12)).all()
    assert np.unique(np.sort(solution.members, axis=1), axis=0).shape == solution.members.shape  # each team once
    return total


def test_the_least_gain_is_that_of_the_program_over_all_pairs(walk: Walk) -> None:
    @hypothesis_settings(max_examples=PER_BACKEND)
    @given(seed=SEEDS, shape=SHAPES, traits=TRAITS)
    def is_optimal(seed: int, shape: tuple[int, int, int], traits: set[PackedTrait]) -> None:
        note(f"random_packed({seed}, *{shape}, {sorted(traits)})")
        problem = random_packed(seed, *shape, traits)
        solution = walk.solve(problem)
        assert solution.gap is None or solution.gap <= PROVEN
        if solution.members is None:
            assert not problem.allowed_mask.any()
            return
        assert problem.value(gains(problem, solution)) == pytest.approx(solution.objective, rel=1e-12)
        best = team_program(problem).max_min(problem.linear_weight)
        assert solution.objective == pytest.approx(best, rel=1e-6, abs=1e-12)

    is_optimal()


def test_less_the_movement_cost_it_is_that_of_the_program_over_all_pairs(walk: Walk) -> None:
    @hypothesis_settings(max_examples=PER_BACKEND // 2)
    @given(seed=SEEDS, shape=SHAPES, traits=TRAITS, dear=st.sampled_from([0.0, 0.01, 1.0, 100.0]))
    def is_optimal(seed: int, shape: tuple[int, int, int], traits: set[PackedTrait], dear: float) -> None:
        note(f"moving(random_packed({seed}, *{shape}, {sorted(traits)}), {seed}, dear={dear})")
        problem = moving(random_packed(seed, *shape, traits), seed, dear=dear)
        solution = walk.solve(problem)
        assert solution.gap is None or solution.gap <= PROVEN
        if solution.members is None:
            assert not problem.allowed_mask.any()
            return
        time = np.zeros(problem.gain.shape)
        for (first, second), x in zip(solution.members.tolist(), solution.x, strict=True):
            time[first] += x
            if second >= 0:
                time[second] += x
        paid = float((problem.move_cost * np.abs(time - problem.previous)).sum())
        measure = 1e-12 * max(1.0, paid)
        assert problem.value(gains(problem, solution)) - paid == pytest.approx(
            solution.objective, rel=1e-9, abs=measure
        )
        best = team_program(problem).moved_max_min(problem.previous, problem.move_cost, problem.linear_weight)
        assert solution.objective == pytest.approx(best, rel=1e-6, abs=1e-6 * max(1.0, paid))

    is_optimal()


def test_no_job_can_rise_but_at_the_cost_of_one_that_has_no_more(walk: Walk) -> None:
    @hypothesis_settings(max_examples=PER_BACKEND // 4)
    @given(seed=SEEDS, shape=SHAPES, traits=TRAITS)
    def is_filled(seed: int, shape: tuple[int, int, int], traits: set[PackedTrait]) -> None:
        note(f"lexicographic(random_packed({seed}, *{shape}, {sorted(traits)}))")
        problem = lexicographic(random_packed(seed, *shape, traits))
        solution = walk.solve(problem)
        if solution.members is None:
            return
        assert solution.gap is not None
        assert solution.gap <= PROVEN
        level = gains(problem, solution)
        program = team_program(problem)
        for job in range(0, problem.jobs, 3):
            floor = np.where(level <= level[job] * (1.0 + 1e-9), level * (1.0 - 1e-9), 0.0)
            assert program.alone_most(job, floor) <= level[job] * (1.0 + 1e-6) + 1e-12

    is_filled()


def test_no_ratio_that_is_lower_can_be_had_by_all(walk: Walk) -> None:
    @hypothesis_settings(max_examples=PER_BACKEND // 2)
    @given(seed=SEEDS, shape=SHAPES, traits=TRAITS)
    def is_least(seed: int, shape: tuple[int, int, int], traits: set[PackedTrait]) -> None:
        note(f"random_packed_finish_time({seed}, *{shape}, {sorted(traits)})")
        problem = random_packed_finish_time(seed, *shape, traits)
        solution = walk.solve(problem)
        if solution.members is None:
            return
        assert solution.gap is not None
        assert solution.gap <= PROVEN
        assert problem.value(gains(problem, solution)) == pytest.approx(solution.objective, rel=1e-12)
        if solution.objective > problem.ceiling * (1.0 + 1e-6):
            rows = np.flatnonzero(problem.waits)
            lower = solution.objective * (1.0 - 1e-6)
            factor = np.ones(problem.rows)
            room = lower * problem.isolated[rows] - problem.since_arrival[rows]
            factor[rows] = room / problem.steps_remaining[rows]
            program = team_program(problem, factor)
            idle = np.setdiff1d(np.arange(problem.rows), rows)
            program.gain[idle] = 1.0  # they ask for nothing
            assert program.max_min() < 1.0 or idle.size == problem.rows

    is_least()
