"""What a level costs at given prices: the lower hull of each job's (gain, cost) points.

With a price p_j for a GPU of type j, a job that runs all the time on type j gains a_ij and costs s_i p_j; a job that
idles gains and costs 0. A level r between these points is reached most cheaply by mixing at most two of them: those at
the ends of the segment of the lower convex hull that lies over r. So the least cost C_i(r) is convex and piecewise
linear in r, from 0 at r = 0 to the job's ceiling, its largest gain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasewise.profiling.jit.layouts import laid_out

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

IDLE = -1  # the vertex at which a job does not run
PRICED = 1e-9  # share of all GPUs' worth above which a type counts as priced
DEAR = 1e-4  # of the dearest GPU's price: above, a type counts as priced however few GPUs it has
DETOUR = 1e-7  # relative excess cost above which no optimal allocation uses a type
ROUNDING = 1e-14  # share of all GPUs' worth that a sum of costs may be off


def priced(prices: Floats, capacity: Floats) -> Bools:
    """Return (W,) which types have a price that is more than a solver's noise, from ``prices`` (W,) of a GPU.

    Noise is that of a type's share of all worth. A type with next to no GPUs has next to none of it whatever its price.
    """
    worth = prices * capacity
    chosen: Bools = (worth > PRICED * worth.sum()) | ((worth > 0.0) & (prices > DEAR * prices.max(initial=0.0)))
    return chosen


@dataclass(frozen=True, slots=True)
class Hulls:
    """The lower hulls of J jobs, each with V = W + 1 vertices; vertex 0 is idling, missing ones repeat the last.

    Attributes
    ----------
    kind
        (J, V) the worker type of each vertex, `IDLE` for vertex 0.
    level
        (J, V) its gain, ascending.
    cost
        (J, V) its cost, in the unit of the prices.
    slope
        (J, V) cost of a unit of level on the segment after each vertex, ascending; infinite where there is none.
    """

    kind: Ints
    level: Floats
    cost: Floats
    slope: Floats

    def segment(self, need: Floats) -> Ints:
        """Return (J,) the segment in which each ``need`` (J,) lies; at a vertex it is the segment before."""
        found: Ints = (self.level[:, 1:] < need[:, None]).sum(axis=1)
        last: Ints = np.isfinite(self.slope).sum(axis=1) - 1
        return np.maximum(np.minimum(found, last), 0)

    def costs(self, need: Floats) -> Floats:
        """Return (J,) the least cost of each ``need`` (J,), which is at most the job's ceiling."""
        rows = np.arange(need.size)
        at = self.segment(need)
        slope = np.where(need > 0.0, self.slope[rows, at], 0.0)
        costs: Floats = self.cost[rows, at] + slope * (need - self.level[rows, at])
        return costs

    def detours(self, need: Floats, gain: Floats, offered: Floats) -> Floats:
        """Return (J, W) how far each type's (gain, cost) point lies above the line that gives ``need`` (J,) its cost.

        It is what time on that type costs more than it need, relative to the line: 0 for the types of a cheapest mix
        and for those that would do as well; infinite where ``gain`` (J, W) is 0. ``offered`` (J, W) is s_i p_j.
        """
        rows = np.arange(need.size)
        at = self.segment(need)
        slope = np.where(np.isfinite(self.slope[rows, at]), self.slope[rows, at], 0.0)
        offset = self.cost[rows, at] - slope * self.level[rows, at]
        line = slope[:, None] * gain + offset[:, None]
        above: Floats = (offered - line) / np.maximum(np.maximum(offered, np.abs(line)), 1e-300)
        above[rows, self.kind[rows, at + 1]] = 0.0
        mixed = self.kind[rows, at] >= 0
        above[rows[mixed], self.kind[rows[mixed], at[mixed]]] = 0.0
        above[gain <= 0.0] = np.inf
        return above


def lower_hulls(gain: Floats, scale_factor: Floats, prices: Floats) -> Hulls:
    """Return the hulls of all jobs at ``prices``.

    Parameters
    ----------
    gain
        (J, W) a_ij, 0 where a job may not run.
    scale_factor
        (J,) GPUs.
    prices
        (W,) of a GPU, at least 0.
    """
    from phasewise.solvers.hull_kernels import trace_hulls

    kind, corners = trace_hulls(laid_out(gain), laid_out(scale_factor), laid_out(prices))
    return Hulls(kind, *corners)


def affordable_level(hulls: Hulls, members: Floats, budget: float) -> float:
    """Return the largest t whose cost sum_i m_i C_i(min(t, ceiling_i)) is within ``budget``; infinite where any is.

    Parameters
    ----------
    hulls
        Of all jobs.
    members
        (J,) how many equal jobs each stands for; 0 for one whose level is not t.
    budget
        What they may cost together.
    """
    from phasewise.solvers.hull_kernels import affordable

    level, cost, slope = laid_out(hulls.level), laid_out(hulls.cost), laid_out(hulls.slope)
    return float(affordable(level, cost, slope, laid_out(members), (float(budget), np.inf)))
