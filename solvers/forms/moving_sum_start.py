"""Where the primal simplex method starts on a sum with a movement cost: everybody stays as they are."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phasewise.solvers.basis import BASIC, LOWER, UPPER, Basis
from phasewise.solvers.families.moving_sum import MovingSumProblem
from phasewise.solvers.forms.tables import START
from phasewise.solvers.lp import LinearProgram


class Staying(NamedTuple):
    """The vertex at which all time is kept and none added."""

    def basis(self, lp: LinearProgram) -> Basis:
        """Return its basis in the problem's program."""
        columns = np.full(lp.cost.size, LOWER)
        columns[lp.columns["kept"]] = UPPER
        return Basis(columns, np.full(lp.row_upper.size, BASIC))

    def optimum(self) -> None:
        """Return None: that nobody moves may be the optimum, but is not known to be."""


@START.register(MovingSumProblem)
def start(problem: MovingSumProblem) -> Staying | None:
    """Return the vertex at which everybody stays; None where nothing was in force.

    It is feasible where what is in force still is, and after a round most of it stays.
    """
    return Staying() if problem.previous.any() else None
