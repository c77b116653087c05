"""What a point will take, by what points like it took."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from phasewise.bench.study.points import Point


class Costs:
    """CPU seconds of finished points, and what they let expect of others.

    Expected is the mean over the finished points that have most overrides in common with it, and of these over those
    that are nearest in what is a number: another seed of the same case, then the next rate.
    """

    def __init__(self) -> None:
        self._known: dict[str, tuple[Point, float]] = {}

    def note(self, point: Point, cpu_s: float) -> None:
        """Take note of what a point took."""
        self._known[point.name] = (point, cpu_s)

    def expected_s(self, point: Point) -> float | None:
        """Return the CPU seconds that a point can be expected to take; None where none has finished."""
        near: list[float] = []
        best: tuple[int, float] | None = None
        for other, cpu_s in self._known.values():
            rank = _nearness(point.overrides, other.overrides)
            if best is None or rank > best:
                best, near = rank, []
            if rank == best:
                near.append(cpu_s)
        return sum(near) / len(near) if near else None

    def longest_first(self, points: Sequence[Point]) -> list[Point]:
        """Return points by what they can be expected to take, the longest first; as they are where nothing is known."""
        return sorted(points, key=lambda point: -(self.expected_s(point) or 0.0))

    def left_s(self, points: Iterable[Point]) -> float | None:
        """Return the CPU seconds that points can be expected to take in all; None where none has finished."""
        expected = [self.expected_s(point) for point in points]
        return None if any(each is None for each in expected) else sum(each or 0.0 for each in expected)


def _nearness(ours: Mapping[str, Any], theirs: Mapping[str, Any]) -> tuple[int, float]:
    """Return how many overrides two points share, seeds aside, and minus how far apart they are in numbers."""
    keys = [key for key in ours if key != "seed"]
    shared = sum(ours[key] == theirs.get(key) for key in keys)
    apart = sum(_distance(ours[key], theirs.get(key)) for key in keys)
    return shared, -apart


def _distance(ours: Any, theirs: Any) -> float:
    if isinstance(ours, (int, float)) and isinstance(theirs, (int, float)):
        return abs(ours - theirs) / max(abs(ours), abs(theirs), 1e-12)
    return 0.0 if ours == theirs else 1.0
