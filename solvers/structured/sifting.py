"""Price sifting: most jobs' best responses to last round's prices are still right, so only a few are solved for.

`docs/explanation/structured-solvers.md` derives the method. Every answer comes with a bound from its own duals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.solvers.structured.interior_point import interior_point
from phasewise.solvers.structured.interior_point_kernels import Program
from phasewise.solvers.structured.sifting_kernels import (
    FREE,
    Floats,
    Jobs,
    Responses,
    audit,
    fit,
    fixed_use,
    gains,
    respond,
    write_fixed,
)

_NO_COST: Final = np.zeros((0, 0))
_NO_PAIRS: Final = np.zeros(0, dtype=np.int64)
_NOTHING: Final = np.zeros(0)
_ROUNDS: Final = 12
_FREE_PER_TYPE: Final = 5
_JOBS_PER_FREE: Final = 200
_GROWTH: Final = 4
_MOST_FREE: Final = 6  # this part of the jobs at a time, where prices are nearly right
_LITTLE_REGRET: Final = 1e-2  # of the bound
_ITERATIONS: Final = 60
_INNER_TOLERANCE: Final = 2e-10


@dataclass(frozen=True, slots=True)
class Prices:
    """Where the last solve ended: (W,) capacity prices and t, for an objective of ``level_reward * t + ...``."""

    capacity: Floats
    level: float


@dataclass(frozen=True, slots=True)
class Optimum:
    """An answer with the duals that prove it.

    Attributes
    ----------
    x
        (J, W) feasible time fractions.
    weights, prices
        (J,) and (W,) duals.
    value, bound
        Objective at ``x`` and what the duals prove about it.
    iterations
        Interior-point iterations in all.
    """

    x: Floats
    weights: Floats
    prices: Prices
    value: float
    bound: float
    iterations: int

    @property
    def gap(self) -> float:
        """Relative distance of the value from the bound."""
        return (self.bound - self.value) / abs(self.bound) if self.bound != 0.0 else abs(self.value)


def sift(jobs: Jobs, capacity: Floats, level_reward: float, start: Prices, tolerance: float) -> Optimum | None:
    """Return the optimum, proven to ``tolerance``, or None where prices have moved too far.

    Parameters
    ----------
    jobs
        J jobs, or classes of equal ones.
    capacity
        (W,) GPUs.
    level_reward
        Reward for a unit of t.
    start
        Prices and level of a problem much like this one.
    tolerance
        Largest relative gap.
    """
    count, types = jobs.gain.shape
    size = _FREE_PER_TYPE * types + count // _JOBS_PER_FREE
    search = _Search(jobs, capacity, level_reward)
    search.answer(start, size)
    for _ in range(_ROUNDS):
        if not search.solve(start.level):
            return None
        flagged = search.judge(tolerance)
        if flagged is None:
            return search.optimum()
        if flagged.size <= max(_GROWTH * size, count // _MOST_FREE if search.regret_share <= _LITTLE_REGRET else 0):
            search.responses.state[flagged] = FREE
        else:  # so few could not make up for what the others do wrong: the new prices are worth less than the old ones
            size *= _GROWTH
            search.answer(start, size)
    return None


class _Search:
    """The state of one sifting run."""

    def __init__(self, jobs: Jobs, capacity: Floats, level_reward: float) -> None:
        count, types = jobs.gain.shape
        self.jobs = jobs
        self.capacity = capacity
        self.level_reward = level_reward
        bytes_ = np.empty((3, count), dtype=np.int8)
        self.responses = Responses(bytes_[0], bytes_[1], bytes_[2], np.empty(count))
        self.weights = np.zeros(count)
        self.regret = np.empty(count)
        self.base = np.empty(types)
        self.slope = np.empty(types)
        self.x = np.empty((count, types))
        self.prices = Prices(capacity, 0.0)
        self.regret_share = 0.0
        self.value = 0.0
        self.bound = np.inf
        self.iterations = 0

    def answer(self, prices: Prices, size: int) -> None:
        """Fix every job to its best response, but for the ``size`` nearest another one and those that have none."""
        respond(self.jobs, prices.capacity, prices.level, self.responses)
        margin = self.responses.margin
        nearest = np.argpartition(margin, size)[:size] if size < margin.size else np.arange(margin.size)
        self.responses.state[margin < 0.0] = FREE
        self.responses.state[nearest] = FREE

    def solve(self, unit: float) -> bool:
        """Solve the small program over the free jobs, with t of about ``unit``; say whether it went well."""
        free = np.flatnonzero(self.responses.state == FREE)
        _, reward_slope = fixed_use(self.jobs, self.responses, self.base, self.slope)
        gain = np.ascontiguousarray(self.jobs.gain[free].T)
        program = Program(
            gain,
            (gain > 0.0).astype(np.float64),
            self.jobs.use[free],
            self.jobs.linear[free],
            self.capacity - self.base,
            self.slope,
            self.level_reward + reward_slope,
            _NO_COST,
            _NO_PAIRS,
            _NO_PAIRS,
            _NOTHING,
        )
        point, level, iterations, _, gap = interior_point(program, unit, _INNER_TOLERANCE, _ITERATIONS, 0.0)
        self.iterations += iterations
        self.prices = Prices(point.price, level)
        self.weights[free] = point.lam
        self.x[free] = point.y.T
        return gap < 1e-6

    def judge(self, tolerance: float) -> npt.NDArray[np.intp] | None:
        """Return the fixed jobs whose response is wrong by now, or None where the whole is proven optimal."""
        prices, level = self.prices.capacity, self.prices.level
        terms, total, regrets = audit(self.jobs, prices, level, self.responses, self.weights, self.regret)
        bound = (terms + float(prices @ self.capacity)) * max(1.0, self.level_reward / total)
        limit = 0.1 * tolerance * abs(bound) / self.regret.size
        flagged = np.flatnonzero(self.regret > limit)
        self.regret_share = regrets / abs(bound)
        if flagged.size and np.isinf(self.regret[flagged]).any():
            self.regret_share = np.inf
            return flagged
        write_fixed(self.jobs, self.responses, level, self.x)
        fit(self.jobs, self.capacity, self.x)
        least, rewards = gains(self.jobs, self.x)
        self.bound = bound
        self.value = self.level_reward * least + rewards
        return None if bound - self.value <= tolerance * abs(bound) else flagged

    def optimum(self) -> Optimum:
        """Return what was proven."""
        return Optimum(self.x, self.weights, self.prices, self.value, self.bound, self.iterations)
