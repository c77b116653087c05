"""What an answer is worth: judged by the certifier and by the manifest's certificates, whatever the backend claims."""

from __future__ import annotations

import math
from enum import StrEnum
from typing import Final, NamedTuple

from phasewise.bench.testset.manifest import Instance
from phasewise.solvers.api import Answer, Infeasible, Solution
from phasewise.solvers.certify import VIOLATION_LIMIT, Rejection, certify
from phasewise.solvers.problems import AllocationProblem


class Reached(StrEnum):
    """How near an answer is to the optimum, or why there is none; the better ones first."""

    NINTH = "1e-9"
    SIXTH = "1e-6"
    THIRD = "1e-3"
    HEURISTIC = "heuristic"  # feasible, further off than 1e-3, by a backend that claims no optimum
    WRONG = "wrong"  # infeasible or further off than 1e-3, and handed in as an answer all the same
    FAILED = "failed"  # no answer: an error, or a status that says so
    LIMIT = "limit"  # no answer within the limit
    REFUSED = "refused"  # it does not take the family


RANKS: Final = {reached: rank for rank, reached in enumerate(Reached)}
_CLASSES: Final = ((1e-9, Reached.NINTH), (1e-6, Reached.SIXTH), (1e-3, Reached.THIRD))


class Judgement(NamedTuple):
    """What became of one problem.

    Attributes
    ----------
    objective, gap, violation
        Of the answer brought within the constraints: its objective, its distance from the optimum at most, relative as
        the family measures it; and how far the answer itself was out of the constraints. None without an answer.
    message
        Why there is no good answer; empty where there is one.
    """

    reached: Reached
    objective: float | None = None
    gap: float | None = None
    violation: float | None = None
    message: str = ""


def judged(instance: Instance, index: int, problem: AllocationProblem, answer: object, *, exact: bool) -> Judgement:
    """Return what ``answer`` to problem ``index`` of ``instance`` is worth.

    Parameters
    ----------
    answer
        What the session returned: a plug-in's code is not type-checked.
    exact
        Whether the backend claims optimal answers; a heuristic is not wrong for being short of one.
    """
    if not isinstance(answer, Answer):
        return Judgement(Reached.FAILED, message=f"returned a {type(answer).__name__}, not an Answer")
    verdict = certify(problem, answer, "judged", violation_limit=math.inf, gap_limit=math.inf)
    if isinstance(verdict, Infeasible):  # all instances are feasible, so no sound certifier gets here
        return Judgement(Reached.WRONG, message="claims that nothing is feasible")
    if isinstance(verdict, Rejection):
        usable = answer.x is not None and answer.status in {"optimal", "inaccurate"}
        return Judgement(Reached.WRONG if usable else Reached.FAILED, message=verdict.reason)
    gap = _distance(instance, index, problem, verdict)
    reached = tolerance_class(gap, verdict.violation, exact=exact)
    message = f"off by {gap:.3g}, out of bounds by {verdict.violation:.3g}" if reached is Reached.WRONG else ""
    return Judgement(reached, verdict.objective, gap, verdict.violation, message)


def tolerance_class(gap: float, violation: float, *, exact: bool) -> Reached:
    """Return the tightest class that both figures are within."""
    for limit, reached in _CLASSES:
        if max(gap, violation) <= limit:
            return reached
    return Reached.WRONG if exact or not violation <= VIOLATION_LIMIT else Reached.HEURISTIC


def _distance(instance: Instance, index: int, problem: AllocationProblem, solution: Solution) -> float:
    """Return the least distance from the optimum that any certificate proves: the answer's own, or the manifest's."""
    proven = [] if solution.gap is None else [solution.gap]
    stated = problem if solution.members is None else problem.over(solution.members)
    duals = instance.duals(index)
    if duals is not None:
        proof = stated.prove(solution.x, duals)
        proven += [] if proof is None or proof.gap is None else [proof.gap]
    else:  # the bound says it all
        bound = instance.bound[index]
        proven.append(stated.gap(bound, solution.x) if problem.better(bound, solution.objective) else 0.0)
    return min(proven, default=math.inf)
