"""Draw a figure with matplotlib, for one column of print: SVG and PNG, the same bytes for the same figure.

Text is drawn as outlines in the SVG: it looks the same on every machine, whatever its fonts, and no journal's check for
embedded fonts can fail. Nothing global is touched: no pyplot, and settings of a user's own do not reach in.
"""

from __future__ import annotations

import io
import logging
import textwrap
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure as Sheet
from matplotlib.lines import Line2D
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter

from phasewise.reports.charts import Axis
from phasewise.reports.figure_files.model import (
    AXIS_LIMIT,
    CENSORED,
    COMPLETE,
    OVERLOADED,
    Figure,
    Floats,
    Panel,
    Series,
)
from phasewise.reports.palette import light_values

WIDTH_IN: Final = 3.4  # a column of two
LEAST_PT: Final = 7.0
DPI: Final = 300
MOST_LEVELS: Final = 1000  # of a curve that are drawn: more than a column resolves; the CSV has all
_HALF: Final = 18  # letters of a legend's entry that fit half the column
_ROOM: Final = 1.4  # times what is ours
_PANEL_IN: Final = 1.75
_LINE_IN: Final = 0.14  # of a legend, or of a bar's name
_BAR_IN: Final = 0.22
_MOST_MARKS: Final = 16  # along a published curve
_MARKERS: Final = ("o", "s", "D", "v", "P", "X", "<", ">", "h", "p")
_DASHES: Final[Sequence[Any]] = ("-", (0, (5, 1.5)), (0, (3, 1, 1, 1)), (0, (1, 1)), (0, (6, 1, 1, 1, 1, 1)))
_PUBLISHED: Final[Mapping[str, tuple[Any, str]]] = {
    "paper": ((0, (1.2, 1.4)), "x"),
    "replication": ((0, (3.2, 1.6)), "+"),
}
_OTHER: Final = ((0, (1, 1, 3, 1)), "1")  # of a curve that the reader laid over it
_COLD: Final = ((0, (1.2, 1.4)), "")
_SIGNS: Final[Mapping[str, tuple[str, str]]] = {
    CENSORED: ("o", "hollow: a lower bound, window not done"),
    OVERLOADED: ("^", "overloaded: a lower bound"),
    AXIS_LIMIT: ("2", "published at the limit of its axis"),
}
_HATCHES: Final = ("", "////", "....", "\\\\\\\\", "xxxx", "++++")
_STYLE: Final[Mapping[str, Any]] = {
    "font.family": "sans-serif",
    "font.sans-serif": ["DejaVu Sans"],  # comes with matplotlib: no other is the same everywhere
    "font.size": LEAST_PT,
    "axes.titlesize": 7.5,
    "axes.labelsize": LEAST_PT,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.axisbelow": True,
    "grid.linewidth": 0.4,
    "xtick.labelsize": LEAST_PT,
    "ytick.labelsize": LEAST_PT,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "xtick.minor.width": 0.35,
    "ytick.minor.width": 0.35,
    "legend.fontsize": LEAST_PT,
    "legend.frameon": False,
    "legend.handlelength": 2.6,
    "legend.labelspacing": 0.25,
    "legend.columnspacing": 1.2,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.6,
    "hatch.linewidth": 0.4,
    "svg.fonttype": "path",
    "svg.hashsalt": "phasewise",
    "figure.constrained_layout.use": True,
    "figure.constrained_layout.h_pad": 0.07,
}


def render(figure: Figure) -> dict[str, bytes]:
    """Return the figure as ``svg`` and ``png``."""
    with in_print():
        sheet = sheet_of(figure)
        return {
            "svg": _saved(sheet, "svg", {"Date": None, "Creator": None}),
            "png": _saved(sheet, "png", {"Software": None}),
        }


@contextmanager
def in_print() -> Iterator[None]:
    """Have matplotlib draw for print within the block, whatever settings of a user's own say."""
    logging.getLogger("matplotlib").setLevel(logging.ERROR)  # that it builds its list of fonts is no output of ours
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def _saved(sheet: Sheet, kind: str, metadata: Mapping[str, None]) -> bytes:
    content = io.BytesIO()
    sheet.savefig(content, format=kind, dpi=DPI, metadata=dict(metadata))
    return content.getvalue()


