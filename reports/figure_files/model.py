"""A figure as plain records: panels of series. What is drawn, what is written as CSV, and what tests look at."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final, Literal

import numpy as np
import numpy.typing as npt

from phasewise.reports.charts import Axis

Floats = npt.NDArray[np.float64]
Look = Literal["points", "line", "steps", "bars"]
Row = tuple[str | float | int | None, ...]

COMPLETE: Final = "complete"
CENSORED: Final = "censored"
OVERLOADED: Final = "overloaded"
AXIS_LIMIT: Final = "axis limit"
STATES: Final[Mapping[str, str]] = {
    COMPLETE: "all counted jobs have ended, in every run of the point",
    CENSORED: "a lower bound: in at least one run of the point, counted jobs had not ended",
    OVERLOADED: "a lower bound: at least one run of the point was overloaded",
    AXIS_LIMIT: "published at the upper limit of its axis: the value is not known",
}
"""What a point may be. Only the first is a value to go by."""

COLUMNS: Final = ("panel", "series", "source", "x", "y", "low", "high", "n", "of", "state")
"""Of the CSV; see `Figure.rows`."""


@dataclass(frozen=True, slots=True)
class Series:
    """One line, row of marks or set of bars.

    Attributes
    ----------
    label
        As the legend has it.
    x, y
        (P,) in the units of the panel's axes; in a panel with categories, ``x`` is the index of one.
    colour
        A name of `phasewise.reports.palette`.
    look
        ``points`` are marks with bars, joined by lines; ``steps`` rise at each x.
    low, high
        (P,) ends of the intervals, NaN where there is none; None where there are none at all.
    n, of
        (P,) how many a point is the mean of, or the jobs behind it, and how many there should be.
    state
        (P,) keys of `STATES`; empty where all are complete.
    source
        ``ours``, or where a published curve is from.
    keys
        What the series is of, by override of the study.
    note
        Said of the whole series, beside its label.
    faint
        Whether the line steps back behind others of its colour.
    """

    label: str
    x: Floats
    y: Floats
    colour: str
    look: Look = "line"
    low: Floats | None = None
    high: Floats | None = None
    n: Floats | None = None
    of: Floats | None = None
    state: Sequence[str] = ()
    source: str = "ours"
    keys: Mapping[str, str] = field(default_factory=dict)
    note: str = ""
    faint: bool = False

    def states(self) -> list[str]:
        """Return (P,) the state of every point."""
        return list(self.state) or [COMPLETE] * len(self.x)


@dataclass(frozen=True, slots=True)
class Panel:
    """One pair of axes.

    Attributes
    ----------
    key
        Unique within the figure; the CSV has it.
    categories
        Names on the x axis, where ``x`` counts them.
    stacked
        Whether bars lie one upon another.
    marks
        Rules across the panel as (x, label).
    """

    key: str
    title: str
    x_axis: Axis
    y_axis: Axis
    series: Sequence[Series]
    categories: Sequence[str] = ()
    stacked: bool = False
    marks: Sequence[tuple[float, str]] = ()


@dataclass(frozen=True, slots=True)
class Figure:
    """What one file of each kind shows, and what must be said with it."""

    name: str
    title: str
    panels: Sequence[Panel]
    notes: Sequence[str] = ()

    def rows(self) -> Iterator[Row]:
        """Yield every point as a row of `COLUMNS`; None where there is nothing to say."""
        for panel in self.panels:
            for series in panel.series:
                for index, state in enumerate(series.states()):
                    at = float(series.x[index])
                    yield (
                        panel.key,
                        series.label,
                        series.source,
                        panel.categories[round(at)] if panel.categories else at,
                        _value(series.y, index),
                        _value(series.low, index),
                        _value(series.high, index),
                        _count(series.n, index),
                        _count(series.of, index),
                        state,
                    )

    def with_notes(self, *notes: str) -> Figure:
        """Return the figure with further notes, each once, empty ones left out."""
        return replace(self, notes=tuple(dict.fromkeys(note for note in (*self.notes, *notes) if note)))


def _value(values: Floats | None, index: int) -> float | None:
    return None if values is None or not np.isfinite(values[index]) else float(values[index])


def _count(values: Floats | None, index: int) -> int | None:
    value = _value(values, index)
    return None if value is None else round(value)
