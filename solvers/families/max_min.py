"""Max-min: the least gain as large as possible, perhaps with a linear term and a price on leaving what is in force."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Final

import numpy as np

from phasewise.solvers.errors import ProblemError
from phasewise.solvers.families.moving import Switching, check_movement, hardly_moved_put_back, within_all_time
from phasewise.solvers.problems import (
    AllocationProblem,
    Bools,
    Floats,
    check_common,
    check_values,
    usable_pairs,
)
from phasewise.solvers.proofs import Duals, Proof, relative_gap
from phasewise.solvers.rows import Keys, Teams
from phasewise.solvers.short_rows import BLOCK, row_max

MAX_MIN: Final = "max_min"
MAX_MIN_SWITCHING: Final = "max_min_switching"

_FEW_PAIRS: Final = 1024
"""Of rows and types, up to which an operation on all takes about as long as one on a type."""

_ABSURD: Final = 1e100  # duals of this size prove nothing and would overflow


@dataclass(frozen=True, eq=False)
class MaxMinProblem(AllocationProblem):
    """Maximise the least gain, less what it costs to leave the allocation in force.

    max min_k g_k + linear_weight * mean_k g_k - sum_ij move_cost_ij |x_ij - previous_ij|, where a job's gain g_k is the
    sum over its rows of sum_j gain_ij x_ij, or of partner_gain_ij x_ij in a row of which it is the second member.

    Attributes
    ----------
    gain
        (R, W) a_ij >= 0, finite: what a row's first member, or its only one, gains.
    scale_factor
        (R,) s_i > 0, GPUs, may be fractional.
    capacity
        (W,) N_j >= 0, GPUs.
    allowed
        (R, W) where x may be above 0; None means where gain > 0.
    linear_weight
        Weight of the mean gain in the objective; 1e-3 makes the optimum canonical, 0 is the plain problem.
    previous
        (R, W) the allocation in force, a row of zeros for a new job, each row's sum at most 1; it need not respect
        ``capacity`` or ``allowed``: what it has on a pair that is not allowed costs its move whatever the answer.
        None, together with ``move_cost``, where moving is free. A row that sums to up to 1e-6 more, as a solver's
        tolerance may leave it, is scaled to 1 when the problem is made: no job has more than all of its time, and
        what nobody can keep would stand between every answer and its bound.
    move_cost
        (R, W), or (R, 1) for a cost per row: c_ij >= 0, what a unit of |x_ij - previous_ij| costs, in the unit of the
        objective.
    keys, members
        As in `AllocationProblem`.
    partner_gain
        (R, W) what the second member gains, given together with ``members``; rows of one job are not read.
    """

    families: ClassVar[tuple[str, ...]] = (MAX_MIN, MAX_MIN_SWITCHING)
    forms: ClassVar[str] = "phasewise.solvers.forms.max_min"

    gain: Floats
    scale_factor: Floats
    capacity: Floats
    allowed: Bools | None = None
    linear_weight: float = 0.0
    previous: Floats | None = None
    move_cost: Floats | None = None
    keys: Keys | None = None
    members: Keys | None = None
    partner_gain: Floats | None = None

    def __post_init__(self) -> None:
        """Scale what is in force to at most all of a job's time, where it is off by no more than a tolerance."""
        object.__setattr__(self, "previous", within_all_time(self.previous))

    @property
    def family(self) -> str:
        """``max_min``, or ``max_min_switching`` where moving costs."""
        return MAX_MIN if self.previous is None else MAX_MIN_SWITCHING

    @property
    def is_linear(self) -> bool:
        """Whether the mean gain counts."""
        return self.linear_weight > 0.0

    @property
    def is_moving(self) -> bool:
        """Whether leaving the allocation in force costs."""
        return self.previous is not None

    @cached_property
    def switching(self) -> Switching | None:
        """The allocation in force and the price of leaving it, None where moving is free."""
        if self.previous is None or self.move_cost is None:
            return None
        return Switching(self.previous, np.broadcast_to(self.move_cost, self.previous.shape))

    @cached_property
    def allowed_mask(self) -> Bools:
        """(R, W) where x may be above 0; a type without GPUs is out of the question."""
        return usable_pairs(self.gain, self.allowed, self.capacity)

    @cached_property
    def usable_gain(self) -> Floats:
        """(R, W) gain, 0 where x may not be above 0."""
        if self.allows_all or (self.allowed is None and self.capacity.all()):
            return self.gain
        return np.where(self.allowed_mask, self.gain, 0.0)

    @cached_property
    def usable_partner_gain(self) -> Floats:
        """(P, W) gain of the second member of each row of two jobs, 0 where x may not be above 0."""
        if self.teams is None or self.partner_gain is None:
            return np.zeros((0, self.types))
        pairs = self.teams.pairs
        return np.where(self.allowed_mask[pairs], self.partner_gain[pairs], 0.0)

    @cached_property
    def equal_share_gain(self) -> float:
        """The least gain under equal shares of each type, a feasible allocation: at most the plain optimum."""
        share = np.minimum(1.0, self.capacity / self.scale_factor.sum())
        share /= max(1.0, float(share.sum()))
        gains = self.usable_gain @ share
        if self.teams is not None:  # nobody has all time more than once, whoever is in the most rows
            rows = self.teams.sums(np.ones(self.rows), np.ones(self.teams.pairs.size))
            gains = self.teams.sums(gains, self.usable_partner_gain @ share) / float(rows.max())
        return float(gains.min())

    @cached_property
    def gain_scale(self) -> float:
        """The gain of the worst-off job under equal shares, so that an optimum in this unit is at least about 1.

        Absolute tolerances of a solver are then relative ones whatever the unit of the gains. Where some job gains
        nothing from an equal share, t is 0 or nearly so; then it is what is left of the objective, or the largest gain.
        """
        if equal := self.equal_share_gain:
            return equal
        most = max(float(self.usable_gain.max()), float(self.usable_partner_gain.max(initial=0.0)))
        rest = self.linear_weight * most
        if self.switching is not None:
            rest = max(rest, self.jobs * float(self.switching.cost.max()))
        return rest or most or 1.0

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        check_common(self, "gain", self.gain, self.allowed)
        if not 0.0 <= self.linear_weight < np.inf:
            raise ProblemError(f"linear_weight is {self.linear_weight!r}; expected a finite number of at least 0")
        if self.previous is not None or self.move_cost is not None:
            check_movement(self.previous, self.move_cost, self.gain.shape)
        if (self.members is None) != (self.partner_gain is None):
            raise ProblemError("members and partner_gain are given one without the other; expected both, or none")
        if self.partner_gain is not None:
            if self.partner_gain.shape != self.gain.shape:
                raise ProblemError(f"partner_gain has shape {self.partner_gain.shape}; expected {self.gain.shape}")
            check_values("partner_gain", self.partner_gain, zero_is_fine=True)

    def gains(self, x: Floats) -> Floats:
        """Return (J,) each job's gain at ``x`` (R, W)."""
        own: Floats = np.einsum("ij,ij->i", self.gain, x)
        if self.teams is None or self.partner_gain is None:
            return own
        pairs = self.teams.pairs
        return self.teams.sums(own, np.einsum("ij,ij->i", self.partner_gain[pairs], x[pairs]))

    def objective(self, x: Floats) -> float:
        """Return least gain plus weighted mean gain less the movement cost at ``x`` (R, W); 0 without jobs."""
        if self.rows == 0:
            return 0.0
        gains = self.gains(x)
        value = float(np.minimum.reduce(gains))  # as min(), without detours
        if self.linear_weight:
            value += self.linear_weight * (float(gains.sum()) / gains.size)  # `mean` says the same, and takes longer
        switching = self.switching
        return value if switching is None else value - switching.paid(x)

    def project(self, x: Floats) -> Floats:
        """Return a feasible (R, W) allocation near ``x``: clipped, masked, then rows and columns scaled down."""
        return self.packed(x)

    def magnitude(self, x: Floats) -> float:
        """Return what a gap at ``x`` (R, W) is relative to where that is more than the bound: 0 without movement cost.

        With a movement cost, gains and costs added up, at least the equal shares' gain. Gains and the movement cost
        may cancel, and staying may be worth nothing: then no gap is small relative to the objective. Relative to this
        it is as small as in the plain problem. Where equal shares leave some job without gain, what it would cost to
        move every job stands for them.
        """
        return self._magnitude(x, None)

    def _magnitude(self, x: Floats, objective: float | None) -> float:
        """Return `magnitude` at ``x`` (R, W), whose objective may be known."""
        switching = self.switching
        if switching is None or self.rows == 0:
            return 0.0
        least = self.equal_share_gain or float(switching.cost.mean(axis=1).sum())
        return max((self.objective(x) if objective is None else objective) + 2.0 * switching.paid(x), least)

    def gap(self, bound: float, x: Floats) -> float:
        """Return the relative distance of the objective at ``x`` (R, W) from ``bound``, measured by `magnitude`."""
        return relative_gap(bound, self.objective(x), self.magnitude(x))

    def mended(self, x: Floats) -> Floats | None:
        """Return ``x`` (R, W) with all that has hardly moved put back to where it was; None where moving is free."""
        if self.previous is None:
            return None
        return self.project(hardly_moved_put_back(x, self.previous, self.allowed_mask))

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return the bound by weights of gains, capacity prices and, for rows of two jobs, prices of their time."""
        weights, prices = duals.vector("gain", self.jobs), duals.vector("capacity", self.types)
        if weights is None or prices is None:
            return None
        bound, objective = self.bound(weights, prices, duals.vector("time", self.jobs)), self.objective(x)
        gap = relative_gap(bound, objective, self._magnitude(x, objective))
        return Proof(bound, gap, objective) if math.isfinite(bound) else None

    def bound(self, job_weights: Floats, capacity_prices: Floats, time_prices: Floats | None = None) -> float:
        """Return an upper bound on the optimum by weak duality, the ceilings included; infinite for weights of 0.

        For l >= 0 with sum_k l_k >= 1 and p >= 0 the optimum is at most sum_i worth_i(v_i) + sum_j p_j N_j with
        v_ij = a_ij (l_i + c / J) - s_i p_j, where c is the linear weight (gains are never negative, hence neither is
        t: a sum above 1 loses nothing in validity). worth_i is what job i can make of a unit of time at these values:
        max(0, max_j v_ij), or with a movement cost `Switching.worth`. Duals that sum to less than 1 are scaled up;
        where t stands alone in the objective also down, which can only sharpen the bound. A row of two jobs has both
        their gains in v_i, and takes time of both: see `_shared_worth`.
        Without any duals the optimum is at most the smallest ceiling max_j a_ij plus what the other terms can reach.

        Parameters
        ----------
        job_weights, capacity_prices
            (J,) and (W,), none below 0.
        time_prices
            (J,) what all of a job's time is worth, none below 0; read only where there are rows of two jobs.
        """
        if self.rows == 0:
            return 0.0
        switching, ceiling = self.switching, self._ceiling
        total = float(np.add.reduce(job_weights))
        if not 0.0 < total < _ABSURD or not float(np.add.reduce(capacity_prices)) < _ABSURD:
            return ceiling  # also where a dual is NaN
        unit = 1.0 / total if switching is None and not self.linear_weight else max(1.0, total) / total
        prices = capacity_prices * unit
        weights = job_weights * unit + self._mean_weight
        if self.teams is not None:
            time = np.zeros(self.jobs) if time_prices is None else np.nan_to_num(time_prices * unit, posinf=0.0)
            worth = self._shared_worth(self._valued(weights, prices), time, self.teams)
        elif switching is not None:
            worth = switching.worth(self._valued(weights, prices), self.allowed_mask)
        else:
            worth = self._plain_worth(weights, prices)
        return min(ceiling, worth + float(prices @ self.capacity))

    def _plain_worth(self, weights: Floats, prices: Floats) -> float:
        """Return the sum over the jobs of the most that each can make of its time, where moving is free.

        By type and not by job: there are few types, and `_valued` need not be written down where it is large.
        """
        gain, use = self.usable_gain, self.scale_factor
        if gain.size <= _FEW_PAIRS:
            best = row_max(self._valued(weights, prices))
            return float(np.add.reduce(best[best > 0.0]))
        best = np.empty(self.rows)
        for start in range(0, self.rows, BLOCK):
            part = slice(start, start + BLOCK)
            rows, weight, asked, most = gain[part], weights[part], use[part], best[part]
            np.subtract(rows[:, 0] * weight, asked * prices[0], out=most)
            for j in range(1, self.types):
                np.maximum(most, rows[:, j] * weight - asked * prices[j], out=most)
        return float(best[best > 0.0].sum())

    def _valued(self, weights: Floats, prices: Floats) -> Floats:
        """Return (R, W) what a unit of a row's time is worth at ``weights`` (J,) of gains and ``prices`` (W,)."""
        value = self._weighted(weights)
        value -= self.scale_factor[:, None] * prices
        return value

    @property
    def _mean_weight(self) -> float:
        """What a single job's gain counts in the mean."""
        return self.linear_weight / self.jobs

    def _weighted(self, weights: Floats) -> Floats:
        """Return (R, W) the sum over each row's members of weight times gain; ``weights`` (J,)."""
        teams = self.teams
        if teams is None:
            return self.usable_gain * weights[:, None]
        value = self.usable_gain * weights[teams.first, None]
        value[teams.pairs] += self.usable_partner_gain * weights[teams.second, None]
        return value

    @cached_property
    def _ceiling(self) -> float:
        """What the objective can be at most if there were GPUs for everybody."""
        ceilings = row_max(self.usable_gain)
        if self.teams is not None:
            own, partner = np.zeros(self.jobs), self.usable_partner_gain.max(axis=1, initial=0.0)
            np.maximum.at(own, self.teams.first, ceilings)
            np.maximum.at(own, self.teams.second, partner)
            ceilings = own
        ceiling = float(np.minimum.reduce(ceilings))
        if self.switching is not None:  # as if each row had its time for itself
            weighted = self._weighted(np.full(self.jobs, self._mean_weight))
            return ceiling + self.switching.worth(weighted, self.allowed_mask)
        return ceiling + self.linear_weight * (float(ceilings.sum()) / ceilings.size) if self.linear_weight else ceiling

    def _shared_worth(self, value: Floats, time: Floats, teams: Teams) -> float:
        """Return the most that all rows can make of their members' time, at what ``time`` (J,) says that it is worth.

        A row that makes more of a unit of time than its members' time is worth would raise the bound without limit:
        their prices are raised to what it makes, so that the bound holds for any. Time kept saves the cost of leaving,
        which may be worth more than the price: up to ``previous``, as in `Switching.worth`.
        """
        switching = self.switching
        added = value if switching is None else (value - switching.cost) * self.allowed_mask
        short = np.maximum(row_max(added), 0.0) - teams.spread(time)
        short[teams.pairs] *= 0.5
        raised = np.zeros(time.size)
        np.maximum.at(raised, teams.first, short)
        np.maximum.at(raised, teams.second, short[teams.pairs])
        prices = time + raised
        worth = float(prices.sum())
        if switching is None:
            return worth
        kept = np.maximum(value + switching.cost - teams.spread(prices)[:, None], 0.0) * self.allowed_mask
        return worth + float(np.einsum("ij,ij->", kept - switching.cost, switching.previous))


FAMILIES: Final = (MaxMinProblem,)
