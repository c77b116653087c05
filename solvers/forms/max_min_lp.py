"""Max-min as a linear program, built without a Python loop.

Over columns x_11 .. x_RW (row by row of x) and t, the level, with gains divided by a scale that brings t near 1 and
each gain row by its largest entry r_i::

    max  J t + c sum_ij a_ij x_ij                  the whole objective times J: unscaled, costs of 1/J
                                                   come near a solver's dual tolerance: it stops early
    s.t. sum_j (a_ij / r_i) x_ij - t / r_i >= 0    J gain rows
         sum_j x_ij <= 1                           J time rows
         sum_i s_i x_ij <= N_j                     W capacity rows
         0 <= x_ij <= 1, or <= 0 where not allowed

A pair that is not allowed is a column fixed at 0, so the sparsity pattern depends on R and W alone and is kept.

With a movement cost x_ij is the sum of time added and time kept, see `phasewise.solvers.forms.time_kept`.

Where a row is a team of two, its columns have an entry more in the gain row and in the time row of the second member.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import Final, NamedTuple

import numpy as np

from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.forms.tables import LP
from phasewise.solvers.forms.time_kept import with_time_kept
from phasewise.solvers.lp import INFINITE, KEPT_SHAPES, Int32s, LinearProgram
from phasewise.solvers.problems import Floats
from phasewise.solvers.proofs import Duals
from phasewise.solvers.rows import Teams
from phasewise.solvers.short_rows import row_max

_LEAST_ROW_SCALE: Final = 1e-6
_MOST_ROW_SCALE: Final = 1e6  # beyond, t's coefficient would come near the 1e-9 below which HiGHS drops an entry


@LP.register(MaxMinProblem)
def to_lp(problem: MaxMinProblem) -> LinearProgram:
    """Return the problem as a linear program with columns x, level and kept, and rows gain, time and capacity."""
    lp = _single(problem) if problem.teams is None else _teams(problem, problem.teams)
    return lp if problem.switching is None else with_time_kept(lp, problem.switching, problem.jobs / lp.scale)


def _single(problem: MaxMinProblem) -> LinearProgram:
    """Return the program without time kept, where each row is one job."""
    jobs, types = problem.rows, problem.types
    pairs = jobs * types
    pattern = _pattern(jobs, types)
    scale = problem.gain_scale
    value = np.empty(3 * pairs + jobs)
    entries = value[: 3 * pairs].reshape(jobs, types, 3)
    scaled = problem.usable_gain / scale
    row_scale = row_scales(problem)
    np.divide(scaled, row_scale[:, None], out=entries[:, :, 0])
    entries[:, :, 1] = 1.0
    entries[:, :, 2] = problem.scale_factor[:, None]
    np.divide(-1.0, row_scale, out=value[3 * pairs :])
    cost = np.zeros(pairs + 1)
    cost[-1] = jobs
    if problem.linear_weight:
        np.multiply(scaled, problem.linear_weight, out=cost[:-1].reshape(jobs, types))
    row_upper = pattern.row_upper.copy()
    row_upper[2 * jobs :] = problem.capacity
    return LinearProgram(
        cost,
        pattern.col_lower,
        _upper(problem),
        pattern.row_lower,
        row_upper,
        pattern.starts,
        pattern.indices,
        value,
        pattern.continuous,
        (jobs, types),
        {"x": slice(0, pairs), "level": slice(pairs, pairs + 1)},
        _rows(jobs, types),
        {"x": None},
        _to_duals(jobs, scale, row_scale),
        scale,
    )


def row_scales(problem: MaxMinProblem) -> Floats:
    """Return (J,) what each gain row of a program of single jobs is divided by, in units of its scale."""
    most = row_max(problem.usable_gain)
    most /= problem.gain_scale
    return np.clip(most, _LEAST_ROW_SCALE, _MOST_ROW_SCALE, out=most)


def _teams(problem: MaxMinProblem, teams: Teams) -> LinearProgram:
    """Return the program without time kept, where some rows are of two jobs."""
    jobs, types = problem.jobs, problem.types
    pairs = problem.rows * types
    scale = problem.gain_scale
    own, partner = problem.usable_gain / scale, problem.usable_partner_gain / scale
    row_scale = np.zeros(jobs)
    np.maximum.at(row_scale, teams.first, own.max(axis=1))
    np.maximum.at(row_scale, teams.second, partner.max(axis=1, initial=0.0))
    row_scale = row_scale.clip(_LEAST_ROW_SCALE, _MOST_ROW_SCALE)
    cost = np.append(np.zeros(pairs), float(jobs))
    if problem.linear_weight:
        worth = own.copy()
        worth[teams.pairs] += partner
        cost[:-1] = problem.linear_weight * worth.ravel()
    return LinearProgram(
        cost,
        np.zeros(pairs + 1),
        _upper(problem),
        np.concatenate((np.zeros(jobs), np.full(jobs + types, -INFINITE))),
        np.concatenate((np.full(jobs, INFINITE), np.ones(jobs), problem.capacity)),
        *_team_matrix(problem, teams, own, partner, row_scale),
        np.zeros(pairs + 1, dtype=np.int32),
        (problem.rows, types),
        {"x": slice(0, pairs), "level": slice(pairs, pairs + 1)},
        _rows(jobs, types),
        {"x": None},
        _to_duals(jobs, scale, row_scale),
        scale,
    )


def _team_matrix(
    problem: MaxMinProblem, teams: Teams, own: Floats, partner: Floats, row_scale: Floats
) -> tuple[Int32s, Int32s, Floats]:
    """Return the matrix by columns: where each starts, (P * W + 2,), and the rows and values of its entries.

    ``own`` (P, W) and ``partner`` (teams of two, W) are the gains of the first and of the second job of each row.
    """
    jobs, types = problem.jobs, problem.types
    pairs = problem.rows * types
    column = np.arange(pairs).reshape(problem.rows, types)
    shared, alone = column[teams.pairs], np.ones((problem.rows, types))
    first, second = teams.first[:, None] * alone, teams.second[:, None] * alone[teams.pairs]
    parts = (  # (rows, columns, values) of the matrix
        (first, column, own / row_scale[teams.first, None]),
        (second, shared, partner / row_scale[teams.second, None]),
        (jobs + first, column, alone),
        (jobs + second, shared, alone[teams.pairs]),
        (2 * jobs + np.arange(types) * alone, column, problem.scale_factor[:, None] * alone),
        (np.arange(jobs), np.full(jobs, pairs), -1.0 / row_scale),
    )
    row, col, value = (np.concatenate([np.ravel(part[k]) for part in parts]) for k in range(3))
    order = np.argsort(col, kind="stable")
    start = np.zeros(pairs + 2, dtype=np.int32)
    np.cumsum(np.bincount(col, minlength=pairs + 1), out=start[1:])
    return start, row[order].astype(np.int32), value[order]


def _upper(problem: MaxMinProblem) -> Floats:
    """Return the upper bounds of the columns of x, and of t."""
    upper = np.full(problem.rows * problem.types + 1, INFINITE)
    upper[:-1] = problem.allowed_mask.ravel()
    return upper


def _rows(jobs: int, types: int) -> Mapping[str, slice]:
    """Return where the blocks of rows are."""
    return {"gain": slice(0, jobs), "time": slice(jobs, 2 * jobs), "capacity": slice(2 * jobs, 2 * jobs + types)}


def _to_duals(jobs: int, scale: float, row_scale: Floats) -> Callable[[Mapping[str, Floats]], Duals]:
    """Return what makes duals of an objective with t once of those of the scaled rows."""

    def to_duals(rows: Mapping[str, Floats]) -> Duals:
        unit = scale / jobs
        gain: Floats = rows["gain"] / (-jobs * row_scale)
        return Duals(capacity=rows["capacity"] * unit, gain=gain, time=rows["time"] * unit)

    return to_duals


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
    """Return the read-only arrays of a program of single jobs that depend on its shape alone."""
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
