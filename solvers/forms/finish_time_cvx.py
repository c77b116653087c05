"""Finish-time fairness as a vectorised cone program in CVXPY. Importing this imports CVXPY (about 0.8 s)."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
from scipy import sparse

from phasewise.solvers.cvx import CvxProgram, RowDuals, vector
from phasewise.solvers.families.finish_time import FinishTimeProblem
from phasewise.solvers.finish_time_newton import first_prices
from phasewise.solvers.forms.tables import CVX
from phasewise.solvers.proofs import Duals


@CVX.register(FinishTimeProblem)
def to_cvx(problem: FinishTimeProblem) -> CvxProgram:
    """Return any finish-time problem with all that is compared near 1, and impossible pairs left out.

    Near a ratio rho0 that is proven out of reach, with needs n_i, b_i = t_i / (D_i rho0) and y_i what of its need job i
    gets::

        min rho    b_i + (1 - b_i) / y_i <= rho,    sum_j T_ij x_ij / n_i >= y_i, each row over its largest entry
    """
    near = problem.bound(first_prices(problem))
    stated = problem.at(near).problem
    jobs, types = stated.rows, stated.types
    pairs = np.flatnonzero(stated.allowed_mask)
    entries = np.arange(pairs.size)
    job, kind = np.divmod(pairs, types)
    largest = stated.usable_gain.max(axis=1)
    gain = sparse.csr_array((stated.gain.ravel()[pairs] / largest[job], (job, entries)), shape=(jobs, pairs.size))
    time = sparse.csr_array((np.ones(pairs.size), (job, entries)), shape=(jobs, pairs.size))
    gpus = sparse.csr_array((stated.scale_factor[job], (kind, entries)), shape=(types, pairs.size))
    waits = problem.waits
    until = problem.isolated[waits] * near
    ages = problem.since_arrival[waits] / until
    rest = problem.steps_remaining[waits] / problem.needs(near)[waits] / until

    x = cp.Variable(pairs.size, nonneg=True)
    level, worst = cp.Variable(jobs), cp.Variable()
    capacity_rows = gpus @ x <= stated.capacity
    rows = [
        gain @ x >= cp.multiply(1.0 / largest, level),
        time @ x <= 1,
        capacity_rows,
        ages + cp.multiply(rest, cp.inv_pos(level)) <= worst,
    ]
    program = cp.Problem(cp.Minimize(worst), rows)

    def to_duals(duals: RowDuals) -> Duals:
        return Duals(capacity=vector(duals, capacity_rows.id))

    places = np.flatnonzero(waits)[job] * types + kind
    return CvxProgram(program, x.id, places, (problem.rows, types), to_duals)
