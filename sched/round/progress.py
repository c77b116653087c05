"""Assignment and round length -> steps done, time passed, completions and failures.

A micro-task is one job's work in one round: as many whole steps as fit into the round, or all that remain.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import Assignment
from phasewise.sched.round import kernels
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.rules import Timing

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

_NOTHING: Final = np.zeros(0)


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
        (J,) whether a running job's whole round goes into its move, so that it makes no step; None where none does.
    """

    steps: Floats
    finish_s: Floats
    start_s: float
    latest_s: float
    running: int
    moving: Bools | None = None


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
        (J,) the part of the round that each job's move takes; None where moving is free.
    rate
        (J, W) steps/s as jobs run now; None where each has its GPUs for itself.
    """
    rate = jobs.throughput if rate is None else rate
    steps, finish_s = np.empty(len(jobs)), np.empty(len(jobs))
    latest_s, running = kernels.launch(
        now_s,
        timing.round_s,
        timing.short_task_fails,
        assignment.worker_type,
        rate,
        jobs.total_steps - jobs.steps_done,
        steps,
        finish_s,
    )
    flight = Flight(steps, finish_s, now_s, latest_s, running)
    if lost_s is None or not lost_s.any():
        return flight
    return _after_moving(flight, jobs, assignment, timing, lost_s, rate)


def _after_moving(
    flight: Flight, jobs: JobTable, assignment: Assignment, timing: Timing, lost_s: Floats, rates: Floats
) -> Flight:
    """Return the micro-tasks of which some start later: what does not fit into the rest of the round is not done."""
    rows = np.flatnonzero(lost_s)
    rate = rates[rows, assignment.worker_type[rows]]
    left_s = timing.round_s - lost_s[rows]
    possible = np.floor(rate * left_s)
    if not timing.short_task_fails:  # as in `kernels.launch`
        possible = np.where(possible == 0.0, rate * left_s, possible)
    flight.steps[rows] = np.minimum(possible, (jobs.total_steps - jobs.steps_done)[rows])
    flight.finish_s[rows] = flight.start_s + lost_s[rows] + flight.steps[rows] / rate
    moving = np.zeros(len(jobs), np.bool_)
    moving[rows] = flight.steps[rows] == 0.0
    latest_s = float(flight.finish_s[assignment.worker_type >= 0].max())
    return flight._replace(latest_s=latest_s, moving=moving)


def book_time(jobs: JobTable, flight: Flight, gpu_hour_price: Floats | None, width: Floats | None = None) -> None:
    """Count the round for every running job, in place: rounds, seconds run, GPU-seconds held, its first start.

    With a price (W,) of an hour of a GPU of each type, also what that time costs. ``width`` (J,) is how many GPUs each
    job has for itself, parts of shared ones included; None where that is all that it needs.
    """
    kernels.book_time(
        flight.start_s,
        flight.latest_s,
        jobs.worker_type,
        jobs.scale_factor if width is None else width,
        flight.finish_s,
        jobs.rounds_run,
        jobs.first_start_s,
        jobs.run_s,
        jobs.gpu_s,
        _NOTHING if gpu_hour_price is None else gpu_hour_price,
        jobs.cost,
    )


def settle(jobs: JobTable, flight: Flight, round_start_s: float, worker_time_s: Floats, timing: Timing) -> Landing:
    """Credit the micro-tasks to ``jobs`` and ``worker_time_s`` (W,), in place; return what they came to."""
    executed_s, outcome = np.empty(len(jobs)), np.empty(len(jobs), np.int64)
    busy_gpu_s = np.empty_like(worker_time_s)
    steps_on = jobs.worker_type if flight.moving is None else np.where(flight.moving, -1, jobs.worker_type)
    events = kernels.settle(
        flight.start_s,
        round_start_s,
        timing.short_task_fails,
        steps_on,
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
    if flight.moving is not None:  # they held their GPUs, so the time counts as service, and the GPUs as busy
        rows = np.flatnonzero(flight.moving)
        kind = jobs.worker_type[rows]
        executed_s[rows] = flight.finish_s[rows] - round_start_s
        jobs.job_time_s[rows, kind] += executed_s[rows]
        np.add.at(worker_time_s, kind, executed_s[rows])
        np.add.at(busy_gpu_s, kind, (flight.finish_s[rows] - flight.start_s) * jobs.scale_factor[rows])
    if not events:
        return Landing(executed_s, busy_gpu_s, _NONE, _NONE)
    completed = np.flatnonzero(outcome == kernels.COMPLETED)
    return Landing(executed_s, busy_gpu_s, completed, np.flatnonzero(outcome == kernels.TASK_FAILED))
