"""Every backend that takes sums of values with a movement cost: random instances against scipy, by hand, on tapes."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import per_backend
from scipy.optimize import linprog
from sum_programs import random_program

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Infeasible
from phasewise.solvers.errors import ProblemError
from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.families.moving_sum import MAX_SUM_SWITCHING, MovingSumProblem
from phasewise.solvers.instances import Trait
from phasewise.solvers.promises import kept
from phasewise.solvers.proofs import Duals
from phasewise.solvers.replay import replay
from phasewise.solvers.session import Walk
from phasewise.solvers.tapes import Tape, TapeWriter

BACKENDS = [name for name in registry.names() if MAX_SUM_SWITCHING in registry.get(name).families]
OWN_FIRST = [
    name if not name.startswith("cvxpy-") else pytest.param(name, marks=pytest.mark.thorough) for name in BACKENDS
]
AS_THEY_OCCUR = (Trait.ZEROS, Trait.GANGS, Trait.FRACTIONAL, Trait.SCARCE, Trait.AMPLE, Trait.NO_CAPACITY, Trait.TIES)
WITHIN = 1e-6


@cache
def walk_of(backend: str) -> Walk:
    return Walk.of(backend, {}, PhaseTimer())


def some_problem(seed: int, jobs: int, types: int, traits: set[Trait], needed: float) -> MovingSumProblem:
    """Return an instance whose promises can be kept, with costs from nothing to more than a move can bring."""
    program = random_program(seed, jobs, types, traits, needed)
    rng = np.random.default_rng([seed, 7])
    value = np.where(program.value > -np.inf, program.value, 0.0)
    rates = (program.rate, program.need) if program.need.any() else (None, None)
    still = MaxSumProblem(value, program.use, program.capacity, *rates)
    if still.promised is not None:
        still = kept(still).problem
    previous = rng.dirichlet(np.full(types, 0.3), size=jobs) * rng.random((jobs, 1))
    previous[previous < 0.1] = 0.0
    cost = rng.choice([0.0, 0.05, 0.3, 3.0], size=(jobs, types)) * value.max(axis=1, initial=0.0)[:, None]
    return MovingSumProblem(**still.stated(), previous=previous, move_cost=cost)


def optimum(problem: MovingSumProblem) -> float:
    """Return the optimum by scipy, over the columns x and moved, from the problem's statement alone."""
    jobs, types = problem.value.shape
    pairs, unit = jobs * types, float(problem.value.max()) or 1.0
    eye, nothing = np.eye(pairs), np.zeros((jobs, pairs))
    time = np.kron(np.eye(jobs), np.ones(types))
    gpus = np.kron(problem.scale_factor, np.eye(types))
    rows = [np.hstack((time, nothing)), np.hstack((gpus, np.zeros((types, pairs))))]
    limits = [np.ones(jobs), problem.capacity]
    if problem.throughput is not None and problem.promised is not None:
        most = np.maximum(problem.throughput.max(axis=1), 1e-300)
        rates = time * (problem.throughput / most[:, None]).ravel()
        rows.append(np.hstack((-rates, nothing)))
        limits.append(-problem.promised / most)
    rows += [np.hstack((eye, -eye)), np.hstack((-eye, -eye))]
    limits += [problem.previous.ravel(), -problem.previous.ravel()]
    upper = np.concatenate((problem.allowed_mask.ravel().astype(float), np.full(pairs, 2.0)))
    cost = np.concatenate((-problem.value.ravel(), np.broadcast_to(problem.move_cost, (jobs, types)).ravel())) / unit
    bounds = np.column_stack((np.zeros(2 * pairs), upper))
    found = linprog(cost, np.vstack(rows), np.concatenate(limits), bounds=bounds, method="highs")
    assert found.status == 0, found.message
    return float(-found.fun * unit)


def test_the_backends_that_can_take_them() -> None:
    assert {"auto", "highs-direct", "cvxpy-fresh:CLARABEL", "cvxpy-dpp:CLARABEL"} <= set(BACKENDS)


