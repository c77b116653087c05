"""`cvxpy-dpp:*`: CVXPY programs in parameters (DPP), compiled once for a number of job slots and then only filled.

Arrivals and departures change what is in the slots, not the program. Compiling takes time and memory that grow with the
square of the entries (slots x worker types), hence a limit on them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, State, Status
from phasewise.solvers.buckets import LEAST, Bucket, ProgramCache, choose
from phasewise.solvers.cvx_native import NATIVE_SOLVERS, NativeSolver, Start, iterations_of, status_of, verdict_of
from phasewise.solvers.errors import OptionError, UnsupportedProblemError
from phasewise.solvers.forms.tables import SLOTS, sequenced
from phasewise.solvers.problems import AllocationProblem, Ints, refuse_pairs
from phasewise.solvers.rows import Keys, known_again
from phasewise.solvers.sequences import Sequences

if TYPE_CHECKING:
    from phasewise.solvers.cvx_slots import SlotProgram

MAX_ENTRIES: Final = 12_288
"""Slots x worker types up to which programs are compiled: there compiling takes 1.1 s and 1.3 GB at its peak."""

_KEPT_PROGRAMS: Final = 8  # 8 MB each at 10,000 entries


@dataclass(frozen=True)
class CvxpyDpp:
    """One native solver behind parametrised CVXPY programs.

    Attributes
    ----------
    native
        The native solver.
    """

    native: NativeSolver
    aliases: tuple[str, ...] = ()

    @property
    def families(self) -> frozenset[str]:
        """Every family with a form in parameters, or that is solved in a sequence of others."""
        return SLOTS.families | sequenced(SLOTS.families)

    @property
    def name(self) -> str:
        """The registered name."""
        return f"cvxpy-dpp:{self.native.name}"

    @property
    def requires(self) -> Mapping[str, str]:
        """What must be installed."""
        return self.native.requires

    @property
    def limits(self) -> str:
        """What to know before choosing it."""
        return f"compiles once per problem size; up to {MAX_ENTRIES:,} entries (slots x types); {self.native.character}"

    @property
    def tolerance(self) -> float:
        """Relative gap that its answers keep."""
        return self.native.tolerance

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> CvxpyDppSession:
        """Return a session after a first tiny solve; raise `OptionError` where an option or its value is wrong.

        Options of its own: ``max_entries``, ``warm_start``; the others are the native solver's.
        """
        own = _own_options(self, options)
        native = {key: value for key, value in options.items() if key not in _OWN}
        self.native.check(self.name, native)
        merged = {**self.native.defaults, **native}
        # the probe is about the native options: it is compiled however few entries are allowed
        probed = replace(own, max_entries=MAX_ENTRIES)
        self.native.try_out(self.name, native, lambda probe_timer: CvxpyDppSession(self, merged, probed, probe_timer))
        return CvxpyDppSession(self, merged, own, timer)


@dataclass(frozen=True, slots=True)
class OwnOptions:
    """Options of the backend itself.

    Attributes
    ----------
    max_entries
        Slots x worker types above which it refuses to compile.
    warm_start
        Whether each solve starts from the last solution in the same slots.
    """

    max_entries: int = MAX_ENTRIES
    warm_start: bool = False


_OWN: Final = frozenset({"max_entries", "warm_start"})


def _own_options(backend: CvxpyDpp, options: Mapping[str, object]) -> OwnOptions:
    """Return the backend's own options, or raise `OptionError` saying what they take."""
    most = options.get("max_entries", MAX_ENTRIES)
    warm = options.get("warm_start", False)
    if not isinstance(most, int) or isinstance(most, bool) or most < LEAST:
        raise OptionError(f"{backend.name}: option max_entries={most!r}; it takes a whole number of at least {LEAST}")
    if not isinstance(warm, bool):
        raise OptionError(f"{backend.name}: option warm_start={warm!r}; it takes True or False")
    if warm and not backend.native.starts_warm:
        able = ", ".join(native.name for native in NATIVE_SOLVERS if native.starts_warm)
        raise OptionError(
            f"{backend.name}: option warm_start=True; {backend.native.name} cannot; those that can: {able}"
        )
    return OwnOptions(most, warm)


class Left(NamedTuple):
    """What a round leaves to the next.

    Attributes
    ----------
    used
        The buckets of earlier rounds, the latest last.
    wanted
        The least bucket of this one.
    seats
        Who sat where, for a warm start; None without one.
    """

    used: tuple[Bucket, ...]
    wanted: Bucket
    seats: Seats | None = None


class Seats(NamedTuple):
    """Which row was in which slot of a bucket, and the solution there.

    Attributes
    ----------
    bucket
        Whose slots these are.
    keys
        (R,) of the rows, None where they have none.
    slots
        (R,) the slot of each.
    start
        Arrays of the native solver, None where it had no solution.
    """

    bucket: Bucket
    keys: Keys | None
    slots: Ints
    start: Start | None


