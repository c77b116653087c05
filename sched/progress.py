"""Assignment and round length -> steps done, time passed, completions and failures.

A micro-task is one job's work in one round: as many whole steps as fit into the round, or all that remain.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched import kernels
from phasewise.sched.api import Assignment
from phasewise.sched.state import JobTable
from phasewise.sched.timing import Timing

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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
    """

    steps: Floats
    finish_s: Floats
    start_s: float
    latest_s: float
    running: int


class Landing(NamedTuple):
    """What a round's micro-tasks came to.

    Attributes
    ----------
    executed_s
        (J,) seconds credited to each job, 0 where it did not run or failed.
    busy_gpu_s
        (W,) GPU-seconds used on each worker type.
    completed, failed
        Rows of the jobs that completed, and of those whose micro-task failed.
    """

    executed_s: Floats
    busy_gpu_s: Floats
    completed: Ints
    failed: Ints


_NONE = np.empty(0, np.int64)


def launch(jobs: JobTable, assignment: Assignment, now_s: float, timing: Timing) -> Flight:
    """Return the micro-tasks that start now."""
    steps, finish_s = np.empty(len(jobs)), np.empty(len(jobs))
    latest_s, running = kernels.launch(
        now_s,
        timing.round_s,
        timing.short_task_fails,
        assignment.worker_type,
        jobs.throughput,
        jobs.total_steps - jobs.steps_done,
        steps,
        finish_s,
    )
    return Flight(steps, finish_s, now_s, latest_s, running)


def settle(jobs: JobTable, flight: Flight, round_start_s: float, worker_time_s: Floats, timing: Timing) -> Landing:
    """Credit the micro-tasks to ``jobs`` and ``worker_time_s`` (W,), in place; return what they came to."""
    executed_s, outcome = np.empty(len(jobs)), np.empty(len(jobs), np.int64)
    busy_gpu_s = np.empty_like(worker_time_s)
    events = kernels.settle(
        flight.start_s,
        round_start_s,
        timing.short_task_fails,
        jobs.worker_type,
        jobs.scale_factor,
        flight.steps,
        flight.finish_s,
        jobs.total_steps,
        jobs.steps_done,
        jobs.job_time_s,
        worker_time_s,
        jobs.failures,
        executed_s,
        busy_gpu_s,
        outcome,
    )
    if not events:
        return Landing(executed_s, busy_gpu_s, _NONE, _NONE)
    completed = np.flatnonzero(outcome == kernels.COMPLETED)
    return Landing(executed_s, busy_gpu_s, completed, np.flatnonzero(outcome == kernels.TASK_FAILED))
