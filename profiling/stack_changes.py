"""Two sets of sampled call stacks: in which functions, and below which callers, CPU time changed, and what is noise.

A sample stands for the CPU time since the one before: a tick, or a compiled call of many ticks, after which it falls on
whatever Python runs. Where one was taken is chance, and so is how fast the machine ran meanwhile. The bootstrap draws
the samplings of each side first, where there are several, and then the samples within them, as many as chance has it
(Poisson). Samples of unlike lengths count as so many equal ones as have the same sum and the same sum of squares
(Kish, 1965): one long call is one sample, however many its ticks. Hundreds of functions are looked at together, so
their intervals are simultaneous: half their width is the same multiple of each one's standard error, and that multiple
is the quantile of the largest deviation of all of them in a resample (max-t; Westfall and Young, 1993; Romano and Wolf,
2005). Where both sets are of the same code, the probability that anything at all is said to have moved is therefore at
most one minus the level.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.profiling.errors import SamplingError
from phasewise.profiling.stack_trees import Forest, Ints, forest_of
from phasewise.profiling.stacks import Folded
from phasewise.profiling.stats import LEVEL, Interval

Floats = npt.NDArray[np.float64]

RESAMPLES: Final = 1000
LEAST_SAMPLES: Final = 12.0  # effective ones, of both sides together: of fewer, no change can be told from chance
LEAST_PART: Final = 0.01  # of the whole before: what moves by less is not named
USUAL_PART: Final = 0.01  # of the whole before: functions that say what all have in common
LEAST_USUAL: Final = 3
# Compiled code and Python feel a busy machine differently: a function has moved only where it is further from what all
# have in common than so much of what that is (in logarithms).
OF_THE_COMMON: Final = 0.5
_AT_ONCE: Final = 50  # resamples: bounds the memory that they take
_SEED: Final = 0  # the same samples give the same verdicts


class Movement(StrEnum):
    """What is said of a function, or of a place in the tree."""

    SLOWER = "slower"
    FASTER = "faster"
    NOISE = "noise"


@dataclass(frozen=True, slots=True)
class TimeChange:
    """CPU time before and after, for each time that the work was done.

    Attributes
    ----------
    before_s, after_s
        CPU seconds.
    change_s
        After less `StackChanges.common` times before, with its simultaneous interval; None where there were too few
        samples for one.
    movement
        Whether the interval is clear of 0 and the change large enough to matter.
    """

    before_s: float
    after_s: float
    change_s: Interval | None
    movement: Movement


@dataclass(frozen=True, slots=True)
class FunctionChange:
    """A function, ``module:name``, with the time in itself and in none that it called."""

    name: str
    own: TimeChange


@dataclass(slots=True)
class PlaceChange:
    """A function below the same callers, with the time in it and in all that it called there.

    Attributes
    ----------
    frame
        Index into `StackChanges.frames`; -1 for the root, which is everything.
    """

    frame: int
    whole: TimeChange
    below: list[PlaceChange] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class StackChanges:
    """What became of the CPU time of one set of stacks in another.

    Attributes
    ----------
    frames
        Names of all functions.
    functions
        Those that moved first, then by the size of the change.
    root
        The tree of both.
    common
        The factor by which everything is taken to be slower, as on a busy machine; 1 where none was asked for.
    level
        Probability that nothing is said to have moved where nothing did.
    samples
        How many were taken on each side.
    """

    frames: Sequence[str]
    functions: Sequence[FunctionChange]
    root: PlaceChange
    common: float
    level: float
    samples: tuple[int, int]

    @property
    def moved(self) -> list[FunctionChange]:
        """Return the functions that moved, the largest change first."""
        return [each for each in self.functions if each.own.movement is not Movement.NOISE]


def stack_changes(
    before: Sequence[Folded],
    after: Sequence[Folded],
    *,
    paired: bool = False,
    shared_factor: bool = False,
    level: float = LEVEL,
) -> StackChanges:
    """Return how the CPU time of ``after`` differs from that of ``before``, function by function and place by place.

    Parameters
    ----------
    before, after
        Samplings of the same work, one or several on each side.
    paired
        Sampling k of one side was taken beside sampling k of the other: what disturbed both cancels.
    shared_factor
        Take out what all functions have in common, the median of their ratios (of few samples, the ratio of the whole):
        for samplings of different hours.
    level
        Of the simultaneous intervals.

    Raises
    ------
    SamplingError
        Where a side has no sample, or samplings that belong together in pairs are not as many.
    """
    if paired and len(before) != len(after):
        raise SamplingError(f"pairs need as many samplings on both sides, not {len(before)} and {len(after)}")
    forest = forest_of([*before, *after])
    sides = [_Side.of(forest, samplings, name) for samplings, name in ((before, "before"), (after, "after"))]
    columns = _columns(forest, sides)
    estimates = [columns.of(side.seconds[None, :])[0] for side in sides]
    usual = _usual(columns, estimates) if shared_factor else np.array([], dtype=np.int64)
    common = _common(usual, *(each[None, :] for each in estimates))[0]
    change = estimates[1] - common * estimates[0]
    error, multiple = _spread(columns, sides, usual, change, paired=paired, level=level)
    moved = _moved(columns, estimates, common, multiple * error)
    found = [
        TimeChange(float(before_s), float(after_s), *verdict)
        for before_s, after_s, verdict in zip(*estimates, moved, strict=True)
    ]
    functions = [FunctionChange(forest.frames[frame], found[at]) for at, frame in enumerate(forest.leaves)]
    functions.sort(
        key=lambda each: (each.own.movement is Movement.NOISE, -_size(each.own), -each.own.after_s, each.name)
    )
    return StackChanges(
        frames=forest.frames,
        functions=functions,
        root=_tree(forest, found[len(forest.leaves) :]),
        common=float(common),
        level=level,
        samples=(sum(each.samples for each in before), sum(each.samples for each in after)),
    )


@dataclass(frozen=True, slots=True)
class _Side:
    """One side: K samplings over the S stacks of the forest.

    Attributes
    ----------
    spent_s, squares_s2
        (K, S) CPU seconds of each stack, and the sums of the squares of those of its samples.
    times
        (K,) how often the work was done.
    """

    spent_s: Floats
    squares_s2: Floats
    times: Floats

    @classmethod
    def of(cls, forest: Forest, samplings: Sequence[Folded], name: str) -> _Side:
        shape = len(samplings), len(forest.stacks)
        spent_s = np.array([forest.seconds(each) for each in samplings]).reshape(shape)
        if not len(samplings) or not (spent_s.sum(axis=1) > 0.0).all():
            raise SamplingError(f"{name}: no call stack was sampled, so there is nothing to compare")
        squares_s2 = np.array([forest.squares(each) for each in samplings]).reshape(shape)
        return cls(spent_s, squares_s2, np.array([float(each.times) for each in samplings]))

    @property
    def seconds(self) -> Floats:
        """Return (S,) CPU seconds of each stack for each time that the work was done."""
        found: Floats = self.spent_s.sum(axis=0) / self.times.sum()
        return found

    def drawn(self, rng: np.random.Generator, chosen: Ints) -> Floats:
        """Return (R, S) `seconds` of R resamples; ``chosen`` (R, K) says how often each sampling is in them."""
        total = np.zeros((len(chosen), self.spent_s.shape[1]))
        for at, (spent_s, squares_s2) in enumerate(zip(self.spent_s, self.squares_s2, strict=True)):
            each_s = squares_s2 / np.where(spent_s > 0.0, spent_s, 1.0)
            total += rng.poisson(chosen[:, at, None] * _effective(spent_s, squares_s2)) * each_s
        return total / (chosen @ self.times)[:, None]


@dataclass(frozen=True, slots=True)
class _Columns:
    """What is looked at: each function's own time, then each place of the tree.

    Attributes
    ----------
    tested
        (C,) whether there are enough samples for an interval.
    whole
        Index of the root.
    """

    forest: Forest
    tested: npt.NDArray[np.bool_]
    whole: int

    def of(self, seconds: Floats) -> Floats:
        """Return (R, C) seconds of every function and place, of (R, S) of every stack."""
        return np.concatenate([self.forest.by_leaf(seconds), self.forest.by_node(seconds)], axis=1)


def _columns(forest: Forest, sides: Sequence[_Side]) -> _Columns:
    everything = _Columns(forest, np.array([], dtype=bool), len(forest.leaves))
    spent_s = np.concatenate([side.spent_s for side in sides]).sum(axis=0)
    squares_s2 = np.concatenate([side.squares_s2 for side in sides]).sum(axis=0)
    samples = _effective(*everything.of(np.array([spent_s, squares_s2])))
    return _Columns(forest, samples >= LEAST_SAMPLES, everything.whole)


def _effective(spent_s: Floats, squares_s2: Floats) -> Floats:
    """Return how many samples of one length have the same sum and the same sum of squares; 0 of nothing."""
    return spent_s**2 / np.where(squares_s2 > 0.0, squares_s2, 1.0)


def _usual(columns: _Columns, estimates: Sequence[Floats]) -> Ints:
    """Return the functions that are a visible part on both sides; the root where there are too few of them."""
    parts = [each[: columns.whole] / each[columns.whole] for each in estimates]
    found = np.flatnonzero((parts[0] >= USUAL_PART) & (parts[1] >= USUAL_PART) & columns.tested[: columns.whole])
    return found if len(found) >= LEAST_USUAL else np.array([columns.whole])


def _common(usual: Ints, before: Floats, after: Floats) -> Floats:
    """Return (R,) medians of the ratios of the usual functions, of (R, C) seconds; 1 where there are none."""
    if not len(usual):
        return np.ones(len(before))
    ratios = after[:, usual] / np.maximum(before[:, usual], np.finfo(float).tiny)
    return np.asarray(np.median(ratios, axis=1))


def _spread(
    columns: _Columns, sides: Sequence[_Side], usual: Ints, change: Floats, *, paired: bool, level: float
) -> tuple[Floats, float]:
    """Return (C,) standard errors of the changes, and the multiple of them that all intervals have."""
    rng = np.random.default_rng(_SEED)
    kept = [
        (after - _common(usual, before, after)[:, None] * before - change)[:, columns.tested]
        for before, after in _resamples(columns, sides, rng, paired=paired)
    ]
    deviations = np.concatenate(kept)
    fewest = min(len(side.times) for side in sides)
    if fewest > 1:  # of few samplings the bootstrap sees too little
        deviations *= (fewest / (fewest - 1)) ** 0.5
    tested = np.sqrt((deviations**2).mean(axis=0))
    within = tested > 0.0
    largest = np.abs(deviations[:, within] / tested[within]).max(axis=1) if within.any() else np.zeros(1)
    error = np.full(change.shape, np.nan)
    error[columns.tested] = tested
    return error, float(np.quantile(largest, level))


def _resamples(
    columns: _Columns, sides: Sequence[_Side], rng: np.random.Generator, *, paired: bool
) -> Iterator[tuple[Floats, Floats]]:
    """Yield (R, C) seconds of both sides, a part of all resamples at a time."""
    for _ in range(RESAMPLES // _AT_ONCE):
        chosen = [_chosen(rng, len(side.times)) for side in sides]
        before, after = (columns.of(side.drawn(rng, chosen[0 if paired else at])) for at, side in enumerate(sides))
        yield before, after


def _chosen(rng: np.random.Generator, samplings: int) -> Ints:
    """Return (R, K) how often each of K samplings is in each resample."""
    return rng.multinomial(samplings, np.full(samplings, 1.0 / samplings), size=_AT_ONCE)


def _moved(
    columns: _Columns, estimates: Sequence[Floats], common: float, half: Floats
) -> Iterator[tuple[Interval | None, Movement]]:
    """Yield the interval of every function and place, and what is said of it; ``half`` (C,) is half the width."""
    before, after = estimates
    change = after - common * before
    with np.errstate(divide="ignore", invalid="ignore"):  # from nothing, or to nothing: an infinite change
        logs = np.abs(np.log(after / (common * before)))
    large = (np.abs(change) >= LEAST_PART * before[columns.whole]) & (logs > OF_THE_COMMON * abs(np.log(common)))
    for at, tested in enumerate(columns.tested):
        if not tested:
            yield None, Movement.NOISE
            continue
        ends = Interval(float(change[at] - half[at]), float(change[at]), float(change[at] + half[at]))
        if large[at] and not ends.low <= 0.0 <= ends.high:
            yield ends, Movement.SLOWER if ends.low > 0.0 else Movement.FASTER
        else:
            yield ends, Movement.NOISE


def _size(change: TimeChange) -> float:
    return abs(change.after_s - change.before_s) if change.change_s is None else abs(change.change_s.estimate)


def _tree(forest: Forest, found: Sequence[TimeChange]) -> PlaceChange:
    places = [PlaceChange(frame, change) for frame, change in zip(forest.node_frames, found, strict=True)]
    for at, parent in enumerate(forest.parents):
        if parent >= 0:
            places[parent].below.append(places[at])
    return places[0]
