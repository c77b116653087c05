"""One certifier for every answer: a backend's own claim is not trusted.

The certifier has the problem project x to feasibility, recompute the objective there and make of the duals what they
prove (valid whatever the backend did), and decides by these figures alone whether the answer is accepted. That nothing
is feasible is accepted likewise: where the duals prove it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeAlias, runtime_checkable

import numpy as np

from phasewise.solvers.api import Answer, Fallback, Floats, Infeasible, Solution, State, Status
from phasewise.solvers.errors import ProblemError
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.proofs import Duals, Proof

VIOLATION_LIMIT: Final = 1e-6
"""Largest accepted violation of a constraint, relative to its scale, before the projection."""

GAP_LIMIT: Final = 1e-6
"""Largest accepted relative gap between the bound and the objective after the projection."""

LESSER_GAP_LIMIT: Final = 1e-4
"""Largest relative gap of an answer of less accuracy, which stands, and is marked, where nothing better is found.

A run of days is worth more than the last digits of one round; shares of time are kept to a few percent at best."""

INFEASIBLE_MARGIN: Final = 1e-9
"""Least margin of a proof that nothing is feasible: less may be rounding."""

_USABLE: Final = frozenset({Status.OPTIMAL, Status.INACCURATE})


@dataclass(frozen=True, slots=True)
class Rejection:
    """Why an answer was not accepted.

    Attributes
    ----------
    reason
        In words for the user.
    lesser
        The solution that it is nevertheless, of less accuracy, where its proven gap is within `LESSER_GAP_LIMIT`: for
        a caller to whom nobody gives a better one.
    """

    reason: str
    lesser: Solution | None = None


Verdict: TypeAlias = Solution | Infeasible | Rejection


class Judge:
    """The certifier for the answers to one problem, as it is handed to a backend that asks others.

    Parameters
    ----------
    problem
        A problem that passed its ``validate()``.
    backend
        The name that solutions bear.
    gap_limit
        As `certify` takes it.
    """

    def __init__(self, problem: AllocationProblem, backend: str, gap_limit: float = GAP_LIMIT) -> None:
        self._problem, self._backend, self._gap_limit = problem, backend, gap_limit
        self._given: list[Verdict] = []

    def __call__(self, answer: Answer) -> Verdict:
        """Return the certified result, or why the answer is none."""
        verdict = certify(self._problem, answer, self._backend, gap_limit=self._gap_limit)
        self._given.append(verdict)
        return verdict

    def own(self, outcome: object) -> Verdict:
        """Return ``outcome`` as far as its solution is one that was given here: no backend certifies itself."""
        if isinstance(outcome, Rejection):
            known = any(isinstance(own, Rejection) and own.lesser is outcome.lesser for own in self._given)
            return outcome if known else replace(outcome, lesser=None)
        for verdict in self._given:
            if verdict is outcome:
                return verdict
        return Rejection(f"returned a {type(outcome).__name__} that no certifier has made")


@runtime_checkable
class PickingSession(Protocol):
    """A session that asks other backends: it judges their answers as they come, so that nothing is judged twice."""

    def pick(self, problem: AllocationProblem, judge: Judge, state: State) -> tuple[Verdict, State]:
        """Return a verdict of ``judge`` on an answer of another backend, or why there is none, and what is left."""
        ...


def certify(
    problem: AllocationProblem,
    answer: Answer,
    backend: str,
    *,
    violation_limit: float = VIOLATION_LIMIT,
    gap_limit: float = GAP_LIMIT,
) -> Verdict:
    """Return the certified result, a solution or that there is none, or why the answer is neither.

    Parameters
    ----------
    problem
        A problem that passed its ``validate()``.
    answer
        The backend's claim.
    backend
        Its name, for the solution.
    violation_limit
        Largest accepted relative violation of x before it is projected.
    gap_limit
        Largest accepted gap, as the problem measures it; without duals there is no bound and no such test. Infinite for
        a heuristic, whose gap is what it gives up.
    """
    if isinstance(answer, Answer) and answer.status is Status.INFEASIBLE:
        return _refuted(problem, answer, backend)
    stated, fault = _stated(problem, answer)
    fault = fault or _form_fault(stated, answer)
    if fault is not None or answer.x is None:
        return Rejection(fault or "no x")
    problem = stated
    violation = problem.violation(answer.x)
    if violation > violation_limit:
        return Rejection(f"x violates a constraint by {violation:.3g} (relative; allowed {violation_limit:g})")
    projected = problem.project(answer.x) if violation > 0.0 else answer.x.copy()
    if projected is None:
        return Rejection(f"x violates a constraint by {violation:.3g} (relative) and cannot be made feasible")
    x, objective, proof = _judged(problem, answer, projected)
    if proof is not None and proof.gap is not None and proof.gap > gap_limit:
        x, objective, proof = _mended(problem, answer, (x, objective, proof))
    bound, gap = (None, None) if proof is None else (proof.bound, proof.gap)
    solution = Solution(
        backend=_signed(backend, answer),
        status=answer.status,
        x=x,
        objective=objective,
        bound=bound,
        gap=gap,
        violation=violation,
        utilization=problem.utilization(x),
        iterations=int(answer.iterations),  # JSON takes no NumPy numbers
        rebuild=answer.rebuild,
        fallbacks=_fallbacks(backend, answer),
        utilization_ceiling=None if math.isfinite(gap_limit) else problem.utilization_ceiling(),
        members=answer.members,
    )
    if gap is None or gap <= gap_limit:
        return solution
    return Rejection(
        f"objective {objective:.9g} is short of the proven bound {bound:.9g} by {gap:.3g} "
        f"(relative; allowed {gap_limit:g})",
        replace(solution, status=Status.INACCURATE, less_accurate=True) if gap <= LESSER_GAP_LIMIT else None,
    )


def _stated(problem: AllocationProblem, answer: Answer) -> tuple[AllocationProblem, str | None]:
    """Return the problem over the rows that the answer chose, if it did, or what is wrong with them."""
    if not isinstance(answer, Answer) or answer.members is None or answer.status not in _USABLE:
        return problem, None
    try:
        return problem.over(answer.members), None
    except ProblemError as error:
        return problem, str(error)


def _judged(problem: AllocationProblem, answer: Answer, x: Floats) -> tuple[Floats, float, Proof | None]:
    """Return ``x`` (R, W), read-only from now on, its objective, and what the answer's duals prove about it."""
    x.flags.writeable = False
    proof = problem.prove(x, _duals(answer))
    known = None if proof is None else proof.objective
    return x, problem.objective(x) if known is None else known, proof


