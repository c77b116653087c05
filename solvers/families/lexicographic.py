"""The lexicographic max-min problem: maximise the least level, then the next, and so on. Water filling solves it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Final, Self

import numpy as np

from phasewise.solvers.hulls import DETOUR, ROUNDING, affordable_level, lower_hulls, priced
from phasewise.solvers.problems import AllocationProblem, Bools, Floats, Ints, check_common, usable_pairs
from phasewise.solvers.proofs import Duals, Proof
from phasewise.solvers.rows import Keys

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

LEXICOGRAPHIC: Final = "lexicographic"

TELLING: Final = 1e-4
"""What rounding may buy a job, of its level, where a bound on it still proves something."""

_SAME: Final = 1e-11  # relative difference of levels that counts as none
_BELOW: Final = 1e-9  # relative: nearer to its ceiling no job has anything to rise to
_DUST: Final = 1e-12  # of a job's level: what idle GPUs give at most where they are not worth a look
_TINY: Final = 1e-300


@dataclass(frozen=True, eq=False)
class LexicographicProblem(AllocationProblem):
    """Of all allocations with the largest least level the one whose sorted levels are lexicographically largest.

    Row i's level is sum_j gain_ij x_ij. The optimum's levels are unique (the feasible set is convex); its x need not
    be. The objective is the least level, as in a max-min problem; `sorted_levels` compares two allocations in full, and
    `staged_proof` bounds every level, not the least alone. Each row is a job of its own.

    Attributes
    ----------
    gain
        (R, W) a_ij >= 0, finite.
    scale_factor
        (R,) s_i > 0, GPUs, may be fractional.
    capacity
        (W,) N_j >= 0, GPUs.
    allowed
        (R, W) where x may be above 0; None means where gain > 0.
    keys
        As in `AllocationProblem`.
    """

    families: ClassVar[tuple[str, ...]] = (LEXICOGRAPHIC,)
    forms: ClassVar[str] = "phasewise.solvers.forms.lexicographic"

    gain: Floats
    scale_factor: Floats
    capacity: Floats
    allowed: Bools | None = None
    keys: Keys | None = None

    @classmethod
    def kernels(cls) -> list[Wanted]:
        """Return the kernels of the certificate."""
        from phasewise.profiling.jit.kernel import wanted
        from phasewise.solvers.hull_kernels import KERNELS

        return [each for kernel in KERNELS for each in wanted(kernel)]

    @cached_property
    def allowed_mask(self) -> Bools:
        """(R, W) where x may be above 0; a type without GPUs is out of the question."""
        return usable_pairs(self.gain, self.allowed, self.capacity)

    @cached_property
    def usable_gain(self) -> Floats:
        """(R, W) gain, 0 where x may not be above 0."""
        if self.allowed is None and self.capacity.all():
            return self.gain
        return np.where(self.allowed_mask, self.gain, 0.0)

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        check_common(self, "gain", self.gain, self.allowed)

    @classmethod
    def restated(cls, fields_by_name: Mapping[str, Any]) -> Self:
        """Return the problem that these fields make; the first version had a linear weight, which was always 0."""
        return cls(**{name: value for name, value in fields_by_name.items() if name != "linear_weight"})

    def objective(self, x: Floats) -> float:
        """Return the least level at ``x`` (R, W); 0 without jobs."""
        return float(np.einsum("ij,ij->i", self.gain, x).min()) if self.rows else 0.0

    def project(self, x: Floats) -> Floats:
        """Return a feasible (R, W) allocation near ``x``: clipped, masked, then rows and columns scaled down."""
        return self.packed(x)

    def prove(self, x: Floats, duals: Duals) -> Proof | None:
        """Return what the prices of the stages prove about every level at ``x`` (R, W), see `staged_proof`."""
        stages = duals.staged(self.types)
        return None if stages is None else Proof(*self.staged_proof(x, stages))

    def levels(self, x: Floats) -> Floats:
        """Return (J,) every job's level at ``x`` (J, W)."""
        levels: Floats = np.einsum("ij,ij->i", self.usable_gain, x)
        return levels

    def sorted_levels(self, x: Floats) -> Floats:
        """Return (J,) the levels at ``x`` (J, W) in ascending order: what is maximised, the first entry first."""
        ascending: Floats = np.sort(self.levels(x))
        return ascending

    def staged_proof(self, x: Floats, stage_prices: Floats) -> tuple[float, float | None]:
        """Return a bound on the least level and the largest relative gap of any job's level at ``x`` (J, W).

        The gap is to the level's bound, or to what the job alone could reach on GPUs that nobody uses, whichever is
        more. None where a bound proves nothing: where what a sum of costs may be off by rounding is enough to buy
        some job more than `TELLING` of its level, as gains that span many decades make it. The least level's bound
        holds all the same, and so does what idle GPUs offer: where one of these is missed the gap is its own.

        Parameters
        ----------
        stage_prices
            (K, W) prices p >= 0 of a GPU, a row a stage, in ascending order of the levels they bound. With none, only
            the jobs' ceilings bound their levels.
        """
        levels = self.levels(x)
        bounds, least, blurred = self._bounded(levels, stage_prices)
        missed = 1.0 - float(levels.min()) / least if least > 0.0 else 0.0
        short = max(missed, _largest_gap(levels, self.reach(x)))
        if blurred <= TELLING:
            return least, max(short, _largest_gap(levels, bounds))
        return least, short if short > TELLING else None

    def reach(self, x: Floats) -> Floats:
        """Return (J,) the level that each job alone could have at ``x`` (J, W): by its time and on idle GPUs.

        A job may use what it has and what nobody uses, by its whole time: the fastest first.
        """
        usable, levels = self.usable_gain, self.levels(x)
        reach = levels.copy()
        idle = np.maximum(self.capacity - self.scale_factor @ x, 0.0)
        rows = np.flatnonzero(usable @ idle > _DUST * self.scale_factor * levels)
        if rows.size:
            alone = np.einsum("ij,ij->i", usable[rows], self._alone(x, rows))
            reach[rows] = np.maximum(alone, levels[rows])
        return reach

    def topped_up(self, x: Floats) -> Floats:
        """Return ``x`` (J, W) with idle GPUs given to the jobs that can rise by them, the lowest level first.

        It is ``x`` itself where that would be no more than dust. With gains that span many decades a type may be worth
        next to nothing, and yet be all that some job wants.
        """
        levels = self.levels(x)
        if not (self.reach(x) > levels * (1.0 + _BELOW)).any():
            return x
        full = x.copy()
        for job in np.argsort(levels, kind="stable"):
            row = self._alone(full, np.array([job]))[0]
            if float(self.usable_gain[job] @ row) > levels[job]:
                full[job] = row
        return full

    def _alone(self, x: Floats, rows: Ints) -> Floats:
        """Return (k, W) the best use of each job's time on what it has and on idle GPUs, all others as they are."""
        gain = self.usable_gain[rows]
        idle = np.maximum(self.capacity - self.scale_factor @ x, 0.0)
        room = np.where(gain > 0.0, np.minimum(x[rows] + idle / self.scale_factor[rows, None], 1.0), 0.0)
        order = np.argsort(-gain, axis=1, kind="stable")
        ranked = np.take_along_axis(room, order, axis=1)
        before = np.cumsum(ranked, axis=1) - ranked
        used = np.minimum(ranked, np.maximum(1.0 - before, 0.0))
        alone = np.zeros(gain.shape)
        np.put_along_axis(alone, order, used, axis=1)
        return alone

    def level_bounds(self, x: Floats, stage_prices: Floats) -> Floats:
        """Return (J,) what no job's level can exceed while those bounded before keep theirs at ``x`` (J, W).

        In a stage, the jobs that no earlier one bounded can together afford at most t(p): the level at which they, and
        the jobs bounded before, cost what all GPUs are worth (`phasewise.solvers.hulls`). It bounds the jobs whose
        every way to more uses a type with a price. As nothing is left over, nobody pays more than they must: in later
        stages the bounded jobs keep to types that are among their cheapest, and the others to types without a price.
        Jobs that no stage bounds have their ceiling over the types left to them.
        """
        return self._bounded(self.levels(x), stage_prices)[0]

    def _bounded(self, levels: Floats, stage_prices: Floats) -> tuple[Floats, float, float]:
        """Return `level_bounds` at ``levels`` (J,), a bound on the least level, and how far rounding may take a job.

        The least level is bounded by the first stage, in which nobody is taken anything yet. Rounding may take a job
        that is below its ceiling as far beyond its bound, of its level, as `ROUNDING` of all worth buys on types with
        a price.
        """
        usable = self.usable_gain
        bounds: Floats = usable.max(axis=1, initial=0.0)
        below = levels < bounds * (1.0 - _BELOW)
        active: Bools = bounds > 0.0
        least, blurred = float(bounds.min(initial=np.inf)), 0.0
        for stage, prices in enumerate(np.maximum(stage_prices, 0.0)):
            if not active.any():
                break
            hulls = lower_hulls(usable, self.scale_factor, prices)
            need = np.minimum(levels, usable.max(axis=1))
            spent = hulls.costs(np.where(active, 0.0, need))
            worth = float(prices @ self.capacity)
            budget = max(0.0, worth - float(spent.sum())) + ROUNDING * worth
            level = affordable_level(hulls, active.astype(np.float64), budget)
            least = min(least, level) if stage == 0 else least
            offered = self.scale_factor[:, None] * prices
            detour = hulls.detours(need, usable, offered) > DETOUR
            bounds[active] = np.minimum(bounds[active], usable[active].max(axis=1))
            cheapest = np.where(detour, 0.0, usable)
            dear = priced(prices, self.capacity)
            left = np.where(active[:, None] & dear, 0.0, usable)
            stuck = active & (left.max(axis=1) <= level * (1.0 + _SAME))
            bounds[stuck] = np.minimum(bounds[stuck], level)
            told = np.flatnonzero(stuck & below)
            if told.size and dear.any():
                bought = (usable[np.ix_(told, dear)] / offered[np.ix_(told, dear)]).max(axis=1)
                blurred = max(blurred, float((bought / np.maximum(levels[told], _TINY)).max()) * ROUNDING * worth)
            active &= ~stuck
            left[~active] = cheapest[~active]
            usable = left
        bounds[active] = np.minimum(bounds[active], usable[active].max(axis=1))
        return bounds, least if bounds.size else 0.0, blurred


def _largest_gap(levels: Floats, bounds: Floats) -> float:
    """Return the largest relative distance of a level (J,) from its bound (J,), 0 where bounds are 0."""
    live = bounds > 0.0
    if live.all():
        return float((1.0 - levels / bounds).max(initial=0.0))
    return float((1.0 - levels[live] / bounds[live]).max(initial=0.0))


FAMILIES: Final = (LexicographicProblem,)
