"""The sum of what jobs make as large as possible, some of which may be promised a rate."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import numpy as np

from phasewise.solvers.errors import ProblemError
from phasewise.solvers.problems import AllocationProblem, Bools, Floats, check_common, check_values, usable_pairs
from phasewise.solvers.proofs import Duals, Infeasibility, Proof
from phasewise.solvers.rows import Keys
from phasewise.solvers.short_rows import row_max

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

MAX_SUM: Final = "max_sum"
MAX_SUM_SLO: Final = "max_sum_slo"

KEPT: Final = 1e-6
"""A promise counts as kept to within this part of it: what any constraint may be off before an answer is refused."""


class Worth(NamedTuple):
    """What duals say that things are worth; together a bound on any sum.

    Attributes
    ----------
    of_time
        (J, W) a unit of a job's time on a type: v_ij + l_i T_ij - s_i p_j.
    constant
        All GPUs at their prices, less all promised rates at theirs.
    """

    of_time: Floats
    constant: float


@dataclass(frozen=True, eq=False)
class MaxSumProblem(AllocationProblem):
    """Maximise the sum of what jobs make, where those with a promise run at least at their promised rate.

    max sum_ij value_ij x_ij with sum_j throughput_ij x_ij >= promised_i.

    Attributes
    ----------
    value
        (J, W) v_ij >= 0, finite: what all of job i's time on type j is worth.
    scale_factor
        (J,) s_i > 0, GPUs, may be fractional.
    capacity
        (W,) N_j >= 0, GPUs.
    throughput
        (J, W) T_ij >= 0, finite, steps/s; given together with ``promised``.
    promised
        (J,) q_i >= 0, steps/s, 0 for a job without a promise; None where nobody has one. Promises may be out of reach,
        alone or together: then no allocation is feasible, and duals prove it (`refute`).
    allowed
        (J, W) where x may be above 0; None means where value > 0.
    keys
        As in `AllocationProblem`.
    """

    families: ClassVar[tuple[str, ...]] = (MAX_SUM, MAX_SUM_SLO)
    forms: ClassVar[str] = "phasewise.solvers.forms.max_sum"

    value: Floats
    scale_factor: Floats
    capacity: Floats
    throughput: Floats | None = None
    promised: Floats | None = None
    allowed: Bools | None = None
    keys: Keys | None = None

    @classmethod
    def kernels(cls) -> list[Wanted]:
        """Return the kernels that tell which promises can be kept (`phasewise.solvers.promises`)."""
        from phasewise.profiling.jit.kernel import wanted
        from phasewise.solvers.structured.max_sum import KERNELS

        return [each for kernel in KERNELS for each in wanted(kernel)]

    @property
    def family(self) -> str:
        """``max_sum``, or ``max_sum_slo`` where rates are promised."""
        return MAX_SUM if self.promised is None else MAX_SUM_SLO

    @cached_property
    def allowed_mask(self) -> Bools:
        """(J, W) where x may be above 0; a type without GPUs is out of the question."""
        return usable_pairs(self.value, self.allowed, self.capacity)

    @cached_property
    def usable_value(self) -> Floats:
        """(J, W) value, 0 where x may not be above 0."""
        return self.value if self.allows_all else np.where(self.allowed_mask, self.value, 0.0)

    @cached_property
    def rate(self) -> Floats:
        """(J, W) throughput, 0 where x may not be above 0, and where rates do not matter."""
        if self.throughput is None:
            return np.zeros(self.value.shape)
        return self.throughput if self.allows_all else np.where(self.allowed_mask, self.throughput, 0.0)

    @cached_property
    def need(self) -> Floats:
        """(J,) the promised rates, 0 for none."""
        return np.zeros(self.rows) if self.promised is None else self.promised

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        check_common(self, "value", self.value, self.allowed)
        if self.members is not None:
            raise ProblemError("members are given; rows of two jobs are not taken in this family")
        if (self.throughput is None) != (self.promised is None):
            raise ProblemError("throughput and promised are given together or not at all")
        if self.throughput is None or self.promised is None:
            return
        if self.throughput.shape != self.value.shape:
            raise ProblemError(f"throughput has shape {self.throughput.shape}; expected {self.value.shape}, as value")
        if self.promised.shape != self.scale_factor.shape:
            raise ProblemError(f"promised has shape {self.promised.shape}; expected {self.scale_factor.shape}")
        check_values("throughput", self.throughput, zero_is_fine=True)
        check_values("promised", self.promised, zero_is_fine=True)

    def objective(self, x: Floats) -> float:
        """Return sum_ij value_ij x_ij at ``x`` (J, W); 0 without jobs."""
        return float(np.einsum("ij,ij->", self.value, x))

    def short(self, x: Floats) -> float:
        """Return by how much the worst kept promise falls short at ``x`` (J, W), as a part of it; 0 where none does."""
        if self.promised is None or not self.rows:
            return 0.0
        missing = self.promised - np.einsum("ij,ij->i", self.rate, x)
        asked = self.promised > 0.0
        return max(0.0, float((missing[asked] / self.promised[asked]).max(initial=0.0)))

    def violation(self, x: Floats) -> float:
        """Return the largest violation of a constraint at ``x`` (J, W); of a promise, relative to it."""
        return max(super().violation(x), self.short(x))

    def project(self, x: Floats) -> Floats | None:
        """Return a feasible (J, W) allocation near ``x``, or None where a promise would not be `KEPT`."""
        near = self.packed(x)
        return near if self.short(near) <= KEPT else None

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return the bound that prices of GPUs and of promised rates prove."""
        worth = self.worth(duals)
        if worth is None:
            return None
        bound = self._paid(worth.of_time) + worth.constant
        return Proof(bound, self.gap(bound, x)) if np.isfinite(bound) else None

    def worth(self, duals: Duals) -> Worth | None:
        """Return what time and GPUs are worth at ``duals``; None where these are not of this problem."""
        prices, weights = duals.vector("capacity", self.types), self._weights(duals)
        if prices is None or weights is None:
            return None
        of_time = self.usable_value + weights[:, None] * self.rate - self.scale_factor[:, None] * prices
        return Worth(of_time, float(prices @ self.capacity) - float(weights @ self.need))

    def refute(self, duals: Duals) -> Infeasibility | None:
        """Return the proof that the promises cannot all be kept, or None where ``duals`` prove no such thing.

        For l, p >= 0: sum_i l_i q_i > sum_j p_j N_j + sum_i max(0, max_j (l_i T_ij - s_i p_j)). At the weights l, more
        is promised than any allocation can run.
        """
        prices, weights = duals.vector("capacity", self.types), self._weights(duals)
        if prices is None or weights is None or self.promised is None:
            return None
        asked = float(weights @ self.promised)
        given = float(prices @ self.capacity)
        given += self._paid(weights[:, None] * self.rate - self.scale_factor[:, None] * prices)
        return Infeasibility((asked - given) / asked) if asked > given and asked < np.inf else None

    def _weights(self, duals: Duals) -> Floats | None:
        """Return (J,) the duals of the promises; 0 where there are none to have duals."""
        return np.zeros(self.rows) if self.promised is None else duals.vector("slo", self.rows)

    def _paid(self, worth: Floats) -> float:
        """Return sum_i max(0, max_j ``worth_ij``) over the pairs that are allowed."""
        if not self.allows_all:
            worth = np.where(self.allowed_mask, worth, 0.0)
        return float(np.maximum(row_max(worth), 0.0).sum())


FAMILIES: Final = (MaxSumProblem,)