def _mended(
    problem: AllocationProblem, answer: Answer, reached: tuple[Floats, float, Proof]
) -> tuple[Floats, float, Proof]:
    """Return x (R, W), its objective and its proof: without what a solver's tolerance left in it, if that is better."""
    mended = problem.mended(reached[0])
    if mended is None or not problem.better(problem.objective(mended), reached[1]):
        return reached
    x, objective, proof = _judged(problem, answer, mended)
    return reached if proof is None or proof.gap is None else (x, objective, proof)


def _refuted(problem: AllocationProblem, answer: Answer, backend: str) -> Infeasible | Rejection:
    """Return that nothing is feasible, where the answer's duals prove it."""
    duals = _duals(answer)
    found = problem.refute(duals)
    if found is None or not found.margin > INFEASIBLE_MARGIN:
        return Rejection(f"status {answer.status}" + (f" ({answer.note})" if answer.note else "") + ", not proven")
    return Infeasible(
        _signed(backend, answer),
        found.margin,
        duals,
        int(answer.iterations),
        answer.rebuild,
        _fallbacks(backend, answer),
    )


def _duals(answer: Answer) -> Duals:
    """Return the answer's duals; what is none proves nothing, as a plug-in's code is not type-checked here."""
    return answer.duals if isinstance(answer.duals, Duals) else Duals()


def _signed(backend: str, answer: Answer) -> str:
    """Return the name that a result bears: the backend's, and that of the one that it picked."""
    return f"{backend}:{answer.solved_by}" if answer.solved_by else backend


def _fallbacks(backend: str, answer: Answer) -> tuple[Fallback, ...]:
    """Return the backends that a backend that picks one had asked before, named after both."""
    return tuple(Fallback(f"{backend}:{passed.backend}", passed.reason) for passed in answer.fallbacks)


def _form_fault(problem: AllocationProblem, answer: object) -> str | None:
    """Say what makes an answer unusable, or None; a plug-in's code is not type-checked here."""
    if not isinstance(answer, Answer):
        return f"returned {type(answer).__name__}, not an Answer"
    if answer.status not in _USABLE:
        return f"status {answer.status}" + (f" ({answer.note})" if answer.note else "")
    return _x_fault(problem, answer.x)


def _x_fault(problem: AllocationProblem, x: object) -> str | None:
    """Say what makes ``x`` unusable, or None."""
    if not isinstance(x, np.ndarray):
        return "no x" if x is None else f"x is a {type(x).__name__}, expected a NumPy array"
    if x.dtype != np.float64:
        return f"x has dtype {x.dtype}, expected float64"
    if x.shape != (problem.rows, problem.types):
        return f"x has shape {x.shape}, expected {(problem.rows, problem.types)}"
    if not math.isfinite(float(x.sum())) and not np.isfinite(x).all():
        return "x is not finite"
    return None
