"""The policies that add up throughputs: what they state, what GPUs cost, which SLOs they give up."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from oracle import GAVEL, names, read

from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry
from phasewise.sched.api import ClusterView, GivenUp
from phasewise.sched.errors import ScenarioError
from phasewise.sched.policy_options import PolicyOptions
from phasewise.solvers.api import Solution
from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.families.moving_sum import MovingSumProblem
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Walk

PLAIN = "max_sum_throughput_perf"
PER_COST = "max_sum_throughput_normalized_by_cost_perf"
SLOS = "max_sum_throughput_normalized_by_cost_perf_SLOs"
PRICES = (0.5, 1.0, 2.0)


def view_of(throughput: list[list[float]], capacity: list[float], **others: Any) -> ClusterView:
    jobs = len(throughput)
    view = ClusterView(
        now_s=0.0,
        worker_types=("k80", "p100", "v100")[: len(capacity)],
        capacity=np.array(capacity, dtype=np.float64),
        job_id=np.arange(jobs, dtype=np.int64),
        scale_factor=np.ones(jobs),
        priority_weight=np.ones(jobs),
        throughput=np.array(throughput, dtype=np.float64).reshape(jobs, len(capacity)),
        steps_remaining=np.full(jobs, 1000.0),
        since_arrival_s=np.zeros(jobs),
    )
    return replace(view, **{name: np.asarray(value) for name, value in others.items()})


class Recorder:
    """Solves, and keeps what was asked."""

    def __init__(self, walk: Walk | None = None) -> None:
        self.walk = walk or Walk.of("structured", {}, PhaseTimer())
        self.problems: list[AllocationProblem] = []

    def __call__(self, problem: AllocationProblem) -> Solution:
        self.problems.append(problem)
        return self.walk.solve(problem)


def told(**others: Any) -> PolicyOptions:
    return PolicyOptions(worker_types=("k80", "p100", "v100"), gpu_hour_prices=PRICES, **others)


def stated(name: str, view: ClusterView, options: PolicyOptions, **chosen: object) -> MaxSumProblem:
    """Return the problem that a policy states of a view."""
    solve = Recorder()
    registry.policy(name, options, chosen).allocate(view, solve, None)
    (problem,) = solve.problems
    assert isinstance(problem, MaxSumProblem)
    return problem


def test_what_is_added_up_are_throughputs_of_the_pairs_that_can_run() -> None:
    problem = stated(PLAIN, view_of([[1, 2, 0], [4, 0, 8], [0, 0, 0]], [1, 1, 1]), PolicyOptions())
    np.testing.assert_array_equal(problem.value, [[1, 2, 0], [4, 0, 8]])
    np.testing.assert_array_equal(problem.allowed_mask, [[True, True, False], [True, False, True]])
    assert problem.keys is not None
    assert problem.keys.tolist() == [0, 1]
    assert problem.promised is None


def test_a_throughput_counts_for_what_its_gpu_costs() -> None:
    problem = stated(PER_COST, view_of([[1, 2, 3]], [1, 1, 1]), told())
    np.testing.assert_array_equal(problem.value, [[2, 2, 1.5]])


def test_throughputs_may_be_taken_relative_to_an_equal_share() -> None:
    view = view_of([[1, 2, 3], [100, 200, 300]], [1, 1, 1])
    problem = stated(PLAIN, view, PolicyOptions(), normalised=True)
    np.testing.assert_allclose(problem.value, [[0.5, 1.0, 1.5]] * 2)


def test_in_the_original_s_form_every_pair_of_a_job_is_open() -> None:
    problem = stated(PLAIN, view_of([[1, 0]], [1, 1]), PolicyOptions(mask_impossible=False))
    assert problem.allowed_mask.all()


@pytest.mark.parametrize("name", [PLAIN, PER_COST, SLOS])
def test_a_start_costs_what_a_job_would_make_in_the_time_that_it_takes(name: str) -> None:
    view = view_of(
        [[1, 2, 4], [0, 0, 0], [3, 6, 9]],
        [1, 1, 1],
        previous=[[1.0, 0, 0], [0, 0, 0], [0, 0, 0.5]],
        migration_s=[[90.0, 180.0, 90.0], [90.0] * 3, [0.0] * 3],
    )
    solve = Recorder(Walk.of("highs-direct", {}, PhaseTimer()))
    policy = registry.policy(name, told(move_weight=1.0 / 360.0), {})
    policy.allocate(view, solve, None)
    (problem,) = solve.problems
    assert isinstance(problem, MovingSumProblem)
    assert {problem.family} == policy.families  # type: ignore[attr-defined]
    np.testing.assert_array_equal(problem.previous, [[1, 0, 0], [0, 0, 0.5]])
    np.testing.assert_allclose(problem.move_cost, problem.value * [[0.25, 0.5, 0.25], [0, 0, 0]])


@pytest.mark.parametrize("name", [PER_COST, SLOS])
def test_a_policy_that_weighs_cost_asks_for_prices(name: str) -> None:
    with pytest.raises(ScenarioError, match="gpu_hour_prices is empty: give the price of a GPU-hour of k80, p100"):
        registry.policy(name, PolicyOptions(worker_types=("k80", "p100")))


def test_nobody_who_can_run_leaves_nothing_to_solve() -> None:
    for name in (PLAIN, PER_COST, SLOS):
        x = registry.policy(name, told()).allocate(view_of([[0, 0, 0]], [1, 1, 1]), Recorder(), None).x
        np.testing.assert_array_equal(x, [[0, 0, 0]])


@pytest.mark.oracle
def test_allocations_are_worth_what_the_original_s_optimum_is() -> None:
    optima = {(entry["case"], entry["index"]): entry["optimum"] for entry in read(GAVEL / "objectives.json")}
    for name in names(GAVEL / "alloc", "*--max_sum_throughput*"):
        contents = read(GAVEL / "alloc" / f"{name}.json")
        for case in contents["cases"]:
            costs = case["instance_costs"] or {}
            prices = tuple(costs[kind] for kind in case["worker_types"]) if costs else ()
            throughput = np.array(case["throughputs"])
            view = view_of(
                case["throughputs"],
                [case["cluster_spec"][kind] for kind in case["worker_types"]],
                scale_factor=np.array(case["scale_factors"], dtype=float),
            )
            x = (
                registry.policy(contents["policy"], PolicyOptions(gpu_hour_prices=prices))
                .allocate(view, Recorder(), None)
                .x
            )
            worth = (throughput / (prices or (1.0,) * len(case["worker_types"])) * x).sum()
            assert worth == pytest.approx(optima[name, case["index"]], rel=1e-9)


# --- SLOs


def allocate(view: ClusterView, memory: object = None, **others: Any) -> tuple[np.ndarray, object, GivenUp | None]:
    allocation = registry.policy(SLOS, told(**others)).allocate(view, Recorder(), memory)
    return allocation.x, allocation.memory, allocation.given_up


def test_a_job_with_an_slo_runs_as_fast_as_it_needs_to() -> None:
    view = view_of([[0, 0, 1], [0, 0, 10]], [0, 0, 1], slo_s=[2000.0, np.nan], since_arrival_s=[500.0, 0.0])
    x, _, given_up = allocate(view)
    np.testing.assert_allclose(x[:, 2], [2 / 3, 1 / 3])  # 1000 steps in the 1,500 s that are left
    assert given_up is None


def test_slos_that_are_late_or_out_of_reach_alone_are_given_up_first() -> None:
    view = view_of(
        [[0, 0, 1], [0, 0, 1], [0, 0, 1]], [0, 0, 1], slo_s=[100.0, 900.0, 5000.0], since_arrival_s=[100.0, 0.0, 0.0]
    )
    x, memory, given_up = allocate(view)
    assert given_up == GivenUp(passed=(0,), alone=(1,), together=())
    assert x[2, 2] >= 0.2 - 1e-12
    assert allocate(view, memory)[2] is None  # said once


def test_of_those_that_cannot_all_be_met_the_heaviest_goes() -> None:
    view = view_of([[0, 0, 1]] * 3, [0, 0, 1], slo_s=[2000.0, 1500.0, 4000.0])  # half, two thirds, a quarter
    x, _, given_up = allocate(view)
    assert given_up == GivenUp((), (), (1,))
    assert x[0, 2] >= 0.5 - 1e-12
    assert x[2, 2] >= 0.25 - 1e-12


def test_under_the_original_s_rules_one_slo_that_cannot_be_met_costs_all() -> None:
    view = view_of([[0, 0, 1], [0, 0, 10]], [0, 0, 1], slo_s=[900.0, 1000.0])
    x, _, given_up = allocate(view, slos_all_or_none=True)
    assert given_up == GivenUp((), (), (0, 1))
    np.testing.assert_allclose(x[:, 2], [0.0, 1.0])


def test_nobody_with_an_slo_states_the_plain_problem() -> None:
    problem = stated(SLOS, view_of([[1, 2, 3]], [1, 1, 1], slo_s=[np.nan]), told())
    assert problem.family == "max_sum"


def test_the_memory_of_another_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="memory of another policy"):
        allocate(view_of([[1, 2, 3]], [1, 1, 1]), ("something",))
