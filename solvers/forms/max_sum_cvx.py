"""The largest sum of values as a vectorised CVXPY program. Importing this imports CVXPY (about 0.8 s)."""

from __future__ import annotations

import cvxpy as cp
import numpy as np
from scipy import sparse

from phasewise.solvers.cvx import CvxProgram, RowDuals, vector
from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.forms.max_sum_lp import value_scale
from phasewise.solvers.forms.tables import CVX
from phasewise.solvers.proofs import Duals


@CVX.register(MaxSumProblem)
def to_cvx(problem: MaxSumProblem) -> CvxProgram:
    """Return the problem with values and rates near 1, and impossible pairs left out."""
    shape = (jobs, types) = (problem.rows, problem.types)
    pairs = np.flatnonzero(problem.allowed_mask)
    entries = np.arange(pairs.size)
    job, kind = np.divmod(pairs, types)
    scale = value_scale(problem)
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
