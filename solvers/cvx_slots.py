"""What a CVXPY program with job slots is: compiled once for a number of slots, then filled anew for every problem.

A family's program is in the module of its builder, see `phasewise.solvers.forms.tables.SLOTS`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np

from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.proofs import Duals


class SlotProgram(Protocol):
    """The program of one bucket.

    Attributes
    ----------
    program
        The `cvxpy.Problem`, in parameters.
    """

    program: Any

    def fill(self, problem: Any, slots: Ints) -> float:
        """Put ``problem`` into the parameters, its row i into ``slots[i]``; return what its quantities were divided by.

        Parameters
        ----------
        problem
            One of the bucket's family, types and linear term, with at most its slots of rows.
        slots
            (R,) the slot of each row.
        """
        ...

    def x(self, primal: Mapping[int, Any], problem: Any, slots: Ints) -> Floats:
        """Return the (R, W) allocation in CVXPY's ``primal`` values by variable."""
        ...

    def duals(self, duals: Mapping[int, Any], slots: Ints, scale: float) -> Duals:
        """Return the duals of the problem from CVXPY's; raise KeyError where one is missing."""
        ...


def spread(values: Floats, slots: Ints, count: int, elsewhere: float = 0.0) -> Floats:
    """Return ``values`` (R, ...) by row put into their ``slots`` (R,) of ``count``, and ``elsewhere`` in the others."""
    wide = np.full((count, *values.shape[1:]), elsewhere)
    wide[slots] = values
    return wide
