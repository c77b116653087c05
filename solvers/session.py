"""`open_solver`: one backend or a chain of them behind one call that returns certified results only.

What a problem leaves to the next is a value: a `Solver` takes it and returns it, a `Walk` holds it for a caller who
goes through problems in their order.
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from phasewise.profiling.own_files import unpinned
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import (
    Fallback,
    Infeasible,
    InfeasibleError,
    Solution,
    SolverBackend,
    SolverSession,
    State,
    Status,
    parted,
)
from phasewise.solvers.certify import GAP_LIMIT, Judge, PickingSession, Rejection, Verdict
from phasewise.solvers.errors import OptionError, SolveFailedError, SolverError, UnknownBackendError
from phasewise.solvers.native import is_native
from phasewise.solvers.problems import AllocationProblem

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted


@dataclass(frozen=True, slots=True)
class _Link:
    """One backend of the chain, opened."""

    backend: SolverBackend
    session: SolverSession
    options: Mapping[str, object]
    exact: bool
    scope: registry.Scope
    picks: PickingSession | None

    @classmethod
    def of(cls, backend: SolverBackend, session: SolverSession, options: Mapping[str, object]) -> _Link:
        """Return the link of an open session; whether it asks other backends is found out once."""
        picks = session if isinstance(session, PickingSession) else None
        return cls(backend, session, options, registry.is_exact(backend), registry.Scope.of(backend), picks)

    @property
    def name(self) -> str:
        return self.backend.name


class Solved(NamedTuple):
    """A certified result, and what it leaves to the next problem.

    Attributes
    ----------
    outcome
        A solution, or the proof that there is none.
    state
        To be handed to the next `Solver.solve`, or forgotten.
    """

    outcome: Solution | Infeasible
    state: State

    @property
    def solution(self) -> Solution:
        """The solution, for a caller that takes nothing else; raises `InfeasibleError` where there is none."""
        if isinstance(self.outcome, Infeasible):
            raise InfeasibleError(self.outcome)
        return self.outcome


class Solver:
    """An open chain of backends; `solve` returns certified results only. Not to be shared between threads.

    Attributes
    ----------
    name
        The backends' registered names, joined by commas.
    """

    def __init__(self, links: tuple[_Link, ...]) -> None:
        self._links = links
        self.name = ",".join(link.name for link in links)

    @property
    def families(self) -> Mapping[str, frozenset[str]]:
        """The problem families that each backend of the chain takes, by its registered name."""
        return {link.name: link.scope.families for link in self._links}

    def kernels(self, families: frozenset[str]) -> list[Wanted]:
        """Return the compiled kernels that the chain may need to solve these families."""
        return [each for link in self._links for each in registry.kernels(link.backend, families)]

    def solve(self, problem: AllocationProblem, state: State = None) -> Solved:
        """Return the first certified result of the chain, with what went wrong before it, and what it leaves.

        That nothing is feasible is a result where it is proven: no other backend is asked then. Where every backend
        falls short of the certifier's limit, the best of the answers that are proven within
        `phasewise.solvers.certify.LESSER_GAP_LIMIT` stands, marked as `Solution.less_accurate`.

        Parameters
        ----------
        problem
            Of any family.
        state
            What the last problem left, or None for a cold start.

        Raises
        ------
        ProblemError
            Where the problem itself is malformed.
        SolveFailedError
            Where no backend delivers; the message has every backend's reason.
        """
        problem.validate()
        if (idle := _nothing_to_do(problem, self._links[0].name)) is not None:
            return Solved(idle, state)
        left = list(state) if isinstance(state, tuple) and len(state) == len(self._links) else [None] * len(self._links)
        fallbacks: list[Fallback] = []
        lesser: list[tuple[int, Solution]] = []  # after how many others
        for index, link in enumerate(self._links):
            outcome, left[index] = _attempt(link, problem, left[index])
            if not isinstance(outcome, Rejection):
                passed = (*fallbacks, *outcome.fallbacks)
                return Solved(replace(outcome, fallbacks=passed) if fallbacks else outcome, tuple(left))
            if outcome.lesser is not None:
                lesser.append((len(fallbacks), outcome.lesser))
            fallbacks.append(Fallback(link.name, outcome.reason))
        if not lesser:
            raise SolveFailedError(self._all_failed(problem, fallbacks), tuple(left))
        at, best = min(lesser, key=lambda each: each[1].gap or 0.0)
        others = fallbacks[:at] + fallbacks[at + 1 :]  # the one that stands has not given way
        return Solved(replace(best, fallbacks=(*others, *best.fallbacks)), tuple(left))

    def _all_failed(self, problem: AllocationProblem, fallbacks: list[Fallback]) -> str:
        """Return the message that says what every backend did."""
        reasons = "; ".join(
            f"{failed.backend}: {failed.reason} (options {dict(link.options)})"
            for failed, link in zip(fallbacks, self._links, strict=True)
        )
        size = f"{problem.rows} {'jobs' if problem.members is None else 'rows'} x {problem.types} worker types"
        return f"no certified answer to {problem.family} with {size}: {reasons}"


class Walk:
    """Goes through problems in their order, each from what the last one left.

    Parameters
    ----------
    solver
        What solves them.

    Attributes
    ----------
    state
        What the last problem left; set to None, the next one starts cold.
    """

    def __init__(self, solver: Solver) -> None:
        self.solver = solver
        self.state: State = None

    @classmethod
    def of(cls, spec: str, options: Mapping[str, object], timer: PhaseTimer) -> Walk:
        """Return a walk of the solver that `open_solver` returns."""
        return cls(open_solver(spec, options, timer))

    def outcome(self, problem: AllocationProblem) -> Solution | Infeasible:
        """Return the certified result; raises as `Solver.solve`, and then goes on from what the failed solves left."""
        state, self.state = self.state, None  # whatever else interrupts this solve, the next one starts cold
        try:
            outcome, self.state = self.solver.solve(problem, state)
        except SolveFailedError as failed:
            self.state = failed.state
            raise
        return outcome

    def solve(self, problem: AllocationProblem) -> Solution:
        """Return the certified solution; raises as `Solver.solve`, and where there is none `InfeasibleError`."""
        outcome = self.outcome(problem)
        return Solved(outcome, self.state).solution


def open_solver(spec: str, options: Mapping[str, object], timer: PhaseTimer) -> Solver:
    """Return a solver for ``spec``, with every option checked.

    Parameters
    ----------
    spec
        A backend's name or alias, or ``FILE.py:CLASS``, or a fallback chain ``"A,B"``.
    options
        Native options, verbatim. For a chain: ``{"A": {...}, "B": {...}}`` by the names used in ``spec``, those of
        files without a digest; a backend that is left out gets none.
    timer
        Where the sessions account lp_build and lp_solve.

    Raises
    ------
    UnknownBackendError
        Where a name is not registered, or its solver is not installed or cannot be loaded.
    OptionError
        Where an option or its value is wrong, before any problem is solved.
    """
    parts = [part.strip() for part in spec.split(",")]
    backends = [registry.get(part) for part in parts]
    if len({backend.name for backend in backends}) < len(backends):
        raise OptionError(f"solver chain {spec!r} names the same backend twice")
    links, told_apart = [], [unpinned(part) for part in parts]
    for part, backend in zip(told_apart, backends, strict=True):
        own = _options_of(part, backend.name, told_apart, options)
        session = _opened(backend, own, timer)
        links.append(_Link.of(backend, session, own))
    return Solver(tuple(links))


def _opened(backend: SolverBackend, options: Mapping[str, object], timer: PhaseTimer) -> SolverSession:
    """Return a session, or raise `UnknownBackendError` where the native library cannot even be loaded."""
    try:
        return backend.open(options, timer)
    except (ImportError, OSError, RuntimeError) as error:
        raise UnknownBackendError(
            f"solver backend {backend.name!r} cannot be opened: {type(error).__name__}: {error}"
        ) from error


def _options_of(part: str, name: str, parts: list[str], options: Mapping[str, object]) -> Mapping[str, object]:
    """Return the options of one part of the chain, or raise `OptionError` where they are not told apart."""
    if len(parts) == 1:
        own = options.get(part, options.get(name))
        return own if isinstance(own, Mapping) and len(options) == 1 else options
    strangers = sorted(key for key, value in options.items() if key not in parts or not isinstance(value, Mapping))
    if strangers:
        example = json.dumps({known: {} for known in parts})
        raise OptionError(
            f"options of the chain {','.join(parts)} are given by backend, as {example}; "
            f"got {', '.join(f'{key}={options[key]!r}' for key in strangers)}"
        )
    own = options.get(part, {})
    return own if isinstance(own, Mapping) else {}


def _attempt(link: _Link, problem: AllocationProblem, state: State) -> tuple[Verdict, State]:
    """Return one backend's certified result, or why there is none, and what it leaves; nothing where it raises."""
    if (refusal := link.scope.refusal(problem.family, pairs=problem.members is not None)) is not None:
        return Rejection(refusal), state
    judge = Judge(problem, link.name, GAP_LIMIT if link.exact else math.inf)
    try:
        if link.picks is not None:
            picked, left = parted(link.picks.pick(problem, judge, state))
            return judge.own(picked), left
        answer, left = parted(link.session.solve(problem, state))
    except SolverError as error:
        return Rejection(str(error)), None
    except BaseException as error:
        if not is_native(error, link.backend, link.session):
            raise
        return Rejection(f"raised {type(error).__name__}: {error}"), None
    return judge(answer), left


def _nothing_to_do(problem: AllocationProblem, backend: str) -> Solution | None:
    """Return the solution of a problem without jobs, or without any allowed pair, which no backend needs to see.

    None where there is something to do, or where a constraint asks for it all the same.
    """
    if (problem.rows and problem.allows_all) or problem.allowed_mask.any():  # what is nearly always so is kept
        return None
    x = np.zeros((problem.rows, problem.types))
    if problem.violation(x) > 0.0:
        return None
    x.flags.writeable = False
    objective = problem.objective(x)
    return Solution(backend, Status.OPTIMAL, x, objective, objective, 0.0, 0.0, 0.0, 0, None)
