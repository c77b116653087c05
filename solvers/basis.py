"""A simplex basis of the max-min program of single jobs, and how it is carried from one round's problem to the next.

A job owns a gain row, a time row and the columns of its pairs; t and the capacity rows belong to all. So a basis can be
taken apart by jobs: who stays keeps its part, who leaves takes it along, who arrives gets the part that is best at the
prices of the last round. What comes of it is nearly optimal after an ordinary round, and often a basis at once; where
it is none, the solver completes it. Jobs are known again by the keys of their rows.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.solvers.crash import StartingPoint
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.lp import LinearProgram
from phasewise.solvers.problems import Bools, Floats, Ints
from phasewise.solvers.rows import Keys

Codes = npt.NDArray[np.int8]

LOWER: Final = np.int8(0)
BASIC: Final = np.int8(1)
UPPER: Final = np.int8(2)


@dataclass(frozen=True, slots=True)
class Basis:
    """A basis of an LP.

    Attributes
    ----------
    columns, rows
        (n,) and (m,) codes: at the lower bound, basic, at the upper bound.
    """

    columns: Codes
    rows: Codes

    @property
    def is_square(self) -> bool:
        """Whether there are as many basic variables as rows."""
        basic = np.count_nonzero(self.columns == BASIC) + np.count_nonzero(self.rows == BASIC)
        return bool(basic == self.rows.size)


@dataclass(frozen=True, slots=True)
class SolvedBasis:
    """What one round leaves to the next.

    Attributes
    ----------
    family
        The problem's family.
    keys
        (J,) by which jobs are known again, None where they have none.
    added, kept
        (J, W) codes of the columns of time added and of time kept, UPPER where a pair has no column of time kept.
    gain_rows, time_rows
        (J,) codes.
    capacity_rows
        (W,) codes.
    level
        The common gain t.
    prices
        (W,) objective per GPU.
    """

    family: str
    keys: Keys | None
    added: Codes
    kept: Codes
    gain_rows: Codes
    time_rows: Codes
    capacity_rows: Codes
    level: float
    prices: Floats


def solved(problem: MaxMinProblem, lp: LinearProgram, basis: Basis, level: float, prices: Floats) -> SolvedBasis:
    """Return what the optimal ``basis`` of ``problem`` leaves to the next round."""
    kept = np.full(lp.shape[0] * lp.shape[1], UPPER)
    if "kept" in lp.columns:
        kept[kept_pairs(lp)] = basis.columns[lp.columns["kept"]]
    return SolvedBasis(
        problem.family,
        problem.keys,
        basis.columns[lp.columns["x"]].reshape(lp.shape),
        kept.reshape(lp.shape),
        basis.rows[lp.rows["gain"]],
        basis.rows[lp.rows["time"]],
        basis.rows[lp.rows["capacity"]],
        level,
        prices,
    )


def kept_pairs(lp: LinearProgram) -> Ints:
    """Return the flat indices of the pairs with a column of time kept, none where there is no such block."""
    kept = lp.pairs.get("kept")
    return np.empty(0, dtype=np.intp) if kept is None else kept


def basis_of(lp: LinearProgram, basic: npt.NDArray[np.integer], columns: Floats) -> Basis:
    """Return the basis with these basic variables.

    Parameters
    ----------
    lp
        The program.
    basic
        (m,) columns from 0 on, and rows r as -1 - r.
    columns
        (n,) values of the columns, which tell the bound at which each of the others is.
    """
    column_codes = np.where(columns > 0.5 * lp.col_upper, UPPER, LOWER)  # a column fixed at 0 is at its lower bound
    row_codes = np.where(np.isinf(lp.row_upper), LOWER, UPPER)
    column_codes[basic[basic >= 0]] = BASIC
    row_codes[-1 - basic[basic < 0]] = BASIC
    return Basis(column_codes, row_codes)


def starting_basis(start: StartingPoint, lp: LinearProgram) -> Basis:
    """Return the basis of a starting point: t and one column a job, and the slack of every row but J + 1.

    A job at the common gain has its gain row tight, one that runs all the time its time row; the last tight row is the
    one that limits t.
    """
    jobs, types = lp.shape
    columns, rows = np.full(lp.cost.size, LOWER), np.full(lp.row_lower.size, BASIC)
    gain, time, capacity = (rows[lp.rows[name]] for name in ("gain", "time", "capacity"))
    columns[lp.columns["x"]][np.arange(0, jobs * types, types) + start.kind] = BASIC
    columns[lp.columns["level"]] = BASIC
    gain[:] = np.where(start.full, BASIC, LOWER)
    time[:] = np.where(start.full, UPPER, BASIC)
    if start.tight_type >= 0:
        capacity[start.tight_type] = UPPER
    else:
        gain[start.tight_job] = LOWER
        time[start.tight_job] = UPPER
    return Basis(columns, rows)


def carried(last: SolvedBasis, source: Ints, problem: MaxMinProblem, lp: LinearProgram, rises: bool | None) -> Basis:
    """Return the basis to start ``problem`` from.

    Parameters
    ----------
    last
        What the last round left.
    source
        (J,) each job's row in it, -1 for one that has arrived.
    problem, lp
        This round's.
    rises
        With a movement cost: whether the common gain is expected to rise; None leaves everything as it was.
    """
    jobs, types = lp.shape
    stays = source >= 0
    parts = _arrivals(problem, ~stays, last)
    for part, old in zip(parts, (last.added, last.kept, last.gain_rows, last.time_rows), strict=True):
        part[stays] = old[source[stays]]
    added, kept, gain_rows, time_rows = parts
    has_kept, has_column = np.zeros(jobs * types, dtype=np.bool_), kept_pairs(lp)
    has_kept[has_column] = True
    if rises is not None:
        _lean(problem, rises, added, kept, stays & (gain_rows != BASIC))
    lost = (kept == BASIC) & ~has_kept.reshape(jobs, types)
    added[lost] = BASIC  # the same column of the matrix stands in for it
    columns, rows = np.full(lp.cost.size, BASIC), np.full(lp.row_lower.size, BASIC)
    columns[lp.columns["x"]] = added.ravel()
    if has_column.size:
        columns[lp.columns["kept"]] = kept.ravel()[has_column]
    for name, codes in (("gain", gain_rows), ("time", time_rows), ("capacity", last.capacity_rows)):
        rows[lp.rows[name]] = codes
    return Basis(columns, rows)


def level_rises(last: SolvedBasis, source: Ints, problem: MaxMinProblem) -> bool | None:
    """Return whether the common gain will rise, or None where it does not matter: no movement cost, or no scarcity.

    It rises where what has become free is worth more, at the last prices, than what the arrivals need.
    """
    switching = problem.switching
    if switching is None:
        return None
    stays = source >= 0
    rows = np.flatnonzero(~stays)
    x = np.where(stays[:, None], switching.previous, 0.0)
    gain, (kind, _) = problem.usable_gain[rows], _best_response(problem, rows, last)
    own = gain[np.arange(rows.size), kind]
    x[rows, kind] = np.minimum(1.0, np.divide(last.level, own, out=np.zeros(rows.size), where=own > 0.0))
    freed = float(last.prices @ (problem.capacity - problem.scale_factor @ x))
    return None if freed == 0.0 else freed > 0.0


def _lean(problem: MaxMinProblem, rises: bool, added: Codes, kept: Codes, at_level: Bools) -> None:
    """Choose between time added and time kept as the basic variable of every job that is at the common gain.

    Both are the same column of the matrix, and at the allocation in force either may be basic. If the level rises every
    such job adds time, if it falls every one keeps less; the simplex method would learn that one job at a time. A job
    on two types moves from the slower to the faster one as the level rises.

    Parameters
    ----------
    problem
        This round's.
    rises
        Whether the level does.
    added, kept
        (J, W) codes, written to.
    at_level
        (J,) the jobs to treat.
    """
    basic = ((added == BASIC) | (kept == BASIC)) & at_level[:, None]
    fastest = np.where(basic, problem.usable_gain, 0.0).max(axis=1)
    follows = basic & (problem.usable_gain >= fastest[:, None])
    grows = follows == rises
    added[basic & grows], kept[basic & grows] = BASIC, UPPER
    added[basic & ~grows], kept[basic & ~grows] = LOWER, BASIC


def _arrivals(problem: MaxMinProblem, new: Bools, last: SolvedBasis) -> tuple[Codes, Codes, Codes, Codes]:
    """Return codes of all jobs' added and kept columns, gain and time rows, right for those that are ``new`` (J,)."""
    jobs, types = problem.jobs, problem.types
    added, kept = np.full((jobs, types), LOWER), np.full((jobs, types), UPPER)
    gain_rows, time_rows = np.full(jobs, LOWER), np.full(jobs, BASIC)
    rows = np.flatnonzero(new)
    kind, full = _best_response(problem, rows, last)
    added[rows, kind] = BASIC
    gain_rows[rows[full]] = BASIC
    time_rows[rows[full]] = UPPER
    return added, kept, gain_rows, time_rows


def _best_response(problem: MaxMinProblem, rows: Ints, last: SolvedBasis) -> tuple[Ints, Bools]:
    """Return the type on which each of the jobs ``rows`` reaches the level most cheaply, and whether it runs all day.

    At the prices p a unit of time on type j costs s_i p_j, and what moving there costs, less what the gain is worth by
    itself. Reaching the level takes level / a_ij of it; where it costs less than nothing, all the time is best.
    """
    gain = problem.usable_gain[rows]
    cost = problem.scale_factor[rows, None] * last.prices - gain * (problem.linear_weight / problem.jobs)
    if problem.switching is not None:
        cost += problem.switching.cost[rows]
    reaches = gain >= max(last.level, np.finfo(np.float64).tiny)
    at_level = np.divide(cost * last.level, gain, out=np.full(gain.shape, np.inf), where=reaches)
    all_day = np.where(reaches, cost, np.inf)
    full = all_day.min(axis=1, initial=np.inf) < at_level.min(axis=1, initial=np.inf)
    kind = np.where(full, all_day.argmin(axis=1), at_level.argmin(axis=1))
    return np.where(reaches.any(axis=1), kind, gain.argmax(axis=1)), full
