"""`cvxpy-fresh:*`: a vectorised CVXPY program built anew for every problem. The baseline."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Final

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, State, Status
from phasewise.solvers.cvx_native import NATIVE_SOLVERS, NativeSolver, iterations_of, status_of, verdict_of
from phasewise.solvers.forms.tables import CVX, sequenced
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.proofs import Duals
from phasewise.solvers.sequences import Sequences

if TYPE_CHECKING:
    from phasewise.solvers.cvx import CvxProgram


@dataclass(frozen=True)
class CvxpyFresh:
    """One native solver behind CVXPY.

    Attributes
    ----------
    native
        The native solver.
    """

    native: NativeSolver
    pairs: ClassVar[bool] = True

    @property
    def families(self) -> frozenset[str]:
        """Every family with a CVXPY form, or that is solved in a sequence of others."""
        return CVX.families | sequenced(CVX.families)

    @property
    def name(self) -> str:
        """The registered name."""
        return f"cvxpy-fresh:{self.native.name}"

    @property
    def aliases(self) -> tuple[str, ...]:
        """The native solver's name in small letters."""
        return (self.native.name.lower(),)

    @property
    def requires(self) -> Mapping[str, str]:
        """What must be installed."""
        return self.native.requires

    @property
    def limits(self) -> str:
        """What to know before choosing it."""
        return f"builds a new model for every solve; {self.native.character}"

    @property
    def tolerance(self) -> float:
        """Relative gap that its answers keep."""
        return self.native.tolerance

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> CvxpyFreshSession:
        """Return a session after a first tiny solve; raise `OptionError` where the solver does not take an option."""
        self.native.check(self.name, options)
        merged = {**self.native.defaults, **options}
        self.native.try_out(self.name, options, lambda probe_timer: CvxpyFreshSession(self.native, merged, probe_timer))
        return CvxpyFreshSession(self.native, merged, timer)


class CvxpyFreshSession:
    """Builds, compiles and solves each problem as if it were the first."""

    def __init__(self, native: NativeSolver, options: Mapping[str, object], timer: PhaseTimer) -> None:
        from cvxpy.error import SolverError

        from phasewise.solvers.forms.tables import to_cvx

        self._solver_error = SolverError
        self._to_cvx = to_cvx
        self._native, self._solver = native, native.name
        self._options = dict(options)
        self._sequences = Sequences(native.tolerance, timer, remembers=False)
        self._timer = timer

    def solve(self, problem: AllocationProblem, state: State = None) -> tuple[Answer, State]:
        """Return the native solver's answer with its duals, or one that says that CVXPY gave up; and no state."""
        if self._sequences.takes(problem) and (CVX.get(type(problem)) is None or not self._native.cones):
            return self._sequences.answer(problem, state, self.solve)
        del state
        try:
            return self._solve(problem), None
        except self._solver_error as error:
            note = f"{self._solver} through CVXPY: {error}"
            return Answer(Status.FAILED, None, rebuild=RebuildReason.FRESH, note=note), None

    def _solve(self, problem: AllocationProblem) -> Answer:
        """Build, compile and solve, each under its phase."""
        with self._timer.phase(Phase.LP_BUILD):
            cvx = self._to_cvx(problem)
            # every call gets its own copy of the options: CVXPY takes entries out
            compiled, chain, inverse = cvx.program.get_problem_data(self._solver, solver_opts=dict(self._options))
        with self._timer.phase(Phase.LP_SOLVE):
            raw = self._native.run(chain, compiled, self._options)
        return _answer(cvx, chain.invert(raw, inverse), raw, self._solver)


def _answer(cvx: CvxProgram, solution: Any, raw: Any, solver: str) -> Answer:
    """Translate CVXPY's solution; its own unpacking would warn or raise on a bad status."""
    status, iterations = status_of(solution, raw), iterations_of(solution)
    note = f"{solver} through CVXPY: {verdict_of(solution, raw)}"
    entries = solution.primal_vars.get(cvx.x_id) if solution.primal_vars else None
    if entries is None:
        return Answer(status, None, iterations=iterations, rebuild=RebuildReason.FRESH, note=note)
    duals = _duals(cvx, solution.dual_vars)
    x = cvx.x_from(entries)
    return Answer(status, x, duals, iterations, RebuildReason.FRESH, note, members=cvx.members)


def _duals(cvx: CvxProgram, duals: Mapping[int, Any] | None) -> Duals | None:
    """Return the duals of the problem, or None where the solver gives none."""
    try:
        return cvx.to_duals(duals or {})
    except KeyError:
        return None


BACKENDS: Final = tuple(CvxpyFresh(native) for native in NATIVE_SOLVERS)
