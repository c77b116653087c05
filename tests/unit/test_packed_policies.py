"""The policies that pack, on the original's recorded inputs and on cases worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import GAVEL, read
from pair_programs import TeamProgram, team_program

from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry
from phasewise.sched.api import Allocation, ClusterView, PairRates
from phasewise.sched.policies.finish_time_fairness import IsolatedTime
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate
from phasewise.solvers.api import Solution
from phasewise.solvers.families.packed_finish_time import PackedFinishTimeProblem
from phasewise.solvers.families.packed_moving import MAX_MIN_PACKED_SWITCHING, PackedMovingProblem
from phasewise.solvers.problems import AllocationProblem, Floats
from phasewise.solvers.session import Walk

PACKED = ("finish_time_fairness", "max_min_fairness", "max_min_fairness_water_filling", "min_total_duration")
SOLVERS = ("by-kinds", "highs-direct", "auto")


def recorded(policy: str) -> list[dict[str, Any]]:
    """Return the recorded inputs and answers of a policy."""
    cases: list[dict[str, Any]] = read(GAVEL / "alloc" / f"st_single_20_s1--4_2_2--g111--{policy}_packed.json")["cases"]
    return cases


def view_of(case: dict[str, Any]) -> ClusterView:
    """Return what the policy sees in a recorded case: jobs of equal rows are of one kind."""
    singles = [job[0] for job in case["jobs"] if len(job) == 1]
    throughput = np.array([row for job, row in zip(case["jobs"], case["throughputs"], strict=True) if len(job) == 1])
    _, kind = np.unique(throughput, axis=0, return_inverse=True)
    kind = kind.reshape(-1).astype(np.int64)
    rate = np.zeros((kind.max() + 1, kind.max() + 1, throughput.shape[1], 2))
    for job, row in zip(case["jobs"], case["throughputs"], strict=True):
        if len(job) == 2:
            first, second = (kind[singles.index(each)] for each in job)
            rate[first, second], rate[second, first] = row, np.array(row)[:, ::-1]
    return ClusterView(
        now_s=case["t"],
        worker_types=tuple(case["worker_types"]),
        capacity=np.array([case["cluster_spec"][name] for name in case["worker_types"]], dtype=np.float64),
        job_id=np.array(singles),
        scale_factor=np.array(case["scale_factors"], dtype=np.float64),
        priority_weight=np.array(case["priority_weights"]),
        throughput=throughput,
        steps_remaining=np.array(case["num_steps_remaining"]),
        since_arrival_s=np.array(case["times_since_start"]),
        pairs=PairRates(kind, rate),
    )


class Recorder:
    """Solves, and keeps what was asked and answered."""

    def __init__(self, solver: str) -> None:
        self.walk = Walk.of(solver, {}, PhaseTimer())
        self.problems: list[AllocationProblem] = []
        self.solutions: list[Solution] = []

    def __call__(self, problem: AllocationProblem) -> Solution:
        self.problems.append(problem)
        self.solutions.append(self.walk.solve(problem))
        return self.solutions[-1]


def asked(policy: str, view: ClusterView, solver: str, memory: object = None) -> tuple[Any, Solution, Allocation]:
    """Return the problem that a policy states, its solution, and the allocation."""
    record = Recorder(solver)
    allocation = registry.policy(f"{policy}_packed", PolicyOptions()).allocate(view, record, memory)
    return record.problems[0], record.solutions[0], allocation


def isolated_so_far(case: dict[str, Any], view: ClusterView) -> IsolatedTime | None:
    """Return what the policy remembered of a recorded case, as if nothing had been done since."""
    seconds = case.get("cumulative_isolated_time")
    if seconds is None:
        return None
    order = np.argsort(view.job_id)
    values = np.array(list(seconds.values()) if isinstance(seconds, dict) else seconds, dtype=np.float64)
    return IsolatedTime(view.job_id[order], values[order], view.steps_remaining[order], np.ones(order.size))


def originals(case: dict[str, Any], problem: Any, program: TeamProgram) -> Floats:
    """Return (J,) the gains of the original's own allocation."""
    ids = problem.keys.tolist()
    gains = np.zeros(problem.jobs)
    for job, x in zip(case["x_jobs"], case["x"], strict=True):
        places = [ids.index(each) for each in job]
        if len(places) == 1:
            gains[places[0]] += problem.alone[places[0]] @ x
            continue
        for own, other in (places, places[::-1]):
            gains[own] += problem.factors[own] * problem.rate[problem.kind[own], problem.kind[other]] @ x
    del program
    return gains


