"""Who is chosen, type by type, in order of priority: a compiled loop that looks closely at few of many jobs.

Its plain reference is in `tests/differential/test_kernels_against_reference.py`, which it must equal.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel, loop
from phasewise.profiling.jit.layouts import FlagVector, IntMatrix, IntVector, Matrix, Vector
from phasewise.sched.round.kernels import sort_descending

NOWHERE: Final = -np.inf  # below any priority
SAMPLE: Final = 128  # jobs of which one learns where to begin
MOST: Final = 2.0  # times what is left: where no more is asked for, all are sorted
ENOUGH: Final = 1.25  # times what is left: so much may those ask for who are looked at first


@loop
def precedes(a: int, b: int, first: Vector, second: Vector, third: Vector) -> bool:
    """Return whether index a comes before index b by (first, second, third) descending, then by index."""
    if first[a] != first[b]:
        return bool(first[a] > first[b])
    if second[a] != second[b]:
        return bool(second[a] > second[b])
    if third[a] != third[b]:
        return bool(third[a] > third[b])
    return a < b


@loop
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


@loop
def make_heap(heap: IntVector, size: int, first: Vector, second: Vector, third: Vector) -> None:
    """Order the first ``size`` indices such that `sink` keeps the one on top that stands first."""
    for at in range(size // 2 - 1, -1, -1):
        sink(heap, at, size, first, second, third)


@loop
def goes_before(i: int, pivot: int, t: int, priority: Matrix, deficit_s: Matrix, x: Matrix) -> bool:
    """Return whether job i comes before job ``pivot``, or is it, in the order in which type t is filled."""
    if priority[i, t] != priority[pivot, t]:
        return bool(priority[i, t] > priority[pivot, t])
    if deficit_s[i, t] != deficit_s[pivot, t]:
        return bool(deficit_s[i, t] > deficit_s[pivot, t])
    if x[i, t] != x[pivot, t]:
        return bool(x[i, t] > x[pivot, t])
    return i <= pivot


@loop
def may_come(
    k: int, i: int, t: int, after: int, least: float, left: float, priority: Matrix, deficit_s: Matrix, x: Matrix,
    speed: Matrix, demand: Vector,
) -> bool:  # fmt: skip
    """Return whether the k-th of those asked, job i, fits, is above ``least``, and comes after the job ``after``."""
    if demand[i] > left or not priority[i, t] > least or not speed[k, t] > 0.0:
        return False
    return after < 0 or not goes_before(i, after, t, priority, deficit_s, x)


@inner
def pivot_of(
    t: int, after: int, least: float, left: float, wanted: float, among: IntVector, taken: FlagVector,
    priority: Matrix, deficit_s: Matrix, x: Matrix, speed: Matrix, demand: Vector,
) -> int:  # fmt: skip
    """Return the job up to which, as a sample tells, they ask for somewhat more than is wanted; -1 where all may come.

    Whichever it is, the choice is the same: those behind it come after those before.
    """
    step = len(among) // SAMPLE
    if step < 2:
        return -1
    sample = np.empty(len(among) // step + 1, np.int64)
    count = 0
    for k in range(0, len(among), step):
        if not taken[k] and may_come(k, among[k], t, after, least, left, priority, deficit_s, x, speed, demand):
            sample[count] = among[k]
            count += 1
    sample = sample[:count]
    first, second, third = priority[sample, t], deficit_s[sample, t], x[sample, t]
    order = np.arange(count)
    sort_descending(order, first, second, third)
    asked = 0.0
    for at in order:
        asked += demand[sample[at]] * step
        if asked > ENOUGH * wanted:
            return int(sample[at])
    return -1


@loop
def gather(
    t: int, after: int, pivot: int, least: float, left: float, among: IntVector, taken: FlagVector,
    priority: Matrix, deficit_s: Matrix, x: Matrix, speed: Matrix, demand: Vector, found: IntVector,
) -> int:  # fmt: skip
    """Write into ``found`` the places in ``among`` of those who may come up to ``pivot``; return how many."""
    size = 0
    for k in range(len(among)):
        i = among[k]
        if demand[i] > left or taken[k] or (pivot >= 0 and not goes_before(i, pivot, t, priority, deficit_s, x)):
            continue
        if may_come(k, i, t, after, least, left, priority, deficit_s, x, speed, demand):
            found[size] = k
            size += 1
    return size


@loop
def gather_all(
    type_order: IntVector, pivot: IntVector, floor: Vector, least: float, capacity: Vector, among: IntVector,
    priority: Matrix, deficit_s: Matrix, x: Matrix, speed: Matrix, demand: Vector, found: IntMatrix, size: IntVector,
) -> None:  # fmt: skip
    """Do the same for all types in one look, before anybody is taken: up to each type's ``pivot`` (W',).

    ``floor`` (W',) are the priorities of the pivots there.
    """
    size[:] = 0
    for k in range(len(among)):
        i = among[k]
        for n in range(len(type_order)):
            t = type_order[n]
            if not priority[i, t] >= floor[n]:
                continue
            if pivot[n] >= 0 and not goes_before(i, pivot[n], t, priority, deficit_s, x):
                continue
            if may_come(k, i, t, -1, least, capacity[t], priority, deficit_s, x, speed, demand):
                found[n, size[n]] = k
                size[n] += 1


@loop
def keep_fitting(heap: IntVector, size: int, demand: Vector, left: float) -> int:
    """Drop from ``heap`` who asks for more than is left; return how many stay."""
    fitting = 0
    for at in range(size):
        if demand[heap[at]] <= left:
            heap[fitting] = heap[at]
            fitting += 1
    return fitting


@inner
def take_in_order(
    first: Vector, second: Vector, third: Vector, demand: Vector, left: float, taken: IntVector
) -> tuple[int, float]:
    """Write into ``taken`` the indices of who gets something of what is left, in order; return how many, what is left.

    By (first, second, third) descending, then by index; who does not fit is passed over. Where most get something, all
    are sorted. Otherwise indices come off a heap, so that those behind need not be sorted; as soon as one does not fit,
    all that do not are dropped: what is left only shrinks.
    """
    heap, size, count = np.arange(len(first)), len(first), 0
    if demand.sum() <= MOST * left:
        sort_descending(heap, first, second, third)
        for at in heap:
            if demand[at] <= left:
                left -= demand[at]
                taken[count] = at
                count += 1
        return count, left
    make_heap(heap, size, first, second, third)
    while size > 0 and left > 0.0:
        at = heap[0]
        if demand[at] > left:
            size = keep_fitting(heap, size, demand, left)
            make_heap(heap, size, first, second, third)
            continue
        size -= 1
        heap[0] = heap[size]
        sink(heap, 0, size, first, second, third)
        left -= demand[at]
        taken[count] = at
        count += 1
    return count, left


@inner
def first_look(
    type_order: IntVector, least: float, capacity: Vector, among: IntVector, taken: FlagVector,
    priority: Matrix, deficit_s: Matrix, x: Matrix, speed: Matrix, demand: Vector,
) -> tuple[IntVector, IntMatrix, IntVector]:  # fmt: skip
    """Return the pivot of the first tier of each type (W',), and who is in it: (W', R) places in ``among``, how many.

    Nobody is taken yet, so whom earlier types may take is among those of later ones, and does not count there.
    """
    types = len(type_order)
    pivots, sizes, floors = np.empty(types, np.int64), np.empty(types, np.int64), np.full(types, NOWHERE)
    found, ahead = np.empty((types, len(among)), np.int64), 0.0
    for n in range(types):
        t = type_order[n]
        ahead += capacity[t]
        pivots[n] = pivot_of(t, -1, least, capacity[t], ahead, among, taken, priority, deficit_s, x, speed, demand)
        if pivots[n] >= 0:
            floors[n] = priority[pivots[n], t]
    gather_all(type_order, pivots, floors, least, capacity, among, priority, deficit_s, x, speed, demand, found, sizes)
    return pivots, found, sizes


@kernel()
def select_jobs(
    type_order: IntVector,
    among: IntVector,
    priority: Matrix,
    deficit_s: Matrix,
    x: Matrix,
    speed: Matrix,
    demand: Vector,
    capacity: Vector,
    positive_only: bool,
    chosen_row: IntVector,
    chosen_type: IntVector,
) -> int:
    """Choose this round's jobs, type by type, and return how many; rows and types go into ``chosen_*`` (R,).

    ``among`` (R,) are the rows that may be chosen, ascending, ``speed`` (R, W) is theirs; the other arrays are of all
    jobs. ``demand`` (J,) and ``capacity`` (W,) are in thousandths of a GPU: whole numbers, so that parts add up
    exactly. Within a type: by (priority, deficit, x) descending, ties in order of arrival. A job that does not fit
    is passed over, so smaller ones behind it fill the gap (backfilling). Candidates are taken in tiers, the most urgent
    first, and a tier is looked at where those above it leave something that the smallest job could use.
    """
    smallest, least = np.inf, 0.0 if positive_only else NOWHERE
    for i in among:
        smallest = min(smallest, demand[i])
    taken, got = np.zeros(len(among), np.bool_), np.empty(len(among), np.int64)
    pivots, found, sizes = first_look(type_order, least, capacity, among, taken, priority, deficit_s, x, speed, demand)
    chosen = 0
    for n in range(len(type_order)):
        t, pivot, size, left = type_order[n], pivots[n], sizes[n], capacity[type_order[n]]
        while True:
            asked = found[n, :size]
            asked = asked[~taken[asked]]
            rows = among[asked]
            first, second, third = priority[rows, t], deficit_s[rows, t], x[rows, t]
            count, left = take_in_order(first, second, third, demand[rows], left, got)
            for at in got[:count]:
                chosen_row[chosen], chosen_type[chosen] = rows[at], t
                taken[asked[at]] = True
                chosen += 1
            if pivot < 0 or left <= 0.0 or left < smallest:
                break
            after = pivot
            pivot = pivot_of(t, after, least, left, left, among, taken, priority, deficit_s, x, speed, demand)
            size = gather(t, after, pivot, least, left, among, taken, priority, deficit_s, x, speed, demand, found[n])
    return chosen


KERNELS: Final = (select_jobs,)