def sheet_of(figure: Figure) -> Sheet:
    """Return the figure drawn, panels one below another, the legend at the foot."""
    labels = list(dict.fromkeys(_label(series) for panel in figure.panels for series in panel.series))
    states = {state for panel in figure.panels for series in panel.series for state in series.states()}
    signs = [_SIGNS[state] for state in _SIGNS if state in states]
    entries = [*(labels if len(labels) > 1 else ()), *(words for _, words in signs)]
    columns = 2 if all(len(label) <= _HALF for label in entries) else 1
    heights = [_height_in(panel) for panel in figure.panels]
    legend_in = _LINE_IN * sum(label.count("\n") + 1 for label in entries) / columns
    sheet = Sheet(figsize=(WIDTH_IN, sum(heights) + 0.15 + legend_in))
    FigureCanvasAgg(sheet)
    rows = sheet.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
    colours = light_values()
    order = {label: index for index, label in enumerate(labels)}
    handles: dict[str, Any] = {}
    for panel, axes in zip(figure.panels, rows, strict=True):
        handles |= _panel(axes, panel, colours, order)
    for mark, words in signs:
        handles[words] = Line2D([], [], linestyle="", marker=mark, color=colours["soft"], markerfacecolor="white")
    if shown := [(handles[label], label) for label in entries if label in handles]:
        sheet.legend(*zip(*shown, strict=True), loc="outside lower center", ncols=columns)
    return sheet


def _label(series: Series) -> str:
    text = f"{series.label}: {series.note}" if series.note else series.label
    return "\n".join(textwrap.wrap(text, 46, break_on_hyphens=False)) or text


def _height_in(panel: Panel) -> float:
    if panel.categories:
        return 0.55 + _BAR_IN * len(panel.categories)
    return _PANEL_IN + (_LINE_IN if panel.title else 0.0)


def _panel(axes: Any, panel: Panel, colours: Mapping[str, str], order: Mapping[str, int]) -> dict[str, Any]:
    """Draw a panel and return what stands for each label in the legend."""
    axes.grid(True, color="#e3e1dc", axis="x" if panel.categories else "both")
    if panel.title:
        axes.set_title("\n".join(textwrap.wrap(panel.title, 60)), loc="left")
    if panel.categories:
        handles = _categories(axes, panel, colours)
    else:
        handles = {}
        for series in panel.series:
            if len(series.x):
                handles[_label(series)] = _series(axes, series, colours[series.colour], order[_label(series)], panel)
        _scale(axes, "x", panel.x_axis)
        _scale(axes, "y", _y_axis(panel))
    for at, label in panel.marks:
        axes.axvline(at, color=colours["soft"], linewidth=0.6, linestyle=(0, (3, 2)))
        axes.annotate(label, (at, 0), (2, 2), xycoords=("data", "axes fraction"), textcoords="offset points")
    return handles


def _series(axes: Any, series: Series, colour: str, index: int, panel: Panel) -> Any:
    """Draw a series and return what stands for it in the legend."""
    dash, marker = _style(series, index)
    if series.look == "steps":
        x, y = _levels(series, panel)
        return axes.plot(x, y, color=colour, linestyle=dash, drawstyle="steps-post")[0]
    ours = series.source == "ours" and series.low is not None and series.high is not None
    if ours and series.look == "line":
        axes.fill_between(series.x, series.low, series.high, color=colour, alpha=0.22, linewidth=0)
    clean = np.array([state == COMPLETE for state in series.states()])
    if not clean.all():
        axes.plot(series.x, series.y, color=colour, linestyle=(0, (1, 2)), linewidth=0.6)
        _signs(axes, series, colour)
    y = np.where(clean, series.y, np.nan)
    if ours and series.look == "points":
        axes.errorbar(series.x, y, yerr=_ends(series), fmt="none", ecolor=colour, elinewidth=0.7, capsize=1.6)
    width, face = (0.7, "white") if series.faint else (1.0, colour)
    return axes.plot(series.x, y, color=colour, linestyle=dash, linewidth=width, marker=marker, markerfacecolor=face)[0]


def _style(series: Series, index: int) -> tuple[Any, str]:
    """Return line style and marker."""
    if series.source != "ours":
        return _PUBLISHED.get(series.source, _OTHER)
    marker = _MARKERS[index % len(_MARKERS)] if series.look == "points" else ""
    return (_COLD[0] if series.faint else _DASHES[index % len(_DASHES)]), marker


def _signs(axes: Any, series: Series, colour: str) -> None:
    """Draw the points that are not what they seem."""
    for x, y, state in zip(series.x, series.y, series.states(), strict=True):
        if state != COMPLETE:
            axes.plot([x], [y], marker=_SIGNS[state][0], markerfacecolor="white", color=colour, markersize=4.2)


