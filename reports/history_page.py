"""A history as one page: the steps in a table, and every case as a curve over commits, with its levels."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path
from typing import Any, Final, NamedTuple

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.reports import page

WIDTH: Final = 720.0  # of a picture, in its own units
HEIGHT: Final = 150.0
MARGIN: Final = 12.0  # above and below the curve
LEFT: Final = 46.0  # for the scale
NEAREST: Final = 12.0  # that lines of the scale may be, so that their figures can be read
NARROWEST: Final = 0.05  # of the axis, as a fraction: noise must not look like change
_SHORT: Final = 12


class Mark(NamedTuple):
    """A point of a curve with its interval, and what it says."""

    x: float
    y: float
    low_y: float
    high_y: float
    title: str


class Level(NamedTuple):
    """A stretch of points without a step: a level line."""

    x0: float
    x1: float
    y: float


class Flag(NamedTuple):
    """Where a step is."""

    x: float
    text: str
    title: str
    slower: bool


class Tick(NamedTuple):
    """A line of the scale."""

    y: float
    text: str


class Picture(NamedTuple):
    """A case over commits."""

    title: str
    note: str
    rows: Sequence[Sequence[object]]
    marks: Sequence[Mark]
    levels: Sequence[Level]
    flags: Sequence[Flag]
    ticks: Sequence[Tick]


class Row(NamedTuple):
    """A step in the table."""

    case: str
    anchor: str
    change: str
    slower: bool
    commit: str
    subject: str
    day: str
    after: str
    beside: str


def write_page(figures: Mapping[str, Any], path: Path) -> None:
    """Write the page of a history's figures, as ``phasewise history --json`` has them.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    stepped = sorted(figures["series"], key=lambda series: (not series["steps"], series["kind"], series["case"]))
    text = page.plain(
        "history.html",
        figures=figures,
        rows=rows(figures),
        pictures=[picture(series) for series in stepped],
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
    )
    write_atomically(path, text.encode())


def rows(figures: Mapping[str, Any]) -> list[Row]:
    """Return the steps of all series, latest first."""
    found = [
        (series["points"][step["at"]]["committed_s"], _row(series, step))
        for series in figures["series"]
        for step in series["steps"]
    ]
    return [row for _, row in sorted(found, key=lambda pair: -pair[0])]


def _row(series: Mapping[str, Any], step: Mapping[str, Any]) -> Row:
    return Row(
        series["case"],
        _title(series),
        _change(step["ratio"]),
        step["ratio"] > 1.0,
        step["commit"][:_SHORT],
        step["subject"],
        _day(series["points"][step["at"]]["committed_s"]),
        step["after"][:_SHORT],
        "; ".join([*step["versions"], *step["counters"]]),
    )


def picture(series: Mapping[str, Any]) -> Picture:
    """Return a series as a picture; ratios are to the level of its first points, on a logarithmic scale."""
    points = series["points"]
    first = math.log(points[0]["level"])
    logs = [math.log(point["ratio"]) - first for point in points]
    lows = [math.log(point["low"]) - first for point in points]
    highs = [math.log(point["high"]) - first for point in points]
    bottom, top = _range(logs)
    step_x = (WIDTH - LEFT) / max(1, len(points))

    def at(index: float) -> float:
        return LEFT + (index + 0.5) * step_x

    def height(value: float) -> float:
        inside = min(max(value, bottom), top)
        return MARGIN + (HEIGHT - 2 * MARGIN) * (top - inside) / (top - bottom)

    marks = [
        Mark(at(index), height(log), height(low), height(high), _says(point, log))
        for index, (point, log, low, high) in enumerate(zip(points, logs, lows, highs, strict=True))
    ]
    flags = [
        Flag(
            at(step["at"] - 0.5),
            _change(step["ratio"]),
            f"at {step['commit'][:_SHORT]} {step['subject']}",
            step["ratio"] > 1.0,
        )
        for step in series["steps"]
    ]
    ends = [value for value in (bottom, top) if abs(height(value) - height(0.0)) > NEAREST]
    ticks = [Tick(height(value), f"{math.exp(value):.2f}") for value in (0.0, *ends)]
    note = f"{len(points)} commits from {_day(points[0]['committed_s'])} to {_day(points[-1]['committed_s'])}"
    note += f"; last {points[-1]['cpu_ms']:.3g} ms of CPU"
    cells = [
        (point["commit"], point["subject"], math.exp(log), point["cpu_ms"])
        for point, log in zip(points, logs, strict=True)
    ]
    table = [("commit", "subject", "ratio to the first level", "CPU time (ms)"), *cells]
    return Picture(_title(series), note, table, marks, _levels(points, first, at, height), flags, ticks)


def _levels(points: Sequence[Mapping[str, Any]], first: float, at: Any, height: Any) -> list[Level]:
    found, index = [], 0
    for level, group in groupby(points, key=lambda point: point["level"]):
        count = len(list(group))
        found.append(Level(at(index - 0.5), at(index + count - 0.5), height(math.log(level) - first)))
        index += count
    return found


def _range(logs: Sequence[float]) -> tuple[float, float]:
    """Return the ends of the axis: around all points and 1, and wide enough."""
    bottom, top = min(0.0, *logs), max(0.0, *logs)
    missing = max(0.0, 2 * NARROWEST - (top - bottom)) / 2
    return bottom - missing, top + missing


def _says(point: Mapping[str, Any], log: float) -> str:
    return (
        f"{point['commit'][:_SHORT]} {point['subject']}: {math.exp(log):.3f} of the first level, "
        f"{point['cpu_ms']:.3g} ms, {_day(point['committed_s'])}, measured {point['measurements']} times"
    )


def _title(series: Mapping[str, Any]) -> str:
    base = f", against {series['base'][:_SHORT]}" if series["base"] else ""
    return f"{series['case']} ({series['kind']}{base})"


def _change(ratio: float) -> str:
    return f"{100.0 * abs(ratio - 1.0):.1f} % {'slower' if ratio > 1.0 else 'faster'}"


def _day(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).date().isoformat()
