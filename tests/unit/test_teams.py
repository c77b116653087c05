"""Rows of two jobs that share their GPUs: a job's time is summed over its rows, and what is claimed is proven."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import linprog

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.errors import ProblemError, SolveFailedError, UnsupportedProblemError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.problems import Floats
from phasewise.solvers.rows import origin
from phasewise.solvers.session import Walk


def packed(seed: int, jobs: int, types: int, *, linear: float = 0.0, moving: bool = False) -> MaxMinProblem:
    """Return an instance in which each job stands alone and beside some others, slowed down by them."""
    rng = np.random.default_rng([seed, jobs, types])
    ids = 10 + 3 * np.arange(jobs)
    pairs = np.array([(a, b) for a in range(jobs) for b in range(a + 1, jobs) if rng.random() < 0.6], dtype=np.int64)
    pairs = pairs.reshape(-1, 2)
    speed = np.exp(0.5 * rng.standard_normal((jobs, types)))
    together = rng.uniform(0.4, 0.9, (len(pairs), types))
    gain = np.vstack([speed, speed[pairs[:, 0]] * together])
    partner = np.vstack([np.zeros((jobs, types)), speed[pairs[:, 1]] * rng.uniform(0.4, 0.9, together.shape)])
    members = np.vstack([np.column_stack([ids, np.full(jobs, -1)]), ids[pairs]])
    rows = len(members)
    previous = cost = None
    if moving:
        previous = rng.random((rows, types)) / (types * rows)
        cost = rng.uniform(0.0, 0.3, (rows, 1)) / rows
    return MaxMinProblem(
        gain,
        np.ones(rows),
        rng.dirichlet(np.full(types, 2.0)) * 0.5 * jobs,
        linear_weight=linear,
        previous=previous,
        move_cost=cost,
        keys=np.arange(rows),
        members=members,
        partner_gain=partner,
    )


def scipys(problem: MaxMinProblem) -> float:
    """Return the optimum by a program that is written down row by row: columns x, t and moved."""
    assert problem.members is not None
    assert problem.partner_gain is not None
    rows, types = problem.gain.shape
    pairs, jobs = rows * types, sorted(set(problem.members.ravel().tolist()) - {-1})
    above: list[Floats] = []
    limit: list[float] = []
    mean = np.zeros(pairs)
    for job in jobs:
        gain, time = np.zeros((rows, types)), np.zeros((rows, types))
        for row, (first, second) in enumerate(problem.members.tolist()):
            if first == job:
                gain[row], time[row] = problem.gain[row], 1.0
            if second == job:
                gain[row], time[row] = problem.partner_gain[row], 1.0
        mean += problem.linear_weight * gain.ravel() / len(jobs)
        above += [np.concatenate([-gain.ravel(), [1.0], np.zeros(pairs)])]
        above += [np.concatenate([time.ravel(), [0.0], np.zeros(pairs)])]
        limit += [0.0, 1.0]
    for kind in range(types):
        gpus = np.zeros((rows, types))
        gpus[:, kind] = problem.scale_factor
        above.append(np.concatenate([gpus.ravel(), [0.0], np.zeros(pairs)]))
        limit.append(float(problem.capacity[kind]))
    cost, previous = np.zeros(pairs), np.zeros(pairs)
    if problem.switching is not None:
        cost, previous = problem.switching.cost.ravel(), problem.switching.previous.ravel()
        for sign in (1.0, -1.0):
            for pair in range(pairs):
                row = np.zeros(2 * pairs + 1)
                row[pair], row[pairs + 1 + pair] = sign, -1.0
                above.append(row)
                limit.append(sign * float(previous[pair]))
    best = linprog(-np.concatenate([mean, [1.0], -cost]), A_ub=np.array(above), b_ub=limit, bounds=(0.0, None))
    return float(-best.fun)


@pytest.mark.parametrize("spec", ["highs-direct", "auto", "cvxpy-fresh:HIGHS"])
@pytest.mark.parametrize("linear", [0.0, 0.1])
@pytest.mark.parametrize("moving", [False, True])
def test_the_optimum_is_scipys_and_proven(spec: str, linear: float, moving: bool) -> None:
    solver = Walk.of(spec, {}, PhaseTimer())
    for seed in range(6):
        problem = packed(seed, 2 + seed, 2, linear=linear, moving=moving)
        solution = solver.solve(problem)
        assert solution.objective == pytest.approx(scipys(problem), rel=1e-8)
        assert solution.gap is not None
        assert solution.gap <= 1e-8
        assert problem.violation(solution.x) <= 1e-12


def test_two_jobs_that_do_not_disturb_each_other_share_all_gpus() -> None:
    problem = MaxMinProblem(
        np.ones((3, 1)),
        np.ones(3),
        np.ones(1),
        members=np.array([[7, -1], [9, -1], [7, 9]]),
        partner_gain=np.ones((3, 1)),
    )
    solution = Walk.of("highs-direct", {}, PhaseTimer()).solve(problem)
    np.testing.assert_allclose(solution.x, [[0.0], [0.0], [1.0]], atol=1e-9)
    assert solution.objective == pytest.approx(1.0)
    assert problem.jobs == 2
    assert problem.rows == 3
    np.testing.assert_array_equal(problem.time(solution.x), [1.0, 1.0])


def test_a_job_has_its_time_once_in_all_its_rows() -> None:
    problem = replace(packed(1, 4, 2), capacity=np.full(2, 9.0))
    x = np.full(problem.gain.shape, 0.2)
    over = problem.time(x).max() - 1.0
    assert over > 0.0
    assert problem.violation(x) >= over
    near = problem.project(x)
    assert problem.violation(near) <= 1e-12
    assert problem.time(near).max() == pytest.approx(1.0)


@given(seed=st.integers(0, 2**32 - 1), jobs=st.integers(1, 6), moving=st.booleans(), known=st.booleans())
def test_no_duals_prove_less_than_an_allocation_reaches(seed: int, jobs: int, moving: bool, known: bool) -> None:
    rng = np.random.default_rng(seed)
    problem = packed(seed % 50, jobs, 2, linear=0.1 * (seed % 2), moving=moving)
    x = problem.project(rng.random(problem.gain.shape) * 3.0 / problem.rows)
    weights, prices = rng.random(jobs), rng.random(2)
    bound = problem.bound(weights / weights.sum(), prices, rng.random(jobs) if known else None)
    assert bound >= problem.objective(x) - 1e-12


SINGLE = [each for each in registry.names() if not getattr(registry.get(each), "pairs", False)]


@pytest.mark.parametrize("name", SINGLE)
def test_a_backend_for_single_jobs_refuses_in_words(name: str) -> None:
    if "max_min" in registry.get(name).families:
        with pytest.raises(SolveFailedError, match="does not take rows of two jobs"):
            Walk.of(name, {}, PhaseTimer()).solve(packed(1, 3, 2))
        with pytest.raises(UnsupportedProblemError, match="does not take rows of two jobs"):
            registry.get(name).open({}, PhaseTimer()).solve(packed(1, 3, 2), None)
    else:
        with pytest.raises(UnsupportedProblemError, match="does not solve problem family 'max_min'"):
            registry.get(name).open({}, PhaseTimer()).solve(packed(1, 3, 2), None)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"keys": np.zeros(3, dtype=np.int64)}, "keys are not unique"),
        ({"keys": np.arange(2)}, r"keys are int64 of shape \(2,\); expected int64 of \(3,\)"),
        ({"keys": np.arange(3.0)}, "keys are float64"),
        ({"members": np.array([[7, -1], [9, -1], [7, 7]])}, r"members\[2\] are \[7, 7\]; expected two different"),
        ({"members": np.array([[7, -1], [-1, 9], [7, 9]])}, r"members\[1\] are \[-1, 9\]"),
        ({"members": np.array([[7, -1], [9, -1]])}, r"members are int64 of shape \(2, 2\); expected int64 of \(3, 2\)"),
        ({"partner_gain": None}, "members and partner_gain are given one without the other"),
        ({"partner_gain": np.ones((2, 1))}, r"partner_gain has shape \(2, 1\)"),
        ({"partner_gain": -np.ones((3, 1))}, r"partner_gain\[0, 0\] is -1.0"),
    ],
)
def test_rows_that_cannot_be_are_refused_naming_the_fault(changes: dict[str, object], message: str) -> None:
    fields: dict[str, object] = {"members": np.array([[7, -1], [9, -1], [7, 9]]), "partner_gain": np.ones((3, 1))}
    problem = MaxMinProblem(np.ones((3, 1)), np.ones(3), np.ones(1), **{**fields, **changes})  # type: ignore[arg-type]
    with pytest.raises(ProblemError, match=message):
        problem.validate()


@given(st.lists(st.integers(0, 30), unique=True), st.lists(st.integers(0, 30), unique=True))
def test_a_row_is_known_again_by_its_key(now: list[int], before: list[int]) -> None:
    found = origin(np.array(now, dtype=np.int64), np.array(before, dtype=np.int64))
    assert found.tolist() == [before.index(key) if key in before else -1 for key in now]


def test_what_a_problem_computes_once_is_not_carried_into_another() -> None:
    problem = packed(1, 4, 2)
    assert problem.allowed_mask is problem.allowed_mask
    other = replace(problem, capacity=np.array([0.0, 1.0]))
    assert not other.allowed_mask[:, 0].any()
    assert problem.allowed_mask[:, 0].any()
    assert problem.anew().traits == problem.traits
