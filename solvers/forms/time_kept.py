"""A movement cost in a linear program: a pair's time is split into time added and time kept.

With a cost c_ij on |x_ij - previous_ij|, x_ij is the sum of two columns with the same entries: the time added, at the
cost c_ij, and the time kept, 0 <= k_ij <= previous_ij, which saves c_ij. Leaving everything costs sum_ij c_ij
previous_ij, a constant that is left out. There are no further rows, and a kept column only where something can be kept.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from phasewise.solvers.families.moving import Switching
from phasewise.solvers.lp import LinearProgram


def with_time_kept(lp: LinearProgram, switching: Switching, unit: float) -> LinearProgram:
    """Return the program with the cost of time added, and a column more for every pair with time that can be kept.

    Parameters
    ----------
    lp
        With the columns ``x``, a pair each, row by row.
    unit
        What the program's objective is multiplied by, beside that of the problem.
    """
    added = lp.columns["x"]
    price = switching.cost.ravel() * unit
    upper = np.minimum(switching.previous.ravel(), lp.col_upper[added])
    kept = np.flatnonzero(upper)  # a pair that is not allowed keeps nothing
    cost = np.concatenate((lp.cost, lp.cost[kept] + price[kept]))
    cost[added] -= price
    counts = lp.start[kept + 1] - lp.start[kept]
    ends = np.cumsum(counts)
    entries = np.arange(counts.sum()) + np.repeat(lp.start[kept] - (ends - counts), counts)
    before = lp.cost.size
    return replace(
        lp,
        cost=cost,
        col_lower=np.zeros(cost.size),
        col_upper=np.concatenate((lp.col_upper, upper[kept])),
        start=np.concatenate((lp.start, lp.start[-1] + ends.astype(np.int32))),
        index=np.concatenate((lp.index, lp.index[entries])),
        value=np.concatenate((lp.value, lp.value[entries])),
        continuous=np.zeros(cost.size, dtype=np.int32),
        columns={**lp.columns, "kept": slice(before, cost.size)},
        pairs={**lp.pairs, "kept": kept},
    )
