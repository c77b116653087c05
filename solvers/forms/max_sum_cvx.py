"""The largest sum of values as a vectorised CVXPY program. Importing this imports CVXPY (about 0.8 s)."""

from __future__ import annotations

from typing import Final

import cvxpy as cp
import numpy as np
from scipy import sparse

from phasewise.solvers.cvx import CvxProgram, RowDuals, vector
from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.forms.max_sum_lp import value_scale
from phasewise.solvers.forms.tables import CVX
from phasewise.solvers.proofs import Duals

WELL_SCALED: Final = (1e-2, 1e3)
"""Values of a job's best type that a solver's absolute tolerances suit as they are."""


@CVX.register(MaxSumProblem)
def to_cvx(problem: MaxSumProblem) -> CvxProgram:
    """Return the problem as the original states it where that suits the solver, otherwise scaled and masked."""
    scale = value_scale(problem)
    if problem.allows_all and problem.promised is None and scale == np.clip(scale, *WELL_SCALED):
        return _as_the_original(problem)
    return _scaled(problem, scale)


def _as_the_original(problem: MaxSumProblem) -> CvxProgram:
    """Return the problem stated term by term as the original states it, so that ECOS ends where it did."""
    jobs, types = problem.value.shape
    x = cp.Variable((jobs, types))
    capacity_rows = cp.sum(cp.multiply(problem.scale_factor[:, None], x), axis=0) <= problem.capacity
    objective = cp.Maximize(cp.sum(cp.sum(cp.multiply(problem.value, x))))
    program = cp.Problem(objective, [x >= 0, capacity_rows, cp.sum(x, axis=1) <= 1])

    def to_duals(duals: RowDuals) -> Duals:
        return Duals(capacity=vector(duals, capacity_rows.id))

    return CvxProgram(program, x.id, np.arange(jobs * types), (jobs, types), to_duals)


def _scaled(problem: MaxSumProblem, scale: float) -> CvxProgram:
    """Return any problem of the family with values and rates near 1, and impossible pairs left out."""
    shape = (jobs, types) = (problem.rows, problem.types)
    pairs = np.flatnonzero(problem.allowed_mask)
    entries = np.arange(pairs.size)
    job, kind = np.divmod(pairs, types)
    time = sparse.csr_array((np.ones(pairs.size), (job, entries)), shape=(jobs, pairs.size))
    gpus = sparse.csr_array((problem.scale_factor[job], (kind, entries)), shape=(types, pairs.size))
    asks = np.flatnonzero(problem.need > 0.0)
    fastest = np.maximum(problem.rate.max(axis=1), np.finfo(np.float64).tiny)
    rates = problem.rate.ravel()[pairs] / fastest[job]

    x = cp.Variable(pairs.size, nonneg=True)
    capacity_rows = gpus @ x <= problem.capacity
    rows = [time @ x <= 1, capacity_rows]
    promise_rows = None
    if asks.size:
        rate = sparse.csr_array((rates, (job, entries)), shape=(jobs, pairs.size))
        promise_rows = rate[asks] @ x >= (problem.need / fastest)[asks]
        rows.append(promise_rows)
    program = cp.Problem(cp.Maximize((problem.value.ravel()[pairs] / scale) @ x), rows)

    def to_duals(duals: RowDuals) -> Duals:
        slo = np.zeros(jobs)
        if promise_rows is not None:
            slo[asks] = vector(duals, promise_rows.id) * scale / fastest[asks]
        return Duals(capacity=vector(duals, capacity_rows.id) * scale, slo=slo)

    return CvxProgram(program, x.id, pairs, shape, to_duals)
