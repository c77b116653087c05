"""How much of a node's idle GPU capacity the typical tasks cannot use: F_n(M), by classes and by tables.

Source: FGD (ATC'23). `by_class` is the definition. The tables give the same in a look-up a GPU: what a node can still
be used for is a sum over its GPUs, G, and F_n(M) = T - G with T the idle capacity.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from enum import IntEnum
from functools import cache
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.profiling.jit.layouts import FlagMatrix, IntCube, IntVector, Vector
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request, TaskDistribution
from phasewise.sched.nodes.compilable import compilable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

SIGN_BITS: Final = 62  # of an int64, less one for the sum of two that are as large as can be
NEAR_BITS: Final = 20  # a gradient within 2**-20 milli of where the score changes lies on it: it is 0 but for rounding
SCALE_MILLI: Final = 1000.0  # the gradient that moves the sigmoid by 1


class Fragment(IntEnum):
    """Why idle GPU capacity of a node is of no use to a task, in the order in which the original adds them up."""

    LACK_BOTH = 0  # q1
    LACK_GPU = 1  # q2; for a task that fits, the GPUs with too little left for it
    SATISFIED = 2  # q3: of use, no fragment
    LACK_CPU = 3  # q4
    NO_GPU_TASK = 4  # xl: the task needs no GPU
    NO_GPU_TASK_LACK_CPU = 5  # xr
    NO_ACCESS = 6  # the task may not run on GPUs of this type


def by_class(cpu_left: int, gpu_left: Sequence[int], worker_type: str, tasks: TaskDistribution) -> Floats:
    """Return (7,) milli of a node's idle GPU capacity by class of `Fragment`, weighted by the tasks' shares.

    Parameters
    ----------
    cpu_left
        Milli-CPU.
    gpu_left
        Thousandths left of each GPU of the node.
    worker_type
        Of the node.
    """
    amounts = np.zeros(len(Fragment))
    idle = sum(gpu_left)
    for task, share in zip(tasks.requests, tasks.share.tolist(), strict=True):
        kind = _class_of(cpu_left, gpu_left, worker_type, task)
        stranded = 0
        if kind is Fragment.SATISFIED:
            stranded = sum(left for left in gpu_left if left < task.gpu_milli)
            amounts[Fragment.LACK_GPU] += share * stranded
        amounts[kind] += share * (idle - stranded)
    return amounts


def _class_of(cpu_left: int, gpu_left: Sequence[int], worker_type: str, task: Request) -> Fragment:
    enough_cpu = cpu_left >= task.cpu_milli
    if task.gpus == 0:
        return Fragment.NO_GPU_TASK if enough_cpu else Fragment.NO_GPU_TASK_LACK_CPU
    if not task.admits(worker_type):
        return Fragment.NO_ACCESS
    if sum(left >= task.gpu_milli for left in gpu_left) >= task.gpus:
        return Fragment.SATISFIED if enough_cpu else Fragment.LACK_CPU
    return Fragment.LACK_GPU if enough_cpu else Fragment.LACK_BOTH


def fragmented_milli(amounts: Floats) -> float:
    """Return F_n(M), milli, out of the amounts by class: all but what is of use, added in the original's order."""
    total = 0.0
    for kind in Fragment:
        if kind is not Fragment.SATISFIED:
            total += float(amounts[kind])
    return total


class Typical(NamedTuple):
    """The typical tasks as arrays. M tasks, W worker types."""

    cpu: IntVector  # (M,) milli
    milli: IntVector  # (M,) thousandths of each GPU
    gpus: IntVector  # (M,)
    share: Vector  # (M,)
    admitted: FlagMatrix  # (M, W)

    @classmethod
    def of(cls, tasks: TaskDistribution, worker_types: Sequence[str]) -> Typical:
        """Return the arrays of a distribution."""
        figures = np.array([task[:3] for task in tasks.requests], np.int64).reshape(-1, 3)
        cpu, milli, gpus = np.ascontiguousarray(figures.T)
        admitted = [[task.admits(name) for name in worker_types] for task in tasks.requests]
        return cls(cpu, milli, gpus, tasks.share, np.array(admitted, np.bool_).reshape(-1, len(worker_types)))


