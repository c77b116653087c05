"""A max-sum program in CVXPY parameters, with job slots: compiled once, then filled anew for every problem.

Importing this imports CVXPY (about 0.8 s). The program is that of `phasewise.solvers.forms.max_sum_cvx`; what varies is
a parameter (upper case), F_i is 1 in a slot without a promise::

    max  sum_ij V_ij x_ij
    s.t. sum_j x_ij <= 1
         sum_i S_i x_ij <= N_j
         sum_j R_ij x_ij + F_i >= Q_i
         x >= 0

A pair that is not allowed is worth nothing and gives no rate: time spent on it is taken off the answer.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import cvxpy as cp
import numpy as np

from phasewise.solvers.buckets import Bucket
from phasewise.solvers.cvx_slots import spread
from phasewise.solvers.families.max_sum import MAX_SUM, MaxSumProblem
from phasewise.solvers.forms.max_sum_lp import value_scale
from phasewise.solvers.forms.tables import SLOTS
from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.proofs import Duals


@SLOTS.register(MaxSumProblem)
class MaxSumSlots:
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
        self._value = cp.Parameter(shape, nonneg=True)
        self._scale_factor = cp.Parameter(slots, nonneg=True)
        self._capacity = cp.Parameter(bucket.types, nonneg=True)
        self._x = cp.Variable(shape, nonneg=True)
        self._capacity_rows = self._scale_factor @ self._x <= self._capacity
        rows = [cp.sum(self._x, axis=1) <= 1, self._capacity_rows]
        self._promise_rows = None
        self._fastest = np.ones(slots)
        if bucket.family != MAX_SUM:
            self._rate, self._free = cp.Parameter(shape, nonneg=True), cp.Parameter(slots, nonneg=True)
            self._need = cp.Parameter(slots, nonneg=True)
            self._promise_rows = cp.sum(cp.multiply(self._rate, self._x), axis=1) + self._free >= self._need
            rows.append(self._promise_rows)
        self.program = cp.Problem(cp.Maximize(self._objective(rows)), rows)

    def _objective(self, rows: list[cp.Constraint]) -> Any:
        """Return the objective, with what else it takes added to ``rows``."""
        del rows
        return cp.sum(cp.multiply(self._value, self._x))

    def fill(self, problem: MaxSumProblem, slots: Ints) -> float:
        """Put ``problem`` into the parameters; return what its values were divided by.

        Parameters
        ----------
        problem
            One of the bucket's family and types, with at most its slots of jobs.
        slots
            (J,) the slot of each job.
        """
        scale = value_scale(problem)
        self._value.value = spread(problem.usable_value / scale, slots, self.bucket.slots)
        self._scale_factor.value = spread(problem.scale_factor, slots, self.bucket.slots)
        # a type without GPUs is worth nothing to anybody; one GPU gives its row an interior
        self._capacity.value = np.where(problem.allowed_mask.any(axis=0), problem.capacity, 1.0)
        if self._promise_rows is not None:
            fastest = np.maximum(problem.rate.max(axis=1), np.finfo(np.float64).tiny)
            self._fastest = spread(fastest, slots, self.bucket.slots, 1.0)
            self._rate.value = spread(problem.rate / fastest[:, None], slots, self.bucket.slots)
            self._need.value = spread(problem.need / fastest, slots, self.bucket.slots)
            self._free.value = spread(np.where(problem.need > 0.0, 0.0, 1.0), slots, self.bucket.slots, 1.0)
        return scale

    def x(self, primal: Mapping[int, Any], problem: MaxSumProblem, slots: Ints) -> Floats:
        """Return the (J, W) allocation in CVXPY's ``primal`` values by variable."""
        value = np.asarray(primal[self._x.id], dtype=np.float64)
        return np.where(problem.allowed_mask, value[slots], 0.0)

    def duals(self, duals: Mapping[int, Any], slots: Ints, scale: float) -> Duals:
        """Return the duals of the problem from CVXPY's; raise KeyError where one is missing."""
        prices = np.asarray(duals[self._capacity_rows.id], dtype=np.float64).reshape(-1) * scale
        if self._promise_rows is None:
            return Duals(capacity=prices)
        weights = np.asarray(duals[self._promise_rows.id], dtype=np.float64).reshape(-1)[slots]
        return Duals(capacity=prices, slo=weights * scale / self._fastest[slots])
