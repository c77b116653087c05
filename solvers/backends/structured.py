"""`structured`: exact solvers written for many jobs and few worker types; see `docs/explanation/structured-solvers.md`.

Equal jobs count as one; where the last round's prices are at hand, or a rough interior point has found some, only the
jobs near a tie are solved for (price sifting); the interior point has the last word. An answer is optimal where the gap
that its own duals prove is within the tolerance; otherwise it says so, and a chain goes on.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, ClassVar, Final, NamedTuple

import numpy as np

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers import native_options
from phasewise.solvers.api import Answer, RebuildReason, State, Status
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
    limits: ClassVar[str] = "exact; for up to about 30 worker types, more where jobs see few; compiled once per machine"
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


class Left(NamedTuple):
    """What a round leaves to the next.

    Attributes
    ----------
    prices
        Its prices: they belong to worker types, so that jobs may come and go; None where it has none.
    doubt
        Why the next one is cold, should it not get along with them.
    """

    prices: Prices | None
    doubt: RebuildReason


class StructuredSession:
    """Solves each problem from the prices that the last one left."""

    def __init__(self, options: Mapping[str, object], timer: PhaseTimer) -> None:
        from phasewise.solvers.structured import solver

        mode, limit = options["mode"], options["max_iterations"]
        self._tolerance = float(str(options["tolerance"]))
        self._solver = solver.StructuredSolver(
            self._tolerance, int(str(limit)), remembers=mode == "auto", sifts=mode != "interior_point"
        )
        self._timer = timer

    def solve(self, problem: AllocationProblem, state: State = None) -> tuple[Answer, State]:
        """Return the optimum, with duals that prove it or else `Status.INACCURATE`, and prices for the next problem."""
        refuse_pairs(problem)
        last = state if isinstance(state, Left) else Left(None, RebuildReason.FIRST)
        with self._timer.phase(Phase.LP_BUILD):
            stated = STRUCTURED.of(problem)(problem)
        with self._timer.phase(Phase.LP_SOLVE):
            outcome = stated.solve(self._solver, last.prices)
        rebuild = last.doubt if outcome.cold else None
        if rebuild is RebuildReason.STALLED and not outcome.way.startswith("sifting"):
            rebuild = RebuildReason.FRESH  # nothing was tried warm: few kinds of jobs, or a movement cost
        if outcome.impossible:
            refuted = Answer(Status.INFEASIBLE, None, outcome.duals, outcome.iterations, rebuild, outcome.way)
            return refuted, Left(outcome.left, RebuildReason.STALLED)
        if not (outcome.gap < np.inf and np.isfinite(outcome.x.sum())):
            failed = Answer(Status.FAILED, None, iterations=outcome.iterations, rebuild=rebuild, note=outcome.way)
            return failed, Left(None, RebuildReason.FAILED)
        proven = outcome.gap <= self._tolerance
        note = outcome.way if proven else f"{outcome.way}: proven to {outcome.gap:.2g} only"
        status = Status.OPTIMAL if proven else Status.INACCURATE
        answer = Answer(status, outcome.x, outcome.duals, outcome.iterations, rebuild, note)
        return answer, Left(outcome.left, RebuildReason.STALLED)


BACKENDS: Final = (Structured(),)