def _ends(series: Series) -> list[Floats]:
    """Return how far the ends of the intervals are from the points, NaN where there is none."""
    assert series.low is not None
    assert series.high is not None
    return [np.abs(end - series.y) for end in (series.low, series.high)]


def _levels(series: Series, panel: Panel) -> tuple[Floats, Floats]:
    """Return the steps of a share across the panel; of very many, some, the last among them."""
    x, y = series.x, series.y
    if len(x) > MOST_LEVELS:
        kept = np.unique(np.linspace(0, len(x) - 1, MOST_LEVELS).round().astype(np.int64))
        x, y = x[kept], y[kept]
    every = np.concatenate([item.x for item in panel.series])
    above = every[every > 0]
    left = (float(above.min()) / 1.5 if len(above) else 1e-3) if panel.x_axis.log else 0.0
    at_once = float(y[x <= 0].max(initial=0.0))  # what has no place on a logarithmic axis is there from its left end on
    shown = x > 0
    right = float(every.max(initial=left)) * 1.1
    return np.concatenate(([left], x[shown], [right])), np.concatenate(([at_once], y[shown], y[-1:]))


def _y_axis(panel: Panel) -> Axis:
    """Return the y axis, which ends somewhat above what is ours: published curves may leave the panel."""
    ours = [item for item in panel.series if item.source == "ours" and len(item.y)]
    if panel.y_axis.log or panel.y_axis.high is not None or len(ours) == len(panel.series) or not ours:
        return panel.y_axis
    tops = [np.nanmax(item.y if item.high is None else np.fmax(item.y, item.high)) for item in ours]
    return replace(panel.y_axis, high=_ROOM * float(max(tops)))


def _scale(axes: Any, which: str, axis: Axis) -> None:
    getattr(axes, f"set_{which}label")(axis.title)
    if axis.log:
        getattr(axes, f"set_{which}scale")("log")
        ticks = getattr(axes, f"{which}axis")
        low, high = getattr(axes, f"get_{which}lim")()
        if np.log10(high / low) < 1.5:
            ticks.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        ticks.set_major_formatter(FuncFormatter(_plain))
        ticks.set_minor_formatter(NullFormatter())
    high = None if axis.high is None else axis.high * 1.015  # a line at the limit is seen whole
    limits = {"left" if which == "x" else "bottom": axis.low, "right" if which == "x" else "top": high}
    getattr(axes, f"set_{which}lim")(**{name: value for name, value in limits.items() if value is not None})


def _plain(value: float, _: int) -> str:
    """Return a tick of a logarithmic axis, a power of ten without an exponent that would be smaller than all else."""
    return f"{value:g}" if 1e-3 <= value < 1e6 else f"{value:.0e}".replace("e-0", "e-").replace("e+0", "e")


def _categories(axes: Any, panel: Panel, colours: Mapping[str, str]) -> dict[str, Any]:
    """Draw bars or marks that lie, a row a name, the first on top."""
    handles: dict[str, Any] = {}
    base = np.zeros(len(panel.categories))
    for index, series in enumerate(panel.series):
        rows = series.x.round().astype(np.int64)
        colour = colours[series.colour]
        if series.look == "bars":
            width = np.nan_to_num(series.y)
            hatch = _HATCHES[index % len(_HATCHES)]
            bars = axes.barh(
                rows, width, left=base[rows], height=0.66, color=colour, hatch=hatch, edgecolor="white", linewidth=0.3
            )
            base[rows] += width
            handles[_label(series)] = bars
            continue
        _marks(axes, series, rows, colour)
    axes.set_yticks(range(len(panel.categories)), ["\n".join(textwrap.wrap(name, 26)) for name in panel.categories])
    axes.set_ylim(len(panel.categories) - 0.5, -0.5)
    axes.tick_params(axis="y", length=0)
    axes.set_xlabel(panel.y_axis.title)
    axes.set_xlim(left=panel.y_axis.low, right=panel.y_axis.high)
    return handles


def _marks(axes: Any, series: Series, rows: np.ndarray, colour: str) -> None:
    if series.low is not None and series.high is not None:
        axes.errorbar(series.y, rows, xerr=_ends(series), fmt="none", ecolor=colour, elinewidth=0.8, capsize=2)
    for x, y, state in zip(series.y, rows, series.states(), strict=True):
        mark, face = ("o", colour) if state == COMPLETE else (_SIGNS[state][0], "white")
        axes.plot([x], [y], marker=mark, markerfacecolor=face, color=colour)
