"""`by-kinds`: jobs that share GPUs in pairs, by a linear program over kinds; see `docs/explanation/packing.md`.

Equal jobs count as one, and of partners only their kinds matter: the program's size depends on how many kinds there
are, or on how many jobs differ, but never on the number of pairs. HiGHS solves it from the last round's basis.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple

import numpy as np

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, State
from phasewise.solvers.errors import UnsupportedProblemError
from phasewise.solvers.families.packed import MAX_MIN_PACKED, PackedMaxMinProblem
from phasewise.solvers.families.packed_finish_time import FINISH_TIME_PACKED
from phasewise.solvers.families.packed_lexicographic import LEXICOGRAPHIC_PACKED
from phasewise.solvers.families.packed_moving import MAX_MIN_PACKED_SWITCHING
from phasewise.solvers.forms.tables import STAGES, Stages
from phasewise.solvers.packing.program import Goal
from phasewise.solvers.packing.solver import Left as Start
from phasewise.solvers.packing.solver import PairSolver
from phasewise.solvers.packing.teams import teams
from phasewise.solvers.problems import AllocationProblem, Floats
from phasewise.solvers.rows import NOBODY, Keys, origin
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
        return ByKindsSession(PairSolver(self.name, dict(options)), timer)


class Left(NamedTuple):
    """What a problem leaves to the next.

    Attributes
    ----------
    start
        Where the next program may start.
    pairs
        (P, 2) keys of the jobs that shared, those first that shared most.
    """

    start: Start | None
    pairs: Keys


class ByKindsSession:
    """Solves each problem from the basis that the last one left, with its partners where they are as good as others."""

    def __init__(self, solver: PairSolver, timer: PhaseTimer) -> None:
        self._solver, self._timer = solver, timer
        self._sequences = Sequences(ByKinds.tolerance, timer, remembers=True)
        self._stages: Stages | None = None

    def solve(self, problem: AllocationProblem, state: State = None) -> tuple[Answer, State]:
        """Return the optimum with duals that prove it, and what it leaves to the next problem."""
        if self._sequences.takes(problem):
            return self._sequences.answer(problem, state, self.solve)
        if (by_stages := STAGES.get(type(problem))) is not None:
            self._stages = self._stages or by_stages()
            return self._stages.answer(problem, self._timer), None
        if not isinstance(problem, PackedMaxMinProblem):
            raise UnsupportedProblemError(f"does not solve problem family {problem.family!r}")
        return self._max_min(problem, state if isinstance(state, Left) else None)

    def _max_min(self, problem: PackedMaxMinProblem, last: Left | None) -> tuple[Answer, State]:
        with self._timer.phase(Phase.LP_BUILD):
            crowd, names = problem.crowd, problem.names
            goal = Goal(np.ones(crowd.classes, dtype=np.bool_), np.zeros(crowd.classes), problem.linear_weight)
        with self._timer.phase(Phase.LP_SOLVE):
            start = None if last is None else last.start
            optimum = self._solver.optimum(crowd, problem.capacity, goal, names, start)
            rebuild = RebuildReason.FIRST if start is None else None
            if optimum.program is None or optimum.values is None:
                return Answer(optimum.status, None, None, optimum.iterations, rebuild, optimum.note), None
            keys = np.arange(problem.rows) if problem.keys is None else problem.keys
            old = np.empty((0, 2), dtype=np.int64) if last is None else _present(last.pairs, keys)
            teamed = teams(crowd, optimum.program, optimum.values, old)
        left = Left(optimum.left, _shared(teamed.members, teamed.x, keys))
        answer = Answer(
            optimum.status, teamed.x, optimum.duals, optimum.iterations, rebuild, optimum.note, members=teamed.members
        )
        return answer, left


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
