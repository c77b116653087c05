"""The largest sum of values as a vectorised CVXPY program. Importing this imports CVXPY (about 0.8 s)."""

from __future__ import annotations

from typing import Final, NamedTuple

import cvxpy as cp
import numpy as np
from scipy import sparse

from phasewise.solvers.cvx import CvxProgram, RowDuals, movement_cost, vector
from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.families.moving import Switching
from phasewise.solvers.forms.max_sum_lp import value_scale
from phasewise.solvers.forms.tables import CVX
from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.proofs import Duals

WELL_SCALED: Final = (1e-2, 1e3)
"""Values of a job's best type that a solver's absolute tolerances suit as they are."""


@CVX.register(MaxSumProblem)
def to_cvx(problem: MaxSumProblem) -> CvxProgram:
    """Return the problem as the original states it where that suits the solver, otherwise scaled and masked."""
    scale = value_scale(problem)
    if problem.allows_all and problem.promised is None and scale == np.clip(scale, *WELL_SCALED):
        return _as_the_original(problem)
    return scaled(problem, scale)


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


def scaled(problem: MaxSumProblem, scale: float, switching: Switching | None = None) -> CvxProgram:
    """Return any problem of the family with values and rates near 1, and impossible pairs left out.

    Parameters
    ----------
    scale
        What values are divided by.
    switching
        What leaving the allocation in force costs, if anything.
    """
    shape = (jobs, types) = (problem.rows, problem.types)
    pairs = np.flatnonzero(problem.allowed_mask)
    entries = np.arange(pairs.size)
    job, kind = np.divmod(pairs, types)
    time = sparse.csr_array((np.ones(pairs.size), (job, entries)), shape=(jobs, pairs.size))
    gpus = sparse.csr_array((problem.scale_factor[job], (kind, entries)), shape=(types, pairs.size))

    x = cp.Variable(pairs.size, nonneg=True)
    capacity_rows = gpus @ x <= problem.capacity
    objective, rows = (problem.value.ravel()[pairs] / scale) @ x, [time @ x <= 1, capacity_rows]
    if switching is not None:
        lost, moved_rows = movement_cost(x, switching, pairs, 1.0 / scale)
        objective, rows = objective - lost, rows + moved_rows
    promises = _promises(problem, x, pairs)
    if promises is not None:
        rows.append(promises.rows)
    program = cp.Problem(cp.Maximize(objective), rows)

    def to_duals(duals: RowDuals) -> Duals:
        slo = np.zeros(jobs)
        if promises is not None:
            slo[promises.asks] = vector(duals, promises.rows.id) * scale / promises.fastest
        return Duals(capacity=vector(duals, capacity_rows.id) * scale, slo=slo)

    return CvxProgram(program, x.id, pairs, shape, to_duals)


class _Promises(NamedTuple):
    """The rows of promised rates: who has one, (Q,), and the fastest rate of each, by which its row is divided."""

    rows: cp.Constraint
    asks: Ints
    fastest: Floats


def _promises(problem: MaxSumProblem, x: cp.Variable, pairs: Ints) -> _Promises | None:
    """Return the rows of promised rates over the columns ``pairs``; None where nothing is promised."""
    asks = np.flatnonzero(problem.need > 0.0)
    if not asks.size:
        return None
    job = pairs // problem.types
    fastest = np.maximum(problem.rate.max(axis=1), np.finfo(np.float64).tiny)
    rates = problem.rate.ravel()[pairs] / fastest[job]
    rate = sparse.csr_array((rates, (job, np.arange(pairs.size))), shape=(problem.rows, pairs.size))
    return _Promises(rate[asks] @ x >= (problem.need / fastest)[asks], asks, fastest[asks])
