"""The least worst finish-time ratio that prices admit, in one compiled call: the certificate of finish-time fairness.

At a ratio rho job i needs the throughput n_i(rho) = r_i / (rho D_i - t_i), which costs at least C_i(n_i) at given
prices: see `phasewise.solvers.hulls`. Where all jobs together would have to pay more than all GPUs are worth, nobody
can reach rho. What they pay is convex and falls with rho, so Newton's method reaches the least rho that they can afford
from the left, through ratios that are each proven out of reach.

Of a job's hull only the segment over its present need is known. It is found by wrapping: from each vertex on to the
type of least extra cost for extra throughput. Needs move little from one ratio to the next, so that it mostly stays.

Rounding is accounted for, so that a ratio that passes for proven is: each job's need and cost are taken lower, and what
the GPUs are worth higher, than they may be.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel
from phasewise.profiling.jit.layouts import Matrix, Vector
from phasewise.solvers.families.finish_time import ULP

_MOST_STEPS: Final = 200
_MOST_RATIO: Final = 1e300
_BEYOND_REACH: Final = 1.0 - 1e-9


@inner
def wrap(throughput: Matrix, scale_factor: Vector, prices: Vector, segments: Matrix, job: int, need: float) -> None:
    """Find the segment of a job's hull over ``need``.

    Parameters
    ----------
    throughput, scale_factor, prices
        As `least_ratio` takes them.
    segments
        (5, J) throughputs at both ends, the cost at the lower one, cost of a unit of throughput, and the largest
        throughput; the first four are filled in.
    need
        At most the largest throughput.
    """
    low, cost = 0.0, 0.0
    while True:
        slope, high, offered = np.inf, low, cost
        for kind in range(prices.size):
            level = throughput[job, kind]
            if level > low:
                price = scale_factor[job] * prices[kind]
                extra = (price - cost) / (level - low)
                if extra < slope or (extra == slope and level > high):
                    slope, high, offered = extra, level, price
        if high >= need or high <= low:
            break
        low, cost = high, offered
    segments[0, job], segments[1, job], segments[2, job], segments[3, job] = low, high, cost, max(slope, 0.0)


@inner
def shortfall(
    throughput: Matrix,
    scale_factor: Vector,
    prices: Vector,
    work: Matrix,
    segments: Matrix,
    at: tuple[float, float],
) -> tuple[float, float]:
    """Return by how much all jobs' cost at a ratio exceeds what all GPUs are worth, and how fast it falls.

    Parameters
    ----------
    throughput, scale_factor, prices, work
        As `least_ratio` takes them.
    segments
        As `wrap` takes them, from the last ratio.
    at
        A ratio; and the worth, at the most. A job that cannot have the ratio counts with its fastest type.
    """
    ratio, worth = at
    total, lost, rate = 0.0, 0.0, 0.0
    for job in range(work.shape[1]):
        steps, most = work[0, job], segments[4, job]
        if steps <= 0.0 or most <= 0.0:
            continue
        until = ratio * work[2, job]
        room = until - work[1, job]
        room += 2.0 * ULP * room + ULP * until  # no need is taken for more than it is
        need = most if room * most <= steps else steps / room
        if not segments[0, job] <= need <= segments[1, job]:
            wrap(throughput, scale_factor, prices, segments, job, need)
        slope = segments[3, job]
        if segments[2, job] == 0.0 and slope == 0.0:
            continue
        cost = segments[2, job] + slope * (need - segments[0, job])
        if (
            room * most > steps * _BEYOND_REACH
        ):  # otherwise it has all that it can have, and pays no less for a little more
            rate += slope * need * work[2, job] / max(room, steps / most)
        corrected = cost - lost  # sums of very many jobs: what rounding takes from one addition, the next gives back
        grown = total + corrected
        lost = (grown - total) - corrected
        total = grown
    slack = (16.0 + 8.0 * prices.size) * ULP  # what the segments may lie too high
    return total * (1.0 - slack) - worth, rate


@kernel()
def least_ratio(
    throughput: Matrix, scale_factor: Vector, prices: Vector, work: Matrix, limits: tuple[float, float, float]
) -> float:
    """Return the largest ratio found that is proven out of reach of everybody at ``prices``; at least the floor.

    Parameters
    ----------
    throughput, scale_factor, prices
        (J, W) T, 0 where a job may not run, (J,) GPUs, and (W,) of a GPU.
    work
        (3, J) steps remaining r, seconds since arrival t and denominators D. A job without steps, or without a type,
        costs nothing.
    limits
        A proven bound (the floor), a ratio to start from, and what all GPUs are worth at ``prices``.
    """
    jobs, types = throughput.shape
    segments = np.empty((5, jobs))
    for job in range(jobs):
        most = 0.0
        for kind in range(types):
            most = max(most, throughput[job, kind])
        segments[0, job], segments[1, job], segments[4, job] = 1.0, 0.0, most  # nothing lies between these
    floor, guess, worth = limits
    worth *= 1.0 + (types + 2.0) * ULP
    low, high, tested = floor, np.inf, False
    at, nudge = max(guess, floor), ULP
    for _ in range(_MOST_STEPS):
        over, rate = shortfall(throughput, scale_factor, prices, work, segments, (at, worth))
        if over > 0.0:
            low, tested = at, True
        else:
            high = at
        if high <= low * (1.0 + 4.0 * ULP):
            break
        if over > 0.0:
            step = at + over / rate if rate > 0.0 else min(high, _MOST_RATIO)
            if step <= at * (1.0 + ULP):
                break
            at = step if step < high else 0.5 * (low + high)
            if at >= _MOST_RATIO:
                break
            continue
        step = at + over / rate if rate > 0.0 else low  # nobody pays here: nothing to go by
        step = min(step, at * (1.0 - nudge))  # on the root but for rounding: back to where it is certain
        nudge *= 4.0
        if step <= low:
            step = 0.5 * (low + high) if tested else low
        at = step
    return low


KERNELS: Final = (least_ratio,)
