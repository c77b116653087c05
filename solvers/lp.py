"""Any linear family as sparse LP arrays, built without a Python loop.

MaxMin becomes, over columns x_11 .. x_JW (row by row of x) and t, with gains divided by a scale that brings t near 1
and each gain row by its largest entry r_i::

    max  J t + c sum_ij a_ij x_ij                  the whole objective times J: unscaled, costs of 1/J
                                                   come near a solver's dual tolerance: it stops early
    s.t. sum_j (a_ij / r_i) x_ij - t / r_i >= 0    J gain rows
         sum_j x_ij <= 1                           J time rows
         sum_i s_i x_ij <= N_j                     W capacity rows
         0 <= x_ij <= 1, or <= 0 where not allowed

A pair that is not allowed is a column fixed at 0, so the sparsity pattern depends on J and W alone and is kept.

`restrict` leaves columns of x out, which fixes them at 0; `reduced_gains` says whether one of them would improve the
optimum of what is left.

With a switching term x_ij is the sum of two columns with the same entries: the time added, as above, at the cost c_ij,
and the time kept, 0 <= k_ij <= previous_ij, which saves c_ij. Leaving everything costs sum_ij c_ij previous_ij, a
constant that is left out. There are no further rows, and a kept column only where something can be kept.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from functools import lru_cache, singledispatch
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.solvers.errors import UnsupportedProblemError
from phasewise.solvers.moving import Switching
from phasewise.solvers.problems import AllocationProblem, Floats, MaxMinProblem

Int32s = npt.NDArray[np.int32]
Ints = npt.NDArray[np.intp]

INFINITE: Final = float("inf")

KEPT_SHAPES: Final = 16
"""How many shapes' constant arrays are kept: the number of jobs wanders, and at 1,700 jobs each takes 0.2 MB."""

_NONE: Final[Ints] = np.empty(0, dtype=np.intp)
_LEAST_ROW_SCALE: Final = 1e-6
_MOST_ROW_SCALE: Final = 1e6  # beyond, t's coefficient would come near the 1e-9 below which HiGHS drops an entry


@dataclass(frozen=True, slots=True)
class LinearProgram:
    """Maximise ``cost @ z`` subject to ``row_lower <= A z <= row_upper`` and ``col_lower <= z <= col_upper``.

    Attributes
    ----------
    cost, col_lower, col_upper
        (n,) over the columns: x (or the time added) row by row, then t, then the time kept, pair by pair.
    row_lower, row_upper
        (m,): J gain rows, J time rows, W capacity rows.
    start, index, value
        A by columns (CSC): (n + 1,), (nnz,) and (nnz,).
    continuous
        (n,) zeros: no column is integral.
    gain_scale
        What gains were divided by.
    row_scale
        (J,) what the gain rows were divided by as well.
    kept
        (k,) flat indices into (J, W) of the pairs with a column of time kept, ascending; empty without switching.
    pairs
        Flat indices into (J, W) of the pairs with a column of x, ascending; None for all.
    """

    cost: Floats
    col_lower: Floats
    col_upper: Floats
    row_lower: Floats
    row_upper: Floats
    start: Int32s
    index: Int32s
    value: Floats
    continuous: Int32s
    gain_scale: float
    row_scale: Floats
    kept: Ints = field(default_factory=lambda: _NONE)
    pairs: Ints | None = None

    @property
    def level(self) -> int:
        """Which column is t: those of x come before it, those of time kept after it."""
        return self.cost.size - 1 - self.kept.size

    def x(self, columns: Floats) -> Floats:
        """Return the (J, W) allocation that the (n,) values of the columns are."""
        jobs, level = self.row_scale.size, self.level
        if self.pairs is None:
            x = columns[:level].copy()
        else:
            x = np.zeros(jobs * (self.row_lower.size - 2 * jobs))
            x[self.pairs] = columns[:level]
        x[self.kept] += columns[level + 1 :]
        return x.reshape(jobs, -1)

    def duals(self, row_duals: Floats) -> tuple[Floats, Floats]:
        """Return the (J,) job weights and (W,) capacity prices of the unscaled problem from the (m,) row duals.

        ``row_duals`` have the signs of a maximisation: at most 0 for ``>=`` rows, at least 0 for ``<=`` rows.
        """
        jobs = self.row_scale.size
        return row_duals[:jobs] / (-jobs * self.row_scale), row_duals[2 * jobs :] * (self.gain_scale / jobs)


