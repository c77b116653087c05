"""`structured`: exact solvers written for many jobs and few worker types; see `docs/explanation/structured-solvers.md`.

Equal jobs count as one; where the last round's prices are at hand, or a rough interior point has found some, only the
jobs near a tie are solved for (price sifting); the interior point has the last word. An answer is optimal where the gap
that its own duals prove is within the tolerance; otherwise it says so, and a chain goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final

import numpy as np

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers import native_options
from phasewise.solvers.api import Answer, RebuildReason, Status
from phasewise.solvers.families.max_min import MAX_MIN_SWITCHING
from phasewise.solvers.forms.tables import STRUCTURED
from phasewise.solvers.problems import AllocationProblem, refuse_pairs

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted
    from phasewise.solvers.structured.sifting import Prices

_RULES: Final[Mapping[str, native_options.Rule]] = {
    "mode": native_options.Rule(
        "one of auto (warm where possible), cold (forgets each round), interior_point (nothing else)",
        lambda value: value in ("auto", "cold", "interior_point"),
    ),
    "tolerance": native_options.Rule(
        "a number from 1e-11 to 1e-3", lambda value: isinstance(value, float) and 1e-11 <= value <= 1e-3
    ),
    "max_iterations": native_options.Rule(
        "a whole number of at least 1",
        lambda value: isinstance(value, int) and not isinstance(value, bool) and value >= 1,
    ),
}
_DEFAULTS: Final[Mapping[str, object]] = {"mode": "auto", "tolerance": 1e-9, "max_iterations": 80}


class Structured:
    """Interior point, price sifting and class merging, whichever is quickest and proven."""

    name: ClassVar[str] = "structured"
    aliases: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[Mapping[str, str]] = {"numba": "numba"}
    limits: ClassVar[str] = "exact; for up to about 30 worker types; compiled once on a machine"
    tolerance: ClassVar[float] = 1e-9

    @property
    def families(self) -> frozenset[str]:
        """Every family with a form for the structured solvers."""
        return STRUCTURED.families

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> StructuredSession:
        """Return a session; raise `OptionError` where an option or its value is wrong."""
        native_options.check(self.name, self.name, _RULES, options)
        return StructuredSession({**_DEFAULTS, **options}, timer)

    def kernels(self, families: frozenset[str]) -> list[Wanted]:
        """Return the kernels that solving these families takes."""
        from phasewise.solvers import registry
        from phasewise.solvers.structured import solver

        needed: list[Wanted] = []
        for name in sorted(families & self.families):
            own = getattr(STRUCTURED.get(registry.families()[name]), "kernels", None)
            needed += own() if own is not None else solver.kernels(switching=name == MAX_MIN_SWITCHING)
        return needed


class StructuredSession:
    """Remembers the last round's prices: they belong to worker types, so that jobs may come and go."""

    def __init__(self, options: Mapping[str, object], timer: PhaseTimer) -> None:
        from phasewise.solvers.structured import solver

        mode, limit = options["mode"], options["max_iterations"]
        self._tolerance = float(str(options["tolerance"]))
        self._solver = solver.StructuredSolver(
            self._tolerance, int(str(limit)), remembers=mode == "auto", sifts=mode != "interior_point"
        )
        self._timer = timer
        self._last: Prices | None = None
        self._reason: RebuildReason | None = RebuildReason.FIRST

    def solve(self, problem: AllocationProblem) -> Answer:
        """Return the optimum with the duals that prove it; `Status.INACCURATE` where they prove less."""
        refuse_pairs(problem)
        last, self._last = self._last, None  # whatever interrupts this solve, the next one starts afresh
        with self._timer.phase(Phase.LP_BUILD):
            stated = STRUCTURED.of(problem)(problem)
        with self._timer.phase(Phase.LP_SOLVE):
            outcome = stated.solve(self._solver, last)
        self._last = outcome.left
        rebuild = self._reason if outcome.cold else None
        if rebuild is RebuildReason.STALLED and not outcome.way.startswith("sifting"):
            rebuild = RebuildReason.FRESH  # nothing was tried warm: few kinds of jobs, or a cost of moving
        self._reason = RebuildReason.STALLED
        if outcome.impossible:
            return Answer(Status.INFEASIBLE, None, outcome.duals, outcome.iterations, rebuild, outcome.way)
        if not (np.isfinite(outcome.x).all() and outcome.gap < np.inf):
            self._reason = RebuildReason.FAILED
            return Answer(Status.FAILED, None, iterations=outcome.iterations, rebuild=rebuild, note=outcome.way)
        proven = outcome.gap <= self._tolerance
        note = outcome.way if proven else f"{outcome.way}: proven to {outcome.gap:.2g} only"
        status = Status.OPTIMAL if proven else Status.INACCURATE
        return Answer(status, outcome.x, outcome.duals, outcome.iterations, rebuild, note)


BACKENDS: Final = (Structured(),)
