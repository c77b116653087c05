"""Packing with a movement cost as a CVXPY program over every team, for few jobs. Importing this imports CVXPY."""

from __future__ import annotations

from dataclasses import replace

import cvxpy as cp
import numpy as np

from phasewise.solvers.cvx import CvxProgram, RowDuals, moved_at_least, vector
from phasewise.solvers.families.packed_moving import PackedMovingProblem
from phasewise.solvers.forms import max_min_cvx
from phasewise.solvers.forms.packed_max_min_lp import all_teams
from phasewise.solvers.forms.packed_moving_lp import time_on_types
from phasewise.solvers.forms.tables import CVX
from phasewise.solvers.proofs import Duals


@CVX.register(PackedMovingProblem)
def to_cvx(problem: PackedMovingProblem) -> CvxProgram:
    """Return the program over all teams; raise `UnsupportedProblemError` where these are too many."""
    whole = all_teams(problem.still)
    assert whole.members is not None
    scale, jobs = whole.gain_scale, problem.rows
    plain = max_min_cvx.scaled(whole, scale)
    (x,) = (each for each in plain.program.variables() if each.id == plain.x_id)
    cost = problem.switching.cost.ravel() * (jobs / scale)
    priced = np.flatnonzero(cost)  # a move that is free would leave its variable unbounded
    time = time_on_types(whole.members, plain.pairs, jobs, problem.types)[priced]
    moved, rows = moved_at_least(time @ x, problem.switching.previous.ravel()[priced])
    objective = cp.Maximize(plain.program.objective.args[0] - cost[priced] @ moved)

    def to_duals(duals: RowDuals) -> Duals:
        kept = np.zeros(problem.gain.shape)
        kept.reshape(-1)[priced] = 2.0 * vector(duals, rows[1].id) * (scale / jobs)  # of moved >= previous - time
        return replace(plain.to_duals(duals), kept=kept)

    return replace(
        plain,
        program=cp.Problem(objective, [*plain.program.constraints, *rows]),
        to_duals=to_duals,
        members=whole.members,
    )
