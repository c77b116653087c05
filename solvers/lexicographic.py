"""The lexicographic max-min problem: maximise the least level, then the next, and so on. Water filling solves it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from phasewise.solvers.errors import ProblemError
from phasewise.solvers.hulls import DETOUR, ROUNDING, affordable_level, lower_hulls, priced
from phasewise.solvers.problems import Bools, Floats, MaxMinProblem

LEXICOGRAPHIC: Final = "lexicographic"

_SAME: Final = 1e-11  # relative difference of levels that counts as none


@dataclass(frozen=True, slots=True)
class LexicographicProblem(MaxMinProblem):
    """A max-min problem of whose optima the one is sought whose sorted levels are lexicographically largest.

    Job i's level is sum_j gain_ij x_ij. The optimum's levels are unique (the feasible set is convex); its x need not
    be. The objective is that of the max-min problem, the least level; `sorted_levels` compares two allocations in
    full, and `staged_proof` bounds every level, not the least alone. There is no linear and no switching term.

    Attributes
    ----------
    gain, scale_factor, capacity, allowed
        As in `MaxMinProblem`.
    """

    @property
    def family(self) -> str:
        """``lexicographic``."""
        return LEXICOGRAPHIC

    def validate(self) -> None:
        """Check shapes and values as `MaxMinProblem` does; raise `ProblemError` also where a further term is given."""
        MaxMinProblem.validate(self)
        if self.linear_weight != 0.0 or self.switching is not None:
            raise ProblemError(
                "a lexicographic problem has neither a linear nor a switching term; "
                f"got linear_weight={self.linear_weight!r}, previous {'given' if self.switching else 'not given'}"
            )

    def levels(self, x: Floats) -> Floats:
        """Return (J,) every job's level at ``x`` (J, W)."""
        levels: Floats = np.einsum("ij,ij->i", self.usable_gain, x)
        return levels

    def sorted_levels(self, x: Floats) -> Floats:
        """Return (J,) the levels at ``x`` (J, W) in ascending order: what is maximised, the first entry first."""
        ascending: Floats = np.sort(self.levels(x))
        return ascending

    def staged_proof(self, x: Floats, stage_prices: Floats) -> tuple[float, float]:
        """Return a bound on the least level and the largest relative gap of any job's level at ``x`` (J, W).

        Parameters
        ----------
        stage_prices
            (K, W) prices p >= 0 of a GPU, a row a stage, in ascending order of the levels they bound. With none, only
            the jobs' ceilings bound their levels.
        """
        levels, bounds = self.levels(x), self.level_bounds(x, stage_prices)
        live = bounds > 0.0
        if not live.all():
            return 0.0, 0.0 if not live.any() else float((1.0 - levels[live] / bounds[live]).max(initial=0.0))
        return float(bounds.min()), float((1.0 - levels / bounds).max(initial=0.0))

    def level_bounds(self, x: Floats, stage_prices: Floats) -> Floats:
        """Return (J,) what no job's level can exceed while those bounded before keep theirs at ``x`` (J, W).

        In a stage, the jobs that no earlier one bounded can together afford at most t(p): the level at which they, and
        the jobs bounded before, cost what all GPUs are worth (`phasewise.solvers.hulls`). It bounds the jobs whose
        every way to more uses a type with a price. As nothing is left over, nobody pays more than they must: in later
        stages the bounded jobs keep to types that are among their cheapest, and the others to types without a price.
        Jobs that no stage bounds have their ceiling over the types left to them.
        """
        usable, levels = self.usable_gain.copy(), self.levels(x)
        bounds: Floats = usable.max(axis=1)
        active: Bools = bounds > 0.0
        for prices in np.maximum(stage_prices, 0.0):
            if not active.any():
                break
            hulls = lower_hulls(usable, self.scale_factor, prices)
            need = np.minimum(levels, usable.max(axis=1))
            spent = hulls.costs(np.where(active, 0.0, need))
            worth = float(prices @ self.capacity)
            budget = max(0.0, worth - float(spent.sum())) + ROUNDING * worth
            level = affordable_level(hulls, active.astype(np.float64), budget)
            detour = hulls.detours(need, usable, self.scale_factor[:, None] * prices) > DETOUR
            bounds[active] = np.minimum(bounds[active], usable[active].max(axis=1))
            cheapest = np.where(detour, 0.0, usable)
            usable[np.ix_(active, priced(prices, self.capacity))] = 0.0
            stuck = active & (usable.max(axis=1) <= level * (1.0 + _SAME))
            bounds[stuck] = np.minimum(bounds[stuck], level)
            active &= ~stuck
            usable[~active] = cheapest[~active]
        bounds[active] = np.minimum(bounds[active], usable[active].max(axis=1))
        return bounds
