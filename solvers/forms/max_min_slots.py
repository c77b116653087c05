"""A max-min program in CVXPY parameters, with job slots: compiled once, then filled anew for every problem.

Importing this imports CVXPY (about 0.8 s). Everything that varies is a parameter (upper case). G and
V are the gains over their `gain_scale`, in G each row divided by r_i, the root of its largest entry,
in V weighted by the linear term; E_i is 1 / r_i in a slot with a job and 0 in an empty one, F_i is 1 in an empty one::

    max  J least + sum_ij V_ij x_ij - sum_ij C_ij moved_ij
    s.t. sum_j G_ij x_ij + F_i >= E_i least     an empty slot's row is 1 >= 0: it binds nothing, with an interior
         sum_j x_ij <= 1
         sum_i S_i x_ij <= N_j                  an empty slot takes no GPUs
         moved_ij >= x_ij - P_ij, moved_ij >= P_ij - x_ij, moved_ij <= 2
         x >= 0

A pair that is not allowed has a gain of 0 and no movement cost: time spent on it gains nothing and is taken off the
answer. Fixing it by a bound of 0 instead would leave interior points without an interior.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

import cvxpy as cp
import numpy as np

from phasewise.solvers.buckets import Bucket
from phasewise.solvers.cvx import MOST_MOVED, moved_at_least
from phasewise.solvers.cvx_slots import spread
from phasewise.solvers.families.max_min import MAX_MIN_SWITCHING, MaxMinProblem
from phasewise.solvers.forms.tables import SLOTS
from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.proofs import Duals

_ROW_SCALES: Final = (1e-3, 1e3)
"""Limits of r_i. The root, because both ends fail where units differ by decades: unscaled rows lose SCS its way, rows
divided by their largest entry leave an interior point's absolute tolerance too little of x."""


@SLOTS.register(MaxMinProblem)
class MaxMinSlots:
    """The program of one bucket.

    Attributes
    ----------
    program
        The `cvxpy.Problem`.
    bucket
        What it was made for.
    """

    def __init__(self, bucket: Bucket) -> None:
        self.bucket = bucket
        shape = (bucket.slots, bucket.types)
        self._gain = cp.Parameter(shape, nonneg=True)
        self._of_least = cp.Parameter(bucket.slots, nonneg=True)
        self._empty = cp.Parameter(bucket.slots, nonneg=True)
        self._scale_factor = cp.Parameter(bucket.slots, nonneg=True)
        self._capacity = cp.Parameter(bucket.types, nonneg=True)
        self._jobs = cp.Parameter(nonneg=True)
        self._worth = cp.Parameter(shape, nonneg=True) if bucket.linear else None
        switching = bucket.family == MAX_MIN_SWITCHING
        self._previous = cp.Parameter(shape, nonneg=True) if switching else None
        self._cost = cp.Parameter(shape, nonneg=True) if switching else None
        self._x = cp.Variable(shape, nonneg=True)
        self._stated()

    def _stated(self) -> None:
        """State the program."""
        x, least = self._x, cp.Variable()
        gains = cp.sum(cp.multiply(self._gain, x), axis=1)
        self._gain_rows = gains + self._empty >= cp.multiply(self._of_least, least)
        self._capacity_rows = self._scale_factor @ x <= self._capacity
        rows = [self._gain_rows, cp.sum(x, axis=1) <= 1, self._capacity_rows]
        objective = self._jobs * least
        if self._worth is not None:
            objective = objective + cp.sum(cp.multiply(self._worth, x))
        if self._previous is not None:
            moved, moved_rows = moved_at_least(x, self._previous)
            objective = objective - cp.sum(cp.multiply(self._cost, moved))
            rows += [*moved_rows, moved <= MOST_MOVED]
        self.program = cp.Problem(cp.Maximize(objective), rows)

    def fill(self, problem: MaxMinProblem, slots: Ints) -> float:
        """Put ``problem`` into the parameters; return what its gains were divided by.

        Parameters
        ----------
        problem
            One of the bucket's family, types and linear term, with at most its slots of jobs.
        slots
            (J,) the slot of each job.
        """
        scale, gain = problem.gain_scale, problem.usable_gain
        scaled = gain / scale
        usable = problem.allowed_mask
        row_scale = np.sqrt(scaled.max(axis=1)).clip(*_ROW_SCALES)
        self._gain.value = spread(scaled / row_scale[:, None], slots, self.bucket.slots)
        self._of_least.value = spread(1.0 / row_scale, slots, self.bucket.slots)
        self._empty.value = 1.0 - spread(np.ones(problem.jobs), slots, self.bucket.slots)
        self._scale_factor.value = spread(problem.scale_factor, slots, self.bucket.slots)
        # a type without GPUs gains nobody anything; one GPU gives its row an interior
        self._capacity.value = np.where(usable.any(axis=0), problem.capacity, 1.0)
        self._jobs.value = float(problem.jobs)
        if self._worth is not None:
            self._worth.value = spread(scaled * problem.linear_weight, slots, self.bucket.slots)
        if self._previous is not None and self._cost is not None and problem.switching is not None:
            price = np.where(usable, problem.switching.cost, 0.0) * (problem.jobs / scale)
            self._previous.value = spread(np.where(usable, problem.switching.previous, 0.0), slots, self.bucket.slots)
            self._cost.value = spread(price, slots, self.bucket.slots)
        return scale

    def x(self, primal: Mapping[int, Any], problem: MaxMinProblem, slots: Ints) -> Floats:
        """Return the (J, W) allocation in CVXPY's ``primal`` values by variable."""
        value = np.asarray(primal[self._x.id], dtype=np.float64)
        return np.where(problem.allowed_mask, value[slots], 0.0)

    def duals(self, duals: Mapping[int, Any], slots: Ints, scale: float) -> Duals:
        """Return the duals of the problem from CVXPY's; raise KeyError where one is missing."""
        weights = (np.asarray(duals[self._gain_rows.id], dtype=np.float64).reshape(-1) * self._of_least.value)[slots]
        prices = np.asarray(duals[self._capacity_rows.id], dtype=np.float64).reshape(-1)
        return Duals(capacity=prices * (scale / slots.size), gain=weights / slots.size)
