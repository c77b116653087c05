"""How far a figure's points are from the published ones that were laid over it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from phasewise.reports.figure_files.model import AXIS_LIMIT, COMPLETE, Figure, Floats, Panel, Series

OURS: Final = "ours"


@dataclass(frozen=True, slots=True)
class Deviation:
    """A published point beside ours.

    Attributes
    ----------
    panel, series, source
        Of the figure: the panel's key, our series' label, who published it (``paper``, ``replication``).
    x, published
        The published point, in the units of the panel's axes.
    ours
        Our value there: between two of our points, on the line that joins them.
    between
        Whether it lies between two of our points.
    n
        Runs that the published mean is over, None where that is not told.
    done, of
        Runs that ours is over, and those it should be; None between two points, or where that is not told.
    state
        What the worse of the two is worth: a key of `phasewise.reports.figure_files.model.STATES`.
    """

    panel: str
    series: str
    source: str
    x: float
    published: float
    ours: float
    between: bool
    n: int | None
    done: int | None
    of: int | None
    state: str

    @property
    def difference(self) -> float:
        """Ours less the published value, in the unit of the y axis."""
        return self.ours - self.published

    @property
    def share(self) -> float:
        """The same as a share of the published value; NaN where that is 0."""
        return self.difference / self.published if self.published else float("nan")


@dataclass(frozen=True, slots=True)
class Summary:
    """The deviations of one series from one source, over the points of both that are complete.

    Attributes
    ----------
    points
        How many there are.
    mean, worst
        Mean and largest absolute difference, in the unit of the y axis.
    mean_share, worst_share
        The same as shares of the published values; NaN where one of them is 0.
    worst_x
        Where the largest difference is.
    """

    panel: str
    series: str
    source: str
    points: int
    mean: float
    worst: float
    mean_share: float
    worst_share: float
    worst_x: float


def deviations(figure: Figure) -> list[Deviation]:
    """Return every published point of a figure at which we have a value, by panel, series, source and x."""
    return [found for panel in figure.panels for found in _of_panel(panel)]


def summaries(found: Sequence[Deviation]) -> list[Summary]:
    """Return a summary a series and source, of the points that are complete in both, all their runs done."""
    groups: dict[tuple[str, str, str], list[Deviation]] = {}
    for each in found:
        if each.state == COMPLETE and each.of in {None, each.done}:
            groups.setdefault((each.panel, each.series, each.source), []).append(each)
    return [_summary(of) for of in groups.values()]


def _summary(of: Sequence[Deviation]) -> Summary:
    apart, share = np.abs([each.difference for each in of]), np.abs([each.share for each in of])
    worst = int(apart.argmax())
    first = of[0]
    return Summary(
        first.panel, first.series, first.source, len(of), float(apart.mean()), float(apart[worst]),
        float(share.mean()), float(share.max()), of[worst].x,
    )  # fmt: skip


def _of_panel(panel: Panel) -> Iterator[Deviation]:
    ours = {series.label: series for series in panel.series if series.source == OURS}
    for published in panel.series:
        name = published.label.removesuffix(f", {published.source}")
        if published.source == OURS or name not in ours or len(ours[name].x) == 0:
            continue
        for index, state in enumerate(published.states()):
            x, y = float(published.x[index]), float(published.y[index])
            at = _at(ours[name], x)
            if at is None or not np.isfinite(y):
                continue
            value, point, ours_state = at
            worse = AXIS_LIMIT if state == AXIS_LIMIT else ours_state
            done, of = (None, None) if point is None else (_whole(ours[name].n, point), _whole(ours[name].of, point))
            n = _whole(published.n, index)
            yield Deviation(panel.key, name, published.source, x, y, value, point is None, n, done, of, worse)


def _whole(values: Floats | None, index: int) -> int | None:
    return None if values is None or np.isnan(values[index]) else round(float(values[index]))


def _at(series: Series, x: float) -> tuple[float, int | None, str] | None:
    """Return a series' value at x, which of its points that is (None: between two), and its state; None outside."""
    states = series.states()
    same = np.flatnonzero(np.isclose(series.x, x, rtol=1e-9, atol=1e-9))
    if same.size:
        return float(series.y[same[0]]), int(same[0]), states[same[0]]
    right = int(np.searchsorted(series.x, x))
    if right in {0, len(series.x)}:
        return None
    value = float(np.interp(x, series.x[right - 1 : right + 1], series.y[right - 1 : right + 1]))
    state = next((state for state in states[right - 1 : right + 1] if state != COMPLETE), COMPLETE)
    return value, None, state
