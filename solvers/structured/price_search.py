"""Along a direction of prices for as long as the dual of the sum of values falls, from turn to turn of the jobs.

Few jobs turn on the way: those that are near a turn at the prices around which the search goes. How far a job is from
its next turn, whatever the direction, is its margin; while no price has moved by more than the radius, a job with a
larger margin cannot have turned, and is not looked at.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.profiling.jit.kernel import inner, loop
from phasewise.profiling.jit.layouts import ByteVector, IntVector, Vector
from phasewise.solvers.structured.mixes import NONE, JobValues, Mixes, margin_of, next_turn, share_of, turned
from phasewise.solvers.structured.price_vertex import Basis

_FEW: Final = 8  # jobs of each type that are near at first
_JOBS_PER_NEAR: Final = 64
_GROWTH: Final = 4
_CLOSE: Final = 1.0 - 1e-9  # of the radius
_LEVEL: Final = 1e-12  # relative: a price that falls less than this stays what it is


class Turns(NamedTuple):
    """The next turn of each job (J,) along a direction, and the jobs (J,) that have one, as a heap."""

    when: Vector
    point: ByteVector
    speed: Vector
    heap: IntVector


class Nearby(NamedTuple):
    """The jobs that may turn while prices stay around a centre.

    ``jobs`` (J,), of which the first ``size`` (1,) are near; ``centre`` (W,) prices and ``radius`` (1,); ``margin``
    (J,) of each job; ``base`` (W,) the GPUs that all others take.
    """

    jobs: IntVector
    size: IntVector
    centre: Vector
    radius: Vector
    margin: Vector
    base: Vector


class State(NamedTuple):
    """Where a descent is: (W,) prices, direction and GPUs used by the mixes, and what belongs to them."""

    prices: Vector
    direction: Vector
    used: Vector
    basis: Basis
    turns: Turns
    nearby: Nearby


@loop
def add_use(jobs: JobValues, mixes: Mixes, i: int, used: Vector) -> None:
    """Add the GPUs of each type (W,) that job i's mix takes."""
    upper, lower = mixes.upper[i], mixes.lower[i]
    share = share_of(jobs, i, upper, lower)
    if upper < used.size:
        used[upper] += jobs.use[i] * share
    if 0 <= lower < used.size:
        used[lower] += jobs.use[i] * (1.0 - share)


@loop
def count_use(jobs: JobValues, mixes: Mixes, state: State) -> None:
    """Write the GPUs of each type that all mixes take."""
    for j in range(state.used.size):
        state.used[j] = state.nearby.base[j]
    for n in range(state.nearby.size[0]):
        add_use(jobs, mixes, state.nearby.jobs[n], state.used)


@inner
def gather(jobs: JobValues, mixes: Mixes, state: State, size: int) -> None:
    """Make the ``size`` jobs of the least margins near, and those with a tie; prices are around the centre."""
    nearby, count = state.nearby, jobs.use.size
    for i in range(count):
        nearby.margin[i] = margin_of(jobs, mixes, nearby.centre, i)
    nearby.radius[0] = np.inf if size >= count else np.partition(nearby.margin, size)[size]
    near = 0
    nearby.base[:] = 0.0
    for i in range(count):
        if nearby.margin[i] <= nearby.radius[0] or state.basis.ties[i] > 0:
            nearby.jobs[near] = i
            near += 1
        else:
            add_use(jobs, mixes, i, nearby.base)
    nearby.size[0] = near


