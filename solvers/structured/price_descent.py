"""The dual simplex method in W prices: from any prices to an optimum of the sum of values, an exact line search a step.

The dual of the sum of values, given what all jobs do at prices p, is the convex, piecewise linear function
p . N + sum_i best_i(p). `descend` minimises it from vertex to vertex. A vertex is where W things hold at once: a job is
indifferent about a further point of its time (TIE), a type's price is 0 (SLACK), or, of the prices it starts from, a
price is what it was (PIN). `docs/explanation/structured-solvers.md` derives the method.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel, loop
from phasewise.profiling.jit.layouts import ByteVector, IntVector, Matrix, Vector
from phasewise.solvers.structured.mixes import (
    NONE,
    Jobs,
    Mixes,
    best_mix,
    exchange,
    next_turn,
    rate_at,
    reaches,
    share_of,
    turned,
)

PIN: Final = 0
SLACK: Final = 1
TIE: Final = 2

OPTIMAL: Final = 0
UNBOUNDED: Final = 1
"""The rates that are needed cannot all be had: prices may rise along the direction for ever."""
STALLED: Final = 2
"""Steps of no length: ties upon ties."""
SINGULAR: Final = 3
"""Rounding made the vertex meaningless."""
SPENT: Final = 4
"""Too many steps."""

_EPSILON: Final = 2.3e-16
_NOISE: Final = 64.0 * _EPSILON
_STANDSTILL: Final = 1e-14  # of the largest price
_SINGULAR: Final = 1e-11


class Basis(NamedTuple):
    """What holds at a vertex, W things, and what follows from them.

    ``kind`` (W,), ``job`` (W,), ``point`` (W,): a tie's job and point, a slack's or a pin's type. ``rows`` (W, W) and
    ``right`` (W,): each as an equation in prices, ``norm`` (W,) what it was divided by. ``inverse`` (W, W) of the rows.
    ``amount`` (W,) how much of each there is, in GPUs as far as its norm is 1, and ``noise`` (W,) what rounding may
    make of nothing. ``ties`` (J,) how many of them are a job's.
    """

    kind: ByteVector
    job: IntVector
    point: IntVector
    rows: Matrix
    right: Vector
    norm: Vector
    inverse: Matrix
    amount: Vector
    noise: Vector
    ties: ByteVector


class Turns(NamedTuple):
    """The next turn of each job (J,) along a direction, and the jobs (J,) that have one, as a heap."""

    when: Vector
    point: ByteVector
    speed: Vector
    heap: IntVector


class State(NamedTuple):
    """Where a descent is: (W,) prices, direction and GPUs used by the mixes, and the basis and the turns."""

    prices: Vector
    direction: Vector
    used: Vector
    basis: Basis
    turns: Turns


@loop
def pin_all(jobs: Jobs, mixes: Mixes, state: State) -> None:
    """Start at the state's prices: everything is pinned, every job has its best mix."""
    basis, types = state.basis, state.prices.size
    for j in range(types):
        basis.kind[j] = PIN if state.prices[j] > 0.0 else SLACK
        basis.point[j] = j
        basis.job[j] = -1
        basis.right[j] = state.prices[j]
    for i in range(jobs.use.size):
        mixes.upper[i], mixes.lower[i] = best_mix(jobs, state.prices, i)
        basis.ties[i] = 0


@loop
def count_use(jobs: Jobs, mixes: Mixes, used: Vector) -> None:
    """Write how many GPUs of each type (W,) the mixes take."""
    used[:] = 0.0
    for i in range(jobs.use.size):
        upper, lower = mixes.upper[i], mixes.lower[i]
        share = 1.0 if lower == NONE else share_of(jobs, i, upper, lower)
        if upper < used.size:
            used[upper] += jobs.use[i] * share
        if 0 <= lower < used.size:
            used[lower] += jobs.use[i] * (1.0 - share)


@loop
def add_part(jobs: Jobs, rows: Matrix, k: int, i: int, point: int, much: float) -> float:
    """Add the GPUs of job i's time at a point to a row, in jobs' GPUs, and return what that time is worth."""
    if not 0 <= point < rows.shape[1]:
        return 0.0
    rows[k, point] += much
    return float(much * jobs.value[i, point])


@loop
def write_row(jobs: Jobs, mixes: Mixes, basis: Basis, k: int) -> None:
    """Write the k-th equation: the exchange of a tie is worth nothing, or a price is what it is."""
    rows, types = basis.rows, basis.right.size
    for j in range(types):
        rows[k, j] = 0.0
    basis.norm[k] = 1.0
    if basis.kind[k] != TIE:
        rows[k, basis.point[k]] = 1.0
        return
    i, point = basis.job[k], basis.point[k]
    up, down = exchange(jobs, mixes, i, point)
    worth = add_part(jobs, rows, k, i, point, 1.0)
    worth += add_part(jobs, rows, k, i, mixes.upper[i], up)
    worth += add_part(jobs, rows, k, i, mixes.lower[i], down)
    norm = 0.0
    for j in range(types):
        norm = max(norm, abs(rows[k, j]))
    for j in range(types):
        rows[k, j] /= norm
    basis.right[k] = worth / (jobs.use[i] * norm)
    basis.norm[k] = norm * jobs.use[i]


