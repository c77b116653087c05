"""Who holds which GPUs: compiled loops over holdings (`phasewise.sched.api.Holding`), row by row of the job table.

Each kernel has a plain reference in `tests/differential/test_lease_kernels_against_reference.py`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel
from phasewise.profiling.jit.layouts import FlagVector, IntMatrix, IntVector, Vector
from phasewise.sched.round.kernels import sort_descending


@inner
def gpus_by_row(holder: IntVector, jobs: int) -> tuple[IntVector, IntVector]:
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


@inner
def extend_lease(row: int, start: IntVector, gpu: IntVector, holder: IntVector) -> bool:
    """Give a row the GPUs it held, if none was given away in this round; return whether it got them."""
    for k in range(start[row], start[row + 1]):
        if holder[gpu[k]] >= 0:
            return False
    for k in range(start[row], start[row + 1]):
        holder[gpu[k]] = row
    return True


@kernel()
def place_strided(
    row: IntVector,
    worker_type: IntVector,
    scale_factor: Vector,
    type_start: IntVector,
    last_first: IntVector,
    last_gpu: IntVector,
    last_type: IntVector,
) -> tuple[IntVector, IntVector, IntVector]:
    """Return the holding (first, gpu) and the type (J,), -1 where waiting, of the chosen rows (K,), grouped by type.

    Per type, the widest jobs first; among equals first the leases that can be extended, then the rest sequentially
    over the GPUs, by one cursor that never goes back.
    """
    holder = np.full(type_start[-1], -1, np.int64)
    runs_on = np.full(len(last_type), -1, np.int64)
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
                held = last_first[i + 1] > last_first[i]
                if last_type[i] == t and held and extend_lease(i, last_first, last_gpu, holder):
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
    first, gpu = gpus_by_row(holder, len(runs_on))
    return first, gpu, runs_on


@kernel()
def count_leases(
    last_first: IntVector, last_gpu: IntVector, first: IntVector, gpu: IntVector, moved: FlagVector
) -> tuple[int, int, int]:
    """Return (moves, extensions, opportunities) among the jobs of the last round; mark in ``moved`` (J,) who moved."""
    moves = extensions = opportunities = 0
    for i in range(len(moved)):
        moved[i] = False
        held = last_first[i + 1] - last_first[i]
        if held == 0:
            continue
        opportunities += 1
        same = held == first[i + 1] - first[i]
        for k in range(held):
            same = same and gpu[first[i] + k] == last_gpu[last_first[i] + k]
        if same:
            extensions += 1
        elif first[i + 1] > first[i]:
            moved[i] = True
            moves += 1
    return moves, extensions, opportunities


@kernel()
def keep_rows(new_row: IntVector, kept: int, first: IntVector, gpu: IntVector) -> tuple[IntVector, IntVector]:
    """Return the holding of the ``kept`` rows that stay, numbered anew by ``new_row`` (J,), -1 where a row goes."""
    kept_first, kept_gpu = np.empty(kept + 1, np.int64), np.empty(len(gpu), np.int64)
    kept_first[0] = end = 0
    for i in range(len(new_row)):
        if new_row[i] < 0:
            continue
        for k in range(first[i], first[i + 1]):
            kept_gpu[end] = gpu[k]
            end += 1
        kept_first[new_row[i] + 1] = end
    return kept_first, kept_gpu[:end].copy()


@inner
def credit_gpus(first: IntVector, gpu: IntVector, gpu_milli: IntVector, executed_s: Vector, busy_s: Vector) -> None:
    """Add to every GPU's busy time (G,) the time its jobs were credited, each times the part of the GPU that it has."""
    for i in range(len(gpu_milli)):
        spent_s = executed_s[i] * (gpu_milli[i] / 1000.0)
        for k in range(first[i], first[i + 1]):
            busy_s[gpu[k]] += spent_s


@kernel()
def change_holders(
    job_id: IntVector, first: IntVector, gpu: IntVector, gpu_milli: IntVector, round_index: int, held: IntMatrix
) -> tuple[IntMatrix, IntMatrix]:
    """Follow which job holds which GPU; return what is held now, and of ``held`` what ended.

    ``held`` (H, 4) lists job id, GPU, part of it in thousandths and first round, by job id and then GPU; so do both
    results, except that what ended is listed by GPU and then job id.
    """
    now = np.empty((len(gpu), 4), np.int64)
    over = np.ones(len(held), np.bool_)
    old = 0
    for i in range(len(job_id)):
        for k in range(first[i], first[i + 1]):
            now[k, 0], now[k, 1], now[k, 2], now[k, 3] = job_id[i], gpu[k], gpu_milli[i], round_index
            while old < len(held) and (
                held[old, 0] < job_id[i] or (held[old, 0] == job_id[i] and held[old, 1] < gpu[k])
            ):
                old += 1
            if old < len(held) and held[old, 0] == job_id[i] and held[old, 1] == gpu[k]:
                now[k, 3] = held[old, 3]
                over[old] = False
    ended = np.flatnonzero(over)
    by_gpu = held[ended, 1].astype(np.float64)
    order = np.arange(len(ended))
    sort_descending(order, -by_gpu, -by_gpu, -by_gpu)  # stable, so equal GPUs stay by job id
    return now, held[ended[order]]


KERNELS: Final = (place_strided, count_leases, keep_rows, change_holders)
