"""What the engine tells the recorder: frozen records of what happened.

Those made every round are named tuples: a frozen dataclass of ten fields takes five times as long to make.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

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
    """

    jobs: int
    solutions: tuple[Solution, ...]


class JobRecord(NamedTuple):
    """A job that is over, or that the run left behind.

    Attributes
    ----------
    status
        ``complete``, ``failed``, ``refused``, or ``active`` where the run ended first.
    completion_s
        Simulated time of completion, None unless complete.
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


class RoundOutcome(NamedTuple):
    """One round. G GPUs, J jobs active in it, W worker types.

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
    holder
        (G,) position in ``job_id`` of the job that held each GPU, -1 where idle.
    busy_gpu_s
        (W,) GPU-seconds used on each type.
    moves
        Jobs that ran in the last round and ran on another set of GPUs now.
    lease_extensions, lease_opportunities
        Jobs of the last round that kept exactly their GPUs, and those that were still active.
    allocation
        What the policy did, None where it was not asked.
    over
        The jobs that completed or were dropped in this round.
    migration
        What moving cost.
    """

    round_index: int
    start_s: float
    end_s: float
    running: int
    job_id: Ints
    holder: Ints
    busy_gpu_s: Floats
    moves: int
    lease_extensions: int
    lease_opportunities: int
    allocation: AllocationRecord | None
    over: tuple[JobRecord, ...]
    migration: MigrationPaid = NOTHING_PAID
