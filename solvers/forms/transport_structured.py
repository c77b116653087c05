"""Jobs into queues as the structured solvers take it: a shortest path a job."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasewise.profiling.jit.kernel import Wanted, wanted
from phasewise.solvers.families.transport import TransportProblem
from phasewise.solvers.forms.tables import STRUCTURED
from phasewise.solvers.proofs import Duals, relative_gap
from phasewise.solvers.structured.outcome import Outcome
from phasewise.solvers.structured.queues import KERNELS, fill
from phasewise.solvers.structured.sifting import Prices
from phasewise.solvers.structured.solver import StructuredSolver


@STRUCTURED.register(TransportProblem)
@dataclass(frozen=True, slots=True)
class FilledQueues:
    """A problem of the family; it leaves nothing, as the next one has other free GPUs."""

    problem: TransportProblem

    @staticmethod
    def kernels() -> list[Wanted]:
        """Return the kernels that solving takes."""
        return [each for kernel in KERNELS for each in wanted(kernel)]

    def solve(self, solver: StructuredSolver, last: Prices | None) -> Outcome:
        """Return the optimum."""
        del solver, last
        found = fill(self.problem.usable_duration, self.problem.gpus)
        x = np.zeros(self.problem.duration.shape)
        waits = np.flatnonzero(found.rank)
        x[waits, found.kind[waits]] = 1.0
        gap = relative_gap(found.bound, found.cost)
        return Outcome(x, Duals(potential=found.payments), gap, found.looks, "shortest paths", cold=True)
