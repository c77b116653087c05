"""`highs-direct`: LP arrays passed to HiGHS in one call, nothing carried over from the last solve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason
from phasewise.solvers.basis import starting_basis
from phasewise.solvers.crash import starting_point
from phasewise.solvers.filling import WaterFiller
from phasewise.solvers.highs import HighsModel
from phasewise.solvers.lexicographic import LEXICOGRAPHIC
from phasewise.solvers.lp import to_lp
from phasewise.solvers.problems import MAX_MIN, MAX_MIN_SWITCHING, Problem

_CHOOSES_START: Final = frozenset({"solver", "simplex_strategy", "presolve", "simplex_crash_strategy"})


class HighsDirect:
    """Arrays to `passModel`; primal simplex from a starting vertex, or whatever the options say."""

    name: ClassVar[str] = "highs-direct"
    aliases: ClassVar[tuple[str, ...]] = ()
    families: ClassVar[frozenset[str]] = frozenset({MAX_MIN, MAX_MIN_SWITCHING, LEXICOGRAPHIC})
    requires: ClassVar[Mapping[str, str]] = {"highspy": "highspy"}
    limits: ClassVar[str] = "solves from scratch; capacity-bound problems of over 1,000 jobs take 0.1 s and more"
    tolerance: ClassVar[float] = 1e-9

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> HighsDirectSession:
        """Return a session; raise `OptionError` where HiGHS rejects an option or its value."""
        return HighsDirectSession(self.name, options, timer)


class HighsDirectSession:
    """One live HiGHS object; every solve passes a whole new model, and the basis of the last one goes with it.

    Primal simplex starts from the vertex of `phasewise.solvers.crash`, unless the options choose a method.
    """

    def __init__(self, name: str, options: Mapping[str, object], timer: PhaseTimer) -> None:
        self._model = HighsModel(name, options)
        self._chooses_start = not (_CHOOSES_START & options.keys())
        self._filler: WaterFiller | None = None
        self._timer = timer

    def solve(self, problem: Problem) -> Answer:
        """Return HiGHS' answer with its duals; a lexicographic problem takes many small LPs instead of one."""
        if problem.family == LEXICOGRAPHIC:
            self._filler = self._filler or WaterFiller()
            return self._filler.answer(problem, self._timer)
        with self._timer.phase(Phase.LP_BUILD):
            lp = to_lp(problem)
            self._model.load(lp)
            start = starting_point(problem) if self._chooses_start else None
            if start is not None:
                self._model.start_from(starting_basis(start, lp))
        with self._timer.phase(Phase.LP_SOLVE):
            self._model.run()
        return self._model.outcome().answer(lp, RebuildReason.FRESH)


BACKENDS: Final = (HighsDirect(),)
