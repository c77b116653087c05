"""The sum of what jobs make, less what it costs to leave the allocation in force."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.families.moving import Switching, check_movement, hardly_moved_put_back, within_all_time
from phasewise.solvers.problems import AllocationProblem, Bools, Floats
from phasewise.solvers.proofs import Duals, Infeasibility, Proof, relative_gap
from phasewise.solvers.rows import Keys

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

MAX_SUM_SWITCHING: Final = "max_sum_switching"


@dataclass(frozen=True, eq=False)
class MovingSumProblem(AllocationProblem):
    """Maximise the sum of what jobs make less what it costs to leave the allocation in force.

    max sum_ij value_ij x_ij - sum_ij move_cost_ij |x_ij - previous_ij| with sum_j throughput_ij x_ij >= promised_i.

    Attributes
    ----------
    value, scale_factor, capacity, throughput, promised, allowed, keys
        As in `phasewise.solvers.families.max_sum.MaxSumProblem`.
    previous
        (J, W) the allocation in force, a row of zeros for a new job, each row's sum at most 1; it need not respect
        ``capacity`` or ``allowed``. A row that a tolerance left up to 1e-6 above 1 is scaled to 1.
    move_cost
        (J, W), or (J, 1) for a cost per job: c_ij >= 0, what a unit of |x_ij - previous_ij| costs, in the unit of
        ``value``.
    """

    families: ClassVar[tuple[str, ...]] = (MAX_SUM_SWITCHING,)
    forms: ClassVar[str] = "phasewise.solvers.forms.moving_sum"

    value: Floats
    scale_factor: Floats
    capacity: Floats
    previous: Floats
    move_cost: Floats
    throughput: Floats | None = None
    promised: Floats | None = None
    allowed: Bools | None = None
    keys: Keys | None = None

    def __post_init__(self) -> None:
        """Scale what is in force to at most all of a job's time, where it is off by no more than a tolerance."""
        object.__setattr__(self, "previous", within_all_time(self.previous))

    @classmethod
    def kernels(cls) -> list[Wanted]:
        """Return the kernels that tell which promises can be kept (`phasewise.solvers.promises`)."""
        return MaxSumProblem.kernels()

    @property
    def is_moving(self) -> bool:
        """Leaving the allocation in force costs."""
        return True

    @cached_property
    def still(self) -> MaxSumProblem:
        """The same problem where moving is free."""
        return MaxSumProblem(
            self.value, self.scale_factor, self.capacity, self.throughput, self.promised, self.allowed, self.keys
        )

    @cached_property
    def switching(self) -> Switching:
        """The allocation in force and the price of leaving it."""
        return Switching(self.previous, np.broadcast_to(self.move_cost, self.previous.shape))

    @property
    def allowed_mask(self) -> Bools:
        """(J, W) where x may be above 0; a type without GPUs is out of the question."""
        return self.still.allowed_mask

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        self.still.validate()
        check_movement(self.previous, self.move_cost, self.value.shape)

    def objective(self, x: Floats) -> float:
        """Return the sum of values less the movement cost at ``x`` (J, W); 0 without jobs."""
        return self.still.objective(x) - self.switching.paid(x)

    def violation(self, x: Floats) -> float:
        """Return the largest violation of a constraint at ``x`` (J, W); of a promise, relative to it."""
        return self.still.violation(x)

    def project(self, x: Floats) -> Floats | None:
        """Return a feasible (J, W) allocation near ``x``, or None where a promise would not be kept."""
        return self.still.project(x)

    def mended(self, x: Floats) -> Floats | None:
        """Return ``x`` (J, W) with all that has hardly moved put back to where it was, where promises allow it."""
        return self.project(hardly_moved_put_back(x, self.previous, self.allowed_mask))

    def gap(self, bound: float, x: Floats) -> float:
        """Return the relative distance of the objective at ``x`` (J, W) from ``bound``.

        Values and costs may cancel, so that no gap is small relative to the objective. It is relative to both added
        up, and where that is nothing to what it would cost to move all jobs.
        """
        paid = self.switching.paid(x)
        magnitude = self.objective(x) + 2.0 * paid or float(self.switching.cost.mean(axis=1).sum())
        return relative_gap(bound, self.objective(x), magnitude)

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return the bound that prices of GPUs and of promised rates prove: each job makes the most of its time."""
        found = self.still.worth(duals)
        if found is None:
            return None
        bound = found.constant + self.switching.worth(found.of_time, self.allowed_mask)
        return Proof(bound, self.gap(bound, x)) if np.isfinite(bound) else None

    def refute(self, duals: Duals) -> Infeasibility | None:
        """Return the proof that the promises cannot all be kept; what moving costs does not enter."""
        return self.still.refute(duals)


FAMILIES: Final = (MovingSumProblem,)
