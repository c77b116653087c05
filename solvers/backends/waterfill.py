"""`waterfill`: every job on one type, every type filled like a vessel. No LP: a heuristic that says what it gives up.

A job goes where a unit of level costs it least, s_i p_j / a_ij, at prices that rise where a type is crowded. Where
moving costs, a type other than the job's present one counts for less by the share of a round that the move loses: one
that loses 15 % of a round must offer more than 15 % more. Within a type all jobs get the same level t as far as their
gains allow, y_i = min(1, t / a_i) with sum_i s_i y_i <= N_j: sorted by gain, one walk finds t.

The prices bound the optimum by weak duality, so the certifier's gap says what is given up at most.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, Floats, RebuildReason, Status
from phasewise.solvers.errors import OptionError
from phasewise.solvers.problems import MAX_MIN, MAX_MIN_SWITCHING, Problem, Switching

_TURNS: Final = 10
_STEP: Final = 0.5  # of the logarithm of a price
_PRESENT: Final = 0.5  # least share of its time that a job spends on a type that is called its own


class Waterfill:
    """One type a job, one level a type."""

    name: ClassVar[str] = "waterfill"
    aliases: ClassVar[tuple[str, ...]] = ()
    families: ClassVar[frozenset[str]] = frozenset({MAX_MIN, MAX_MIN_SWITCHING})
    requires: ClassVar[Mapping[str, str]] = {}
    limits: ClassVar[str] = "heuristic, O(k log k) a type: feasible, not optimal; the gap is what it gives up at most"
    tolerance: ClassVar[float] = float("inf")
    exact: ClassVar[bool] = False

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> WaterfillSession:
        """Return a session; raise `OptionError` for any option, as there are none."""
        if options:
            raise OptionError(f"{self.name}: takes no options; got {dict(options)}")
        return WaterfillSession(timer)


class WaterfillSession:
    """Keeps nothing between problems."""

    def __init__(self, timer: PhaseTimer) -> None:
        self._timer = timer

    def solve(self, problem: Problem) -> Answer:
        """Return a feasible allocation and the prices that bound the optimum."""
        with self._timer.phase(Phase.LP_BUILD):
            gain = problem.usable_gain
            attraction = _sticky(gain, problem.switching)
        with self._timer.phase(Phase.LP_SOLVE):
            kind, prices = _choose(attraction, gain, problem.scale_factor, problem.capacity)
            x = _fill(kind, gain, problem.scale_factor, problem.capacity)
            weights = _least_costs(gain, problem.scale_factor, prices)
        return Answer(
            Status.INACCURATE, x, prices, weights, _TURNS, RebuildReason.FRESH, "a heuristic: feasible, not optimal"
        )


def water_level(gain: Floats, scale_factor: Floats, capacity: float) -> float:
    """Return the largest t with sum_i s_i min(1, t / a_i) <= ``capacity``; infinite where all may run all the time.

    Parameters
    ----------
    gain
        (k,) a_i > 0.
    scale_factor
        (k,) s_i, GPUs.
    capacity
        GPUs of the type.
    """
    if float(scale_factor.sum()) <= capacity:
        return float("inf")
    order = np.argsort(gain, kind="stable")
    ascending, gpus = gain[order], scale_factor[order]
    saturated = np.concatenate([[0.0], np.cumsum(gpus)[:-1]])  # GPUs of those who run all the time, if k do
    thirst = np.cumsum((gpus / ascending)[::-1])[::-1]  # GPUs that a unit of level takes of the others
    levels = np.maximum(capacity - saturated, 0.0) / thirst
    first = int(np.argmax(levels <= ascending))  # whose gain the level no longer passes
    return float(levels[first])


def _sticky(gain: Floats, switching: Switching | None) -> Floats:
    """Return (J, W) what each type offers a job, less the share of a round that going there loses.

    A problem's cost of moving is a mean over the jobs: times J it is the share of a round.
    """
    if switching is None or gain.shape[0] == 0:
        return gain
    rows = np.arange(gain.shape[0])
    own = switching.previous.argmax(axis=1)
    settled = switching.previous[rows, own] >= _PRESENT
    lost = np.clip(switching.cost * gain.shape[0], 0.0, 1.0)
    lost[rows[settled], own[settled]] = 0.0
    lost[~settled] = 0.0
    offered: Floats = gain * (1.0 - lost)
    return offered


def _choose(
    attraction: Floats, gain: Floats, scale_factor: Floats, capacity: Floats
) -> tuple[npt.NDArray[np.intp], Floats]:
    """Return (J,) the type of each job, -1 where it can run nowhere, and (W,) the prices with the best bound.

    Of the assignments on the way, the one with the highest least level, less what moves lose, is kept, and of equal
    ones the first.
    """
    size = np.where(capacity > 0.0, capacity, 1.0)
    worth = np.where(capacity > 0.0, 1.0, 0.0) / max(1, int((capacity > 0.0).sum()))
    with np.errstate(divide="ignore"):
        need = np.where(attraction > 0.0, scale_factor[:, None] / attraction, np.inf)
    ceiling, able = attraction.max(axis=1), need < np.inf
    nowhere = ~able.any(axis=1)
    best_kind, best_level = np.full(gain.shape[0], -1), -np.inf
    best_prices, best_bound = worth / size, np.inf
    least_ceiling = float(ceiling[ceiling > 0.0].min(initial=np.inf))
    for turn in range(_TURNS):
        prices = worth / size
        costs = np.multiply(need, prices, out=np.full(need.shape, np.inf), where=able)
        kind = costs.argmin(axis=1)
        in_sight = min(best_bound, least_ceiling)
        slow = attraction < np.minimum(in_sight, ceiling)[:, None]
        for each in (kind, np.where(slow, np.inf, costs).argmin(axis=1)):
            each[nowhere] = -1
            least = float(_levels(each, attraction, scale_factor, capacity)[~nowhere].min(initial=np.inf))
            if least > best_level:
                best_kind, best_level = each, least
        cost = float(_least_costs(gain, scale_factor, prices).sum())
        if best_bound * cost > 1.0:
            best_prices, best_bound = prices, 1.0 / cost
        at = kind >= 0
        taken = np.bincount(kind[at], weights=need[at, kind[at]], minlength=capacity.size) / size
        mean = float(taken @ worth)
        if not mean > 0.0:
            break
        worth = worth * np.exp(_STEP / (1 + turn) ** 0.5 * np.clip(taken / mean - 1.0, -1.5, 1.5))
        worth /= worth.sum()
    return best_kind, best_prices


def _least_costs(gain: Floats, scale_factor: Floats, prices: Floats) -> Floats:
    """Return (J,) what a unit of level costs each job where it is cheapest, 0 where it can run nowhere."""
    with np.errstate(divide="ignore", invalid="ignore"):
        costs = np.where(gain > 0.0, prices / gain, np.inf).min(axis=1) * scale_factor
    least: Floats = np.where(np.isfinite(costs), costs, 0.0)
    return least


def _levels(kind: npt.NDArray[np.intp], gain: Floats, scale_factor: Floats, capacity: Floats) -> Floats:
    """Return (J,) what each job gets on its type."""
    levels: Floats = np.einsum("ij,ij->i", gain, _fill(kind, gain, scale_factor, capacity))
    return levels


def _fill(kind: npt.NDArray[np.intp], gain: Floats, scale_factor: Floats, capacity: Floats) -> Floats:
    """Return (J, W) the allocation in which each type's jobs share it at one level."""
    x = np.zeros(gain.shape)
    for each in range(capacity.size):
        there = np.flatnonzero(kind == each)
        if there.size:
            own = gain[there, each]
            x[there, each] = np.minimum(1.0, water_level(own, scale_factor[there], float(capacity[each])) / own)
    return x


BACKENDS: Final = (Waterfill(),)