def restrict(lp: LinearProgram, pairs: Ints) -> LinearProgram:
    """Return a whole program ``lp`` without the columns of x but those of ``pairs``, flat indices, ascending."""
    level = lp.level
    columns = np.concatenate((pairs, np.arange(level, lp.cost.size)))
    jobs, before, after = lp.row_scale.size, 3 * pairs.size, 3 * level
    entries = (3 * pairs[:, None] + np.arange(3)).ravel()
    start = np.empty(columns.size + 1, dtype=np.int32)
    start[: pairs.size + 1] = np.arange(0, before + 1, 3)
    start[pairs.size + 1 :] = np.arange(before + jobs, before + jobs + 3 * lp.kept.size + 1, 3)
    return replace(
        lp,
        cost=lp.cost[columns],
        col_lower=lp.col_lower[columns],
        col_upper=lp.col_upper[columns],
        start=start,
        index=np.concatenate((lp.index[entries], lp.index[after:])),
        value=np.concatenate((lp.value[entries], lp.value[after:])),
        continuous=lp.continuous[columns],
        pairs=pairs,
    )


def reduced_gains(lp: LinearProgram, row_duals: Floats) -> tuple[Floats, Floats]:
    """Return (J, W) what a unit of each column of x of a whole program is worth, and that less what it costs.

    In units of the LP's objective, at the (m,) duals of a maximisation. Where the latter is positive and the column not
    at its upper bound, it improves the optimum.
    """
    jobs = lp.row_scale.size
    types = lp.row_lower.size - 2 * jobs
    entries = lp.value[: 3 * jobs * types].reshape(jobs, types, 3)
    worth = entries[:, :, 0] * -row_duals[:jobs, None]
    paid = lp.cost[: jobs * types].reshape(jobs, types)
    costs = entries[:, :, 2] * row_duals[2 * jobs :] + row_duals[jobs : 2 * jobs, None]
    return worth + np.maximum(paid, 0.0), worth + paid - costs


@singledispatch
def to_lp(problem: AllocationProblem) -> LinearProgram:
    """Return ``problem`` as LP arrays; raise `UnsupportedProblemError` for a family without a linear form."""
    raise UnsupportedProblemError(f"problem family {problem.family!r} has no linear form here")


@to_lp.register
def _max_min(problem: MaxMinProblem) -> LinearProgram:
    jobs, types = problem.jobs, problem.types
    pairs = jobs * types
    pattern = _pattern(jobs, types)
    scale = gain_scale(problem)
    value = np.empty(3 * pairs + jobs)
    entries = value[: 3 * pairs].reshape(jobs, types, 3)
    scaled = problem.usable_gain / scale
    row_scale = scaled.max(axis=1).clip(_LEAST_ROW_SCALE, _MOST_ROW_SCALE)
    np.divide(scaled, row_scale[:, None], out=entries[:, :, 0])
    entries[:, :, 1] = 1.0
    entries[:, :, 2] = problem.scale_factor[:, None]
    np.divide(-1.0, row_scale, out=value[3 * pairs :])
    cost = np.zeros(pairs + 1)
    cost[-1] = jobs
    if problem.linear_weight:
        np.multiply(scaled, problem.linear_weight, out=cost[:-1].reshape(jobs, types))
    col_upper = np.full(pairs + 1, INFINITE)
    col_upper[:-1] = problem.allowed_mask.ravel()
    row_upper = pattern.row_upper.copy()
    row_upper[2 * jobs :] = problem.capacity
    lp = LinearProgram(
        cost,
        pattern.col_lower,
        col_upper,
        pattern.row_lower,
        row_upper,
        pattern.starts,
        pattern.indices,
        value,
        pattern.continuous,
        scale,
        row_scale,
    )
    return lp if problem.switching is None else _with_time_kept(lp, problem.switching)


