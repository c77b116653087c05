"""`highs-direct`: LP arrays passed to HiGHS in one call, nothing carried over from the last solve."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

import numpy as np

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, Status
from phasewise.solvers.crash import StartingPoint, starting_point
from phasewise.solvers.filling import WaterFiller
from phasewise.solvers.lexicographic import LEXICOGRAPHIC
from phasewise.solvers.lp import INFINITE, LinearProgram, to_lp
from phasewise.solvers.native_options import claim_highs_threads, set_highs
from phasewise.solvers.problems import MAX_MIN, MAX_MIN_SWITCHING, Problem

_DEFAULTS: Final[Mapping[str, object]] = {
    "output_flag": False,
    "threads": 1,
    "presolve": "off",  # 0.3 ms of 1.0 at 43 jobs x 3 types
    "simplex_strategy": 4,  # primal: the starting point is primal feasible
    "simplex_scale_strategy": 0,  # the LP is scaled already
}
_CHOOSES_START: Final = frozenset({"solver", "simplex_strategy", "presolve", "simplex_crash_strategy"})
_BY_COLUMNS: Final = 1
_MAXIMISE: Final = -1


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
        import highspy

        self._highs = highspy.Highs()
        self._filler: WaterFiller | None = None
        self._timer = timer
        self._statuses = _statuses()
        self._error = highspy.HighsStatus.kError
        self._basis = None if _CHOOSES_START & options.keys() else _BasisWriter()
        merged = {**_DEFAULTS, **options}
        self._threads = merged["threads"]
        set_highs(name, self._highs, merged)
        self._time_limit_s = float(self._highs.getOptionValue("time_limit")[1])

    def solve(self, problem: Problem) -> Answer:
        """Return HiGHS' answer with its duals; a lexicographic problem takes many small LPs instead of one."""
        if problem.family == LEXICOGRAPHIC:
            self._filler = self._filler or WaterFiller()
            return self._filler.answer(problem, self._timer)
        with self._timer.phase(Phase.LP_BUILD):
            lp = to_lp(problem)
            self._pass(lp)
            start = starting_point(problem) if self._basis else None
            if self._basis and start:
                self._highs.setBasis(self._basis.write(start, lp))
        with self._timer.phase(Phase.LP_SOLVE):
            outcome = self._run()
        return self._answer(lp, failed=outcome == self._error)

    def _run(self) -> object:
        """Solve the model that was passed; return HiGHS' code."""
        claim_highs_threads(self._threads)
        if self._time_limit_s < INFINITE:  # HiGHS counts its running time from the birth of the object
            self._highs.setOptionValue("time_limit", self._time_limit_s + self._highs.getRunTime())
        return self._highs.run()

    def _pass(self, lp: LinearProgram) -> None:
        """Hand over the whole model."""
        self._highs.passModel(
            lp.cost.size,
            lp.row_lower.size,
            lp.value.size,
            _BY_COLUMNS,
            _MAXIMISE,
            0.0,
            lp.cost,
            lp.col_lower,
            lp.col_upper,
            lp.row_lower,
            lp.row_upper,
            lp.start,
            lp.index,
            lp.value,
            lp.continuous,
        )

    def _answer(self, lp: LinearProgram, failed: bool) -> Answer:
        """Return status, x and duals, each vector converted once."""
        native = self._highs.getModelStatus()
        status = Status.FAILED if failed else self._statuses.get(native, Status.FAILED)
        iterations = self._iterations()
        solution = self._highs.getSolution()
        if status is not Status.OPTIMAL or not solution.value_valid:
            note = f"HiGHS: {self._highs.modelStatusToString(native)}"
            return Answer(status, None, iterations=iterations, rebuild=RebuildReason.FRESH, note=note)
        x = lp.x(np.array(solution.col_value))
        weights = prices = None
        if solution.dual_valid:
            weights, prices = lp.duals(np.array(solution.row_dual))
        return Answer(status, x, prices, weights, iterations, RebuildReason.FRESH, "HiGHS: Optimal")

    def _iterations(self) -> int:
        """Return the iterations of whichever method ran; HiGHS counts -1 for one that did not."""
        return sum(
            max(0, self._highs.getInfoValue(f"{method}_iteration_count")[1]) for method in ("simplex", "ipm", "pdlp")
        )


class _BasisWriter:
    """Writes a `StartingPoint` as a HiGHS basis."""

    def __init__(self) -> None:
        import highspy

        status = highspy.HighsBasisStatus
        self._new = highspy.HighsBasis
        self._codes = np.array([status.kLower, status.kBasic, status.kUpper], dtype=object)

    def write(self, start: StartingPoint, lp: LinearProgram) -> object:
        """Return the basis: t and one column a job are basic, and every row's slack but J + 1 of them.

        A job at the common gain has its gain row tight, one that runs all the time its time row; the last tight row is
        the one that limits t.
        """
        jobs = start.kind.size
        types = lp.row_lower.size - 2 * jobs
        columns = np.zeros(lp.cost.size, dtype=np.intp)
        columns[np.arange(0, jobs * types, types) + start.kind] = 1
        columns[jobs * types] = 1
        rows = np.ones(2 * jobs + types, dtype=np.intp)
        rows[:jobs] = start.full
        rows[jobs : 2 * jobs] = 1 + start.full
        if start.tight_type >= 0:
            rows[2 * jobs + start.tight_type] = 2
        else:
            rows[start.tight_job] = 0
            rows[jobs + start.tight_job] = 2
        basis = self._new()
        basis.col_status = self._codes[columns].tolist()
        basis.row_status = self._codes[rows].tolist()
        basis.valid = True
        basis.alien = False
        return basis


def _statuses() -> Mapping[object, Status]:
    """Return our word for each of HiGHS' model statuses; what is missing is a failure."""
    from highspy import HighsModelStatus as Native

    return {
        Native.kOptimal: Status.OPTIMAL,
        Native.kIterationLimit: Status.ITERATION_LIMIT,
        Native.kTimeLimit: Status.TIME_LIMIT,
        Native.kInfeasible: Status.INFEASIBLE,
        Native.kUnbounded: Status.UNBOUNDED,
        Native.kUnboundedOrInfeasible: Status.INFEASIBLE,
    }


BACKENDS: Final = (HighsDirect(),)
