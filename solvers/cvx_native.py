"""The native solvers behind CVXPY: their defaults, their options, and CVXPY's verdicts in our words.

CVXPY compiles inside ``Problem.solve``; to tell build from solve truthfully its steps are called one by one:
``get_problem_data`` belongs to lp_build, ``solve_via_data`` is lp_solve, ``invert`` is neither.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import native_options
from phasewise.solvers.api import SolverSession, Status
from phasewise.solvers.errors import OptionError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.silence import new_highs, silenced

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
_HIGHS_SOLUTION: Final = ("col_value", "col_dual", "row_value", "row_dual")

Start: TypeAlias = tuple[npt.NDArray[np.float64], ...]
"""A solution to start from, as arrays; which ones depends on the native solver."""

_TIME_WORDS: Final = ("kTimeLimit", "MaxTime", "time_limit")  # HiGHS, CLARABEL, SCS


@dataclass(frozen=True)
class NativeSolver:
    """One native solver behind CVXPY.

    Attributes
    ----------
    name
        CVXPY's name of it.
    requires
        ``{module: what to install}``.
    tolerance
        Relative gap that its answers keep at the defaults below.
    character
        What to know before choosing it, in a few words.
    defaults
        Native options that reach it; the user's options replace them one by one.
    rules
        What each option takes; None for HiGHS, which is asked itself.
    starts_warm
        Whether CVXPY can hand it the last solution to start from.
    cones
        Whether it takes cone programs, and not linear ones alone.
    speaks
        Whether it writes to standard output in a solve, whatever its options say.
    """

    name: str
    requires: Mapping[str, str]
    tolerance: float
    character: str
    defaults: Mapping[str, object] = field(default_factory=dict)
    rules: Mapping[str, native_options.Rule] | None = None
    starts_warm: bool = False
    cones: bool = True
    speaks: bool = False

    def check(self, backend: str, options: Mapping[str, object]) -> None:
        """Raise `OptionError` where this solver has no such option, or rejects its value."""
        if self.rules is not None:
            native_options.check(backend, self.name, self.rules, options)
            return
        native_options.set_highs(backend, new_highs(), options)

    def try_out(
        self, backend: str, options: Mapping[str, object], opened: Callable[[PhaseTimer], SolverSession]
    ) -> None:
        """Solve a tiny problem in a session of its own; raise `OptionError` where the solver then refuses the options.

        What is said for the first time, CVXPY's import and a native solver's banner among it, is not heard.

        Parameters
        ----------
        backend
            Name for the message.
        options
            The user's options.
        opened
            Opens a session with the given timer.
        """
        probe = MaxMinProblem(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones(2), np.ones(2))
        try:
            with silenced():
                opened(PhaseTimer()).solve(probe, None)
        except (TypeError, ValueError, AttributeError) as error:
            why = str(error).strip()
            raise OptionError(f"{backend}: {self.name} does not take the options {dict(options)}: {why}") from error

    def run(self, chain: Any, compiled: Any, options: Mapping[str, object], start: Start | None = None) -> Any:
        """Return what the solver makes of a compiled program, as ``chain`` hands it over; see CVXPY's `SolvingChain`.

        Parameters
        ----------
        chain, compiled
            CVXPY's chain of reductions, and what it made of the program.
        options
            Native options.
        start
            The solution to start from, as `left` returned it; None for a cold start.
        """
        last = _Last({} if start is None else {self.name: _native_start(self.name, start)})
        if self.name == "HIGHS":
            native_options.claim_highs_threads(options.get("threads"))
        with silenced(errors=False) if self.speaks else nullcontext():
            # every call gets its own copy of the options: CVXPY takes entries out
            return chain.solve_via_data(last, compiled, start is not None, verbose=False, solver_opts=dict(options))

    def left(self, raw: Any) -> Start | None:
        """Return the solution in the solver's own result ``raw``, for the next solve to start from; None without one.

        Only of a solver that can start warm.
        """
        if self.name == "SCS":
            solved = raw["info"]["status"] == "solved"
            return tuple(np.array(raw[name]) for name in ("x", "y", "s")) if solved else None
        solution = raw["solution"]
        if not solution.value_valid:
            return None
        return tuple(np.array(getattr(solution, name)) for name in _HIGHS_SOLUTION)


@dataclass(frozen=True, slots=True)
class _Last:
    """What stands for a program where CVXPY looks up the last solution; each solve has one of its own."""

    _solver_cache: dict[str, Any]


def _native_start(name: str, start: Start) -> Any:
    """Return the solution ``start`` as CVXPY's interface to the solver expects to find it."""
    if name == "SCS":
        return dict(zip(("x", "y", "s"), start, strict=True))
    import highspy

    solution = highspy.HighsSolution()
    for field_name, values in zip(_HIGHS_SOLUTION, start, strict=True):
        setattr(solution, field_name, values.tolist())
    solution.value_valid = solution.dual_valid = True
    return None, None, {"model_status": "kOptimal", "solution": solution}


def status_of(solution: Any, raw: Any) -> Status:
    """Return CVXPY's verdict in our words; ``raw`` is the solver's own result, which tells time from other limits."""
    status = _STATUSES.get(solution.status, Status.FAILED)
    return Status.TIME_LIMIT if status is Status.ITERATION_LIMIT and _out_of_time(raw) else status


def verdict_of(solution: Any, raw: Any) -> str:
    """Return CVXPY's verdict in its words, for a note, and whether it was a limit of time that ended the solve."""
    return f"{solution.status}, at its time limit" if _out_of_time(raw) else str(solution.status)


def _out_of_time(raw: Any) -> bool:
    """Return whether the solver's own result says that its time was up; CVXPY keeps only that there was a limit."""
    said = raw
    if isinstance(raw, Mapping):
        info = raw.get("info")
        said = raw.get("model_status") or (info.get("status") if isinstance(info, Mapping) else None)
    else:
        said = getattr(raw, "status", None)
    return any(word in str(said) for word in _TIME_WORDS)


def iterations_of(solution: Any) -> int:
    """Return the iterations that CVXPY reports, 0 where it reports none."""
    return int(solution.attr.get("num_iters") or 0)


NATIVE_SOLVERS: Final = (
    NativeSolver(
        "ECOS",
        {"cvxpy": "cvxpy", "ecos": "ecos"},
        1e-6,
        "gains nothing from a warm start; GPL, an optional extra",
        {},  # ECOS's own tolerances are the original's
        native_options.ECOS,
    ),
    NativeSolver(
        "SCS",
        {"cvxpy": "cvxpy", "scs": "scs"},
        1e-6,
        "first order: slow at high accuracy, fails where throughputs span many decades",
        {"eps_abs": 1e-9, "eps_rel": 1e-9, "max_iters": 100_000},
        native_options.SCS,
        starts_warm=True,
        speaks=True,  # why it gives up, and the names of the files that it writes
    ),
    NativeSolver(
        "CLARABEL",
        {"cvxpy": "cvxpy", "clarabel": "clarabel"},
        1e-7,
        "interior point",
        {"tol_gap_abs": 1e-9, "tol_gap_rel": 1e-9, "tol_feas": 1e-9},
        native_options.CLARABEL,
    ),
    NativeSolver(
        "HIGHS",
        {"cvxpy": "cvxpy", "highspy": "highspy"},
        1e-9,
        "simplex",
        {"threads": 1, "dual_feasibility_tolerance": 1e-10},  # as in `phasewise.solvers.highs`
        starts_warm=True,
        cones=False,
        speaks=True,  # CVXPY makes an object for each solve, and not every version of it turns the output off in time
    ),
)
