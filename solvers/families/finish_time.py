"""Finish-time fairness: the worst ratio of expected time in the system to time in isolation, as small as it can be."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import numpy as np

from phasewise.profiling.jit.layouts import laid_out
from phasewise.solvers.errors import ProblemError
from phasewise.solvers.families.max_min import MAX_MIN, MaxMinProblem
from phasewise.solvers.problems import (
    AllocationProblem,
    Bools,
    Floats,
    Sense,
    check_common,
    check_values,
    usable_pairs,
)
from phasewise.solvers.proofs import ULP, Duals, Proof
from phasewise.solvers.rows import Keys

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

FINISH_TIME: Final = "finish_time"

_ROUNDED: Final = 1.0 - 1e-15  # what rounding may add to a ceiling
_NEXT_TO_NOTHING: Final = 1e-3  # of a job's time
_AT_THE_CEILING: Final = 1.0 - 1e-9
_ABSURD: Final = 1e100  # prices of this size prove nothing and would overflow


class Step(NamedTuple):
    """A max-min problem of some of the jobs of a finish-time problem, and what the others have.

    Attributes
    ----------
    problem
        Of the jobs in ``rows``, on what GPUs the others leave.
    rows
        (J,) whose problem it is.
    fixed
        (J, W) time fractions of the others.
    """

    problem: MaxMinProblem
    rows: Bools
    fixed: Floats

    def whole(self, x: Floats) -> Floats:
        """Return the (J, W) time fractions of all jobs."""
        if self.rows.all():
            return x
        whole = self.fixed.copy()
        whole[self.rows] = x
        return whole


@dataclass(frozen=True, eq=False)
class FinishTimeProblem(AllocationProblem):
    """Minimise the worst finish-time ratio rho.

    min max_i (t_i + r_i / g_i) / D_i with g_i = sum_j T_ij x_ij: how long job i is in the system if it goes on like
    this, over how long it would be in isolation. A job without steps left has the ratio t_i / D_i whatever it gets. A
    job that can run nowhere has none: no allocation does anything for it.

    Attributes
    ----------
    throughput
        (J, W) T_ij >= 0, finite, steps/s.
    scale_factor
        (J,) s_i > 0, GPUs, may be fractional.
    capacity
        (W,) N_j >= 0, GPUs.
    steps_remaining
        (J,) r_i >= 0.
    since_arrival
        (J,) t_i >= 0, seconds in the system so far.
    isolated
        (J,) D_i > 0, seconds in the system from arrival to completion, had the job been alone on its share.
    allowed
        (J, W) where x may be above 0; None means where throughput > 0.
    keys
        As in `AllocationProblem`.
    """

    families: ClassVar[tuple[str, ...]] = (FINISH_TIME,)
    forms: ClassVar[str] = "phasewise.solvers.forms.finish_time"
    sense: ClassVar[Sense] = Sense.MINIMISE
    steps: ClassVar[str | None] = MAX_MIN

    throughput: Floats
    scale_factor: Floats
    capacity: Floats
    steps_remaining: Floats
    since_arrival: Floats
    isolated: Floats
    allowed: Bools | None = None
    keys: Keys | None = None

    @classmethod
    def kernels(cls) -> list[Wanted]:
        """Return the kernels of the certificate."""
        from phasewise.profiling.jit.kernel import wanted
        from phasewise.solvers.finish_time_kernels import KERNELS

        return [each for kernel in KERNELS for each in wanted(kernel)]

    @cached_property
    def allowed_mask(self) -> Bools:
        """(J, W) where x may be above 0: where there are GPUs, for jobs with steps left that make progress at all."""
        mask = usable_pairs(self.throughput, self.allowed, self.capacity)
        waits = (self.steps_remaining > 0.0) & (mask & (self.throughput > 0.0)).any(axis=1)
        return mask if waits.all() else mask & waits[:, None]

    @cached_property
    def usable_throughput(self) -> Floats:
        """(J, W) throughput, 0 where x may not be above 0."""
        return self.throughput if self.allows_all else np.where(self.allowed_mask, self.throughput, 0.0)

    @cached_property
    def fastest(self) -> Floats:
        """(J,) each job's largest usable throughput, steps/s."""
        most: Floats = self.usable_throughput.max(axis=1)
        return most

    @cached_property
    def waits(self) -> Bools:
        """(J,) whose ratio depends on what they get: they have steps left, and make progress somewhere."""
        depends: Bools = self.fastest > 0.0
        return depends

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        check_common(self, "throughput", self.throughput, self.allowed)
        for name, zero_is_fine in (("steps_remaining", True), ("since_arrival", True), ("isolated", False)):
            values = getattr(self, name)
            if values.shape != self.scale_factor.shape:
                raise ProblemError(f"{name} has shape {values.shape}; expected {self.scale_factor.shape}, one a job")
            check_values(name, values, zero_is_fine=zero_is_fine)

    def ratios(self, x: Floats) -> Floats:
        """Return (J,) each job's ratio at ``x`` (J, W); infinite where it gets nowhere, 0 where it cannot."""
        gains = np.einsum("ij,ij->i", self.usable_throughput, x)
        left = np.where(self.steps_remaining > 0.0, np.inf, 0.0)
        with np.errstate(over="ignore"):  # next to nothing is as good as nothing
            np.divide(self.steps_remaining, gains, out=left, where=gains > 0.0)
        ratios: Floats = (self.since_arrival + left) / self.isolated
        return np.where(self.waits | (self.steps_remaining == 0.0), ratios, 0.0)

    def objective(self, x: Floats) -> float:
        """Return the worst ratio at ``x`` (J, W); 0 without jobs."""
        return float(self.ratios(x).max(initial=0.0))

    @cached_property
    def soonest(self) -> Floats:
        """(J,) the ratio of each job that `waits` names if it had its fastest type for itself, 0 of others."""
        left = np.divide(self.steps_remaining, self.fastest, out=np.zeros(self.rows), where=self.waits)
        ratios: Floats = np.where(self.waits, (self.since_arrival + left) / self.isolated, 0.0)
        return ratios

    @cached_property
    def ceiling(self) -> float:
        """A bound that needs no prices: the worst ratio if each job had its fastest type for itself."""
        over = self.steps_remaining == 0.0
        done = self.since_arrival[over] / self.isolated[over]
        return max(float(done.max(initial=0.0)), float(self.soonest.max(initial=0.0)) * _ROUNDED)

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return the bound by capacity prices alone."""
        prices = duals.vector("capacity", self.types)
        bound = self.bound(None if prices is None else prices, self.objective(x))
        return Proof(bound, self.gap(bound, x)) if math.isfinite(bound) else None

    def bound(self, prices: Floats | None, near: float = 0.0) -> float:
        """Return a lower bound on the optimum: what nobody can get below at ``prices``, or else the `ceiling`.

        At a ratio rho each job needs the throughput n_i = r_i / (rho D_i - t_i), for which it has to pay at least
        C_i(n_i). Where sum_i C_i(n_i) > sum_j p_j N_j, rho is out of reach. Rounding is accounted for.

        Parameters
        ----------
        prices
            (W,) of a GPU, none below 0, in any unit.
        near
            A ratio that may be close to the bound, to start from; any will do.
        """
        return self._affordable(prices, self.ceiling, near)

    def affordable(self, prices: Floats) -> float:
        """Return the least ratio that ``prices`` (W,) admit for all who can have it, if all others have all they can.

        Where the `ceiling` is the bound, this is about how much better the others can be off.
        """
        return self._affordable(prices, 0.0, self.ceiling)

    def _affordable(self, prices: Floats | None, floor: float, near: float) -> float:
        from phasewise.solvers.finish_time_kernels import least_ratio  # compiled

        if prices is None or not 0.0 < float(prices @ self.capacity) < _ABSURD:
            return floor
        prices = np.where(self.capacity > 0.0, prices, 0.0)
        prices /= float(prices @ self.capacity)
        work = np.array([np.where(self.waits, self.steps_remaining, 0.0), self.since_arrival, self.isolated])
        limits = (floor, near if math.isfinite(near) else self.ceiling, float(prices @ self.capacity))
        return float(least_ratio(laid_out(self.usable_throughput), laid_out(self.scale_factor), prices, work, limits))

    def at(self, ratio: float) -> Step:
        """Return the max-min problem of the jobs that `waits` names, of optimum 1 or more where all can have ``ratio``.

        gain_ij = T_ij / n_i, for a ratio of at least the `ceiling`.
        """
        return self._step(ratio, self.waits, np.zeros((self.rows, self.types)), self.capacity)

    def held(self, ratio: float) -> Step | None:
        """Return the max-min problem at a ratio below the `ceiling` of those who can have it.

        The others, among them those who decide the ceiling, have their fastest type for themselves. None where there
        are not the GPUs for it, or where that is nobody.
        """
        rows = self.waits & (self.soonest >= min(ratio, self.ceiling * _AT_THE_CEILING))
        x = np.zeros((self.rows, self.types))
        x[rows, self.usable_throughput[rows].argmax(axis=1)] = 1.0
        capacity = self.capacity - self.scale_factor @ x
        if not rows.any() or capacity.min() < 0.0:
            return None
        return self._step(ratio, self.waits & ~rows, x, capacity)

    def _step(self, ratio: float, rows: Bools, fixed: Floats, capacity: Floats) -> Step:
        part = slice(None) if rows.all() else rows
        problem = MaxMinProblem(
            gain=self.throughput[part] / self.needs(ratio)[part, None],
            scale_factor=self.scale_factor[part],
            capacity=capacity,
            allowed=None if self.allowed is None else self.allowed[part],
            keys=None if self.keys is None else self.keys[part],
        )
        return Step(problem, rows, fixed)

    def needs(self, ratio: float) -> Floats:
        """Return (J,) the throughput n_i with which each job that `waits` names has ``ratio``, steps/s; 1 for others.

        No need is more than the job's fastest type gives, nor is it taken for more than it is: of the time that is left
        to an old job with little to do, rounding may take a part that others would pay for.
        """
        until = ratio * self.isolated
        room = until - self.since_arrival
        room += 2.0 * ULP * room + ULP * until
        within = room * self.fastest > self.steps_remaining
        needs = np.where(within, self.steps_remaining / np.where(within, room, 1.0), self.fastest)
        return np.where(self.waits, needs, 1.0)

    def topped_up(self, x: Floats, ratio: float, prices: Floats) -> Floats:
        """Return ``x`` (J, W) with what those have for ``ratio`` who need next to nothing for it, and lack even that.

        To a solver's tolerance a millionth of a job's time is nothing, and nothing is an infinite ratio. Each of them
        gets its need on the type that is cheapest for it at ``prices`` (W,).
        """
        needs, speed = self.needs(ratio), self.usable_throughput
        dear = np.divide(prices, speed, out=np.full(speed.shape, np.inf), where=speed > 0.0)
        short = self.waits & (np.einsum("ij,ij->i", speed, x) < needs)
        rows = np.flatnonzero(short)
        kind = dear[rows].argmin(axis=1)
        time = needs[rows] / speed[rows, kind]
        small = time <= _NEXT_TO_NOTHING
        topped = x.copy()
        topped[rows[small]] = 0.0
        topped[rows[small], kind[small]] = time[small]
        return self.packed(topped)


FAMILIES: Final = (FinishTimeProblem,)