@pytest.mark.oracle
@pytest.mark.thorough
@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize("policy", ["max_min_fairness", "max_min_fairness_water_filling", "min_total_duration"])
def test_the_objective_is_the_optimum_over_all_pairs_of_the_recorded_inputs(policy: str, solver: str) -> None:
    for case in recorded(policy):
        problem, solution, allocation = asked(policy, view_of(case), solver)
        best = team_program(problem).max_min()
        assert solution.objective == pytest.approx(best, rel=1e-6)
        assert solution.gap is not None
        assert solution.gap <= 1e-9
        assert allocation.members is not None
        assert allocation.x.shape == (len(allocation.members), 3)


@pytest.mark.oracle
@pytest.mark.parametrize("policy", ["max_min_fairness", "max_min_fairness_water_filling", "min_total_duration"])
def test_nobody_is_worse_off_than_by_the_originals_answer(policy: str) -> None:
    for case in recorded(policy):
        problem, solution, _ = asked(policy, view_of(case), "by-kinds")
        theirs = problem.value(originals(case, problem, team_program(problem)))
        assert solution.objective >= theirs * (1.0 - 1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("solver", SOLVERS)
def test_the_worst_ratio_of_the_recorded_inputs_is_the_least_that_can_be_had(solver: str) -> None:
    for case in recorded("finish_time_fairness"):
        view = view_of(case)
        problem, solution, _ = asked("finish_time_fairness", view, solver, isolated_so_far(case, view))
        assert isinstance(problem, PackedFinishTimeProblem)
        assert solution.gap is not None
        assert solution.gap <= 1e-9
        theirs = problem.value(originals(case, problem, team_program(problem)))
        assert solution.objective <= theirs * (1.0 + 1e-6)
        for ratio, reached in ((solution.objective * (1.0 + 1e-6), True), (solution.objective * (1.0 - 1e-6), False)):
            room = ratio * problem.isolated - problem.since_arrival
            program = team_program(problem, room / problem.steps_remaining)
            assert (program.max_min() >= 1.0) == reached


@pytest.mark.thorough
@pytest.mark.parametrize("policy", PACKED)
def test_a_run_to_the_end_has_teams_that_make_more_of_their_gpus(policy: str) -> None:
    overrides = {"policy.name": f"{policy}_packed", "solver.name": "auto"}
    summary = simulate(load_scenario("toy", overrides), None).summary
    assert summary["jobs_completed"] == 12
    assert summary["sharing_gain"] > 1.3
    assert summary["lp_solves"] > 0


def made(gpus: tuple[float, ...], capacity: float, rates: dict[tuple[int, int], tuple[float, float]]) -> ClusterView:
    """Return a view of jobs of one step a second on one type, each of its own kind, with the rates of some pairs."""
    jobs = len(gpus)
    rate = np.zeros((jobs, jobs, 1, 2))
    for (first, second), (own, other) in rates.items():
        rate[first, second, 0], rate[second, first, 0] = (own, other), (other, own)
    return ClusterView(
        now_s=0.0,
        worker_types=("v100",),
        capacity=np.array([capacity]),
        job_id=10 + 2 * np.arange(jobs),
        scale_factor=np.array(gpus),
        priority_weight=np.ones(jobs),
        throughput=np.ones((jobs, 1)),
        steps_remaining=np.full(jobs, 100.0),
        since_arrival_s=np.zeros(jobs),
        pairs=PairRates(np.arange(jobs), rate),
    )


def together(allocation: Allocation) -> dict[tuple[int, int], float]:
    """Return the time of every team that has any, by its job ids."""
    assert allocation.members is not None
    rows = zip(allocation.members.tolist(), allocation.x.sum(axis=1).tolist(), strict=True)
    return {(first, second): time for (first, second), time in rows if time > 0.0}


@pytest.mark.parametrize("policy", PACKED)
def test_two_jobs_share_a_gpu_where_both_gain_by_it(policy: str) -> None:
    _, _, allocation = asked(policy, made((1.0, 1.0), 1.0, {(0, 1): (0.8, 0.8)}), "by-kinds")
    assert together(allocation) == pytest.approx({(10, 12): 1.0})


@pytest.mark.parametrize("policy", PACKED)
def test_two_jobs_take_turns_where_sharing_slows_them_to_less_than_half(policy: str) -> None:
    _, _, allocation = asked(policy, made((1.0, 1.0), 1.0, {(0, 1): (0.4, 0.4)}), "by-kinds")
    assert together(allocation) == pytest.approx({(10, -1): 0.5, (12, -1): 0.5})


@pytest.mark.parametrize("policy", PACKED)
def test_jobs_of_different_scale_factors_do_not_share(policy: str) -> None:
    view = made((1.0, 2.0, 2.0), 2.0, {(0, 1): (1.0, 1.0), (1, 2): (0.9, 0.9)})
    _, _, allocation = asked(policy, view, "by-kinds")
    assert (12, 14) in together(allocation)
    assert (10, 12) not in together(allocation)


@pytest.mark.parametrize("policy", PACKED)
def test_without_a_table_everybody_runs_alone(policy: str) -> None:
    view = replace(made((1.0, 1.0, 2.0), 2.0, {(0, 1): (0.9, 0.9)}), pairs=None)
    _, _, allocation = asked(policy, view, "by-kinds")
    assert all(second == -1 for _, second in together(allocation))


@pytest.mark.parametrize("policy", PACKED)
def test_a_job_that_can_run_nowhere_has_a_row_and_no_time(policy: str) -> None:
    view = made((1.0, 1.0), 1.0, {(0, 1): (0.8, 0.8)})
    view = replace(view, throughput=np.array([[1.0], [0.0]]))
    _, _, allocation = asked(policy, view, "by-kinds")
    assert together(allocation) == pytest.approx({(10, -1): 1.0})
    assert allocation.members is not None
    assert [12, -1] in allocation.members.tolist()


@pytest.mark.parametrize("policy", [*(f"{name}_packed" for name in (*PACKED, "fifo")), "gandiva"])
def test_jobs_that_all_ask_for_more_gpus_than_there_are_are_refused_and_the_run_ends(
    policy: str, tmp_path: Path
) -> None:
    rows = (
        "\t".join(("ResNet-18 (batch size 32)", "run", ".", "-n", "0", "1000", "4", "1", "-1", f"{at}.0"))
        for at in (0, 9)
    )
    (tmp_path / "wide.trace").write_text("\n".join(rows) + "\n")
    cluster = {"cluster.gpus": {"v100": 2, "p100": 2, "k80": 2}, "cluster.gpus_per_node": {}}
    chosen = {"workload.trace": str(tmp_path / "wide.trace"), "policy.name": policy, **cluster}
    outcome = simulate(load_scenario("toy", chosen), None)
    assert outcome.status == "complete"
    assert (outcome.summary["jobs_refused"], outcome.summary["jobs_completed"]) == (2, 0)


def test_max_min_fairness_states_the_movement_cost_of_all_time_on_a_type() -> None:
    view = replace(
        made((1.0, 1.0), 1.0, {(0, 1): (0.8, 0.8)}),
        previous=np.array([[1.0], [0.5]]),
        migration_s=np.array([[90.0], [0.0]]),
    )
    policy = registry.policy("max_min_fairness_packed", PolicyOptions(move_weight=1.0 / 360.0))
    assert policy.families == {MAX_MIN_PACKED_SWITCHING}
    record = Recorder("by-kinds")
    allocation = policy.allocate(view, record, None)
    problem = record.problems[0]
    assert isinstance(problem, PackedMovingProblem)
    assert problem.move_cost.tolist() == [[90.0 / 360.0 / 2.0], [0.0]]
    assert problem.previous.tolist() == [[1.0], [0.5]]
    assert together(allocation) == pytest.approx({(10, 12): 1.0})


@pytest.mark.thorough
def test_with_a_movement_cost_in_the_objective_less_time_moves_between_types() -> None:
    moved = {}
    for weight in (0.0, 20.0):
        overrides = {
            "policy.name": "max_min_fairness_packed", "workload.rate_per_hour": 8.0, "workload.jobs": 40,
            "cluster.gpus": {"v100": 4, "p100": 4, "k80": 4}, "migration.enabled": True, "migration.weight": weight,
            "timing.preset": "corrected",
        }  # fmt: skip
        summary = simulate(load_scenario("toy", overrides), None).summary
        assert summary["jobs_completed"] == 40
        moved[weight] = summary["migrations"]
    assert moved[20.0] < 0.9 * moved[0.0]
