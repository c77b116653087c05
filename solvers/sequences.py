"""Families that are solved by a sequence of problems of another family, each of which depends on the answer before.

Such a family has a builder (`phasewise.solvers.forms.tables.SEQUENCE`): a generator that yields problems, is sent their
answers, and returns what they come to. So any backend that solves the other family solves this one as well.
"""

from __future__ import annotations

from collections.abc import Callable, Generator
from typing import Any, NamedTuple, TypeVar

from phasewise.solvers.api import Answer, State
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


class Left(NamedTuple):
    """What a problem leaves to the next, in a session that solves some families by sequences.

    Attributes
    ----------
    direct
        What the last problem left that the session solved itself: a step of a sequence, or a problem of its own.
    sequences
        What the last sequence of each family left, by the name of the class.
    """

    direct: State = None
    sequences: tuple[tuple[str, Any], ...] = ()


class Sequences:
    """Solves, for a session, what it cannot state itself.

    Parameters
    ----------
    tolerance
        Largest relative gap that is good enough.
    solve
        Solves a step, from what the one before it left.
    remembers
        Whether a sequence, and each step, starts from what the last one left; otherwise nothing is left.
    """

    def __init__(
        self,
        tolerance: float,
        solve: Callable[[AllocationProblem, State], tuple[Answer, State]],
        *,
        remembers: bool,
    ) -> None:
        self._tolerance, self._solve, self._remembers = tolerance, solve, remembers

    def takes(self, problem: AllocationProblem) -> bool:
        """Return whether ``problem`` is of a family that is solved by a sequence of others."""
        return SEQUENCE.get(type(problem)) is not None

    def solve(self, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        """Return the answer to ``problem`` by a sequence, and what that leaves."""
        last = state if isinstance(state, Left) else Left()
        family, lefts = problem.families[0], dict(last.sequences)
        direct = last.direct

        def step(stated: AllocationProblem) -> Answer:
            nonlocal direct
            answer, direct = self._solve(stated, direct)
            return answer

        found = carried_out(SEQUENCE.of(problem)(problem, lefts.get(family), self._tolerance), step)
        if not self._remembers:
            return found.answer, None
        return found.answer, Left(direct, tuple({**lefts, family: found.left}.items()))

    def direct(self, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        """Return the session's own answer to ``problem``, and what that leaves."""
        last = state if isinstance(state, Left) else Left()
        answer, direct = self._solve(problem, last.direct)
        return answer, last._replace(direct=direct) if self._remembers else None
