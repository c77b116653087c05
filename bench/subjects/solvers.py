"""Backends on tapes of both scales: distinct rounds in order, each walk in a session of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from phasewise.bench.subjects.api import Case, require
from phasewise.bench.suite_tapes import Scale, suite_tape
from phasewise.profiling.jit.prepare import prepare
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Solution
from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.families.max_min import MAX_MIN, MaxMinProblem
from phasewise.solvers.problems import AllocationProblem, narrowed
from phasewise.solvers.session import Walk
from phasewise.solvers.tapes import Tape

# The largest gap that a walk may show: what each method promises with its default tolerances.
EXACT_GAP: Final = 1e-9
GENERAL_GAP: Final = 1e-6
SPLITTING_GAP: Final = 1e-3

# Problems of a walk: fewer for what takes longer, so that all cases together stay within minutes.
PROBLEMS: Final[Mapping[Scale, Mapping[str, int]]] = {
    Scale.PHILLY: {
        "auto": 60,
        "highs-direct": 60,
        "highs-warm": 60,
        "structured": 60,
        "single-type": 60,
        "water-filling": 40,
        "cvxpy-dpp:CLARABEL": 20,
        "cvxpy-dpp:ECOS": 20,
        "cvxpy-dpp:HIGHS": 15,
        "cvxpy-dpp:SCS": 15,
        "cvxpy-fresh:CLARABEL": 15,
        "cvxpy-fresh:ECOS": 15,
        "cvxpy-fresh:HIGHS": 15,
        "cvxpy-fresh:SCS": 15,
    },
    Scale.ALIBABA: {
        "auto": 50,
        "highs-direct": 4,
        "highs-warm": 20,
        "structured": 50,
        "single-type": 50,
        "water-filling": 10,
        "cvxpy-fresh:CLARABEL": 2,
        "cvxpy-fresh:ECOS": 3,
        "cvxpy-fresh:HIGHS": 2,
        "cvxpy-fresh:SCS": 1,
    },
}
REPEATS: Final[Mapping[tuple[Scale, str], int]] = {(Scale.ALIBABA, "cvxpy-fresh:SCS"): 1}  # 20 s a problem

_PACKS: Final = "jobs on the tapes share with nobody; its case is solvers/packed/by-kinds"
_TOO_LARGE: Final = "1,700 jobs x 7 types are more entries than the 12,288 it compiles for"
LEFT_OUT: Final[Mapping[Scale, Mapping[str, str]]] = {
    Scale.PHILLY: {"by-kinds": _PACKS},
    Scale.ALIBABA: {
        "by-kinds": _PACKS,
        **{f"cvxpy-dpp:{native}": _TOO_LARGE for native in ("CLARABEL", "ECOS", "HIGHS", "SCS")},
    },
}
"""Backends that no case is for, and why."""


@dataclass
class TapeSubject:
    """A backend on the first problems of a tape."""

    solver: str
    problems: Sequence[AllocationProblem]

    def prepare(self) -> Callable[[], list[Solution]]:
        """Return the walk over the problems, in a fresh session."""
        walk = Walk.of(self.solver, {}, PhaseTimer())
        prepare(walk.solver.kernels(frozenset(problem.family for problem in self.problems)))
        problems = [problem.anew() for problem in self.problems]
        return lambda: [walk.solve(problem) for problem in problems]

    def check(self, answer: list[Solution]) -> None:
        """Check that each problem has an answer, and how good it is proven to be."""
        require(len(answer) == len(self.problems), "a problem has no answer")
        if not registry.is_exact(registry.get(self.solver)):
            return  # a heuristic: the certifier has made its answer feasible, and says what it gives up
        native = self.solver.rpartition(":")[2]
        allowed = {self.solver: EXACT_GAP, "SCS": SPLITTING_GAP}.get(native, GENERAL_GAP)
        worst = max((solution.gap for solution in answer if solution.gap is not None), default=0.0)
        require(worst <= allowed, f"the worst proven gap is {worst:.1e}; allowed: {allowed:.0e}")

    def counters(self, answer: list[Solution]) -> Mapping[str, float]:
        """Return iterations, rebuilds, and the size of the problems."""
        return {
            "iterations": sum(solution.iterations for solution in answer),
            "rebuilds": sum(solution.rebuild is not None for solution in answer),
            "jobs": sum(problem.rows for problem in self.problems),  # an answer with teams has rows of its own
            "nonzeros": sum(int(problem.allowed_mask.sum()) for problem in self.problems),
        }

    def sizes(self, answer: list[Solution]) -> Mapping[str, float]:
        """Return nothing: `counters` has it all."""
        return {}


def taped(scale: Scale, solver: str, count: int) -> TapeSubject:
    """Return the subject of a backend on the tape of a scale, which is made first where it is not there.

    A backend for the lexicographic family alone gets the same rounds as problems of that family.
    """
    problems: list[AllocationProblem] = list(islice(Tape(suite_tape(scale)), count))
    if MAX_MIN not in registry.get(solver).families:
        problems = [_filled(each) for each in problems]
    return TapeSubject(solver, problems)


def _filled(problem: AllocationProblem) -> AllocationProblem:
    stated = narrowed(problem, MaxMinProblem)
    return LexicographicProblem(stated.gain, stated.scale_factor, stated.capacity, stated.allowed, stated.keys)


def cases() -> Iterator[Case]:
    """Yield a case a backend and scale, of the backends that are installed."""
    installed = {each.name for each in registry.describe() if each.installed}
    for scale, counts in PROBLEMS.items():
        for solver, count in counts.items():
            if solver in installed:
                shorter = lambda count, scale=scale, solver=solver: taped(scale, solver, count)  # noqa: E731
                make = lambda shorter=shorter, count=count: shorter(count)  # noqa: E731
                repeats = REPEATS.get((scale, solver))
                yield Case(f"solvers/{scale}/{solver}", count, "problem", make, shorter, repeats)


def left_out() -> Iterator[tuple[str, str]]:
    """Yield the name that a case would have, and why there is none."""
    for scale, reasons in LEFT_OUT.items():
        yield from ((f"solvers/{scale}/{solver}", reason) for solver, reason in reasons.items())