@inner
def invert(rows: Matrix, inverse: Matrix) -> bool:
    """Write the inverse of a matrix (W, W), and return whether it has one to speak of."""
    types = rows.shape[0]
    left = rows.copy()
    inverse[:] = 0.0
    for k in range(types):
        inverse[k, k] = 1.0
    for column in range(types):
        best = column
        for k in range(column + 1, types):
            if abs(left[k, column]) > abs(left[best, column]):
                best = k
        if not abs(left[best, column]) > _SINGULAR:
            return False
        for j in range(types):
            left[column, j], left[best, j] = left[best, j], left[column, j]
            inverse[column, j], inverse[best, j] = inverse[best, j], inverse[column, j]
        pivot = 1.0 / left[column, column]
        for j in range(types):
            left[column, j] *= pivot
            inverse[column, j] *= pivot
        for k in range(types):
            much = left[k, column]
            if k != column and much != 0.0:
                for j in range(types):
                    left[k, j] -= much * left[column, j]
                    inverse[k, j] -= much * inverse[column, j]
    return True


@inner
def settle(jobs: Jobs, mixes: Mixes, capacity: Vector, state: State) -> bool:
    """Work out a vertex: its prices, and how much there is of each thing that holds. Return whether it could be done."""
    basis, types = state.basis, capacity.size
    for k in range(types):
        write_row(jobs, mixes, basis, k)
    if not invert(basis.rows, basis.inverse):
        return False
    count_use(jobs, mixes, state.used)
    for j in range(types):
        price = 0.0
        for k in range(types):
            price += basis.inverse[j, k] * basis.right[k]
        state.prices[j] = max(price, 0.0)
    for k in range(types):
        amount, noise = 0.0, 0.0
        for j in range(types):
            amount += basis.inverse[j, k] * (capacity[j] - state.used[j])
            noise += abs(basis.inverse[j, k]) * (capacity[j] + state.used[j])
        basis.amount[k], basis.noise[k] = amount, _NOISE * noise
    return True


@loop
def leaving(basis: Basis) -> int:
    """Return which of the things that hold to give up: of those there is less than nothing of, the steepest; else NONE.

    What is pinned must be given up where there is anything of it, in either direction.
    """
    best, most = NONE, 0.0
    for k in range(basis.amount.size):
        amount = basis.amount[k]
        lack = abs(amount) if basis.kind[k] == PIN else -amount
        if lack <= basis.noise[k]:
            continue
        length = 0.0
        for j in range(basis.amount.size):
            length += basis.inverse[j, k] * basis.inverse[j, k]
        if lack * lack > most * length:
            best, most = k, lack * lack / length
    return best


@loop
def left_over(jobs: Jobs, mixes: Mixes, basis: Basis, i: int) -> tuple[float, float, float]:
    """Return what is left of job i's mix once its ties have what they have, and what rounding may make of nothing.

    That is time at the upper point, and time at the lower one; where there is no lower one, how much faster it runs
    than it needs, relative to the upper point's rate.
    """
    upper, lower = mixes.upper[i], mixes.lower[i]
    share, fast = share_of(jobs, i, upper, lower), rate_at(jobs, i, upper)
    other, rate, error = 1.0 - share, fast - jobs.need[i], _NOISE
    for k in range(basis.amount.size):
        if basis.kind[k] == TIE and basis.job[k] == i:
            up, down = exchange(jobs, mixes, i, basis.point[k])
            much = basis.amount[k] / basis.norm[k]
            share += up * much
            other += down * much
            rate += much * (rate_at(jobs, i, basis.point[k]) - fast)
            error += (1.0 - up + abs(down)) * (basis.noise[k] / basis.norm[k] + _NOISE * abs(much))
    if lower == NONE:
        other = rate / fast if jobs.need[i] > 0.0 else 0.0
    return share, other, error


@loop
def swap(jobs: Jobs, mixes: Mixes, basis: Basis, i: int, point: int) -> bool:
    """Make a tie of job i part of its mix in place of ``point``, which becomes a tie; return whether there is one."""
    best, most = NONE, 0.0
    slow = point == mixes.lower[i] or point > jobs.rate.shape[1]  # a point that is too slow by itself takes its place
    for k in range(basis.amount.size):
        if basis.kind[k] != TIE or basis.job[k] != i:
            continue
        waste = basis.point[k] > jobs.rate.shape[1]
        fits = slow if waste else reaches(jobs, i, basis.point[k]) != slow
        if fits and basis.amount[k] / basis.norm[k] > most:
            best, most = k, basis.amount[k] / basis.norm[k]
    if best == NONE:
        return False
    incoming = basis.point[best]
    if not slow:
        mixes.upper[i] = incoming
    else:
        mixes.lower[i] = NONE if incoming > jobs.rate.shape[1] else incoming
    basis.point[best] = point
    return True


