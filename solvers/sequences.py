"""Families that are solved by a sequence of problems of another family, each of which depends on the answer before.

Such a family has a builder (`phasewise.solvers.forms.tables.SEQUENCE`): a generator that yields problems, is sent their
answers, and returns what they come to. So any backend that solves the other family solves this one as well.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, Found, State
from phasewise.solvers.forms.tables import SEQUENCE
from phasewise.solvers.problems import AllocationProblem

Step = TypeVar("Step", bound=AllocationProblem)
SolveStep = Callable[[AllocationProblem, State], tuple[Answer, State]]


def carried_out(steps: Generator[Step, Answer, Found], solve: Callable[[Step], Answer]) -> Found:
    """Return what a sequence comes to where ``solve`` answers its problems."""
    try:
        problem = next(steps)
        while True:
            problem = steps.send(solve(problem))
    except StopIteration as end:
        found: Found = end.value
        return found


class Left(NamedTuple):
    """What a sequence of a session leaves for the next one.

    Attributes
    ----------
    family
        Of the problem that it came to an end for.
    found
        As `Found.left`.
    step
        The session's own state after the last step.
    """

    family: str
    found: Any
    step: State


class Sequences:
    """How a session answers families that are solved by a sequence of others.

    Parameters
    ----------
    tolerance
        Largest relative gap that is good enough.
    timer
        Where it is accounted as lp_solve what a sequence does between its steps, or instead of any.
    remembers
        Whether a sequence starts from what the last one of its family left.
    """

    def __init__(self, tolerance: float, timer: PhaseTimer, *, remembers: bool) -> None:
        self._tolerance, self._timer, self._remembers = tolerance, timer, remembers

    def takes(self, problem: AllocationProblem) -> bool:
        """Return whether ``problem`` is of a family that is solved by a sequence of others."""
        return SEQUENCE.get(type(problem)) is not None

    def answer(self, problem: AllocationProblem, state: State, solve: SolveStep) -> tuple[Answer, State]:
        """Return the answer to ``problem``, of which ``solve`` answers each step, and what it leaves.

        Parameters
        ----------
        state
            What the session's last problem left; of another family it is not looked at.
        solve
            The session's own ``solve``.
        """
        last = state if isinstance(state, Left) and state.family == problem.family else Left("", None, None)
        own = last.step

        def answered(step: AllocationProblem) -> Answer:
            nonlocal own
            answer, own = solve(step, own)
            return answer

        with self._timer.phase(Phase.LP_SOLVE):
            found = carried_out(SEQUENCE.of(problem)(problem, last.found, self._tolerance), answered)
        return found.answer, Left(problem.family, found.left, own) if self._remembers else None
