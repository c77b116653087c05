"""Assignment and round length -> steps done, time passed, completions and failures.

A micro-task is one job's work in one round: as many whole steps as fit into the round, or all that remain.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import Assignment
from phasewise.sched.round import round_kernels
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.kernels import COMPLETED, TASK_FAILED
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.rules import Timing
from phasewise.sched.round.state import SimulationState

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

NOTHING: Final = np.zeros(0)
_NOBODY: Final = np.zeros(0, np.bool_)
_NONE: Final = np.empty(0, np.int64)


class Flight(NamedTuple):
    """The micro-tasks of one round, launched and not yet credited.

    Attributes
    ----------
    steps
        (J,) steps of each running job.
    finish_s
        (J,) when each running job finishes them, simulated seconds.
    start_s
        When they start.
    latest_s
        When the last one does: the end of the round.
    running
        How many there are.
    moving
        (J,) whether a running job's whole round goes into its move, so that it makes no step; empty where moving is
        free.
    """

    steps: Floats
    finish_s: Floats
    start_s: float
    latest_s: float
    running: int
    moving: Bools = _NOBODY


class Landing(NamedTuple):
    """What a round's micro-tasks came to.

    Attributes
    ----------
    busy_gpu_s
        (W,) GPU-seconds used on each worker type.
    pending_milli, held_milli
        Thousandths of GPUs that waiting jobs ask for, and that the others held.
    completed, failed
        Rows of the jobs that completed, and of those whose micro-task failed.
    """

    busy_gpu_s: tuple[float, ...]
    pending_milli: float
    held_milli: float
    completed: Ints
    failed: Ints


def launch(
    jobs: JobTable,
    assignment: Assignment,
    now_s: float,
    timing: Timing,
    lost_s: Floats | None = None,
    rate: Floats | None = None,
) -> Flight:
    """Return the micro-tasks that start now.

    Parameters
    ----------
    lost_s
        (J,) the part of the round that each job's move takes; None where moving is free. What does not fit into the
        rest of the round is not done.
    rate
        (J, W) steps/s as jobs run now; None where each has its GPUs for itself.
    """
    steps, finish_s = np.empty(len(jobs)), np.empty(len(jobs))
    moving = _NOBODY if lost_s is None else np.empty(len(jobs), np.bool_)
    latest_s, running = round_kernels.start(
        now_s,
        timing.round_s,
        timing.short_task_fails,
        jobs.floats,
        assignment.worker_type,
        jobs.throughput if rate is None else rate,
        NOTHING if lost_s is None else lost_s,
        steps,
        finish_s,
        moving,
    )
    return Flight(steps, finish_s, now_s, latest_s, running, moving)


def settle(state: SimulationState, parts: Parts, flight: Flight) -> Landing:
    """Credit the micro-tasks to the jobs and the service given, in place; return what they came to.

    For every running job the round counts, too: rounds, seconds run, GPU-seconds held and what they cost, its first
    start, and the busy time of its GPUs.
    """
    jobs, service = state.jobs, state.service
    outcome = np.empty(len(jobs), np.int64)
    counted = np.empty(round_kernels.BUSY_GPU_S + len(service.worker_time_s))
    events = round_kernels.credit(
        flight.start_s,
        flight.latest_s,
        state.clocks.round_start_s,
        parts.timing.short_task_fails,
        jobs.floats,
        jobs.ints,
        jobs.job_time_s,
        service.worker_time_s,
        flight.steps,
        flight.finish_s,
        flight.moving,
        NOTHING if parts.gpu_hour_price is None else parts.gpu_hour_price,
        *state.holding,
        service.busy_s,
        outcome,
        counted,
    )
    if not events:
        return landed(counted)
    return landed(counted, np.flatnonzero(outcome == COMPLETED), np.flatnonzero(outcome == TASK_FAILED))


def landed(counted: Floats, completed: Ints = _NONE, failed: Ints = _NONE) -> Landing:
    """Return what micro-tasks came to, of what a kernel of `round_kernels` has ``counted``."""
    pending_milli, held_milli, *busy_gpu_s = counted.tolist()
    return Landing(tuple(busy_gpu_s), pending_milli, held_milli, completed, failed)
