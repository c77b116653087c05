"""Max-min of jobs that may share GPUs in pairs, stated by kinds, and what all families of packing have in common."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass, field
from functools import cached_property
from typing import ClassVar, Final

import numpy as np

from phasewise.solvers.errors import ProblemError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.packing.crowd import Crowd, crowd_of
from phasewise.solvers.packing.worth import Prices, worth
from phasewise.solvers.problems import AllocationProblem, Bools, Floats, check_common, check_values, usable_pairs
from phasewise.solvers.proofs import Duals, Proof, relative_gap
from phasewise.solvers.rows import NOBODY, Keys

MAX_MIN_PACKED: Final = "max_min_packed"

_ABSURD: Final = 1e100  # duals of this size prove nothing and would overflow
_CUBE: Final = 3  # dimensions


class PackedProblem(AllocationProblem):
    """A problem of jobs each of which runs alone, or shares all its GPUs with one other job at a time.

    Two jobs may share GPUs of a type where both may run there, both need equally many, and the rates of both kinds
    beside each other are above 0. A row is a job, alone; `over` is the problem whose rows are teams, which an answer
    chooses: all pairs would be too many to be written down.

    Attributes
    ----------
    alone
        (J, W) what a job gains alone on each type, >= 0, finite.
    kind
        (J,) int64, the kind of each job, an index into ``rate``.
    factor
        (J,) > 0: a job of kind a that shares with one of kind b on type j gains ``factor * rate[a, b, j]``.
    rate
        (K, K, W) >= 0, finite; 0 where it is not known, so that these do not share.
    scale_factor
        (J,) s_i > 0, GPUs; the same for all jobs of a kind.
    capacity
        (W,) N_j >= 0, GPUs.
    """

    kind: Keys
    rate: Floats
    capacity: Floats

    @property
    @abstractmethod
    def alone(self) -> Floats:
        """(J, W) what a job gains alone on each type."""

    @property
    @abstractmethod
    def factors(self) -> Floats:
        """(J,) what a unit of a rate is worth to a job."""

    @abstractmethod
    def value(self, gains: Floats) -> float:
        """Return the objective at the ``gains`` (J,) of all jobs; 0 without jobs."""

    @abstractmethod
    def proven(self, gains: Floats, duals: Duals) -> Proof | None:
        """Return what ``duals`` prove about an allocation with these ``gains`` (J,); None where it is nothing."""

    @cached_property
    def allowed_mask(self) -> Bools:
        """(J, W) where a job may run; a type without GPUs is out of the question."""
        return usable_pairs(self.alone, getattr(self, "allowed", None), self.capacity)

    @cached_property
    def crowd(self) -> Crowd:
        """Equal jobs as one, see `phasewise.solvers.packing.crowd`."""
        return crowd_of(self.alone, self.allowed_mask, self.factors, self.scale_factor, self.kind, self.rate)

    @property
    def names(self) -> tuple[Keys, Keys]:
        """(K,) and (C,) by which kinds and classes are known again: the kind itself, the key of the first job."""
        keys = np.arange(self.rows) if self.keys is None else self.keys
        return self.crowd.name, keys[self.crowd.example]

    def check_packed(self, name: str) -> None:
        """Check what all families of packing have, the matrix ``alone`` called ``name``; raise `ProblemError`."""
        check_common(self, name, self.alone, getattr(self, "allowed", None))
        rows, types = self.alone.shape
        for each, values in (("kind", self.kind), ("factor", self.factors)):
            if values.shape != (rows,):
                raise ProblemError(f"{each} has shape {values.shape}; expected {(rows,)}, one a job")
        check_values("factor", self.factors, zero_is_fine=False)
        if self.rate.ndim != _CUBE or self.rate.shape[0] != self.rate.shape[1] or self.rate.shape[2] != types:
            raise ProblemError(f"rate has shape {self.rate.shape}; expected (kinds, kinds, worker types = {types})")
        check_values("rate", self.rate, zero_is_fine=True)
        if self.kind.dtype != np.int64:
            raise ProblemError(f"kind has dtype {self.kind.dtype}; expected int64")
        wrong = (self.kind < 0) | (self.kind >= len(self.rate))
        if wrong.any():
            job = int(wrong.argmax())
            raise ProblemError(f"kind[{job}] is {self.kind[job]}; expected 0 to {len(self.rate) - 1}, an index of rate")
        self._check_widths()

    def _check_widths(self) -> None:
        width = np.zeros(len(self.rate))
        width[self.kind] = self.scale_factor
        unequal = width[self.kind] != self.scale_factor
        if unequal.any():
            job = int(unequal.argmax())
            raise ProblemError(
                f"scale_factor[{job}] is {self.scale_factor[job]:g}, but another job of its kind {self.kind[job]} has "
                f"{width[self.kind[job]]:g}; expected one number of GPUs for all jobs of a kind"
            )

    def over(self, members: Keys) -> AllocationProblem:
        """Return the same problem with the rows ``members`` (R, 2): places of jobs, the second -1 in a row of one.

        Raises `ProblemError` where some are no teams that may be, or a job is in none.
        """
        self._check_members(members)
        pairs = np.flatnonzero(members[:, 1] != NOBODY)
        one, other = members[pairs, 0], members[pairs, 1]
        gain, partner = self.alone[members[:, 0]], np.zeros((len(members), self.types))
        allowed = self.allowed_mask[members[:, 0]]
        first, second = self.rate[self.kind[one], self.kind[other]], self.rate[self.kind[other], self.kind[one]]
        gain[pairs] = self.factors[one, None] * first
        partner[pairs] = self.factors[other, None] * second
        allowed[pairs] &= self.allowed_mask[other] & (first > 0.0) & (second > 0.0)
        wide = (self.scale_factor[one] == self.scale_factor[other])[:, None]
        allowed[pairs] &= wide
        return OverTeams(self, members, gain, partner, allowed, self.scale_factor[members[:, 0]], self.capacity)

    def _check_members(self, members: Keys) -> None:
        if (
            not isinstance(members, np.ndarray)
            or members.dtype != np.int64
            or members.ndim != 2
            or members.shape[1] != 2
        ):
            raise ProblemError(
                f"members are {getattr(members, 'dtype', type(members).__name__)}; expected int64 (R, 2)"
            )
        wrong = (members[:, 0] < 0) | (members[:, 1] < NOBODY) | (members >= self.rows).any(axis=1)
        wrong |= members[:, 0] == members[:, 1]
        if wrong.any():
            row = int(wrong.argmax())
            raise ProblemError(
                f"members[{row}] are {members[row].tolist()}; expected places of two of {self.rows} jobs, or one and -1"
            )
        missing = np.setdiff1d(np.arange(self.rows), members)
        if missing.size:
            raise ProblemError(f"job {missing[0]} is in no row of members; expected every job in at least one")

    def objective(self, x: Floats) -> float:
        """Return the objective at ``x`` (J, W), time of jobs that all run alone."""
        return self.value(np.einsum("ij,ij->i", self.alone, x)) if self.rows else 0.0

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return what ``duals`` prove about ``x`` (J, W), time of jobs that all run alone."""
        return self.proven(np.einsum("ij,ij->i", self.alone, x), duals)

    def prices(self, duals: Duals) -> Prices | None:
        """Return ``duals`` by class, their means; None where some are missing or absurd."""
        gain, time = duals.vector("gain", self.jobs), duals.vector("time", self.jobs)
        capacity = duals.vector("capacity", self.types)
        if gain is None or capacity is None:
            return None
        if time is None:
            time = np.zeros(self.jobs)
        if not gain.sum() + time.sum() + capacity.sum() < _ABSURD:
            return None  # also where one is no number
        return Prices(self.crowd.mean(gain), self.crowd.mean(time), capacity)


