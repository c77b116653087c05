"""The problem families, each frozen, each judged by its own ``objective(x)``, ``violation(x)`` and ``bound(...)``.

Shapes: J jobs, W worker types. x[i, j] in [0, 1] is the fraction of wall time job i runs on type j.
Common constraints: sum_j x_ij <= 1, sum_i s_i x_ij <= N_j, x >= 0, x_ij = 0 where not allowed.

A further family is a further subclass of `AllocationProblem`: the certifier, the session and the chain use only the
methods of the base; `phasewise.solvers.lp` and `phasewise.solvers.cvx` are told how to write it down by registering a
builder for its class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.solvers.errors import ProblemError
from phasewise.solvers.moving import Switching

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]


class AllocationProblem(ABC):
    """What every family shares: the polytope of feasible allocations.

    Attributes
    ----------
    scale_factor
        (J,) s_i > 0, GPUs, may be fractional.
    capacity
        (W,) N_j >= 0, GPUs.
    """

    __slots__ = ()

    scale_factor: Floats
    capacity: Floats

    @property
    @abstractmethod
    def family(self) -> str:
        """Name of the family, by which a backend says what it takes."""

    @property
    @abstractmethod
    def allowed_mask(self) -> Bools:
        """(J, W) where x may be above 0."""

    @abstractmethod
    def validate(self) -> None:
        """Check shapes and values; raise `ProblemError` naming the first fault."""

    @abstractmethod
    def objective(self, x: Floats) -> float:
        """Return the family's objective at ``x`` (J, W), larger is better."""

    @abstractmethod
    def bound(self, job_weights: Floats, capacity_prices: Floats) -> float:
        """Return a proven upper bound on the optimum from non-negative (J,) and (W,) duals."""

    def magnitude(self, x: Floats) -> float:
        """Return the size of what the objective at ``x`` (J, W) is made of, the measure of a gap where that is more.

        0 where the objective itself will do; a family whose terms may cancel needs another measure.
        """
        del x
        return 0.0

    def staged_proof(self, x: Floats, stage_prices: Floats) -> tuple[float, float | None] | None:
        """Return the bound and the relative gap at ``x`` that prices (K, W) of several stages prove.

        The gap is None where they prove none. None in a family that is solved in one stage; its duals go to `bound`.
        """
        del x, stage_prices
        return None

    def mended(self, x: Floats) -> Floats | None:
        """Return a feasible allocation that is ``x`` (J, W) but for what a solver's tolerance left in it, or None.

        Asked for only where ``x`` is short of its bound; its objective is computed anew. None where the family knows
        of nothing to mend.
        """
        del x
        return None

    @property
    def jobs(self) -> int:
        """Number of jobs J."""
        return int(self.scale_factor.shape[0])

    @property
    def types(self) -> int:
        """Number of worker types W."""
        return int(self.capacity.shape[0])

    def violation(self, x: Floats) -> float:
        """Return the largest violation of a common constraint at ``x`` (J, W).

        Each is relative to its constraint's scale: 1 for bounds and time, ``max(1, N_j)`` GPUs for capacity.
        """
        if self.jobs == 0:
            return 0.0
        over = self.scale_factor @ x
        over -= self.capacity
        over /= np.maximum(self.capacity, 1.0)
        worst = max(0.0, float(over.max()), float(x.sum(axis=1).max()) - 1.0, -float(x.min()))  # 0.0 first: not -0.0
        allowed = self.allowed_mask
        return worst if allowed.all() else max(worst, float(np.abs(x[~allowed]).max()))

    def project(self, x: Floats) -> Floats:
        """Return a feasible (J, W) allocation near ``x``: clipped, masked, then rows and columns scaled down."""
        near = np.maximum(x, 0.0)
        near *= self.allowed_mask
        near /= np.maximum(near.sum(axis=1), 1.0)[:, None]
        used = self.scale_factor @ near
        over = used > self.capacity
        if over.any():
            near *= np.divide(self.capacity, used, out=np.ones_like(used), where=over)
        return near

    def utilization(self, x: Floats) -> float:
        """Return the share of all GPUs that ``x`` uses, 0 for an empty cluster."""
        total = float(self.capacity.sum())
        return float((self.scale_factor @ x).sum()) / total if total > 0 else 0.0

    def utilization_ceiling(self) -> float:
        """Return the largest share of all GPUs that any feasible allocation uses, whatever its objective.

        A transport from jobs to types. By its minimum cut it carries the least, over all sets S of types, of the GPUs
        in S and the demand of the jobs that are not confined to S. There are 2^W sets: cheap for the few types of a
        cluster. Above 12 types only S of all types, and of none, are looked at, which gives an upper bound.
        """
        total, demand = float(self.capacity.sum()), float(self.scale_factor.sum())
        if total == 0.0 or self.jobs == 0:
            return 0.0
        if self.types > _MOST_CUT_TYPES:
            return min(1.0, demand / total)
        confined_to, inside = _cuts(self.types)
        usable = self.allowed_mask @ (1 << np.arange(self.types))
        by_mask = np.bincount(usable, weights=self.scale_factor, minlength=1 << self.types)
        by_mask[0] = 0.0  # a job that can run nowhere demands nothing
        cut = inside @ self.capacity + float(by_mask.sum()) - confined_to @ by_mask
        return float(cut.min()) / total


