"""Price sifting: most jobs' best responses to last round's prices are still right, so only a few are solved for.

`docs/explanation/structured-solvers.md` derives the method. Every answer comes with a bound from its own duals.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from phasewise.solvers.problems import Floats
from phasewise.solvers.structured.sifting_kernels import JobGains, Responses, fixed_use, respond, set_free
from phasewise.solvers.structured.sifting_rounds import RoundResult, Terms, Work, solve_free
from phasewise.solvers.structured.states import FREE

_ROUNDS: Final = 12
_FREE_PER_TYPE: Final = 3
_JOBS_PER_FREE: Final = 200
_GROWTH: Final = 4
_MOST_FREE: Final = 6  # this part of the jobs at a time, where prices are nearly right
_LITTLE_REGRET: Final = 1e-2  # of the bound
_CANDIDATES: Final = 16  # jobs are looked at for each one that is free in any case
_MANIFOLD: Final = 4.0  # the GPUs that are out of balance: as many should be free to leave a type, and to enter it
_FREE_OF_CHARGE: Final = 1e-9  # of the objective: a type whose GPUs are worth less may have some to spare
_SOUND: Final = 1e-6  # gap of the small program


KERNELS: Final = (respond, fixed_use, set_free, solve_free)


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


def sift(jobs: JobGains, capacity: Floats, level_reward: float, start: Prices, tolerance: float) -> Optimum | None:
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
    search = _Search(jobs, Terms(capacity, level_reward, start.level, tolerance))
    search.answer(start, size)
    for _ in range(_ROUNDS):
        found = search.solve()
        if found.gap >= _SOUND:
            return None
        if abs(found.bound - found.value) <= tolerance * abs(found.bound):  # nothing feasible is above its bound
            return search.optimum(found)
        most = count // _MOST_FREE if found.regret_share <= _LITTLE_REGRET else 0
        if found.flagged <= max(_GROWTH * size, most):
            search.responses.state[search.work.regret > found.limit] = FREE
        else:  # so few could not make up for what the others do wrong: the new prices are worth less than the old ones
            size *= _GROWTH
            search.answer(start, size)
    return None


class _Search:
    """The state of one sifting run."""

    def __init__(self, jobs: JobGains, terms: Terms) -> None:
        count, types = jobs.gain.shape
        self.jobs = jobs
        self.terms = terms
        kinds, by_job, by_type = np.empty((5, count), dtype=np.int8), np.empty((3, count)), np.empty((3, types))
        self.responses = Responses(kinds[0], kinds[1], kinds[2], kinds[3], kinds[4], by_job[2])
        self.work = Work(np.empty((count, types)), by_job[0], by_job[1], by_type[0], by_type[1], by_type[2])
        self.iterations = 0

    def answer(self, prices: Prices, size: int) -> None:
        """Fix every job to its best response, but for those nearest another one and those that have none.

        The ``size`` nearest are free, and more of them while a type is out of balance and too few may leave or enter.
        """
        terms, responses, work = self.terms, self.responses, self.work
        respond(self.jobs, prices.capacity, prices.level, responses)
        fixed_use(self.jobs, responses, work.base, work.slope)
        off = work.base + work.slope * prices.level - terms.capacity
        charged = prices.capacity * terms.capacity > _FREE_OF_CHARGE * terms.level_reward * prices.level
        lacking = _MANIFOLD * np.maximum(off, np.where(charged, -off, 0.0))
        margin = responses.margin
        many = min(_CANDIDATES * size, margin.size)
        order = np.argpartition(margin, many - 1)[:many]
        order = order[np.argsort(margin[order])]
        set_free(self.jobs, responses, prices.level, order, size, np.stack((lacking, lacking)))

    def solve(self) -> RoundResult:
        """Solve for the free jobs and judge the others."""
        found = RoundResult(*solve_free(self.jobs, self.terms, self.responses, self.work))
        self.iterations += found.iterations
        return found

    def optimum(self, found: RoundResult) -> Optimum:
        """Return what was proven."""
        work = self.work
        prices = Prices(work.prices, found.level)
        return Optimum(work.x, work.weights, prices, found.value, found.bound, self.iterations)
