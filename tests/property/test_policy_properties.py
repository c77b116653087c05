"""What holds of every policy's allocation, whatever the jobs and the cluster."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry
from phasewise.sched.api import Allocation, ClusterView
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.sticky import Served
from phasewise.solvers.api import Solution
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Walk

SLACK = 1e-9
STEPS_PER_S = (0.0, 0.25, 1.0, 3.0, 7.5, 180.0)
CLOSED_FORM = ("fifo", "fifo_perf", "isolated")
SOLVED = ("max_min_fairness", "max_min_fairness_perf")
SOLVER = Walk.of("highs-direct", {}, PhaseTimer())


@st.composite
def views(draw: st.DrawFn, max_jobs: int = 12) -> ClusterView:
    jobs, types = draw(st.integers(0, max_jobs)), draw(st.integers(1, 4))
    capacity = draw(st.lists(st.integers(0, 9), min_size=types, max_size=types).filter(any))
    row = st.lists(st.sampled_from(STEPS_PER_S), min_size=types, max_size=types)
    throughput = draw(st.lists(row, min_size=jobs, max_size=jobs))
    ids = draw(st.lists(st.integers(0, 10_000), min_size=jobs, max_size=jobs, unique=True))
    gpus = draw(st.lists(st.sampled_from([1.0, 2.0, 4.0, 8.0]), min_size=jobs, max_size=jobs))
    weights = draw(st.lists(st.sampled_from([1.0, 5.0]), min_size=jobs, max_size=jobs))
    return ClusterView(
        now_s=0.0,
        worker_types=tuple("abcd"[:types]),
        capacity=np.array(capacity, dtype=np.float64),
        job_id=np.array(sorted(ids), dtype=np.int64),
        scale_factor=np.array(gpus),
        priority_weight=np.array(weights),
        throughput=np.array(throughput).reshape(jobs, types),
        steps_remaining=np.full(jobs, 100.0),
        since_arrival_s=np.zeros(jobs),
    )


def rows_of(view: ClusterView, rows: np.ndarray) -> ClusterView:
    return ClusterView(
        view.now_s,
        view.worker_types,
        view.capacity,
        view.job_id[rows],
        view.scale_factor[rows],
        view.priority_weight[rows],
        view.throughput[rows],
        view.steps_remaining[rows],
        view.since_arrival_s[rows],
    )


def no_solve(problem: AllocationProblem) -> Solution:
    pytest.fail(f"a policy without a solver stated {problem}")


def allocate(name: str, view: ClusterView, memory: object = None, seed: int = 0) -> Allocation:
    solve = no_solve if name in CLOSED_FORM else SOLVER.solve
    return registry.policy(name, PolicyOptions(seed=seed)).allocate(view, solve, memory)


def least_gain(view: ClusterView, x: np.ndarray, *, knows_speeds: bool) -> float:
    """Return the least weighted gain of the jobs that can run, by the definition, job by job."""
    gains = []
    for row in range(view.job_id.size):
        rates = view.throughput[row] if knows_speeds else np.ones(view.capacity.size)
        if ((view.throughput[row] > 0) & (view.capacity > 0)).any():
            norm = sum(rates * view.capacity) / sum(view.capacity)
            gains.append(sum(rates * x[row]) * view.scale_factor[row] / view.priority_weight[row] / norm)
    return min(gains, default=0.0)


@pytest.mark.parametrize("name", CLOSED_FORM + SOLVED)
@given(view=views())
def test_an_allocation_is_feasible(name: str, view: ClusterView) -> None:
    x = allocate(name, view).x
    assert x.shape == view.throughput.shape
    assert (x >= 0).all()
    assert (x.sum(axis=1) <= 1 + SLACK).all()
    assert (view.scale_factor @ x <= view.capacity + SLACK * np.maximum(1, view.capacity)).all()


@pytest.mark.parametrize("name", ["fifo", "fifo_perf", *SOLVED])
@given(view=views())
def test_no_time_is_spent_where_a_job_stands_still(name: str, view: ClusterView) -> None:
    assert not allocate(name, view).x[view.throughput == 0].any()


@pytest.mark.parametrize("name", CLOSED_FORM)
@given(view=views(), order=st.randoms(use_true_random=False))
def test_the_order_of_rows_does_not_matter(name: str, view: ClusterView, order: np.random.Generator) -> None:
    rows = np.arange(view.job_id.size)
    order.shuffle(rows)
    assert np.array_equal(allocate(name, rows_of(view, rows)).x, allocate(name, view).x[rows])


@pytest.mark.parametrize("name", SOLVED)
@given(view=views(8))
def test_the_least_gain_is_no_worse_than_that_of_an_even_split_where_all_can_run(name: str, view: ClusterView) -> None:
    knows_speeds = name.endswith("_perf")
    even = np.where(view.throughput > 0, allocate("isolated", view).x, 0.0)
    best = least_gain(view, allocate(name, view).x, knows_speeds=knows_speeds)
    assert best >= least_gain(view, even, knows_speeds=knows_speeds) * (1 - 1e-6)


@pytest.mark.parametrize("name", SOLVED)
@given(view=views(8), factor=st.sampled_from([0.125, 2.0, 64.0]))
def test_a_jobs_unit_of_work_does_not_matter(name: str, view: ClusterView, factor: float) -> None:
    scaled = rows_of(view, np.arange(view.job_id.size))
    throughput = view.throughput.copy()
    throughput[:1] *= factor
    object.__setattr__(scaled, "throughput", throughput)
    knows_speeds = name.endswith("_perf")
    assert least_gain(scaled, allocate(name, scaled).x, knows_speeds=knows_speeds) == pytest.approx(
        least_gain(view, allocate(name, view).x, knows_speeds=knows_speeds), rel=1e-6, abs=1e-9
    )


@given(view=views(), seed=st.integers(0, 2**40))
def test_fifo_serves_whole_jobs_from_the_head_of_the_queue(view: ClusterView, seed: int) -> None:
    served = allocate("fifo", view, seed=seed).x.sum(axis=1)
    assert set(served.tolist()) <= {0.0, 1.0}
    assert (np.diff(served) <= 0).all()  # ids ascend: whoever waits has nobody served behind


@given(view=views())
def test_fifo_perf_serves_only_types_no_slower_than_those_left_free(view: ClusterView) -> None:
    x = allocate("fifo_perf", view).x
    left = view.capacity - view.scale_factor @ x
    for row in np.flatnonzero(x.any(axis=1)):
        mine = x[row].argmax()
        roomy = left >= view.scale_factor[row]
        assert (view.throughput[row][roomy] <= view.throughput[row][mine]).all()


@given(view=views(20), gone=st.lists(st.integers(0, 19), max_size=30), seed=st.integers(0, 9))
def test_fifo_stays_sticky_and_feasible_while_jobs_complete(view: ClusterView, gone: list[int], seed: int) -> None:
    rows = np.arange(view.job_id.size)
    memory: object = None
    places: dict[int, int] = {}
    for leaving in [-1, *gone]:
        rows = rows[rows != leaving]
        now = rows_of(view, rows)
        answer = allocate("fifo", now, memory, seed)
        assert (now.scale_factor @ answer.x <= now.capacity).all()
        served = {int(now.job_id[row]): int(answer.x[row].argmax()) for row in np.flatnonzero(answer.x.any(axis=1))}
        kept = {job: place for job, place in places.items() if job in now.job_id}
        assert kept.items() <= served.items()
        waiting = sorted(set(now.job_id.tolist()) - served.keys())
        # Nobody starts ahead of an older job that waits.
        assert all(job < waiting[0] for job in served.keys() - kept.keys() if waiting)
        assert isinstance(answer.memory, Served)
        assert answer.memory.job_id.tolist() == sorted(served)
        memory, places = answer.memory, served
