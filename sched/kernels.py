"""The loops that NumPy cannot express well, compiled by numba and cached beside this file.

Each kernel has a plain reference in `tests/differential/test_kernels_against_reference.py` that it must equal bit for
bit. No fast-math: sums are added in the order in which the original simulator adds them.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

if TYPE_CHECKING:
    Function = TypeVar("Function", bound=Callable[..., object])

    def kernel(function: Function) -> Function:
        """Compile a function (for the type checker: leave it as it is)."""
        return function
else:
    from numba import njit

    kernel = njit(cache=True, error_model="numpy")

RUNS, COMPLETED, TASK_FAILED = 0, 1, 2


@kernel
def stands_before(a: int, b: int, first: Floats, second: Floats, third: Floats) -> bool:
    """Return whether index a comes strictly before index b by (first, second, third), all descending."""
    if first[a] != first[b]:
        return bool(first[a] > first[b])
    if second[a] != second[b]:
        return bool(second[a] > second[b])
    return bool(third[a] > third[b])


@kernel
def sort_descending(order: Ints, first: Floats, second: Floats, third: Floats) -> None:
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


@kernel
def fill_priorities(x: Floats, throughput: Floats, job_time_s: Floats, worker_time_s: Floats, priority: Floats) -> None:
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


@kernel
def select_jobs(
    type_order: Ints,
    priority: Floats,
    deficit_s: Floats,
    x: Floats,
    throughput: Floats,
    scale_factor: Floats,
    capacity: Floats,
    positive_only: bool,
    chosen_row: Ints,
    chosen_type: Ints,
) -> int:
    """Choose this round's jobs, type by type, and return how many; rows and types go into ``chosen_*`` (J,).

    Within a type: by (priority, deficit, x) descending, ties in order of arrival. A job that does not fit is passed
    over, so smaller ones behind it fill the gap (backfilling).
    """
    jobs = len(scale_factor)
    taken = np.zeros(jobs, np.bool_)
    chosen = 0
    for t in type_order:
        order = np.empty(jobs, np.int64)
        candidates = 0
        for i in range(jobs):
            if not taken[i] and throughput[i, t] > 0.0 and (priority[i, t] > 0.0 or not positive_only):
                order[candidates] = i
                candidates += 1
        order = order[:candidates]
        sort_descending(order, priority[:, t], deficit_s[:, t], x[:, t])
        left = capacity[t]
        for k in range(candidates):
            i = order[k]
            if left <= 0.0:
                break
            if scale_factor[i] <= left:
                left -= scale_factor[i]
                taken[i] = True
                chosen_row[chosen] = i
                chosen_type[chosen] = t
                chosen += 1
    return chosen


@kernel
def gpus_by_row(holder: Ints, jobs: int) -> tuple[Ints, Ints]:
    """Return (start (J + 1,), gpu): the GPUs that row i holds are ``gpu[start[i]:start[i + 1]]``, ascending."""
    start = np.zeros(jobs + 1, np.int64)
    for row in holder:
        if row >= 0:
            start[row + 1] += 1
    for i in range(jobs):
        start[i + 1] += start[i]
    gpu = np.empty(start[jobs], np.int64)
    cursor = start[:-1].copy()
    for g in range(len(holder)):
        row = holder[g]
        if row >= 0:
            gpu[cursor[row]] = g
            cursor[row] += 1
    return start, gpu


@kernel
def extend_lease(row: int, start: Ints, gpu: Ints, holder: Ints) -> bool:
    """Give a row the GPUs it held, if none was given away in this round; return whether it got them."""
    for k in range(start[row], start[row + 1]):
        if holder[gpu[k]] >= 0:
            return False
    for k in range(start[row], start[row + 1]):
        holder[gpu[k]] = row
    return True


@kernel
def place_strided(
    row: Ints,
    worker_type: Ints,
    scale_factor: Floats,
    type_start: Ints,
    last_holder: Ints,
    last_type: Ints,
    holder: Ints,
    runs_on: Ints,
) -> None:
    """Write ``holder`` (G,) and ``runs_on`` (J,), -1 where idle or waiting, for the chosen rows (K,), grouped by type.

    Per type, the widest jobs first; among equals first the leases that can be extended, then the rest sequentially
    over the GPUs, by one cursor that never goes back.
    """
    holder[:] = -1
    runs_on[:] = -1
    start, gpu = gpus_by_row(last_holder, len(runs_on))
    block = 0
    while block < len(row):
        t = worker_type[block]
        end = block
        while end < len(row) and worker_type[end] == t:
            end += 1
        order = row[block:end].copy()
        sort_descending(order, scale_factor, scale_factor, scale_factor)
        cursor = type_start[t]
        group = 0
        while group < len(order):
            wide = scale_factor[order[group]]
            after = group
            while after < len(order) and scale_factor[order[after]] == wide:
                i = order[after]
                if last_type[i] == t and start[i + 1] > start[i] and extend_lease(i, start, gpu, holder):
                    runs_on[i] = t
                after += 1
            for k in range(group, after):
                i = order[k]
                if runs_on[i] >= 0:
                    continue
                needed = wide
                while needed > 0.0:
                    if holder[cursor] < 0:
                        holder[cursor] = i
                        needed -= 1.0
                    cursor += 1
                runs_on[i] = t
            group = after
        block = end


@kernel
def count_leases(last_holder: Ints, holder: Ints, moved: Bools) -> tuple[int, int, int]:
    """Return (moves, extensions, opportunities) among the jobs of the last round; mark in ``moved`` (J,) who moved."""
    jobs = len(moved)
    before, gpu = gpus_by_row(last_holder, jobs)
    now = gpus_by_row(holder, jobs)[0]
    moves = extensions = opportunities = 0
    for i in range(jobs):
        moved[i] = False
        held = before[i + 1] - before[i]
        if held == 0:
            continue
        opportunities += 1
        same = held == now[i + 1] - now[i]
        if same:
            for k in range(before[i], before[i + 1]):
                if holder[gpu[k]] != i:
                    same = False
                    break
        if same:
            extensions += 1
        elif now[i + 1] > now[i]:
            moved[i] = True
            moves += 1
    return moves, extensions, opportunities


@kernel
def launch(
    now_s: float,
    round_s: float,
    whole_steps: bool,
    worker_type: Ints,
    throughput: Floats,
    remaining_steps: Floats,
    steps: Floats,
    finish_s: Floats,
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


@kernel
def settle(
    launched_s: float,
    round_start_s: float,
    short_task_fails: bool,
    worker_type: Ints,
    scale_factor: Floats,
    steps: Floats,
    finish_s: Floats,
    total_steps: Floats,
    steps_done: Floats,
    job_time_s: Floats,
    worker_time_s: Floats,
    failures: Ints,
    executed_s: Floats,
    busy_gpu_s: Floats,
    outcome: Ints,
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


@kernel
def credit_gpus(holder: Ints, executed_s: Floats, busy_s: Floats) -> None:
    """Add to every GPU's busy time (G,) the time its job was credited."""
    for g in range(len(holder)):
        if holder[g] >= 0:
            busy_s[g] += executed_s[holder[g]]


