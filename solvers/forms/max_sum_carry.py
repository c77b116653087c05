"""A simplex basis of the largest sum of values, carried from one round's problem to the next.

A job owns a time row, a row for its promise where it has one, and the columns of its pairs; the capacity rows belong to
all. Who stays keeps its part, who leaves takes it along, and who arrives runs on the type that is best at the last
prices.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phasewise.solvers.basis import BASIC, LOWER, UPPER, Basis, Codes
from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.forms.tables import CARRY
from phasewise.solvers.lp import LinearProgram
from phasewise.solvers.problems import Floats, Ints


class SumBasis(NamedTuple):
    """What one round leaves to the next: codes of columns and rows, and the prices of GPUs.

    ``pairs`` (J, W), ``time`` and ``slo`` (J,), BASIC where a job has no promise, ``capacity`` (W,), ``prices`` (W,).
    """

    pairs: Codes
    time: Codes
    slo: Codes
    capacity: Codes
    prices: Floats


@CARRY.register(MaxSumProblem)
class CarriedSum:
    """How a basis of the family is taken apart and put together."""

    @staticmethod
    def leave(problem: MaxSumProblem, lp: LinearProgram, basis: Basis, prices: Floats) -> SumBasis:
        """Return what the optimal ``basis`` of ``problem`` leaves to the next round."""
        slo = np.full(problem.rows, BASIC)
        slo[problem.need > 0.0] = basis.rows[lp.rows["slo"]]
        pairs = basis.columns[lp.columns["x"]].reshape(lp.shape)
        return SumBasis(pairs, basis.rows[lp.rows["time"]], slo, basis.rows[lp.rows["capacity"]], prices)

    @staticmethod
    def start(problem: MaxSumProblem, lp: LinearProgram, last: SumBasis, source: Ints) -> Basis:
        """Return the basis to start ``problem`` from; ``source`` (J,) is each job's row in the last one, -1 if new."""
        stays, new = source >= 0, np.flatnonzero(source < 0)
        pairs, time = np.full(lp.shape, LOWER), np.full(problem.rows, BASIC)
        slo = np.full(problem.rows, BASIC)
        for part, old in ((pairs, last.pairs), (time, last.time), (slo, last.slo)):
            part[stays] = old[source[stays]]
        worth = problem.usable_value[new] - problem.scale_factor[new, None] * last.prices
        worth[~problem.allowed_mask[new]] = 0.0
        kind, pays = worth.argmax(axis=1), worth.max(axis=1, initial=0.0) > 0.0
        pairs[new[pays], kind[pays]] = BASIC
        time[new[pays]] = UPPER
        rows = np.full(lp.row_lower.size, BASIC)
        rows[lp.rows["time"]], rows[lp.rows["capacity"]] = time, last.capacity
        rows[lp.rows["slo"]] = slo[problem.need > 0.0]
        return Basis(pairs.ravel(), rows)
