"""Every exact backend that takes a family of packing, on every kind of instance: a new one is picked up by itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pair_programs import team_program

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Solution, Status
from phasewise.solvers.families.packed import MAX_MIN_PACKED, PackedProblem
from phasewise.solvers.families.packed_finish_time import FINISH_TIME_PACKED
from phasewise.solvers.families.packed_lexicographic import LEXICOGRAPHIC_PACKED
from phasewise.solvers.families.packed_moving import MAX_MIN_PACKED_SWITCHING
from phasewise.solvers.packed_instances import (
    PackedTrait,
    lexicographic,
    moving,
    random_packed,
    random_packed_finish_time,
)
from phasewise.solvers.session import Walk

TRAITS = [(), *((trait,) for trait in PackedTrait), (PackedTrait.DIFFERENT, PackedTrait.WIDE, PackedTrait.CANONICAL)]


def taking(family: str) -> list[object]:
    """Return the exact backends that take a family; those that go through CVXPY are for the long run."""
    names = [name for name in registry.names() if family in registry.get(name).families]
    return [
        pytest.param(name, marks=pytest.mark.thorough) if name.startswith("cvxpy-") else name
        for name in names
        if registry.is_exact(registry.get(name))
    ]


def solved(backend: str, problem: PackedProblem) -> Solution:
    """Return the solution, after checking what every certified one promises."""
    solution = Walk.of(backend, {}, PhaseTimer()).solve(problem)
    assert solution.status in {Status.OPTIMAL, Status.INACCURATE}
    assert solution.gap is not None
    assert solution.gap <= max(registry.get(backend).tolerance, 1e-9)
    assert solution.members is not None
    assert solution.x.shape == (len(solution.members), problem.types)
    stated = problem.over(solution.members)
    assert stated.violation(solution.x) <= 1e-12
    assert solution.objective == stated.objective(solution.x)
    assert not solution.x.flags.writeable
    return solution


@pytest.mark.parametrize("backend", taking(MAX_MIN_PACKED))
@pytest.mark.parametrize("traits", TRAITS, ids=lambda traits: "-".join(traits) or "plain")
def test_the_least_gain_is_the_optimum_over_all_pairs(backend: str, traits: tuple[PackedTrait, ...]) -> None:
    problem = random_packed(7, 9, 3, 4, traits)
    solution = solved(backend, problem)
    best = team_program(problem).max_min(problem.linear_weight)
    assert solution.objective == pytest.approx(best, rel=max(1e-6, 10 * registry.get(backend).tolerance))


@pytest.mark.parametrize("backend", taking(MAX_MIN_PACKED_SWITCHING))
@pytest.mark.parametrize("dear", [0.01, 1.0, 100.0])
@pytest.mark.parametrize("traits", TRAITS[::3], ids=lambda traits: "-".join(traits) or "plain")
def test_the_least_gain_less_the_movement_cost_is_the_optimum_over_all_pairs(
    backend: str, traits: tuple[PackedTrait, ...], dear: float
) -> None:
    if (
        backend == "cvxpy-fresh:SCS"
    ):  # a first-order method, which says that it is up to 1e-3 off where moving is dearer
        dear = min(dear, 1.0)
    problem = moving(random_packed(7, 9, 3, 4, traits), 7, dear=dear)
    solution = solved(backend, problem)
    best = team_program(problem).moved_max_min(problem.previous, problem.move_cost, problem.linear_weight)
    assert solution.objective == pytest.approx(best, rel=max(1e-6, 10 * registry.get(backend).tolerance), abs=1e-9)


@pytest.mark.parametrize("backend", taking(LEXICOGRAPHIC_PACKED))
@pytest.mark.parametrize("traits", TRAITS, ids=lambda traits: "-".join(traits) or "plain")
def test_every_level_is_proven(backend: str, traits: tuple[PackedTrait, ...]) -> None:
    solved(backend, lexicographic(random_packed(8, 12, 3, 4, traits)))


@pytest.mark.parametrize("backend", taking(FINISH_TIME_PACKED))
@pytest.mark.parametrize("seed", range(3))
def test_the_worst_ratio_is_proven(backend: str, seed: int) -> None:
    solved(backend, random_packed_finish_time(seed, 9, 3, 4, (PackedTrait.WIDE,)))


@pytest.mark.parametrize("backend", [name for name in taking(FINISH_TIME_PACKED) if isinstance(name, str)])
@pytest.mark.parametrize("seed", range(4))
def test_jobs_with_next_to_nothing_to_do_are_not_forgotten(backend: str, seed: int) -> None:
    problem = random_packed_finish_time(seed, 30, 3, 4)
    part = 10.0 ** np.random.default_rng(seed).uniform(-9.0, 0.0, problem.rows)
    left = replace(problem, steps_remaining=problem.steps_remaining * part)
    solution = Walk.of(backend, {}, PhaseTimer()).solve(left)
    assert solution.gap is not None
    assert solution.gap <= 1e-6


@pytest.mark.parametrize("backend", taking(MAX_MIN_PACKED))
def test_a_job_that_can_run_nowhere_makes_the_least_gain_0(backend: str) -> None:
    plain = random_packed(3, 5, 2, 2)
    gain = plain.gain.copy()
    gain[2] = 0.0
    problem = type(plain)(**{**plain.stated(), "gain": gain})
    solution = Walk.of(backend, {}, PhaseTimer()).solve(problem)
    assert solution.objective == pytest.approx(0.0, abs=1e-9)


@pytest.mark.parametrize("backend", taking(MAX_MIN_PACKED))
@pytest.mark.parametrize("jobs", [0, 1])
def test_the_smallest_instances_are_solved(backend: str, jobs: int) -> None:
    solution = Walk.of(backend, {}, PhaseTimer()).solve(random_packed(2, jobs, 2, 2))
    assert np.isfinite(solution.objective)
    assert solution.x.shape[1] == 2
