"""Max-min of jobs that may share GPUs in pairs, less what it costs to leave the allocation in force.

What costs is time that a job has on a type more or less than before, all of it, alone and beside whomever: that is
what makes it start there anew. Who its partner is does not enter, so that of partners only their kinds matter still.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import ClassVar, Final

import numpy as np

from phasewise.solvers.families.moving import Switching, check_movement, within_all_time
from phasewise.solvers.families.packed import OverTeams, PackedMaxMinProblem
from phasewise.solvers.packing.crowd import Crowd, crowd_of
from phasewise.solvers.packing.worth import Prices
from phasewise.solvers.problems import Floats
from phasewise.solvers.proofs import Duals, Proof, relative_gap
from phasewise.solvers.rows import Keys

MAX_MIN_PACKED_SWITCHING: Final = "max_min_packed_switching"

_MATRIX: Final = 2  # dimensions
_DIGITS: Final = 9  # of a job's time in force
_ROUNDED_ROW: Final = 1.0 + 1e-8  # a row's sum that is 1 but for that


@dataclass(frozen=True, eq=False)
class PackedMovingProblem(PackedMaxMinProblem):
    """Maximise the least gain of jobs that may share GPUs in pairs, less a movement cost.

    max min_i g_i + linear_weight * mean_i g_i - sum_ij move_cost_ij |X_ij - previous_ij|, with g_i as in
    `PackedMaxMinProblem` and X_ij all the time that job i has on type j, alone and beside others.

    Attributes
    ----------
    previous
        (J, W) the time that each job had on each type in the allocation in force, over all its teams; 0 for a new job,
        each row's sum at most 1. A row that a tolerance left up to 1e-6 above 1 is scaled to 1, and time is taken to a
        billionth: jobs of a kind that had the same but for rounding are equal, and a class, still.
    move_cost
        (J, W), or (J, 1) for a cost per job: c_ij >= 0, in the unit of the objective.
    """

    families: ClassVar[tuple[str, ...]] = (MAX_MIN_PACKED_SWITCHING,)
    forms: ClassVar[str] = "phasewise.solvers.forms.packed_moving"

    previous: Floats = field(kw_only=True)
    move_cost: Floats = field(kw_only=True)

    def __post_init__(self) -> None:
        """Scale what is in force to at most all of a job's time, where it is off by a tolerance, and round it."""
        previous = self.previous
        if not isinstance(previous, np.ndarray) or previous.ndim != _MATRIX or previous.dtype != np.float64:
            return  # `validate` says what is wrong
        scaled = within_all_time(previous) if previous.size and previous.sum(axis=1).max() > _ROUNDED_ROW else previous
        assert scaled is not None
        object.__setattr__(self, "previous", np.round(scaled, _DIGITS))

    @property
    def is_moving(self) -> bool:
        """Leaving the allocation in force costs."""
        return True

    @cached_property
    def switching(self) -> Switching:
        """The allocation in force and the price of leaving it; where that is free, nothing is in force."""
        cost = np.broadcast_to(self.move_cost, self.previous.shape)
        return Switching(np.where(cost > 0.0, self.previous, 0.0), cost)

    @cached_property
    def crowd(self) -> Crowd:
        """Jobs that are equal in everything as one, what they had and what leaving it costs included."""
        moving = self.switching
        crowd = crowd_of(
            self.gain, self.allowed_mask, self.factor, self.scale_factor, self.kind, self.rate,
            *moving.previous.T, *moving.cost.T,
        )  # fmt: skip
        own = Switching(moving.previous[crowd.example], moving.cost[crowd.example])
        return replace(crowd, moving=own)

    @cached_property
    def still(self) -> PackedMaxMinProblem:
        """The same problem where moving is free."""
        stated = self.stated()
        return PackedMaxMinProblem(**{name: stated[name] for name in stated if name not in {"previous", "move_cost"}})

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        super().validate()
        check_movement(self.previous, self.move_cost, self.gain.shape)

    def over(self, members: Keys) -> MovingTeams:
        """Return the same problem with the rows ``members``, see `PackedProblem.over`."""
        rows = self.still.over(members)
        assert isinstance(rows, OverTeams)
        return MovingTeams(
            self, rows.members, rows.gain, rows.partner_gain, rows.allowed, rows.scale_factor, rows.capacity
        )

    def objective(self, x: Floats) -> float:
        """Return the objective at ``x`` (J, W), time of jobs that all run alone."""
        return super().objective(x) - self.switching.paid(x) if self.rows else 0.0

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return what ``duals`` prove about ``x`` (J, W), time of jobs that all run alone."""
        return self.proven_at(np.einsum("ij,ij->i", self.alone, x), x, duals)

    def proven_at(self, gains: Floats, time: Floats, duals: Duals) -> Proof | None:
        """Return the bound that ``duals`` give, over all pairs, and how far ``gains`` (J,) at ``time`` (J, W) are."""
        prices = self.prices(duals)
        if prices is None or not gains.size:
            return None
        bound, paid = self.bound(prices), self.switching.paid(time)
        objective = self.value(gains) - paid
        # gains and what is paid may cancel: a gap is relative to what they add up to
        gap = relative_gap(bound, objective, max(objective + 2.0 * paid, self._equal_share_gain))
        return Proof(bound, gap, objective) if math.isfinite(bound) else None

    @cached_property
    def _equal_share_gain(self) -> float:
        """The least gain under equal shares of each type, or else what it costs to move every job."""
        share = np.minimum(1.0, self.capacity / self.scale_factor.sum())
        share /= max(1.0, float(share.sum()))
        least = float((np.where(self.allowed_mask, self.gain, 0.0) @ share).min())
        return least or float(self.switching.cost.mean(axis=1).sum())

    def prices(self, duals: Duals) -> Prices | None:
        """Return ``duals`` by class, with what is kept no more than it can be worth; None where some are missing."""
        prices = super().prices(duals)
        if prices is None:
            return None
        crowd = self.crowd
        assert crowd.moving is not None
        most = 2.0 * crowd.moving.cost
        kept = duals.matrix("kept", self.gain.shape)
        found = np.zeros(most.shape) if kept is None else np.nan_to_num(_mean_by_class(crowd, kept), posinf=0.0)
        found = np.where(crowd.stays, np.minimum(found, most), 0.0)
        lost = ~crowd.open & (crowd.moving.previous > 0.0)  # nothing of it can stay: its cost is paid in any case
        return prices._replace(kept=np.where(lost, most, found))


def _mean_by_class(crowd: Crowd, by_job: Floats) -> Floats:
    """Return (C, W) the means of (J, W) ``by_job``: where equal jobs have unequal duals, these prove what all do."""
    return np.stack([crowd.mean(column) for column in by_job.T], axis=1)


@dataclass(frozen=True, eq=False)
class MovingTeams(OverTeams):
    """A problem of packing with a movement cost over the rows that an answer has chosen."""

    def time_on(self, x: Floats) -> Floats:
        """Return (J, W) the time that each job has on each type at ``x`` (R, W), alone and beside others."""
        total = np.zeros((self.whole.rows, self.types))
        np.add.at(total, self.members[:, 0], x)
        pairs = self.members[:, 1] >= 0
        np.add.at(total, self.members[pairs, 1], x[pairs])
        return total

    @property
    def moving(self) -> PackedMovingProblem:
        """The problem."""
        assert isinstance(self.whole, PackedMovingProblem)
        return self.whole

    def objective(self, x: Floats) -> float:
        """Return the problem's objective at ``x`` (R, W)."""
        return super().objective(x) - self.moving.switching.paid(self.time_on(x))

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return what ``duals`` prove about ``x`` (R, W), over all teams that there could be."""
        return self.moving.proven_at(self.gains(x), self.time_on(x), duals)


FAMILIES: Final = (PackedMovingProblem,)
