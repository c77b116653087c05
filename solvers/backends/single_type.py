"""`single-type`: every job on one type, every type filled like a vessel. No LP: a heuristic that says what it gives up.

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
from phasewise.solvers.api import Answer, Floats, RebuildReason, State, Status
from phasewise.solvers.errors import OptionError
from phasewise.solvers.families.max_min import MAX_MIN, MAX_MIN_SWITCHING, MaxMinProblem
from phasewise.solvers.families.moving import Switching
from phasewise.solvers.problems import AllocationProblem, narrowed
from phasewise.solvers.proofs import Duals

_TURNS: Final = 10
_STEP: Final = 0.5  # of the logarithm of a price
_CLOSE: Final = 0.999  # of the bound: more is not worth a turn
_PRESENT: Final = 0.5  # least share of its time that a job spends on a type that is called its own


class SingleType:
    """One type a job, one level a type."""

    name: ClassVar[str] = "single-type"
    aliases: ClassVar[tuple[str, ...]] = ("waterfill",)
    families: ClassVar[frozenset[str]] = frozenset({MAX_MIN, MAX_MIN_SWITCHING})
    requires: ClassVar[Mapping[str, str]] = {}
    limits: ClassVar[str] = "heuristic, O(k log k) per type: feasible, not optimal; the gap bounds the loss"
    tolerance: ClassVar[float] = float("inf")
    exact: ClassVar[bool] = False

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> SingleTypeSession:
        """Return a session; raise `OptionError` for any option, as there are none."""
        if options:
            raise OptionError(f"{self.name}: takes no options; got {dict(options)}")
        return SingleTypeSession(timer)


class SingleTypeSession:
    """Keeps nothing between problems."""

    def __init__(self, timer: PhaseTimer) -> None:
        self._timer = timer

    def solve(self, problem: AllocationProblem, state: State = None) -> tuple[Answer, State]:
        """Return a feasible allocation and the prices that bound the optimum, and no state."""
        del state
        problem = narrowed(problem, MaxMinProblem)
        with self._timer.phase(Phase.LP_BUILD):
            gain = problem.usable_gain
            attraction = _sticky(gain, problem.switching)
        with self._timer.phase(Phase.LP_SOLVE):
            kind, prices = _choose(attraction, gain, problem.scale_factor, problem.capacity)
            x = _fill(kind, gain, problem.scale_factor, problem.capacity)
            weights = _least_costs(gain, problem.scale_factor, prices)
        duals = Duals(capacity=prices, gain=weights)
        note = "a heuristic: feasible, not optimal"
        return Answer(Status.INACCURATE, x, duals, _TURNS, RebuildReason.FRESH, note), None


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

    A problem's movement cost is a mean over the jobs: times J it is the share of a round.
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

    Of the assignments on the way, the one with the highest least gain, less what moves lose, is kept, and of equal
    ones the first.
    """
    size = np.where(capacity > 0.0, capacity, 1.0)
    worth = np.where(capacity > 0.0, 1.0, 0.0) / max(1, int((capacity > 0.0).sum()))
    runs = np.flatnonzero(attraction.max(axis=1) > 0.0)
    offered = np.ascontiguousarray(attraction[runs].T)  # by type: the least over a short axis is slow the other way
    need, true_need = _per_level(offered, scale_factor[runs]), _per_level(gain[runs].T, scale_factor[runs])
    ceiling = offered.max(axis=0)
    least_ceiling = float(ceiling.min(initial=np.inf))
    best_kind, best_level = np.zeros(runs.size, dtype=np.intp), -np.inf
    best_prices, best_bound = worth / size, np.inf
    for turn in range(_TURNS):
        prices = np.maximum(worth / size, 1e-300)  # above 0, as there are infinite needs
        costs = need * prices[:, None]
        kind = costs.argmin(axis=0)
        slow = offered < np.minimum(min(best_bound, least_ceiling), ceiling)
        costs[slow] = np.inf
        for each in (kind, costs.argmin(axis=0)):
            least = _least_level(each, offered, need, capacity)
            if least > best_level:
                best_kind, best_level = each, least
        if best_level >= _CLOSE * min(best_bound, least_ceiling):
            break
        cost = float((true_need * prices[:, None]).min(axis=0).sum())
        if best_bound * cost > 1.0:
            best_prices, best_bound = prices, 1.0 / cost
        taken = np.bincount(kind, weights=need[kind, np.arange(runs.size)], minlength=capacity.size) / size
        mean = float(taken @ worth)
        if not mean > 0.0:
            break
        worth = worth * np.exp(_STEP / (1 + turn) ** 0.5 * np.clip(taken / mean - 1.0, -1.5, 1.5))
        worth /= worth.sum()
    chosen = np.full(gain.shape[0], -1)
    chosen[runs] = best_kind
    return chosen, best_prices


def _per_level(offered: Floats, scale_factor: Floats) -> Floats:
    """Return (W, k) the GPUs that a unit of level takes, infinite where ``offered`` (W, k) is 0."""
    need = np.full(offered.shape, np.inf)
    np.divide(np.broadcast_to(scale_factor, offered.shape), offered, out=need, where=offered > 0.0)
    return need


def _least_costs(gain: Floats, scale_factor: Floats, prices: Floats) -> Floats:
    """Return (J,) what a unit of level costs each job where it is cheapest, 0 where it can run nowhere."""
    with np.errstate(divide="ignore", invalid="ignore"):
        costs = np.where(gain > 0.0, prices / gain, np.inf).min(axis=1) * scale_factor
    least: Floats = np.where(np.isfinite(costs), costs, 0.0)
    return least


def _least_level(kind: npt.NDArray[np.intp], offered: Floats, need: Floats, capacity: Floats) -> float:
    """Return the least effective throughput of any of the k jobs on the types ``kind`` (k,), were every type filled.

    On one type that is the least of its jobs' gains, or, where they cannot all have so much, N_j / sum_i (s_i / a_i):
    then nobody runs all the time, and no sorting is needed to know it.
    """
    jobs = np.arange(kind.size)
    thirst = np.bincount(kind, weights=need[kind, jobs], minlength=capacity.size)
    crowded = np.divide(capacity, thirst, out=np.full(capacity.size, np.inf), where=thirst > 0.0)
    return min(float(crowded.min()), float(offered[kind, jobs].min(initial=np.inf)))


def _fill(kind: npt.NDArray[np.intp], gain: Floats, scale_factor: Floats, capacity: Floats) -> Floats:
    """Return (J, W) the allocation in which each type's jobs share it at one level."""
    x = np.zeros(gain.shape)
    for each in range(capacity.size):
        there = np.flatnonzero(kind == each)
        if there.size:
            own = gain[there, each]
            x[there, each] = np.minimum(1.0, water_level(own, scale_factor[there], float(capacity[each])) / own)
    return x


BACKENDS: Final = (SingleType(),)
