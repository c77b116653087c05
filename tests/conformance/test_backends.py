"""Every backend that is installed, on every kind of instance: a new backend is picked up by itself."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import per_backend

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import RebuildReason, Solution, Status
from phasewise.solvers.families.max_min import MAX_MIN, MAX_MIN_SWITCHING, MaxMinProblem
from phasewise.solvers.instances import SWITCHING, Trait, random_problem
from phasewise.solvers.session import Walk

BACKENDS = [
    name
    for name in registry.names()
    if MAX_MIN in registry.get(name).families and registry.is_exact(registry.get(name))
]
SHAPES = st.tuples(st.sampled_from([1, 2, 3, 5, 8, 13, 24]), st.integers(1, 4))
TRAITS = st.sets(st.sampled_from(Trait), max_size=4)
TWO_TERMS = SWITCHING | {Trait.CANONICAL}


def suited(traits: set[Trait], backend: str) -> set[Trait]:
    """Return the traits without those that the backend says it does not take.

    A first-order method loses its way where both the units and the objective's terms are decades apart.
    """
    if MAX_MIN_SWITCHING not in registry.get(backend).families:
        traits = traits - SWITCHING
    rough = registry.get(backend).tolerance > 1e-7
    return traits - {Trait.UNITS} if rough and traits & TWO_TERMS else traits


@pytest.fixture(scope="module", params=BACKENDS)
def backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def solver(backend: str) -> Walk:
    return Walk.of(backend, {}, PhaseTimer())


@pytest.fixture(scope="module", params=[name for name in BACKENDS if MAX_MIN_SWITCHING in registry.get(name).families])
def switching_backend(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture(scope="module")
def switching_solver(switching_backend: str) -> Walk:
    return Walk.of(switching_backend, {}, PhaseTimer())


def check(problem: MaxMinProblem, solution: Solution, tolerance: float) -> None:
    """Assert everything that a certified solution promises."""
    assert solution.status in {Status.OPTIMAL, Status.INACCURATE}
    assert solution.x.shape == (problem.jobs, problem.types)
    assert problem.violation(solution.x) <= 1e-12
    assert solution.objective == problem.objective(solution.x)
    assert solution.bound is not None
    assert solution.gap is not None
    assert solution.gap <= tolerance
    slack = max(tolerance, 1e-12)
    assert math.isclose(
        solution.objective, solution.bound, rel_tol=slack, abs_tol=slack * problem.magnitude(solution.x)
    )
    assert 0.0 <= solution.utilization <= 1.0 + 1e-12


def test_any_valid_instance_is_solved_within_the_backends_tolerance(backend: str, solver: Walk) -> None:
    @hypothesis_settings(max_examples=per_backend(backend))
    @given(seed=st.integers(0, 2**32 - 1), shape=SHAPES, traits=TRAITS)
    def is_solved(seed: int, shape: tuple[int, int], traits: set[Trait]) -> None:
        traits = suited(traits, backend)
        note(f"random_problem({seed}, *{shape}, {sorted(traits)})")
        problem = random_problem(seed, *shape, traits)
        check(problem, solver.solve(problem), registry.get(backend).tolerance)

    is_solved()


def test_any_instance_with_a_switching_term_is_solved_within_the_backends_tolerance(
    switching_backend: str, switching_solver: Walk
) -> None:
    # half as many: a part of the plain test's instances have this term as well
    @hypothesis_settings(max_examples=per_backend(switching_backend) // 2)
    @given(seed=st.integers(0, 2**32 - 1), shape=SHAPES, traits=TRAITS, kind=st.sampled_from(sorted(SWITCHING)))
    def is_solved(seed: int, shape: tuple[int, int], traits: set[Trait], kind: Trait) -> None:
        traits = suited(traits | {kind}, switching_backend)
        note(f"random_problem({seed}, *{shape}, {sorted(traits)})")
        problem = random_problem(seed, *shape, traits)
        check(problem, switching_solver.solve(problem), registry.get(switching_backend).tolerance)

    is_solved()


@pytest.mark.parametrize("trait", sorted(set(Trait) - SWITCHING))
def test_each_difficulty_alone_is_mastered(backend: str, solver: Walk, trait: Trait) -> None:
    problem = random_problem(11, 16, 3, {trait})
    check(problem, solver.solve(problem), registry.get(backend).tolerance)


@pytest.mark.parametrize("trait", list(Trait))
def test_each_difficulty_is_mastered_with_a_switching_term(
    switching_backend: str, switching_solver: Walk, trait: Trait
) -> None:
    problem = random_problem(11, 16, 3, {trait, Trait.SWITCHING_BY_PAIR})
    check(problem, switching_solver.solve(problem), registry.get(switching_backend).tolerance)


@pytest.mark.parametrize(("jobs", "types"), [(0, 3), (1, 1), (1, 4), (7, 1)])
def test_the_smallest_instances_may_have_a_switching_term(
    switching_backend: str, switching_solver: Walk, jobs: int, types: int
) -> None:
    problem = random_problem(2, jobs, types, {Trait.SWITCHING})
    check(problem, switching_solver.solve(problem), registry.get(switching_backend).tolerance)


def two_alike(move_cost: float, previous: list[list[float]]) -> MaxMinProblem:
    """Return two jobs and two GPUs of two types, on which job 0 gains 1 and 2, job 1 gains 1 and 1."""
    gain = np.array([[1.0, 2.0], [1.0, 1.0]])
    return MaxMinProblem(gain, np.ones(2), np.ones(2), None, 0.1, np.array(previous), np.full((2, 1), move_cost))


@pytest.mark.parametrize(
    ("move_cost", "x", "objective"),
    [
        (0.0, [[0.0, 1.0], [1.0, 0.0]], 1.0 + 0.1 * 1.5),
        (0.01, [[0.0, 1.0], [1.0, 0.0]], 1.0 + 0.1 * 1.5 - 0.04),  # 0.05 more mean gain for four units moved
        (0.02, [[1.0, 0.0], [0.0, 1.0]], 1.0 + 0.1 * 1.0),  # now the move costs more than it brings
    ],
)
def test_jobs_move_exactly_where_it_pays(
    switching_solver: Walk, move_cost: float, x: list[list[float]], objective: float
) -> None:
    solution = switching_solver.solve(two_alike(move_cost, [[1.0, 0.0], [0.0, 1.0]]))
    assert solution.objective == pytest.approx(objective, rel=1e-6)
    np.testing.assert_allclose(solution.x, x, atol=1e-4)


def test_a_job_on_a_pair_that_is_no_longer_allowed_moves_whatever_it_costs(switching_solver: Walk) -> None:
    allowed = np.array([[True, False], [True, True]])
    problem = MaxMinProblem(
        np.ones((2, 2)), np.ones(2), np.ones(2), allowed, 0.0, np.array([[0.0, 1.0], [0.0, 0.0]]), np.full((2, 1), 5.0)
    )
    solution = switching_solver.solve(problem)
    assert solution.x[0, 1] == 0.0
    assert solution.objective == pytest.approx(-5.0, rel=1e-6)  # job 0 pays for leaving, and nobody for starting


@pytest.mark.parametrize(("jobs", "types"), [(0, 3), (1, 1), (1, 4), (7, 1)])
def test_the_smallest_instances_are_ordinary(backend: str, solver: Walk, jobs: int, types: int) -> None:
    problem = random_problem(2, jobs, types)
    check(problem, solver.solve(problem), registry.get(backend).tolerance)


def test_a_known_optimum_is_found(backend: str, solver: Walk) -> None:
    # two jobs that are twice as fast on different types, one GPU each
    problem = MaxMinProblem(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones(2), np.ones(2))
    solution = solver.solve(problem)
    assert solution.objective == pytest.approx(2.0, rel=1e-6)
    np.testing.assert_allclose(solution.x, [[0.0, 1.0], [1.0, 0.0]], atol=1e-6)


def test_a_cluster_without_gpus_gives_nothing_to_anybody(backend: str, solver: Walk) -> None:
    solution = solver.solve(MaxMinProblem(np.ones((3, 2)), np.ones(3), np.zeros(2)))
    assert solution.objective == 0.0
    assert not solution.x.any()
    assert solution.utilization == 0.0


def test_a_job_gets_no_time_where_it_is_not_allowed(backend: str, solver: Walk) -> None:
    allowed = np.array([[True, False], [True, True]])
    solution = solver.solve(MaxMinProblem(np.ones((2, 2)), np.ones(2), np.ones(2), allowed))
    assert solution.x[0, 1] == 0.0
    assert solution.objective == pytest.approx(1.0, rel=1e-6)


def test_the_linear_term_fills_what_the_least_gain_leaves_free(backend: str, solver: Walk) -> None:
    gain = np.array([[1.0, 1.0], [5.0, 5.0]])  # job 0's ceiling is 1, job 1 may have up to 5
    solution = solver.solve(MaxMinProblem(gain, np.ones(2), np.ones(2), None, 1e-3))
    assert solution.x.sum() == pytest.approx(2.0, abs=1e-4)


def test_sessions_share_nothing_and_remember_nothing(backend: str, solver: Walk) -> None:
    problem = random_problem(4, 9, 3)
    alone = Walk.of(backend, {}, PhaseTimer()).solve(problem)
    solver.solve(random_problem(5, 12, 3))
    after_another = solver.solve(problem)
    if alone.rebuild is RebuildReason.FRESH:  # nothing is carried over by design: the very same x
        np.testing.assert_array_equal(after_another.x, alone.x)
    assert after_another.objective == pytest.approx(alone.objective, rel=1e-6)


def test_build_and_solve_are_timed_apart_and_nothing_else_is(backend: str) -> None:
    timer = PhaseTimer()
    solver = Walk.of(backend, {}, timer)
    timer.take()
    solver.solve(random_problem(6, 10, 3))
    phases = timer.take().phases_s
    assert set(phases) == {"lp_build", "lp_solve"}
    assert min(phases.values()) > 0.0


def test_what_a_problem_states_is_not_written_to(backend: str, solver: Walk) -> None:
    problem = random_problem(7, 6, 3, {Trait.MASKED, Trait.ZEROS})
    assert problem.allowed is not None
    for array in (problem.gain, problem.scale_factor, problem.capacity, problem.allowed):
        array.flags.writeable = False
    solver.solve(problem)


def test_how_the_arrays_of_a_problem_lie_in_memory_does_not_matter(solver: Walk) -> None:
    problem = random_problem(8, 9, 3, {Trait.MASKED, Trait.ZEROS, Trait.GANGS})
    assert problem.allowed is not None
    spread = np.zeros((2 * problem.jobs, 2 * problem.types))
    spread[::2, ::2] = problem.gain
    elsewhere = replace(
        problem,
        gain=spread[::2, ::2],
        scale_factor=np.repeat(problem.scale_factor, 3)[::3],
        capacity=problem.capacity[::-1].copy()[::-1],
        allowed=np.asfortranarray(problem.allowed),
    )
    assert not elsewhere.gain.flags.c_contiguous
    assert solver.solve(elsewhere).objective == pytest.approx(solver.solve(problem).objective, rel=1e-4, abs=1e-9)
