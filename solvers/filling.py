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

The overload problem is solved on the few jobs whose choice of types is in doubt at prices at which no type is crowded;
the others are fixed to their cheapest mix there, and return to the problem where its prices disprove that choice
(sifting). Frozen jobs that are left with a single type are settled: they drop out of everything.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from operator import itemgetter
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.profiling.jit.layouts import laid_out
from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.solvers.api import Answer, RebuildReason, Status
from phasewise.solvers.errors import SolveFailedError
from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.hulls import DETOUR, Floats, lower_hulls, priced
from phasewise.solvers.overload import Demand, Overload, Supply
from phasewise.solvers.problems import Bools
from phasewise.solvers.proofs import Duals

if TYPE_CHECKING:
    from phasewise.solvers.filling_kernels import FillingJobs, Stock

Ints = npt.NDArray[np.intp]

_WITHIN: Final = 1e-10  # overload that counts as none: the tolerance of the LP solver
_SAME: Final = 1e-11  # relative difference of levels that counts as none
_DISPROVED: Final = 1e-11  # relative excess of a fixed job's cost, of all jobs' cost
_MOST_BOUNDS: Final = 200
_FULL_COSTS: Final = 100.0  # overload of a type that is full for good, in units of that of others
_UNUSED: Final = 1e-5  # time fraction that is none
_TIED: Final = 1e-7  # relative: gains so near to each other may differ by rounding alone
_NO_TIME: Final = 1e-12  # what rounding leaves of no time at all
_FEW: Final = 40  # jobs that are always left free
_SHARE: Final = 50  # and one in so many more
_PROVEN: Final = 1e-9  # gap up to which a filling is not looked at again
_UNPROVEN: Final = 1.0  # stands for the gap of a filling that proves none
_DOUBTED: Final = 5e-11  # estimate of it up to which it is not computed


class Manner(NamedTuple):
    """How a filling goes about its stages; each is exact but for rounding, which strikes each elsewhere.

    Attributes
    ----------
    carried
        Share of all worth with which a stage's prices start the next one; the rest falls on the types still open.
    sifts
        Whether jobs whose choice of types is not in doubt are fixed; otherwise all are in each small problem.
    """

    carried: float
    sifts: bool


