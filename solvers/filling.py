"""Exact water filling: the lexicographic max-min allocation in at most W stages, each a search for one level.

Every job that is not frozen is to reach min(t, c_i), c_i its ceiling; frozen jobs keep their level. Whether a t is
within reach is asked of prices p: at level t the jobs cost at least sum_i C_i(p) (`phasewise.solvers.hulls`), and all
GPUs together are worth sum_j p_j N_j; where the cost is more, t is out of reach. So every p bounds t from above by the
root t(p) of a piecewise linear function, and a stage goes down from bound to bound:

1. At the present t, find the least overload: min theta with GPUs used of type j <= theta N_j. Its dual are prices.
2. theta <= 1: t is within reach, and the prices that led to t prove that no more is. Otherwise t becomes t(p).

Who freezes is read off these prices: a job whose every way to more than t uses a type with a price. That is exact,
not a guess: at t the jobs cost all that the GPUs are worth, so nobody can spend more. A job that is not frozen has a
type without a price that lifts it above t, and in every allocation that keeps the others' levels it uses no priced
type at all. So the next stage's prices must fall on a further type, and there are at most W stages, however many
different levels there are: levels that are a job's own ceiling cost nothing.

The overload problem is solved on the few jobs whose choice of types is in doubt at the prices at hand; the others are
fixed to their cheapest mix, and return to the problem where its prices disprove that choice (sifting).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, Status
from phasewise.solvers.errors import SolveFailedError
from phasewise.solvers.hulls import DETOUR, PRICED, ROUNDING, Floats, Hulls, affordable_level, lower_hulls
from phasewise.solvers.overload import Overload
from phasewise.solvers.problems import Bools, MaxMinProblem

Ints = npt.NDArray[np.intp]

_WITHIN: Final = 1e-10  # overload that counts as none: the tolerance of the LP solver
_SAME: Final = 1e-11  # relative difference of levels that counts as none
_DISPROVED: Final = 1e-11  # relative excess of a fixed job's cost, of all jobs' cost
_MOST_BOUNDS: Final = 200
_TURNS: Final = 40
_STEP: Final = 0.7
_FADE: Final = 0.7
_TAKEN_COSTS: Final = 100.0  # overload of a type that is full for good, in units of that of others
_PATIENCE: Final = 3
_WORTHWHILE: Final = 1e-3
_FEW: Final = 40  # jobs that are always left free
_SHARE: Final = 50  # and one in so many more


class Classes(NamedTuple):
    """Equal jobs merged: K classes of equal gains and GPUs.

    Attributes
    ----------
    gain
        (K, W), 0 where not allowed.
    scale_factor
        (K,) GPUs of one job.
    members
        (K,) how many jobs.
    of
        (J,) the class of each job.
    """

    gain: Floats
    scale_factor: Floats
    members: Floats
    of: Ints


def merge_equal(gain: Floats, scale_factor: Floats) -> Classes:
    """Return the classes of equal jobs: their levels are equal in the optimum, so their mean is as good as each."""
    rows = np.ascontiguousarray(np.column_stack([gain, scale_factor]))
    keys = rows.view(np.dtype((np.void, rows.dtype.itemsize * rows.shape[1]))).ravel()
    _, first, of, members = np.unique(keys, return_index=True, return_inverse=True, return_counts=True)
    return Classes(gain[first], scale_factor[first], members.astype(np.float64), of.reshape(-1))


@dataclass(frozen=True, slots=True)
class Filling:
    """What water filling found.

    Attributes
    ----------
    x
        (J, W) time fractions.
    stage_prices
        (K, W) the prices that prove each stage's level, sum_j p_j N_j = 1.
    iterations
        Simplex iterations of all the small problems.
    """

    x: Floats
    stage_prices: Floats
    iterations: int


class WaterFiller:
    """Fills one problem after another on one small HiGHS model. Not to be shared between threads."""

    def __init__(self) -> None:
        self._overload = Overload()
        one = np.ones((1, 1))
        lower_hulls(one, one[0], one[0])  # compiled, or loaded, before anything is timed

    def answer(self, problem: MaxMinProblem, timer: PhaseTimer) -> Answer:
        """Return the answer to a lexicographic problem, timed by phase, with the prices that prove every level."""
        with timer.phase(Phase.LP_BUILD):
            gain = problem.usable_gain
        with timer.phase(Phase.LP_SOLVE):
            filling = self.fill(gain, problem.scale_factor, problem.capacity)
        return Answer(
            Status.OPTIMAL,
            filling.x,
            iterations=filling.iterations,
            rebuild=RebuildReason.FRESH,
            note=f"{len(filling.stage_prices)} stages",
            stage_prices=filling.stage_prices,
        )

    def fill(self, gain: Floats, scale_factor: Floats, capacity: Floats) -> Filling:
        """Return the lexicographic max-min allocation; ``gain`` (J, W) is 0 where a job may not run.

        Raises
        ------
        SolveFailedError
            Where HiGHS does not solve a small problem, or the bounds do not settle.
        """
        kinds = _equal_types(gain, capacity)
        pooled = np.zeros(int(kinds.max()) + 1)
        np.add.at(pooled, kinds, capacity)
        first = np.unique(kinds, return_index=True)[1]
        classes = merge_equal(gain[:, first], scale_factor)
        stages = _Stages(classes, pooled, self._overload)
        self._overload.iterations = 0
        prices = []
        while stages.active.any():
            proof = stages.advance()
            if proof is None:
                break
            prices.append(proof)
        share = np.divide(capacity, pooled[kinds], out=np.zeros(kinds.size), where=capacity > 0.0)
        x = stages.x[classes.of][:, kinds] * share
        return Filling(x, np.reshape(prices, (-1, pooled.size))[:, kinds], self._overload.iterations)


def _equal_types(gain: Floats, capacity: Floats) -> Ints:
    """Return (W,) the group of each type: types that are the same to every job are one larger type."""
    keys = np.vstack([gain, capacity > 0.0])
    groups: Ints = np.unique(keys, axis=1, return_inverse=True)[1].reshape(-1)
    return groups


class _Stages:
    """The state between stages: who is frozen at which level, and which types the others may still use."""

    def __init__(self, classes: Classes, capacity: Floats, overload: Overload) -> None:
        self._classes = classes
        self._capacity = capacity
        self._overload = overload
        self._usable = classes.gain.copy()
        self._level = np.zeros(classes.members.size)
        self._taken = ~(capacity > 0.0)
        self.active: Bools = classes.gain.max(axis=1) > 0.0
        self.x = np.zeros(classes.gain.shape)
        self._prices = (
            np.where(capacity > 0.0, 1.0, 0.0) / np.maximum(capacity, 1e-300) / max(1, int((capacity > 0.0).sum()))
        )

    def advance(self) -> Floats | None:
        """Do one stage; return the prices that prove its level, or None where all reach their ceilings."""
        ceiling = self._usable.max(axis=1)
        level, proof = self._descend(float(ceiling[self.active].max()))
        free, exact = np.zeros(ceiling.size, dtype=np.bool_), False
        prices = self._prices
        for _ in range(_MOST_BOUNDS):
            bound = self._bound(prices)
            lowered = bound < level * (1.0 - _SAME)
            if lowered:
                level, proof, self._prices = bound, prices, prices
            need = np.where(self.active, np.minimum(level, ceiling), self._level)
            if exact and not lowered:
                break
            outcome = self._sifted(need, free)
            if outcome.theta <= 1.0 + _WITHIN:
                break
            prices = outcome.prices
            wrong = self._wrong(need, outcome, free)
            exact = not wrong.any()
            free |= wrong
        else:
            raise SolveFailedError(f"water filling: the level did not settle in {_MOST_BOUNDS} bounds")
        self.x = outcome.x
        waiting = int(self.active.sum())
        self._freeze(need, level, proof)
        if int(self.active.sum()) == waiting:
            raise SolveFailedError(
                f"water filling: {waiting} jobs are left and none could be settled at level {level!r}"
            )
        return proof

    def _descend(self, level: float) -> tuple[float, Floats | None]:
        """Return a level near the one sought, never below, with the prices that prove that no more is possible.

        Prices of crowded types are raised a few times; each price vector is a bound by itself. The types that were
        taken in earlier stages are full: a crowding of 1 is theirs, the others' is to be equal.
        """
        classes, capacity = self._classes, self._capacity
        size = np.maximum(capacity, 1e-300)
        ceiling, gpus = self._usable.max(axis=1), classes.members * classes.scale_factor
        worth, proof, since = self._prices * capacity, None, 0
        open_types = ~self._taken
        for turn in range(_TURNS):
            hulls = lower_hulls(self._usable, classes.scale_factor, worth / size)
            bound = self._affordable(hulls, worth / size)
            since = 0 if bound < level * (1.0 - _WORTHWHILE) else since + 1
            if bound < level:
                level, proof, self._prices = bound, worth / size, worth / size
            if since >= _PATIENCE:
                break
            need = np.where(self.active, np.minimum(level, ceiling), self._level)
            used = gpus @ hulls.mixes(need, capacity.size) / size
            mean = float((used * worth)[open_types].sum() / max(worth[open_types].sum(), 1e-300))
            if mean < 1e-9:
                break
            crowding = np.where(open_types, used / mean, used)
            worth = worth * np.exp(_STEP / (1 + turn) ** _FADE * np.clip(crowding - 1.0, -2.0, 2.0))
            worth /= max(float(worth.sum()), 1e-300)
        return level, proof

    def _bound(self, prices: Floats) -> float:
        """Return t(p), the level that the jobs which are not frozen can afford at ``prices``."""
        return self._affordable(lower_hulls(self._usable, self._classes.scale_factor, prices), prices)

    def _affordable(self, hulls: Hulls, prices: Floats) -> float:
        members, active = self._classes.members, self.active
        spent = np.where(active, 0.0, hulls.costs(np.where(active, 0.0, self._level)))
        worth = float(prices @ self._capacity)
        budget = worth - float(spent @ members)
        return affordable_level(hulls.rows(active), members[active], max(budget, 0.0) + ROUNDING * worth)

    def _freeze(self, need: Floats, level: float, proof: Floats | None) -> None:
        """Freeze who cannot get more, and take from everybody what no optimal allocation gives them.

        That is from the frozen every type that costs them more than their cheapest mix, and from the others every type
        with a price.
        """
        if proof is None:
            self.active = np.zeros(self.active.size, dtype=np.bool_)
            return
        before, scale_factor = self._usable.copy(), self._classes.scale_factor
        priced: Bools = proof * self._capacity > PRICED
        self._usable[np.ix_(self.active, priced)] = 0.0
        stuck = self.active & (self._usable.max(axis=1) <= level * (1.0 + _SAME))
        self._level = np.where(stuck, need, self._level)
        self.active = self.active & ~stuck
        frozen = ~self.active
        hulls = lower_hulls(before, scale_factor, proof)
        detour = hulls.detours(need, before, scale_factor[:, None] * proof) > DETOUR
        self._usable[frozen] = np.where(detour, 0.0, before)[frozen]
        self._taken |= priced
        rest = ~self._taken / np.maximum(self._capacity, 1e-300)  # the next stage's prices fall on these
        self._prices = 0.5 * self._prices + 0.5 * rest / max(1, int((~self._taken).sum()))

    def _sifted(self, need: Floats, free: Bools) -> _Outcome:
        """Return the least overload at which everybody gets ``need`` (K,), few jobs having a choice.

        Those are the ``free`` (K,), to which the jobs nearest to another choice are added in place.
        """
        classes, types = self._classes, self._capacity.size
        # a positive price even where there is none: among free types the one that needs the fewest GPUs is chosen
        shaped = self._prices + 1e-7 * self._prices.sum() / types
        hulls = lower_hulls(self._usable, classes.scale_factor, shaped)
        free |= _in_doubt(hulls, self._usable, classes.scale_factor, shaped, need)
        return self._solve(need, hulls.mixes(need, types), free)

    def _wrong(self, need: Floats, outcome: _Outcome, free: Bools) -> Bools:
        """Return (K,) which fixed jobs the outcome's prices disprove most."""
        excess = np.where(free, 0.0, self._excess(need, outcome))
        count = _most_in_doubt(need.size)
        wrong: Bools = excess > _DISPROVED
        if np.count_nonzero(wrong) > count:
            wrong &= excess >= np.partition(excess, -count)[-count]
        return wrong

    def _solve(self, need: Floats, fixed: Floats, free: Bools) -> _Outcome:
        """Solve for the free jobs, the others fixed."""
        classes, capacity = self._classes, self._capacity
        gpus = classes.members * classes.scale_factor
        taken = gpus[~free] @ fixed[~free]
        theta, x_free, prices = self._overload.solve(
            self._usable[free],
            gpus[free],
            need[free],
            np.stack([capacity, taken, np.where(self._taken, _TAKEN_COSTS, 1.0)]),
        )
        x = fixed.copy()
        x[free] = x_free
        return _Outcome(theta, prices, x)

    def _excess(self, need: Floats, outcome: _Outcome) -> Floats:
        """Return (K,) how much more each class pays than it must at the outcome's prices, of all GPUs' worth."""
        classes = self._classes
        hulls = lower_hulls(self._usable, classes.scale_factor, outcome.prices)
        paid = (outcome.x @ outcome.prices) * classes.scale_factor
        return (paid - hulls.costs(need)) * classes.members


class _Outcome(NamedTuple):
    """The least overload, its prices (W,) with sum_j p_j N_j = 1, and the allocation (K, W)."""

    theta: float
    prices: Floats
    x: Floats


def _in_doubt(hulls: Hulls, gain: Floats, scale_factor: Floats, prices: Floats, need: Floats) -> Bools:
    """Return (K,) which jobs are nearest to another choice of types."""
    above = hulls.detours(need, gain, scale_factor[:, None] * prices)
    rows = np.arange(need.size)
    at = hulls.segment(need)
    above[rows, hulls.kind[rows, at + 1]] = np.inf
    mixed = hulls.kind[rows, at] >= 0
    above[rows[mixed], hulls.kind[rows[mixed], at[mixed]]] = np.inf
    margin = above.min(axis=1)
    count = _most_in_doubt(need.size)
    free = np.zeros(need.size, dtype=np.bool_)
    free[np.argpartition(margin, count - 1)[:count]] = True
    return free


def _most_in_doubt(jobs: int) -> int:
    """Return how many jobs are set free at once."""
    return min(jobs, _FEW + jobs // _SHARE)
