"""`highs-warm`: HiGHS starting each round from the basis of the last one, job by job, on the columns that matter.

Of the last round two things are kept: the basis, see `phasewise.solvers.basis`, and which pairs of job and type were
worth what they cost, or nearly. The others are left out of the model that HiGHS gets; where the prices that come of it
say that one is missed, it joins. At 1,700 jobs x 6 types a solve without any iteration costs HiGHS 4 to 5 ms, all of it
for passing over rows and columns, so that few columns are a saving of their own. The model is handed over whole each
round: it takes 1.5 ms with every column.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, ClassVar, Final, NamedTuple

import numpy as np

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, State, Status
from phasewise.solvers.basis import (
    LOWER,
    Basis,
    SolvedBasis,
    basis_of,
    carried,
    level_rises,
    solved,
    starting_basis,
)
from phasewise.solvers.crash import starting_point
from phasewise.solvers.errors import OptionError
from phasewise.solvers.families.max_min import MAX_MIN, MAX_MIN_SWITCHING, MaxMinProblem
from phasewise.solvers.forms.tables import CARRY, Carry, sequenced, to_lp
from phasewise.solvers.highs import HighsModel, HighsOutcome
from phasewise.solvers.lp import LinearProgram, reduced_gains, restrict
from phasewise.solvers.problems import AllocationProblem, Bools, Floats, Ints, narrowed, refuse_pairs
from phasewise.solvers.rows import Keys, known_again
from phasewise.solvers.sequences import Sequences

_PRIMAL: Final = 4
_DUAL: Final = 1
_DEVEX: Final = 1  # the steepest edge weights of a basis that is not all slacks take longer than the solve
_METHODS: Final = frozenset({"choose", "simplex"})
_LEAST_SHARE: Final = 0.5  # of the jobs: with fewer of the last round's, a start from nothing is as good
_CAP: Final = 500  # iterations from a carried basis, and one more a job
_CAP_OF_A_GUESS: Final = 100  # and one more for every four jobs
_FEW: Final = 2000  # pairs: with fewer, leaving columns out costs more than it saves
_NEAR: Final = 0.1  # of what a pair is worth; 0.02 misses more columns, 0.3 takes more along than it saves
_MISSED: Final = 1e-9  # in units of the LP's objective, which is near the number of jobs
_PASSES: Final = 4  # after which all columns take part


class HighsWarm:
    """A live HiGHS that starts each solve from the last basis, carried over job by job."""

    name: ClassVar[str] = "highs-warm"
    aliases: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[Mapping[str, str]] = {"highspy": "highspy"}
    limits: ClassVar[str] = "fast if most jobs are unchanged since the last solve; otherwise like highs-direct"
    tolerance: ClassVar[float] = 1e-9

    @property
    def families(self) -> frozenset[str]:
        """Max-min, every family that is solved in a sequence of such problems, and those that carry their basis."""
        own = CARRY.families | {MAX_MIN, MAX_MIN_SWITCHING}
        return own | sequenced(own)

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> HighsWarmSession:
        """Return a session; raise `OptionError` where HiGHS rejects an option, or one asks for no basis."""
        return HighsWarmSession(self.name, options, timer)


@dataclass(frozen=True, slots=True)
class _Start:
    """Where a solve starts from, and how far it may go.

    Attributes
    ----------
    basis
        None for HiGHS' own: all slacks.
    strategy
        The simplex method, as HiGHS numbers them.
    cap
        Most iterations, None for the user's limit; then it is the last one to be tried.
    rebuild
        Why nothing was carried over, None where it was.
    pairs
        (J, W) the pairs whose columns of x take part from the beginning; None for all.
    """

    basis: Basis | None
    strategy: int
    cap: int | None = None
    rebuild: RebuildReason | None = None
    pairs: Bools | None = None


@dataclass(frozen=True, slots=True)
class _Found:
    """What a start led to.

    Attributes
    ----------
    program
        The program that was solved last, of which ``outcome`` is.
    wasted
        Iterations before that one.
    basis
        Of the whole program, None where there is no optimum.
    near
        As `Left` has it.
    """

    program: LinearProgram
    outcome: HighsOutcome
    wasted: int
    basis: Basis | None = None
    near: Bools | None = None


class Left(NamedTuple):
    """What a round leaves to the next.

    Attributes
    ----------
    solved
        Its basis, None where it found no optimum.
    near
        (J, W) the pairs that were worth, or nearly worth, what they cost; None where the model is small.
    """

    solved: SolvedBasis | None
    near: Bools | None = None


class Parted(NamedTuple):
    """What a round leaves to the next, of a family that says how its basis is taken apart by rows.

    Attributes
    ----------
    family, keys, rows, types
        Of its problem.
    left
        Its basis, as the family's form for that has it.
    """

    family: str
    keys: Keys | None
    rows: int
    types: int
    left: Any


class HighsWarmSession:
    """One live HiGHS object, to which each round's model and basis are handed over whole.

    An option ``simplex_strategy`` holds for every solve. Without it a fresh start, which is primal feasible, is solved
    by the primal method and a carried basis by the dual one.
    """

    def __init__(self, name: str, options: Mapping[str, object], timer: PhaseTimer) -> None:
        self._model = HighsModel(name, {"simplex_dual_edge_weight_strategy": _DEVEX, **options})
        method = self._model.option("solver")
        if method not in _METHODS:
            raise OptionError(
                f"{name}: option solver={method!r} keeps no basis; it takes one of {', '.join(sorted(_METHODS))}; "
                "for other methods choose highs-direct"
            )
        self._chooses_strategy = "simplex_strategy" not in options
        self._most_iterations = int(str(self._model.option("simplex_iteration_limit")))
        self._timer = timer
        self._sequences = Sequences(HighsWarm.tolerance, timer, remembers=True)

    def solve(self, problem: AllocationProblem, state: State = None) -> tuple[Answer, State]:
        """Return HiGHS' answer with its duals, and its basis; where the last one leads nowhere, it starts afresh."""
        if self._sequences.takes(problem):
            return self._sequences.answer(problem, state, self.solve)
        if (carry := CARRY.get(type(problem))) is not None:
            refuse_pairs(problem)
            return self._carried_on(problem, carry(), state if isinstance(state, Parted) else None)
        problem = narrowed(problem, MaxMinProblem)
        with self._timer.phase(Phase.LP_BUILD):
            lp = to_lp(problem)
            starts = _starts(problem, lp, state if isinstance(state, Left) else None)
        wasted = 0
        while True:
            with self._timer.phase(Phase.LP_BUILD):
                start = next(starts)
            found = self._attempt(lp, start)
            wasted += found.wasted
            if found.outcome.status is Status.OPTIMAL or start.cap is None:
                break
            wasted += found.outcome.iterations
        answer = found.outcome.answer(found.program, start.rebuild, wasted)
        columns, prices = found.outcome.columns, answer.duals.capacity if answer.duals is not None else None
        if columns is None or found.basis is None or prices is None:
            return answer, Left(None)
        level = float(columns[found.program.columns["level"]][0]) * lp.scale
        return answer, Left(solved(problem, lp, found.basis, level, prices), found.near)

    def _carried_on(
        self, problem: AllocationProblem, carry: Carry, last: Parted | None
    ) -> tuple[Answer, Parted | None]:
        """Return the answer to a problem whose family says how its basis is carried, and what it leaves."""
        with self._timer.phase(Phase.LP_BUILD):
            lp = to_lp(problem)
            rebuild, basis = RebuildReason.FIRST if last is None else _other(last, problem), None
            if last is not None and rebuild is None:
                source = known_again(problem.keys, problem.rows, last.keys, last.rows)
                if (source >= 0).sum() < _LEAST_SHARE * max(problem.rows, last.rows):
                    rebuild = RebuildReason.CHANGED
                else:
                    basis = carry.start(problem, lp, last.left, source)
        wasted = 0
        for start, cap in ((basis, _CAP + problem.rows), (None, None)) if basis is not None else ((None, None),):
            with self._timer.phase(Phase.LP_BUILD):
                self._prepare(lp, start, _DUAL if start is not None else _PRIMAL, cap)
            with self._timer.phase(Phase.LP_SOLVE):
                self._model.run()
            outcome = self._model.outcome()
            if cap is None or outcome.status in (Status.OPTIMAL, Status.INFEASIBLE):
                break
            wasted, rebuild = outcome.iterations, RebuildReason.STALLED
        answer = outcome.answer(lp, rebuild, wasted)
        own = None if outcome.columns is None else self._basis(lp, lp, outcome.columns)
        if own is None or answer.duals is None or answer.duals.capacity is None:
            return answer, None
        left = carry.leave(problem, lp, own, answer.duals.capacity)
        return answer, Parted(problem.family, problem.keys, problem.rows, problem.types, left)

    def _attempt(self, lp: LinearProgram, start: _Start) -> _Found:
        """Return what ``start`` leads to; columns that were left out join where the prices say that they are missed."""
        basis, pairs, strategy = start.basis, start.pairs, start.strategy
        wasted = passes = 0
        while True:
            with self._timer.phase(Phase.LP_BUILD):
                program = lp if pairs is None else restrict(lp, np.flatnonzero(pairs))
                self._prepare(program, _part(basis, lp, program), strategy, start.cap)
            with self._timer.phase(Phase.LP_SOLVE):
                self._model.run()
            outcome = self._model.outcome()
            if outcome.columns is None or outcome.row_duals is None:
                return _Found(program, outcome, wasted)
            with self._timer.phase(Phase.LP_SOLVE):
                basis = self._basis(lp, program, outcome.columns)
                if lp.shape[0] * lp.shape[1] < _FEW:
                    return _Found(program, outcome, wasted, basis)
                worth, gain = reduced_gains(lp, outcome.row_duals)
                missed = np.False_ if pairs is None else (gain > _MISSED) & ~pairs
            if pairs is None or not missed.any():
                return _Found(program, outcome, wasted, basis, (gain > -_NEAR * worth) & (worth > 0.0))
            passes += 1
            pairs, strategy = pairs | missed if passes < _PASSES else None, _PRIMAL  # what is found is primal feasible
            wasted += outcome.iterations

    def _basis(self, lp: LinearProgram, program: LinearProgram, columns: Floats) -> Basis | None:
        """Return the basis of the last run, the columns that took no part at their lower bounds."""
        basic = self._model.basic_variables()
        if basic is None:
            return None
        own = basis_of(program, basic, columns)
        if program.pairs["x"] is None:
            return own
        whole = np.full(lp.cost.size, LOWER)
        for name, place in _places(lp, program).items():
            whole[place] = own.columns[program.columns[name]]
        return Basis(whole, own.rows)

    def _prepare(self, program: LinearProgram, basis: Basis | None, strategy: int, cap: int | None) -> None:
        """Hand over the model, the basis and the limits."""
        self._model.load(program)
        if basis is not None:
            self._model.start_from(basis)
        if self._chooses_strategy:
            self._model.set_option("simplex_strategy", strategy)
        most = self._most_iterations if cap is None else min(cap, self._most_iterations)
        self._model.set_option("simplex_iteration_limit", most)


