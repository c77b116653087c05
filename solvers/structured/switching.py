"""Price sifting with a movement cost: most jobs stay as they are or move a little, so only a few are solved for.

`docs/explanation/structured-solvers.md` derives the method. Every answer comes with a bound from its own duals.
"""

from __future__ import annotations

from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.solvers.problems import Floats
from phasewise.solvers.short_rows import row_max
from phasewise.solvers.structured.interior_point import interior_point
from phasewise.solvers.structured.interior_point_kernels import Program
from phasewise.solvers.structured.sifting import Optimum, Prices
from phasewise.solvers.structured.states import FREE
from phasewise.solvers.structured.switching_kernels import (
    answer_again,
    audit,
    bound_terms,
    fit,
    fixed_use,
    measure_reach,
    nearest,
    respond,
    slack_weights,
    value_of,
    write_fixed,
)
from phasewise.solvers.structured.switching_walk import Edges, Movers

Indices = npt.NDArray[np.intp]

_ROUNDS: Final = 12
_FREE_PER_TYPE: Final = 20
_JOBS_PER_FREE: Final = 400
_GROWTH: Final = 2
_MOST_FREE: Final = 6  # this part of the jobs at a time
_LITTLE: Final = 1e-3  # regret, of the bound: little enough to believe where t wants to go
_MANY: Final = 20  # this part of the jobs turn together
_FEW: Final = 32  # as many do not, however few there are in all: a small program takes them easily
_FALLING: Final = 0.3  # by this part the regret must fall each time for jobs to respond again and again
_ITERATIONS: Final = 60
_INNER_TOLERANCES: Final = (1e-10, 1e-11, 1e-9, 1e-12)
"""The next one where no job is at fault but the small program's rounding: another last step often lands better."""

_WORTH: Final = 0.1  # of the level's reward: what the small program's gap is relative to where it is worth less
_SOUND: Final = 1e-6  # gap of the small program
_BESIDE: Final = 1e-9  # relative: where a response above or below a level is asked for
_SAME: Final = 1e-10  # relative: levels this near to each other count as one
_SOON: Final = 1e-5  # relative: an exchange that ends this near to t
_LOW: Final = 2e-9  # relative: how far t may be below an exchange before its job counts; the loss is counted anyway
_ACTIVE: Final = 1e-9  # of the level's reward: what the price of the end of t's range must be to count
_OFF: Final = 0.02  # by which part the weights may miss their sum before all prices are scaled
_SCALINGS: Final = 4
_EXACT: Final = 1e-13  # relative: rounding of a sum
_NOBODY: Final = np.zeros(0, dtype=np.intp)