_SWIFT: Final = Manner(_FULL_COSTS / (1.0 + _FULL_COSTS), True)
_CAREFUL: Final = (Manner(0.9, True), Manner(0.5, True), Manner(0.0, True), Manner(0.0, False))


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
    rows = np.column_stack([gain, scale_factor])
    weights: Floats = np.random.default_rng(0).uniform(1.0, 2.0, (rows.shape[1],))
    marks = np.zeros(len(rows))
    for column in range(rows.shape[1]):  # a product of matrices may round equal rows differently
        marks += rows[:, column] * weights[column]
    _, first, of, members = np.unique(marks, return_index=True, return_inverse=True, return_counts=True)
    of = of.reshape(-1)
    if not np.array_equal(rows[first[of]], rows):  # different rows with one mark: a chance in 2**50
        _, first, of, members = np.unique(rows, axis=0, return_index=True, return_inverse=True, return_counts=True)
        of = of.reshape(-1)
    return Classes(gain[first], scale_factor[first], members.astype(np.float64), of)


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
    doubt
        About the gap that the certificate will find, which takes longer: see `_Stages.doubt`.
    """

    x: Floats
    stage_prices: Floats
    iterations: int
    doubt: float


class WaterFiller:
    """Fills one problem after another on one small HiGHS model. Not to be shared between threads."""

    def __init__(self) -> None:
        self._overload = Overload()

    def answer(self, problem: LexicographicProblem, timer: PhaseTimer) -> Answer:
        """Return the answer to a lexicographic problem, timed by phase, with the prices that prove every level."""
        with timer.phase(Phase.LP_BUILD):
            gain = problem.usable_gain
        with timer.phase(Phase.LP_SOLVE):
            filling = self.fill(gain, problem.scale_factor, problem.capacity)
            first = gap = filling.doubt
            if gap > _DOUBTED:
                first = gap = _gap(problem, filling)
            iterations, times = filling.iterations, 1
            for manner in _CAREFUL:
                if gap <= _PROVEN:
                    break
                other = self.fill(gain, problem.scale_factor, problem.capacity, manner)
                iterations, times = iterations + other.iterations, times + 1
                gap, filling = min((gap, filling), (_gap(problem, other), other), key=itemgetter(0))
            fitted = problem.project(filling.x)
            full = problem.topped_up(fitted)
            filling = filling if full is fitted else replace(filling, x=full)
        again = f"; filled {times} times, as the first was proven to {first:.1e} only" if times > 1 else ""
        return Answer(
            Status.OPTIMAL,
            filling.x,
            Duals(stages=filling.stage_prices),
            iterations=iterations,
            rebuild=RebuildReason.FRESH,
            note=f"{len(filling.stage_prices)} stages{again}",
        )

    def fill(self, gain: Floats, scale_factor: Floats, capacity: Floats, manner: Manner = _SWIFT) -> Filling:
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
        stages = _Stages(classes, pooled, self._overload, manner)
        self._overload.iterations = 0
        prices = []
        while stages.waiting:
            proof = stages.advance()
            if proof is None:
                break
            prices.append(proof)
        share = np.divide(capacity, pooled[kinds], out=np.zeros(kinds.size), where=capacity > 0.0)
        x = stages.x[classes.of][:, kinds] * share
        return Filling(x, np.reshape(prices, (-1, pooled.size))[:, kinds], self._overload.iterations, stages.doubt())


def _gap(problem: LexicographicProblem, filling: Filling) -> float:
    """Return what the certificate will say of the filling: the largest relative distance of a level from its bound."""
    gap = problem.staged_proof(problem.project(filling.x), filling.stage_prices)[1]
    return _UNPROVEN if gap is None else gap


def _equal_types(gain: Floats, capacity: Floats) -> Ints:
    """Return (W,) the group of each type: types that are the same to every job are one larger type."""
    groups = np.arange(capacity.size)
    for kind in range(1, capacity.size):
        for other in range(kind):
            if (capacity[kind] > 0.0) == (capacity[other] > 0.0) and np.array_equal(gain[:, kind], gain[:, other]):
                groups[kind] = groups[other]
                break
    return np.unique(groups, return_inverse=True)[1].reshape(-1)


class _Stages:
    """The state between stages: who is frozen at which level, and which types the others may still use.

    Classes whose allocation can no longer change are settled, and drop out: ``rows`` are those that are left.
    """

    def __init__(self, classes: Classes, capacity: Floats, overload: Overload, manner: Manner) -> None:
        from phasewise.solvers import filling_kernels

        self._kernels = filling_kernels
        self._overload, self._manner = overload, manner
        self.x = np.zeros(classes.gain.shape)
        self._rows = np.flatnonzero(classes.gain.max(axis=1, initial=0.0) > 0.0)
        self._open = capacity > 0.0
        self._stock = filling_kernels.Stock(capacity, np.zeros(capacity.size), self._open.astype(np.float64))
        rows, count = self._rows, self._rows.size
        self._jobs = filling_kernels.jobs_of(
            classes.gain[rows], classes.scale_factor[rows], classes.members[rows], np.ones(count), np.zeros(count)
        )
        self._worth = self._open / max(1, int(self._open.sum()))
        self._load = np.ones(capacity.size)
        self._gpus, self._proofs = classes.members * classes.scale_factor, list[_Proof]()

    @property
    def waiting(self) -> int:
        """How many classes wait for a later stage."""
        return int(np.count_nonzero(self._jobs.waiting))

    def advance(self) -> Floats | None:
        """Do one stage; return the prices that prove its level, or None where all reach their ceilings."""
        jobs, stock = self._jobs, self._stock
        size = np.maximum(stock.capacity, 1e-300)
        ceiling = jobs.usable.max(axis=1)
        top = float(ceiling[jobs.waiting > 0.0].max())
        level, worth, found = self._kernels.descend(jobs, stock, self._worth, top)
        proof = worth / size if found else None
        shape = worth / size
        free, exact = np.zeros(ceiling.size, dtype=np.bool_), False
        for _ in range(_MOST_BOUNDS):
            need = np.where(jobs.waiting > 0.0, np.minimum(level, ceiling), jobs.level)
            outcome = self._sifted(shape, need, free)
            if outcome.theta <= 1.0 + _WITHIN or exact:
                break
            prices, x = laid_out(outcome.prices), laid_out(outcome.x)
            bound, excess = self._kernels.appraise(jobs, stock, prices, x, need, level)
            lowered = bound < level * (1.0 - _SAME)
            if lowered:
                level, proof = bound, outcome.prices
            wrong = _most_disproved(np.where(free, 0.0, excess))
            exact = not lowered and not wrong.any()
            free |= wrong
        else:
            raise SolveFailedError(f"water filling: the level did not settle in {_MOST_BOUNDS} bounds")
        self.x[self._rows] = outcome.x
        waiting = self.waiting
        if proof is None:
            jobs.waiting[:] = 0.0
            return None
        self._proofs.append(_Proof(self._rows, jobs, stock._replace(settled=stock.settled.copy()), proof, level))
        self._freeze(outcome.x, need, level, proof)
        if self.waiting == waiting:
            raise SolveFailedError(
                f"water filling: {waiting} jobs are left and none could be settled at level {level!r}"
            )
        return proof

    def doubt(self) -> float:
        """Return how far some level may be from its bound: each stage's, from what the frozen have in the end."""
        capacity, used = self._stock.capacity, self._gpus @ self.x
        fits = np.divide(capacity, used, out=np.ones(used.size), where=used > capacity)
        worst = 1.0 - float(fits.min())
        for rows, jobs, stock, prices, level in self._proofs:
            waits = jobs.waiting > 0.0
            if waits.all() and not stock.settled.any():
                continue  # the level is what the prices prove
            frozen = np.where(waits, 0.0, (jobs.usable * self.x[rows] * fits).sum(axis=1))
            left, room = stock._replace(settled=stock.settled * fits), self._kernels.room_for(jobs)
            bound = self._kernels.level_at(jobs._replace(level=frozen), left, prices, room, level)
            worst = max(worst, 1.0 - level / min(bound, float(jobs.usable[waits].max())))
        return worst

    def _freeze(self, x: Floats, need: Floats, level: float, proof: Floats) -> None:
        """Freeze who cannot get more, and take from everybody what no optimal allocation gives them.

        That is from the frozen every type that costs them more than their cheapest mix, and from the others every type
        with a price. What a frozen one uses it keeps: prices that are almost tied must not take away what it stands on.
        """
        jobs, stock = self._jobs, self._stock
        dear = priced(proof, stock.capacity)
        waits = jobs.waiting > 0.0
        usable = jobs.usable.copy()
        usable[np.ix_(waits, dear)] = 0.0
        stuck = waits & (usable.max(axis=1) <= level * (1.0 + _SAME))
        frozen = ~waits | stuck
        hulls = lower_hulls(jobs.usable, jobs.scale_factor, proof)
        detour = hulls.detours(need, jobs.usable, jobs.scale_factor[:, None] * proof) > DETOUR
        detour &= x <= _UNUSED
        usable[frozen] = np.where(detour, 0.0, jobs.usable)[frozen]
        self._open &= ~dear
        size = np.maximum(stock.capacity, 1e-300)
        self._load = np.maximum(self._load, (stock.settled + jobs.gpus @ x) / size)
        rest = self._open / max(1, int(self._open.sum()))  # the next stage's prices fall on these
        carried = self._manner.carried
        self._worth = carried * proof * stock.capacity + (1.0 - carried) * rest
        self._settle(usable, x, frozen, np.where(frozen, need, 0.0))

    def _settle(self, usable: Floats, x: Floats, frozen: Bools, level: Floats) -> None:
        """Drop the frozen classes that are left with a single type: what they get is what they have.

        A class at its ceiling has no time for a type that gives less; but where it gives less by rounding alone, what
        ``x`` (K, W) has there may not fit on the fastest type.
        """
        jobs, stock = self._jobs, self._stock
        kind = usable.argmax(axis=1)
        most = usable[np.arange(kind.size), kind]
        at_ceiling = frozen & (level == most)  # no time for a type that gives less
        slower = (usable < most[:, None] * (1.0 - _TIED)) | ((usable < most[:, None]) & (x <= _NO_TIME))
        usable[at_ceiling[:, None] & slower] = 0.0
        settled = frozen & (np.count_nonzero(usable, axis=1) == 1) & (level <= most)
        share = level[settled] / most[settled]
        self.x[self._rows[settled]] = 0.0
        self.x[self._rows[settled], kind[settled]] = share
        np.add.at(stock.settled, kind[settled], jobs.gpus[settled] * share)
        kept = ~settled
        self._rows = self._rows[kept]
        self._stock = stock._replace(open=self._open.astype(np.float64))
        waiting = (~frozen[kept]).astype(np.float64)
        self._jobs = self._kernels.jobs_of(
            usable[kept], jobs.scale_factor[kept], jobs.members[kept], waiting, level[kept]
        )

    def _sifted(self, shape: Floats, need: Floats, free: Bools) -> _Outcome:
        """Return the least overload at which everybody gets ``need`` (K,), few jobs having a choice.

        The others take what is cheapest at the prices ``shape`` (W,). Those with a choice are the ``free`` (K,), to
        which the jobs nearest to another choice are added in place.
        """
        jobs, stock = self._jobs, self._stock
        # a positive price even where there is none: among free types the one that needs the fewest GPUs is chosen
        x, margin = self._kernels.choices(jobs, shape + 1e-7 * shape.sum() / shape.size, need)
        count = _most_in_doubt(need.size) if self._manner.sifts else need.size
        free[np.argpartition(margin, count - 1)[:count]] = True
        taken = stock.settled + jobs.gpus[~free] @ x[~free]
        theta, x[free], prices = self._overload.solve(
            Demand(jobs.usable[free], jobs.gpus[free], need[free], x[free]),
            Supply(stock.capacity, taken, np.where(self._open, 1.0, _FULL_COSTS), self._load),
        )
        return _Outcome(theta, prices, x)


class _Proof(NamedTuple):
    """What a stage ended with: its classes' rows, the classes, what there was, prices (W,), and the level."""

    rows: Ints
    jobs: FillingJobs
    stock: Stock
    prices: Floats
    level: float


class _Outcome(NamedTuple):
    """The least overload, its prices (W,) with sum_j p_j N_j = 1, and the allocation (K, W)."""

    theta: float
    prices: Floats
    x: Floats


def _most_disproved(excess: Floats) -> Bools:
    """Return (K,) which fixed classes pay too much, the worst ones where there are many."""
    count = _most_in_doubt(excess.size)
    wrong: Bools = excess > _DISPROVED
    if np.count_nonzero(wrong) > count:
        wrong &= excess >= np.partition(excess, -count)[-count]
    return wrong


def _most_in_doubt(jobs: int) -> int:
    """Return how many jobs are set free at once."""
    return min(jobs, _FEW + jobs // _SHARE)