@kernel
def change_holders(
    holder: Ints,
    job_id: Ints,
    round_index: int,
    held_by: Ints,
    since: Ints,
    closed_job: Ints,
    closed_gpu: Ints,
    closed_since: Ints,
) -> int:
    """Follow which job holds each GPU; return how many holdings ended, written to ``closed_*`` (G,).

    ``held_by`` (G,) is the job id (-1 idle) and ``since`` (G,) the first round of the current holding.
    """
    closed = 0
    for g in range(len(held_by)):
        job = job_id[holder[g]] if holder[g] >= 0 else -1
        if job == held_by[g]:
            continue
        if held_by[g] >= 0:
            closed_job[closed] = held_by[g]
            closed_gpu[closed] = g
            closed_since[closed] = since[g]
            closed += 1
        held_by[g] = job
        since[g] = round_index
    return closed


def prepare(notify: Callable[[str], None]) -> None:
    """Load every kernel from its cache, or compile it; say so where it compiles, and how long it took."""
    began_s = time.perf_counter()
    ints, floats, flags = np.zeros(2, np.int64), np.ones(2), np.zeros(2, np.bool_)
    table, free, empty = np.ones((2, 1)), np.full(2, -1, np.int64), np.zeros(0, np.int64)
    sort_descending(np.arange(2), floats, floats, floats)
    compiles = _compilations()
    if compiles:
        notify("compiling the simulation's kernels, once on this machine ...")
    types, start = np.zeros(1, np.int64), np.array([0, 2])
    fill_priorities(table, table, table, np.ones(1), table.copy())
    select_jobs(types, table, table, table, table, floats, np.ones(1), False, ints.copy(), ints.copy())
    place_strided(empty, empty, floats, start, free, free, free.copy(), free.copy())
    count_leases(free, free, flags)
    launch(0.0, 1.0, False, ints, table, floats, floats.copy(), floats.copy())
    settle(
        0.0, 0.0, False, ints, floats, floats, floats, floats, floats.copy(), table.copy(), np.ones(1), ints.copy(),
        floats.copy(), np.ones(1), ints.copy(),
    )  # fmt: skip
    credit_gpus(free, floats, floats.copy())
    change_holders(free, ints, 0, free.copy(), ints.copy(), ints.copy(), ints.copy(), ints.copy())
    if compiles:
        notify(f"compiled in {time.perf_counter() - began_s:.1f} s; later runs load the compiled kernels")


def _compilations() -> int:
    """Return how often the first kernel had to be compiled rather than loaded."""
    return sum(sort_descending.stats.cache_misses.values())  # type: ignore[attr-defined]
