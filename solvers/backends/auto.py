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
from typing import TYPE_CHECKING, Any, ClassVar, Final, NamedTuple

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import (
    Answer,
    Fallback,
    Infeasible,
    Solution,
    SolverBackend,
    SolverSession,
    State,
    Status,
    parted,
)
from phasewise.solvers.certify import Judge, Rejection, Verdict
from phasewise.solvers.errors import OptionError, SolverError, UnknownBackendError, UnsupportedProblemError
from phasewise.solvers.native import is_native
from phasewise.solvers.problems import AllocationProblem, Traits
from phasewise.solvers.registry import Scope

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

TABLE: Final = Path(__file__).with_name("auto_table.toml")
FALLBACK: Final = ("structured", "by-kinds", "highs-warm", "highs-direct", "water-filling", "cvxpy-fresh:CLARABEL")
"""The order where the table has no entry for a family."""

ADVANTAGE: Final = 0.8  # of the present backend's time; less of a difference is not worth a cold start
PATIENCE: Final = 3  # problems in a row for which another backend must be ahead
FURTHER: Final = 3
"""Backends that are asked after one whose answer is good enough to stand at need; later ones take seconds."""

_UNLIKE: Final = 1.0  # distance of points that differ in a trait; that of a factor e in the number of jobs


def distance(one: Traits, other: Traits) -> float:
    """Return how unlike problems with these traits are; infinite across families."""
    if one.family != other.family:
        return math.inf
    size = abs(math.log(max(1, one.rows) / max(1, other.rows))) + abs(math.log(one.types / other.types))
    return size + _UNLIKE * ((one.linear != other.linear) + 0.5 * (one.gangs != other.gangs))


@dataclass(frozen=True, slots=True)
class MeasuredPoint:
    """One measured point: where, and the CPU milliseconds a problem of each backend there."""

    traits: Traits
    cpu_ms: Mapping[str, float]