@dataclass(frozen=True, eq=False)
class OverTeams(AllocationProblem):
    """A problem of packing over the rows that an answer has chosen. R rows, J jobs.

    Attributes
    ----------
    whole
        The problem.
    members
        (R, 2) int64 places of jobs, the second one -1 in a row of one.
    gain, partner_gain
        (R, W) what the first and the second member gain.
    allowed
        (R, W) where x may be above 0.
    scale_factor, capacity
        As in `AllocationProblem`.
    """

    families: ClassVar[tuple[str, ...]] = ()

    whole: PackedProblem
    members: Keys = field()  # without a default, though the base has one
    gain: Floats
    partner_gain: Floats
    allowed: Bools
    scale_factor: Floats
    capacity: Floats

    @property
    def family(self) -> str:
        """Name of the family of the problem."""
        return self.whole.family

    @property
    def allowed_mask(self) -> Bools:
        """(R, W) where x may be above 0."""
        return self.allowed

    def validate(self) -> None:
        """Do nothing: the problem was checked, and so were the rows."""

    def gains(self, x: Floats) -> Floats:
        """Return (J,) each job's gain at ``x`` (R, W)."""
        own: Floats = np.einsum("ij,ij->i", self.gain, x)
        assert self.teams is not None
        pairs = self.teams.pairs
        return self.teams.sums(own, np.einsum("ij,ij->i", self.partner_gain[pairs], x[pairs]))

    def objective(self, x: Floats) -> float:
        """Return the problem's objective at ``x`` (R, W)."""
        return self.whole.value(self.gains(x))

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return what ``duals`` prove about ``x`` (R, W), over all teams that there could be."""
        return self.whole.proven(self.gains(x), duals)


@dataclass(frozen=True, eq=False)
class PackedMaxMinProblem(PackedProblem):
    """Maximise the least gain of jobs that may share GPUs in pairs.

    max min_i g_i + linear_weight * mean_i g_i, where a job's gain g_i is the sum of gain_ij times its time alone on
    type j and of factor_i rate[kind_i, kind_k, j] times its time beside each other job k.

    Attributes
    ----------
    gain
        (J, W) a_ij >= 0, finite: what a job gains alone.
    kind, factor, rate, scale_factor, capacity
        As in `PackedProblem`.
    allowed
        (J, W) where a job may run; None means where gain > 0.
    linear_weight
        Weight of the mean gain; 1e-3 makes the gains of the optimum unique, 0 is the plain problem.
    keys
        As in `AllocationProblem`.
    """

    families: ClassVar[tuple[str, ...]] = (MAX_MIN_PACKED,)
    forms: ClassVar[str] = "phasewise.solvers.forms.packed_max_min"

    gain: Floats
    kind: Keys
    factor: Floats
    rate: Floats
    scale_factor: Floats
    capacity: Floats
    allowed: Bools | None = None
    linear_weight: float = 0.0
    keys: Keys | None = None

    @property
    def alone(self) -> Floats:
        """(J, W) what a job gains alone on each type."""
        return self.gain

    @property
    def factors(self) -> Floats:
        """(J,) what a unit of a rate is worth to a job."""
        return self.factor

    @property
    def is_linear(self) -> bool:
        """Whether the mean gain counts."""
        return self.linear_weight > 0.0

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        self.check_packed("gain")
        if not 0.0 <= self.linear_weight < np.inf:
            raise ProblemError(f"linear_weight is {self.linear_weight!r}; expected a finite number of at least 0")

    def value(self, gains: Floats) -> float:
        """Return least gain plus weighted mean gain of ``gains`` (J,); 0 without jobs."""
        if not gains.size:
            return 0.0
        return float(gains.min()) + self.linear_weight * (float(gains.sum()) / gains.size)

    def proven(self, gains: Floats, duals: Duals) -> Proof | None:
        """Return the bound by weights of gains and prices of time and GPUs, over all pairs."""
        prices = self.prices(duals)
        if prices is None or not gains.size:
            return None
        bound, objective = self.bound(prices), self.value(gains)
        return Proof(bound, relative_gap(bound, objective), objective) if math.isfinite(bound) else None

    def bound(self, prices: Prices) -> float:
        """Return an upper bound on the optimum by weak duality, the ceilings included.

        For weights that sum to at least 1 the optimum is at most what `phasewise.solvers.packing.worth` says that all
        gains together can be worth at them, plus the mean's weight; gains are never negative.
        """
        crowd = self.crowd
        ceiling = float(crowd.most.min()) + self.linear_weight * float(crowd.size @ crowd.most) / self.rows
        total = float(crowd.size @ prices.weight)
        if not total > 0.0:
            return ceiling
        unit = (max(1.0, total) if self.linear_weight or self.is_moving else 1.0) / total
        scaled = prices._replace(
            weight=prices.weight * unit + self.linear_weight / self.rows,
            time=prices.time * unit,
            capacity=prices.capacity * unit,
        )
        return min(ceiling, worth(crowd, scaled, self.capacity))

    def full(self) -> MaxMinProblem:
        """Return the same problem with every team as a row, for small numbers of jobs: J + J (J - 1) / 2 rows at most.

        Pairs that may share on no type are left out.
        """
        one, other = np.triu_indices(self.rows, k=1)
        together = np.column_stack((one, other))
        shares = self.crowd.shares[self.crowd.kind[self.crowd.of_job[one]], self.crowd.kind[self.crowd.of_job[other]]]
        alone = np.column_stack((np.arange(self.rows), np.full(self.rows, NOBODY)))
        rows = self.over(np.concatenate((alone, together[shares.any(axis=1)])))
        assert isinstance(rows, OverTeams)
        return MaxMinProblem(
            rows.gain,
            rows.scale_factor,
            self.capacity,
            rows.allowed,
            self.linear_weight,
            members=rows.members,
            partner_gain=rows.partner_gain,
        )


FAMILIES: Final = (PackedMaxMinProblem,)
