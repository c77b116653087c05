"""Max-min as a vectorised CVXPY program. Importing this imports CVXPY (about 0.8 s)."""

from __future__ import annotations

from typing import Final

import cvxpy as cp
import numpy as np
from scipy import sparse

from phasewise.solvers.cvx import CvxProgram, RowDuals, movement_cost, vector
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.forms.tables import CVX
from phasewise.solvers.problems import Ints
from phasewise.solvers.proofs import Duals

WELL_SCALED: Final = (1e-2, 1e2)
"""Gains of the worst-off job that a solver's absolute tolerances suit as they are."""


@CVX.register(MaxMinProblem)
def to_cvx(problem: MaxMinProblem) -> CvxProgram:
    """Return the problem as the original states it where that suits the solver, otherwise scaled and masked."""
    scale = problem.gain_scale
    plain = (
        problem.teams is None and problem.allowed_mask.all() and not problem.linear_weight and problem.switching is None
    )
    if plain and scale == np.clip(scale, *WELL_SCALED):
        return _as_the_original(problem)
    return scaled(problem, scale)


def _as_the_original(problem: MaxMinProblem) -> CvxProgram:
    """Return the plain problem stated term by term as the original states it.

    An interior point ends somewhere on the face of optima, and where depends on the statement: another form of the same
    problem gives another schedule. In this form ECOS retraces the original's runs.
    """
    jobs, types = problem.gain.shape
    x = cp.Variable((jobs, types))
    capacity_rows = cp.sum(cp.multiply(problem.scale_factor[:, None], x), axis=0) <= problem.capacity
    time_rows = cp.sum(x, axis=1) <= 1
    least = cp.min(cp.sum(cp.multiply(problem.gain, x), axis=1))
    program = cp.Problem(cp.Maximize(least), [x >= 0, capacity_rows, time_rows])

    def to_duals(duals: RowDuals) -> Duals:
        # The epigraph's duals stay inside CVXPY; the largest weights that the other duals admit prove the same bound.
        prices = np.maximum(vector(duals, capacity_rows.id), 0.0)
        time = np.maximum(vector(duals, time_rows.id), 0.0)
        cost = time[:, None] + problem.scale_factor[:, None] * prices
        gain = problem.gain
        weights = np.divide(cost, gain, out=np.full(gain.shape, np.inf), where=gain > 0.0).min(axis=1)
        return Duals(capacity=prices, gain=weights)

    return CvxProgram(program, x.id, np.arange(jobs * types), (jobs, types), to_duals)


def scaled(problem: MaxMinProblem, scale: float) -> CvxProgram:
    """Return any max-min problem with gains near 1, the whole objective times J, and impossible pairs left out."""
    jobs, shape = problem.jobs, (problem.rows, problem.types)
    pairs = np.flatnonzero(problem.allowed_mask)
    entries = np.arange(pairs.size)
    row, kind = np.divmod(pairs, problem.types)
    gain, time = _by_job(problem, pairs, scale)
    gpus = sparse.csr_array((problem.scale_factor[row], (kind, entries)), shape=(problem.types, pairs.size))

    x = cp.Variable(pairs.size, nonneg=True)
    least = cp.Variable()
    gain_rows = gain @ x >= least
    capacity_rows = gpus @ x <= problem.capacity
    objective = jobs * least  # as in `phasewise.solvers.forms.max_min_lp`
    if problem.linear_weight:
        objective = objective + (problem.linear_weight * gain.sum(axis=0)) @ x
    time_rows = time @ x <= 1
    rows = [gain_rows, time_rows, capacity_rows]
    if switching := problem.switching:
        lost, moved_rows = movement_cost(x, switching, pairs, jobs / scale)
        objective, rows = objective - lost, rows + moved_rows
    program = cp.Problem(cp.Maximize(objective), rows)

    def to_duals(duals: RowDuals) -> Duals:
        unit = scale / jobs
        time_prices = vector(duals, time_rows.id) * unit
        return Duals(vector(duals, capacity_rows.id) * unit, vector(duals, gain_rows.id) / jobs, time_prices)

    return CvxProgram(program, x.id, pairs, shape, to_duals)


def _by_job(problem: MaxMinProblem, pairs: Ints, scale: float) -> tuple[sparse.csr_array, sparse.csr_array]:
    """Return (J, k) each job's gain, over ``scale``, and its time in a unit of each of the k ``pairs``."""
    row, kind = np.divmod(pairs, problem.types)
    job, entry, gains = row, np.arange(pairs.size), problem.gain[row, kind]
    if problem.teams is not None and problem.partner_gain is not None:
        second = np.full(problem.rows, -1)
        second[problem.teams.pairs] = problem.teams.second
        shared = np.flatnonzero(second[row] >= 0)
        job = np.concatenate((problem.teams.first[row], second[row[shared]]))
        entry = np.concatenate((entry, shared))
        gains = np.concatenate((gains, problem.partner_gain[row[shared], kind[shared]]))
    shape = (problem.jobs, pairs.size)
    gain = sparse.csr_array((gains / scale, (job, entry)), shape=shape)
    return gain, sparse.csr_array((np.ones(entry.size), (job, entry)), shape=shape)
