"""The level of finish-time fairness of jobs that share, by programs of kinds alone: all at once.

As in `phasewise.solvers.packing.profiles`, but for the ratio that jobs have in place of a gain: a job needs
r / (rho D - t), and no more than it can have at best. The program has the tangents of what is needed; at its prices a
ratio is out of reach, and the next program is the one at that ratio.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from phasewise.solvers.families.packed_finish_time import PackedFinishTimeProblem
from phasewise.solvers.lp import LinearProgram
from phasewise.solvers.packing.crowd import Bools, Crowd, Floats, Ints
from phasewise.solvers.packing.profiles import Kinds, Left, Profile, ProfileSolver, Rows, both, has_profiles
from phasewise.solvers.proofs import Duals

MOST_PROGRAMS: Final = 30
_ABSURD: Final = 1e100
_STILL: Final = 1e-10  # relative: a ratio that moves by less is the level


class Level(NamedTuple):
    """The level, and what is needed for it.

    Attributes
    ----------
    crowd
        Of the jobs that `PackedFinishTimeProblem.waits` names.
    profile
        The time of their kinds; its level is the ratio, and its duals are weights of throughputs, by job.
    """

    crowd: Crowd
    profile: Profile


def level_of(solver: ProfileSolver, problem: PackedFinishTimeProblem, left: Left | None) -> Level | None:
    """Return the level; None where it cannot be had in this way.

    Parameters
    ----------
    left
        Of a problem much like this one; its level is a ratio.
    """
    waits = problem.waits
    own = problem if waits.all() else _part(problem, waits)
    if not waits.any() or not has_profiles(own.crowd):
        return None
    waiting = _Waiting(own)
    kinds = waiting.kinds
    rows, basis, ratio = kinds.first_rows(left), None, own.ceiling
    if left is not None and left.level > 0.0:
        basis, ratio = left.basis, left.level
    everybody, iterations = False, 0
    for programs in range(1, MOST_PROGRAMS + 1):
        needs = waiting.needs(ratio)
        kinds.asks(needs)
        asked = kinds.asked(rows)
        needed, more = kinds.sums(asked, needs, waiting.rises(ratio, everybody=everybody))
        lp = kinds.program(asked, more / needed)
        outcome, basis = solver.run(lp, kinds.codes(asked), basis)
        iterations += outcome.iterations
        if outcome.columns is None or outcome.row_duals is None or basis is None:
            if everybody:
                return None
            everybody, basis = True, None  # there are not the GPUs for those who are to have all that they can have
            continue
        everybody = False
        price = np.maximum(-outcome.row_duals[lp.rows["profile"]], 0.0) / needed
        common = slice(0, lp.rows["profile"].start)
        budget = float(outcome.row_duals[common] @ lp.row_upper[common])
        time = np.maximum(outcome.columns[:-1], 0.0) * kinds.unit
        before, ratio = ratio, waiting.out_of_reach(asked, price, budget)
        kinds.asks(waiting.needs(ratio))
        found = kinds.violated(time)
        if abs(ratio - before) <= _STILL * before and not found.kind.size:
            need = kinds.need
            duals = waiting.duals(needs, outcome.row_duals, lp, asked, price)
            start = Left(basis, kinds.crowd.name[asked.kind], asked.speed, ratio)
            alone, total = kinds.split(time)
            profile = Profile(ratio, need, alone, kinds.slices, total, duals, programs, iterations, start)
            return Level(own.crowd, profile)
        rows = both(rows, found)
    return None


def _part(problem: PackedFinishTimeProblem, rows: Bools) -> PackedFinishTimeProblem:
    """Return the problem of some of the jobs (J,)."""
    return replace(
        problem,
        throughput=problem.throughput[rows],
        kind=problem.kind[rows],
        scale_factor=problem.scale_factor[rows],
        steps_remaining=problem.steps_remaining[rows],
        since_arrival=problem.since_arrival[rows],
        isolated=problem.isolated[rows],
        allowed=None if problem.allowed is None else problem.allowed[rows],
        keys=None if problem.keys is None else problem.keys[rows],
    )


class _Waiting:
    """Jobs with steps left, as classes of their kinds.

    Parameters
    ----------
    problem
        In which all wait.
    """

    def __init__(self, problem: PackedFinishTimeProblem) -> None:
        self.problem, self.crowd = problem, problem.crowd
        self.kinds = Kinds(self.crowd, problem.capacity)
        job = self.crowd.example
        self._work = problem.steps_remaining[job], problem.since_arrival[job], problem.isolated[job]
        self._soonest, self._fastest = problem.soonest[job], problem.fastest[job]

    def needs(self, ratio: float) -> Floats:
        """Return (C,) what each class needs at ``ratio``, steps/s, at most what it can have."""
        steps, since, isolated = self._work
        room, can = ratio * isolated - since, self._soonest < ratio
        needs: Floats = np.where(can, steps / np.where(can, room, 1.0), self._fastest)
        return needs

    def rises(self, ratio: float, *, everybody: bool) -> Floats:
        """Return (C,) by how much more each class needs where the ratio is less, relative to the ratio.

        Who has all that he can have already needs no more, unless that is said of ``everybody``.
        """
        steps, _, isolated = self._work
        rises: Floats = self.needs(ratio) ** 2 * isolated / steps * max(ratio, 1.0)
        return rises if everybody else np.where(self._soonest < ratio, rises, 0.0)

    def duals(self, needs: Floats, row_duals: Floats, lp: LinearProgram, rows: Rows, price: Floats) -> Duals:
        """Return the duals by job of a program of ``needs`` (C,), see `Kinds.duals`."""
        self.kinds.asks(needs)
        return self.kinds.duals(row_duals, lp, rows, price)

    def out_of_reach(self, rows: Rows, price: Floats, budget: float) -> float:
        """Return up to which ratio needs are worth more than ``budget`` at the ``price`` (P,) of rows; 0 if none."""
        from scipy.optimize import brentq

        paid = np.flatnonzero(price > 0.0)
        speed, worth = self._by_kind(rows, paid, price)

        def over(ratio: float) -> float:
            needs = self.needs(ratio)[:, None]
            return float(self.crowd.size @ (np.maximum(needs - speed, 0.0) * worth).sum(axis=1)) - budget

        low, high = 0.0, max(self.problem.ceiling, 1e-300)
        if not over(low) > 1e-13 * abs(budget):
            return 0.0
        while over(high) > 0.0:
            low, high = high, 2.0 * high
            if high > _ABSURD:
                return 0.0  # prices that rounding has left
        return float(brentq(over, low, high, xtol=1e-300, rtol=1e-14))

    def _by_kind(self, rows: Rows, paid: Ints, price: Floats) -> tuple[Floats, Floats]:
        """Return (C, R) the speeds of each class' rows, of which there are R at most, and their prices."""
        crowd = self.crowd
        kind = rows.kind[paid]
        order = np.argsort(kind, kind="stable")
        count = np.bincount(kind, minlength=crowd.kinds)
        place = np.arange(paid.size) - np.repeat(np.cumsum(count) - count, count)
        shape = (crowd.kinds, int(count.max(initial=1)))
        speed, worth = np.zeros(shape), np.zeros(shape)
        speed[kind[order], place], worth[kind[order], place] = rows.speed[paid[order]], price[paid[order]]
        return speed[crowd.kind], worth[crowd.kind]
