"""Published curves, laid over a figure: the papers' as they were read off, and those of a replication."""

from __future__ import annotations

import csv
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, Final

import numpy as np

from phasewise.profiling.names import nearest, quoted
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.model import AXIS_LIMIT, COMPLETE, STATES, Figure, Panel, Series
from phasewise.reports.palette import cycle_colour

NONE: Final = "none"
_PLACE: Final = ("data", "published_curves")
_NEEDED: Final = ("panel", "series", "x", "y")


@dataclass(frozen=True, slots=True)
class Curve:
    """One published curve: where it belongs, and (P,) x, y and the ends of its intervals."""

    panel: str
    series: str
    source: str
    points: Sequence[tuple[float, float, float, float, float]]
    axis_limit: float


@dataclass(frozen=True, slots=True)
class Overlay:
    """Curves that belong to one figure, and what can deceive in them, by panel."""

    figure: str
    paper: str
    curves: Sequence[Curve]
    notes: Mapping[str, str]


def overlay_names(figure: str = "") -> list[str]:
    """Return the names of the published figures, of all or of those that belong to one of ours."""
    return [name for name, told in _told().items() if figure in {"", told["figure"]}]


def always(figure: str) -> list[str]:
    """Return the published figures that belong to one of ours whatever it is made of."""
    return [name for name in overlay_names(figure) if _told()[name].get("always", False)]


def by_study(name: str, figure: str) -> list[str]:
    """Return the published figures that a study of that name repeats: ``gavel-fig9-to-the-end`` repeats Figure 9."""
    return [each for each in overlay_names(figure) if name == each or name.startswith(f"{each}-")]


def laid_over(figure: Figure, names: Iterable[str]) -> Figure:
    """Return the figure with curves laid over it.

    Parameters
    ----------
    names
        Names of published figures, or CSV files with the columns of a figure's own CSV.

    Raises
    ------
    FigureError
        Where there is no such curve, or it belongs to another figure.
    """
    for name in names:
        if name == NONE:
            continue
        overlay = _file(Path(name), figure.name) if name.endswith(".csv") else _published(name, figure.name)
        shown = {panel.key for panel in figure.panels}
        colours = _colours(figure, overlay)
        figure = replace(figure, panels=[_with(panel, overlay, colours) for panel in figure.panels])
        states = {state for panel in figure.panels for series in panel.series for state in series.states()}
        figure = figure.with_notes(
            overlay.paper,
            *(note for key, note in overlay.notes.items() if key in shown),
            f"Marked apart: {STATES[AXIS_LIMIT]}." if AXIS_LIMIT in states else "",
        )
    return figure


def _published(name: str, figure: str) -> Overlay:
    told, allowed = _told(), overlay_names(figure)
    if name not in told:
        raise FigureError(
            f"--overlay {quoted(name)}: there is no such published figure{nearest(name, list(told))}; "
            f"allowed with {figure}: {', '.join([*allowed, NONE])}, or a CSV file"
        )
    if told[name]["figure"] != figure:
        raise FigureError(
            f"--overlay {name}: belongs to the figure {told[name]['figure']}, not to {figure}; "
            f"allowed: {', '.join([*allowed, NONE])}, or a CSV file"
        )
    limit = float(told[name].get("axis_limit", np.inf))
    curves: dict[tuple[str, str, str], list[tuple[float, float, float, float, float]]] = {}
    for row in _rows():
        if row["overlay"] == name:
            key = (row["panel"], row["series"], row["source"])
            curves.setdefault(key, []).append(_point(row))
    made = [Curve(*key, points, limit if key[2] == "paper" else np.inf) for key, points in sorted(curves.items())]
    return Overlay(figure, f"Published: {told[name]['paper']}.", made, told[name]["notes"])


def _point(row: Mapping[str, str]) -> tuple[float, float, float, float, float]:
    """Return x, y, the ends of the interval and n; a standard deviation becomes the kind of interval that ours have."""
    x, y = float(row["x"]), float(row["y"])
    n = float(row["n"] or "nan")
    margin = _margin(float(row["std"]), n) if row["std"] else np.nan
    return x, y, y - margin, y + margin, n


def _margin(population_std: float, n: float) -> float:
    """Return the half width of the 95 % Student interval of a mean of n, from their population standard deviation."""
    from scipy.special import stdtrit  # noqa: PLC0415  (scipy takes long to import)

    return float(stdtrit(n - 1, 0.975)) * population_std / (n - 1) ** 0.5 if n > 1 else np.nan


def _colours(figure: Figure, overlay: Overlay) -> dict[str, str]:
    """Return a colour for every curve: that of our series of its name, or one that none of ours has."""
    colours = {series.label: series.colour for panel in figure.panels for series in panel.series}
    for curve in overlay.curves:
        colours.setdefault(curve.series, cycle_colour(len(colours)))
    return colours


def _with(panel: Panel, overlay: Overlay, colours: Mapping[str, str]) -> Panel:
    """Return the panel with the curves that belong to it."""
    drawn = [_series(curve, colours[curve.series]) for curve in overlay.curves if curve.panel == panel.key]
    return replace(panel, series=[*panel.series, *drawn])


def _series(curve: Curve, colour: str) -> Series:
    x, y, low, high, n = np.array(sorted(curve.points)).T
    return Series(
        f"{curve.series}, {curve.source}",
        x,
        y,
        colour,
        low=None if np.isnan(low).all() else low,
        high=None if np.isnan(high).all() else high,
        n=None if np.isnan(n).all() else n,
        state=[AXIS_LIMIT if value >= curve.axis_limit else COMPLETE for value in y],
        source=curve.source,
        faint=True,
    )


def _file(path: Path, figure: str) -> Overlay:
    """Return the curves of a CSV file with the columns of a figure's own."""
    try:
        with path.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        raise FigureError(f"--overlay {path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if not rows or not set(_NEEDED) <= rows[0].keys():
        raise FigureError(f"--overlay {path}: columns {', '.join(_NEEDED)} are needed, as in the CSV of a figure")
    curves: dict[tuple[str, str], list[tuple[float, float, float, float, float]]] = {}
    for number, row in enumerate(rows, 2):
        try:
            low, high, n = (float(row.get(name) or "nan") for name in ("low", "high", "n"))
            point = (float(row["x"]), float(row["y"] or "nan"), low, high, n)
        except (TypeError, ValueError) as error:
            raise FigureError(f"--overlay {path}, line {number}: {error}; numbers are needed") from error
        curves.setdefault((row["panel"], row["series"]), []).append(point)
    made = [Curve(panel, series, path.stem, points, np.inf) for (panel, series), points in curves.items()]
    return Overlay(figure, f"Laid over it: {path.name}.", made, {})


@cache
def _told() -> Mapping[str, Any]:
    folder, stem = _PLACE
    return tomllib.loads(files("phasewise.reports").joinpath(folder, f"{stem}.toml").read_text("utf-8"))


@cache
def _rows() -> list[dict[str, str]]:
    folder, stem = _PLACE
    text = files("phasewise.reports").joinpath(folder, f"{stem}.csv").read_text("utf-8")
    return list(csv.DictReader(text.splitlines()))