@pytest.mark.parametrize("backend", OWN_FIRST)
def test_an_instance_is_solved_to_the_optimum_of_a_general_solver_and_proven(backend: str) -> None:
    @hypothesis_settings(max_examples=per_backend(backend) // 2)
    @given(
        seed=st.integers(0, 2**32 - 1), jobs=st.sampled_from([1, 2, 5, 12]), types=st.integers(1, 4),
        traits=st.sets(st.sampled_from(AS_THEY_OCCUR), max_size=2), needed=st.sampled_from([0.0, 0.05, 0.3]),
    )  # fmt: skip
    def solved(seed: int, jobs: int, types: int, traits: set[Trait], needed: float) -> None:
        note(f"some_problem({seed}, {jobs}, {types}, {sorted(traits)}, {needed})")
        problem = some_problem(seed, jobs, types, traits, needed)
        solution = walk_of(backend).solve(problem)
        assert solution.gap is not None
        assert solution.gap <= WITHIN
        assert problem.violation(solution.x) <= WITHIN
        best, scale = optimum(problem), float(problem.value.max()) * jobs
        assert solution.objective == pytest.approx(best, rel=1e-5, abs=1e-6 * scale)

    solved()


@given(
    seed=st.integers(0, 2**32 - 1), jobs=st.sampled_from([1, 5, 12]), types=st.integers(1, 4),
    needed=st.sampled_from([0.0, 0.1]),
)  # fmt: skip
def test_no_duals_bound_it_below_the_optimum(seed: int, jobs: int, types: int, needed: float) -> None:
    problem = some_problem(seed, jobs, types, {Trait.GANGS}, needed)
    best = optimum(problem)
    rng = np.random.default_rng(seed)
    proof = problem.prove(
        np.zeros((jobs, types)), Duals(capacity=rng.exponential(1.0, types), slo=rng.exponential(1.0, jobs))
    )
    assert proof is not None
    assert proof.bound >= best - 1e-9 * max(1.0, abs(best))


@pytest.mark.parametrize(
    ("cost", "x"),
    [(0.0, [[0.0, 1.0], [1.0, 0.0]]), (0.2, [[0.0, 1.0], [1.0, 0.0]]), (0.3, [[1.0, 0.0], [0.0, 1.0]])],
)
@pytest.mark.parametrize("backend", OWN_FIRST)
def test_jobs_move_exactly_where_it_pays(backend: str, cost: float, x: list[list[float]]) -> None:
    # exchanging the two brings 1 and moves four units of time
    problem = MovingSumProblem(
        np.array([[1.0, 2.0], [1.0, 1.0]]), np.ones(2), np.ones(2), np.eye(2), np.full((2, 1), cost)
    )
    np.testing.assert_allclose(walk_of(backend).solve(problem).x, x, atol=1e-4)


def test_promises_that_cannot_be_kept_are_refuted_whatever_moving_costs() -> None:
    problem = MovingSumProblem(
        np.ones((2, 1)), np.ones(2), np.ones(1), np.zeros((2, 1)), np.ones((2, 1)), np.ones((2, 1)), np.ones(2)
    )
    outcome = walk_of("highs-direct").outcome(problem)
    assert isinstance(outcome, Infeasible)
    assert outcome.margin == pytest.approx(0.5)


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"previous": np.ones((2, 2))}, r"previous\[0\] sums to 2.0"),
        ({"previous": np.zeros((2, 3))}, r"previous has shape \(2, 3\)"),
        ({"move_cost": np.full((2, 1), -1.0)}, r"move_cost\[0, 0\] is -1.0"),
        ({"promised": np.ones(2)}, "given together"),
    ],
)
def test_a_malformed_problem_is_refused_with_its_fault(wrong: dict[str, np.ndarray], said: str) -> None:
    right = MovingSumProblem(np.ones((2, 2)), np.ones(2), np.ones(2), np.zeros((2, 2)), np.zeros((2, 1)))
    with pytest.raises(ProblemError, match=said):
        replace(right, **wrong).validate()


def test_problems_of_the_family_are_taped_and_replayed(tmp_path: Path) -> None:
    with TapeWriter(tmp_path / "moving.tape", {}) as tape:
        for seed in range(4):
            tape.write(some_problem(seed, 12, 3, {Trait.GANGS}, 0.1))
    (direct,) = replay(list(Tape(tmp_path / "moving.tape")), ["highs-direct"])
    assert direct.failures == []
    assert max(direct.gaps) <= 1e-9