def load_table(path: Path = TABLE) -> tuple[MeasuredPoint, ...]:
    """Return the measured points; raise `OptionError` where the file cannot be read or holds anything else."""
    try:
        with path.open("rb") as file:
            entries: list[dict[str, Any]] = tomllib.load(file)["point"]
        return tuple(
            MeasuredPoint(
                Traits(
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


def ranking(traits: Traits, table: tuple[MeasuredPoint, ...], among: Mapping[str, Scope]) -> dict[str, float]:
    """Return the backends to try, best first, with their CPU milliseconds at the nearest point of ``table``.

    Those of `FALLBACK` that were not measured there come last, as infinitely slow; where the family is in no table, so
    do all others. ``among`` are the backends that there are to choose from, see `choices`.
    """
    near = min(table, key=lambda point: distance(point.traits, traits), default=None)
    measured: Mapping[str, float] = {}
    if near is not None and near.traits.family == traits.family:
        measured = near.cpu_ms
    ranked = dict(sorted(measured.items(), key=lambda item: item[1]))
    ranked.update({name: math.inf for name in FALLBACK if name not in ranked})
    if not measured:
        ranked.update({name: math.inf for name in among if name not in ranked})
    taking = {name for name, scope in among.items() if scope.refusal(traits.family, pairs=traits.pairs) is None}
    return {name: ms for name, ms in ranked.items() if name in taking}


def exact_backends() -> dict[str, SolverBackend]:
    """Return every exact backend that is installed, by name."""
    backends = [registry.get(name) for name in registry.names() if name != Auto.name]
    return {backend.name: backend for backend in backends if registry.is_exact(backend)}


def choices() -> dict[str, Scope]:
    """Return what every exact backend takes that is installed, by name."""
    return {name: Scope.of(backend) for name, backend in exact_backends().items()}


class Auto:
    """The quickest backend for the problem at hand, by a measured table."""

    name: ClassVar[str] = "auto"
    aliases: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[Mapping[str, str]] = {"highspy": "highspy"}
    limits: ClassVar[str] = (
        "chooses an exact backend by problem size and structure, and reports its choice; takes no options"
    )
    tolerance: ClassVar[float] = 1e-9
    pairs: ClassVar[bool] = True

    @property
    def families(self) -> frozenset[str]:
        """Whatever an exact backend takes that is installed."""
        return frozenset[str]().union(*(backend.families for backend in exact_backends().values()))

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
        return [each for backend in exact_backends().values() for each in registry.kernels(backend, families)]


class Left(NamedTuple):
    """What a problem leaves to the next.

    Attributes
    ----------
    present
        The backend in use, by family.
    ahead
        Problems in a row for which another one was ahead.
    inner
        What each backend left that was ever asked, by its name.
    """

    present: tuple[tuple[str, str], ...] = ()
    ahead: int = 0
    inner: tuple[tuple[str, State], ...] = ()


class AutoSession:
    """One session of each backend that was ever picked.

    Parameters
    ----------
    timer
        Shared by all of them.
    table
        What the choice is made from.
    """

    def __init__(self, timer: PhaseTimer, table: tuple[MeasuredPoint, ...]) -> None:
        self._timer, self._table = timer, table
        self._sessions: dict[str, SolverSession] = {}
        among = choices()  # looked up once: it asks the file system what is installed
        self._ranking = lru_cache(maxsize=64)(lambda traits: ranking(traits, table, among))

    def pick(self, problem: AllocationProblem, judge: Judge, state: State = None) -> tuple[Verdict, State]:
        """Return the result of the backend that is picked; where ``judge`` refuses its answer, of the next.

        An answer that calls itself inaccurate and comes without a proof stands where no other is proven. Of answers
        that are refused, the one nearest to being accepted counts, once `FURTHER` more backends did no better.
        """
        verdict, _, left = self._pick(problem, judge, state)
        return verdict, left

    def solve(self, problem: AllocationProblem, state: State = None) -> tuple[Answer, State]:
        """Return the answer that `pick` takes, or the last that it had."""
        _, answer, left = self._pick(problem, Judge(problem, Auto.name), state)
        return answer, left

    def _pick(self, problem: AllocationProblem, judge: Judge, state: State) -> tuple[Verdict, Answer, Left]:
        """Return the verdict that counts, the answer that it is on, and what is left."""
        ranked = self._ranking(problem.traits)
        if not ranked:
            pairs = " with rows of two jobs" if problem.traits.pairs else ""
            raise UnsupportedProblemError(f"no installed backend takes problem family {problem.family!r}{pairs}")
        last = state if isinstance(state, Left) else Left()
        first, present, ahead = _settled(problem.family, ranked, last)
        inner = dict(last.inner)
        passed: list[Fallback] = []
        best: tuple[Verdict, Answer, int] | None = None
        further = 0
        for name in (first, *(other for other in ranked if other != first)):
            if best is not None and _nearness(best[0]) < math.inf:
                further += 1
                if further > FURTHER:
                    break
            said, inner[name] = self._answer(name, problem, inner.get(name))
            answer = replace(said, solved_by=said.solved_by or name, fallbacks=tuple(passed))
            verdict = judge(answer)
            if _is_proven(verdict, answer):
                return verdict, answer, Left(present, ahead, tuple(inner.items()))
            if best is None or _nearness(verdict) < _nearness(best[0]):
                best = verdict, answer, len(passed)
            passed.append(Fallback(name, _reason(verdict)))
        assert best is not None  # as there are backends to ask
        return *_standing(judge, *best, passed), Left(present, ahead, tuple(inner.items()))

    def _answer(self, name: str, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        """Return the answer of one backend, and what it leaves; nothing where it raises.

        A native solver that raises has failed. A defect, which is what anything else is that it raises, is let through:
        another backend's answer would hide it.
        """
        backend = registry.get(name)
        left: State = None
        try:
            if name not in self._sessions:
                self._sessions[name] = self._opened(backend)
            answer, left = parted(self._sessions[name].solve(problem, state))
        except SolverError as error:
            answer = Answer(Status.FAILED, None, note=str(error))
        except BaseException as error:
            if not is_native(error, backend, self._sessions.get(name)):
                raise
            answer = Answer(Status.FAILED, None, note=f"raised {type(error).__name__}: {error}")
        if not isinstance(answer, Answer):  # a plug-in's code is not type-checked here
            answer = Answer(Status.FAILED, None, note=f"returned {type(answer).__name__}, not an Answer")
        return answer, left

    def _opened(self, backend: SolverBackend) -> SolverSession:
        try:
            return backend.open({}, self._timer)
        except (ImportError, OSError) as error:  # the native library cannot be loaded
            raise UnknownBackendError(f"cannot be opened: {type(error).__name__}: {error}") from error


def _settled(family: str, ranked: Mapping[str, float], last: Left) -> tuple[str, tuple[tuple[str, str], ...], int]:
    """Return the backend to use, the present one of each family from now on, and how long another has been ahead.

    It is the present one unless another has been ahead for long enough.
    """
    present, ahead = dict(last.present), last.ahead
    best, own = next(iter(ranked)), present.get(family)
    if own is None or own not in ranked:
        ahead = PATIENCE
    elif best != own and ranked[best] < ADVANTAGE * ranked[own]:
        ahead += 1
    else:
        ahead = 0
    if ahead >= PATIENCE:
        present[family], ahead = best, 0
    return present[family], tuple(present.items()), ahead


def _is_proven(verdict: Verdict, answer: Answer) -> bool:
    """Return whether nobody else need be asked."""
    if isinstance(verdict, Solution):
        return answer.status is Status.OPTIMAL or verdict.gap is not None
    return isinstance(verdict, Infeasible)


def _standing(
    judge: Judge, verdict: Verdict, answer: Answer, at: int, passed: list[Fallback]
) -> tuple[Verdict, Answer]:
    """Return the verdict that stands where no answer was proven: it knows of all others that were passed over."""
    reasons = "; ".join(f"{each.backend}: {each.reason}" for each in passed)
    if isinstance(verdict, Rejection) and verdict.lesser is None:
        return Rejection(reasons), replace(answer, note=reasons)
    answer = replace(answer, fallbacks=(*passed[:at], *passed[at + 1 :]))
    verdict = judge(answer)
    return (replace(verdict, reason=reasons) if isinstance(verdict, Rejection) else verdict), answer


def _reason(verdict: Verdict) -> str:
    """Return why an answer was passed over."""
    return verdict.reason if isinstance(verdict, Rejection) else "inaccurate by its own word, and without a proof"


def _nearness(verdict: Verdict) -> float:
    """Return how far a verdict is from a proven solution: 0 without a proof, the gap, infinite where nothing stands."""
    if isinstance(verdict, Infeasible):
        return 0.0
    standing = verdict if isinstance(verdict, Solution) else verdict.lesser
    return math.inf if standing is None else standing.gap or 0.0


BACKENDS: Final = (Auto(),)
