"""A max-sum program with a movement cost in CVXPY parameters, with job slots.

It is that of `phasewise.solvers.forms.max_sum_slots`, whose objective is less by::

    sum_ij C_ij moved_ij   with   moved_ij >= x_ij - P_ij, moved_ij >= P_ij - x_ij, moved_ij <= 2

Importing this imports CVXPY (about 0.8 s).
"""

from __future__ import annotations

from typing import Any

import cvxpy as cp
import numpy as np

from phasewise.solvers.cvx import MOST_MOVED, moved_at_least
from phasewise.solvers.cvx_slots import spread
from phasewise.solvers.families.moving_sum import MovingSumProblem
from phasewise.solvers.forms.max_sum_slots import MaxSumSlots
from phasewise.solvers.forms.tables import SLOTS
from phasewise.solvers.problems import Ints


@SLOTS.register(MovingSumProblem)
class MovingSumSlots(MaxSumSlots):
    """The program of one bucket; rates may be promised or not."""

    def _objective(self, rows: list[cp.Constraint]) -> Any:
        shape = (self.bucket.slots, self.bucket.types)
        self._previous, self._cost = cp.Parameter(shape, nonneg=True), cp.Parameter(shape, nonneg=True)
        moved, moved_rows = moved_at_least(self._x, self._previous)
        rows += [*moved_rows, moved <= MOST_MOVED]
        return super()._objective(rows) - cp.sum(cp.multiply(self._cost, moved))

    def fill(self, problem: MovingSumProblem, slots: Ints) -> float:  # type: ignore[override]  # another family's
        """Put ``problem`` into the parameters; return what its values were divided by."""
        scale = super().fill(problem.still, slots)
        usable, switching = problem.allowed_mask, problem.switching
        self._previous.value = spread(np.where(usable, switching.previous, 0.0), slots, self.bucket.slots)
        self._cost.value = spread(np.where(usable, switching.cost, 0.0) / scale, slots, self.bucket.slots)
        return scale
