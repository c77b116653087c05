"""The largest sum of values as the structured solvers take it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasewise.profiling.jit.kernel import Wanted, wanted
from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.forms.tables import STRUCTURED
from phasewise.solvers.problems import Floats
from phasewise.solvers.promises import program_of
from phasewise.solvers.proofs import Duals, relative_gap
from phasewise.solvers.structured.max_sum import KERNELS, Best, OutOfReach, maximise
from phasewise.solvers.structured.outcome import Outcome
from phasewise.solvers.structured.sifting import Prices
from phasewise.solvers.structured.solver import StructuredSolver

_WAY = "descent in prices"


@STRUCTURED.register(MaxSumProblem)
@dataclass(frozen=True, slots=True)
class LargestSum:
    """A problem of the family; what it leaves to the next is its prices."""

    problem: MaxSumProblem

    @staticmethod
    def kernels() -> list[Wanted]:
        """Return the kernels that solving takes."""
        return [each for kernel in KERNELS for each in wanted(kernel)]

    def solve(self, solver: StructuredSolver, last: Prices | None) -> Outcome:
        """Return the optimum, or what proves that promises cannot all be kept."""
        problem = self.problem
        start = self._start(last) if solver.remembers else None
        found = maximise(program_of(problem), start)
        cold = start is None
        if isinstance(found, Best):
            duals = Duals(capacity=found.prices, slo=found.weights)
            gap = relative_gap(found.bound, found.value)
            return Outcome(found.x, duals, gap, found.steps, _WAY, cold, Prices(found.prices, 0.0))
        nothing = np.full(problem.value.shape, np.nan)
        if isinstance(found, OutOfReach):
            duals = Duals(capacity=found.prices, slo=found.weights)
            return Outcome(nothing, duals, np.inf, found.steps, _WAY, cold, Prices(found.at, 0.0), impossible=True)
        return Outcome(nothing, Duals(), np.inf, 0, _WAY, cold)

    def _start(self, last: Prices | None) -> Floats | None:
        """Return (W,) the prices that the last problem left, None where they are not for as many types."""
        return None if last is None or last.capacity.size != self.problem.types else last.capacity
