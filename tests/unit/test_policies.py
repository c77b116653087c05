"""Each policy against cases worked out by hand, and against the original's allocations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from oracle import GAVEL, names, read

from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry
from phasewise.sched.api import Allocation, ClusterView, TypeOrder
from phasewise.sched.policy_options import MaxMinOptions, PolicyOptions
from phasewise.sched.statements import proportional_throughput
from phasewise.solvers.api import Solution
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Walk

K80, P100, V100 = 0, 1, 2


def view_of(
    throughput: Sequence[Sequence[float]],
    capacity: Sequence[float],
    *,
    ids: Sequence[int] | None = None,
    gpus: Sequence[float] | None = None,
    weights: Sequence[float] | None = None,
) -> ClusterView:
    jobs, types = len(throughput), len(capacity)
    return ClusterView(
        now_s=0.0,
        worker_types=("k80", "p100", "v100")[:types],
        capacity=np.array(capacity, dtype=np.float64),
        job_id=np.array(range(jobs) if ids is None else ids, dtype=np.int64),
        scale_factor=np.ones(jobs) if gpus is None else np.array(gpus, dtype=np.float64),
        priority_weight=np.ones(jobs) if weights is None else np.array(weights, dtype=np.float64),
        throughput=np.array(throughput, dtype=np.float64).reshape(jobs, types),
        steps_remaining=np.full(jobs, 1000.0),
        since_arrival_s=np.zeros(jobs),
    )


def recorded_view(case: dict[str, Any]) -> ClusterView:
    types = case["worker_types"]
    return view_of(
        case["throughputs"],
        [case["cluster_spec"][name] for name in types],
        ids=[job[0] for job in case["jobs"]],
        gpus=case["scale_factors"],
        weights=case["priority_weights"],
    )


def no_solve(problem: AllocationProblem) -> Solution:
    pytest.fail(f"a policy without a solver stated {problem}")


class Recorder:
    """Solves, and keeps what was asked and answered."""

    def __init__(self) -> None:
        self.solver = Walk.of("highs-direct", {}, PhaseTimer())
        self.problems: list[AllocationProblem] = []
        self.solutions: list[Solution] = []

    def __call__(self, problem: AllocationProblem) -> Solution:
        self.problems.append(problem)
        self.solutions.append(self.solver.solve(problem))
        return self.solutions[-1]


def oracle_inputs(policy: str) -> list[tuple[str, dict[str, Any]]]:
    cases = []
    for name in names(GAVEL / "alloc", f"*--{policy}"):
        contents = read(GAVEL / "alloc" / f"{name}.json")
        cases += [(contents["case"], case) for case in contents["cases"]]
    return cases


def allocate(name: str, view: ClusterView, memory: object = None, seed: int = 0) -> Allocation:
    return registry.policy(name, PolicyOptions(seed=seed)).allocate(view, no_solve, memory)


# --- isolated


def test_isolated_splits_every_type_evenly() -> None:
    x = allocate("isolated", view_of([[1, 2], [3, 4], [5, 6], [7, 8]], [1, 2])).x
    assert x.tolist() == [[0.25, 0.5]] * 4


def test_isolated_never_gives_a_job_more_than_all_its_time() -> None:
    x = allocate("isolated", view_of([[1, 2, 3]], [6, 6, 6])).x
    assert x.tolist() == [[6 / 18] * 3]


def test_isolated_gives_a_wide_job_less_time() -> None:
    x = allocate("isolated", view_of([[1.0], [1.0]], [4], gpus=[4, 8])).x
    assert x.tolist() == [[0.5], [0.25]]


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["isolated", "fifo_perf"])
def test_policies_without_a_solver_equal_the_original_bit_for_bit(name: str) -> None:
    inputs = oracle_inputs(name)
    assert len(inputs) == 28
    for _, case in inputs:
        assert case["x_jobs"] == case["jobs"]
        x = allocate(name, recorded_view(case)).x
        assert x.tolist() == case["x"]


@pytest.mark.oracle
def test_isolated_equals_the_original_on_the_synthetic_problems() -> None:
    for case in read(GAVEL / "alloc_synthetic.json"):
        case["jobs"] = [[job] for job in range(case["n"])]
        assert allocate("isolated", recorded_view(case)).x.tolist() == case["results"]["isolated"]["x"]


# --- fifo_perf


def test_fifo_perf_takes_the_fastest_type_with_room() -> None:
    x = allocate("fifo_perf", view_of([[1, 2, 3], [1, 2, 3], [1, 2, 3], [1, 2, 3]], [1, 1, 1])).x
    assert x.tolist() == [[0, 0, 1], [0, 1, 0], [1, 0, 0], [0, 0, 0]]


def test_fifo_perf_takes_the_alphabetically_first_of_equals() -> None:
    assert allocate("fifo_perf", view_of([[5, 5, 5]], [1, 1, 1])).x.tolist() == [[1, 0, 0]]


def test_fifo_perf_stops_at_the_first_job_that_fits_nowhere() -> None:
    x = allocate("fifo_perf", view_of([[1, 2], [1, 2], [1, 2]], [1, 1], gpus=[1, 2, 1])).x
    assert x.tolist() == [[0, 1], [0, 0], [0, 0]]


def test_fifo_perf_passes_over_a_job_that_would_stand_still() -> None:
    x = allocate("fifo_perf", view_of([[0, 9], [0, 9], [1, 9]], [1, 1])).x
    assert x.tolist() == [[0, 1], [0, 0], [1, 0]]


def test_fifo_perf_serves_by_id_whatever_the_row_order() -> None:
    x = allocate("fifo_perf", view_of([[1.0], [1.0]], [1], ids=[7, 3])).x
    assert x.tolist() == [[0], [1]]


# --- fifo


def test_fifo_keeps_a_served_job_where_it_is() -> None:
    rates = [[1, 1, 1]] * 9
    first = allocate("fifo", view_of(rates, [3, 3, 3]))
    assert np.array_equal(first.x.sum(axis=0), [3, 3, 3])
    again = allocate("fifo", view_of(rates, [3, 3, 3]), first.memory)
    assert np.array_equal(again.x, first.x)


def test_fifo_gives_the_slot_of_a_completed_job_to_the_head_of_the_queue() -> None:
    first = allocate("fifo", view_of([[1, 1, 1]] * 5, [1, 1, 1]))
    freed = int(first.x[1].argmax())
    second = allocate("fifo", view_of([[1, 1, 1]] * 4, [1, 1, 1], ids=[0, 2, 3, 4]), first.memory)
    assert second.x[2].argmax() == freed
    assert second.x[2].sum() == 1
    assert second.x[3].sum() == 0
    assert np.array_equal(second.x[:2], first.x[[0, 2]])


def test_fifo_lets_nobody_pass_a_head_of_the_queue_without_room() -> None:
    x = allocate("fifo", view_of([[1, 1], [1, 1], [1, 1]], [1, 1], gpus=[1, 2, 1])).x
    assert x.sum(axis=1).tolist() == [1, 0, 0]


def test_fifo_draws_only_types_where_the_job_makes_progress() -> None:
    for seed in range(20):
        assert allocate("fifo", view_of([[0, 3, 0]], [1, 1, 1]), seed=seed).x.tolist() == [[0, 1, 0]]


def test_fifo_never_overfills_a_type() -> None:
    x = allocate("fifo", view_of([[1, 1, 1]] * 20, [4, 2, 2])).x
    assert x.sum(axis=0).tolist() == [4, 2, 2]


def test_fifo_draws_every_type_for_some_seed_and_the_same_for_the_same_seed() -> None:
    view = view_of([[1, 1, 1]], [1, 1, 1])
    drawn = {seed: int(allocate("fifo", view, seed=seed).x.argmax()) for seed in range(40)}
    assert set(drawn.values()) == {K80, P100, V100}
    assert drawn == {seed: int(allocate("fifo", view, seed=seed).x.argmax()) for seed in range(40)}


def test_fifo_refuses_the_memory_of_another_policy() -> None:
    with pytest.raises(TypeError, match="memory of another policy: int"):
        allocate("fifo", view_of([[1.0]], [1]), memory=3)


# --- max-min fairness


def test_the_normaliser_is_the_throughput_of_an_equal_share() -> None:
    norm = proportional_throughput(np.array([[1.0, 2.0, 4.0]]), np.array([2.0, 1.0, 1.0]))
    assert norm.tolist() == [(2 + 2 + 4) / 4]


def test_max_min_fairness_perf_states_gains_normalised_by_share_weight_and_width() -> None:
    solve = Recorder()
    view = view_of([[1, 3], [2, 2]], [1, 1], gpus=[1, 2], weights=[1, 5])
    registry.policy("max_min_fairness_perf").allocate(view, solve, None)
    (problem,) = solve.problems
    assert problem.gain.tolist() == [[0.5, 1.5], [2 * 2 / (5 * 2), 2 * 2 / (5 * 2)]]
    assert problem.linear_weight == 0


def test_max_min_fairness_states_gains_that_know_no_speeds() -> None:
    solve = Recorder()
    view = view_of([[1, 3], [0, 2]], [1, 1], gpus=[1, 2], weights=[1, 5])
    registry.policy("max_min_fairness").allocate(view, solve, None)
    (problem,) = solve.problems
    assert problem.gain.tolist() == [[1, 1], [0.4, 0.4]]
    assert problem.allowed is not None
    assert problem.allowed.tolist() == [[True, True], [False, True]]


def test_two_jobs_with_opposite_tastes_each_get_their_type() -> None:
    view = view_of([[4, 1], [1, 4]], [1, 1])
    x = registry.policy("max_min_fairness_perf").allocate(view, Recorder(), None).x
    np.testing.assert_allclose(x, [[1, 0], [0, 1]], atol=1e-9)


@pytest.mark.parametrize("name", ["max_min_fairness", "max_min_fairness_perf"])
def test_the_canonical_option_adds_the_small_linear_term(name: str) -> None:
    solve = Recorder()
    registry.policy(name, MaxMinOptions(canonical=True)).allocate(view_of([[1, 3]], [1, 1]), solve, None)
    assert solve.problems[0].linear_weight == 1e-3


@pytest.mark.parametrize("name", ["max_min_fairness", "max_min_fairness_perf"])
def test_a_job_that_can_run_nowhere_does_not_take_everybody_down(name: str) -> None:
    solve = Recorder()
    # Job 1 runs on no type, job 2 only on a type without GPUs.
    view = view_of([[1, 3], [0, 0], [0, 5]], [1, 0])
    x = registry.policy(name).allocate(view, solve, None).x
    np.testing.assert_allclose(x, [[1, 0], [0, 0], [0, 0]], atol=1e-9)


@pytest.mark.parametrize("name", ["max_min_fairness", "max_min_fairness_perf"])
def test_where_no_job_can_run_nothing_is_solved(name: str) -> None:
    x = registry.policy(name).allocate(view_of([[0, 0]], [1, 1]), no_solve, None).x
    assert x.tolist() == [[0, 0]]


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["max_min_fairness", "max_min_fairness_perf"])
def test_max_min_objectives_equal_the_true_optimum_of_every_recorded_input(name: str) -> None:
    optima = {(entry["case"], entry["index"]): entry["optimum"] for entry in read(GAVEL / "objectives.json")}
    inputs = oracle_inputs(name)
    assert len(inputs) == 28
    solve = Recorder()
    for case_name, case in inputs:
        view = recorded_view(case)
        x = registry.policy(name).allocate(view, solve, None).x
        # Fixing x at 0 where the throughput is 0 costs the optimum nothing in any of these inputs.
        assert solve.solutions[-1].objective == pytest.approx(optima[case_name, case["index"]], rel=1e-9)
        assert not x[view.throughput == 0].any()


def test_fifo_policies_alone_need_positive_priorities() -> None:
    told = PolicyOptions(worker_types=("v100",), gpu_hour_prices=(1.0,))
    others = set(registry.policy_names()) - {"recorded"}
    needing = {name for name in others if registry.policy(name, told).needs_positive_priority}
    assert {"fifo", "fifo_perf"} <= needing
    assert not needing & {"isolated", "max_min_fairness", "max_min_fairness_perf"}


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("fifo", TypeOrder.SHUFFLED),
        ("isolated", TypeOrder.SHUFFLED),
        ("max_min_fairness", TypeOrder.SHUFFLED),
        ("fifo_perf", TypeOrder.FIXED),
        ("max_min_fairness_perf", TypeOrder.FIXED),
    ],
)
def test_policies_that_know_speeds_fill_the_fastest_type_first(name: str, order: TypeOrder) -> None:
    assert registry.policy(name).type_order is order
