"""`highs-warm`: HiGHS starting each round from the basis of the last one, job by job.

The matrix is handed over anew each round: HiGHS 1.15 takes about 0.8 ms for one changed coefficient of a model of 1,700
jobs x 6 types, and a round's arrivals change more than a hundred, where the whole matrix takes 1.5 ms. What is kept is
what costs: the basis. See `phasewise.solvers.basis`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import ClassVar, Final

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, Status
from phasewise.solvers.basis import (
    Basis,
    Solved,
    basis_of,
    came_from,
    carried,
    job_hashes,
    level_rises,
    solved,
    starting_basis,
)
from phasewise.solvers.crash import starting_point
from phasewise.solvers.errors import OptionError
from phasewise.solvers.highs import HighsModel, Outcome
from phasewise.solvers.lp import Ints, LinearProgram, to_lp
from phasewise.solvers.problems import MAX_MIN, MAX_MIN_SWITCHING, Problem

_PRIMAL: Final = 4
_DUAL: Final = 1
_DEVEX: Final = 1  # the steepest edge weights of a basis that is not all slacks take longer than the solve
_METHODS: Final = frozenset({"choose", "simplex"})
_LEAST_SHARE: Final = 0.5  # of the jobs: with fewer of the last round's, a start from nothing is as good
_CAP: Final = 500  # iterations from a carried basis, and one more a job
_CAP_OF_A_GUESS: Final = 100  # and one more for every four jobs


class HighsWarm:
    """A live HiGHS that starts each solve from the last basis, carried over job by job."""

    name: ClassVar[str] = "highs-warm"
    aliases: ClassVar[tuple[str, ...]] = ()
    families: ClassVar[frozenset[str]] = frozenset({MAX_MIN, MAX_MIN_SWITCHING})
    requires: ClassVar[Mapping[str, str]] = {"highspy": "highspy"}
    limits: ClassVar[str] = "quick where most jobs are those of the last solve; otherwise as highs-direct"
    tolerance: ClassVar[float] = 1e-9

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> HighsWarmSession:
        """Return a session; raise `OptionError` where HiGHS rejects an option, or one asks for no basis."""
        return HighsWarmSession(self.name, options, timer)


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a solve starts from, and how far it may go.

    Attributes
    ----------
    basis
        None for HiGHS' own: all slacks.
    strategy
        The simplex method, as HiGHS numbers them.
    cap
        Most iterations, None for the user's limit; then it is the last one to be tried.
    rebuild
        Why nothing was carried over, None where it was.
    """

    basis: Basis | None
    strategy: int
    cap: int | None = None
    rebuild: RebuildReason | None = None


class HighsWarmSession:
    """One live HiGHS object and what the last round left.

    An option ``simplex_strategy`` holds for every solve. Without it a fresh start, which is primal feasible, is solved
    by the primal method and a carried basis by the dual one.
    """

    def __init__(self, name: str, options: Mapping[str, object], timer: PhaseTimer) -> None:
        self._model = HighsModel(name, {"simplex_dual_edge_weight_strategy": _DEVEX, **options})
        method = self._model.option("solver")
        if method not in _METHODS:
            raise OptionError(
                f"{name}: option solver={method!r} keeps no basis; it takes one of {', '.join(sorted(_METHODS))}; "
                "for other methods choose highs-direct"
            )
        self._chooses_strategy = "simplex_strategy" not in options
        self._most_iterations = int(str(self._model.option("simplex_iteration_limit")))
        self._timer = timer
        self._last: Solved | None = None
        self._doubt = RebuildReason.FIRST

    def solve(self, problem: Problem) -> Answer:
        """Return HiGHS' answer with its duals; where the last basis leads nowhere, that of a fresh start."""
        last, self._last = self._last, None  # whatever interrupts this solve, the next one starts afresh
        with self._timer.phase(Phase.LP_BUILD):
            lp = to_lp(problem)
            starts = self._starts(problem, lp, last)
        wasted = 0
        while True:
            with self._timer.phase(Phase.LP_BUILD):
                start = next(starts)
                self._prepare(lp, start)
            with self._timer.phase(Phase.LP_SOLVE):
                self._model.run()
            outcome = self._model.outcome()
            if outcome.status is Status.OPTIMAL or start.cap is None:
                break
            wasted += outcome.iterations
        answer = outcome.answer(lp, start.rebuild, wasted)
        self._remember(problem, lp, outcome, answer)
        return answer

    def _starts(self, problem: Problem, lp: LinearProgram, last: Solved | None) -> Iterator[_Start]:
        """Yield where to start from, the most promising first, until one leads to the optimum."""
        rebuild: RebuildReason | None = self._doubt
        if last is not None:
            source = came_from(job_hashes(problem), last.jobs)
            rebuild = _unlike(last, source, problem)
            if rebuild is None:
                yield from _carried_starts(last, source, problem, lp)
                rebuild = RebuildReason.STALLED
        point = starting_point(problem)
        yield _Start(None if point is None else starting_basis(point, lp), _PRIMAL, rebuild=rebuild)

    def _prepare(self, lp: LinearProgram, start: _Start) -> None:
        """Hand over the model, the basis and the limits."""
        self._model.load(lp)
        if start.basis is not None:
            self._model.start_from(start.basis)
        if self._chooses_strategy:
            self._model.set_option("simplex_strategy", start.strategy)
        cap = self._most_iterations if start.cap is None else min(start.cap, self._most_iterations)
        self._model.set_option("simplex_iteration_limit", cap)

    def _remember(self, problem: Problem, lp: LinearProgram, outcome: Outcome, answer: Answer) -> None:
        """Keep what the next round starts from, where there is something to keep."""
        self._doubt = RebuildReason.FAILED
        if outcome.columns is None or answer.capacity_prices is None:
            return
        basic = self._model.basic_variables()
        if basic is not None:
            level = float(outcome.columns[problem.jobs * problem.types]) * lp.gain_scale
            self._last = solved(problem, lp, basis_of(lp, basic, outcome.columns), level, answer.capacity_prices)


def _unlike(last: Solved, source: Ints, problem: Problem) -> RebuildReason | None:
    """Return why the last basis is of no use to ``problem``, or None where it is."""
    if last.prices.size != problem.types:
        return RebuildReason.TYPES
    if last.family != problem.family:
        return RebuildReason.FAMILY
    if (source >= 0).sum() < _LEAST_SHARE * max(problem.jobs, last.jobs.size):
        return RebuildReason.CHANGED
    return None


def _carried_starts(last: Solved, source: Ints, problem: Problem, lp: LinearProgram) -> Iterator[_Start]:
    """Yield the last basis; with a switching term for the way the level is expected to go, then for the other way."""
    rises = level_rises(last, source, problem)
    if rises is not None:
        yield _Start(carried(last, source, problem, lp, rises), _DUAL, _CAP_OF_A_GUESS + problem.jobs // 4)
        rises = not rises
    yield _Start(carried(last, source, problem, lp, rises), _DUAL, _CAP + problem.jobs)


BACKENDS: Final = (HighsWarm(),)
