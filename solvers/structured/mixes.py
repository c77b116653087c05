"""What one job does at given prices where the sum of values counts: a mix of at most two ways to spend its time.

A job's *points* are the worker types, each with the rate at which it runs there and what a unit of time is worth there
after its GPUs are paid for, and being idle, of rate and worth 0. A job that must not run below a rate spends its time
at the point of the upper hull over that rate: on its ``upper`` point alone, or on that and a slower, better paying
``lower`` one in the proportion that gives the rate. `docs/explanation/structured-solvers.md` derives the formulas.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.profiling.jit.kernel import loop
from phasewise.profiling.jit.layouts import ByteVector, Matrix, Vector

NONE: Final = -1
"""No point: the job is on its upper one alone."""

_REACHED: Final = 1.0 - 1e-12  # of the rate that is needed: a point with less is too slow
_STILL: Final = 1e-12  # relative: what moves less than this along a direction does not move


class JobValues(NamedTuple):
    """What the jobs of a program are.

    ``value`` (J, W) of all of a job's time on a type, minus infinity where it may not run; ``rate`` (J, W), at least 0;
    ``need`` (J,), the rate it must have, 0 for none; ``use`` (J,) GPUs.
    """

    value: Matrix
    rate: Matrix
    need: Vector
    use: Vector


class Mixes(NamedTuple):
    """Each job's (J,) upper and lower point: a type, W for being idle, `NONE` for no lower one."""

    upper: ByteVector
    lower: ByteVector


@loop
def at(row: Vector, point: int) -> float:
    """Return an entry of a row by type, 0 for being idle and for a slack."""
    return float(row[point]) if point < row.size else 0.0


@loop
def rate_at(jobs: JobValues, i: int, point: int) -> float:
    """Return the rate of job i at a point."""
    return float(jobs.rate[i, point]) if point < jobs.rate.shape[1] else 0.0


@loop
def worth_at(jobs: JobValues, prices: Vector, i: int, point: int) -> float:
    """Return what a unit of time at a point is worth to job i beyond the price of its GPUs."""
    return float(jobs.value[i, point] - jobs.use[i] * prices[point]) if point < prices.size else 0.0


@loop
def reaches(jobs: JobValues, i: int, point: int) -> bool:
    """Return whether a point alone gives job i the rate that it needs."""
    return bool(rate_at(jobs, i, point) >= jobs.need[i] * _REACHED)


@loop
def share_of(jobs: JobValues, i: int, upper: int, lower: int) -> float:
    """Return how much of its time job i spends at ``upper`` when it spends the rest at ``lower``."""
    if lower == NONE:
        return 1.0
    low = rate_at(jobs, i, lower)
    return float(min(1.0, max(0.0, (jobs.need[i] - low) / (rate_at(jobs, i, upper) - low))))


@loop
def best_mix(jobs: JobValues, prices: Vector, i: int) -> tuple[int, int]:
    """Return (upper, lower) of job i's best mix at ``prices``, (NONE, NONE) where no point has the rate it needs."""
    idle = prices.size
    best, most = idle, 0.0
    for point in range(idle):
        worth = worth_at(jobs, prices, i, point)
        if worth > most:
            best, most = point, worth
    lower = NONE
    while not reaches(jobs, i, best):
        lower, best = best, faster_point(jobs, prices, i, best)
        if best == NONE:
            return NONE, NONE
    return best, lower


@loop
def faster_point(jobs: JobValues, prices: Vector, i: int, start: int) -> int:
    """Return the faster point that loses least for each unit of rate, the fastest of equals; NONE where none is."""
    best, loss, more = NONE, np.inf, 1.0
    here, slow = worth_at(jobs, prices, i, start), rate_at(jobs, i, start)
    for point in range(prices.size):
        step, less = jobs.rate[i, point] - slow, here - worth_at(jobs, prices, i, point)
        if step > 0.0 and less < np.inf:
            ahead, other = less * more, loss * step
            if ahead < other or (ahead == other and step > more):
                best, loss, more = point, less, step
    return best


@loop
def exchange(jobs: JobValues, mixes: Mixes, i: int, point: int) -> tuple[float, float]:
    """Return how much time job i's (upper, lower) points give up, below 0, or gain for a unit of time at ``point``.

    The rate stays what it is where there is a lower point. W + 1 stands for running faster than needed: a unit of
    time goes from the lower to the upper point.
    """
    upper, lower = mixes.upper[i], mixes.lower[i]
    if lower == NONE:
        return -1.0, 0.0
    if point > jobs.rate.shape[1]:
        return 1.0, -1.0
    high, low, rate = rate_at(jobs, i, upper), rate_at(jobs, i, lower), rate_at(jobs, i, point)
    return -(rate - low) / (high - low), -(high - rate) / (high - low)


@loop
def turned(jobs: JobValues, mixes: Mixes, i: int, point: int) -> tuple[int, int, float]:
    """Return (upper, lower) of job i's next mix when ``point`` comes in, and how much time goes there."""
    upper, lower = mixes.upper[i], mixes.lower[i]
    if point > jobs.rate.shape[1]:
        return upper, NONE, 1.0 - share_of(jobs, i, upper, lower)
    if reaches(jobs, i, point):
        return point, lower, share_of(jobs, i, point, lower)
    return upper, point, 1.0 - share_of(jobs, i, upper, point)


@loop
def next_turn(
    jobs: JobValues, mixes: Mixes, prices: Vector, direction: Vector, steepest: float, i: int
) -> tuple[float, int, float]:
    """Return (how far along ``direction`` job i's mix stays best, the point that then comes in, how fast it comes).

    The point is NONE, and the distance infinite, where the mix stays best for ever; ``steepest`` is the direction's
    largest entry. Distances below 0 are rounding.
    """
    upper, lower = mixes.upper[i], mixes.lower[i]
    use, when, which, speed = jobs.use[i], np.inf, NONE, 0.0
    own, away = worth_at(jobs, prices, i, upper), at(direction, upper)
    under, below = (0.0, 0.0) if lower == NONE else (worth_at(jobs, prices, i, lower), at(direction, lower))
    last = prices.size + (0 if lower == NONE else 1)
    for point in range(last + 1):
        if point in (upper, lower):
            continue
        up, down = exchange(jobs, mixes, i, point)
        gap = -(worth_at(jobs, prices, i, point) + up * own + down * under)
        closing = -use * (at(direction, point) + up * away + down * below)
        if closing > _STILL * use * steepest * (1.0 - up + abs(down)) and gap < when * closing:
            when, which, speed = gap / closing, point, closing
    return when, which, speed


@loop
def margin_of(jobs: JobValues, mixes: Mixes, prices: Vector, i: int) -> float:
    """Return by how much the prices of GPUs may change, in any direction, and leave job i's mix the best."""
    upper, lower = mixes.upper[i], mixes.lower[i]
    own = worth_at(jobs, prices, i, upper)
    under = 0.0 if lower == NONE else worth_at(jobs, prices, i, lower)
    margin = np.inf
    for point in range(prices.size + (1 if lower == NONE else 2)):
        if point not in (upper, lower):
            up, down = exchange(jobs, mixes, i, point)
            gap = -(worth_at(jobs, prices, i, point) + up * own + down * under)
            margin = min(margin, gap / (jobs.use[i] * (1.0 + abs(up) + abs(down))))
    return float(max(margin, 0.0))
