"""JobTable: the one place where the state of the active jobs lives, a struct of arrays the engine alone writes."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import ClusterView
from phasewise.sched.cluster import ClusterLayout
from phasewise.sched.workload.arrivals import Arrival

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_SCALARS = {
    "job_id": np.int64,
    "type_index": np.int64,
    "scale_factor": np.float64,
    "priority_weight": np.float64,
    "total_steps": np.float64,
    "steps_done": np.float64,
    "arrival_s": np.float64,
    "has_allocation": np.bool_,
    "failures": np.int64,
    "rounds_run": np.int64,
    "moves": np.int64,
    "worker_type": np.int64,
}
_PER_TYPE = ("throughput", "x", "job_time_s", "deficit_s")
_FIRST_CAPACITY = 64


class JobTable:
    """The active jobs, in order of arrival. J rows, W worker types.

    Attributes
    ----------
    job_id, type_index
        (J,) int64: the job, and its row in the list of job types.
    scale_factor, priority_weight, total_steps, steps_done, arrival_s
        (J,) float64: GPUs, weight, steps, steps, seconds.
    has_allocation
        (J,) bool: the policy ran since the job arrived.
    failures, rounds_run, moves
        (J,) int64: failed micro-tasks in a row, rounds run, changes of GPUs between consecutive rounds.
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
    """

    job_id: Ints
    type_index: Ints
    scale_factor: Floats
    priority_weight: Floats
    total_steps: Floats
    steps_done: Floats
    arrival_s: Floats
    has_allocation: Bools
    failures: Ints
    rounds_run: Ints
    moves: Ints
    worker_type: Ints
    throughput: Floats
    x: Floats
    job_time_s: Floats
    deficit_s: Floats

    def __init__(self, layout: ClusterLayout) -> None:
        self._layout = layout
        width = len(layout.worker_types)
        self._columns: dict[str, npt.NDArray[np.generic]] = {
            name: np.zeros(_FIRST_CAPACITY, dtype) for name, dtype in _SCALARS.items()
        }
        self._columns |= {name: np.zeros((_FIRST_CAPACITY, width)) for name in _PER_TYPE}
        self._resize(0)

    def __len__(self) -> int:
        return self._count

    def _resize(self, count: int) -> None:
        """Make every attribute a view of its column's first ``count`` rows."""
        self._count = count
        for name, column in self._columns.items():
            setattr(self, name, column[:count])

    def _reserve(self, count: int) -> None:
        capacity = len(self._columns["job_id"])
        if count <= capacity:
            return
        while capacity < count:
            capacity *= 2
        for name, column in self._columns.items():
            grown = np.zeros((capacity, *column.shape[1:]), column.dtype)
            grown[: self._count] = column[: self._count]
            self._columns[name] = grown

    def admit(self, arrivals: Iterable[tuple[Arrival, Floats]], prior_s: float) -> None:
        """Append jobs, each with its (W,) throughput, credited with ``prior_s`` seconds on every type."""
        for arrival, throughput in arrivals:
            row = self._count
            self._reserve(row + 1)
            self._resize(row + 1)
            self.job_id[row] = arrival.job_id
            self.type_index[row] = arrival.type_index
            self.scale_factor[row] = arrival.scale_factor
            self.priority_weight[row] = arrival.priority_weight
            self.total_steps[row] = arrival.total_steps
            self.arrival_s[row] = arrival.arrival_s
            self.throughput[row] = throughput
            self.steps_done[row] = 0.0
            self.has_allocation[row] = False
            self.failures[row] = self.rounds_run[row] = self.moves[row] = 0
            self.worker_type[row] = -1
            self.x[row] = self.deficit_s[row] = 0.0
            self.job_time_s[row] = prior_s

    def remove(self, gone: Ints) -> Ints:
        """Drop rows, keep the order of the others; return (J_old,) the new row of each old one, -1 where dropped."""
        keep = np.ones(self._count, dtype=np.bool_)
        keep[gone] = False
        kept = np.flatnonzero(keep)
        new_row = np.full(self._count, -1, dtype=np.int64)
        new_row[kept] = np.arange(len(kept))
        first = int(gone.min(initial=self._count))  # rows before the first hole stay where they are
        moved = kept[first:]
        for column in self._columns.values():
            column[first : len(kept)] = column[moved]
        self._resize(len(kept))
        return new_row

    def view(self, now_s: float) -> ClusterView:
        """Return what a policy may see, every array read-only and a copy where the engine writes it in place."""
        return ClusterView(
            now_s=now_s,
            worker_types=self._layout.worker_types,
            capacity=_frozen(self._layout.capacity.copy()),
            job_id=_frozen(self.job_id.copy()),
            scale_factor=_frozen(self.scale_factor.copy()),
            priority_weight=_frozen(self.priority_weight.copy()),
            throughput=_frozen(self.throughput.copy()),
            steps_remaining=_frozen(self.total_steps - self.steps_done),
            since_arrival_s=_frozen(now_s - self.arrival_s),
        )


def _frozen(array: npt.NDArray[np.generic]) -> npt.NDArray[np.generic]:
    array.flags.writeable = False
    return array
