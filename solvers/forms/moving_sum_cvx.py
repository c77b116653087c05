"""The largest sum of values less a movement cost as a CVXPY program. Importing this imports CVXPY (about 0.8 s)."""

from __future__ import annotations

from phasewise.solvers.cvx import CvxProgram
from phasewise.solvers.families.moving_sum import MovingSumProblem
from phasewise.solvers.forms.max_sum_cvx import scaled
from phasewise.solvers.forms.max_sum_lp import value_scale
from phasewise.solvers.forms.tables import CVX


@CVX.register(MovingSumProblem)
def to_cvx(problem: MovingSumProblem) -> CvxProgram:
    """Return the problem with values and rates near 1, and impossible pairs left out."""
    return scaled(problem.still, value_scale(problem.still), problem.switching)
