"""Finish-time fairness and least total duration: what they state, what they remember, what they go by."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from oracle import GAVEL, names, read

from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry
from phasewise.sched.api import ClusterView
from phasewise.sched.errors import ScenarioError
from phasewise.sched.policies.finish_time_fairness import IsolatedTime
from phasewise.sched.policy_options import PolicyOptions
from phasewise.solvers.api import Solution
from phasewise.solvers.families.finish_time import FinishTimeProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Walk

BOTH_FAIR = ("finish_time_fairness", "finish_time_fairness_perf")
BOTH_QUICK = ("min_total_duration", "min_total_duration_perf")
AGNOSTIC = ("finish_time_fairness", "min_total_duration")
RETRACED = PolicyOptions(mask_impossible=False, reference_speeds=True)


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

    def __init__(self) -> None:
        self.solver = Walk.of("structured", {}, PhaseTimer())
        self.problems: list[AllocationProblem] = []
        self.solutions: list[Solution] = []

    def __call__(self, problem: AllocationProblem) -> Solution:
        self.problems.append(problem)
        self.solutions.append(self.solver.solve(problem))
        return self.solutions[-1]


def stated(name: str, view: ClusterView, told: PolicyOptions | None = None, **chosen: object) -> Any:
    """Return the problem that a policy states of a view."""
    solve = Recorder()
    registry.policy(name, told, chosen).allocate(view, solve, None)
    (problem,) = solve.problems
    return problem


# --- what the original computed


def recorded_view(case: dict[str, Any]) -> ClusterView:
    return view_of(
        case["throughputs"],
        [case["cluster_spec"][name] for name in case["worker_types"]],
        job_id=np.array([job[0] for job in case["jobs"]], dtype=np.int64),
        scale_factor=np.array(case["scale_factors"], dtype=np.float64),
        steps_remaining=np.array(case["num_steps_remaining"], dtype=np.float64),
        since_arrival_s=np.array(case["times_since_start"], dtype=np.float64),
    )


def inputs(policy: str) -> list[tuple[dict[str, Any], float]]:
    """Return each recorded input of a policy, with the optimum."""
    optima = {(entry["case"], entry["index"]): entry["optimum"] for entry in read(GAVEL / "objectives.json")}
    cases = []
    for name in names(GAVEL / "alloc", f"*--{policy}"):
        contents = read(GAVEL / "alloc" / f"{name}.json")
        cases += [(case, optima[contents["case"], case["index"]]) for case in contents["cases"]]
    return cases


@pytest.mark.oracle
@pytest.mark.parametrize("name", BOTH_FAIR)
def test_finish_time_fairness_reaches_the_optimum_of_every_recorded_input(name: str) -> None:
    cases = inputs(name)
    assert len(cases) == 12
    for case, optimum in cases:
        view = recorded_view(case)
        so_far = np.array(case["cumulative_isolated_time"], dtype=np.float64)
        memory = IsolatedTime(view.job_id, so_far, view.steps_remaining, np.ones(so_far.size))
        solve = Recorder()
        registry.policy(name, RETRACED).allocate(view, solve, memory)
        assert solve.solutions[0].objective == pytest.approx(optimum, rel=1e-6)


@pytest.mark.oracle
@pytest.mark.parametrize("name", BOTH_QUICK)
def test_the_total_duration_is_the_least_of_every_recorded_input(name: str) -> None:
    cases = inputs(name)
    assert len(cases) == 12
    for case, optimum in cases:
        solve = Recorder()
        registry.policy(name, RETRACED).allocate(recorded_view(case), solve, None)
        assert 1.0 / solve.solutions[0].objective == pytest.approx(optimum, rel=1e-6)
        theirs = solve.problems[0].objective(np.array(case["x"]))
        assert 1.0 / theirs >= optimum * (1 - 1e-6)  # they stop up to 5 % above
        assert 1.0 / theirs <= optimum * 1.05


# --- finish-time fairness


def test_a_new_job_has_been_nowhere_and_would_take_its_steps_at_its_isolated_speed() -> None:
    problem = stated(
        "finish_time_fairness_perf", view_of([[1, 2, 4], [1, 1, 1]], [2, 2, 2], since_arrival_s=[40.0, 0.0])
    )
    assert isinstance(problem, FinishTimeProblem)
    assert problem.isolated.tolist() == pytest.approx(
        [1000 / (7 / 3), 1000 / 1.0]
    )  # rows of isolated shares are scaled to 1
    assert problem.since_arrival.tolist() == [40.0, 0.0]
    assert problem.keys is not None
    assert problem.keys.tolist() == [0, 1]


def test_time_in_isolation_adds_up_at_the_speed_of_each_call() -> None:
    policy, solve = registry.policy("finish_time_fairness_perf"), Recorder()
    first = view_of([[2.0], [4.0]], [1.0])  # two jobs on one GPU: half of it each, so 1 and 2 steps/s
    memory = policy.allocate(first, solve, None).memory
    second = replace(first, steps_remaining=np.array([900.0, 600.0]))
    memory = policy.allocate(second, solve, memory).memory
    third = view_of([[4.0]], [1.0], job_id=np.array([1]), steps_remaining=[500.0])  # job 0 has left, 1 has all of it
    memory = policy.allocate(third, solve, memory).memory
    assert isinstance(memory, IsolatedTime)
    assert memory.job_id.tolist() == [1]
    assert memory.seconds.tolist() == [400 / 2 + 100 / 2]
    assert [problem.isolated.tolist() for problem in solve.problems] == [  # type: ignore[attr-defined]
        [1000 / 1, 1000 / 2],
        [100 / 1 + 900 / 1, 400 / 2 + 600 / 2],
        [250 + 500 / 4],
    ]


def test_the_memory_is_in_the_order_of_ids_whatever_the_order_of_rows() -> None:
    policy = registry.policy("finish_time_fairness_perf")
    view = view_of([[2.0], [4.0], [1.0]], [1.0], job_id=np.array([7, 2, 5]), steps_remaining=[10.0, 20.0, 30.0])
    memory = policy.allocate(view, Recorder(), None).memory
    assert isinstance(memory, IsolatedTime)
    assert memory.job_id.tolist() == [2, 5, 7]
    assert memory.steps.tolist() == [20.0, 30.0, 10.0]


def test_the_memory_of_another_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="memory of another policy: int"):
        registry.policy("finish_time_fairness").allocate(view_of([[1.0]], [1.0]), Recorder(), 3)


@pytest.mark.parametrize("name", [*BOTH_FAIR, *BOTH_QUICK])
def test_priorities_do_not_enter(name: str) -> None:
    view = view_of([[1, 2], [3, 1]], [1, 1])
    heavy = replace(view, priority_weight=np.array([1.0, 5.0]))
    fields = [vars(stated(name, each)) for each in (view, heavy)]
    for field in ("throughput", "gain", "isolated", "steps_remaining"):
        if field in fields[0]:
            assert np.array_equal(fields[0][field], fields[1][field])


# --- least total duration


def test_least_total_duration_is_max_min_over_what_is_left_to_do() -> None:
    problem = stated("min_total_duration_perf", view_of([[2, 4], [0, 5]], [1, 1], steps_remaining=[100.0, 50.0]))
    assert isinstance(problem, MaxMinProblem)
    assert problem.gain.tolist() == [[0.02, 0.04], [0.0, 0.1]]
    assert problem.allowed_mask.tolist() == [[True, True], [False, True]]


def test_all_are_done_at_the_same_time_where_gpus_are_what_is_short() -> None:
    solve = Recorder()
    view = view_of([[1.0], [1.0], [1.0]], [1.0], steps_remaining=[100.0, 300.0, 600.0])
    x = registry.policy("min_total_duration_perf").allocate(view, solve, None).x
    assert (view.steps_remaining / x[:, 0]).tolist() == pytest.approx([1000.0] * 3)


# --- what they go by that know no speeds


@pytest.mark.parametrize("name", AGNOSTIC)
def test_which_of_its_types_is_fast_does_not_matter_to_a_policy_that_knows_no_speeds(name: str) -> None:
    view = view_of([[1, 2, 6], [0, 8, 2], [3, 0, 0]], [2, 1, 1])
    turned = replace(view, throughput=np.array([[6.0, 1, 2], [0, 2, 8], [3, 0, 0]]))
    first, second = stated(name, view), stated(name, turned)
    for field in ("throughput", "isolated") if name.startswith("finish") else ("gain",):
        assert np.array_equal(getattr(first, field), getattr(second, field))


@pytest.mark.parametrize("name", AGNOSTIC)
def test_a_policy_that_knows_no_speeds_knows_where_a_job_can_run(name: str) -> None:
    problem = stated(name, view_of([[1, 2, 6], [0, 8, 2]], [2, 0, 1]))
    assert problem.allowed_mask.tolist() == [[True, False, True], [False, False, True]]
    rates = problem.throughput if name.startswith("finish") else problem.gain * 1000.0
    assert rates.tolist() == [[3.5, 0.0, 3.5], [0.0, 0.0, 2.0]]


@pytest.mark.parametrize("name", AGNOSTIC)
def test_under_the_originals_rules_all_types_are_as_fast_as_a_v100(name: str) -> None:
    problem = stated(name, view_of([[1, 2, 6], [0, 8, 2]], [2, 1, 1]), RETRACED)
    rates = problem.throughput if name.startswith("finish") else problem.gain * 1000.0
    assert rates.tolist() == [[6.0] * 3, [2.0] * 3]
    assert problem.allowed_mask.all()


@pytest.mark.parametrize("told", [RETRACED, PolicyOptions()])
@pytest.mark.parametrize("name", AGNOSTIC)
def test_the_reference_type_can_be_chosen(name: str, told: PolicyOptions) -> None:
    problem = stated(name, view_of([[1, 2, 6], [3, 8, 2]], [2, 1, 1]), told, reference_type="p100")
    rates = problem.throughput if name.startswith("finish") else problem.gain * 1000.0
    assert rates.tolist() == [[2.0] * 3, [8.0] * 3]


def test_a_job_that_cannot_run_on_the_reference_type_goes_by_its_mean() -> None:
    problem = stated("min_total_duration", view_of([[1, 0, 6], [3, 8, 2]], [2, 1, 1]), None, reference_type="p100")
    assert (problem.gain * 1000.0).tolist() == [[3.5, 0.0, 3.5], [8.0] * 3]


@pytest.mark.parametrize(
    ("told", "chosen", "message"),
    [
        (
            RETRACED,
            {},
            r"speed of v100 for that of all .* cluster has none; allowed: k80, p100, by --set policy\.options",
        ),
        (PolicyOptions(), {"reference_type": "a100"}, r"speed of a100 .* or none for mean speeds"),
    ],
)
@pytest.mark.parametrize("name", AGNOSTIC)
def test_a_cluster_without_the_reference_type_is_told_what_to_name(
    name: str, told: PolicyOptions, chosen: dict[str, object], message: str
) -> None:
    with pytest.raises(ScenarioError, match=message):
        registry.policy(name, told, chosen).allocate(view_of([[1, 2]], [1, 1]), Recorder(), None)


@pytest.mark.parametrize("name", [*BOTH_FAIR, *BOTH_QUICK])
def test_a_job_that_can_run_nowhere_has_no_row(name: str) -> None:
    solve = Recorder()
    x = registry.policy(name).allocate(view_of([[0, 0], [1, 1]], [1, 1]), solve, None).x
    assert x[0].tolist() == [0, 0]
    assert solve.problems[0].rows == 1


@pytest.mark.parametrize("name", [*BOTH_FAIR, *BOTH_QUICK])
def test_where_nobody_has_anything_left_nothing_is_solved(name: str) -> None:
    solve = Recorder()
    view = view_of([[0, 0], [1, 1]], [1, 1], steps_remaining=[10.0, 0.0])
    assert not registry.policy(name).allocate(view, solve, None).x.any()
    assert not solve.problems


@pytest.mark.parametrize("policy", AGNOSTIC)
def test_a_reference_type_that_the_cluster_lacks_is_refused_before_the_run(
    phasewise: Callable, tmp_path: Path, policy: str
) -> None:
    reference = ("--set", "policy.options.reference_type=t4")
    said = phasewise("run", "toy", "--policy", policy, *reference, "-q", "--out", tmp_path / "run")
    assert said.code == 2
    assert "the cluster has none; allowed: k80, p100, v100" in said.err
    assert not (tmp_path / "run").exists()