@loop
def exchange_keys(jobs: Jobs, mixes: Mixes, basis: Basis) -> int:
    """Swap out the point of a mix that has less than no time; return 1 if one was, 0 if there is none, -1 if stuck."""
    stuck = 0
    for k in range(basis.amount.size):
        if basis.kind[k] != TIE:
            continue
        i = basis.job[k]
        share, other, error = left_over(jobs, mixes, basis, i)
        if share >= -error and other >= -error:
            continue
        if share < -error and swap(jobs, mixes, basis, i, mixes.upper[i]):
            return 1
        second = mixes.lower[i] if mixes.lower[i] != NONE else jobs.rate.shape[1] + 1
        if other < -error and swap(jobs, mixes, basis, i, second):
            return 1
        stuck = -1
    return stuck


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
def find_turns(jobs: Jobs, mixes: Mixes, state: State, steepest: float) -> int:
    """Find every job's next turn along the direction, and return how many have one."""
    turns, size = state.turns, 0
    for i in range(jobs.use.size):
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
        if fall > 1e-12 * steepest and state.prices[j] < when * fall:
            when, which = state.prices[j] / fall, j
    return when, which


@loop
def search(jobs: Jobs, mixes: Mixes, state: State, slope: float) -> tuple[float, int, int]:
    """Go along the direction for as long as the dual falls; return (how far, job, point) of the tie at its lowest.

    The job is NONE where a price has become 0, of the type ``point``, and both are where it falls for ever. Jobs that
    turn before the end get their next mix.
    """
    steepest, turns = 0.0, state.turns
    for j in range(state.prices.size):
        steepest = max(steepest, abs(state.direction[j]))
    size = find_turns(jobs, mixes, state, steepest)
    end, free = free_of_charge(state, steepest)
    passed = 0.0
    while size > 0:
        i = turns.heap[0]
        if turns.when[i] >= end:
            break
        passed = max(passed, turns.when[i])
        upper, lower, much = turned(jobs, mixes, i, turns.point[i])
        change = turns.speed[i] * much
        slope += change
        if change > 0.0 and (slope >= 0.0 or state.basis.ties[i] > 0):
            return passed, i, turns.point[i]
        mixes.upper[i], mixes.lower[i] = upper, lower
        turns.when[i], turns.point[i], turns.speed[i] = next_turn(
            jobs, mixes, state.prices, state.direction, steepest, i
        )
        if turns.point[i] == NONE:
            size -= 1
            turns.heap[0] = turns.heap[size]
        if size > 0:
            sift_down(turns, size, 0)
    return max(end, 0.0), NONE, free


@loop
def point_along(basis: Basis, k: int, direction: Vector) -> float:
    """Write the direction (W,) in which the k-th thing is given up, and return the dual's slope along it."""
    sign = -1.0 if basis.kind[k] == PIN and basis.amount[k] > 0.0 else 1.0
    for j in range(direction.size):
        direction[j] = sign * basis.inverse[j, k]
    return float(sign * basis.amount[k])


@loop
def replace(basis: Basis, k: int, job: int, point: int) -> None:
    """Put a tie, or where ``job`` is NONE the price 0 of a type, in the place of the k-th thing."""
    basis.kind[k] = SLACK if job == NONE else TIE
    basis.job[k], basis.point[k] = job, point
    basis.right[k] = 0.0
    if job != NONE:
        basis.ties[job] += 1


@kernel()
def descend(jobs: Jobs, capacity: Vector, mixes: Mixes, state: State, limit: int) -> tuple[int, int]:
    """Go down from the state's prices to an optimum; return (how it ended, steps).

    Mixes and state then are those of the last vertex, and the direction is the last one.
    """
    basis = state.basis
    pin_all(jobs, mixes, state)
    steps, still = 0, 0
    while steps < limit:
        steps += 1
        if not settle(jobs, mixes, capacity, state):
            return SINGULAR, steps
        k = leaving(basis)
        if k == NONE:
            swapped = exchange_keys(jobs, mixes, basis)
            if swapped == 0:
                return OPTIMAL, steps
            if swapped < 0:
                return SINGULAR, steps
            continue
        if basis.kind[k] == TIE:
            basis.ties[basis.job[k]] -= 1
        slope = point_along(basis, k, state.direction)
        length, job, point = search(jobs, mixes, state, slope)
        if job == NONE and point == NONE:
            return UNBOUNDED, steps
        moved, largest = 0.0, 0.0
        for j in range(capacity.size):
            moved, largest = max(moved, abs(length * state.direction[j])), max(largest, state.prices[j])
        still = 0 if moved > _STANDSTILL * largest else still + 1
        if still > 4 * capacity.size + 8:
            return STALLED, steps
        replace(basis, k, job, point)
    return SPENT, steps


KERNELS: Final = (descend,)
