"""`water-filling`: the exact lexicographic max-min allocation by `phasewise.solvers.filling`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.api import Answer, State
from phasewise.solvers.errors import OptionError
from phasewise.solvers.families.lexicographic import LEXICOGRAPHIC, LexicographicProblem
from phasewise.solvers.filling import WaterFiller
from phasewise.solvers.problems import AllocationProblem, narrowed

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted


class WaterFilling:
    """Stages of prices and small LPs; takes the lexicographic family alone."""

    name: ClassVar[str] = "water-filling"
    aliases: ClassVar[tuple[str, ...]] = ()
    families: ClassVar[frozenset[str]] = frozenset({LEXICOGRAPHIC})
    requires: ClassVar[Mapping[str, str]] = {"highspy": "highspy", "numba": "numba"}
    limits: ClassVar[str] = "exact; slower if many jobs are equally fast on types that other jobs may not use"
    tolerance: ClassVar[float] = 1e-9

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> WaterFillingSession:
        """Return a session; raise `OptionError` for any option, as there are none."""
        if options:
            raise OptionError(f"{self.name}: takes no options; got {dict(options)}")
        return WaterFillingSession(timer)

    def kernels(self, families: frozenset[str]) -> list[Wanted]:
        """Return the kernels that solving these families takes."""
        from phasewise.profiling.jit.kernel import wanted
        from phasewise.solvers import filling_kernels, hull_kernels

        if not families & self.families:
            return []
        used = (*filling_kernels.KERNELS, *hull_kernels.KERNELS)
        return [each for function in used for each in wanted(function)]


class WaterFillingSession:
    """Fills each problem from nothing; only the native object is kept."""

    def __init__(self, timer: PhaseTimer) -> None:
        self._timer = timer
        self._filler = WaterFiller()

    def solve(self, problem: AllocationProblem, state: State = None) -> tuple[Answer, State]:
        """Return the allocation with the prices that prove every level, and no state."""
        del state
        return self._filler.answer(narrowed(problem, LexicographicProblem), self._timer), None


BACKENDS: Final = (WaterFilling(),)
