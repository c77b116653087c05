"""Priorities, selection and progress: the loops that NumPy cannot express well, compiled by numba and cached.

Each kernel has a plain reference in `tests/differential/test_kernels_against_reference.py` that it must equal bit for
bit. No fast-math: sums are added in the order in which the original simulator adds them.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel
from phasewise.profiling.jit.layouts import FlagVector, IntVector, Matrix, Vector

RUNS, COMPLETED, TASK_FAILED = 0, 1, 2
HOUR_S: Final = 3600.0
NOWHERE: Final = -np.inf  # the priority of a job where it cannot run
SAMPLE: Final = 512  # jobs of which one learns where to begin
ENOUGH: Final = 1.25  # times what is left: so much may those ask for who are looked at first


@inner
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


@kernel()
def fill_priorities(x: Matrix, throughput: Matrix, job_time_s: Matrix, worker_time_s: Vector, priority: Matrix) -> None:
    """Write into ``priority`` (J, W) the allocation over the share of service received; 0 where a job cannot run."""
    jobs, types = x.shape
    for i in range(jobs):
        for j in range(types):
            priority[i, j] = 0.0
            if x[i, j] == 0.0 or throughput[i, j] == 0.0:
                continue
            share = 0.0
            if worker_time_s[j] != 0.0:
                share = job_time_s[i, j] / worker_time_s[j]
            priority[i, j] = x[i, j] * 1e9 if share == 0.0 else x[i, j] / share


@inner
def precedes(a: int, b: int, first: Vector, second: Vector, third: Vector) -> bool:
    """Return whether index a comes before index b by (first, second, third) descending, then by index."""
    if first[a] != first[b]:
        return bool(first[a] > first[b])
    if second[a] != second[b]:
        return bool(second[a] > second[b])
    if third[a] != third[b]:
        return bool(third[a] > third[b])
    return a < b


@inner
def sink(heap: IntVector, at: int, size: int, first: Vector, second: Vector, third: Vector) -> None:
    """Let the index at a position of a heap sink to where it belongs; the one that stands first is on top.

    Among equals the lower index stands first, so that indices come off the heap in the order of a stable sort.
    """
    moving = heap[at]
    while 2 * at + 1 < size:
        child = 2 * at + 1
        other = child + 1
        if other < size and precedes(heap[other], heap[child], first, second, third):
            child = other
        if not precedes(heap[child], moving, first, second, third):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = moving


@inner
def make_heap(heap: IntVector, size: int, first: Vector, second: Vector, third: Vector) -> None:
    """Order the first ``size`` indices such that `sink` keeps the one on top that stands first."""
    for at in range(size // 2 - 1, -1, -1):
        sink(heap, at, size, first, second, third)


@inner
def by_type(priority: Matrix, throughput: Matrix) -> Matrix:
    """Return (W, J) the priorities, `NOWHERE` where a job cannot run: those of a type stand side by side."""
    jobs, types = priority.shape
    turned = np.empty((types, jobs))
    for i in range(jobs):
        for t in range(types):
            turned[t, i] = priority[i, t] if throughput[i, t] > 0.0 else NOWHERE
    return turned


@inner
def cutoff(priority: Vector, taken: FlagVector, demand: Vector, left: float) -> float:
    """Return a priority at which, as a sample tells, those above ask for somewhat more than is left; 0 where all may.

    Whatever it is, the choice is the same: those below it come after those above.
    """
    step = max(1, len(demand) // SAMPLE)
    sample = np.empty(len(demand) // step + 1)
    count, all_asked = 0, 0.0
    for i in range(0, len(demand), step):
        if not taken[i] and priority[i] > 0.0:
            sample[count] = priority[i]
            all_asked += demand[i] * step
            count += 1
    if left <= 0.0 or all_asked <= ENOUGH * ENOUGH * left:
        return 0.0
    return float(np.sort(sample[:count])[int((1.0 - ENOUGH * left / all_asked) * count)])


@inner
def gather(
    low: float, high: float, left: float, taken: FlagVector, priority: Vector, demand: Vector, heap: IntVector
) -> int:
    """Put into ``heap`` who fits and has a priority above ``low`` and up to ``high``; return how many."""
    size = 0
    for i in range(len(demand)):
        if low < priority[i] <= high and not taken[i] and demand[i] <= left:
            heap[size] = i
            size += 1
    return size


@inner
def keep_fitting(heap: IntVector, size: int, demand: Vector, left: float) -> int:
    """Drop from ``heap`` who asks for more than is left; return how many stay."""
    fitting = 0
    for at in range(size):
        if demand[heap[at]] <= left:
            heap[fitting] = heap[at]
            fitting += 1
    return fitting


@kernel()
def select_jobs(
    type_order: IntVector,
    priority: Matrix,
    deficit_s: Matrix,
    x: Matrix,
    throughput: Matrix,
    demand: Vector,
    capacity: Vector,
    positive_only: bool,
    chosen_row: IntVector,
    chosen_type: IntVector,
) -> int:
    """Choose this round's jobs, type by type, and return how many; rows and types go into ``chosen_*`` (J,).

    ``demand`` (J,) and ``capacity`` (W,) are in thousandths of a GPU: whole numbers, so that parts add up exactly.
    Within a type: by (priority, deficit, x) descending, ties in order of arrival. A job that does not fit is passed
    over, so smaller ones behind it fill the gap (backfilling). Candidates come off a heap: where a type is full after a
    few of them, the others need not be sorted. As soon as one does not fit, all that do not are dropped: what is left
    only shrinks. Candidates are taken in tiers, the most urgent first and those of priority 0 last, and a tier is
    looked at where those above it leave something.
    """
    jobs = len(demand)
    turned, taken = by_type(priority, throughput), np.zeros(jobs, np.bool_)
    heap = np.empty(jobs, np.int64)
    first, second, third = np.empty(jobs), np.empty(jobs), np.empty(jobs)
    chosen = 0
    for t in type_order:
        left = capacity[t]
        urgent = cutoff(turned[t], taken, demand, left)
        for high, low in ((np.inf, urgent), (urgent, 0.0), (0.0, NOWHERE)):
            if left <= 0.0 or (positive_only and high <= 0.0):
                break
            size = gather(low, high, left, taken, turned[t], demand, heap)
            for i in heap[:size]:
                first[i], second[i], third[i] = priority[i, t], deficit_s[i, t], x[i, t]
            make_heap(heap, size, first, second, third)
            while size > 0 and left > 0.0:
                i = heap[0]
                if demand[i] > left:
                    size = keep_fitting(heap, size, demand, left)
                    make_heap(heap, size, first, second, third)
                    continue
                size -= 1
                heap[0] = heap[size]
                sink(heap, 0, size, first, second, third)
                left -= demand[i]
                taken[i] = True
                chosen_row[chosen] = i
                chosen_type[chosen] = t
                chosen += 1
    return chosen


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


KERNELS: Final = (fill_priorities, select_jobs)
