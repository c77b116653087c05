"""What a round does to the table of jobs, compiled: each of these is one call a round, over the table's blocks.

They call the loops of `phasewise.sched.round.kernels`, in which the rules stand. ``floats``, ``ints`` and ``per_type``
are the blocks of `phasewise.sched.round.jobs.JobTable`, whose columns `phasewise.sched.round.columns` names; they have
room for more rows than there are jobs. Each kernel has a plain reference in
`tests/differential/test_round_kernels_against_reference.py`.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

from phasewise.profiling.jit.kernel import inner, kernel, loop
from phasewise.profiling.jit.layouts import Cube, FlagVector, IntMatrix, IntVector, Matrix, Vector
from phasewise.sched.round.columns import (
    COST,
    DEMAND_MILLI,
    FAILURES,
    FIRST_START_S,
    GPU_MILLI,
    GPU_S,
    ISOLATED_S,
    MOVES,
    POOLED_THROUGHPUT,
    RESTARTS,
    ROUNDS_RUN,
    RUN_S,
    SCALE_FACTOR,
    STEPS_DONE,
    STEPS_SETTLED,
    TOTAL_STEPS,
    WORKER_TYPE,
)
from phasewise.sched.round.kernels import book_isolated, book_time, launch, settle
from phasewise.sched.round.lease_kernels import credit_gpus

PENDING_MILLI, HELD_MILLI, BUSY_GPU_S = 0, 1, 2  # places in what `credit` and `book` count; the last is one a type


@kernel()
def note_starts(runs_on: IntVector, moved: FlagVector, ints: IntMatrix) -> None:
    """Write down on which type (J,) each job runs from now on, -1 where it waits, who starts again and who moved."""
    worker_type, restarts, moves = ints[WORKER_TYPE], ints[RESTARTS], ints[MOVES]
    rounds_run = ints[ROUNDS_RUN]
    for i in range(len(runs_on)):
        if worker_type[i] < 0 and runs_on[i] >= 0 and rounds_run[i] > 0:
            restarts[i] += 1
        worker_type[i] = runs_on[i]
        if moved[i]:
            moves[i] += 1


@kernel()
def start(
    now_s: float,
    round_s: float,
    whole_steps: bool,
    floats: Matrix,
    runs_on: IntVector,
    rate: Matrix,
    lost_s: Vector,
    steps: Vector,
    finish_s: Vector,
    moving: FlagVector,
) -> tuple[float, int]:
    """Launch every running job's micro-task as `kernels.launch` does; return the latest finish and how many run.

    ``lost_s`` (J,) is the part of the round that each job's move takes, and ``moving`` (J,) tells for whom it takes all
    of it; both are empty where moving is free.
    """
    jobs = len(runs_on)
    left = floats[TOTAL_STEPS][:jobs] - floats[STEPS_DONE][:jobs]
    latest_s, running = launch(now_s, round_s, whole_steps, runs_on, rate, left, steps, finish_s)
    if not lost_s.size:
        return latest_s, running
    latest_s = now_s
    for i in range(jobs):
        moving[i] = False
        t = runs_on[i]
        if t < 0:
            continue
        if lost_s[i] != 0.0:
            left_s = round_s - lost_s[i]
            possible = np.floor(rate[i, t] * left_s)
            if possible == 0.0 and not whole_steps:
                possible = rate[i, t] * left_s
            steps[i] = min(possible, left[i])
            finish_s[i] = now_s + lost_s[i] + steps[i] / rate[i, t]
            moving[i] = steps[i] == 0.0
        latest_s = max(latest_s, finish_s[i])
    return latest_s, running


@kernel()
def credit(
    launched_s: float,
    ended_s: float,
    counted_from_s: float,
    short_task_fails: bool,
    floats: Matrix,
    ints: IntMatrix,
    job_time_s: Matrix,
    worker_time_s: Vector,
    steps: Vector,
    finish_s: Vector,
    moving: FlagVector,
    gpu_hour_price: Vector,
    first: IntVector,
    gpu: IntVector,
    busy_s: Vector,
    outcome: IntVector,
    counted: Vector,
) -> int:
    """Credit every micro-task, book the round for all who ran in it, and return how many jobs completed or failed.

    `kernels.settle` and then `book`, whose arguments these are. A job that moved for the whole round (``moving``, empty
    where moving is free) held its GPUs: its time counts as service, and its GPUs as busy.
    """
    jobs = len(steps)
    runs_on, scale_factor = ints[WORKER_TYPE][:jobs], floats[SCALE_FACTOR][:jobs]
    busy_gpu_s = counted[BUSY_GPU_S:]
    executed_s = np.empty(jobs)
    works_on = runs_on
    if moving.size:
        works_on = np.where(moving, -1, runs_on)
    events = settle(
        launched_s,
        counted_from_s,
        short_task_fails,
        works_on,
        scale_factor,
        steps,
        finish_s,
        floats[TOTAL_STEPS][:jobs],
        floats[STEPS_DONE][:jobs],
        job_time_s,
        worker_time_s,
        ints[FAILURES][:jobs],
        executed_s,
        busy_gpu_s,
        outcome,
    )
    for i in range(len(moving)):
        if moving[i]:
            t = runs_on[i]
            executed_s[i] = finish_s[i] - counted_from_s
            job_time_s[i, t] += executed_s[i]
            worker_time_s[t] += executed_s[i]
            busy_gpu_s[t] += (finish_s[i] - launched_s) * scale_factor[i]
    demand_milli, gpu_milli = floats[DEMAND_MILLI][:jobs], ints[GPU_MILLI][:jobs]
    _book(
        launched_s, ended_s, floats, ints, scale_factor, demand_milli, gpu_milli,
        finish_s, executed_s, gpu_hour_price, first, gpu, busy_s, counted,
    )  # fmt: skip
    return events


@inner
def _book(
    launched_s: float,
    ended_s: float,
    floats: Matrix,
    ints: IntMatrix,
    width: Vector,
    demand_milli: Vector,
    gpu_milli: IntVector,
    finish_s: Vector,
    executed_s: Vector,
    gpu_hour_price: Vector,
    first: IntVector,
    gpu: IntVector,
    busy_s: Vector,
    counted: Vector,
) -> None:
    jobs = len(width)
    runs_on = ints[WORKER_TYPE][:jobs]
    book_time(
        launched_s,
        ended_s,
        runs_on,
        width,
        finish_s,
        ints[ROUNDS_RUN][:jobs],
        floats[FIRST_START_S][:jobs],
        floats[RUN_S][:jobs],
        floats[GPU_S][:jobs],
        gpu_hour_price,
        floats[COST][:jobs],
    )
    pending = held = 0.0
    for i in range(jobs):
        if runs_on[i] < 0:
            pending += demand_milli[i]
        else:
            held += demand_milli[i]
    credit_gpus(first, gpu, gpu_milli, executed_s, busy_s)
    counted[PENDING_MILLI], counted[HELD_MILLI] = pending, held


@kernel()
def book(
    launched_s: float,
    ended_s: float,
    floats: Matrix,
    ints: IntMatrix,
    width: Vector,
    demand_milli: Vector,
    gpu_milli: IntVector,
    finish_s: Vector,
    executed_s: Vector,
    gpu_hour_price: Vector,
    first: IntVector,
    gpu: IntVector,
    busy_s: Vector,
    counted: Vector,
) -> None:
    """Book a round for jobs of which some share GPUs.

    Parameters
    ----------
    launched_s, ended_s
        When the micro-tasks started, and when the last one was done: until then a job holds its GPUs.
    width, demand_milli, gpu_milli
        (J,) GPUs that each job has for itself, parts included; thousandths of a GPU in all; thousandths of each.
    finish_s, executed_s
        (J,) when each micro-task was done, and the seconds credited to it, which make its GPUs busy.
    first, gpu
        The holding; ``busy_s`` (G,) are its GPUs' busy seconds.
    gpu_hour_price
        (W,) what an hour of a GPU costs; empty where nothing has a price.
    counted
        Gets the thousandths of GPUs that waiting jobs ask for and that the others hold: whole numbers, or halves, whose
        sum is exact.
    """
    _book(
        launched_s, ended_s, floats, ints, width, demand_milli, gpu_milli,
        finish_s, executed_s, gpu_hour_price, first, gpu, busy_s, counted,
    )  # fmt: skip


@inner
def _renumbered(gone: IntVector, jobs: int) -> IntVector:
    """Return (J,) the row of each job once rows ``gone`` are taken out, -1 for these."""
    new_row = np.zeros(jobs, np.int64)
    for i in gone:
        new_row[i] = -1
    kept = 0
    for i in range(jobs):
        if new_row[i] == 0:
            new_row[i] = kept
            kept += 1
    return new_row


@loop
def move_up(holes: IntVector, rows: int, width: int, column: npt.NDArray[Any]) -> None:
    """Move up, run by run, the rows behind each of the ascending ``holes``; each is ``width`` entries of ``column``.

    Between slices and not between indices, so that the compiler sees that it may move several entries at once.
    """
    for h in range(len(holes)):
        start, end = holes[h] + 1, holes[h + 1] if h + 1 < len(holes) else rows
        old, new = column[start * width : end * width], column[(start - h - 1) * width : (end - h - 1) * width]
        for at in range(len(new)):
            new[at] = old[at]


@kernel()
def drop_rows(gone: IntVector, jobs: int, floats: Matrix, ints: IntMatrix, per_type: Cube) -> IntVector:
    """Remove rows ``gone`` of the first ``jobs``; return (J,) the new row of each, -1 where it is dropped.

    The others keep their order and move up; those before the first hole stay where they are.
    """
    holes = np.sort(gone)
    for column in range(floats.shape[0]):
        move_up(holes, jobs, 1, floats[column])
    for column in range(ints.shape[0]):
        move_up(holes, jobs, 1, ints[column])
    types = per_type.shape[2]
    for column in range(per_type.shape[0]):
        move_up(holes, jobs, types, per_type[column].reshape(-1))
    return _renumbered(gone, jobs)


@kernel()
def settle_isolated(gpus: float, jobs: int, floats: Matrix) -> None:
    """Book the steps that each of the first ``jobs`` has done since its account of isolation was last settled."""
    done, settled, account_s = floats[STEPS_DONE][:jobs], floats[STEPS_SETTLED][:jobs], floats[ISOLATED_S][:jobs]
    scale_factor, pooled_throughput = floats[SCALE_FACTOR][:jobs], floats[POOLED_THROUGHPUT][:jobs]
    book_isolated(gpus, scale_factor, pooled_throughput, done, settled, account_s, account_s)
    settled[:] = done


KERNELS: Final = (note_starts, start, credit, book, drop_rows, settle_isolated)
