"""Water filling of jobs that share: a max-min program after the other, each with one more group of jobs at its level.

At an optimum, jobs whose gain has a price have exactly the level, in every optimum. They keep it from then on, and the
others rise on. Each stage's prices are a part of the proof.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, Status
from phasewise.solvers.families.packed_lexicographic import PackedLexicographicProblem, settled
from phasewise.solvers.packing.program import Goal
from phasewise.solvers.packing.solver import Optimum, PairSolver, prices_of
from phasewise.solvers.packing.teams import spread_of, teams
from phasewise.solvers.packing.worth import Prices
from phasewise.solvers.proofs import Duals

_KEEPS: Final = 1.0 - 1e-13  # of a level: what rounding may take from it, so that the next stage is feasible


class PairFiller:
    """Fills level by level; owns the small HiGHS model of all its stages."""

    def __init__(self) -> None:
        self._solver = PairSolver("by-kinds", {})

    def answer(self, problem: PackedLexicographicProblem, timer: PhaseTimer) -> Answer:
        """Return the answer, with the duals of every stage; times itself with the phases lp_build and lp_solve."""
        with timer.phase(Phase.LP_BUILD):
            crowd, names = problem.crowd, problem.names
        with timer.phase(Phase.LP_SOLVE):
            rising, floor = crowd.most > 0.0, np.zeros(crowd.classes)
            found: list[Prices] = []
            optimum: Optimum | None = None
            iterations = 0
            while rising.any():
                goal = Goal(rising, floor, 0.0)
                optimum = self._solver.optimum(
                    crowd, problem.capacity, goal, names, None if optimum is None else optimum.left
                )
                iterations += optimum.iterations
                if optimum.program is None or optimum.values is None:
                    return Answer(optimum.status, None, iterations=iterations, note=optimum.note)
                prices = prices_of(crowd, optimum.duals, optimum.program)
                done = settled(crowd.size, rising, prices.weight)
                found.append(prices)
                floor = np.where(done, optimum.level * _KEEPS, floor)
                rising = rising & ~done
            if optimum is None or optimum.program is None or optimum.values is None:
                return Answer(Status.OPTIMAL, np.zeros((problem.rows, problem.types)))
            teamed = teams(crowd, spread_of(crowd, optimum.program, optimum.values), np.empty((0, 2), dtype=np.int64))
        duals = Duals(
            stages=np.array([each.capacity for each in found]),
            stage_gain=np.array([each.weight for each in found]),
            stage_time=np.array([each.time for each in found]),
        )
        note = f"{len(found)} stages"
        return Answer(Status.OPTIMAL, teamed.x, duals, iterations, RebuildReason.FRESH, note, members=teamed.members)
