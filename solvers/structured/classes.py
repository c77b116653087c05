"""Equal jobs as one: lossless, because the optimum is concave and equal jobs may share alike.

Jobs whose rows agree in every figure form a class of n jobs: one variable that takes n times the GPUs, is rewarded n
times for a unit of gain, and pays n times for a move.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.profiling.jit.kernel import inner, kernel
from phasewise.profiling.jit.layouts import IntVector, Matrix, Vector

Floats = npt.NDArray[np.float64]

_SAMPLE: Final = 128
_LEAST_JOBS: Final = 64
_WORTHWHILE: Final = 0.8  # of the jobs: above, looking for equals costs more than having fewer rows saves


class Classes(NamedTuple):
    """Which jobs are equal: (J,) the class of each, (C,) one job of each class and how many it has."""

    of_job: IntVector
    example: IntVector
    size: Vector


def equal_jobs(parts: tuple[Floats, ...]) -> Classes | None:
    """Return the classes of equal jobs, or None where too few are equal, judging by a sample first.

    Parameters
    ----------
    parts
        What describes the jobs: arrays of J rows each.
    """
    jobs = parts[0].shape[0]
    if jobs < _LEAST_JOBS:
        return None
    step = jobs // _SAMPLE
    if step > 1:  # else the sample is all of them
        sample = np.concatenate([part[::step] for part in parts], axis=1)
        if group(sample)[1] > _WORTHWHILE * sample.shape[0]:
            return None
    of_job, count, example = group(np.concatenate(parts, axis=1))
    if count > _WORTHWHILE * jobs:
        return None
    return Classes(of_job, example[:count], np.bincount(of_job, minlength=count).astype(np.float64))


@inner
def row_hash(rows: Matrix, i: int) -> int:
    """Return a hash of row i, the same for equal figures (0 and -0 are equal)."""
    value = np.uint64(1469598103934665603)
    for j in range(rows.shape[1]):
        bits = np.float64(rows[i, j] + 0.0).view(np.uint64)
        value = (value ^ bits) * np.uint64(1099511628211)
        value ^= value >> np.uint64(29)
    return int(np.int64(value >> np.uint64(1)))


@inner
def same_row(rows: Matrix, i: int, k: int) -> bool:
    """Return whether two rows agree in every figure."""
    for j in range(rows.shape[1]):
        if rows[i, j] != rows[k, j]:
            return False
    return True


@kernel()
def group(rows: Matrix) -> tuple[IntVector, int, IntVector]:
    """Return (the class of each row, the number of classes, the first row of each class): open addressing."""
    jobs = rows.shape[0]
    slots = 4
    while slots < 2 * jobs:
        slots *= 2
    table = np.full(slots, -1, np.int64)
    of_job, example = np.empty(jobs, np.int64), np.empty(jobs, np.int64)
    count = 0
    for i in range(jobs):
        slot = row_hash(rows, i) & (slots - 1)
        while table[slot] >= 0 and not same_row(rows, example[table[slot]], i):
            slot = (slot + 1) & (slots - 1)
        if table[slot] < 0:
            table[slot] = count
            example[count] = i
            count += 1
        of_job[i] = table[slot]
    return of_job, count, example
