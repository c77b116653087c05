"""The largest sum of values less a movement cost, as a linear program: that of sums, with time added and time kept."""

from __future__ import annotations

from phasewise.solvers.families.moving_sum import MovingSumProblem
from phasewise.solvers.forms import max_sum_lp
from phasewise.solvers.forms.tables import LP
from phasewise.solvers.forms.time_kept import with_time_kept
from phasewise.solvers.lp import LinearProgram


@LP.register(MovingSumProblem)
def to_lp(problem: MovingSumProblem) -> LinearProgram:
    """Return the problem as a linear program with columns x and kept, and rows time, capacity and slo."""
    lp = max_sum_lp.to_lp(problem.still)
    return with_time_kept(lp, problem.switching, 1.0 / lp.scale)
