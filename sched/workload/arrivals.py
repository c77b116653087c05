"""What every source of jobs gives: arrivals in order, and their throughputs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from phasewise.sched.workload.throughputs import ThroughputView


@dataclass(frozen=True, slots=True)
class Arrival:
    """One job, as it comes in.

    Attributes
    ----------
    job_id
        Consecutive from 0 in order of arrival.
    job_type
        Name in the throughput table, for example ``"ResNet-18 (batch size 16)"``.
    type_index
        Row of `ThroughputView.rows` that holds this job's throughputs.
    scale_factor
        GPUs the job needs at once.
    priority_weight
        Weight w_i, 1 is normal.
    total_steps
        Mini-batches to do; a float, as the generator draws a duration.
    arrival_s
        Seconds since the start of the simulation.
    """

    job_id: int
    job_type: str
    type_index: int
    scale_factor: float
    priority_weight: float
    total_steps: float
    arrival_s: float


class Workload(Protocol):
    """A stream of arrivals, consumed once and in order.

    Attributes
    ----------
    throughputs
        The table in the cluster's order of worker types.
    total
        Number of jobs that come in all, or None where generation never stops.
    """

    @property
    def throughputs(self) -> ThroughputView:
        """Return the table in the cluster's order of worker types."""
        ...

    @property
    def total(self) -> int | None:
        """Return the number of jobs that come in all, or None where generation never stops."""
        ...

    def next_arrival_s(self) -> float | None:
        """Return when the next job comes, seconds, or None where no more come."""
        ...

    def until(self, now_s: float) -> list[Arrival]:
        """Return, once, all jobs not yet returned that arrive at or before ``now_s``, by id."""
        ...


class ListedWorkload:
    """Arrivals that are all known beforehand: a trace."""

    def __init__(self, arrivals: Sequence[Arrival], throughputs: ThroughputView) -> None:
        self._arrivals = arrivals
        self._next = 0
        self.throughputs = throughputs
        self.total: int | None = len(arrivals)

    def next_arrival_s(self) -> float | None:
        """Return when the next job comes, seconds, or None where no more come."""
        return self._arrivals[self._next].arrival_s if self._next < len(self._arrivals) else None

    def until(self, now_s: float) -> list[Arrival]:
        """Return, once, all jobs not yet returned that arrive at or before ``now_s``, by id."""
        first = last = self._next
        while last < len(self._arrivals) and self._arrivals[last].arrival_s <= now_s:
            last += 1
        self._next = last
        return list(self._arrivals[first:last])
