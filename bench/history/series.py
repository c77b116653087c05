"""Series of cases over commits, and the steps in them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from phasewise.bench.history.measurements import Kind, Measurement
from phasewise.profiling.change_points import change_points


@dataclass(frozen=True, slots=True)
class Point:
    """A case at a commit: all its measurements there as one.

    Attributes
    ----------
    log, low, high
        Medians of the measurements' logarithms and of the ends of their intervals, on the scale of the stretch.
    measurements
        How many there are.
    """

    commit: str
    committed_s: float
    subject: str
    log: float
    low: float
    high: float
    cpu_ms: float
    measurements: int
    counters: dict[str, float]
    packages: dict[str, str | None]


@dataclass(frozen=True, slots=True)
class Step:
    """A change of level.

    Attributes
    ----------
    at
        Index of the first point of the new level.
    ratio
        Of the new level to the one before, above 1 where it is slower.
    versions
        Packages whose version changed there too, as ``name 1.0 -> 1.1``: then it may be theirs.
    counters
        Work that changed there, as ``name 10 -> 12``.
    """

    at: int
    ratio: float
    versions: tuple[str, ...]
    counters: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Series:
    """A case over commits, all on one scale.

    Attributes
    ----------
    base
        What the first points are compared with, for the gate.
    points
        In the order in which the commits were made.
    steps
        Ascending.
    levels
        (n,) the level that each point belongs to: the median of the logarithms between two steps.
    """

    kind: Kind
    case: str
    base: str | None
    points: Sequence[Point]
    steps: Sequence[Step]
    levels: Sequence[float]


def all_series(measurements: Iterable[Measurement], false_alarms: float, least: float) -> list[Series]:
    """Return every case as a series, slowest steps first within a kind where there are any.

    Parameters
    ----------
    measurements
        In any order.
    false_alarms
        Probability that any series at all shows a step where there are none: each gets its part of it.
    least
        Smallest change that is a step, as a fraction.
    """
    stretches = [
        (kind, case, base, points)
        for (kind, case), found in _by_case(measurements).items()
        for base, points in _stretches(found)
    ]
    each = false_alarms / max(1, len(stretches))
    return [_series(*stretch, each, least) for stretch in stretches]


def _by_case(measurements: Iterable[Measurement]) -> dict[tuple[Kind, str], list[Measurement]]:
    found: dict[tuple[Kind, str], list[Measurement]] = defaultdict(list)
    for each in sorted(measurements, key=lambda each: (each.kind, each.case, each.committed_s, each.measured_s)):
        found[each.kind, each.case].append(each)
    return dict(found)


def _stretches(measurements: Sequence[Measurement]) -> list[tuple[str | None, list[Point]]]:
    """Return the points on one scale each, and the base of each scale.

    A base that was itself measured against an earlier one is on that one's scale: the ratios are multiplied. One that
    was not begins a scale of its own.
    """
    scale: dict[str | None, tuple[str | None, float]] = {}  # of a base: the base of its scale, and its place on it
    for base in dict.fromkeys(each.base for each in measurements):
        own = [each for each in measurements if each.commit == base and each.base in scale]
        if base is None or not own:
            scale[base] = (base, 0.0)
        else:
            root, place = scale[own[0].base]
            scale[base] = (root, place + float(np.median([each.log for each in own if each.base == own[0].base])))
    found: dict[str | None, dict[str, list[tuple[float, Measurement]]]] = defaultdict(lambda: defaultdict(list))
    for each in measurements:
        root, place = scale[each.base]
        found[root][each.commit].append((place, each))
    return [(root, [_point(kept) for kept in commits.values()]) for root, commits in found.items()]


def _point(kept: Sequence[tuple[float, Measurement]]) -> Point:
    """Return the measurements of one commit, each with the place of its base, as one."""
    last = kept[-1][1]
    places = np.array([place for place, _ in kept])
    rows = np.array([(each.log, each.low, each.high) for _, each in kept]) + places[:, None]
    log, low, high = (float(value) for value in np.median(rows, axis=0))
    return Point(
        last.commit,
        last.committed_s,
        last.subject,
        log,
        low,
        high,
        float(np.median([each.cpu_ms for _, each in kept])),
        len(kept),
        last.counters,
        last.packages,
    )


def _series(
    kind: Kind, case: str, base: str | None, points: Sequence[Point], false_alarms: float, least: float
) -> Series:
    logs = np.array([point.log for point in points])
    edges = _large_enough(logs, change_points(logs, false_alarms), least)
    bounds = [0, *edges, logs.size]
    medians = [float(np.median(logs[start:end])) for start, end in pairwise(bounds)]
    levels = [level for level, (start, end) in zip(medians, pairwise(bounds), strict=True) for _ in range(start, end)]
    steps = [_step(points, at, after - before) for at, (before, after) in zip(edges, pairwise(medians), strict=True)]
    return Series(kind, case, base, points, steps, levels)


def _large_enough(logs: np.ndarray, edges: list[int], least: float) -> list[int]:
    """Return the edges without those between levels that differ by less than ``least``, the smallest going first."""
    edges = list(edges)
    while edges:
        bounds = [0, *edges, logs.size]
        medians = [float(np.median(logs[start:end])) for start, end in pairwise(bounds)]
        sizes = [abs(after - before) for before, after in pairwise(medians)]
        smallest = int(np.argmin(sizes))
        if sizes[smallest] >= np.log1p(least):
            break
        del edges[smallest]
    return edges


def _step(points: Sequence[Point], at: int, change: float) -> Step:
    before, after = points[at - 1], points[at]
    return Step(
        at,
        float(np.exp(change)),
        _differences(before.packages, after.packages),
        _differences(before.counters, after.counters),
    )


def _differences(before: Mapping[str, object], after: Mapping[str, object]) -> tuple[str, ...]:
    """Return what differs, of what both know."""
    both = [name for name in after if name in before and before[name] != after[name]]
    return tuple(f"{name} {_text(before[name])} -> {_text(after[name])}" for name in both)


def _text(value: object) -> str:
    return f"{value:g}" if isinstance(value, float) else "none" if value is None else str(value)
