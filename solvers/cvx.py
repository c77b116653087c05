"""Problem families as vectorised CVXPY programs. Importing this imports CVXPY (about 0.8 s): do it in ``open``.

Pairs that are not allowed are left out: the variable has one entry per allowed pair, placed by sparse matrices. A
constraint per forbidden pair would make a solve many times slower, and columns of zeros make interior points fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import cvxpy as cp
import numpy as np
import numpy.typing as npt

from phasewise.solvers.forms.tables import CVX
from phasewise.solvers.problems import AllocationProblem, Floats
from phasewise.solvers.proofs import Duals

RowDuals = Mapping[int, Any]
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
        (k,) flat indices into (R, W) of the variable's entries, in its order.
    shape
        (R, W).
    to_duals
        Makes duals of the problem of the solution's; raises KeyError where one is missing.
    """

    program: cp.Problem
    x_id: int
    pairs: npt.NDArray[np.intp]
    shape: tuple[int, int]
    to_duals: Callable[[RowDuals], Duals]

    def x_from(self, value: npt.ArrayLike) -> Floats:
        """Return the (R, W) allocation of the variable's value."""
        x = np.zeros(self.shape)
        x.reshape(-1)[self.pairs] = np.asarray(value, dtype=np.float64).reshape(-1)
        return x


def to_cvx(problem: AllocationProblem) -> CvxProgram:
    """Return ``problem`` as a CVXPY program; raise `UnsupportedProblemError` for a family without one."""
    return CVX.of(problem)(problem)


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


def vector(duals: RowDuals, constraint_id: int) -> Floats:
    """Return one constraint's duals as a vector."""
    return np.atleast_1d(np.asarray(duals[constraint_id], dtype=np.float64)).reshape(-1)