@inner
def gather_first(jobs: JobValues, mixes: Mixes, state: State) -> None:
    """Make the jobs near that are so at the state's prices."""
    state.nearby.centre[:] = state.prices
    gather(jobs, mixes, state, _FEW * state.prices.size + jobs.use.size // _JOBS_PER_NEAR)


@inner
def gather_further(jobs: JobValues, mixes: Mixes, state: State, length: float) -> None:
    """Make more jobs near, around where a search is."""
    for j in range(state.prices.size):
        state.nearby.centre[j] = state.prices[j] + length * state.direction[j]
    gather(jobs, mixes, state, _GROWTH * max(state.nearby.size[0], 1))


@loop
def sift_down(turns: Turns, size: int, start: int) -> None:
    """Move a job of the heap down to where it belongs."""
    heap, when = turns.heap, turns.when
    place, i = start, heap[start]
    while 2 * place + 1 < size:
        child = 2 * place + 1
        if child + 1 < size and when[heap[child + 1]] < when[heap[child]]:
            child += 1
        if not when[heap[child]] < when[i]:
            break
        heap[place] = heap[child]
        place = child
    heap[place] = i


@loop
def find_turns(jobs: JobValues, mixes: Mixes, state: State, steepest: float) -> int:
    """Find the next turn along the direction of every job that is near, and return how many have one."""
    turns, size = state.turns, 0
    for n in range(state.nearby.size[0]):
        i = state.nearby.jobs[n]
        turns.when[i], turns.point[i], turns.speed[i] = next_turn(
            jobs, mixes, state.prices, state.direction, steepest, i
        )
        if turns.point[i] != NONE:
            turns.heap[size] = i
            size += 1
    for place in range(size // 2 - 1, -1, -1):
        sift_down(turns, size, place)
    return size


@loop
def free_of_charge(state: State, steepest: float) -> tuple[float, int]:
    """Return how far along the direction the first price becomes 0, and the type; infinite and NONE where none does."""
    when, which = np.inf, NONE
    for j in range(state.prices.size):
        fall = -state.direction[j]
        if fall > _LEVEL * steepest and state.prices[j] < when * fall:
            when, which = state.prices[j] / fall, j
    return when, which


@loop
def limit_of(state: State) -> float:
    """Return how far along the direction prices are still around the centre."""
    limit, radius = np.inf, _CLOSE * state.nearby.radius[0]
    for j in range(state.prices.size):
        step, off = state.direction[j], state.prices[j] - state.nearby.centre[j]
        if step != 0.0:
            limit = min(limit, (radius - off) / step if step > 0.0 else (radius + off) / -step)
    return max(limit, 0.0)


@loop
def turn_first(jobs: JobValues, mixes: Mixes, state: State, steepest: float, size: int) -> int:
    """Give the job that turns first its next mix, and return how many then have a turn to come."""
    turns = state.turns
    i = turns.heap[0]
    upper, lower, _ = turned(jobs, mixes, i, turns.point[i])
    mixes.upper[i], mixes.lower[i] = upper, lower
    turns.when[i], turns.point[i], turns.speed[i] = next_turn(jobs, mixes, state.prices, state.direction, steepest, i)
    if turns.point[i] == NONE:
        size -= 1
        turns.heap[0] = turns.heap[size]
    if size > 0:
        sift_down(turns, size, 0)
    return size


@inner
def search(jobs: JobValues, mixes: Mixes, state: State, slope: float) -> tuple[float, int, int]:
    """Go along the direction for as long as the dual falls; return (how far, job, point) of the tie at its lowest.

    The job is NONE where a price has become 0, of the type ``point``, and both are where it falls for ever. Jobs that
    turn before the end get their next mix. ``slope`` is that of the dual at the start.
    """
    steepest, turns = 0.0, state.turns
    for j in range(state.prices.size):
        steepest = max(steepest, abs(state.direction[j]))
    end, free = free_of_charge(state, steepest)
    passed = 0.0
    while True:
        limit, size = limit_of(state), find_turns(jobs, mixes, state, steepest)
        while size > 0 and turns.when[turns.heap[0]] < min(end, limit):
            i = turns.heap[0]
            passed = max(passed, turns.when[i])
            _, _, much = turned(jobs, mixes, i, turns.point[i])
            change = turns.speed[i] * much
            slope += change
            if change > 0.0 and (slope >= 0.0 or state.basis.ties[i] > 0):
                return passed, i, turns.point[i]
            size = turn_first(jobs, mixes, state, steepest, size)
        if limit >= end or limit == np.inf:
            return max(end, 0.0), NONE, free
        gather_further(jobs, mixes, state, limit)
