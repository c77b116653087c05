"""The switching term of an objective: what it costs to leave the allocation in force."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.solvers.short_rows import row_max

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Switching(NamedTuple):
    """The term - sum_ij cost_ij |x_ij - previous_ij|.

    Attributes
    ----------
    previous
        (J, W) the allocation in force.
    cost
        (J, W), read-only.
    """

    previous: Floats
    cost: Floats

    def paid(self, x: Floats) -> float:
        """Return what leaving the allocation in force for ``x`` (J, W) costs."""
        return float(np.einsum("ij,ij->", self.cost, np.abs(x - self.previous)))

    def worth(self, value: Floats, allowed: Bools) -> float:
        """Return the sum over the jobs of the most that each can make of its time, the switching term included.

        A job maximises sum_j value_ij x_ij - cost_ij |x_ij - previous_ij| over x_i >= 0, sum_j x_ij <= 1, x_ij = 0
        where not ``allowed``: a fractional knapsack of its time. Time kept, up to previous_ij, is worth
        value_ij + cost_ij, as it saves the cost of leaving; time added beyond is worth value_ij - cost_ij. The best
        time added, at m_i, can fill whatever is left, so nothing worth less is ever used, and all time kept fits in:
        m_i + sum_j previous_ij max(0, value_ij + cost_ij - m_i), with m_i at least 0, less the cost of leaving all.

        Parameters
        ----------
        value
            (J, W) what a unit of time on each type is worth.
        allowed
            (J, W) bool.
        """
        added = value - self.cost
        added *= allowed  # 0 is as good as not allowed: nothing need be added
        best = np.maximum(row_max(added), 0.0)
        kept = value + self.cost
        kept -= best[:, None]
        np.maximum(kept, 0.0, out=kept)
        kept *= allowed
        kept -= self.cost
        return float(best.sum()) + float(np.einsum("ij,ij->", kept, self.previous))
