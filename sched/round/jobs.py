"""JobTable: the one place where the state of the active jobs lives, a struct of arrays the engine alone writes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any, Final, TypeVar

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import Bools, ClusterView, Leaf
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.round import columns, round_kernels
from phasewise.sched.round.columns import FLOATS, INTS, PER_TYPE
from phasewise.sched.workload.arrivals import Arrival

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_VECTORS: Final = (*FLOATS, *INTS)
_FIRST_CAPACITY: Final = 64
_KEPT_VIEWS: Final = 64
"""Numbers of jobs whose views are kept: 5 KB each."""


class JobTable:
    """The active jobs, in order of arrival. J rows, W worker types.

    Attributes
    ----------
    job_id, type_index
        (J,) int64: the job, and its row in the list of job types.
    scale_factor, priority_weight, total_steps, steps_done, arrival_s
        (J,) float64: GPUs, weight, steps, steps, seconds.
    migration_due_s
        (J,) float64: seconds of its last start that a job has still to pay; 0 unless moving costs.
    demand_milli
        (J,) float64: thousandths of a GPU in all, a whole number.
    pooled_throughput
        (J,) float64: steps/s x GPUs, the throughputs weighted by how many GPUs of each type there are.
    isolated_s, steps_settled
        (J,) float64: the account of `phasewise.sched.round.isolation`, seconds, and the steps that are booked in it.
    first_start_s
        (J,) float64: when the job first ran, simulated seconds; NaN before.
    run_s, gpu_s
        (J,) float64: seconds in which its micro-tasks ran, and GPU-seconds that it held, to the end of its rounds.
    slo_s
        (J,) float64: the duration that a job is promised, seconds; NaN without a promise.
    cost
        (J,) float64: what the GPU time costs that it held; 0 where no prices are given.
    gpus, gpu_milli, cpu_milli, memory_mib
        (J,) int64: number of GPUs, thousandths of each, thousandths of a core, MiB.
    request
        (J,) int64: index of what the job needs among the distinct requests of the run.
    has_allocation
        (J,) int64: 1 where the policy ran since the job arrived, else 0.
    failures, rounds_run, moves, restarts
        (J,) int64: failed micro-tasks in a row, rounds run, changes of GPUs between consecutive rounds, and rounds run
        after one in which the job waited.
    worker_type
        (J,) int64: type the job runs on in this round, -1 where it waits.
    throughput
        (J, W) steps/s.
    x
        (J, W) allocation in force.
    job_time_s
        (J, W) service received since the account opened, seconds, the prior included.
    deficit_s
        (J, W) service owed from closed accounts, seconds.
    visited
        (J, W) 1.0 where the job ran on the worker type before, else 0.0; kept up only where moving costs.
    floats, ints, per_type
        The blocks that hold the columns, for compiled code; see `phasewise.sched.round.columns`.
    """

    job_id: Ints
    type_index: Ints
    scale_factor: Floats
    priority_weight: Floats
    total_steps: Floats
    steps_done: Floats
    arrival_s: Floats
    migration_due_s: Floats
    demand_milli: Floats
    pooled_throughput: Floats
    isolated_s: Floats
    steps_settled: Floats
    first_start_s: Floats
    run_s: Floats
    gpu_s: Floats
    slo_s: Floats
    cost: Floats
    gpus: Ints
    gpu_milli: Ints
    cpu_milli: Ints
    memory_mib: Ints
    request: Ints
    has_allocation: Ints
    failures: Ints
    rounds_run: Ints
    moves: Ints
    restarts: Ints
    worker_type: Ints
    throughput: Floats
    x: Floats
    job_time_s: Floats
    deficit_s: Floats
    visited: Floats

    def __init__(self, layout: ClusterLayout) -> None:
        self._layout = layout
        width = len(layout.worker_types)
        self.floats = np.zeros((len(FLOATS), _FIRST_CAPACITY))
        self.ints = np.zeros((len(INTS), _FIRST_CAPACITY), np.int64)
        self.per_type = np.zeros((len(PER_TYPE), _FIRST_CAPACITY, width))
        self._views: dict[int, dict[str, Floats | Ints]] = {}
        self._resize(0)

    def __len__(self) -> int:
        return self._count

    def _resize(self, count: int) -> None:
        """Make every attribute a view of its column's first ``count`` rows."""
        self._count = count
        views = self._views.get(count)
        if views is None:
            views = self._views[count] = self._viewed(count)
        attributes = self.__dict__  # a third of the time of one setattr a column
        attributes.pop("placeable", None)
        attributes.update(views)

    def _viewed(self, count: int) -> dict[str, Floats | Ints]:
        """Return a view of each column's first ``count`` rows by name; some are kept, as the number of jobs wanders."""
        if len(self._views) == _KEPT_VIEWS:
            self._views.clear()
        return {
            **dict(zip(FLOATS, self.floats[:, :count], strict=True)),
            **dict(zip(INTS, self.ints[:, :count], strict=True)),
            **dict(zip(PER_TYPE, self.per_type[:, :count], strict=True)),
        }

    def _reserve(self, count: int) -> None:
        capacity = self.floats.shape[1]
        if count <= capacity:
            return
        while capacity < count:
            capacity *= 2
        self.floats, self.ints = _grown(self.floats, capacity), _grown(self.ints, capacity)
        self.per_type = _grown(self.per_type, capacity)
        self._views.clear()

    def admit(self, arrivals: Sequence[Arrival], throughput: Floats, prior_s: float, requests: Sequence[int]) -> None:
        """Append jobs with their (K, W) throughputs, each credited with ``prior_s`` seconds on every type.

        ``requests`` (K,) are the indices of what they need.
        """
        first, count = self._count, self._count + len(arrivals)
        self._reserve(count)
        self._resize(count)
        floats, ints, added = self.floats, self.ints, slice(first, count)
        for block in (floats, ints, self.per_type):
            block[:, added] = 0
        for row, (job, request) in enumerate(zip(arrivals, requests, strict=True), start=first):
            needs = job.needs
            ints[columns.GPUS, row], ints[columns.GPU_MILLI, row] = needs.gpus, needs.gpu_milli
            ints[columns.CPU_MILLI, row], ints[columns.MEMORY_MIB, row] = needs.cpu_milli, needs.memory_mib
            floats[columns.DEMAND_MILLI, row], ints[columns.REQUEST, row] = needs.demand_milli, request
            ints[columns.JOB_ID, row] = job.job_id
            ints[columns.TYPE_INDEX, row] = job.type_index
            floats[columns.SCALE_FACTOR, row] = job.scale_factor
            floats[columns.PRIORITY_WEIGHT, row] = job.priority_weight
            floats[columns.TOTAL_STEPS, row] = job.total_steps
            floats[columns.ARRIVAL_S, row] = job.arrival_s
            floats[columns.SLO_S, row] = np.nan if job.slo_s is None else job.slo_s
        self.per_type[columns.THROUGHPUT, added] = throughput
        self.per_type[columns.JOB_TIME_S, added] = prior_s
        floats[columns.POOLED_THROUGHPUT, added] = throughput @ self._layout.capacity
        floats[columns.FIRST_START_S, added] = np.nan
        ints[columns.WORKER_TYPE, added] = -1

    def remove(self, gone: Ints) -> Ints:
        """Drop rows, keep the order of the others; return (J_old,) the new row of each old one, -1 where dropped."""
        new_row: Ints = round_kernels.drop_rows(gone, self._count, self.floats, self.ints, self.per_type)
        self._resize(self._count - len(gone))
        return new_row

    def allocated(self) -> None:
        """Note that the policy ran: all jobs have an allocation now."""
        self.has_allocation[:] = 1
        self.__dict__.pop("placeable", None)

    @cached_property
    def placeable(self) -> Bools:
        """(J,) whether the policy ran since each job arrived; whoever writes ``has_allocation`` says so."""
        placeable: Bools = self.has_allocation > 0
        return placeable

    def row(self, row: int) -> dict[str, Any]:
        """Return all of a row but what it has by worker type: Python's numbers by name."""
        values = (*self.floats[:, row].tolist(), *self.ints[:, row].tolist())
        return dict(zip(_VECTORS, values, strict=True))  # for few rows quicker than a column after the other

    def written(self) -> dict[str, Leaf]:
        """Return a copy of every column by name."""
        return {name: getattr(self, name).copy() for name in (*FLOATS, *INTS, *PER_TYPE)}

    def restore(self, leaves: Mapping[str, Leaf]) -> None:
        """Become the table that was written down."""
        count = len(np.asarray(leaves["job_id"]))
        self._reserve(count)
        self._resize(count)
        for name, column in leaves.items():
            getattr(self, name)[...] = column

    def view(self, now_s: float, migration_s: Floats | None = None) -> ClusterView:
        """Return what a policy may see, every array read-only and a copy where the engine writes it in place.

        ``migration_s`` (J, W) is what starting each job on each type would cost, seconds; None where moving is free.
        """
        count = self._count
        floats = _frozen(self.floats[:, :count].copy())  # rows of it are read-only, too, and nobody else writes them
        return ClusterView(
            now_s=now_s,
            worker_types=self._layout.worker_types,
            capacity=_frozen(self._layout.capacity.copy()),
            job_id=_frozen(self.job_id.copy()),
            scale_factor=floats[columns.SCALE_FACTOR],
            priority_weight=floats[columns.PRIORITY_WEIGHT],
            throughput=_frozen(self.throughput.copy()),
            steps_remaining=_frozen(floats[columns.TOTAL_STEPS] - floats[columns.STEPS_DONE]),
            since_arrival_s=_frozen(now_s - floats[columns.ARRIVAL_S]),
            slo_s=floats[columns.SLO_S],
            previous=None if migration_s is None else _frozen(self.x.copy()),
            migration_s=None if migration_s is None else _frozen(migration_s),
        )


Block = TypeVar("Block", Floats, Ints)


def _grown(block: Block, capacity: int) -> Block:
    """Return a copy of a block with room for ``capacity`` rows."""
    grown = np.zeros((block.shape[0], capacity, *block.shape[2:]), block.dtype)
    grown[:, : block.shape[1]] = block
    return grown


def _frozen(array: Block) -> Block:
    array.flags.writeable = False
    return array