class CvxpyDppSession:
    """The programs compiled so far: whichever these are, the state says for which size a problem is padded."""

    def __init__(
        self, backend: CvxpyDpp, native_options: Mapping[str, object], own: OwnOptions, timer: PhaseTimer
    ) -> None:
        from cvxpy.error import SolverError

        self._solver_error = SolverError
        self._backend, self._own, self._timer = backend, own, timer
        self._solver = backend.native.name
        self._options = dict(native_options)
        self._programs: ProgramCache[SlotProgram] = ProgramCache(_KEPT_PROGRAMS)
        self._sequences = Sequences(backend.native.tolerance, timer, remembers=True)

    def solve(self, problem: AllocationProblem, state: State = None) -> tuple[Answer, State]:
        """Return the native solver's answer with its duals, and the sizes so far.

        Raises
        ------
        UnsupportedProblemError
            Where the problem has more entries than the size guard lets through.
        """
        refuse_pairs(problem)
        if self._sequences.takes(problem) and (SLOTS.get(type(problem)) is None or not self._backend.native.cones):
            return self._sequences.answer(problem, state, self.solve)
        last = state if isinstance(state, Left) else None
        if last is None:
            self._programs = ProgramCache(_KEPT_PROGRAMS)  # a cold start compiles, whatever was compiled before
        bucket, reason = choose(problem.traits, last.used if last else (), last.wanted if last else None)
        program = self._programs.find(bucket)
        if program is None:
            self._guard(problem, bucket)
        used = (*(each for each in (last.used if last else ()) if each != bucket), bucket)[-_KEPT_PROGRAMS:]
        left = Left(used, Bucket.wanted(problem.traits))
        seats = self._seats(problem, bucket, last.seats if last else None)
        rebuild = reason if program is None else None
        try:
            with self._programs.lent(bucket):
                answer, start = self._solve(problem, seats, program, rebuild)
        except self._solver_error as error:
            failed = Answer(Status.FAILED, None, rebuild=rebuild, note=f"{self._solver} through CVXPY: {error}")
            return failed, left
        return answer, left._replace(seats=seats._replace(start=start)) if self._own.warm_start else left

    def _solve(
        self, problem: AllocationProblem, seats: Seats, program: SlotProgram | None, rebuild: RebuildReason | None
    ) -> tuple[Answer, Start | None]:
        """Fill the program, compile it where it is new, and solve it, each under its phase."""
        native, slots = self._backend.native, seats.slots
        with self._timer.phase(Phase.LP_BUILD):
            program = program or SLOTS.of(problem)(seats.bucket)
            scale = program.fill(problem, slots)
            # every call gets its own copy of the options: CVXPY takes entries out
            compiled, chain, inverse = program.program.get_problem_data(self._solver, solver_opts=dict(self._options))
            self._programs.keep(seats.bucket, program)
        with self._timer.phase(Phase.LP_SOLVE):
            raw = native.run(chain, compiled, self._options, seats.start)
        start = native.left(raw) if self._own.warm_start else None
        solution = chain.invert(raw, inverse)
        status, iterations, verdict = status_of(solution, raw), iterations_of(solution), verdict_of(solution, raw)
        note = f"{self._solver} through CVXPY: {verdict}; {self._programs.hits} hits of {self._programs.solves}"
        if not solution.primal_vars:
            return Answer(status, None, iterations=iterations, rebuild=rebuild, note=note), start
        x = program.x(solution.primal_vars, problem, slots)
        duals = program.duals(solution.dual_vars, slots, scale)
        return Answer(status, x, duals, iterations, rebuild, note), start

    def _guard(self, problem: AllocationProblem, bucket: Bucket) -> None:
        """Raise `UnsupportedProblemError` where compiling for this bucket would take too much time and memory."""
        if bucket.entries > self._own.max_entries:
            raise UnsupportedProblemError(
                f"{problem.rows} jobs x {problem.types} worker types need {bucket.slots} slots, {bucket.entries} "
                f"entries; compiling takes time and memory by their square, so at most {self._own.max_entries} are "
                "allowed; raise option max_entries, or choose cvxpy-fresh"
            )

    def _seats(self, problem: AllocationProblem, bucket: Bucket, last: Seats | None) -> Seats:
        """Return the slot of each row: its place, or for a warm start where it was before."""
        slots = np.arange(problem.rows)
        if not self._own.warm_start or last is None or last.bucket != bucket:
            return Seats(bucket, problem.keys, slots, None)
        source = known_again(problem.keys, problem.rows, last.keys, last.slots.size)
        stays = source >= 0
        slots = np.where(stays, last.slots[source], -1)
        free = np.setdiff1d(np.arange(bucket.slots), slots[stays])
        slots[~stays] = free[: problem.rows - int(stays.sum())]
        return Seats(bucket, problem.keys, slots, last.start)


BACKENDS: Final = tuple(CvxpyDpp(native) for native in NATIVE_SOLVERS)
