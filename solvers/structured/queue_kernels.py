"""Jobs into queues, a shortest path a job: the transport of `phasewise.solvers.structured.queues` in compiled loops.

A *place* is a position of a type's queues, counted from their end: as many jobs fit as the type has GPUs. With prices
of places, job i at the k-th place of a type pays k c_ij + price. In an optimal transport the places of a type before
the first with room are full and those after it empty; prices fall with k, ever more slowly, and are 0 from there on. So
what a job pays has one minimum along a type's places.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.profiling.jit.kernel import kernel, loop
from phasewise.profiling.jit.layouts import IntMatrix, IntVector, Matrix, Vector

NOWHERE: Final = -1


class Places(NamedTuple):
    """The places of all queues, P in number, those of a type one after another.

    ``first`` (W + 1,) where each type's begin; ``room`` (W,) jobs that fit into each of a type's places; ``open`` (W,)
    the first place of each type that has room; ``kind`` (P,) the type of each; ``price`` (P,). The ``filled`` (P,)
    members of a place, jobs, are listed in ``members`` (M,) from its ``slot`` (P,) on. ``spot`` and ``seat`` (J,) say
    where each job is: its place, and its index among the members; ``best`` (J, W), about where on each type it would
    pay least.
    """

    first: IntVector
    room: IntVector
    open: IntVector
    kind: IntVector
    price: Vector
    filled: IntVector
    members: IntVector
    slot: IntVector
    spot: IntVector
    seat: IntVector
    best: IntMatrix


class Paths(NamedTuple):
    """Shortest paths to places (P,) of one more job.

    ``length``, infinite where none is known, and minus infinity where it is final; ``final``, that length; ``by``, the
    job that goes there. ``heap`` has the places to look at, ``within`` where they stand in it; ``known`` lists the
    places that have a length.
    """

    length: Vector
    final: Vector
    by: IntVector
    heap: IntVector
    within: IntVector
    known: IntVector


class Reach(NamedTuple):
    """How far a search is: the nearest place with room, how far that is, and the sizes of heap and list of known."""

    end: int
    nearest: float
    waiting: int
    known: int


@loop
def rise(paths: Paths, place: int, size: int) -> int:
    """Put a place where it belongs in a heap of this size, into which it comes if need be; return the heap's size."""
    heap, within, length = paths.heap, paths.within, paths.length
    at = within[place]
    if at == NOWHERE:
        at = size
        size += 1
    while at > 0 and length[place] < length[heap[(at - 1) // 2]]:
        heap[at] = heap[(at - 1) // 2]
        within[heap[at]] = at
        at = (at - 1) // 2
    heap[at] = place
    within[place] = at
    return size


@loop
def take_first(paths: Paths, size: int) -> int:
    """Take the nearest place off a heap of this size and return it; its length is final."""
    heap, within, length = paths.heap, paths.within, paths.length
    first, last = heap[0], heap[size - 1]
    size -= 1
    at = 0
    while 2 * at + 1 < size:
        child = 2 * at + 1
        if child + 1 < size and length[heap[child + 1]] < length[heap[child]]:
            child += 1
        if not length[heap[child]] < length[last]:
            break
        heap[at] = heap[child]
        within[heap[at]] = at
        at = child
    if size > 0:
        heap[at] = last
        within[last] = at
    within[first] = NOWHERE
    paths.final[first] = length[first]
    length[first] = -np.inf
    return int(first)


@loop
def best_place(price: Vector, first: int, last: int, cost: float, place: int) -> int:
    """Return at which of the places from ``first`` to ``last`` a job of this cost a rank pays least: a walk downhill.

    From ``place``, where it was when last asked for: prices change by little from one job to the next.
    """
    place = min(max(place, first), last)
    while place < last and price[place] - price[place + 1] > cost:
        place += 1
    while place > first and price[place - 1] - price[place] <= cost:
        place -= 1
    return place


@loop
def approach(paths: Paths, i: int, place: int, length: float, waiting: int, known: int) -> tuple[int, int]:
    """Note that job i can go to a place at this length, if none is shorter; return the sizes of heap and list."""
    if not length < paths.length[place]:
        return waiting, known
    if paths.length[place] == np.inf:
        paths.known[known] = place
        known += 1
    paths.length[place] = length
    paths.by[place] = i
    return rise(paths, place, waiting), known


@loop
def look_around(
    places: Places, paths: Paths, cost: Matrix, i: int, base: float, found: Reach
) -> tuple[int, float, int, int]:
    """Approach, for job i, all places that are nearer than the nearest one with room; return a `Reach`.

    A place is at ``base + k c_ij + price``. The one where that is least and its neighbours are enough: to go further,
    it costs no more to push on from there, as the jobs of the places after it are no longer than this one on that
    type, and those of the places before it no shorter.
    """
    end, nearest, waiting, known = found
    price = places.price
    for kind in range(places.room.size):
        rate, first, last = cost[i, kind], places.first[kind], places.open[kind]
        if not rate < np.inf or places.room[kind] == 0:
            continue
        origin = base - (first - 1) * rate
        if origin + last * rate < nearest:
            end, nearest = last, origin + last * rate
            paths.by[last] = i
        best = places.spot[i]
        if best < first or best > last:
            best = best_place(price, first, last, rate, places.best[i, kind])
            places.best[i, kind] = best
        for place in range(max(best - 1, first), min(best + 2, last)):
            length = origin + place * rate + price[place]
            if length < nearest:
                waiting, known = approach(paths, i, place, length, waiting, known)
    return end, nearest, waiting, known


@loop
def put(places: Places, i: int, place: int) -> None:
    """Make job i a member of a place, leaving the one where it was."""
    old = places.spot[i]
    if old != NOWHERE:
        places.filled[old] -= 1
        last = places.members[places.slot[old] + places.filled[old]]
        places.members[places.slot[old] + places.seat[i]] = last
        places.seat[last] = places.seat[i]
    places.spot[i], places.seat[i] = place, places.filled[place]
    places.members[places.slot[place] + places.filled[place]] = i
    places.filled[place] += 1


@loop
def move_along(places: Places, paths: Paths, end: int) -> None:
    """Let everyone on the path to a place with room move on by one."""
    place = end
    while place != NOWHERE:
        i = paths.by[place]
        before = places.spot[i]
        put(places, i, place)
        place = before
    kind = places.kind[end]
    if places.filled[end] == places.room[kind]:
        places.open[kind] += 1


@loop
def forget(places: Places, paths: Paths, found: Reach) -> None:
    """Raise the prices of places whose length is final, up to the nearest place with room, and forget all lengths."""
    for n in range(found.known):
        place = paths.known[n]
        if paths.length[place] == -np.inf:
            places.price[place] += max(found.nearest - paths.final[place], 0.0)
        paths.length[place] = np.inf
        paths.within[place] = NOWHERE


@kernel(allocates=False)
def fill_queues(cost: Matrix, order: IntVector, places: Places, paths: Paths) -> int:
    """Give every job of ``order`` a place, so that all together pay least; return how many jobs were looked at.

    Parameters
    ----------
    cost
        (J, W) c_ij > 0 a rank, infinite where a job may not run.
    order
        Jobs that may run somewhere, longest first.
    places, paths
        Without members, and without lengths.
    """
    looks = 0
    for i in order:
        found = Reach(NOWHERE, np.inf, 0, 0)
        found = Reach(*look_around(places, paths, cost, i, 0.0, found))
        while found.waiting > 0 and paths.length[paths.heap[0]] < found.nearest:
            place = take_first(paths, found.waiting)
            found = Reach(found.end, found.nearest, found.waiting - 1, found.known)
            kind = places.kind[place]
            ahead = paths.final[place] - places.price[place]
            rank = place - places.first[kind] + 1
            for n in range(places.slot[place], places.slot[place] + places.filled[place]):
                other = places.members[n]
                found = Reach(*look_around(places, paths, cost, other, ahead - rank * cost[other, kind], found))
                looks += 1
        forget(places, paths, found)
        move_along(places, paths, found.end)
    return looks


@kernel(allocates=False)
def least_payments(cost: Matrix, first: IntVector, price: Vector, least: Vector) -> float:
    """Write min_jk (k c_ij + price of place k of type j) for each job (J,), 0 where it may run nowhere; return the sum.

    ``first`` (W + 1,) says where each type's places begin in ``price`` (P,), at least 0 and of any form.
    """
    total = 0.0
    for i in range(cost.shape[0]):
        best = np.inf
        for kind in range(cost.shape[1]):
            if cost[i, kind] < np.inf:
                for place in range(first[kind], first[kind + 1]):
                    payment = (place - first[kind] + 1) * cost[i, kind]
                    if payment >= best:
                        break  # prices are at least 0: further on it is no less
                    best = min(best, payment + price[place])
        least[i] = best if best < np.inf else 0.0
        total += least[i]
    return total


KERNELS: Final = (fill_queues, least_payments)
