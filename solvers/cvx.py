"""Problem families as vectorised CVXPY programs. Importing this imports CVXPY (about 0.8 s): do it in ``open``.

Pairs that are not allowed are left out: the variable has one entry per allowed pair, placed by sparse matrices. A
constraint per forbidden pair would make a solve many times slower, and columns of zeros make interior points fail.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import cvxpy as cp
import numpy as np
import numpy.typing as npt

from phasewise.solvers.families.moving import Switching
from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.proofs import Duals
from phasewise.solvers.rows import Keys

RowDuals = Mapping[int, Any]
"""CVXPY's duals by the id of their constraint."""

MOST_MOVED: Final = 2.0
"""Of a pair's time, beyond what can be moved: without a limit a move that costs nothing would be unbounded."""


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
    members
        (R, 2) the teams that the rows of the allocation are, where the program has chosen them; else None.
    """

    program: cp.Problem
    x_id: int
    pairs: npt.NDArray[np.intp]
    shape: tuple[int, int]
    to_duals: Callable[[RowDuals], Duals]
    members: Keys | None = None

    def x_from(self, value: npt.ArrayLike) -> Floats:
        """Return the (R, W) allocation of the variable's value."""
        x = np.zeros(self.shape)
        x.reshape(-1)[self.pairs] = np.asarray(value, dtype=np.float64).reshape(-1)
        return x


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


def movement_cost(x: Any, switching: Switching, pairs: Ints, unit: float) -> tuple[Any, list[cp.Constraint]]:
    """Return the expression of what leaving the allocation in force for ``x`` costs, times ``unit``, and its rows.

    Parameters
    ----------
    x
        (k,) CVXPY expression over ``pairs``, (k,) flat indices into (R, W).
    """
    previous, cost = switching.previous.ravel()[pairs], switching.cost.ravel()[pairs] * unit
    priced = np.flatnonzero(cost)  # a move that is free would leave its variable unbounded
    moved, rows = moved_at_least(x[priced], previous[priced])
    return cost[priced] @ moved, rows


def vector(duals: RowDuals, constraint_id: int) -> Floats:
    """Return one constraint's duals as a vector."""
    return np.atleast_1d(np.asarray(duals[constraint_id], dtype=np.float64)).reshape(-1)
