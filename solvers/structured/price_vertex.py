"""A vertex of the dual of the sum of values: W things that hold at once, as equations in the types' prices."""

from __future__ import annotations

from typing import Final, NamedTuple

from phasewise.profiling.jit.kernel import inner, loop
from phasewise.profiling.jit.layouts import ByteVector, IntVector, Matrix, Vector
from phasewise.solvers.structured.mixes import NONE, JobValues, Mixes, exchange, rate_at, reaches, share_of

PIN: Final = 0
"""A price is what it was at the start."""
SLACK: Final = 1
"""A type's price is 0."""
TIE: Final = 2
"""A job is indifferent about some of its time at a further point."""

_NOISE: Final = 64.0 * 2.3e-16
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


@loop
def add_part(jobs: JobValues, rows: Matrix, k: int, i: int, point: int, much: float) -> float:
    """Add the GPUs of job i's time at a point to a row, in jobs' GPUs, and return what that time is worth."""
    if not 0 <= point < rows.shape[1]:
        return 0.0
    rows[k, point] += much
    return float(much * jobs.value[i, point])


@loop
def write_row(jobs: JobValues, mixes: Mixes, basis: Basis, k: int) -> None:
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


@loop
def eliminate(left: Matrix, inverse: Matrix, column: int) -> bool:
    """Make a column of ``left`` that of the unit matrix, doing the same to ``inverse``; return False for no pivot."""
    types, best = left.shape[0], column
    for k in range(column + 1, types):
        if abs(left[k, column]) > abs(left[best, column]):
            best = k
    if not abs(left[best, column]) > _SINGULAR:
        return False
    pivot = 1.0 / left[best, column]
    for j in range(types):
        left[column, j], left[best, j] = left[best, j], left[column, j]
        inverse[column, j], inverse[best, j] = inverse[best, j], inverse[column, j]
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
def invert(rows: Matrix, inverse: Matrix) -> bool:
    """Write the inverse of a matrix (W, W), and return whether it has one to speak of."""
    left = rows.copy()
    inverse[:] = 0.0
    for k in range(rows.shape[0]):
        inverse[k, k] = 1.0
    for column in range(rows.shape[0]):
        if not eliminate(left, inverse, column):
            return False
    return True


@inner
def settle(jobs: JobValues, mixes: Mixes, capacity: Vector, used: Vector, basis: Basis, prices: Vector) -> bool:
    """Work out a vertex: its prices (W,), and how much there is of each thing that holds. Return whether it worked.

    ``capacity`` and ``used`` (W,) are all GPUs, and those that the jobs' mixes take.
    """
    types = capacity.size
    for k in range(types):
        write_row(jobs, mixes, basis, k)
    if not invert(basis.rows, basis.inverse):
        return False
    for j in range(types):
        price = 0.0
        for k in range(types):
            price += basis.inverse[j, k] * basis.right[k]
        prices[j] = max(price, 0.0)
    for k in range(types):
        amount, noise = 0.0, 0.0
        for j in range(types):
            amount += basis.inverse[j, k] * (capacity[j] - used[j])
            noise += abs(basis.inverse[j, k]) * (capacity[j] + used[j])
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
def left_over(jobs: JobValues, mixes: Mixes, basis: Basis, i: int) -> tuple[float, float, float]:
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
def swap(jobs: JobValues, mixes: Mixes, basis: Basis, i: int, point: int) -> bool:
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
def exchange_keys(jobs: JobValues, mixes: Mixes, basis: Basis) -> int:
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
