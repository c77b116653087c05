"""The points of a study as overrides: every combination of the grid's values but those that are excluded."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from phasewise.bench.study.errors import StudyError
from phasewise.profiling.names import nearest, quoted
from phasewise.sched.scenario.schema import accepts, field_type

RANGE: Final = re.compile(r"(\d{1,9}):(\d{1,9})", re.ASCII)
MOST_POINTS: Final = 100_000


def combinations(grid: Mapping[str, Sequence[Any]], exclude: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return the overrides of every point, the last axis running fastest.

    Parameters
    ----------
    grid
        Values by dotted key. A text ``"A:B"`` of an integer key stands for A, A + 1, ..., B - 1.
    exclude
        A combination goes that agrees with every key of one of these; a list of values is any of them.

    Raises
    ------
    StudyError
        Where a range is empty, an excluded key is no axis, an excluded value is not on it, or nothing, or far too
        much, is left.
    """
    axes = expanded(grid)
    left_out = [{key: _excluded(key, value, axes) for key, value in entry.items()} for entry in exclude]
    size = 1
    for axis in axes.values():
        size *= len(axis)
    if size > MOST_POINTS:
        raise StudyError(f"grid: has {size:,} combinations; allowed: at most {MOST_POINTS:,}")
    points = [point for point in _product(axes) if not any(_agrees(point, entry) for entry in left_out)]
    if not points:
        raise StudyError("exclude: leaves no point; allowed: at least one combination of the grid")
    return points


def expanded(grid: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
    """Return axes with their ranges written out, each value once; raises `StudyError` where a range is empty."""
    return {key: _values(key, axis) for key, axis in grid.items()}


def _product(axes: Mapping[str, Sequence[Any]]) -> Iterator[dict[str, Any]]:
    for values in itertools.product(*axes.values()):
        yield dict(zip(axes, values, strict=True))


def _values(key: str, axis: Sequence[Any]) -> list[Any]:
    """Return the values of an axis, ranges written out, each once."""
    kind, values = field_type(key), []
    for value in axis:
        found = RANGE.fullmatch(value.strip()) if isinstance(value, str) and accepts(kind, int) else None
        if found is None:
            values.append(value)
            continue
        first, end = int(found[1]), int(found[2])
        if first >= end or end - first > MOST_POINTS:
            raise StudyError(f"grid.{key}: got {quoted(value)}; allowed: A:B with A < B, which is A to B - 1")
        values += range(first, end)
    return list({_identity(value): value for value in reversed(values)}.values())[::-1]


def _identity(value: Any) -> tuple[bool, Any]:
    """Return what two values have in common where they are one: 1 and 1.0 are, true and 1 are not."""
    return isinstance(value, bool), json.dumps(value, default=str) if isinstance(value, (list, dict)) else value


def _excluded(key: str, value: Any, axes: Mapping[str, Sequence[Any]]) -> list[Any]:
    """Return the values of an axis that an entry of exclude names."""
    if key not in axes:
        raise StudyError(f"exclude.{key}: is not an axis of [grid]{nearest(key, axes)}; allowed: {', '.join(axes)}")
    values = _values(key, value if isinstance(value, list) else [value])
    for each in values:
        if not _among(each, axes[key]):
            raise StudyError(f"exclude.{key}: {quoted(str(each))} is not on that axis; allowed: {axes[key]}")
    return values


def _agrees(point: Mapping[str, Any], entry: Mapping[str, Sequence[Any]]) -> bool:
    return all(_among(point[key], values) for key, values in entry.items())


def _among(value: Any, values: Sequence[Any]) -> bool:
    return any(_identity(value) == _identity(each) for each in values)
