"""A case of the benchmark: work that can be done again and again from the same start, and checked.

A driver asks the subject of a case for a walk, measures it, and has the answer checked outside the measured region:

    subject = case.make()          # once: reads a tape, runs a simulation to where it is interesting
    walk = subject.prepare()       # each time: a fresh session, a fresh state
    answer = walk()                # measured: `case.steps` different instances, one after another
    subject.check(answer)          # raises where the answer is wrong
    subject.counters(answer)       # the same on every machine; the gate judges them
    subject.sizes(answer)          # the same on every machine; for the reader
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Protocol


class SubjectKind(StrEnum):
    """What a case measures."""

    ENGINE = "engine"  # rounds of the whole loop
    SOLVERS = "solvers"  # a backend on a tape
    PLACEMENT = "placement"  # pods of a trace on nodes
    PHASES = "phases"  # one phase of the loop alone


class WrongAnswerError(Exception):
    """What was measured did not do its work."""


class Subject(Protocol):
    """Work to be measured."""

    def prepare(self) -> Callable[[], Any]:
        """Return the walk, from a fresh start."""
        ...

    def check(self, answer: Any) -> None:
        """Raise `WrongAnswerError` where the answer of a walk is wrong."""
        ...

    def counters(self, answer: Any) -> Mapping[str, float]:
        """Return how much work was done: figures that depend on the code alone, and that the gate judges."""
        ...

    def sizes(self, answer: Any) -> Mapping[str, float]:
        """Return what else says how large the work was: figures that nobody judges."""
        ...


@dataclass(frozen=True, slots=True)
class Case:
    """Something to measure.

    Attributes
    ----------
    name
        ``kind/scale/what``.
    steps
        Instances in a walk; a cost is quoted for each.
    unit
        What a step is: a round, a problem, a pod.
    make
        Returns the subject.
    shorter
        Returns a subject of that many steps; None where a walk has to be whole.
    repeats
        How often the suite measures a walk; None for what is usual for the kind.
    """

    name: str
    steps: int
    unit: str
    make: Callable[[], Subject]
    shorter: Callable[[int], Subject] | None = None
    repeats: int | None = None

    @property
    def kind(self) -> SubjectKind:
        """What it measures."""
        return SubjectKind(self.name.split("/")[0])

    @property
    def scale(self) -> str:
        """At which scale."""
        return self.name.split("/")[1]


def require(holds: bool, what: str) -> None:
    """Raise `WrongAnswerError` unless ``holds``."""
    if not holds:
        raise WrongAnswerError(what)
