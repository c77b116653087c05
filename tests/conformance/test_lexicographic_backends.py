"""Every exact backend that takes the lexicographic family, on every kind of instance: a new one is picked up by itself.

What a filling must be beyond its certificate is in `tests/property/test_water_filling_properties.py`.
"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import PER_BACKEND

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Solution, Status
from phasewise.solvers.families.lexicographic import LEXICOGRAPHIC, LexicographicProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import SWITCHING, Trait, random_problem
from phasewise.solvers.session import Walk

BACKENDS = [
    name
    for name in registry.names()
    if LEXICOGRAPHIC in registry.get(name).families and registry.is_exact(registry.get(name))
]
SUITED = sorted(set(Trait) - SWITCHING - {Trait.CANONICAL})  # the family has no further term
SHAPES = st.tuples(st.sampled_from([1, 2, 3, 5, 8, 13, 24]), st.integers(1, 4))


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def solver(backend: str) -> Walk:
    return Walk.of(backend, {}, PhaseTimer())


@pytest.fixture(scope="module")
def least() -> Walk:
    """Return a solver of the plain problem, whose optimum is the least level."""
    return Walk.of("highs-direct", {}, PhaseTimer())


def lexicographic(problem: MaxMinProblem) -> LexicographicProblem:
    return LexicographicProblem(problem.gain, problem.scale_factor, problem.capacity, problem.allowed)


def check(problem: LexicographicProblem, solution: Solution, tolerance: float) -> None:
    """Assert what a certified filling promises: feasible, every level within ``tolerance`` of its bound."""
    assert solution.status in {Status.OPTIMAL, Status.INACCURATE}
    assert solution.x.shape == (problem.jobs, problem.types)
    assert problem.violation(solution.x) <= 1e-12
    assert solution.objective == problem.objective(solution.x)
    assert solution.gap is not None
    assert solution.gap <= tolerance
    assert 0.0 <= solution.utilization <= 1.0 + 1e-12


@hypothesis_settings(max_examples=PER_BACKEND)
@given(seed=st.integers(0, 2**32 - 1), shape=SHAPES, traits=st.sets(st.sampled_from(SUITED), max_size=4))
def test_any_valid_instance_is_filled_up_to_the_optimum_of_the_plain_problem_and_beyond(
    backend: str, solver: Walk, least: Walk, seed: int, shape: tuple[int, int], traits: set[Trait]
) -> None:
    note(f"random_problem({seed}, *{shape}, {sorted(traits)})")
    stated = random_problem(seed, *shape, traits)
    problem = lexicographic(stated)
    solution = solver.solve(problem)
    check(problem, solution, registry.get(backend).tolerance)
    plain = least.solve(stated)
    assert solution.objective == pytest.approx(plain.objective, rel=1e-9, abs=1e-12 * stated.magnitude(plain.x))


@pytest.mark.parametrize("trait", SUITED)
def test_each_difficulty_alone_is_mastered(backend: str, solver: Walk, trait: Trait) -> None:
    problem = lexicographic(random_problem(11, 16, 3, {trait}))
    check(problem, solver.solve(problem), registry.get(backend).tolerance)


@pytest.mark.parametrize(("jobs", "types"), [(0, 3), (1, 1), (1, 4), (7, 1)])
def test_the_smallest_instances_are_ordinary(backend: str, solver: Walk, jobs: int, types: int) -> None:
    problem = lexicographic(random_problem(2, jobs, types))
    check(problem, solver.solve(problem), registry.get(backend).tolerance)


def test_known_levels_are_found(solver: Walk) -> None:
    # one GPU of each type: job 0 is stuck at its ceiling, job 1 alone can use type 1, the others share type 0
    gain = np.array([[0.2, 0.0], [1.0, 3.0], [1.0, 0.0], [1.0, 0.0]])
    problem = LexicographicProblem(gain, np.array([0.2, 1.0, 1.0, 1.0]), np.ones(2))
    solution = solver.solve(problem)
    np.testing.assert_allclose(problem.levels(solution.x), [0.2, 3.0, 0.4, 0.4], rtol=1e-9)


def test_a_cluster_without_gpus_gives_nothing_to_anybody(solver: Walk) -> None:
    solution = solver.solve(LexicographicProblem(np.ones((3, 2)), np.ones(3), np.zeros(2)))
    assert solution.objective == 0.0
    assert not solution.x.any()


def test_a_job_gets_no_time_where_it_is_not_allowed(solver: Walk) -> None:
    allowed = np.array([[True, False], [True, True]])
    problem = LexicographicProblem(np.ones((2, 2)), np.ones(2), np.ones(2), allowed)
    solution = solver.solve(problem)
    assert solution.x[0, 1] == 0.0
    np.testing.assert_allclose(problem.levels(solution.x), [1.0, 1.0], rtol=1e-9)


def test_a_problem_is_not_written_to_and_not_remembered(solver: Walk) -> None:
    problem = lexicographic(random_problem(7, 9, 3, {Trait.MASKED, Trait.ZEROS}))
    assert problem.allowed is not None
    for array in (problem.gain, problem.scale_factor, problem.capacity, problem.allowed):
        array.flags.writeable = False
    before = problem.levels(solver.solve(problem).x)
    solver.solve(lexicographic(random_problem(8, 12, 3)))
    np.testing.assert_allclose(problem.levels(solver.solve(problem).x), before, rtol=1e-9, atol=1e-12)


def test_how_the_arrays_of_a_problem_lie_in_memory_does_not_matter(solver: Walk) -> None:
    problem = lexicographic(random_problem(8, 9, 3, {Trait.MASKED, Trait.ZEROS}))
    elsewhere = LexicographicProblem(
        np.asfortranarray(problem.gain),
        np.repeat(problem.scale_factor, 3)[::3],
        problem.capacity[::-1].copy()[::-1],
        problem.allowed,
    )
    assert not elsewhere.gain.flags.c_contiguous
    levels = problem.levels(solver.solve(problem).x)
    np.testing.assert_allclose(problem.levels(solver.solve(elsewhere).x), levels, rtol=1e-9, atol=1e-12)
