"""`auto`: picks a backend by the size and structure of the problem, from measured times, and says which.

The table `auto_table.toml` beside this file holds CPU times of this project's backends, measured at several points;
`python -m phasewise.bench.calibrate_auto` measures it anew on any machine. Of the table's points the one nearest to the
problem ranks the backends; a backend that is not installed, is no longer registered, does not take the family or is a
heuristic is passed over. Sessions once opened are kept, and a change needs a clear advantage, several problems long:
a session that has just been left would start cold.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar, Final

import numpy as np

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.api import Answer, Fallback, Solution, SolverBackend, SolverSession, Status
from phasewise.solvers.certify import Judge, Rejection
from phasewise.solvers.errors import OptionError, SolverError, UnknownBackendError, UnsupportedProblemError
from phasewise.solvers.lexicographic import LEXICOGRAPHIC
from phasewise.solvers.native import is_native
from phasewise.solvers.problems import MAX_MIN, MAX_MIN_SWITCHING, Problem

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

TABLE: Final = Path(__file__).with_name("auto_table.toml")
FALLBACK: Final = ("structured", "highs-warm", "highs-direct", "water-filling", "cvxpy-fresh:CLARABEL")
"""The order where the table has no entry for a family."""

ADVANTAGE: Final = 0.8  # of the present backend's time; less of a difference is not worth a cold start
PATIENCE: Final = 3  # problems in a row for which another backend must be ahead
FURTHER: Final = 3
"""Backends that are asked after one whose answer is good enough to stand at need; later ones take seconds."""

_UNLIKE: Final = 1.0  # distance of points that differ in a trait; that of a factor e in the number of jobs


@dataclass(frozen=True, slots=True)
class Structure:
    """What a choice depends on.

    Attributes
    ----------
    family
        Of the problem.
    linear
        Whether the mean gain counts.
    gangs
        Whether jobs differ in their number of GPUs.
    jobs, types
        J and W.
    """

    family: str
    linear: bool
    gangs: bool
    jobs: int
    types: int

    @classmethod
    def of(cls, problem: Problem) -> Structure:
        """Return the structure of ``problem``."""
        gangs = bool(np.ptp(problem.scale_factor) > 0.0) if problem.jobs else False
        return cls(problem.family, problem.linear_weight > 0.0, gangs, problem.jobs, problem.types)

    def distance(self, other: Structure) -> float:
        """Return how unlike two structures of a family are; infinite across families."""
        if self.family != other.family:
            return math.inf
        size = abs(math.log(max(1, self.jobs) / max(1, other.jobs))) + abs(math.log(self.types / other.types))
        return size + _UNLIKE * ((self.linear != other.linear) + 0.5 * (self.gangs != other.gangs))


@dataclass(frozen=True, slots=True)
class Point:
    """One measured point: where, and the CPU milliseconds a problem of each backend there."""

    structure: Structure
    cpu_ms: Mapping[str, float]


def load_table(path: Path = TABLE) -> tuple[Point, ...]:
    """Return the measured points; raise `OptionError` where the file cannot be read or holds anything else."""
    try:
        with path.open("rb") as file:
            entries: list[dict[str, Any]] = tomllib.load(file)["point"]
        return tuple(
            Point(
                Structure(
                    str(entry["family"]), bool(entry["linear"]), bool(entry["gangs"]), entry["jobs"], entry["types"]
                ),
                {str(name): float(ms) for name, ms in entry["cpu_ms"].items()},
            )
            for entry in entries
        )
    except (OSError, tomllib.TOMLDecodeError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise OptionError(
            f"auto: cannot use the table {path}: {error}; python -m phasewise.bench.calibrate_auto makes it anew"
        ) from error


def ranking(structure: Structure, table: tuple[Point, ...], families: Mapping[str, frozenset[str]]) -> dict[str, float]:
    """Return the backends to try, best first, with their CPU milliseconds at the nearest point of ``table``.

    Those of `FALLBACK` that were not measured there come last, as infinitely slow. ``families`` says which backends
    there are to choose from, and what each takes; see `choices`.
    """
    near = min(table, key=lambda point: point.structure.distance(structure), default=None)
    measured: Mapping[str, float] = {}
    if near is not None and near.structure.family == structure.family:
        measured = near.cpu_ms
    ranked = dict(sorted(measured.items(), key=lambda item: item[1]))
    ranked.update({name: math.inf for name in FALLBACK if name not in ranked})
    return {name: ms for name, ms in ranked.items() if structure.family in families.get(name, frozenset())}


def choices() -> dict[str, frozenset[str]]:
    """Return the families of every exact backend that is installed, by name."""
    from phasewise.solvers import registry

    backends = [registry.get(name) for name in registry.names() if name != Auto.name]
    return {backend.name: backend.families for backend in backends if registry.is_exact(backend)}


class Auto:
    """The quickest backend for the problem at hand, by a measured table."""

    name: ClassVar[str] = "auto"
    aliases: ClassVar[tuple[str, ...]] = ()
    families: ClassVar[frozenset[str]] = frozenset({MAX_MIN, MAX_MIN_SWITCHING, LEXICOGRAPHIC})
    requires: ClassVar[Mapping[str, str]] = {"highspy": "highspy"}
    limits: ClassVar[str] = "picks an exact backend by size and structure and says which; takes no options"
    tolerance: ClassVar[float] = 1e-9

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> AutoSession:
        """Return a session; raise `OptionError` for any option: they are those of the backends it picks."""
        if options:
            got = ", ".join(f"{key}={value!r}" for key, value in options.items())
            raise OptionError(
                f"{self.name}: takes no options, as each backend it may pick has its own; got {got}; leave them out "
                "(--solver-kwargs '{}'), or name the backend they are for (--solver NAME; `phasewise list solvers`)"
            )
        return AutoSession(timer, load_table())

    def kernels(self, families: frozenset[str]) -> list[Wanted]:
        """Return the kernels of every backend that it may pick for these families."""
        from phasewise.solvers import registry

        return [each for name in choices() for each in registry.kernels(registry.get(name), families)]


class AutoSession:
    """One session of each backend that was ever picked.

    Parameters
    ----------
    timer
        Shared by all of them.
    table
        What the choice is made from.
    """

    def __init__(self, timer: PhaseTimer, table: tuple[Point, ...]) -> None:
        self._timer, self._table = timer, table
        self._sessions: dict[str, SolverSession] = {}
        self._present: dict[str, str] = {}  # the backend in use, by family
        self._ahead = 0  # problems in a row for which another was ahead
        families = choices()  # looked up once: it asks the file system what is installed
        self._ranking = lru_cache(maxsize=64)(lambda structure: ranking(structure, table, families))

    def pick(self, problem: Problem, judge: Judge) -> Solution | Rejection:
        """Return the solution of the backend that is picked; where ``judge`` refuses its answer, of the next.

        An answer that calls itself inaccurate and comes without a proof stands where no other is proven. Of answers
        that are refused, the one nearest to being accepted counts, once `FURTHER` more backends did no better.
        """
        return self._pick(problem, judge)[0]

    def solve(self, problem: Problem) -> Answer:
        """Return the answer that `pick` takes, or the last that it had."""
        return self._pick(problem, Judge(problem, Auto.name))[1]

    def _pick(self, problem: Problem, judge: Judge) -> tuple[Solution | Rejection, Answer]:
        """Return the verdict that counts, and the answer that it is on."""
        structure = Structure.of(problem)
        ranked = self._ranking(structure)
        if not ranked:
            raise UnsupportedProblemError(f"no installed backend takes problem family {problem.family!r}")
        first = self._settle(structure, ranked)
        passed: list[Fallback] = []
        best: tuple[Solution | Rejection, Answer, int] | None = None
        further = 0
        for name in (first, *(other for other in ranked if other != first)):
            if best is not None and _nearness(best[0]) < math.inf:
                further += 1
                if further > FURTHER:
                    break
            answer = replace(self._answer(name, problem), fallbacks=tuple(passed))
            verdict = judge(answer)
            if isinstance(verdict, Solution) and (answer.status is Status.OPTIMAL or verdict.gap is not None):
                return verdict, answer
            if best is None or _nearness(verdict) < _nearness(best[0]):
                best = verdict, answer, len(passed)
            passed.append(Fallback(name, _reason(verdict)))
        assert best is not None  # as there are backends to ask
        return _standing(judge, *best, passed)

    def _settle(self, structure: Structure, ranked: Mapping[str, float]) -> str:
        """Return the backend to use, which is the present one unless another has been ahead for long enough."""
        best = next(iter(ranked))
        present = self._present.get(structure.family)
        if present is None or present not in ranked:
            self._ahead = PATIENCE
        elif best != present and ranked[best] < ADVANTAGE * ranked[present]:
            self._ahead += 1
        else:
            self._ahead = 0
        if self._ahead >= PATIENCE:
            self._present[structure.family], self._ahead = best, 0
        return self._present[structure.family]

    def _answer(self, name: str, problem: Problem) -> Answer:
        """Return the answer of one backend, marked with its name; a native solver that raises has failed.

        A defect, which is what anything else is that it raises, is let through: another backend's answer would hide it.
        """
        from phasewise.solvers import registry

        backend = registry.get(name)
        try:
            if name not in self._sessions:
                self._sessions[name] = self._opened(backend)
            answer = self._sessions[name].solve(problem)
        except SolverError as error:
            answer = Answer(Status.FAILED, None, note=str(error))
        except BaseException as error:
            if not is_native(error, backend, self._sessions.get(name)):
                raise
            answer = Answer(Status.FAILED, None, note=f"raised {type(error).__name__}: {error}")
        if not isinstance(answer, Answer):  # a plug-in's code is not type-checked here
            answer = Answer(Status.FAILED, None, note=f"returned {type(answer).__name__}, not an Answer")
        return replace(answer, solved_by=answer.solved_by or name)

    def _opened(self, backend: SolverBackend) -> SolverSession:
        try:
            return backend.open({}, self._timer)
        except (ImportError, OSError) as error:  # the native library cannot be loaded
            raise UnknownBackendError(f"cannot be opened: {type(error).__name__}: {error}") from error


def _standing(
    judge: Judge, verdict: Solution | Rejection, answer: Answer, at: int, passed: list[Fallback]
) -> tuple[Solution | Rejection, Answer]:
    """Return the verdict that stands where no answer was proven: it knows of all others that were passed over."""
    reasons = "; ".join(f"{each.backend}: {each.reason}" for each in passed)
    if isinstance(verdict, Rejection) and verdict.lesser is None:
        return Rejection(reasons), replace(answer, note=reasons)
    answer = replace(answer, fallbacks=(*passed[:at], *passed[at + 1 :]))
    verdict = judge(answer)
    return (replace(verdict, reason=reasons) if isinstance(verdict, Rejection) else verdict), answer


def _reason(verdict: Solution | Rejection) -> str:
    """Return why an answer was passed over."""
    return verdict.reason if isinstance(verdict, Rejection) else "inaccurate by its own word, and without a proof"


def _nearness(verdict: Solution | Rejection) -> float:
    """Return how far a verdict is from a proven solution: 0 without a proof, the gap, infinite where nothing stands."""
    standing = verdict if isinstance(verdict, Solution) else verdict.lesser
    return math.inf if standing is None else standing.gap or 0.0


BACKENDS: Final = (Auto(),)
