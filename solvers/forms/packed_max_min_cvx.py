"""Packing as a CVXPY program with every team as a row, for few jobs. Importing this imports CVXPY (about 0.8 s)."""

from __future__ import annotations

from dataclasses import replace

from phasewise.solvers.cvx import CvxProgram
from phasewise.solvers.families.packed import PackedMaxMinProblem
from phasewise.solvers.forms import max_min_cvx
from phasewise.solvers.forms.packed_max_min_lp import all_teams
from phasewise.solvers.forms.tables import CVX


@CVX.register(PackedMaxMinProblem)
def to_cvx(problem: PackedMaxMinProblem) -> CvxProgram:
    """Return the program over all teams; raise `UnsupportedProblemError` where these are too many."""
    whole = all_teams(problem)
    return replace(max_min_cvx.to_cvx(whole), members=whole.members)
