"""Problem families as vectorised CVXPY programs. Importing this imports CVXPY (about 0.8 s): do it in ``open``.

Pairs that are not allowed are left out: the variable has one entry per allowed pair, placed by sparse matrices. A
constraint per forbidden pair would make a solve many times slower, and columns of zeros make interior points fail.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import singledispatch

import cvxpy as cp
import numpy as np
import numpy.typing as npt
from scipy import sparse

from phasewise.solvers.errors import UnsupportedProblemError
from phasewise.solvers.lp import gain_scale
from phasewise.solvers.problems import AllocationProblem, Floats, MaxMinProblem


@dataclass(frozen=True, slots=True)
class CvxProgram:
    """A CVXPY program and where to find our x and duals in its solution.

    Attributes
    ----------
    program
        The `cvxpy.Problem`.
    x_id, gain_id, capacity_id
        CVXPY's ids of the variable and of the constraints whose duals bound the optimum.
    pairs
        (k,) flat indices into (J, W) of the variable's entries.
    shape
        (J, W).
    weight_unit, price_unit
        What the program's job weights and capacity prices are multiplied by to give those of the problem.
    """

    program: cp.Problem
    x_id: int
    gain_id: int
    capacity_id: int
    pairs: npt.NDArray[np.intp]
    shape: tuple[int, int]
    weight_unit: float
    price_unit: float

    def x_from(self, entries: Floats) -> Floats:
        """Return the (J, W) allocation of the variable's (k,) value."""
        x = np.zeros(self.shape)
        x.reshape(-1)[self.pairs] = entries
        return x


@singledispatch
def to_cvx(problem: AllocationProblem) -> CvxProgram:
    """Return ``problem`` as a CVXPY program; raise `UnsupportedProblemError` for a family without one."""
    raise UnsupportedProblemError(f"problem family {problem.family!r} has no CVXPY form here")


@to_cvx.register
def _max_min(problem: MaxMinProblem) -> CvxProgram:
    jobs, types = shape = (problem.jobs, problem.types)
    scale = gain_scale(problem)
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
    objective = jobs * least  # the whole objective times J, as in `phasewise.solvers.lp`
    if problem.linear_weight:
        objective = objective + (problem.linear_weight * gains) @ x
    program = cp.Problem(cp.Maximize(objective), [gain_rows, time @ x <= 1, capacity_rows])
    return CvxProgram(program, x.id, gain_rows.id, capacity_rows.id, pairs, shape, 1.0 / jobs, scale / jobs)
