"""A finish-time cone program in CVXPY parameters, with job slots: compiled once, then filled anew for every problem.

Importing this imports CVXPY (about 0.8 s). The program is the scaled one of `phasewise.solvers.forms.finish_time_cvx`;
what varies is a parameter (upper case), F_i is 1 in a slot whose ratio nothing changes and B_i what it is::

    min  worst
    s.t. sum_j G_ij x_ij + F_i >= E_i level_i
         sum_j x_ij <= 1
         sum_i S_i x_ij <= N_j
         B_i + C_i / level_i <= worst
         x >= 0
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cvxpy as cp
import numpy as np

from phasewise.solvers.buckets import Bucket
from phasewise.solvers.cvx_slots import spread
from phasewise.solvers.families.finish_time import FinishTimeProblem
from phasewise.solvers.finish_time_newton import first_prices
from phasewise.solvers.forms.tables import SLOTS
from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.proofs import Duals


@SLOTS.register(FinishTimeProblem)
class FinishTimeSlots:
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
        shape, slots = (bucket.slots, bucket.types), bucket.slots
        self._gain = cp.Parameter(shape, nonneg=True)
        self._of_level = cp.Parameter(slots, nonneg=True)
        self._empty = cp.Parameter(slots, nonneg=True)
        self._scale_factor = cp.Parameter(slots, nonneg=True)
        self._capacity = cp.Parameter(bucket.types, nonneg=True)
        self._age, self._rest = cp.Parameter(slots, nonneg=True), cp.Parameter(slots, nonneg=True)
        self._x = cp.Variable(shape, nonneg=True)
        level, worst = cp.Variable(slots), cp.Variable()
        self._capacity_rows = self._scale_factor @ self._x <= self._capacity
        rows = [
            cp.sum(cp.multiply(self._gain, self._x), axis=1) + self._empty >= cp.multiply(self._of_level, level),
            cp.sum(self._x, axis=1) <= 1,
            self._capacity_rows,
            self._age + cp.multiply(self._rest, cp.inv_pos(level)) <= worst,
        ]
        self.program = cp.Problem(cp.Minimize(worst), rows)

    def fill(self, problem: FinishTimeProblem, slots: Ints) -> float:
        """Put ``problem`` into the parameters; return the ratio to which they are relative.

        Parameters
        ----------
        problem
            Of the bucket's types, with at most its slots of jobs.
        slots
            (J,) the slot of each job.
        """
        near, waits = problem.bound(first_prices(problem)), problem.waits
        gain = np.where(waits[:, None], problem.usable_throughput, 0.0) / problem.needs(near)[:, None]
        largest = np.where(waits, gain.max(axis=1), 1.0)
        until = problem.isolated * near
        ages, rest = problem.since_arrival / until, problem.steps_remaining / problem.needs(near) / until
        counts = waits | (problem.steps_remaining == 0.0)
        self._gain.value = spread(gain / largest[:, None], slots, self.bucket.slots)
        self._of_level.value = spread(1.0 / largest, slots, self.bucket.slots, 1.0)
        self._empty.value = spread(np.where(waits, 0.0, 1.0), slots, self.bucket.slots, 1.0)
        self._scale_factor.value = spread(problem.scale_factor, slots, self.bucket.slots)
        # a type without GPUs gains nobody anything; one GPU gives its row an interior
        self._capacity.value = np.where((gain > 0.0).any(axis=0), problem.capacity, 1.0)
        self._age.value = spread(np.where(counts, ages, 0.0), slots, self.bucket.slots)
        self._rest.value = spread(np.where(waits, rest, 0.0), slots, self.bucket.slots)
        return near

    def x(self, primal: Mapping[int, Any], problem: FinishTimeProblem, slots: Ints) -> Floats:
        """Return the (J, W) allocation in CVXPY's ``primal`` values by variable."""
        value = np.asarray(primal[self._x.id], dtype=np.float64)
        return np.where(problem.allowed_mask & problem.waits[:, None], value[slots], 0.0)

    def duals(self, duals: Mapping[int, Any], slots: Ints, scale: float) -> Duals:
        """Return the duals of the problem from CVXPY's; raise KeyError where one is missing."""
        del slots
        return Duals(capacity=np.asarray(duals[self._capacity_rows.id], dtype=np.float64).reshape(-1) * scale)