class Tables(NamedTuple):
    """What a node can still be used for, ready to be looked up, in fixed point.

    The amounts are integers, milli times `unit`: sums are exact in any order, and a placement that changes nothing has
    a gradient of exactly 0. Only the tasks' shares are rounded, to the precision of a float64.

    Attributes
    ----------
    cpu_steps
        (R,) distinct CPU requests of the typical GPU tasks, ascending, milli; a node's rank is how many of them it can
        meet.
    single
        (W, R + 1, 1001): what a GPU of each type with so much left, on a node of each rank, is of use to tasks of one
        GPU.
    several
        (W, R + 1, D + 1): what so many free GPUs are of use to tasks of several GPUs.
    whole
        The sum of all shares.
    unit
        What 1 stands for: a power of two.
    thresholds
        (101,) least gradient, in milli times unit, of each score from 0 to 100.
    """

    cpu_steps: IntVector
    single: IntCube
    several: IntCube
    whole: int
    unit: int
    thresholds: IntVector


def build_tables(tasks: TaskDistribution, worker_types: Sequence[str], most_gpus: int) -> Tables:
    """Return the tables for nodes of these types with at most ``most_gpus`` GPUs.

    Raises
    ------
    ValueError
        If a task asks for parts of several GPUs, or for more than a whole one.
    """
    unit = 1 << (SIGN_BITS - (WHOLE_MILLI * most_gpus).bit_length())
    shares = [round(share * unit) for share in tasks.share.tolist()]
    cpu_steps = np.unique(np.array([task.cpu_milli for task in tasks.requests if task.gpus], np.int64))
    shape = (len(worker_types), len(cpu_steps) + 1)
    single = np.zeros((*shape, WHOLE_MILLI + 1), np.int64)
    several = np.zeros((*shape, most_gpus + 1), np.int64)
    for task, share in zip(tasks.requests, shares, strict=True):
        _require_possible(task)
        kinds = [index for index, name in enumerate(worker_types) if task.admits(name)]
        rank = int(np.searchsorted(cpu_steps, task.cpu_milli)) + 1
        if task.gpus == 1:
            single[kinds, rank, task.gpu_milli] += share
        elif 1 < task.gpus <= most_gpus:
            several[kinds, rank, task.gpus] += share
    for table in (single, several):  # a task that asks for less CPU, and for less of a GPU or fewer, is served as well
        np.cumsum(table, axis=1, out=table)
        np.cumsum(table, axis=2, out=table)
    single *= np.arange(WHOLE_MILLI + 1)
    several *= WHOLE_MILLI * np.arange(most_gpus + 1)
    return Tables(cpu_steps, single, several, sum(shares), unit, score_thresholds(unit))


def _require_possible(task: Request) -> None:
    if task.gpus > 1 and task.gpu_milli != WHOLE_MILLI:
        raise ValueError(f"{task}: several GPUs must be whole ones ({WHOLE_MILLI} milli each)")
    if task.gpus == 1 and not 0 < task.gpu_milli <= WHOLE_MILLI:
        raise ValueError(f"{task}: a task takes 1 to {WHOLE_MILLI} milli of a GPU")


@compilable
def score_of(gradient_milli: float) -> int:
    """Return the score, 0 to 100, of a placement that lowers fragmentation by so much: 100 x sigmoid, truncated."""
    scaled = gradient_milli / SCALE_MILLI
    return 0 if scaled < -700.0 else int(100 * (1.0 / (1.0 + math.exp(-scaled))))


