"""The lower hulls of all jobs in one compiled loop: `phasewise.solvers.hulls` asks for them up to hundreds of times.

At 1,700 jobs x 6 types NumPy needs 2 ms for them and this loop a twentieth. The plain form it must equal stands in
`tests/unit/test_hulls.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Int64s = npt.NDArray[np.int64]

if TYPE_CHECKING:
    Function = TypeVar("Function", bound=Callable[..., object])

    def kernel(function: Function) -> Function:
        """Compile a function (for the type checker: leave it as it is)."""
        return function
else:
    from numba import njit

    kernel = njit(cache=True, error_model="numpy")

SAME_SLOPE = 1e-14  # relative: among equal slopes the farthest vertex is taken, so that no segment is cut in two


@kernel
def next_vertex(gain: Floats, offered: Floats, level: float, cost: float) -> tuple[int, float]:
    """Return the type at the end of the flattest segment from (level, cost), and its slope; -1 where none rises."""
    best, flattest = -1, np.inf
    for kind in range(gain.size):
        rise = gain[kind] - level
        if rise <= 0.0:
            continue
        slope = max((offered[kind] - cost) / rise, 0.0)
        if slope < flattest * (1.0 - SAME_SLOPE) or best < 0:
            best, flattest = kind, slope
        elif slope <= flattest * (1.0 + SAME_SLOPE) and gain[kind] > gain[best]:
            best, flattest = kind, min(slope, flattest)
    return best, flattest


@kernel
def trace_hulls(gain: Floats, scale_factor: Floats, prices: Floats) -> tuple[Int64s, Floats, Floats, Floats]:
    """Return kind, level, cost (J, W + 1) and slope (J, W) of every job's hull; see `phasewise.solvers.hulls.Hulls`."""
    jobs, types = gain.shape
    kinds = np.full((jobs, types + 1), -1)
    levels, costs = np.zeros((jobs, types + 1)), np.zeros((jobs, types + 1))
    slopes = np.full((jobs, types), np.inf)
    for job in range(jobs):
        offered = scale_factor[job] * prices
        kind, level, cost = -1, 0.0, 0.0
        for vertex in range(types):
            following, slope = next_vertex(gain[job], offered, level, cost)
            if following < 0:
                kinds[job, vertex + 1 :] = kind
                levels[job, vertex + 1 :] = level
                costs[job, vertex + 1 :] = cost
                break
            kind, level, cost = following, gain[job, following], offered[following]
            slopes[job, vertex] = slope
            kinds[job, vertex + 1], levels[job, vertex + 1], costs[job, vertex + 1] = kind, level, cost
    return kinds, levels, costs, slopes


@kernel
def spending(level: Floats, slope: Floats, members: Floats, need: float) -> tuple[float, float, float]:
    """Return what all jobs cost at min(``need``, ceiling), and what a little more and a little less changes a unit.

    Parameters
    ----------
    level, slope
        (J, W + 1) and (J, W) of the hulls.
    members
        (J,) how many equal jobs each row stands for.
    need
        The common level.
    """
    total, above, below = 0.0, 0.0, 0.0
    for job in range(members.size):
        for segment in range(slope.shape[1]):
            low, high = level[job, segment], level[job, segment + 1]
            if not high > low or low > need:
                break
            rate = slope[job, segment] * members[job]
            total += rate * (min(need, high) - low)
            if need < high:
                above += rate
            if low < need <= high:
                below += rate
    return total, above, below


@kernel
def affordable(level: Floats, slope: Floats, members: Floats, budget: float) -> float:
    """Return the largest common level that costs at most ``budget``; infinite where all ceilings are affordable.

    Newton steps within a shrinking bracket: the cost is piecewise linear in the level and never falls.
    """
    low, high = 0.0, level.max() if level.size else 0.0
    if spending(level, slope, members, high)[0] <= budget:
        return np.inf
    at = high
    for _ in range(200):
        spent, above, below = spending(level, slope, members, at)
        if spent <= budget:
            low = at
        else:
            high = at
        rate = above if spent <= budget else below
        if high - low <= 1e-15 * high:
            return low
        step = at + (budget - spent) / rate if rate > 0.0 else -1.0  # flat here: no step, halve the bracket
        if rate > 0.0 and abs(step - at) <= 1e-15 * at:
            return step
        at = step if low < step < high else 0.5 * (low + high)
    return high