def _other(last: Parted, problem: AllocationProblem) -> RebuildReason | None:
    """Return why a basis is not one for ``problem``, None where it is."""
    if last.types != problem.types:
        return RebuildReason.TYPES
    return RebuildReason.FAMILY if last.family != problem.family else None


def _part(basis: Basis | None, lp: LinearProgram, program: LinearProgram) -> Basis | None:
    """Return the part of a basis of the whole program that belongs to the columns of ``program``."""
    if basis is None or program.pairs["x"] is None:
        return basis
    part = np.empty(program.cost.size, dtype=basis.columns.dtype)
    for name, place in _places(lp, program).items():
        part[program.columns[name]] = basis.columns[place]
    return Basis(part, basis.rows)


def _places(lp: LinearProgram, program: LinearProgram) -> dict[str, Ints]:
    """Return where the columns of each block of ``program``, a part of ``lp``, are in ``lp``."""
    places = {name: np.arange(block.start, block.stop) for name, block in lp.columns.items()}
    return {**places, "x": places["x"][program.pairs["x"]]}


def _starts(problem: MaxMinProblem, lp: LinearProgram, last: Left | None) -> Iterator[_Start]:
    """Yield where to start from, the most promising first, until one leads to the optimum."""
    rebuild: RebuildReason | None = RebuildReason.FIRST if last is None else RebuildReason.FAILED
    if last is not None and last.solved is not None:
        source = known_again(problem.keys, problem.rows, last.solved.keys, last.solved.gain_rows.size)
        rebuild = _unlike(last.solved, source, problem)
        if rebuild is None:
            near = None if last.near is None else last.near[source] | (source < 0)[:, None]
            yield from _carried_starts(last.solved, source, problem, lp, near)
            rebuild = RebuildReason.STALLED
    point = starting_point(problem)
    yield _Start(None if point is None else starting_basis(point, lp), _PRIMAL, rebuild=rebuild)


def _unlike(last: SolvedBasis, source: Ints, problem: AllocationProblem) -> RebuildReason | None:
    """Return why the last basis is of no use to ``problem``, or None where it is."""
    if last.prices.size != problem.types:
        return RebuildReason.TYPES
    if last.family != problem.family:
        return RebuildReason.FAMILY
    if (source >= 0).sum() < _LEAST_SHARE * max(problem.rows, last.gain_rows.size):
        return RebuildReason.CHANGED
    return None


def _carried_starts(
    last: SolvedBasis, source: Ints, problem: MaxMinProblem, lp: LinearProgram, near: Bools | None
) -> Iterator[_Start]:
    """Yield the last basis; with a movement cost for the way the level is expected to go, then for the other way."""

    def start(cap: int) -> _Start:
        basis = carried(last, source, problem, lp, rises)
        used = (basis.columns[lp.columns["x"]] != LOWER).reshape(lp.shape)
        return _Start(basis, _DUAL, cap, pairs=None if near is None else near | used)

    rises = level_rises(last, source, problem)
    if rises is not None:
        yield start(_CAP_OF_A_GUESS + problem.jobs // 4)
        rises = not rises
    yield start(_CAP + problem.jobs)


BACKENDS: Final = (HighsWarm(),)
