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
from typing import ClassVar, Final

import numpy as np
import numpy.typing as npt

from phasewise.solvers.errors import ProblemError

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


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

    family: ClassVar[str]
    scale_factor: Floats
    capacity: Floats

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
        worst = max(float(over.max()), float(x.sum(axis=1).max()) - 1.0, -float(x.min()), 0.0)
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


@dataclass(frozen=True, slots=True)
class MaxMinProblem(AllocationProblem):
    """Maximise the least gain: max min_i sum_j gain_ij x_ij (+ linear_weight * mean_i sum_j gain_ij x_ij).

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
    """

    family: ClassVar[str] = "max_min"

    gain: Floats
    scale_factor: Floats
    capacity: Floats
    allowed: Bools | None = None
    linear_weight: float = 0.0

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

    def objective(self, x: Floats) -> float:
        """Return the least gain plus the weighted mean gain at ``x`` (J, W); 0 without jobs."""
        if self.jobs == 0:
            return 0.0
        gains = np.einsum("ij,ij->i", self.gain, x)
        least = float(gains.min())
        return least + self.linear_weight * float(gains.mean()) if self.linear_weight else least

    def bound(self, job_weights: Floats, capacity_prices: Floats) -> float:
        """Return an upper bound on the optimum by weak duality, the ceilings included; infinite for weights of 0.

        For l >= 0 with sum_i l_i >= 1 and p >= 0 the optimum is at most
        sum_i max(0, max_j(a_ij (l_i + c / J) - s_i p_j)) + sum_j p_j N_j, where c is the linear weight (gains are
        never negative, hence neither is t: a sum above 1 loses nothing in validity). Duals that sum to less are scaled
        up; without a linear weight also down, which can only sharpen the bound.
        Without any duals it is at most the smallest ceiling max_j a_ij plus c times the mean ceiling (over usable j).
        """
        if self.jobs == 0:
            return 0.0
        gain = self.usable_gain
        ceilings = gain.max(axis=1)
        ceiling = float(ceilings.min())
        if self.linear_weight:
            ceiling += self.linear_weight * float(ceilings.mean())
        total = float(job_weights.sum())
        if not 0.0 < total < _ABSURD or not float(capacity_prices.sum()) < _ABSURD:
            return ceiling  # also where a dual is NaN
        unit = max(1.0, total) / total if self.linear_weight else 1.0 / total
        prices = capacity_prices * unit
        surplus = gain * (job_weights * unit + self.linear_weight / self.jobs)[:, None]
        surplus -= self.scale_factor[:, None] * prices
        worth = surplus.max(axis=1)
        return min(ceiling, float(worth[worth > 0.0].sum()) + float(prices @ self.capacity))


Problem = MaxMinProblem

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
