"""Where the primal simplex method starts on a max-min program: the vertex of `phasewise.solvers.crash`.

With enough GPUs for everybody that vertex is an optimum, and can be written down without a solver.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.solvers.api import Answer, RebuildReason, Status
from phasewise.solvers.basis import Basis, starting_basis
from phasewise.solvers.crash import StartingPoint, starting_point
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.forms.max_min_lp import row_scales
from phasewise.solvers.forms.tables import START
from phasewise.solvers.lp import LinearProgram
from phasewise.solvers.proofs import Duals

_LEAST_SHARE: Final = 1e-9
"""Of a job's time: HiGHS takes entries of 1e-14 for 0, and what it makes of such a program is not for us to say."""


class Vertex(NamedTuple):
    """A vertex at which every job runs on one type."""

    problem: MaxMinProblem
    point: StartingPoint

    def basis(self, lp: LinearProgram) -> Basis:
        """Return its basis in the problem's program."""
        return starting_basis(self.point, lp)

    def optimum(self) -> Answer | None:
        """Return the answer that it is where no type is full and nothing but the least gain counts; None elsewhere.

        The least gain is then what one job reaches on its best type, all the time: nothing is better. The operations
        are those by which the simplex method solves the basis of `phasewise.solvers.forms.max_min_lp`, in their order,
        so that x and duals are the same to the last bit whoever is asked.
        """
        problem, point = self.problem, self.point
        if point.tight_type >= 0 or problem.is_linear or problem.is_moving:
            return None
        jobs, types = problem.rows, problem.types
        scale, column, tight = problem.gain_scale, np.arange(0, jobs * types, types) + point.kind, point.tight_job
        row_scale = row_scales(problem)
        own = problem.usable_gain.ravel()[column] / scale / row_scale
        if own[tight] != 1.0:  # its type is the second best, if only by what breaks ties
            return None
        of_level = -1.0 / row_scale
        share = of_level * (own[tight] / of_level[tight]) / own
        share[tight] = 1.0
        if share.min() < _LEAST_SHARE:
            return None
        x, gain, time = np.zeros((jobs, types)), np.zeros(jobs), np.zeros(jobs)
        x.ravel()[column] = share
        price = jobs / of_level[tight]
        gain[tight] = price / (-jobs * row_scale[tight])
        time[tight] = -price * own[tight] * (scale / jobs)
        return Answer(Status.OPTIMAL, x, Duals(np.zeros(types), gain, time), 0, RebuildReason.FRESH, "enough GPUs")


@START.register(MaxMinProblem)
def start(problem: MaxMinProblem) -> Vertex | None:
    """Return a vertex at which every job runs on one type, None where none is cheap to find."""
    point = starting_point(problem)
    return None if point is None else Vertex(problem, point)