@cache
def score_thresholds(unit: int) -> Ints:
    """Return (101,) the least gradient of each score, in milli times ``unit``; 2**62 where none reaches it.

    No change at all is a score of 50, and so is a loss that is nothing but the rounding of the shares.
    """
    limit = 1 << SIGN_BITS
    thresholds = np.full(101, limit)
    thresholds[0] = -limit
    for score in range(1, 101):
        low, high = int(thresholds[score - 1]), limit
        if score_of(high / unit) < score:
            break
        while low < high:
            middle = (low + high) // 2
            low, high = (low, middle) if score_of(middle / unit) >= score else (middle + 1, high)
        thresholds[score] = low
    thresholds[50] = -(unit >> NEAR_BITS)
    return thresholds


# What follows is compiled as well (see `kernels`): plain loops over arrays.


@compilable
def cpu_rank(cpu_steps: IntVector, cpu_left: int) -> int:
    """Return how many of the ascending ``cpu_steps`` are met."""
    low, high = 0, len(cpu_steps)
    while low < high:
        middle = (low + high) // 2
        if cpu_steps[middle] <= cpu_left:
            low = middle + 1
        else:
            high = middle
    return low


@compilable
def integer_score(thresholds: IntVector, gradient: int) -> int:
    """Return the score, 0 to 100, of a gradient in fixed point."""
    low, high = 1, len(thresholds)
    while low < high:
        middle = (low + high) // 2
        if thresholds[middle] <= gradient:
            low = middle + 1
        else:
            high = middle
    return low - 1


@compilable
def has_score(thresholds: IntVector, gradient: int, score: int) -> bool:
    """Return whether `integer_score` of a gradient is ``score``."""
    if score > 0 and thresholds[score] > gradient:
        return False
    return score + 1 == len(thresholds) or bool(thresholds[score + 1] > gradient)


@compilable
def on_threshold(tables: Tables, score: int | Ints, gradient: int | Ints) -> bool | Bools:
    """Return whether a gradient of that score lies so near where the score changes that rounding would decide.

    Works on arrays as well.
    """
    near = 2 * (tables.unit >> NEAR_BITS)
    above = tables.thresholds[np.minimum(score + 1, 100)]
    return (gradient - tables.thresholds[score] <= near) | (above - gradient <= near)


@compilable
def stranded_milli(left: IntVector, milli: int, gpus: int) -> int:
    """Return what is left on GPUs with too little for a task, -1 where it finds too few with enough."""
    fitting, stranded = 0, 0
    for d in range(len(left)):
        if left[d] >= milli:
            fitting += 1
        else:
            stranded += left[d]
    return stranded if fitting >= gpus else -1


@compilable
def class_ordered(typical: Typical, kind: int, cpu_left: int, left: IntVector) -> float:
    """Return F_n(M), milli, of a node of that type with ``left`` (D,) of its GPUs, as the original adds it up.

    Every class sums in the order of the tasks, and the classes follow in the order of `Fragment`. Two nodes that are
    equally fragmented may so differ in the last bit.
    """
    lack_both, lack_gpu, lack_cpu, no_gpu_task, no_gpu_task_lack_cpu, no_access = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
    idle = 0
    for d in range(len(left)):
        idle += left[d]
    for m in range(len(typical.cpu)):
        share, milli = typical.share[m], typical.milli[m]
        enough_cpu = cpu_left >= typical.cpu[m]
        if typical.gpus[m] == 0:
            if enough_cpu:
                no_gpu_task += share * idle
            else:
                no_gpu_task_lack_cpu += share * idle
        elif not typical.admitted[m, kind]:
            no_access += share * idle
        else:
            stranded = stranded_milli(left, milli, typical.gpus[m])
            if enough_cpu:
                lack_gpu += share * (idle if stranded < 0 else stranded)
            elif stranded < 0:
                lack_both += share * idle
            else:
                lack_cpu += share * idle
    return float(((((lack_both + lack_gpu) + lack_cpu) + no_gpu_task) + no_gpu_task_lack_cpu) + no_access)
