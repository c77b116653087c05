"""Problem families as vectorised CVXPY programs. Importing this imports CVXPY (about 0.8 s): do it in ``open``.

Pairs that are not allowed are left out: the variable has one entry per allowed pair, placed by sparse matrices. A
constraint per forbidden pair would make a solve many times slower, and columns of zeros make interior points fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import singledispatch
from typing import Any, Final

import cvxpy as cp
import numpy as np
import numpy.typing as npt
from scipy import sparse

from phasewise.solvers.errors import UnsupportedProblemError
from phasewise.solvers.lp import gain_scale
from phasewise.solvers.problems import AllocationProblem, Floats, MaxMinProblem

WELL_SCALED: Final = (1e-2, 1e2)
"""Gains of the worst-off job that a solver's absolute tolerances suit as they are."""

Duals = Mapping[int, Any]
"""CVXPY's duals by the id of their constraint."""


@dataclass(frozen=True, slots=True)
class CvxProgram:
    """A CVXPY program and where to find our x and duals in its solution.

    Attributes
    ----------
    program
        The `cvxpy.Problem`.
    x_id
        CVXPY's id of the variable.
    pairs
        (k,) flat indices into (J, W) of the variable's entries, in its order.
    shape
        (J, W).
    bounding
        Makes job weights (J,) and capacity prices (W,), the duals that bound the optimum, of the solution's duals;
        raises KeyError where one is missing.
    """

    program: cp.Problem
    x_id: int
    pairs: npt.NDArray[np.intp]
    shape: tuple[int, int]
    bounding: Callable[[Duals], tuple[Floats, Floats]]

    def x_from(self, value: npt.ArrayLike) -> Floats:
        """Return the (J, W) allocation of the variable's value."""
        x = np.zeros(self.shape)
        x.reshape(-1)[self.pairs] = np.asarray(value, dtype=np.float64).reshape(-1)
        return x


@singledispatch
def to_cvx(problem: AllocationProblem) -> CvxProgram:
    """Return ``problem`` as a CVXPY program; raise `UnsupportedProblemError` for a family without one."""
    raise UnsupportedProblemError(f"problem family {problem.family!r} has no CVXPY form here")


@to_cvx.register
def _max_min(problem: MaxMinProblem) -> CvxProgram:
    scale = gain_scale(problem)
    plain = problem.allowed_mask.all() and not problem.linear_weight and problem.switching is None
    if plain and scale == np.clip(scale, *WELL_SCALED):
        return _as_the_original(problem)
    return _scaled(problem, scale)


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

    def bounding(duals: Duals) -> tuple[Floats, Floats]:
        # The epigraph's duals stay inside CVXPY; the largest weights that the other duals admit prove the same bound.
        prices = np.maximum(_vector(duals, capacity_rows.id), 0.0)
        time = np.maximum(_vector(duals, time_rows.id), 0.0)
        cost = time[:, None] + problem.scale_factor[:, None] * prices
        gain = problem.gain
        return np.divide(cost, gain, out=np.full(gain.shape, np.inf), where=gain > 0.0).min(axis=1), prices

    return CvxProgram(program, x.id, np.arange(jobs * types), (jobs, types), bounding)


def _scaled(problem: MaxMinProblem, scale: float) -> CvxProgram:
    """Return any max-min problem with gains near 1, the whole objective times J, and impossible pairs left out."""
    jobs, types = shape = (problem.jobs, problem.types)
    pairs = np.flatnonzero(problem.allowed_mask)
    entries = np.arange(pairs.size)
    job, kind = np.divmod(pairs, types)
    gains = problem.gain.ravel()[pairs] / scale
    gain = sparse.csr_array((gains, (job, entries)), shape=(jobs, pairs.size))
    time = sparse.csr_array((np.ones(pairs.size), (job, entries)), shape=(jobs, pairs.size))
    gpus = sparse.csr_array((problem.scale_factor[job], (kind, entries)), shape=(types, pairs.size))

    x = cp.Variable(pairs.size, nonneg=True)
    least = cp.Variable()
    gain_rows = gain @ x >= least
    capacity_rows = gpus @ x <= problem.capacity
    objective = jobs * least  # as in `phasewise.solvers.lp`
    if problem.linear_weight:
        objective = objective + (problem.linear_weight * gains) @ x
    rows = [gain_rows, time @ x <= 1, capacity_rows]
    if switching := problem.switching:
        previous, cost = switching.previous.ravel()[pairs], switching.cost.ravel()[pairs] * (jobs / scale)
        priced = np.flatnonzero(cost)  # a move that is free would leave its variable unbounded
        moved, moved_rows = moved_at_least(x[priced], previous[priced])
        objective, rows = objective - cost[priced] @ moved, rows + moved_rows
    program = cp.Problem(cp.Maximize(objective), rows)

    def bounding(duals: Duals) -> tuple[Floats, Floats]:
        return _vector(duals, gain_rows.id) / jobs, _vector(duals, capacity_rows.id) * (scale / jobs)

    return CvxProgram(program, x.id, pairs, shape, bounding)


def moved_at_least(x: Any, previous: Any) -> tuple[cp.Variable, list[cp.Constraint]]:
    """Return a variable that is at least ``abs(x - previous)``, and the rows that make it so.

    Two linear rows an entry: with ``previous`` a parameter they keep the disciplined form (DPP), which
    ``cp.abs(x - previous)`` does not.

    Parameters
    ----------
    x
        (k,) CVXPY expression.
    previous
        (k,) array or CVXPY parameter.
    """
    moved = cp.Variable(x.shape)
    return moved, [moved >= x - previous, moved >= previous - x]


def _vector(duals: Duals, constraint_id: int) -> Floats:
    """Return one constraint's duals as a vector."""
    return np.atleast_1d(np.asarray(duals[constraint_id], dtype=np.float64)).reshape(-1)
