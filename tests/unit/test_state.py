"""The table of active jobs: rows come and go, the order stays, and a policy can change nothing."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.scenario.config import Cluster
from phasewise.sched.workload.arrivals import Arrival

LAYOUT = ClusterLayout.build(Cluster(gpus={"k80": 2, "v100": 4}))
VECTORS = (
    "scale_factor",
    "priority_weight",
    "total_steps",
    "steps_done",
    "arrival_s",
    "failures",
    "rounds_run",
    "moves",
)
TABLES = ("throughput", "x", "job_time_s", "deficit_s")


def arrival(job: int) -> Arrival:
    """Return a job whose every figure tells its id."""
    return Arrival(job, "plain", job % 5, float(1 + job % 4), 1.0 + job, 1000.0 + job, 10.0 * job)


def admitted(*jobs: int) -> JobTable:
    table = JobTable(LAYOUT)
    table.admit(
        [arrival(job) for job in jobs],
        np.array([[job, 2.0 * job] for job in jobs], float).reshape(-1, 2),
        180.0,
        list(range(len(jobs))),
    )
    return table


def test_a_new_job_starts_with_its_prior_and_nothing_else() -> None:
    table = admitted(3, 4)
    assert len(table) == 2
    assert table.job_id.tolist() == [3, 4]
    assert table.type_index.tolist() == [3, 4]
    assert table.throughput.tolist() == [[3.0, 6.0], [4.0, 8.0]]
    assert (table.job_time_s == 180.0).all()
    assert (table.worker_type == -1).all()
    for name in ("x", "deficit_s", "steps_done", "failures", "rounds_run", "moves", "has_allocation"):
        assert not getattr(table, name).any(), name


def test_a_row_that_is_used_again_keeps_nothing_of_the_job_before() -> None:
    table = admitted(1, 2)
    for name in ("x", "deficit_s", "steps_done", "failures", "rounds_run", "moves", "has_allocation", "worker_type"):
        getattr(table, name)[:] = 7
    table.remove(np.array([0, 1]))
    table.admit([arrival(9)], np.ones((1, 2)), 180.0, [0])
    assert table.worker_type.tolist() == [-1]
    for name in ("x", "deficit_s", "steps_done", "failures", "rounds_run", "moves", "has_allocation"):
        assert not getattr(table, name).any(), name


def test_removing_says_where_every_row_went() -> None:
    table = admitted(*range(6))
    assert table.remove(np.array([4, 1])).tolist() == [0, -1, 1, 2, -1, 3]
    assert table.job_id.tolist() == [0, 2, 3, 5]
    assert table.remove(np.empty(0, np.int64)).tolist() == [0, 1, 2, 3]
    assert table.remove(np.arange(4)).tolist() == [-1] * 4
    assert len(table) == 0


def test_a_policy_sees_copies_that_it_cannot_write() -> None:
    table = admitted(1, 2)
    table.steps_done[:] = 100.0
    view = table.view(50.0)
    assert view.steps_remaining.tolist() == [901.0, 902.0]
    assert view.since_arrival_s.tolist() == [40.0, 30.0]
    assert view.capacity.tolist() == [2.0, 4.0]
    assert view.worker_types == ("k80", "v100")
    for name in ("capacity", "job_id", "scale_factor", "priority_weight", "throughput", "steps_remaining"):
        with pytest.raises(ValueError, match="read-only"):
            getattr(view, name)[...] = 0
    table.scale_factor[:] = 9.0
    table.throughput[:] = 9.0
    assert view.scale_factor.tolist() == [2.0, 3.0]
    assert view.throughput[0].tolist() == [1.0, 2.0]


@given(st.integers(0, 300), st.integers(0, 2**32 - 1))
def test_the_table_grows_and_loses_nothing(count: int, seed: int) -> None:
    table = admitted(*range(count))
    gone = np.flatnonzero(np.random.default_rng(seed).random(count) < 0.5)
    table.admit([arrival(count)], np.ones((1, 2)), 180.0, [0])
    table.remove(gone)
    assert table.job_id.tolist() == [job for job in range(count + 1) if job not in set(gone.tolist())]


class JobTableMachine(RuleBasedStateMachine):
    """Admit, write and remove at random, beside a dict of dicts that does the same."""

    def __init__(self) -> None:
        super().__init__()
        self.table = JobTable(LAYOUT)
        self.model: dict[int, dict[str, object]] = {}
        self.next = 0

    @rule(count=st.integers(0, 40))
    def admit(self, count: int) -> None:
        jobs = [arrival(self.next + index) for index in range(count)]
        self.next += count
        self.table.admit(jobs, np.array([[job.job_id, 1.0] for job in jobs], float).reshape(-1, 2), 180.0, [0] * count)
        for job in jobs:
            self.model[job.job_id] = {
                **{name: getattr(job, name, 0.0) for name in VECTORS},
                "throughput": [job.job_id, 1.0],
                "x": [0.0, 0.0],
                "job_time_s": [180.0, 180.0],
                "deficit_s": [0.0, 0.0],
            }

    @rule(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(["steps_done", "failures", "rounds_run", "moves"]))
    def write(self, seed: int, name: str) -> None:
        values = np.random.default_rng(seed).integers(0, 99, len(self.table))
        getattr(self.table, name)[:] = values
        for job, value in zip(self.model.values(), values.tolist(), strict=True):
            job[name] = value

    @rule(seed=st.integers(0, 2**32 - 1), name=st.sampled_from(["x", "job_time_s", "deficit_s"]))
    def write_by_type(self, seed: int, name: str) -> None:
        values = np.random.default_rng(seed).integers(0, 99, (len(self.table), 2))
        getattr(self.table, name)[:] = values
        for job, row in zip(self.model.values(), values.tolist(), strict=True):
            job[name] = row

    @rule(seed=st.integers(0, 2**32 - 1), share=st.sampled_from([0.0, 0.1, 0.9, 1.0]))
    def remove(self, seed: int, share: float) -> None:
        gone = np.flatnonzero(np.random.default_rng(seed).random(len(self.table)) < share)
        before = self.table.job_id.tolist()
        new_row = self.table.remove(gone).tolist()
        for job in [before[row] for row in gone.tolist()]:
            del self.model[job]
        rows = {job: row for row, job in enumerate(self.model)}
        assert new_row == [rows.get(job, -1) for job in before]

    @invariant()
    def the_table_equals_the_dicts(self) -> None:
        assert self.table.job_id.tolist() == list(self.model)
        for name in (*VECTORS, *TABLES):
            assert getattr(self.table, name).tolist() == [job[name] for job in self.model.values()], name


JobTableMachine.TestCase.settings = settings(max_examples=15, stateful_step_count=20)
TestTheTableAgainstDicts = JobTableMachine.TestCase
