"""The least worst finish-time ratio that prices admit, in one compiled call: the certificate of finish-time fairness.

At a ratio rho job i needs the throughput n_i(rho) = r_i / (rho D_i - t_i), which costs at least C_i(n_i) at given
prices (`phasewise.solvers.hulls`). Where all jobs together would have to pay more than all GPUs are worth, nobody can
reach rho. What they pay is convex and falls with rho, so Newton's method reaches the least rho that they can afford
from the left, through ratios that are each proven out of reach.

Rounding is accounted for, so that a ratio that passes for proven is: each job's need and cost are taken lower, and what
the GPUs are worth higher, than they may be.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel
from phasewise.profiling.jit.layouts import Cube, Matrix, Vector
from phasewise.solvers.families.finish_time import ULP
from phasewise.solvers.hull_kernels import SAME_SLOPE, ascending, segment_of, trace

_MOST_STEPS: Final = 200


@inner
def shortfall(corners: Cube, work: Matrix, ratio: float, worth: float) -> tuple[float, float]:
    """Return by how much all jobs' cost at ``ratio`` exceeds ``worth``, at the least, and how fast that falls.

    Parameters
    ----------
    corners
        (3, J, W + 1) of the hulls.
    work
        (3, J) steps remaining r, seconds since arrival t and denominators D. A job without steps, or without a type,
        costs nothing.
    ratio
        At least the ceiling of each job but for rounding.
    worth
        What all GPUs are worth, at the most.
    """
    levels, costs, slopes = corners[0], corners[1], corners[2]
    total, lost, rate = 0.0, 0.0, 0.0
    last = levels.shape[1] - 1
    for job in range(work.shape[1]):
        steps, most = work[0, job], levels[job, last]
        if steps <= 0.0 or most <= 0.0:
            continue
        until = ratio * work[2, job]
        room = until - work[1, job]
        room += 2.0 * ULP * room + ULP * until  # no need is taken for more than it is
        need = most if room * most <= steps else steps / room
        at = segment_of(levels, slopes, job, need)
        cost = costs[job, at] + slopes[job, at] * (need - levels[job, at])
        rate += slopes[job, at] * need * work[2, job] / max(room, steps / most)
        corrected = cost - lost  # sums of very many jobs: what rounding takes from one addition, the next gives back
        grown = total + corrected
        lost = (grown - total) - corrected
        total = grown
    slack = SAME_SLOPE * (last + 1.0) + 16.0 * ULP  # what the hulls may lie too high
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
        (3, J) as `shortfall` takes it.
    limits
        A proven bound (the floor), a ratio to start from, and what all GPUs are worth at ``prices``.
    """
    jobs, types = throughput.shape
    kinds, corners = np.empty((jobs, types + 1), np.int64), np.empty((3, jobs, types + 1))
    trace(throughput, ascending(throughput), scale_factor, prices, kinds, corners)
    floor, guess, worth = limits
    worth *= 1.0 + (types + 2.0) * ULP
    low, high, tested = floor, np.inf, False
    at, nudge = max(guess, floor), ULP
    for _ in range(_MOST_STEPS):
        over, rate = shortfall(corners, work, at, worth)
        if over > 0.0:
            low, tested = at, True
        else:
            high = at
        if high <= low * (1.0 + 4.0 * ULP):
            break
        if over > 0.0:
            step = at + over / rate if rate > 0.0 else at
            if step <= at * (1.0 + ULP):
                break
            at = step if step < high else 0.5 * (low + high)
            continue
        step = at + over / rate if rate > 0.0 else low  # nobody pays here: nothing to go by
        step = min(step, at * (1.0 - nudge))  # on the root but for rounding: back to where it is certain
        nudge *= 4.0
        if step <= low:
            step = 0.5 * (low + high) if tested else low
        at = step
    return low


KERNELS: Final = (least_ratio,)
