"""The results of a test set as one page: tables, performance profiles, backends in pairs, every instance."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.reports import page

WIDTH: Final = 720.0  # of a picture, in its own units
HEIGHT: Final = 300.0
LEFT: Final = 44.0  # for the scale
BOTTOM: Final = 28.0
MARGIN: Final = 12.0
MOST_RATIO: Final = 1e4  # of the axis: further right nobody is a competitor
COLOURS: Final = 8  # after which the strokes change


class Curve(NamedTuple):
    """A backend's profile: the points of a polyline, and what the legend says."""

    backend: str
    points: str
    colour: int
    dashed: bool
    solved: float


class Tick(NamedTuple):
    """A line of a scale."""

    at: float
    text: str


class Picture(NamedTuple):
    """The profiles of all backends for one way of starting."""

    mode: str
    curves: Sequence[Curve]
    across: Sequence[Tick]
    up: Sequence[Tick]
    rows: Sequence[Sequence[object]]


def write_page(figures: Mapping[str, Any], rows: Sequence[Mapping[str, Any]], path: Path) -> None:
    """Write the page of a test set's figures, as ``phasewise testset report --json`` has them, and its ``rows``.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    text = page.plain(
        "testset.html",
        figures=figures,
        pictures=[picture(mode) for mode in figures["modes"]],
        rows=sorted(rows, key=lambda row: (row["instance"], row["mode"], row["backend"])),
        width=WIDTH,
        height=HEIGHT,
        left=LEFT,
        bottom=BOTTOM,
        number=number,
    )
    write_atomically(path, text.encode())


def picture(mode: Mapping[str, Any]) -> Picture:
    """Return the profiles of a mode, ratios on a logarithmic scale that ends where the slowest does."""
    largest = max((ratio for curve in mode["profiles"].values() for ratio, _ in curve), default=1.0)
    most = max(1, math.ceil(math.log10(min(max(largest, 2.0), MOST_RATIO))))

    def across(ratio: float) -> float:
        return LEFT + (WIDTH - LEFT - MARGIN) * min(math.log10(max(ratio, 1.0)) / most, 1.0)

    def up(share: float) -> float:
        return MARGIN + (HEIGHT - MARGIN - BOTTOM) * (1.0 - share)

    order = sorted(mode["profiles"].items(), key=lambda item: (-len(item[1]), item[0]))
    curves = [
        Curve(name, _steps(points, across, up), index % COLOURS, index >= COLOURS, points[-1][1] if points else 0.0)
        for index, (name, points) in enumerate(order)
    ]
    ticks = [Tick(across(10.0**power), f"{10**power:,}") for power in range(most + 1)]
    shares = [Tick(up(share), f"{share:.0%}") for share in (0.0, 0.25, 0.5, 0.75, 1.0)]
    cells = [(name, ratio, share) for name, points in order for ratio, share in points]
    return Picture(
        mode["mode"], curves, ticks, shares, [("backend", "time over the best", "share of instances"), *cells]
    )


def _steps(points: Sequence[Sequence[float]], across: Any, up: Any) -> str:
    """Return the corners of a curve of steps, to the right end of the axis; past it nothing is drawn."""
    corners, share = [(LEFT, up(0.0))], 0.0
    for ratio, reached in points:
        if ratio > MOST_RATIO:
            break
        corners += [(across(ratio), up(share)), (across(ratio), up(reached))]
        share = reached
    corners.append((WIDTH - MARGIN, up(share)))
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in corners)


def number(value: float | None, digits: int = 3) -> str:
    """Return a figure with so many significant digits, a dash where there is none."""
    if value is None:
        return "–"
    return f"{value:.{digits}g}" if abs(value) < 1000.0 or not math.isfinite(value) else f"{value:,.0f}"
