"""`cvxpy-fresh:*`: a vectorised CVXPY program built anew for every problem. The baseline.

CVXPY compiles inside ``Problem.solve``; to tell build from solve truthfully its three steps are called one by one:
``get_problem_data`` belongs to lp_build, ``solve_via_data`` is lp_solve, ``invert`` is neither.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers import native_options
from phasewise.solvers.api import Answer, Floats, RebuildReason, Status
from phasewise.solvers.errors import OptionError
from phasewise.solvers.problems import MAX_MIN, MAX_MIN_SWITCHING, MaxMinProblem, Problem

if TYPE_CHECKING:
    from phasewise.solvers.cvx import CvxProgram

_STATUSES: Final[Mapping[str, Status]] = {
    "optimal": Status.OPTIMAL,
    "optimal_inaccurate": Status.INACCURATE,
    "user_limit": Status.ITERATION_LIMIT,
    "infeasible": Status.INFEASIBLE,
    "infeasible_inaccurate": Status.INFEASIBLE,
    "infeasible_or_unbounded": Status.INFEASIBLE,
    "unbounded": Status.UNBOUNDED,
    "unbounded_inaccurate": Status.UNBOUNDED,
}


@dataclass(frozen=True)
class CvxpyFresh:
    """One native solver behind CVXPY.

    Attributes
    ----------
    solver
        CVXPY's name of the native solver.
    requires
        ``{module: what to install}``.
    tolerance
        Relative gap that its answers keep at the defaults below.
    defaults
        Native options that reach it; the user's options replace them one by one.
    rules
        What each option takes; None for HiGHS, which is asked itself.
    """

    solver: str
    requires: Mapping[str, str]
    tolerance: float
    limits: str
    defaults: Mapping[str, object] = field(default_factory=dict)
    rules: Mapping[str, native_options.Rule] | None = None
    families: frozenset[str] = frozenset({MAX_MIN, MAX_MIN_SWITCHING})

    @property
    def name(self) -> str:
        """The registered name."""
        return f"cvxpy-fresh:{self.solver}"

    @property
    def aliases(self) -> tuple[str, ...]:
        """The native solver's name in small letters."""
        return (self.solver.lower(),)

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> CvxpyFreshSession:
        """Return a session after a first tiny solve; raise `OptionError` where the solver does not take an option."""
        if self.rules is None:
            import highspy

            probe = highspy.Highs()
            native_options.set_highs(self.name, probe, {"output_flag": False, **options})
        else:
            native_options.check(self.name, self.solver, self.rules, options)
        session = CvxpyFreshSession(self.solver, {**self.defaults, **options}, PhaseTimer())
        try:
            session.solve(_probe())
        except (TypeError, ValueError, AttributeError) as error:
            raise OptionError(
                f"{self.name}: {self.solver} does not take the options {dict(options)}: {error}"
            ) from error
        return CvxpyFreshSession(self.solver, {**self.defaults, **options}, timer)


class CvxpyFreshSession:
    """Builds, compiles and solves each problem as if it were the first."""

    def __init__(self, solver: str, options: Mapping[str, object], timer: PhaseTimer) -> None:
        from cvxpy.error import SolverError

        from phasewise.solvers.cvx import to_cvx

        self._solver_error = SolverError
        self._to_cvx = to_cvx
        self._solver = solver
        self._options = dict(options)
        self._timer = timer

    def solve(self, problem: Problem) -> Answer:
        """Return the native solver's answer with its duals; where CVXPY gives up, an answer that says so."""
        try:
            return self._solve(problem)
        except self._solver_error as error:
            note = f"{self._solver} through CVXPY: {error}"
            return Answer(Status.FAILED, None, rebuild=RebuildReason.FRESH, note=note)

    def _solve(self, problem: Problem) -> Answer:
        """Build, compile and solve, each under its phase."""
        with self._timer.phase(Phase.LP_BUILD):
            cvx = self._to_cvx(problem)
            # every call gets its own copy of the options: CVXPY takes entries out
            compiled, chain, inverse = cvx.program.get_problem_data(self._solver, solver_opts=dict(self._options))
        if self._solver == "HIGHS":
            native_options.claim_highs_threads(self._options.get("threads"))
        with self._timer.phase(Phase.LP_SOLVE):
            raw = chain.solve_via_data(
                cvx.program, compiled, warm_start=False, verbose=False, solver_opts=dict(self._options)
            )
        return _answer(cvx, chain.invert(raw, inverse), self._solver)


def _answer(cvx: CvxProgram, solution: Any, solver: str) -> Answer:
    """Translate CVXPY's solution; its own unpacking would warn or raise on a bad status."""
    status = _STATUSES.get(solution.status, Status.FAILED)
    iterations = int(solution.attr.get("num_iters") or 0)
    note = f"{solver} through CVXPY: {solution.status}"
    entries = solution.primal_vars.get(cvx.x_id) if solution.primal_vars else None
    if entries is None:
        return Answer(status, None, iterations=iterations, rebuild=RebuildReason.FRESH, note=note)
    weights, prices = _bounding(cvx, solution.dual_vars)
    return Answer(status, cvx.x_from(entries), prices, weights, iterations, RebuildReason.FRESH, note)


def _bounding(cvx: CvxProgram, duals: Mapping[int, Any] | None) -> tuple[Floats | None, Floats | None]:
    """Return the duals that bound the optimum, or twice None where the solver gives none."""
    try:
        return cvx.bounding(duals or {})
    except KeyError:
        return None, None


def _probe() -> MaxMinProblem:
    """Return a problem of two jobs and two types: the least on which a solver reads all its options."""
    return MaxMinProblem(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones(2), np.ones(2))


BACKENDS: Final = (
    CvxpyFresh(
        "ECOS",
        {"cvxpy": "cvxpy", "ecos": "phasewise[ecos]"},
        1e-6,
        "builds anew each solve; gains nothing from a warm start; GPL, an extra",
        {},  # ECOS's own tolerances are the original's
        native_options.ECOS,
    ),
    CvxpyFresh(
        "SCS",
        {"cvxpy": "cvxpy", "scs": "scs"},
        1e-6,
        "builds anew each solve; first order: slow where accuracy is asked for, and lost where gains span many decades",
        {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 100_000},
        native_options.SCS,
    ),
    CvxpyFresh(
        "CLARABEL",
        {"cvxpy": "cvxpy", "clarabel": "clarabel"},
        1e-7,
        "builds anew each solve; interior point",
        {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9},
        native_options.CLARABEL,
    ),
    CvxpyFresh(
        "HIGHS",
        {"cvxpy": "cvxpy", "highspy": "highspy"},
        1e-9,
        "builds anew each solve; simplex",
        {"threads": 1},
    ),
)
