"""`by-kinds`: jobs that share GPUs in pairs, by a linear program over kinds; see `docs/explanation/packing.md`.

Equal jobs count as one, and of partners only their kinds matter: the program's size depends on how many kinds there
are, or on how many jobs differ, but never on the number of pairs. HiGHS solves it from the last round's basis.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import ClassVar, Final, NamedTuple

import numpy as np

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, State, Status
from phasewise.solvers.errors import UnsupportedProblemError
from phasewise.solvers.families.packed import MAX_MIN_PACKED, PackedMaxMinProblem
from phasewise.solvers.families.packed_finish_time import FINISH_TIME_PACKED, PackedFinishTimeProblem
from phasewise.solvers.families.packed_lexicographic import LEXICOGRAPHIC_PACKED
from phasewise.solvers.families.packed_moving import MAX_MIN_PACKED_SWITCHING
from phasewise.solvers.forms.tables import STAGES, Stages
from phasewise.solvers.packing.finish_time import BEFORE, found_at_once
from phasewise.solvers.packing.levels import level_of
from phasewise.solvers.packing.profiles import Left as ProfileStart
from phasewise.solvers.packing.profiles import ProfileSolver
from phasewise.solvers.packing.program import Goal
from phasewise.solvers.packing.solver import Left as Start
from phasewise.solvers.packing.solver import PairSolver
from phasewise.solvers.packing.splitting import spread as spread_by_need
from phasewise.solvers.packing.teams import spread_of, teams
from phasewise.solvers.problems import AllocationProblem, Floats
from phasewise.solvers.proofs import Duals
from phasewise.solvers.rows import NOBODY, Keys, origin
from phasewise.solvers.sequences import Left as SequenceLeft
from phasewise.solvers.sequences import Sequences


class ByKinds:
    """Pairs by kinds, at any number of jobs."""

    name: ClassVar[str] = "by-kinds"
    aliases: ClassVar[tuple[str, ...]] = ()
    requires: ClassVar[Mapping[str, str]] = {"highspy": "highspy"}
    limits: ClassVar[str] = "exact, for jobs that share GPUs in pairs, and for nothing else"
    tolerance: ClassVar[float] = 1e-9

    @property
    def families(self) -> frozenset[str]:
        """The families of packing."""
        return frozenset({MAX_MIN_PACKED, MAX_MIN_PACKED_SWITCHING, LEXICOGRAPHIC_PACKED, FINISH_TIME_PACKED})

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> ByKindsSession:
        """Return a session; raise `OptionError` where HiGHS rejects an option or its value."""
        return ByKindsSession(dict(options), timer)


class Left(NamedTuple):
    """What a problem leaves to the next.

    Attributes
    ----------
    start, level
        Where the next program may start: of classes, and of kinds for the level of a problem of ratios.
    pairs
        (P, 2) keys of the jobs that shared, those first that shared most.
    """

    start: Start | None
    level: ProfileStart | None
    pairs: Keys


_NOTHING: Final = Left(None, None, np.empty((0, 2), dtype=np.int64))


class ByKindsSession:
    """Solves each problem from the basis that the last one left, with its partners where they are as good as others."""

    def __init__(self, options: dict[str, object], timer: PhaseTimer) -> None:
        self._solver, self._profiles = PairSolver(ByKinds.name, options), ProfileSolver(ByKinds.name, options)
        self._timer = timer
        self._sequences = Sequences(ByKinds.tolerance, timer, remembers=True)
        self._stages: Stages | None = None

    def solve(self, problem: AllocationProblem, state: State = None) -> tuple[Answer, State]:
        """Return the optimum with duals that prove it, and what it leaves to the next problem."""
        if self._sequences.takes(problem):
            at_once, state = self._at_once(problem, state)
            return (at_once, state) if at_once is not None else self._sequences.answer(problem, state, self.solve)
        if (by_stages := STAGES.get(type(problem))) is not None:
            self._stages = self._stages or by_stages()
            return self._stages.answer(problem, self._timer), None
        if not isinstance(problem, PackedMaxMinProblem):
            raise UnsupportedProblemError(f"does not solve problem family {problem.family!r}")
        return self._max_min(problem, state if isinstance(state, Left) else _NOTHING)

    def _max_min(self, problem: PackedMaxMinProblem, last: Left) -> tuple[Answer, State]:
        with self._timer.phase(Phase.LP_BUILD):
            crowd, names = problem.crowd, problem.names
            goal = Goal(np.ones(crowd.classes, dtype=np.bool_), np.zeros(crowd.classes), problem.linear_weight)
        with self._timer.phase(Phase.LP_SOLVE):
            optimum = self._solver.optimum(crowd, problem.capacity, goal, names, last.start)
            rebuild = RebuildReason.FIRST if last.start is None else None
            if optimum.program is None or optimum.values is None:
                return Answer(optimum.status, None, None, optimum.iterations, rebuild, optimum.note), None
            keys = np.arange(problem.rows) if problem.keys is None else problem.keys
            spread = spread_of(crowd, optimum.program, optimum.values)
            teamed = teams(crowd, spread, _present(last.pairs, keys))
        left = last._replace(start=optimum.left, pairs=_shared(teamed.members, teamed.x, keys))
        answer = Answer(
            optimum.status, teamed.x, optimum.duals, optimum.iterations, rebuild, optimum.note, members=teamed.members
        )
        return answer, left

    def _at_once(self, problem: AllocationProblem, state: State) -> tuple[Answer | None, State]:
        """Return the answer to a problem of ratios by kinds alone, None where that proves nothing, and what it leaves.

        Where there is a level but no proof, the search begins there.
        """
        if not isinstance(problem, PackedFinishTimeProblem):
            return None, state
        last = state if isinstance(state, SequenceLeft) and state.family == problem.family else None
        own = last.step if last is not None and isinstance(last.step, Left) else _NOTHING
        with self._timer.phase(Phase.LP_SOLVE):
            level = level_of(self._profiles, problem, own.level)
            if level is None:
                return None, state
            crowd, profile = level
            own = own._replace(level=profile.left)
            keys = (np.arange(problem.rows) if problem.keys is None else problem.keys)[problem.waits]
            spread = spread_by_need(crowd, profile, self._profiles)
            found = None
            if spread is not None:
                teamed = teams(crowd, spread, _present(own.pairs, keys))
                note = f"{profile.programs} programs of kinds"
                answer = Answer(Status.OPTIMAL, teamed.x, None, profile.iterations, None, note, members=teamed.members)
                weights = _of_all(problem, profile.duals)
                found = found_at_once(problem, answer, weights, profile.level, ByKinds.tolerance)
        if found is None or spread is None:
            return None, SequenceLeft(problem.family, profile.level * BEFORE, own)
        left = own._replace(pairs=_shared(teamed.members, teamed.x, keys))
        return found.answer, SequenceLeft(problem.family, found.left, left)


def _of_all(problem: PackedFinishTimeProblem, duals: Duals) -> Duals:
    """Return the duals of all jobs, 0 for those that do not wait."""
    gain, time = np.zeros(problem.rows), np.zeros(problem.rows)
    gain[problem.waits], time[problem.waits] = duals.gain, duals.time
    return replace(duals, gain=gain, time=time)


def _present(pairs: Keys, keys: Keys) -> Keys:
    """Return (P, 2) the places of those of ``pairs``, by their keys, of which both jobs are still there."""
    place = origin(pairs.ravel(), keys).reshape(-1, 2)
    there: Keys = place[(place != NOBODY).all(axis=1)]
    return there


def _shared(members: Keys, x: Floats, keys: Keys) -> Keys:
    """Return (P, 2) the keys of the pairs in ``members``, those first that have most of ``x``."""
    pairs = np.flatnonzero(members[:, 1] != NOBODY)
    order = pairs[np.argsort(-x[pairs].sum(axis=1), kind="stable")]
    pairs_by_key: Keys = keys[members[order]]
    return pairs_by_key


BACKENDS: Final = (ByKinds(),)
