"""The lower hulls of all jobs in compiled loops: `phasewise.solvers.hulls` and water filling ask for them many times.

At 1,700 jobs x 6 types NumPy needs 2 ms for them and this loop a fifteenth.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel
from phasewise.profiling.jit.layouts import Cube, IntMatrix, Matrix, Vector

SAME_SLOPE = 1e-14  # relative: among equal slopes the farthest vertex is taken, so that no segment is cut in two


@kernel()
def ascending(gain: Matrix) -> IntMatrix:
    """Return (J, W) each job's types by ascending gain: what `trace` goes through, whatever the prices."""
    jobs, types = gain.shape
    order = np.empty((jobs, types), np.int64)
    for job in range(jobs):
        for kind in range(types):
            at = kind
            while at > 0 and gain[job, order[job, at - 1]] > gain[job, kind]:
                order[job, at] = order[job, at - 1]
                at -= 1
            order[job, at] = kind
    return order


@inner
def trace(
    gain: Matrix, order: IntMatrix, scale_factor: Vector, prices: Vector, kinds: IntMatrix, corners: Cube
) -> None:
    """Fill in every job's hull: a stack of vertices, from which each further type takes those that lie above its line.

    Parameters
    ----------
    gain, order, scale_factor
        (J, W), its `ascending` order, and (J,).
    prices
        (W,).
    kinds, corners
        (J, W + 1) and (3, J, W + 1): type, and level, cost and slope to the next vertex; see
        `phasewise.solvers.hulls.Hulls`.
    """
    jobs, types = gain.shape
    levels, costs, slopes = corners[0], corners[1], corners[2]
    for job in range(jobs):
        top = 0
        kinds[job, 0], levels[job, 0], costs[job, 0] = -1, 0.0, 0.0
        for place in range(types):
            kind = order[job, place]
            level, cost = gain[job, kind], scale_factor[job] * prices[kind]
            if level <= 0.0 or (level <= levels[job, top] and cost >= costs[job, top]):
                continue
            if level <= levels[job, top]:
                top -= 1  # the same gain for less
            while top > 0:
                flat = (cost - costs[job, top - 1]) / (level - levels[job, top - 1])
                if flat > slopes[job, top - 1] * (1.0 + SAME_SLOPE):
                    break
                top -= 1
            slopes[job, top] = max((cost - costs[job, top]) / (level - levels[job, top]), 0.0)
            top += 1
            kinds[job, top], levels[job, top], costs[job, top] = kind, level, cost
        slopes[job, top] = np.inf
        for vertex in range(top + 1, types + 1):
            kinds[job, vertex], levels[job, vertex] = kinds[job, top], levels[job, top]
            costs[job, vertex], slopes[job, vertex] = costs[job, top], np.inf


@kernel()
def trace_hulls(gain: Matrix, scale_factor: Vector, prices: Vector) -> tuple[IntMatrix, Cube]:
    """Return (J, W + 1) kinds and (3, J, W + 1) corners of every job's hull, as `trace` fills them in."""
    jobs, types = gain.shape
    kinds, corners = np.empty((jobs, types + 1), np.int64), np.empty((3, jobs, types + 1))
    trace(gain, ascending(gain), scale_factor, prices, kinds, corners)
    return kinds, corners


@inner
def segment_of(levels: Matrix, slopes: Matrix, job: int, need: float) -> int:
    """Return the segment in which ``need`` lies; at a vertex it is the segment before."""
    at = 0
    while slopes[job, at + 1] < np.inf and levels[job, at + 1] < need:
        at += 1
    return at


@inner
def spending(levels: Matrix, slopes: Matrix, members: Vector, need: float) -> tuple[float, float, float]:
    """Return what all jobs cost at min(``need``, ceiling), and what a little more and a little less changes a unit.

    Parameters
    ----------
    levels, slopes
        (J, W + 1) of the hulls.
    members
        (J,) how many equal jobs each row stands for; 0 leaves a job out.
    need
        The common level.
    """
    total, above, below = 0.0, 0.0, 0.0
    for job in range(members.size):
        if members[job] == 0.0:
            continue
        for segment in range(slopes.shape[1] - 1):
            low, high = levels[job, segment], levels[job, segment + 1]
            if not high > low or low > need:
                break
            rate = slopes[job, segment] * members[job]
            total += rate * (min(need, high) - low)
            if need < high:
                above += rate
            if low < need <= high:
                below += rate
    return total, above, below


@kernel()
def affordable(levels: Matrix, costs: Matrix, slopes: Matrix, members: Vector, limits: tuple[float, float]) -> float:
    """Return the largest common level that costs at most a budget; infinite where all ceilings are affordable.

    ``limits`` are the budget and a level to start from: Newton steps within a shrinking bracket, as the cost is
    piecewise linear in the level and never falls.
    """
    budget, guess = limits
    low, high, everything = 0.0, 0.0, 0.0
    for job in range(members.size):
        if members[job] > 0.0:
            high = max(high, levels[job, -1])
            everything += members[job] * costs[job, -1]
    if everything <= budget:
        return np.inf
    at = min(guess, high)
    for _ in range(200):
        spent, above, below = spending(levels, slopes, members, at)
        if spent <= budget:
            low = at
        else:
            high = at
        rate = above if spent <= budget else below
        if high - low <= 1e-15 * high:
            return low
        step = at + (budget - spent) / rate if rate > 0.0 else -1.0  # flat here: no step, halve the bracket
        if rate > 0.0 and abs(step - at) <= 1e-15 * at:
            if abs(budget - spent) <= 1e-9 * everything:
                return step
            step = -1.0  # so steep that no step leads off it: between two gains that are equal but for rounding
        at = step if low < step < high else 0.5 * (low + high)
    return high


KERNELS: Final = (ascending, trace_hulls, affordable)