_MOST_CUT_TYPES: Final = 12


@cache
def _cuts(types: int) -> tuple[Floats, Floats]:
    """Return (2^W, 2^W) whether mask m is inside set S, and (2^W, W) whether a type is in S."""
    masks = np.arange(1 << types)
    confined_to = (masks & ~masks[:, None]) == 0
    inside = (masks[:, None] >> np.arange(types)) & 1
    return confined_to.astype(np.float64), inside.astype(np.float64)


@dataclass(frozen=True, slots=True)
class MaxMinProblem(AllocationProblem):
    """Maximise the least gain, less what it costs to leave the allocation in force.

    max min_i g_i + linear_weight * mean_i g_i - sum_ij move_cost_ij |x_ij - previous_ij| with g_i = sum_j gain_ij x_ij.

    Attributes
    ----------
    gain
        (J, W) a_ij >= 0, finite.
    scale_factor
        (J,) s_i > 0, GPUs, may be fractional.
    capacity
        (W,) N_j >= 0, GPUs.
    allowed
        (J, W) where x may be above 0; None means where gain > 0.
    linear_weight
        Weight of the mean gain in the objective; 1e-3 makes the optimum canonical, 0 is the plain problem.
    previous
        (J, W) the allocation in force, a row of zeros for a new job, each row's sum at most 1; it need not respect
        ``capacity`` or ``allowed``: what it has on a pair that is not allowed costs its move whatever the answer.
        None, together with ``move_cost``, where moving is free. A row that sums to up to 1e-6 more, as a solver's
        tolerance may leave it, is scaled to 1 when the problem is made: no job has more than all of its time, and
        what nobody can keep would stand between every answer and its bound.
    move_cost
        (J, W), or (J, 1) for a cost per job: c_ij >= 0, what a unit of |x_ij - previous_ij| costs, in the unit of the
        objective.
    """

    gain: Floats
    scale_factor: Floats
    capacity: Floats
    allowed: Bools | None = None
    linear_weight: float = 0.0
    previous: Floats | None = None
    move_cost: Floats | None = None

    def __post_init__(self) -> None:
        """Scale what is in force to at most all of a job's time, where it is off by no more than a tolerance."""
        previous = self.previous
        if previous is None or previous.ndim != _MATRIX or previous.dtype != np.float64 or not previous.size:
            return  # `validate` says what is wrong
        total = previous.sum(axis=1)
        if _ROUNDED_ROW < total.max() <= 1.0 + _ROW_SLACK:
            object.__setattr__(self, "previous", previous / np.maximum(total, 1.0)[:, None])

    @property
    def family(self) -> str:
        """``max_min``, or ``max_min_switching`` where moving costs."""
        return MAX_MIN if self.previous is None else MAX_MIN_SWITCHING

    @property
    def switching(self) -> Switching | None:
        """The allocation in force and the price of leaving it, None where moving is free."""
        if self.previous is None or self.move_cost is None:
            return None
        return Switching(self.previous, np.broadcast_to(self.move_cost, self.previous.shape))

    @property
    def allowed_mask(self) -> Bools:
        """(J, W) where x may be above 0; a type without GPUs is out of the question."""
        mask = self.gain > 0.0 if self.allowed is None else self.allowed
        return mask if self.capacity.all() else mask & (self.capacity > 0.0)

    @property
    def usable_gain(self) -> Floats:
        """(J, W) gain, 0 where x may not be above 0."""
        if self.allowed is None and self.capacity.all():
            return self.gain
        return np.where(self.allowed_mask, self.gain, 0.0)

    @property
    def equal_share_gain(self) -> float:
        """The least gain under equal shares of each type, a feasible allocation: at most the plain optimum."""
        share = np.minimum(1.0, self.capacity / self.scale_factor.sum())
        share /= max(1.0, float(share.sum()))
        return float((self.usable_gain @ share).min())

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        if self.scale_factor.ndim != 1 or self.capacity.ndim != 1 or not self.capacity.size:
            shapes = f"scale_factor {self.scale_factor.shape} and capacity {self.capacity.shape}"
            raise ProblemError(f"wrong shapes: {shapes}; expected (jobs,) and (worker types,) with at least one type")
        jobs_types = (self.jobs, self.types)
        if self.gain.shape != jobs_types:
            raise ProblemError(f"gain has shape {self.gain.shape}; expected (jobs, worker types) = {jobs_types}")
        if self.allowed is not None and (self.allowed.shape != jobs_types or self.allowed.dtype != np.bool_):
            raise ProblemError(
                f"allowed is {self.allowed.dtype} of shape {self.allowed.shape}; expected bool of {jobs_types}"
            )
        _check("gain", self.gain, zero_is_fine=True)
        _check("scale_factor", self.scale_factor, zero_is_fine=False)
        _check("capacity", self.capacity, zero_is_fine=True)
        if not 0.0 <= self.linear_weight < np.inf:
            raise ProblemError(f"linear_weight is {self.linear_weight!r}; expected a finite number of at least 0")
        if self.previous is not None or self.move_cost is not None:
            _check_switching(self.previous, self.move_cost, jobs_types)

    def objective(self, x: Floats) -> float:
        """Return least gain plus weighted mean gain less the cost of moving at ``x`` (J, W); 0 without jobs."""
        if self.jobs == 0:
            return 0.0
        gains = np.einsum("ij,ij->i", self.gain, x)
        value = float(gains.min())
        if self.linear_weight:
            value += self.linear_weight * float(gains.mean())
        switching = self.switching
        return value if switching is None else value - switching.paid(x)

    def magnitude(self, x: Floats) -> float:
        """Return 0 without a switching term; with one, gains and costs added up, at least the equal shares' gain.

        Gains and the cost of moving may cancel, and staying may be worth nothing: then no gap is small relative to the
        objective. Relative to this it is as small as in the plain problem. Where equal shares leave some job without
        gain, what it would cost to move every job stands for them.
        """
        switching = self.switching
        if switching is None or self.jobs == 0:
            return 0.0
        least = self.equal_share_gain or float(switching.cost.mean(axis=1).sum())
        return max(self.objective(x) + 2.0 * switching.paid(x), least)

    def mended(self, x: Floats) -> Floats | None:
        """Return ``x`` (J, W) with all that has hardly moved put back to where it was; None where moving is free.

        A solver's dust of 1e-10 on a pair is nothing to a gain, but costs its move: where moving is dear beside what
        there is to gain, dust alone was seen to cost 3e-5 of the objective.
        """
        if self.previous is None:
            return None
        previous = np.where(self.allowed_mask, self.previous, 0.0)
        return self.project(np.where(np.abs(x - previous) <= _HARDLY, previous, x))

    def bound(self, job_weights: Floats, capacity_prices: Floats) -> float:
        """Return an upper bound on the optimum by weak duality, the ceilings included; infinite for weights of 0.

        For l >= 0 with sum_i l_i >= 1 and p >= 0 the optimum is at most sum_i worth_i(v_i) + sum_j p_j N_j with
        v_ij = a_ij (l_i + c / J) - s_i p_j, where c is the linear weight (gains are never negative, hence neither is
        t: a sum above 1 loses nothing in validity). worth_i is what job i can make of a unit of time at these values:
        max(0, max_j v_ij), or with a switching term `Switching.worth`. Duals that sum to less than 1 are scaled up;
        where t stands alone in the objective also down, which can only sharpen the bound.
        Without any duals the optimum is at most the smallest ceiling max_j a_ij plus what the other terms can reach.
        """
        if self.jobs == 0:
            return 0.0
        gain, switching = self.usable_gain, self.switching
        ceilings = gain.max(axis=1)
        ceiling = float(ceilings.min())
        if switching is not None:
            ceiling += switching.worth(gain * (self.linear_weight / self.jobs), self.allowed_mask)
        elif self.linear_weight:
            ceiling += self.linear_weight * float(ceilings.mean())
        total = float(job_weights.sum())
        if not 0.0 < total < _ABSURD or not float(capacity_prices.sum()) < _ABSURD:
            return ceiling  # also where a dual is NaN
        unit = 1.0 / total if switching is None and not self.linear_weight else max(1.0, total) / total
        prices = capacity_prices * unit
        value = gain * (job_weights * unit + self.linear_weight / self.jobs)[:, None]
        value -= self.scale_factor[:, None] * prices
        if switching is not None:
            worth = switching.worth(value, self.allowed_mask)
        else:
            best = value.max(axis=1)
            worth = float(best[best > 0.0].sum())
        return min(ceiling, worth + float(prices @ self.capacity))


