"""A starting point for the simplex method: every job on one type, all at the same level. Stateless and cheap.

Where capacity does not bind, this is already optimal and the solver only confirms it; elsewhere it saves most of the
iterations of a start from nothing. A movement cost is not heeded, the vertex being feasible all the same: to start
where nothing moves took longer (164 instead of 90 ms at 1,700 jobs, 28 instead of 19 at 300). The solver's answer is
judged as any other: a bad start costs time, not truth.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.lp import KEPT_SHAPES
from phasewise.solvers.problems import Bools, Floats

_TURNS: Final = 10  # at 1,345 jobs each costs 0.1 ms and ten of them save half to nine tenths of 120 ms
_LEAST_TURNS: Final = 3
_JOBS_PER_TURN: Final = 32  # few jobs are soon pivoted into place: there a turn costs more than it saves
_STEP: Final = 0.5  # of the logarithm of a price; 0.3 to 1.0 make no great difference
_CLOSE: Final = 0.97  # of the bound: more is left to the simplex method
_NO_GPUS: Final = 1e-9  # stands for a capacity of 0, where nothing is used either


@dataclass(frozen=True, slots=True)
class StartingPoint:
    """A vertex of the program of `phasewise.solvers.forms.max_min_lp`.

    Attributes
    ----------
    kind
        (J,) the one worker type on which each job runs.
    full
        (J,) whether the job runs all the time; otherwise it gets just the common gain t.
    tight_type
        The worker type whose capacity limits t, or -1.
    tight_job
        The job whose time limits t where no type does.
    """

    kind: npt.NDArray[np.intp]
    full: Bools
    tight_type: int
    tight_job: int


def starting_point(problem: MaxMinProblem) -> StartingPoint | None:
    """Return a vertex to start from, or None where this instance has none that is cheap: rows of two jobs have none."""
    if problem.teams is not None:
        return None
    gain, capacity = problem.usable_gain, problem.capacity
    jobs, types = gain.shape
    kind = (gain * _tie_breaker(1 << (jobs - 1).bit_length(), tuple(capacity.tolist()))[:jobs]).argmax(axis=1)
    best = gain.ravel()[_row_starts(jobs, types) + kind]
    ceiling = float(best.min())
    if not ceiling > 0.0:
        return None  # some job gains nothing anywhere: t is 0 and the vertex is degenerate
    use = _total(kind, problem.scale_factor / best, types)
    if (capacity >= ceiling * use).all():
        spread = _Spread(ceiling, kind, -1, int(best.argmin()))
    else:
        spread = _spread_by_price(problem, kind, use, ceiling)
    full = np.zeros(jobs, dtype=np.bool_)
    if problem.linear_weight:  # the mean counts as well: run all the time where there is room for all
        full = (_total(spread.kind, problem.scale_factor, types) <= capacity)[spread.kind]
    return StartingPoint(spread.kind, full, spread.tight_type, spread.tight_job)


class _Spread(NamedTuple):
    """One type a job, the common gain t that this allows, and what limits t."""

    level: float
    kind: npt.NDArray[np.intp]
    tight_type: int
    tight_job: int


def _spread(gain: Floats, capacity: Floats, kind: npt.NDArray[np.intp], use: Floats) -> _Spread:
    """Return what the assignment ``kind`` (J,) allows; ``use`` (W,) is what it takes of each type for t = 1, GPUs."""
    own = gain.ravel()[_row_starts(*gain.shape) + kind]
    ratio = np.divide(capacity, use, out=np.full(use.size, np.inf), where=use > 0.0)
    tight_job, tight_type = int(own.argmin()), int(ratio.argmin())
    if ratio[tight_type] < own[tight_job]:
        return _Spread(float(ratio[tight_type]), kind, tight_type, tight_job)
    return _Spread(float(own[tight_job]), kind, -1, tight_job)


def _spread_by_price(problem: MaxMinProblem, kind: npt.NDArray[np.intp], use: Floats, ceiling: float) -> _Spread:
    """Return a better assignment where capacity binds: raise the price of crowded types, let every job choose again.

    A job reaches t at the cost p_j s_i / a_ij; any prices bound t by sum_j p_j N_j / sum_i min_j(p_j s_i / a_ij), which
    says when to stop. Types too slow for a job to reach that bound are not offered to it.
    """
    gain, capacity = problem.usable_gain, problem.capacity
    jobs, types = gain.shape
    spread = _spread(gain, capacity, kind, use)
    with np.errstate(divide="ignore"):
        need = problem.scale_factor[:, None] / gain  # GPUs of each type for t = 1
    price, bound = np.ones(types), ceiling
    cost = need
    for turn in range(min(_TURNS, _LEAST_TURNS + jobs // _JOBS_PER_TURN)):
        bound = min(bound, float(price @ capacity) / float(cost.min(axis=1).sum()))
        if spread.level >= _CLOSE * bound:
            break
        crowding = use * capacity.sum() / np.maximum(capacity, _NO_GPUS) / use.sum()
        price *= np.exp(_STEP / (1 + turn) ** 0.7 * np.clip(crowding - 1.0, -1.5, 1.5))
        cost = need * price
        kind = np.where(gain < bound, np.inf, cost).argmin(axis=1)
        use = _total(kind, need.ravel()[_row_starts(jobs, types) + kind], types)
        spread = max(spread, _spread(gain, capacity, kind, use), key=_level)
    return spread


def _total(kind: npt.NDArray[np.intp], amount: Floats, types: int) -> Floats:
    """Return (W,) the sum of ``amount`` (J,) over the jobs of each type."""
    return cast("Floats", np.bincount(kind, amount, types))  # NumPy declares integers, whatever the weights


def _level(spread: _Spread) -> float:
    """Return what spreads are compared by."""
    return spread.level


@lru_cache(maxsize=KEPT_SHAPES)
def _row_starts(jobs: int, types: int) -> npt.NDArray[np.intp]:
    """Return where each row of a raveled (J, W) array begins."""
    return np.arange(0, jobs * types, types)


@lru_cache(maxsize=KEPT_SHAPES)
def _tie_breaker(jobs: int, capacity: tuple[float, ...]) -> Floats:
    """Return (J, W) factors next to 1 that spread jobs without a preference over the types by their capacity.

    Those of fewer jobs are its first rows, so one is made for every power of two and not for every number of jobs.
    """
    bounds = np.cumsum(capacity)
    turn = (np.arange(jobs) * 0.6180339887498949) % 1.0  # the golden ratio: even for every prefix, hence for any subset
    favourite = np.searchsorted(bounds, turn * bounds[-1], side="right").clip(max=len(capacity) - 1)
    factors = np.ones((jobs, len(capacity)))
    factors[np.arange(jobs), favourite] += 1e-9
    return factors
