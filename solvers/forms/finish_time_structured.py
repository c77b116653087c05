"""Finish-time fairness as the structured solvers take it: their max-min, one to three times."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasewise.solvers.api import Answer, Status
from phasewise.solvers.families.finish_time import FinishTimeProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.finish_time_newton import finish_time_answer
from phasewise.solvers.forms.tables import STRUCTURED
from phasewise.solvers.problems import Floats
from phasewise.solvers.proofs import Duals
from phasewise.solvers.sequences import carried_out
from phasewise.solvers.structured.sifting import Prices
from phasewise.solvers.structured.solver import StructuredSolver, state
from phasewise.solvers.structured.statement import Outcome


@STRUCTURED.register(FinishTimeProblem)
@dataclass(frozen=True, slots=True)
class FinishTimes:
    """A finish-time problem; each max-min problem on the way starts from the prices that the one before it left."""

    problem: FinishTimeProblem

    def solve(self, solver: StructuredSolver, last: Prices | None) -> Outcome:
        """Return the optimum, with the gap that its prices prove."""
        left, ways, colds = last, [], []

        def solved(stated: MaxMinProblem) -> Answer:
            nonlocal left
            outcome = state(stated).solve(solver, left)
            left = outcome.left
            ways.append(outcome.way)
            colds.append(outcome.cold)
            status = Status.OPTIMAL if np.isfinite(outcome.x).all() else Status.FAILED
            return Answer(status, outcome.x, outcome.duals, outcome.iterations)

        steps = finish_time_answer(self.problem, self._prices(last if solver.remembers else None), solver.tolerance)
        found = carried_out(steps, solved)
        answer = found.answer
        x = answer.x if answer.x is not None else np.full((self.problem.rows, self.problem.types), np.nan)
        cold = colds[0] if colds else True
        return Outcome(x, answer.duals or Duals(), found.gap, answer.iterations, "; ".join(ways), cold, left)

    def _prices(self, last: Prices | None) -> Floats | None:
        """Return (W,) the prices that the last problem left, which stand for the types that have GPUs."""
        open_types = self.problem.capacity > 0.0
        if last is None or last.capacity.size != open_types.sum():
            return None
        prices = np.zeros(self.problem.types)
        prices[open_types] = last.capacity
        return prices
