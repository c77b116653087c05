"""Priorities and progress: the loops that NumPy cannot express well, compiled by numba and cached.

Each kernel has a plain reference in `tests/differential/test_kernels_against_reference.py` that it must equal bit for
bit. No fast-math: sums are added in the order in which the original simulator adds them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel, loop
from phasewise.profiling.jit.layouts import IntVector, Matrix, Vector

RUNS, COMPLETED, TASK_FAILED = 0, 1, 2
HOUR_S: Final = 3600.0
FEW: Final = 512  # values by which indices are put in order without being compared
BLOCK: Final = 8  # rows of priorities in one go


@loop
def stands_before(a: int, b: int, first: Vector, second: Vector, third: Vector) -> bool:
    """Return whether index a comes strictly before index b by (first, second, third), all descending."""
    if first[a] != first[b]:
        return bool(first[a] > first[b])
    if second[a] != second[b]:
        return bool(second[a] > second[b])
    return bool(third[a] > third[b])


@inner
def sort_descending(order: IntVector, first: Vector, second: Vector, third: Vector) -> None:
    """Sort the indices in ``order`` in place, stably, by (first, second, third), all descending.

    A merge sort; halves that are in order already, such as those of equal keys, are not merged.
    """
    count = len(order)
    spare = np.empty(count, np.int64)
    width = 1
    while width < count:
        for low in range(0, count - width, 2 * width):
            middle, high = low + width, min(low + 2 * width, count)
            if not stands_before(order[middle], order[middle - 1], first, second, third):
                continue
            spare[low:middle] = order[low:middle]
            left, right, k = low, middle, low
            while left < middle:
                if right < high and stands_before(order[right], spare[left], first, second, third):
                    order[k] = order[right]
                    right += 1
                else:
                    order[k] = spare[left]
                    left += 1
                k += 1
        width *= 2


@inner
def sort_by_few(order: IntVector, key: Vector) -> bool:
    """Do what `sort_descending` does by one key of at most `FEW` values; False, and nothing done, if it has more.

    Values are told apart by open addressing, and then only counted: a round's finish times are few, as they follow
    from the speeds of few kinds of jobs.
    """
    slots, values, count = np.full(2 * FEW, -1), np.empty(FEW), np.zeros(FEW + 1, np.int64)
    kind = np.empty(len(order), np.int64)
    distinct = 0
    for at in range(len(order)):
        value = key[order[at]] + 0.0  # -0 is 0
        bits = np.float64(value).view(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        slot = np.int64(bits >> np.uint64(33)) & (2 * FEW - 1)
        while slots[slot] >= 0 and values[slots[slot]] != value:
            slot = (slot + 1) & (2 * FEW - 1)
        if slots[slot] < 0:
            if distinct == FEW:
                return False
            slots[slot], values[distinct] = distinct, value
            distinct += 1
        kind[at] = slots[slot]
        count[kind[at]] += 1
    end = 0
    for k in np.argsort(values[:distinct])[::-1]:
        count[k], end = end, end + count[k]
    sorted_order = np.empty(len(order), np.int64)
    for at in range(len(order)):
        sorted_order[count[kind[at]]] = order[at]
        count[kind[at]] += 1
    order[:] = sorted_order
    return True


@kernel()
def fill_priorities(x: Matrix, throughput: Matrix, job_time_s: Matrix, worker_time_s: Vector, priority: Matrix) -> None:
    """Write into ``priority`` (J, W) the allocation over the share of service received; 0 where a job cannot run.

    Row after row as one list, without a branch: so that several entries are divided at once.
    """
    types = x.shape[1]
    block = BLOCK * types
    given_s = np.empty(block)
    for k in range(block):
        given_s[k] = worker_time_s[k % types]
    x_all, rate_all, time_all, priority_all = (
        x.reshape(-1),
        throughput.reshape(-1),
        job_time_s.reshape(-1),
        priority.reshape(-1),
    )
    for at in range(0, len(x_all), block):
        x_part, rate = x_all[at : at + block], rate_all[at : at + block]
        time_s, urgency = time_all[at : at + block], priority_all[at : at + block]
        for k in range(len(x_part)):
            share = 0.0 if given_s[k] == 0.0 else time_s[k] / given_s[k]
            urgent = x_part[k] * 1e9 if share == 0.0 else x_part[k] / share
            urgency[k] = 0.0 if (x_part[k] == 0.0) | (rate[k] == 0.0) else urgent


@inner
def launch(
    now_s: float,
    round_s: float,
    whole_steps: bool,
    worker_type: IntVector,
    throughput: Matrix,
    remaining_steps: Vector,
    steps: Vector,
    finish_s: Vector,
) -> tuple[float, int]:
    """Write each running job's steps and finish time (J,); return the latest finish (or ``now_s``) and how many run.

    Steps are whole. A job too slow for one step a round would never end: unless ``whole_steps``, it does a part of one.
    """
    latest_s, running = now_s, 0
    for i in range(len(worker_type)):
        t = worker_type[i]
        if t < 0:
            continue
        running += 1
        possible = np.floor(throughput[i, t] * round_s)
        if possible == 0.0 and not whole_steps:
            possible = throughput[i, t] * round_s
        steps[i] = min(possible, remaining_steps[i])
        finish_s[i] = now_s + steps[i] / throughput[i, t]
        latest_s = max(latest_s, finish_s[i])
    return latest_s, running


@inner
def settle(
    launched_s: float,
    round_start_s: float,
    short_task_fails: bool,
    worker_type: IntVector,
    scale_factor: Vector,
    steps: Vector,
    finish_s: Vector,
    total_steps: Vector,
    steps_done: Vector,
    job_time_s: Matrix,
    worker_time_s: Vector,
    failures: IntVector,
    executed_s: Vector,
    busy_gpu_s: Vector,
    outcome: IntVector,
) -> int:
    """Credit every micro-task, latest finish first, ties by row; return how many jobs completed or failed.

    Writes ``steps_done``, ``job_time_s``, ``worker_time_s``, ``failures``; ``executed_s`` (J,) is the time credited
    from ``round_start_s`` on (0 where nothing is), ``busy_gpu_s`` (W,) the GPU-seconds since the launch, and
    ``outcome`` (J,) one of RUNS, COMPLETED, TASK_FAILED.
    """
    order = np.flatnonzero(worker_type >= 0)
    if len(order) < FEW or not sort_by_few(order, finish_s):
        sort_descending(order, finish_s, finish_s, finish_s)
    executed_s[:] = 0.0
    busy_gpu_s[:] = 0.0
    outcome[:] = RUNS
    events = 0
    for i in order:
        elapsed_s = finish_s[i] - round_start_s
        workers = scale_factor[i]
        share = steps[i] // workers
        last = steps[i] - share * (workers - 1.0)
        short = last <= 0.0 or (workers > 1.0 and share <= 0.0)
        # Steps too quick for the clock to tell are steps nevertheless, except under the rules of the original.
        if steps[i] <= 0.0 or (short_task_fails and (elapsed_s <= 0.0 or short)):
            failures[i] += 1
            outcome[i] = TASK_FAILED
            events += 1
            continue
        failures[i] = 0
        steps_done[i] += steps[i]
        t = worker_type[i]
        job_time_s[i, t] += elapsed_s
        worker_time_s[t] += elapsed_s
        executed_s[i] = elapsed_s
        busy_gpu_s[t] += (finish_s[i] - launched_s) * workers
        if total_steps[i] - steps_done[i] <= 0.0:
            outcome[i] = COMPLETED
            events += 1
    return events


@inner
def book_time(
    start_s: float,
    end_s: float,
    worker_type: IntVector,
    scale_factor: Vector,
    finish_s: Vector,
    rounds_run: IntVector,
    first_start_s: Vector,
    run_s: Vector,
    gpu_s: Vector,
    gpu_hour_price: Vector,
    cost: Vector,
) -> None:
    """Count a round, from ``start_s`` to ``end_s``, for every running job (J,).

    Its GPUs are its own until the round ends, when its micro-task may long be done. ``gpu_hour_price`` (W,) is empty
    where nothing has a price.
    """
    for i in range(len(worker_type)):
        if worker_type[i] < 0:
            continue
        if rounds_run[i] == 0:
            first_start_s[i] = start_s
        rounds_run[i] += 1
        run_s[i] += finish_s[i] - start_s
        gpu_s[i] += (end_s - start_s) * scale_factor[i]
        if gpu_hour_price.size:
            cost[i] += (end_s - start_s) * scale_factor[i] / HOUR_S * gpu_hour_price[worker_type[i]]


@inner
def book_isolated(
    gpus: float,
    scale_factor: Vector,
    pooled_throughput: Vector,
    steps_done: Vector,
    steps_settled: Vector,
    isolated_s: Vector,
    account_s: Vector,
) -> None:
    """Write into ``account_s`` (J,) what is booked in ``isolated_s`` and the time of the steps since; see `isolation`.

    Both may be the same array. ``gpus`` is the number of all GPUs.
    """
    jobs = len(scale_factor)
    for i in range(jobs):
        share = max(scale_factor[i] * jobs, gpus)
        account_s[i] = isolated_s[i] + (steps_done[i] - steps_settled[i]) * share / pooled_throughput[i]


KERNELS: Final = (fill_priorities,)
