"""`highs-direct`: LP arrays passed to HiGHS in one call, nothing carried over from the last solve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, State
from phasewise.solvers.families.lexicographic import LEXICOGRAPHIC
from phasewise.solvers.forms.tables import LP, STAGES, START, Stages, sequenced, to_lp
from phasewise.solvers.highs import HighsModel
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.sequences import Sequences

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

_CHOOSES_START: Final = frozenset({"solver", "simplex_strategy", "presolve", "simplex_crash_strategy"})


class HighsDirect:
    """Arrays to `passModel`; primal simplex from a starting vertex, or whatever the options say."""

    name: ClassVar[str] = "highs-direct"
    aliases: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[Mapping[str, str]] = {"highspy": "highspy"}
    limits: ClassVar[str] = "solves from scratch; capacity-bound problems of over 1,000 jobs take 0.1 s and more"
    tolerance: ClassVar[float] = 1e-9
    pairs: ClassVar[bool] = True

    @property
    def families(self) -> frozenset[str]:
        """Every family with a linear form, or that is solved in stages, or in a sequence, of linear programs."""
        return LP.families | STAGES.families | sequenced(LP.families)

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> HighsDirectSession:
        """Return a session; raise `OptionError` where HiGHS rejects an option or its value."""
        return HighsDirectSession(self.name, options, timer)

    def kernels(self, families: frozenset[str]) -> list[Wanted]:
        """Return the kernels of water filling, which poses the programs of the lexicographic family."""
        if LEXICOGRAPHIC not in families:
            return []
        from phasewise.profiling.jit.kernel import wanted
        from phasewise.solvers.filling_kernels import KERNELS

        return [each for kernel in KERNELS for each in wanted(kernel)]


class HighsDirectSession:
    """One live HiGHS object; every solve passes a whole new model, and the basis of the last one goes with it.

    Primal simplex starts from a family's starting vertex, where it has one, unless the options choose a method. Where
    that vertex is an optimum for certain, HiGHS would make no pivot, and is not asked unless it has options.
    """

    def __init__(self, name: str, options: Mapping[str, object], timer: PhaseTimer) -> None:
        self._model = HighsModel(name, options)
        self._chooses_start = not (_CHOOSES_START & options.keys())
        self._has_defaults = not options
        self._stages: dict[type[AllocationProblem], Stages] = {}
        self._sequences = Sequences(HighsDirect.tolerance, timer, remembers=False)
        self._timer = timer

    def solve(self, problem: AllocationProblem, state: State = None) -> tuple[Answer, State]:
        """Return HiGHS' answer with its duals, and no state; some families take several LPs instead of one."""
        if self._sequences.takes(problem):
            return self._sequences.answer(problem, state, self.solve)
        del state
        family = type(problem)
        if (by_stages := STAGES.get(family)) is not None:
            if family not in self._stages:
                self._stages[family] = by_stages()
            return self._stages[family].answer(problem, self._timer), None
        with self._timer.phase(Phase.LP_BUILD):
            build_start = START.get(family) if self._chooses_start else None
            start = None if build_start is None else build_start(problem)
            known = start.optimum() if start is not None and self._has_defaults else None
            if known is not None:
                self._timer.turn(Phase.LP_SOLVE)  # entered once a problem, whoever solves it
                return known, None
            lp = to_lp(problem)
            self._model.load(lp)
            if start is not None:
                self._model.start_from(start.basis(lp))
            self._timer.turn(Phase.LP_SOLVE)
            self._model.run()
        return self._model.outcome().answer(lp, RebuildReason.FRESH), None


BACKENDS: Final = (HighsDirect(),)
