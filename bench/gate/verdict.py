"""From samples and counters to a verdict: pure, and the same for the same samples."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.bench.gate.limits import Band, CounterKind, CounterLimit
from phasewise.profiling.stats import RESAMPLES, Interval

Floats = npt.NDArray[np.float64]
_SEED: Final = 0  # the same samples give the same verdict


class Verdict(StrEnum):
    """What is said of a case, or of a counter of it."""

    SAME = "same"
    FASTER = "faster"
    SLOWER = "slower"
    UNDECIDED = "undecided"
    DIFFERENT = "not comparable"


class CounterChange(NamedTuple):
    """A counter that is not the same on both sides."""

    name: str
    base: float | None
    head: float | None
    verdict: Verdict


def interval_of(logs: Floats, level: float, resamples: int = RESAMPLES) -> Interval:
    """Return the median ratio of head to base with its bootstrap interval.

    What two processes differ by (where their memory came to lie) is the same in all samples of a pair. So pairs are
    resampled first, and the samples within each then: with samples alone the interval would be too narrow.

    Parameters
    ----------
    logs
        (P, S) logarithms of head over base: P worker pairs, S samples of each.
    level
        Of the interval.
    """
    rng = np.random.default_rng(_SEED)
    pairs, samples = logs.shape
    pair = rng.integers(pairs, size=(resamples, pairs, 1))
    sample = rng.integers(samples, size=(resamples, pairs, samples))
    medians = np.median(logs[pair, sample].reshape(resamples, -1), axis=1)
    low, high = np.quantile(medians, [0.5 - level / 2, 0.5 + level / 2])
    return Interval(*(float(np.exp(value)) for value in (low, np.median(logs), high)))


def judge_time(ratio: Interval, band: Band) -> Verdict:
    """Return the verdict on a ratio of CPU times; undecided where more samples may tell."""
    if ratio.low > 1.0 + band.low_above and ratio.estimate > 1.0 + band.estimate_above:
        return Verdict.SLOWER
    if ratio.estimate > 1.0 + band.undecided_above:
        return Verdict.UNDECIDED
    if ratio.high < 1.0 / (1.0 + band.low_above) and ratio.estimate < 1.0 / (1.0 + band.estimate_above):
        return Verdict.FASTER
    return Verdict.SAME


def judge_time_at_last(ratio: Interval, band: Band) -> Verdict:
    """Return the verdict where nothing more is sampled.

    Within the dead band a case is the same. Above it without being certain it stays undecided, which is no pass.
    """
    verdict = judge_time(ratio, band)
    if verdict is Verdict.UNDECIDED and ratio.estimate <= 1.0 + band.estimate_above:
        return Verdict.SAME
    return verdict


def judge_counters(
    head: Mapping[str, float], base: Mapping[str, float], limits: Mapping[str, CounterLimit]
) -> list[CounterChange]:
    """Return the counters that differ, each with what it means; a counter without a limit, or on one side, is one."""
    changes = []
    for name in sorted({*head, *base}):
        mine, theirs, limit = head.get(name), base.get(name), limits.get(name)
        if mine is None or theirs is None or limit is None:
            changes.append(CounterChange(name, theirs, mine, Verdict.DIFFERENT))
        elif mine != theirs:
            changes.append(CounterChange(name, theirs, mine, _judge_counter(mine, theirs, limit)))
    return changes


def _judge_counter(head: float, base: float, limit: CounterLimit) -> Verdict:
    if limit.kind is CounterKind.INSTANCE:
        return Verdict.SAME if abs(head - base) <= limit.within * base else Verdict.DIFFERENT
    if head > base * (1.0 + limit.within):
        return Verdict.SLOWER
    return Verdict.SAME if head >= base * (1.0 - limit.within) else Verdict.FASTER