def _with_time_kept(lp: LinearProgram, switching: Switching) -> LinearProgram:
    """Return the program with the cost of time added, and a column more for every pair with time that can be kept."""
    jobs = lp.row_scale.size
    pairs = switching.previous.size
    price = switching.cost.ravel() * (jobs / lp.gain_scale)
    upper = np.minimum(switching.previous.ravel(), lp.col_upper[:pairs])
    kept = np.flatnonzero(upper)  # a pair that is not allowed keeps nothing
    cost = np.concatenate((lp.cost, lp.cost[kept] + price[kept]))
    cost[:pairs] -= price
    entries = np.arange(3) + 3 * kept[:, None]
    end = lp.start[-1]
    return replace(
        lp,
        cost=cost,
        col_lower=np.zeros(cost.size),
        col_upper=np.concatenate((lp.col_upper, upper[kept])),
        start=np.concatenate((lp.start, np.arange(end + 3, end + 3 + 3 * kept.size, 3, dtype=np.int32))),
        index=np.concatenate((lp.index, lp.index[entries].ravel())),
        value=np.concatenate((lp.value, lp.value[entries].ravel())),
        continuous=np.zeros(cost.size, dtype=np.int32),
        kept=kept,
    )


def gain_scale(problem: MaxMinProblem) -> float:
    """Return the gain of the worst-off job under equal shares, so that a scaled optimum is at least about 1.

    Absolute tolerances of a solver are then relative ones whatever the unit of the gains. Where some job gains nothing
    from an equal share, t is 0 or nearly so; then the scale is what is left of the objective, or the largest gain.
    """
    if equal := problem.equal_share_gain:
        return equal
    most = float(problem.usable_gain.max())
    rest = problem.linear_weight * most
    if problem.switching is not None:
        rest = max(rest, problem.jobs * float(problem.switching.cost.max()))
    return rest or most or 1.0


class _Pattern(NamedTuple):
    """What depends on J and W alone."""

    starts: Int32s
    indices: Int32s
    continuous: Int32s
    col_lower: Floats
    row_lower: Floats
    row_upper: Floats


@lru_cache(maxsize=KEPT_SHAPES)
def _pattern(jobs: int, types: int) -> _Pattern:
    """Return the read-only arrays of a MaxMin LP that depend on its shape alone."""
    pairs = jobs * types
    start = np.arange(0, 3 * pairs + 4, 3, dtype=np.int32)
    start[pairs + 1] = 3 * pairs + jobs
    index = np.empty(3 * pairs + jobs, dtype=np.int32)
    entries = index[: 3 * pairs].reshape(jobs, types, 3)
    job = np.arange(jobs, dtype=np.int32)
    entries[:, :, 0] = job[:, None]
    entries[:, :, 1] = jobs + job[:, None]
    entries[:, :, 2] = 2 * jobs + np.arange(types, dtype=np.int32)
    index[3 * pairs :] = job
    row_lower = np.full(2 * jobs + types, -INFINITE)
    row_lower[:jobs] = 0.0
    row_upper = np.full(2 * jobs + types, INFINITE)
    row_upper[jobs : 2 * jobs] = 1.0
    continuous = np.zeros(pairs + 1, dtype=np.int32)
    pattern = _Pattern(start, index, continuous, np.zeros(pairs + 1), row_lower, row_upper)
    for array in pattern:
        array.flags.writeable = False
    return pattern