def sift_switching(
    movers: Movers, capacity: Floats, level_reward: float, start: Prices, tolerance: float
) -> Optimum | None:
    """Return the optimum, proven to ``tolerance``, or None where prices have moved too far.

    Parameters
    ----------
    movers
        J jobs, or classes of equal ones, with what they may keep.
    capacity
        (W,) GPUs.
    level_reward
        Reward for a unit of t.
    start
        Prices and level of a problem much like this one.
    tolerance
        Largest gap, relative to the bound or to what was gained and paid, whichever is more.
    """
    count, types = movers.gain.shape
    size = _FREE_PER_TYPE * types + count // _JOBS_PER_FREE
    search = _Search(movers, capacity, level_reward)
    # a level that a job's ceiling holds stays where it is, whatever GPUs are worth there
    held = start.level >= float(row_max(movers.gain).min()) * (1.0 - _BESIDE)
    search.answer(start, 1.0 if held else 0.0, size)
    turns = 0
    for _ in range(_ROUNDS):
        if not search.solve():
            return None
        turn = search.stand()
        flagged = search.judge(tolerance)
        if flagged is None:
            return search.optimum()
        if not (turn or flagged.size or search.try_another_step()):
            return None
        if turn and search.regret_share <= _LITTLE:
            turns += 1
            size *= _GROWTH if turns > 1 else 1
            search.answer(Prices(search.origin.capacity, search.ends[1 if turn > 0.0 else 0]), turn, size)
        elif search.free(flagged, size) > max(_GROWTH * size, count // _MOST_FREE):
            size *= _GROWTH  # so few could not make up for what the others do wrong
            search.answer(search.origin, search.side, size)
    return None


class _Search:
    """The state of one sifting run."""

    def __init__(self, movers: Movers, capacity: Floats, level_reward: float) -> None:
        count, types = movers.gain.shape
        self.movers = movers
        self.capacity = capacity
        self.level_reward = level_reward
        kinds, by_job = np.empty((6, count), dtype=np.int8), np.empty((5, count))
        keep = np.empty(count, dtype=np.int64)
        self.edges = Edges(
            kinds[0], kinds[1], kinds[2], kinds[3], keep, by_job[0], by_job[1], kinds[4], kinds[5], by_job[2]
        )
        self.weights, self.regret = by_job[3], by_job[4]
        self.many = max(count // _MANY, _FEW)
        self.spread = np.zeros(count)  # by how much the weights of those who hold t may change, all taking one part
        self.part = 0.0
        self.base, self.slope, self.used = np.empty(types), np.empty(types), np.empty(types)
        self.x = np.empty((count, types))
        self.prices = self.origin = Prices(capacity, 0.0)
        self.level = 0.0
        self.side = 1.0
        self.ends = (0.0, 0.0)
        self.end_price = 0.0
        self.fallen = False
        self.blocking = _NOBODY
        self.asked = np.zeros(count, dtype=np.bool_)
        self.regret_share = 0.0
        self.share_asked = 0.0
        self.value = 0.0
        self.bound = np.inf
        self.iterations = 0
        self.runs_at_fault = 0

    def answer(self, prices: Prices, side: float, size: int) -> None:
        """Fix every job to its best response above or below a level, but for those near another one, or with none.

        ``side`` is 1 for above, -1 for below, 0 for whichever the worth of the GPUs in use suggests. Prices are scaled
        until the weights have about the right sum: on the other side of a level they are others.
        """
        edges, level, asked = self.edges, prices.level, prices.capacity
        self.side = side or 1.0
        for _ in range(_SCALINGS):
            total, slope, short = respond(self.movers, asked, level * (1.0 + self.side * _BESIDE), edges, self.used)
            if not side:
                side = self.side = 1.0 if asked @ self.used <= asked @ self.capacity * (1.0 + _BESIDE) else -1.0
                if side < 0.0:
                    continue
            off = self.level_reward - total
            if abs(off) <= _OFF * self.level_reward or (short and off > 0.0) or slope <= 0.0:
                break
            asked = asked * max(1.0 + off / slope, 0.1)
        self.prices = self.origin = Prices(asked, level)
        self.asked[:] = False
        measure_reach(self.movers, asked, level, edges)
        groups = 2 * self.capacity.size + 1
        who = np.empty((groups, max(4, size // groups)), dtype=np.int64)
        nearest(edges, np.empty(who.shape), who, np.empty(groups, dtype=np.int64))
        edges.kind[who[who >= 0]] = FREE
        self._free_at_ends(level, size // 8)

    def _free_at_ends(self, level: float, quota: int) -> None:
        """Set the jobs free whose exchange would soon be at an end, unless these are many: they end together."""
        kind = self.edges.kind
        fixed = kind != FREE
        top, bottom = np.where(fixed, self.edges.high, np.inf), np.where(fixed, self.edges.low, -np.inf)
        here, near = _SAME * level, _SOON * level
        soon = top < level + near if self.side > 0.0 else (top < level - here) | (bottom > level - near)
        if np.count_nonzero(soon) <= self.many:
            kind[soon] = FREE
            top[soon], bottom[soon] = np.inf, -np.inf
        if quota < top.size:
            kind[top < np.partition(top, quota)[quota] - here] = FREE
            highest = top.size - 1 - quota
            kind[bottom > np.partition(bottom, highest)[highest] + here] = FREE

    def solve(self) -> bool:
        """Solve the small program over the free jobs; say whether it went well."""
        edges, types = self.edges, self.capacity.size
        fixed = edges.kind != FREE
        free = np.flatnonzero(~fixed)
        if not free.size:
            return False
        self.ends = (
            float(np.where(fixed, edges.low, -np.inf).max()),
            float(np.where(fixed, edges.high, np.inf).min()),
        )
        if not self.ends[1] > 0.0:  # t has fallen to where nobody is left with a gain: it needs another method
            return False
        program, steepness = self._program(free)
        worth = _WORTH * self.level_reward * self.prices.level
        point, level, iterations, _, gap = interior_point(
            program, self.prices.level, _INNER_TOLERANCES[self.runs_at_fault], _ITERATIONS, worth
        )
        self.iterations += iterations
        self.prices = Prices(point.price[:types].copy(), level)
        self.end_price = float(point.price[types]) * steepness if steepness else 0.0
        self.weights[free] = point.lam
        point.y[program.kept_type, program.kept_job] += point.k
        self.x[free] = point.y[:types].T
        return gap < _SOUND

    def _program(self, free: Indices) -> tuple[Program, float]:
        """Return the small program, and how steeply t uses up its last row, which keeps t in its range; 0 for none."""
        types, top = self.capacity.size, self.ends[1]
        reward = fixed_use(self.movers, self.edges, self.base, self.slope)
        capacity, drift, steepness = self.capacity - self.base, self.slope, 0.0
        if top < np.inf:  # as if t took GPUs of a further type, on which nobody can run
            room = float(self.capacity.mean())
            steepness = room / top
            capacity, drift = np.append(capacity, room), np.append(drift, steepness)
        shape = (capacity.size, free.size)
        gain, cost, previous = np.zeros(shape), np.zeros(shape), np.zeros(shape)
        gain[:types] = self.movers.gain[free].T
        cost[:types] = self.movers.cost[free].T
        previous[:types] = self.movers.previous[free].T
        kept_type, kept_job = (np.ascontiguousarray(place) for place in np.nonzero(previous))
        program = Program(
            gain,
            ((gain > 0.0) | (previous > 0.0)).astype(np.float64),
            self.movers.use[free],
            self.movers.linear[free],
            capacity,
            drift,
            self.level_reward + reward,
            cost,
            kept_type,
            kept_job,
            previous[kept_type, kept_job],
        )
        return program, steepness

    def free(self, flagged: Indices, size: int) -> int:
        """Set jobs free whose response is wrong, or where these are many let those respond again that move little.

        Returns how many were set free.
        """
        if self.regret_share < _FALLING * self.share_asked:  # whoever responded again may do so once more
            self.asked[:] = False
        self.share_asked = self.regret_share
        again = (self.regret[flagged] < np.inf) & (flagged.size > size) & ~self.asked[flagged]
        self.asked[flagged] = True
        self.edges.kind[flagged[~again]] = FREE
        level = self.level * (1.0 + self.side * _BESIDE)
        who = flagged[again]
        moving = answer_again(self.movers, self.prices.capacity, level, self.edges, who, self.used, self.base)
        return int(flagged.size - who.size + moving)

    def try_another_step(self) -> bool:
        """Let the next small program end at another gap; say whether there is one that was not tried."""
        self.runs_at_fault += 1
        return self.runs_at_fault < len(_INNER_TOLERANCES)

    def stand(self) -> float:
        """Say to which side to turn where t would leave its range, 0 for none; note who holds it there."""
        edges, level, (bottom, top) = self.edges, self.prices.level, self.ends
        self.part = 0.0
        self.spread[:] = 0.0
        self.blocking = _NOBODY
        self.level = min(level, top)
        self.fallen = level < bottom - _LOW * abs(bottom)
        if self.fallen:
            self.level = bottom
            holding = np.flatnonzero((edges.kind != FREE) & (edges.low > level + _LOW * abs(level)))
            if holding.size > self.many:
                return -1.0
            self.blocking = holding
        elif self.end_price > _ACTIVE * self.level_reward:
            total, count = slack_weights(self.movers, self.prices.capacity, edges, top, self.level_reward, self.spread)
            self.part = min(self.end_price / total, 1.0) if total > 0.0 else 0.0
            if self.end_price > total:
                if count > self.many:
                    return 1.0
                self.blocking = self._ending(top)
        return 0.0

    def _ending(self, top: float) -> Indices:
        """Return the fixed jobs whose exchange ends at ``top``, with those next to it if they are few.

        One at a time would not do: where a ceiling holds t just below, rounding still gives the end a price.
        """
        fixed = self.edges.kind != FREE
        next_to_it = np.flatnonzero(fixed & (self.edges.high <= top + _SOON * abs(top)))
        few = next_to_it.size <= self.many
        return next_to_it if few else np.flatnonzero(fixed & (self.edges.high <= top + _SAME * abs(top)))

    def judge(self, tolerance: float) -> Indices | None:
        """Return the fixed jobs whose response is wrong by now, or None where the whole is proven optimal."""
        prices, movers = self.prices.capacity, self.movers
        terms, total, regrets = audit(
            movers, prices, self.level, self.edges, self.spread, self.part, self.weights, self.regret
        )
        if total < self.level_reward * (1.0 - _EXACT):  # the end of t's range has a price: without it all count more
            self.weights *= self.level_reward / total
            prices = prices * (self.level_reward / total)
            self.prices = Prices(prices, self.prices.level)
            terms = bound_terms(movers, prices, self.weights)
        self.bound = terms + float(prices @ self.capacity)
        self.regret[self.blocking] = np.inf
        flagged = np.flatnonzero(self.regret > 0.1 * tolerance * abs(self.bound) / self.regret.size)
        self.regret_share = regrets / abs(self.bound)
        if self.fallen or self.blocking.size:
            return flagged
        write_fixed(movers, self.edges, self.level, self.x)
        fit(movers, self.capacity, self.edges, self.level, self.used, self.base, self.x)
        least, rewards, paid, kept = value_of(movers, self.x)
        self.value = self.level_reward * least + rewards + kept - paid
        measure = max(abs(self.bound - kept), self.value - kept + 2.0 * paid)
        return None if abs(self.bound - self.value) <= tolerance * measure else flagged  # above it: not feasible

    def optimum(self) -> Optimum:
        """Return what was proven."""
        return Optimum(self.x, self.weights, self.prices, self.value, self.bound, self.iterations)
