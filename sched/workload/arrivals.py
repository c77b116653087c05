"""What every source of jobs gives: arrivals in order, and their throughputs."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from phasewise.sched.cluster.requests import WHOLE_MILLI, Request, TaskDistribution, typical
from phasewise.sched.streams import Streams

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
        GPUs the job needs at once; below 1 where it shares one.
    priority_weight
        Weight w_i, 1 is normal.
    total_steps
        Mini-batches to do; a float, as the generator draws a duration.
    arrival_s
        Seconds since the start of the simulation.
    request
        What it needs on its node; None means whole GPUs and nothing else (`needs`).
    slo
        What it is promised: how many times its duration it may take, from its arrival; None without a promise.
    slo_s
        The same in seconds.
    """

    job_id: int
    job_type: str
    type_index: int
    scale_factor: float
    priority_weight: float
    total_steps: float
    arrival_s: float
    request: Request | None = None
    slo: float | None = None
    slo_s: float | None = None

    @property
    def needs(self) -> Request:
        """What it needs on a node: where nothing else was said, ``scale_factor`` whole GPUs and no CPU or memory."""
        return self.request or Request(0, WHOLE_MILLI, int(self.scale_factor))


@dataclass(slots=True)
class Position:
    """How far a workload was read; the workload itself does not change.

    Attributes
    ----------
    given
        Jobs that were given out: the id of the next one.
    next_s
        When the next one comes, seconds, where jobs are drawn as they are asked for.
    """

    given: int = 0
    next_s: float = 0.0


class Workload(Protocol):
    """Arrivals in order, the same for every reader: how far one has read is its `Position`.

    Attributes
    ----------
    throughputs
        The table in the cluster's order of worker types.
    total
        Number of jobs that come in all, or None where generation never stops.
    held
        Jobs that are in memory at once at the least, or None where that is not known beforehand.
    tasks
        The typical requests of its jobs, by which fragmentation is judged.
    imported
        How a trace of another origin was read and what is assumed of it, as `run.json` has it; None where it is none.
    """

    @property
    def held(self) -> int | None:
        """Return how many jobs are in memory at once at the least, or None where that is not known beforehand."""
        ...

    @property
    def imported(self) -> dict[str, Any] | None:
        """Return how a trace of another origin was read, None where it is none."""
        ...

    def origins(self, job_ids: Sequence[int], weights: Sequence[float]) -> Mapping[str, list[str | None]]:
        """Return whose jobs of these ids and priority weights are, by columns of jobs.parquet; nothing if unknown."""
        ...

    @property
    def tasks(self) -> TaskDistribution:
        """Return the typical requests of its jobs."""
        ...

    def requests(self) -> Iterable[Request]:
        """Return every distinct request that a job may make."""
        ...

    @property
    def throughputs(self) -> ThroughputView:
        """Return the table in the cluster's order of worker types."""
        ...

    @property
    def total(self) -> int | None:
        """Return the number of jobs that come in all, or None where generation never stops."""
        ...

    def next_arrival_s(self, position: Position) -> float | None:
        """Return when the next job comes, seconds, or None where no more come."""
        ...

    def until(self, now_s: float, position: Position, streams: Streams) -> list[Arrival]:
        """Return all jobs from ``position`` on that arrive at or before ``now_s``, by id; both others move on."""
        ...


class ListedWorkload:
    """Arrivals that are all known beforehand: a trace."""

    def __init__(self, arrivals: Sequence[Arrival], throughputs: ThroughputView) -> None:
        self.arrivals = arrivals
        self.throughputs = throughputs
        self.total: int | None = len(arrivals)
        self.held: int | None = len(arrivals)
        self.imported: dict[str, Any] | None = None

    def origins(self, job_ids: Sequence[int], weights: Sequence[float]) -> Mapping[str, list[str | None]]:
        """Return nothing: such a trace does not say whose a job is."""
        del job_ids, weights
        return {}

    @property
    def tasks(self) -> TaskDistribution:
        """Return the typical requests of its jobs."""
        return typical((job.needs, 1.0) for job in self.arrivals)

    def requests(self) -> Iterable[Request]:
        """Return every distinct request that a job makes."""
        return {job.needs: None for job in self.arrivals}

    def next_arrival_s(self, position: Position) -> float | None:
        """Return when the next job comes, seconds, or None where no more come."""
        return self.arrivals[position.given].arrival_s if position.given < len(self.arrivals) else None

    def until(self, now_s: float, position: Position, streams: Streams) -> list[Arrival]:
        """Return all jobs from ``position`` on that arrive at or before ``now_s``, by id; nothing is drawn."""
        del streams
        first = last = position.given
        while last < len(self.arrivals) and self.arrivals[last].arrival_s <= now_s:
            last += 1
        position.given = last
        return list(self.arrivals[first:last])