Problem = MaxMinProblem

MAX_MIN: Final = "max_min"
MAX_MIN_SWITCHING: Final = "max_min_switching"

_MATRIX: Final = 2  # dimensions
_ROW_SLACK: Final = 1e-6  # what a solver's tolerance may leave of a previous allocation above a sum of 1
_ROUNDED_ROW: Final = 1.0 + 1e-15  # a row's sum that is 1 but for rounding
_HARDLY: Final = 1e-8  # of a job's time: a move that is none
_ABSURD: Final = 1e100  # duals of this size prove nothing and would overflow


def _check(name: str, values: Floats, zero_is_fine: bool) -> None:
    """Raise `ProblemError` at the first entry of ``values`` that is not finite, negative, or 0 where that is wrong."""
    if values.dtype != np.float64:
        raise ProblemError(f"{name} has dtype {values.dtype}; expected float64")
    if values.size == 0:
        return
    least, most = values.min(), values.max()
    if (least >= 0.0 if zero_is_fine else least > 0.0) and most < np.inf:
        return  # NaN makes every comparison false and so ends up below
    fine = np.isfinite(values) & ((values >= 0.0) if zero_is_fine else (values > 0.0))
    where = tuple(int(k) for k in np.argwhere(~fine)[0])
    allowed = "of at least 0" if zero_is_fine else "above 0"
    place = ", ".join(map(str, where))
    raise ProblemError(f"{name}[{place}] is {float(values[where])!r}; expected a finite number {allowed}")


def _check_switching(previous: Floats | None, move_cost: Floats | None, jobs_types: tuple[int, int]) -> None:
    """Raise `ProblemError` where the previous allocation or the cost of leaving it is missing or wrong."""
    if previous is None or move_cost is None:
        given, missing = ("move_cost", "previous") if previous is None else ("previous", "move_cost")
        raise ProblemError(f"{given} is given without {missing}; expected both, or none where moving is free")
    if previous.shape != jobs_types:
        raise ProblemError(f"previous has shape {previous.shape}; expected (jobs, worker types) = {jobs_types}")
    if move_cost.shape not in (jobs_types, (jobs_types[0], 1)):
        shapes = f"(jobs, worker types) = {jobs_types} or (jobs, 1)"
        raise ProblemError(f"move_cost has shape {move_cost.shape}; expected {shapes}")
    _check("previous", previous, zero_is_fine=True)
    _check("move_cost", move_cost, zero_is_fine=True)
    total = previous.sum(axis=1)
    if total.size and total.max() > 1.0 + _ROW_SLACK:
        job = int(total.argmax())
        raise ProblemError(f"previous[{job}] sums to {float(total[job])!r}; expected at most 1, the job's whole time")
