"""Lexicographic max-min of jobs that may share GPUs in pairs: raise the least level, then the next, and so on."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar, Final

import numpy as np

from phasewise.solvers.families.packed import PackedProblem
from phasewise.solvers.packing.worth import Prices, worth
from phasewise.solvers.problems import Bools, Floats
from phasewise.solvers.proofs import Duals, Proof
from phasewise.solvers.rows import Keys

LEXICOGRAPHIC_PACKED: Final = "lexicographic_packed"

_TELLING: Final = 0.01  # of the mean price of those that rise: a smaller one proves too little
_TINY: Final = 1e-300


@dataclass(frozen=True, eq=False)
class PackedLexicographicProblem(PackedProblem):
    """Of all allocations of jobs that may share the one whose sorted levels are lexicographically largest.

    A job's level is its gain, as in `phasewise.solvers.families.packed.PackedMaxMinProblem`. The optimum's levels are
    unique, so that equal jobs have equal ones. The objective is the least level; the proof bounds every level.

    Attributes
    ----------
    gain
        (J, W) >= 0, finite: what a job gains alone.
    kind, factor, rate, scale_factor, capacity
        As in `PackedProblem`.
    allowed
        (J, W) where a job may run; None means where gain > 0.
    keys
        As in `AllocationProblem`.
    """

    families: ClassVar[tuple[str, ...]] = (LEXICOGRAPHIC_PACKED,)
    forms: ClassVar[str] = "phasewise.solvers.forms.packed_lexicographic"

    gain: Floats
    kind: Keys
    factor: Floats
    rate: Floats
    scale_factor: Floats
    capacity: Floats
    allowed: Bools | None = None
    keys: Keys | None = None

    @property
    def alone(self) -> Floats:
        """(J, W) what a job gains alone on each type."""
        return self.gain

    @property
    def factors(self) -> Floats:
        """(J,) what a unit of a rate is worth to a job."""
        return self.factor

    def validate(self) -> None:
        """Check shapes and values in a few vectorised passes; raise `ProblemError` naming the first fault."""
        self.check_packed("gain")

    def value(self, gains: Floats) -> float:
        """Return the least of the levels ``gains`` (J,); 0 without jobs."""
        return float(gains.min(initial=np.inf)) if gains.size else 0.0

    def proven(self, gains: Floats, duals: Duals) -> Proof | None:
        """Return a bound on the least level, and the largest relative gap of any job's level from its own bound.

        In a stage with weights l, which bound all gains together by B, let jobs that an earlier stage bounded keep
        their levels, and all others at least the least level t among them. Then n equal jobs with l_i > 0, which have
        equal levels in the optimum, have at most t + (B - what all these make) / (n l_i) each. Jobs that no stage
        bounds, see `settled`, have their ceiling.
        """
        stages = self._stages(duals)
        if stages is None or not gains.size:
            return None
        crowd = self.crowd
        level = np.full(crowd.classes, np.inf)
        np.minimum.at(level, crowd.of_job, gains)
        bounds, waiting = crowd.most.copy(), crowd.most > 0.0
        least = float(bounds.min())
        for number, prices in enumerate(stages):
            weight = prices.weight
            rising = settled(crowd.size, waiting, weight)
            if not rising.any():
                continue
            most = worth(crowd, prices, self.capacity)
            rest = float((crowd.size * weight)[waiting].sum())
            held = float((crowd.size * weight * level)[~waiting].sum())
            if number == 0:
                least = min(least, most / rest)
            kept = float(level[waiting].min())
            spare = max(most - held - kept * rest, 0.0)
            bounds[rising] = np.minimum(bounds[rising], kept + spare / (crowd.size * weight)[rising])
            waiting &= ~rising
        live = bounds > 0.0
        short = 1.0 - level[live] / np.maximum(bounds[live], _TINY)
        return Proof(least, float(short.max(initial=0.0)))

    def _stages(self, duals: Duals) -> list[Prices] | None:
        """Return the prices of every stage; None where they are missing or are no numbers."""
        capacity, gain, time = duals.staged(self.types), duals.stage_gain, duals.stage_time
        if capacity is None or gain is None or time is None:
            return None
        shape = (len(capacity), self.crowd.classes)
        if gain.shape != shape or time.shape != shape or not np.isfinite(gain.sum() + time.sum()):
            return None
        prices = zip(*(np.maximum(each, 0.0) for each in (gain, time, capacity)), strict=True)
        return [Prices(*each) for each in prices]


def settled(size: Floats, rising: Bools, weight: Floats) -> Bools:
    """Return (C,) which of the classes that rise have their level for good: those whose gains have a price to speak of.

    Parameters
    ----------
    size, weight
        (C,) jobs of each class, and the price of a job's gain.
    rising
        (C,) which classes are not settled yet.
    """
    share = np.where(rising, size * weight, 0.0)
    told: Bools = rising & (share > 0.0) & (share >= _TELLING * share.sum() / max(1, int(rising.sum())))
    return told


FAMILIES: Final = (PackedLexicographicProblem,)
