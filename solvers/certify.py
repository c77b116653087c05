"""One certifier for every answer: a backend's own claim is not trusted.

The certifier projects x to feasibility, recomputes the objective there, computes a bound from the duals by weak
duality (valid whatever the backend did), and decides by these figures alone whether the answer is accepted.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import Final, Protocol, TypeGuard, runtime_checkable

import numpy as np

from phasewise.solvers.api import Answer, Fallback, Floats, Solution, Status
from phasewise.solvers.problems import Problem

VIOLATION_LIMIT: Final = 1e-6
"""Largest accepted violation of a constraint, relative to its scale, before the projection."""

GAP_LIMIT: Final = 1e-6
"""Largest accepted relative gap between the bound and the objective after the projection."""

LESSER_GAP_LIMIT: Final = 1e-4
"""Largest relative gap of an answer of less accuracy, which stands, and is marked, where nothing better is found.

A run of days is worth more than the last digits of one round; shares of time are kept to a few percent at best."""

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

    def __init__(self, problem: Problem, backend: str, gap_limit: float = GAP_LIMIT) -> None:
        self._problem, self._backend, self._gap_limit = problem, backend, gap_limit
        self._given: list[Solution | Rejection] = []

    def __call__(self, answer: Answer) -> Solution | Rejection:
        """Return the certified solution, or why the answer is not one."""
        verdict = certify(self._problem, answer, self._backend, gap_limit=self._gap_limit)
        self._given.append(verdict)
        return verdict

    def own(self, outcome: object) -> Solution | Rejection:
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

    def pick(self, problem: Problem, judge: Judge) -> Solution | Rejection:
        """Return a verdict of ``judge`` on an answer of another backend, or why there is none."""
        ...


def certify(
    problem: Problem,
    answer: Answer,
    backend: str,
    *,
    violation_limit: float = VIOLATION_LIMIT,
    gap_limit: float = GAP_LIMIT,
) -> Solution | Rejection:
    """Return the certified solution, or why the answer is not one.

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
        Largest accepted gap, as `relative_gap` says; without duals there is no bound and no such test. Infinite for a
        heuristic, whose gap is what it gives up.
    """
    if not isinstance(answer, Answer):  # a plug-in's code is not type-checked here
        return Rejection(f"returned {type(answer).__name__}, not an Answer")
    if answer.status not in _USABLE:
        return Rejection(f"status {answer.status}" + (f" ({answer.note})" if answer.note else ""))
    fault = _form_fault(problem, answer.x)
    if fault is not None or answer.x is None:
        return Rejection(fault or "no x")
    violation = problem.violation(answer.x)
    if violation > violation_limit:
        return Rejection(f"x violates a constraint by {violation:.3g} (relative; allowed {violation_limit:g})")
    x = problem.project(answer.x) if violation > 0.0 else answer.x.copy()
    x.flags.writeable = False
    objective = problem.objective(x)
    bound, gap = _proof(problem, answer, x, objective)
    if gap is not None and gap > gap_limit:
        x, objective, gap = _mended(problem, answer, x, (objective, gap))
    solution = Solution(
        backend=f"{backend}:{answer.solved_by}" if answer.solved_by else backend,
        status=answer.status,
        x=x,
        objective=objective,
        bound=bound,
        gap=gap,
        violation=violation,
        utilization=problem.utilization(x),
        iterations=int(answer.iterations),  # JSON takes no NumPy numbers
        rebuild=answer.rebuild,
        fallbacks=tuple(Fallback(f"{backend}:{passed.backend}", passed.reason) for passed in answer.fallbacks),
        utilization_ceiling=None if math.isfinite(gap_limit) else problem.utilization_ceiling(),
    )
    if gap is None or gap <= gap_limit:
        return solution
    return Rejection(
        f"objective {objective:.9g} is short of the proven bound {bound:.9g} by {gap:.3g} "
        f"(relative; allowed {gap_limit:g})",
        replace(solution, status=Status.INACCURATE, less_accurate=True) if gap <= LESSER_GAP_LIMIT else None,
    )


def _mended(problem: Problem, answer: Answer, x: Floats, reached: tuple[float, float]) -> tuple[Floats, float, float]:
    """Return x (J, W), its objective and its gap: without what a solver's tolerance left in it, if that is better."""
    mended = problem.mended(x)
    if mended is None or problem.objective(mended) <= reached[0]:
        return x, *reached
    mended.flags.writeable = False
    objective = problem.objective(mended)
    gap = _proof(problem, answer, mended, objective)[1]
    return (x, *reached) if gap is None else (mended, objective, gap)


def relative_gap(bound: float, objective: float, magnitude: float = 0.0) -> float:
    """Return ``abs(bound - objective) / abs(bound)``, 0 where both are 0: no unit matters, tiny gains included.

    Where ``magnitude``, what the objective's terms add up to before they cancel, is more, it is the measure.
    """
    difference = abs(bound - objective)
    measure = max(abs(bound), magnitude)
    return difference / measure if measure != 0.0 else (0.0 if difference == 0.0 else math.inf)


def _form_fault(problem: Problem, x: object) -> str | None:
    """Say what makes ``x`` unusable, or None."""
    if x is None:
        return "no x"
    if not isinstance(x, np.ndarray):
        return f"x is a {type(x).__name__}, expected a NumPy array"
    if x.dtype != np.float64:
        return f"x has dtype {x.dtype}, expected float64"
    if x.shape != (problem.jobs, problem.types):
        return f"x has shape {x.shape}, expected {(problem.jobs, problem.types)}"
    if not math.isfinite(float(x.sum())) and not np.isfinite(x).all():
        return "x is not finite"
    return None


def _is_dual(values: object, shape: tuple[int, ...]) -> TypeGuard[Floats]:
    """Return whether ``values`` are numbers of that shape, so that they can prove something."""
    return isinstance(values, np.ndarray) and values.dtype == np.float64 and values.shape == shape


def _proof(problem: Problem, answer: Answer, x: Floats, objective: float) -> tuple[float | None, float | None]:
    """Return the bound that the answer proves and the relative gap to it at ``x``, or None twice without a proof."""
    stages = answer.stage_prices
    if stages is not None and _is_dual(stages, (len(stages), problem.types)) and np.isfinite(stages).all():
        staged = problem.staged_proof(x, stages)
        if staged is not None:
            return staged
    bound = _bound(problem, answer)
    return bound, None if bound is None else relative_gap(bound, objective, problem.magnitude(x))


def _bound(problem: Problem, answer: Answer) -> float | None:
    """Return the bound that the answer's duals prove, or None where there are no usable duals."""
    weights, prices = answer.job_weights, answer.capacity_prices
    if not _is_dual(weights, (problem.jobs,)) or not _is_dual(prices, (problem.types,)):
        return None
    bound = problem.bound(np.maximum(weights, 0.0), np.maximum(prices, 0.0))
    return bound if math.isfinite(bound) else None
