"""Where the primal simplex method starts on a sum with a movement cost: everybody stays as they are."""

from __future__ import annotations

import numpy as np

from phasewise.solvers.basis import BASIC, LOWER, UPPER, Basis
from phasewise.solvers.families.moving_sum import MovingSumProblem
from phasewise.solvers.forms.tables import START
from phasewise.solvers.lp import LinearProgram


@START.register(MovingSumProblem)
def start(problem: MovingSumProblem, lp: LinearProgram) -> Basis | None:
    """Return the basis at which all time is kept and none added; None where nothing was in force.

    It is feasible where what is in force still is, and after a round most of it stays.
    """
    if not problem.previous.any():
        return None
    columns = np.full(lp.cost.size, LOWER)
    columns[lp.columns["kept"]] = UPPER
    return Basis(columns, np.full(lp.row_upper.size, BASIC))
