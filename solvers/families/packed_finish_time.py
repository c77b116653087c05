"""Finish-time fairness of jobs that may share GPUs in pairs: the worst ratio as small as it can be."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

import numpy as np

from phasewise.solvers.errors import ProblemError
from phasewise.solvers.families.packed import MAX_MIN_PACKED, PackedMaxMinProblem, PackedProblem
from phasewise.solvers.packing.crowd import Crowd, crowd_of
from phasewise.solvers.packing.worth import worth
from phasewise.solvers.problems import Bools, Floats, Sense, check_values, usable_pairs
from phasewise.solvers.proofs import ULP, Duals, Proof, relative_gap
from phasewise.solvers.rows import Keys
from phasewise.solvers.short_rows import row_any

FINISH_TIME_PACKED: Final = "finish_time_packed"

_ROUNDED: Final = 1.0 - 1e-15  # what rounding may add to a ceiling
_SUMMED: Final = 1.0 + 1e-14  # and to the worth of all jobs
_MOST_STEPS: Final = 200
_STILL: Final = 1.0 + 1e-16


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

    @cached_property
    def ceiling(self) -> float:
        """A bound that needs no prices: the worst ratio if each job had what is best for it."""
        left = np.divide(self.steps_remaining, self.fastest, out=np.zeros(self.rows), where=self.waits)
        ratios = (self.since_arrival + left) / self.isolated
        over = ratios[self.steps_remaining == 0.0]
        return max(float(over.max(initial=0.0)), float(ratios[self.waits].max(initial=0.0)) * _ROUNDED)

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
        job = crowd.example[counted]
        paid = crowd.size[counted] * prices.weight[counted] * self.steps_remaining[job]
        since, isolated = self.since_arrival[job], self.isolated[job]
        ratio = self.ceiling
        for _ in range(_MOST_STEPS):
            room = ratio * isolated - since
            if not room.min() > 0.0:
                return self.ceiling
            over = float((paid / room).sum()) - most
            step = over / float((paid * isolated / room**2).sum())
            if not step > 0.0 or ratio + step <= ratio * _STILL:
                break
            ratio += step
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

    def at(self, ratio: float) -> PackedMaxMinProblem:
        """Return the max-min problem of those that `waits` names, of optimum 1 or more where all can have ``ratio``."""
        part: slice | Bools = slice(None) if self.waits.all() else self.waits
        needs = self.needs(ratio)[part]
        return PackedMaxMinProblem(
            gain=self.throughput[part] / needs[:, None],
            kind=self.kind[part],
            factor=1.0 / needs,
            rate=self.rate,
            scale_factor=self.scale_factor[part],
            capacity=self.capacity,
            allowed=None if self.allowed is None else self.allowed[part],
            keys=None if self.keys is None else self.keys[part],
        )


FAMILIES: Final = (PackedFinishTimeProblem,)
