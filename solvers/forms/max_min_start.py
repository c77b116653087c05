"""Where the primal simplex method starts on a max-min program: the vertex of `phasewise.solvers.crash`."""

from __future__ import annotations

from phasewise.solvers.basis import Basis, starting_basis
from phasewise.solvers.crash import starting_point
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.forms.tables import START
from phasewise.solvers.lp import LinearProgram


@START.register(MaxMinProblem)
def start(problem: MaxMinProblem, lp: LinearProgram) -> Basis | None:
    """Return the basis of a vertex at which every job runs on one type, None where none is cheap to find."""
    point = starting_point(problem)
    return None if point is None else starting_basis(point, lp)
