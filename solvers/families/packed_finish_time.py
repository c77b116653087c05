"""Finish-time fairness of jobs that may share GPUs in pairs: the worst ratio as small as it can be."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final, NamedTuple

import numpy as np

from phasewise.solvers.errors import ProblemError
from phasewise.solvers.families.packed import MAX_MIN_PACKED, PackedMaxMinProblem, PackedProblem
from phasewise.solvers.packing.crowd import Crowd, Ints, crowd_of
from phasewise.solvers.packing.worth import Prices, offers, worth
from phasewise.solvers.problems import Bools, Floats, Sense, check_values, usable_pairs
from phasewise.solvers.proofs import ULP, Duals, Proof, relative_gap
from phasewise.solvers.rows import Keys
from phasewise.solvers.short_rows import row_any

FINISH_TIME_PACKED: Final = "finish_time_packed"

_ROUNDED: Final = 1.0 - 1e-15  # what rounding may add to a ceiling
_SUMMED: Final = 1.0 + 1e-14  # and to the worth of all jobs
_MOST_STEPS: Final = 200
_STILL: Final = 1.0 + 1e-16
_AT_THE_CEILING: Final = 1.0 - 1e-9
_ABOVE_IT: Final = 1.0 + 1e-11  # a ratio that is the ceiling still


class PackedStep(NamedTuple):
    """A max-min problem of some of the jobs of a finish-time problem that may share, and what the others have.

    Attributes
    ----------
    problem
        Of the jobs in ``rows``, on what GPUs the others leave.
    rows
        (J,) whose problem it is.
    fixed
        (J, W) time fractions of the others, alone.
    """

    problem: PackedMaxMinProblem
    rows: Bools
    fixed: Floats

    @property
    def held(self) -> Bools:
        """(J,) who has its fastest type for itself."""
        return row_any(self.fixed > 0.0)


@dataclass(frozen=True, eq=False)
class PackedFinishTimeProblem(PackedProblem):
    """Minimise the worst finish-time ratio of jobs that may share GPUs in pairs.

    min max_i (t_i + r_i / g_i) / D_i, where g_i is a job's throughput over all its time, alone and beside others. A job
    without steps left has the ratio t_i / D_i whatever it gets; one that can run nowhere has none.

    Attributes
    ----------
    throughput
        (J, W) >= 0, finite, steps/s of a job alone.
    kind, rate, scale_factor, capacity
        As in `PackedProblem`, ``rate`` in steps/s.
    steps_remaining, since_arrival, isolated
        (J,) r_i >= 0 steps, t_i >= 0 and D_i > 0 seconds, as in `FinishTimeProblem`.
    allowed
        (J, W) where a job may run; None means where throughput > 0.
    keys
        As in `AllocationProblem`.
    """

    families: ClassVar[tuple[str, ...]] = (FINISH_TIME_PACKED,)
    forms: ClassVar[str] = "phasewise.solvers.forms.packed_finish_time"
    sense: ClassVar[Sense] = Sense.MINIMISE
    steps: ClassVar[str | None] = MAX_MIN_PACKED

    throughput: Floats
    kind: Keys
    rate: Floats
    scale_factor: Floats
    capacity: Floats
    steps_remaining: Floats
    since_arrival: Floats
    isolated: Floats
    allowed: Bools | None = None
    keys: Keys | None = None

    @property
    def alone(self) -> Floats:
        """(J, W) steps/s of a job alone."""
        return self.throughput

    @property
    def factors(self) -> Floats:
        """(J,) ones: rates are throughputs."""
        return np.ones(self.rows)

    @cached_property
    def allowed_mask(self) -> Bools:
        """(J, W) where a job may run: where there are GPUs, for jobs with steps left that make progress at all."""
        mask = usable_pairs(self.throughput, self.allowed, self.capacity)
        waits = (self.steps_remaining > 0.0) & (mask & (self.throughput > 0.0)).any(axis=1)
        return mask & waits[:, None]

    @cached_property
    def crowd(self) -> Crowd:
        """Jobs that are equal in everything as one."""
        work = (self.steps_remaining, self.since_arrival, self.isolated)
        use = self.scale_factor
        return crowd_of(self.throughput, self.allowed_mask, self.factors, use, self.kind, self.rate, *work)

    @cached_property
    def waits(self) -> Bools:
        """(J,) whose ratio depends on what they get: they have steps left, and make progress somewhere."""
        return row_any(self.allowed_mask)

    @cached_property
    def fastest(self) -> Floats:
        """(J,) each job's largest throughput, alone or beside another, steps/s."""
        most: Floats = self.crowd.most[self.crowd.of_job]
        return most

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        for name, zero_is_fine in (("steps_remaining", True), ("since_arrival", True), ("isolated", False)):
            values = getattr(self, name)
            if values.shape != self.scale_factor.shape:
                raise ProblemError(f"{name} has shape {values.shape}; expected {self.scale_factor.shape}, one a job")
            check_values(name, values, zero_is_fine=zero_is_fine)
        self.check_packed("throughput")

    def value(self, gains: Floats) -> float:
        """Return the worst ratio at the throughputs ``gains`` (J,); 0 without jobs."""
        left = np.where(self.steps_remaining > 0.0, np.inf, 0.0)
        with np.errstate(over="ignore"):  # next to nothing is as good as nothing
            np.divide(self.steps_remaining, gains, out=left, where=gains > 0.0)
        counts = self.waits | (self.steps_remaining == 0.0)
        ratios = np.where(counts, (self.since_arrival + left) / self.isolated, 0.0)
        return float(ratios.max(initial=0.0))

    def ratios(self, gains: Floats) -> Floats:
        """Return (J,) the ratio of each job that `waits` names at the throughputs ``gains`` (J,), 0 of others."""
        left = np.full(self.rows, np.inf)
        with np.errstate(over="ignore"):
            np.divide(self.steps_remaining, gains, out=left, where=gains > 0.0)
        ratios: Floats = np.where(self.waits, (self.since_arrival + left) / self.isolated, 0.0)
        return ratios

    @cached_property
    def soonest(self) -> Floats:
        """(J,) the ratio of each job that `waits` names if it had what is best for it, 0 of others."""
        return self.ratios(self.fastest)

    @cached_property
    def ceiling(self) -> float:
        """A bound that needs no prices: the worst ratio if each job had what is best for it."""
        over = self.steps_remaining == 0.0
        done = self.since_arrival[over] / self.isolated[over]
        return max(float(done.max(initial=0.0)), float(self.soonest.max(initial=0.0)) * _ROUNDED)

    def proven(self, gains: Floats, duals: Duals) -> Proof | None:
        """Return the bound that weights of throughputs and prices of time and GPUs give, over all pairs."""
        bound = self.bound(duals)
        return Proof(bound, relative_gap(bound, self.value(gains))) if gains.size else None

    def bound(self, duals: Duals) -> float:
        """Return a lower bound on the optimum: what nobody can get below at ``duals``, or else the `ceiling`.

        At a ratio rho each job needs the throughput n_i = r_i / (rho D_i - t_i). All throughputs together are worth at
        most what `phasewise.solvers.packing.worth` says; where the needs are worth more, rho is out of reach. What they
        are worth falls with rho and is convex: Newton's method approaches the root from below.
        """
        prices = self.prices(duals)
        if prices is None:
            return self.ceiling
        crowd = self.crowd
        counted = np.flatnonzero(self.waits[crowd.example] & (prices.weight > 0.0))
        if not counted.size:
            return self.ceiling
        most = worth(crowd, prices, self.capacity) * _SUMMED
        job, paid = crowd.example[counted], crowd.size[counted] * prices.weight[counted]
        return self._out_of_reach(job, paid, most, self.ceiling)

    def _out_of_reach(self, job: Ints, paid: Floats, most: float, ratio: float) -> float:
        """Return the least ratio, from ``ratio`` on, at which needs of ``job`` at prices ``paid`` are worth ``most``.

        ``ratio`` itself where they are worth less there, or where some of them cannot have it.
        """
        since, isolated, left = self.since_arrival[job], self.isolated[job], paid * self.steps_remaining[job]
        start = ratio
        for _ in range(_MOST_STEPS):
            room = ratio * isolated - since
            if not room.min(initial=np.inf) > 0.0:
                return start
            over = float((left / room).sum()) - most
            fall = float((left * isolated / room**2).sum())
            if not over > 0.0 or ratio + over / fall <= ratio * _STILL:
                break
            ratio += over / fall
        return ratio

    def needs(self, ratio: float) -> Floats:
        """Return (J,) the throughput with which each job that `waits` names has ``ratio``, steps/s; 1 for others.

        None is more than the job can have at best, nor is it taken for more than rounding leaves certain.
        """
        until = ratio * self.isolated
        room = until - self.since_arrival
        room += 2.0 * ULP * room + ULP * until
        within = room * self.fastest > self.steps_remaining
        needs = np.where(within, self.steps_remaining / np.where(within, room, 1.0), self.fastest)
        return np.where(self.waits, needs, 1.0)

    def at(self, ratio: float) -> PackedStep:
        """Return the max-min problem at ``ratio``, of optimum 1 or more where all who can can have it.

        Where a ratio is out of reach of some jobs even at best, these are left out, and have their fastest type for
        themselves, if there are the GPUs for it, and if no partner makes them faster than that.
        """
        rows, fixed = self.waits, np.zeros((self.rows, self.types))
        held = self.waits & (self.soonest >= min(ratio, self.ceiling * _AT_THE_CEILING)) & self._best_alone
        if ratio <= self.ceiling * _ABOVE_IT and held.any():
            fixed[held, np.where(self.allowed_mask, self.throughput, 0.0)[held].argmax(axis=1)] = 1.0
        capacity = self.capacity - self.scale_factor @ fixed
        if capacity.min() < 0.0:
            fixed, capacity = np.zeros_like(fixed), self.capacity
        rows = self.waits & ~fixed.any(axis=1)
        return PackedStep(self._step(rows, self.needs(ratio), capacity), rows, fixed)

    def all_at(self, ratio: float) -> PackedStep:
        """Return the max-min problem at ``ratio`` of all that `waits` names; who cannot have it needs his best."""
        step = self._step(self.waits, self.needs(ratio), self.capacity)
        return PackedStep(step, self.waits, np.zeros((self.rows, self.types)))

    @cached_property
    def _best_alone(self) -> Bools:
        """(J,) whether any partner makes a job slower than it is alone at best."""
        crowd = self.crowd
        beside = np.where(crowd.usable, crowd.rate[crowd.kind], 0.0).max(axis=(1, 2), initial=0.0)
        best: Bools = (crowd.gain.max(axis=1, initial=0.0) > crowd.factor * beside)[crowd.of_job]
        return best

    def _step(self, rows: Bools, needs: Floats, capacity: Floats) -> PackedMaxMinProblem:
        """Return the max-min problem of the jobs in ``rows`` (J,), who need the throughputs ``needs`` (J,)."""
        part: slice | Bools = slice(None) if rows.all() else rows
        needs = needs[part]
        return PackedMaxMinProblem(
            gain=self.throughput[part] / needs[:, None],
            kind=self.kind[part],
            factor=1.0 / needs,
            rate=self.rate,
            scale_factor=self.scale_factor[part],
            capacity=capacity,
            allowed=None if self.allowed is None else self.allowed[part],
            keys=None if self.keys is None else self.keys[part],
        )

    def affordable(self, duals: Duals, held: Bools) -> float:
        """Return a ratio that not all who could at best can have, even if the others have only what is best for them.

        As `bound`, but for the `ceiling`: the most that ``duals`` say, where they are those of a problem without the
        jobs in ``held`` (J,), which have their fastest type for themselves. 0 where they say nothing.
        """
        prices = self.prices(duals)
        if prices is None:
            return 0.0
        crowd = self.crowd
        prices = self._with(prices, held[crowd.example])
        counted = np.flatnonzero(self.waits[crowd.example] & (prices.weight > 0.0))
        if not counted.size:
            return 0.0
        job, paid = crowd.example[counted], crowd.size[counted] * prices.weight[counted]
        most, soonest = worth(crowd, prices, self.capacity) * _SUMMED, self.soonest[job]
        best = paid * self.fastest[job]

        def is_over(ratio: float) -> bool:
            can = np.flatnonzero(soonest < ratio)
            room = ratio * self.isolated[job[can]] - self.since_arrival[job[can]]
            needed = float((paid[can] * self.steps_remaining[job[can]] / room).sum())
            return needed + float(best[soonest >= ratio].sum()) > most

        steps = np.sort(soonest)  # between two of them it is the same jobs that have all they can
        place = bisect_left(steps, 1, key=lambda ratio: 1 - is_over(ratio))
        if not place:
            return 0.0
        ratio = float(steps[place - 1])
        can = soonest <= ratio
        return self._out_of_reach(job[can], paid[can], most - float(best[~can].sum()), ratio)

    def _with(self, prices: Prices, held: Bools) -> Prices:
        """Return ``prices`` with those of the classes ``held`` (C,), so that all of their fastest type is their best.

        A unit of gain is worth as little as that takes, so that they give up most where they need less: another type
        costs less than they lose by it, and what they lose beside anybody is worth more than what that one gains.
        """
        crowd, rows = self.crowd, np.flatnonzero(held)
        if not rows.size:
            return prices
        others, speed = prices._replace(time=np.where(held, np.inf, prices.time)), crowd.gain[rows]
        fastest = speed.argmax(axis=1)[:, None]
        taken = np.bincount(fastest[:, 0], crowd.size[rows] * crowd.use[rows], self.types)
        prices = prices._replace(capacity=_asked(crowd, others, taken >= self.capacity))
        cost = crowd.use[rows, None] * prices.capacity
        own, most = np.take_along_axis(cost, fastest, 1), np.take_along_axis(speed, fastest, 1)
        less = most - np.where(crowd.open[rows], speed, 0.0)
        dear = np.divide(own - cost, less, out=own / most + np.zeros(cost.shape), where=less > 0.0).max(axis=1)
        beside = offers(crowd, others).partner[rows]
        less = most[:, :, None] - crowd.rate[crowd.kind[rows]]
        alike = np.bincount(crowd.kind[rows], minlength=crowd.kinds) > 0
        gained = beside + (own - cost)[:, None, :]
        gained[:, alike] = np.maximum(gained[:, alike], (own - 0.5 * cost)[:, None, :])
        worth_it = crowd.usable[rows] & np.isfinite(gained) & (less > 0.0)
        lost = np.divide(gained, less, out=np.zeros(less.shape), where=worth_it)
        weight, time = prices.weight.copy(), prices.time.copy()
        weight[rows] = np.maximum(np.maximum(dear, own[:, 0] / most[:, 0]), lost.max(axis=(1, 2), initial=0.0))
        time[rows] = np.maximum(weight[rows] * most[:, 0] - own[:, 0], 0.0)
        return prices._replace(weight=weight, time=time)


def _asked(crowd: Crowd, prices: Prices, gone: Bools) -> Floats:
    """Return (W,) prices of GPUs, of types of which none is left, ``gone`` (W,), as much as anybody would pay."""
    free = prices._replace(capacity=np.where(gone, 0.0, prices.capacity))
    alone = crowd.gain * prices.weight[:, None] - prices.time[:, None]
    most = np.maximum(alone, offers(crowd, free).short.max(axis=1, initial=0.0)) / crowd.use[:, None]
    asked: Floats = np.where(gone, most.max(axis=0, initial=0.0), prices.capacity)
    return asked


FAMILIES: Final = (PackedFinishTimeProblem,)
