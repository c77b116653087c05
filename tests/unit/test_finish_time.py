"""Finish-time problems by hand: ratios, ceilings, degenerate jobs, what is refused, the kernel of the certificate."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from finish_times import least_worst_ratio
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import brentq

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.errors import ProblemError
from phasewise.solvers.families.finish_time import FinishTimeProblem
from phasewise.solvers.finish_time_instances import Age, random_finish_times
from phasewise.solvers.hulls import lower_hulls
from phasewise.solvers.proofs import Duals
from phasewise.solvers.session import Walk


def problem_of(throughput: list[list[float]], capacity: list[float], **others: Any) -> FinishTimeProblem:
    """Return a problem of jobs of one GPU with 100 steps left, just arrived, of 100 s in isolation."""
    jobs = len(throughput)
    stated: dict[str, Any] = {
        "throughput": np.array(throughput, dtype=np.float64).reshape(jobs, len(capacity)),
        "scale_factor": np.ones(jobs),
        "capacity": np.array(capacity, dtype=np.float64),
        "steps_remaining": np.full(jobs, 100.0),
        "since_arrival": np.zeros(jobs),
        "isolated": np.full(jobs, 100.0),
    }
    lists = {name: np.array(value, dtype=np.float64) for name, value in others.items() if name != "allowed"}
    return FinishTimeProblem(**{**stated, **lists}, allowed=others.get("allowed"))


@pytest.fixture(params=["structured", "highs-direct"])
def solver(request: pytest.FixtureRequest) -> Walk:
    return Walk.of(request.param, {}, PhaseTimer())


def test_a_ratio_is_the_time_in_the_system_over_that_in_isolation() -> None:
    problem = problem_of([[2, 4], [1, 1]], [1, 1], since_arrival=[50, 10], isolated=[100, 20])
    x = np.array([[0.25, 0.125], [0.5, 0.0]])
    assert problem.ratios(x).tolist() == [(50 + 100 / 1.0) / 100, (10 + 100 / 0.5) / 20]
    assert problem.objective(x) == 10.5


def test_one_job_alone_gets_its_fastest_type_all_of_the_time(solver: Walk) -> None:
    solution = solver.solve(problem_of([[2, 5, 1]], [1, 1, 1]))
    assert solution.objective == pytest.approx(100 / 5 / 100)
    assert solution.x[0].tolist() == pytest.approx([0, 1, 0], abs=1e-8)


def test_equal_jobs_share_equally(solver: Walk) -> None:
    solution = solver.solve(problem_of([[1], [1], [1], [1]], [1]))
    assert solution.objective == pytest.approx(4.0)
    assert solution.bound == pytest.approx(4.0)
    assert solution.x.ravel().tolist() == pytest.approx([0.25] * 4)


def test_a_job_that_is_late_gets_more(solver: Walk) -> None:
    # 150 s late of 100 s each: rho = 3.5 / 1 with (250 + 100 / x) / 100 = (100 / (1 - x)) / 100 solved by hand
    solution = solver.solve(problem_of([[1], [1]], [1], since_arrival=[250, 0]))
    late, fresh = solution.x.ravel()
    assert late > fresh
    assert 2.5 + 1 / late == pytest.approx(1 / fresh)


def test_a_job_that_has_done_better_than_its_ratio_may_wait_but_does_not_starve(solver: Walk) -> None:
    solution = solver.solve(problem_of([[1], [1]], [1], isolated=[1e6, 100.0]))
    assert solution.x[0, 0] > 0
    assert solution.gap is not None
    assert solution.gap <= 1e-9


def test_a_job_without_steps_is_given_nothing_and_its_age_counts(solver: Walk) -> None:
    problem = problem_of([[1], [1]], [1], steps_remaining=[0, 100], since_arrival=[700, 0])
    solution = solver.solve(problem)
    assert solution.objective == solution.bound == 7.0
    assert solution.x[0, 0] == 0.0


def test_where_nobody_has_steps_left_nothing_is_solved(solver: Walk) -> None:
    solution = solver.solve(problem_of([[1], [1]], [1], steps_remaining=[0, 0], since_arrival=[700, 200]))
    assert (solution.objective, solution.gap) == (7.0, 0.0)
    assert not solution.x.any()


def test_a_job_that_can_run_nowhere_is_in_nobodys_way(solver: Walk) -> None:
    alone = solver.solve(problem_of([[2, 1]], [1, 1])).objective
    assert solver.solve(problem_of([[2, 1], [0, 0]], [1, 1])).objective == pytest.approx(alone)


def test_a_type_without_gpus_is_out_of_the_question(solver: Walk) -> None:
    solution = solver.solve(problem_of([[100, 1], [100, 1]], [0, 1]))
    assert solution.objective == pytest.approx(2.0)
    assert not solution.x[:, 0].any()


def test_a_pair_that_is_not_allowed_stays_at_0(solver: Walk) -> None:
    allowed = np.array([[True, False], [True, True]])
    solution = solver.solve(problem_of([[1, 9], [1, 9]], [1, 1], allowed=allowed))
    assert solution.x[0, 1] == 0.0
    assert solution.objective == pytest.approx(1.0)


def test_without_jobs_there_is_no_ratio(solver: Walk) -> None:
    assert solver.solve(problem_of([], [1])).objective == 0.0


@pytest.mark.parametrize("left_s", [1e-6, 1e-3, 1.0])
def test_a_very_old_job_with_next_to_nothing_to_do_takes_next_to_nothing(solver: Walk, left_s: float) -> None:
    # what is left to it of its time is a difference of figures that are a billion times as large
    problem = problem_of(
        [[1], [1], [1]], [1], steps_remaining=[left_s, 1000, 5000], since_arrival=[1e6, 0, 0], isolated=[1e6, 400, 2000]
    )
    solution = solver.solve(problem)
    assert solution.objective == pytest.approx(least_worst_ratio(problem), rel=1e-8)
    assert solution.gap is not None
    assert solution.gap <= 1e-9


@pytest.mark.parametrize(
    ("seed", "jobs", "types"), [(790565833, 8, 4), (122157170, 5, 4), (1275354970, 8, 3), (794258944, 8, 3)]
)
def test_an_old_job_that_cannot_have_its_fastest_type_all_of_the_time_is_no_trouble(
    solver: Walk, seed: int, jobs: int, types: int
) -> None:
    # the ratios to go through differ in their last digits, and as often the prices at first are none of the others'
    solution = solver.solve(random_finish_times(seed, jobs, types, (), (Age.LATE,)))
    assert solution.gap is not None
    assert solution.gap <= 1e-9


def test_the_bound_without_prices_is_what_each_could_have_alone() -> None:
    problem = problem_of([[2, 4], [1, 1]], [1, 1], since_arrival=[50, 10], isolated=[100, 20])
    assert problem.bound(None) == pytest.approx((10 + 100) / 20)
    assert problem.bound(np.zeros(2)) == problem.bound(None)


def test_duals_that_are_none_prove_the_ceiling_and_no_more() -> None:
    problem = problem_of([[1], [1]], [1])
    x = np.full((2, 1), 0.5)
    for prices in (None, np.array([np.nan]), np.array([np.inf]), np.array([-1.0]), np.zeros(3)):
        proof = problem.prove(x, Duals(capacity=prices))
        assert proof is not None
        assert proof.bound == pytest.approx(1.0)
    sound = problem.prove(x, Duals(capacity=np.array([7.0])))
    assert sound is not None
    assert sound.bound == pytest.approx(2.0)


def test_who_gets_nothing_has_no_finite_ratio() -> None:
    problem = problem_of([[1], [1]], [1])
    assert problem.objective(np.array([[1.0], [0.0]])) == np.inf
    assert problem.gap(1.0, np.array([[1.0], [0.0]])) == np.inf


@pytest.mark.parametrize(
    ("others", "message"),
    [
        ({"steps_remaining": [1, -1]}, r"steps_remaining\[1\] is -1.0; expected a finite number of at least 0"),
        ({"since_arrival": [np.nan, 0]}, r"since_arrival\[0\] is nan"),
        ({"isolated": [1, 0]}, r"isolated\[1\] is 0.0; expected a finite number above 0"),
        ({"isolated": [1, 2, 3]}, r"isolated has shape \(3,\); expected \(2,\), one a job"),
    ],
)
def test_what_is_malformed_is_named(others: dict[str, Any], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        problem_of([[1], [1]], [1], **others).validate()


def plain_least_ratio(problem: FinishTimeProblem, prices: np.ndarray) -> float:
    """Return the root of what all have to pay less what all GPUs are worth; the ceiling where they can pay it there."""
    hulls = lower_hulls(problem.throughput, problem.scale_factor, prices)

    def over(ratio: float) -> float:
        need = problem.steps_remaining / (ratio * problem.isolated - problem.since_arrival)
        return float(hulls.costs(np.minimum(need, problem.fastest)).sum() - prices @ problem.capacity)

    lowest = problem.ceiling * (1 + 1e-12)
    if over(lowest) <= 0:
        return problem.ceiling
    highest = lowest
    while over(highest) > 0:
        highest *= 2
    return float(brentq(over, lowest, highest, xtol=1e-15, rtol=1e-13))


@given(seed=st.integers(0, 2**32 - 1), jobs=st.integers(1, 9), types=st.integers(1, 5), near=st.floats(0.1, 100.0))
def test_the_compiled_root_is_that_of_the_plain_sum(seed: int, jobs: int, types: int, near: float) -> None:
    rng = np.random.default_rng(seed)
    problem = FinishTimeProblem(
        throughput=rng.exponential(1.0, (jobs, types)),
        scale_factor=rng.choice([0.25, 1.0, 4.0], jobs),
        capacity=rng.exponential(1.0, types) + 0.01,
        steps_remaining=10.0 ** rng.uniform(0, 4, jobs),
        since_arrival=10.0 ** rng.uniform(0, 3, jobs),
        isolated=10.0 ** rng.uniform(1, 3, jobs),
    )
    prices = np.round(rng.exponential(1.0, types), 1) * (rng.random(types) < 0.7)
    expected = plain_least_ratio(problem, prices) if prices.any() else problem.ceiling
    bound = problem.bound(prices, near * expected)
    assert bound == pytest.approx(expected, rel=1e-11)
    assert bound <= expected * (1 + 1e-13)


@pytest.mark.parametrize(
    "backend", ["structured", "highs-direct", "highs-warm", "cvxpy-fresh:HIGHS", "cvxpy-dpp:HIGHS"]
)
def test_what_is_solved_without_a_step_is_time_of_the_solver_all_the_same(backend: str) -> None:
    timer = PhaseTimer()
    walk = Walk.of(backend, {}, timer)
    timer.take()
    walk.solve(problem_of([[4.0, 2.0], [1.0, 1.0]], [1.0, 1.0]))
    assert timer.take().phases_s["lp_solve"] > 0.0
