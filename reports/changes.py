"""Whether one run took other CPU time a round than another, by how much, and which phase it was.

A busy machine slows all phases, by a third and more from one run to the next. So what all phases share is told apart
from what a phase did on its own: the median of the phases' ratios is the common factor, and a phase has moved where it
left the others behind.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from phasewise.profiling.stats import RESAMPLES, Interval
from phasewise.reports.figures import Floats
from phasewise.reports.phase_costs import ALL, cpu_blocks
from phasewise.reports.run_directory import Run

# As the regression gate: an interval must clear the dead band as a whole, and the estimate a larger one.
DEAD_BAND: Final = 0.03
LEAST_CHANGE: Final = 0.05
LEAST_PART: Final = 0.01  # of the base's round: a phase that moves by less is not named, and does not count as usual
LEAST_STRETCHES: Final = 5
# Native code, Python and writing feel a busy machine differently: a phase is named only where it is further from the
# common factor than so much of what that factor is (in logarithms).
OF_THE_COMMON: Final = 0.5


@dataclass(frozen=True, slots=True)
class Moved:
    """One phase, or the whole round, in two runs.

    Attributes
    ----------
    base_ms, ms
        CPU milliseconds a round.
    ratio
        The run over the base with its interval; None where the base spent nothing.
    own
        The ratio over the common factor of all phases, with its interval; None as `ratio`.
    difference_ms
        The run less the base with its interval.
    """

    name: str
    base_ms: float
    ms: float
    ratio: Interval | None
    own: Interval | None
    difference_ms: Interval


@dataclass(frozen=True, slots=True)
class Change:
    """A run against the base, in CPU time a round.

    Attributes
    ----------
    run
        Its name.
    paired
        Whether stretches of rounds were compared pair by pair: both runs have as many rounds of the same work.
    stretches
        Into how many stretches of rounds each run was cut, at least.
    common
        The factor that the phases have in common.
    whole
        The round.
    phases
        Those of both runs, the largest difference first.
    judged
        Whether the times may be compared at all.
    """

    run: str
    paired: bool
    stretches: int
    common: Interval
    whole: Moved
    phases: tuple[Moved, ...]
    judged: bool

    @property
    def rows(self) -> tuple[Moved, ...]:
        """Return the phases and then the round."""
        return (*self.phases, self.whole)

    @property
    def movers(self) -> tuple[Moved, ...]:
        """Return the phases that moved on their own and matter to the round, the largest difference first."""
        if self.stretches < LEAST_STRETCHES:
            return ()
        least_log = float(max(np.log1p(LEAST_CHANGE), OF_THE_COMMON * abs(np.log(self.common.estimate))))
        found = (phase for phase in self.phases if self._matters(phase) and _clear(phase.ratio))
        return tuple(phase for phase in found if _clear(phase.own, least_log))

    def _matters(self, phase: Moved) -> bool:
        """Return whether what a phase did on its own is a visible part of the round."""
        own_ms = phase.ms - self.common.estimate * phase.base_ms
        return abs(own_ms) >= LEAST_PART * self.whole.base_ms

    @property
    def verdict(self) -> str:
        """Return in one sentence whether the run is slower or faster, and which phase it was."""
        ratio = self.whole.ratio
        if not self.judged:
            return "no verdict: the times are not comparable"
        if ratio is None or self.stretches < LEAST_STRETCHES:
            return f"no verdict: {LEAST_STRETCHES} stretches of rounds are needed, and there are {self.stretches}"
        word = "no clear change"
        if _clear(ratio):
            word = "slower" if ratio.estimate > 1.0 else "faster"
            word = word if self.movers else f"undecided ({word}, but no phase in particular)"
        told = f"{word}: {ratio.estimate:.3g} times the CPU time per round ({ratio.low:.3g} to {ratio.high:.3g})"
        return f"{told}; {self._by_phase()}"

    def _by_phase(self) -> str:
        alike = _clear(self.common)
        if not self.movers:
            shared = f": all changed by the same factor, ×{self.common.estimate:.3g}, perhaps by load of the machine"
            return f"no single phase moved{shared if alike else ''}"
        named = [f"{phase.name} {phase.difference_ms.estimate:+.3g} ms{_times(phase)}" for phase in self.movers[:3]]
        rest = f" and {len(self.movers) - 3} more" if len(self.movers) > 3 else ""
        shared = f"; all others ×{self.common.estimate:.3g}" if alike else ""
        return f"moved: {'; '.join(named)}{rest}{shared}"

    def as_json(self) -> dict[str, Any]:
        """Return the change as plain mappings, lists, text and numbers; intervals are [low, estimate, high]."""
        return {
            "run": self.run,
            "verdict": self.verdict,
            "paired": self.paired,
            "stretches": self.stretches,
            "common": list(self.common),
            "moved": [phase.name for phase in self.movers],
            "phases": {
                row.name: {
                    "unit": "ms",
                    "base": row.base_ms,
                    "run": row.ms,
                    "ratio": None if row.ratio is None else list(row.ratio),
                    "own": None if row.own is None else list(row.own),
                    "difference": list(row.difference_ms),
                }
                for row in self.rows
            },
        }


def _times(phase: Moved) -> str:
    return "" if phase.ratio is None else f" (×{phase.ratio.estimate:.3g})"


def _clear(ratio: Interval | None, least_log: float = float(np.log1p(LEAST_CHANGE))) -> bool:
    """Return whether a ratio is beyond the dead band with its whole interval, and by ``least_log`` at least."""
    if ratio is None:
        return True  # from nothing to something
    beyond = ratio.low > 1.0 + DEAD_BAND or ratio.high < 1.0 - DEAD_BAND
    return beyond and (ratio.estimate <= 0.0 or abs(np.log(ratio.estimate)) > least_log)


def change_of(name: str, base: Run, run: Run, *, same_work: bool, judged: bool) -> Change | None:
    """Return how ``run`` differs from ``base`` in CPU time a round; None where one of them has no times by round.

    Parameters
    ----------
    same_work
        Whether both simulate the same work, so that rounds of one number belong together.
    judged
        Whether the times may be compared.

    Raises
    ------
    RunDirectoryError
        Where a table of rounds cannot be read.
    """
    if not len(base.rounds) or not len(run.rounds):
        return None
    before, after = cpu_blocks(base.rounds), cpu_blocks(run.rounds)
    names = [phase for phase in before if phase in after]
    if len(names) < 2:  # nothing but the sum
        return None
    paired = same_work and len(base.rounds) == len(run.rounds)
    rows, common = _rows(names, before, after, paired=paired)
    phases = sorted((row for row in rows if row.name != ALL), key=lambda row: -abs(row.difference_ms.estimate))
    whole = next(row for row in rows if row.name == ALL)
    return Change(name, paired, min(len(before[ALL]), len(after[ALL])), common, whole, tuple(phases), judged)


def _rows(
    names: list[str], before: Mapping[str, Floats], after: Mapping[str, Floats], *, paired: bool
) -> tuple[list[Moved], Interval]:
    """Return what the bootstrap says of each phase and of the whole, and the common factor."""
    one, other = (np.array([side[name] for name in names]) for side in (before, after))  # (P, B) milliseconds
    rng = np.random.default_rng(0)
    drawn = rng.integers(one.shape[1], size=(RESAMPLES, one.shape[1]))
    drawn_other = drawn if paired else rng.integers(other.shape[1], size=(RESAMPLES, other.shape[1]))
    # the last of each row is the estimate itself
    base = np.column_stack([one[:, drawn].mean(axis=2), one.mean(axis=1)])  # (P, R + 1)
    run = np.column_stack([other[:, drawn_other].mean(axis=2), other.mean(axis=1)])
    ratio = np.divide(run, base, out=np.full(run.shape, np.nan), where=base > 0.0)
    usual = _usual(names, one, ratio)
    common = np.median(ratio[usual], axis=0) if len(usual) else np.ones(ratio.shape[1])
    rows = [
        Moved(
            name,
            base_ms=float(base[at, -1]),
            ms=float(run[at, -1]),
            ratio=_interval(ratio[at]),
            own=_interval(ratio[at] / common),
            difference_ms=_interval(run[at] - base[at]) or Interval(0.0, 0.0, 0.0),
        )
        for at, name in enumerate(names)
    ]
    return rows, _interval(common) or Interval(1.0, 1.0, 1.0)


def _usual(names: list[str], one: Floats, ratio: Floats) -> list[int]:
    """Return the phases whose ratios say what all have in common: those that are a visible part of the round."""
    least = LEAST_PART * float(one[names.index(ALL)].mean())
    rows = enumerate(names)
    found = [at for at, name in rows if name != ALL and one[at].mean() >= least and bool((ratio[at] > 0.0).all())]
    return found if len(found) > 2 else []


def _interval(samples: Floats) -> Interval | None:
    """Return the interval of (R,) resamples around the estimate, which comes last; None where a sample is missing."""
    if not np.isfinite(samples).all():
        return None
    low, high = np.quantile(samples[:-1], [0.025, 0.975])
    return Interval(float(low), float(samples[-1]), float(high))
