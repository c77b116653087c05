"""What a round came to: records of what happened, for whoever observes the run.

Those made every round are named tuples: a frozen dataclass of ten fields takes five times as long to make.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import Holding
from phasewise.sched.round.backlog import Estimate
from phasewise.sched.slos import GivenUp
from phasewise.sched.workload.arrivals import Arrival
from phasewise.solvers.api import Solution

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class AllocationRecord:
    """One call of the policy.

    Attributes
    ----------
    jobs
        Active jobs the policy saw.
    solutions
        Certified solutions of the problems it stated, in order; empty where it states none.
    given_up
        The SLOs that it has given up, where that has changed.
    """

    jobs: int
    solutions: tuple[Solution, ...]
    given_up: GivenUp | None = None


class JobRecord(NamedTuple):
    """A job that is over, or that the run left behind.

    Attributes
    ----------
    status
        ``complete``, ``failed``, ``refused``, or ``active`` where the run ended first.
    completion_s
        Simulated time of completion, None unless complete.
    end_s
        Simulated time at which it was over, however it ended; None where it is not.
    first_start_s
        When it first ran, None where it never did.
    run_s
        Seconds in which its micro-tasks ran, those of moving included.
    gpu_s
        GPU-seconds that it held: to the end of each round, also where its micro-task ended before.
    ideal_s
        Its steps over its best rate on this cluster, seconds; None where it can never run.
    isolated_s
        What its steps so far would have taken alone on its share of the cluster (`phasewise.sched.round.isolation`).
    demand_milli, cpu_milli, memory_mib
        Thousandths of a GPU in all, thousandths of a core, MiB.
    slo_s
        The duration that it was promised, None without a promise.
    cost
        What the GPU time that it held costs, None where no prices are given.
    restarts
        How often it ran again after a round in which it waited.
    """

    job_id: int
    job_type: str
    arrival_s: float
    scale_factor: float
    priority_weight: float
    total_steps: float
    completion_s: float | None
    status: str
    rounds_run: int
    moves: int
    end_s: float | None = None
    first_start_s: float | None = None
    run_s: float = 0.0
    gpu_s: float = 0.0
    ideal_s: float | None = None
    isolated_s: float | None = None
    demand_milli: int | None = None
    cpu_milli: int | None = None
    memory_mib: int | None = None
    slo_s: float | None = None
    cost: float | None = None
    restarts: int = 0

    @property
    def jct_s(self) -> float | None:
        """Job completion time, seconds; None unless complete."""
        return None if self.completion_s is None else self.completion_s - self.arrival_s

    @property
    def missed(self) -> bool:
        """Whether it ended, however, without completing within what it was promised."""
        jct_s = self.jct_s
        return self.slo_s is not None and self.end_s is not None and (jct_s is None or jct_s > self.slo_s)

    @property
    def queued_s(self) -> float | None:
        """Seconds from arrival to first start; None where it never started, or that is not known."""
        return None if self.first_start_s is None else self.first_start_s - self.arrival_s

    @property
    def rho(self) -> float | None:
        """Finish-time fairness: JCT over the time on an isolated share; None unless complete and that is known.

        Source: NSDI'20 (Themis) s3; OSDI'20 s4.2.
        """
        jct_s = self.jct_s
        return jct_s / self.isolated_s if jct_s is not None and self.isolated_s else None


class MigrationPaid(NamedTuple):
    """What moving cost in a round.

    Attributes
    ----------
    starts
        Jobs that started at a cost.
    job_s
        Seconds in which jobs held GPUs and made no step, over all jobs.
    gpu_s
        The same times the GPUs of each job.
    """

    starts: int
    job_s: float
    gpu_s: float


NOTHING_PAID: Final = MigrationPaid(0, 0.0, 0.0)


class ClusterUse(NamedTuple):
    """How the machines were used in a round.

    Attributes
    ----------
    unallocated_gpus
        GPUs that no job held, the idle parts of shared ones included.
    pending_gpus
        GPUs that the waiting jobs ask for.
    unplaced
        Jobs chosen by priority for which no node had room.
    fragmented_gpus
        Idle GPUs that a task drawn from the typical ones cannot be expected to use; None where jobs may span nodes.
    occupied_nodes
        Nodes on which a job ran; None where that is not followed.
    """

    unallocated_gpus: float
    pending_gpus: float
    unplaced: int = 0
    fragmented_gpus: float | None = None
    occupied_nodes: int | None = None

    @property
    def frag_rate(self) -> float | None:
        """Share of the idle GPUs that is fragmented, 0 where none is idle."""
        if self.fragmented_gpus is None:
            return None
        return self.fragmented_gpus / self.unallocated_gpus if self.unallocated_gpus > 0.0 else 0.0


USE: Final = ("frag_rate", "fragmented_gpus", "occupied_nodes", "unallocated_gpus", "pending_gpus", "unplaced")
use_figures: Final[Callable[[ClusterUse], tuple[float | None, ...]]] = attrgetter(*USE)
"""Returns the values of `USE` in a third of the time of one `getattr` each."""


class Sharing(NamedTuple):
    """Teams of two jobs in a round.

    Attributes
    ----------
    teams
        How many there were.
    gain
        What they made of their GPUs, added up over the teams: of each, its members' rates over theirs alone; 2 where
        neither slows the other down, 1 where they might as well take turns.
    """

    teams: int
    gain: float

    @classmethod
    def of(cls, gains: Floats) -> Sharing:
        """Return this of the gains (K,) of each team."""
        return cls(len(gains), float(gains.sum()))


class Refused(NamedTuple):
    """A job that can never run here, and why."""

    job: Arrival
    reason: str


class LastArrival(NamedTuple):
    """That no further job will come.

    Attributes
    ----------
    now_s
        Since when, simulated seconds.
    mean_busy_s
        Busy seconds of a GPU by then, the mean over all.
    """

    now_s: float
    mean_busy_s: float


@dataclass(slots=True)
class News:
    """What a round began with. It is filled in as the round goes, so that it is known of a round that fails as well.

    Attributes
    ----------
    round_index, now_s
        The round, and when it starts, simulated seconds.
    refused, arrived
        Jobs that came, in order of arrival.
    last_arrival
        That no further one will, None where one may, or that was said before.
    allocation
        What the policy did, None where it was not asked.
    offered_gpu_s
        The least GPU-seconds that the arrived jobs take, each on its best worker type.
    """

    round_index: int
    now_s: float
    refused: Sequence[Refused] = ()
    arrived: Sequence[Arrival] = ()
    last_arrival: LastArrival | None = None
    allocation: AllocationRecord | None = None
    offered_gpu_s: float = 0.0


class RoundOutcome(NamedTuple):
    """One round. J jobs active in it, W worker types.

    Attributes
    ----------
    round_index
        Rounds count from 0.
    start_s, end_s
        Simulated seconds.
    running
        Jobs that held GPUs.
    job_id
        (J,) the active jobs.
    holding
        Which GPUs each of them held.
    gpu_milli
        (J,) thousandths of each of its GPUs that each job held.
    busy_gpu_s
        (W,) GPU-seconds used on each type.
    busy_s
        (G,) seconds each GPU was busy since the start of the run.
    utilization
        Share of the GPU time of the round that was used, 0 to 1.
    moves
        Jobs that ran in the last round and ran on another set of GPUs now.
    lease_extensions, lease_opportunities
        Jobs of the last round that kept exactly their GPUs, and those that were still active.
    news
        What it began with: arrivals and the policy's answer.
    over
        The jobs that completed or were dropped in this round.
    use
        How the machines were used.
    migration
        What moving cost.
    drift
        The part of arrivals that has piled up so far; None where too few have come to say.
    shared
        Teams of two; None where the policy does not pack.
    barrier
        Whether the solvers forget after this round, and observers write what they hold back.
    """

    round_index: int
    start_s: float
    end_s: float
    running: int
    job_id: Ints
    holding: Holding
    gpu_milli: Ints
    use: ClusterUse
    busy_gpu_s: tuple[float, ...]
    busy_s: Floats
    utilization: float
    moves: int
    lease_extensions: int
    lease_opportunities: int
    news: News
    over: tuple[JobRecord, ...]
    migration: MigrationPaid = NOTHING_PAID
    drift: Estimate | None = None
    shared: Sharing | None = None
    barrier: bool = False
