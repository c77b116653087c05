"""Families that are solved by a sequence of problems of another family, each of which depends on the answer before.

Such a family has a builder (`phasewise.solvers.forms.tables.SEQUENCE`): a generator that yields problems, is sent their
answers, and returns what they come to. So any backend that solves the other family solves this one as well.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from phasewise.solvers.api import Answer
from phasewise.solvers.forms.tables import SEQUENCE
from phasewise.solvers.problems import AllocationProblem

Step = TypeVar("Step", bound=AllocationProblem)


class Found(NamedTuple):
    """What a sequence came to.

    Attributes
    ----------
    answer
        To the problem.
    left
        What it leaves for the next one to start from, None where that is nothing.
    gap
        What the answer's duals prove; infinite where that is nothing.
    """

    answer: Answer
    left: Any
    gap: float


def carried_out(steps: Generator[Step, Answer, Found], solve: Callable[[Step], Answer]) -> Found:
    """Return what a sequence comes to where ``solve`` answers its problems."""
    try:
        problem = next(steps)
        while True:
            problem = steps.send(solve(problem))
    except StopIteration as end:
        found: Found = end.value
        return found


class Sequences:
    """What the sequences of a session leave for the next ones.

    Parameters
    ----------
    tolerance
        Largest relative gap that is good enough.
    remembers
        Whether a sequence starts from what the last one of its family left.
    """

    def __init__(self, tolerance: float, *, remembers: bool) -> None:
        self._tolerance, self._remembers = tolerance, remembers
        self._left: dict[type[AllocationProblem], Any] = {}

    def takes(self, problem: AllocationProblem) -> bool:
        """Return whether ``problem`` is of a family that is solved by a sequence of others."""
        return SEQUENCE.get(type(problem)) is not None

    def answer(self, problem: AllocationProblem, solve: Callable[[AllocationProblem], Answer]) -> Answer:
        """Return the answer to ``problem``, of which ``solve`` answers each step."""
        left = self._left.pop(type(problem), None)  # whatever interrupts this solve, the next one starts afresh
        found = carried_out(SEQUENCE.of(problem)(problem, left, self._tolerance), solve)
        if self._remembers:
            self._left[type(problem)] = found.left
        return found.answer
