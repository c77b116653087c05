"""The figures of a study as its page draws them: the same data as the files, and every run as a point of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import numpy as np

from phasewise.reports.errors import ReportError
from phasewise.reports.figure_files import catalogue, making
from phasewise.reports.figure_files.model import COMPLETE, Figure, Floats, Panel, Series
from phasewise.reports.figure_files.seeds import row_states
from phasewise.reports.figure_files.sources import MOST_SERIES
from phasewise.reports.figure_files.studies import RATE, SEED, Study
from phasewise.reports.figure_files.sweeps import groups_of, mean_jct_h, places, sweep_of
from phasewise.reports.figure_files.totals import MOST_BARS, TOTALS

MOST_POINTS: Final = 400  # of a series: more than its pixels show
_OF_RUNS: Final = ("jct-cdf", "wait-cdf", "rho-cdf", "usage", "lost-time", "round-cost")


@dataclass(frozen=True, slots=True)
class Shown:
    """A figure on the page, or the sentence that says why there is none (``absent``)."""

    name: str
    title: str
    notes: Sequence[str] = ()
    panels: Sequence[tuple[str, str]] = ()
    payload: Mapping[str, Any] | None = None
    absent: str = ""


def links(study: Study) -> list[str]:
    """Return (P,) where each point's run is to be read, relative to the study's folder; empty where it has no files."""
    return [_link(study.path, Path("points") / point) for point in study.texts("point")]


def _link(folder: Path, run: Path) -> str:
    found = [run / name for name in ("report.html", "run.json") if (folder / run / name).is_file()]
    return quote(found[0].as_posix()) if found else ""


def all_figures(study: Study, to_runs: Sequence[str]) -> list[Shown]:
    """Return the figures that the study asks for; where it names none, those that one of its kind and size has."""
    section = study.settings.get("figures")
    asked = section.get("names") if isinstance(section, Mapping) else None
    names = list(asked) if isinstance(asked, list) else _fitting(study)
    return [_shown(str(name), study, to_runs) for name in names]


def _fitting(study: Study) -> list[str]:
    """Return the names of the figures that a reader could read of a study of this kind and size."""
    groups = len(study.groups())
    if study.fills:
        return ["fragmentation"]
    return [
        *(["jct-vs-rate"] if (study.figures_x or RATE) in study.overrides else []),
        *(["makespan"] if groups <= MOST_BARS else []),
        *(_OF_RUNS if groups <= MOST_SERIES else []),
    ]


def _shown(name: str, study: Study, to_runs: Sequence[str]) -> Shown:
    try:
        title = catalogue.definition(name).shows
        figure = making.prepare(name, [study.path])
    except ReportError as error:
        known = name in catalogue.FIGURES
        return Shown(name, catalogue.FIGURES[name].shows if known else name, absent=str(error))
    panels = [(f"{name}-{index}", panel.title) for index, panel in enumerate(figure.panels)]
    return Shown(name, figure.title or title, figure.notes, panels, _payload(figure, study, to_runs))


def _payload(figure: Figure, study: Study, to_runs: Sequence[str]) -> dict[str, Any]:
    keys = {group.label: dict(group.keys) for group in study.groups()}
    return {
        "name": figure.name,
        "xKey": sweep_of(study).key if figure.name == "jct-vs-rate" else "",
        "panels": [
            {
                "key": f"{figure.name}-{index}",
                "x": _axis(panel, "x"),
                "y": _axis(panel, "y"),
                "categories": [{"label": label, "keys": keys.get(label, {})} for label in panel.categories],
                "stacked": panel.stacked,
                "marks": [[at, label] for at, label in panel.marks],
                "series": [_series(each) for each in panel.series],
                "dots": _dots(figure.name, panel, study, to_runs),
            }
            for index, panel in enumerate(figure.panels)
        ],
    }


def _axis(panel: Panel, which: str) -> dict[str, Any]:
    axis = panel.x_axis if which == "x" else panel.y_axis
    return {"title": axis.title, "log": axis.log, "low": axis.low, "high": axis.high}


def _series(series: Series) -> dict[str, Any]:
    kept = np.arange(len(series.x))
    if len(kept) > MOST_POINTS:
        kept = np.unique(np.linspace(0, len(kept) - 1, MOST_POINTS).round().astype(np.int64))
    states = series.states()
    content: dict[str, Any] = {
        "label": f"{series.label}: {series.note}" if series.note else series.label,
        "colour": series.colour,
        "look": series.look,
        "source": series.source,
        "keys": dict(series.keys),
        "faint": series.faint,
        "x": _plain(series.x[kept]),
        "y": _plain(series.y[kept]),
    }
    for name in ("low", "high", "n", "of"):
        values = getattr(series, name)
        if values is not None:
            content[name] = _plain(values[kept])
    if any(state != COMPLETE for state in states):
        content["state"] = [states[index] for index in kept]
    return content


def _dots(figure: str, panel: Panel, study: Study, to_runs: Sequence[str]) -> list[dict[str, Any]]:
    """Return every run of the study as a point of the panel: where it lies, what it is, where to read of it."""
    if figure == "jct-vs-rate":
        sweep = sweep_of(study)
        groups, x, y = groups_of(study, sweep), places(study, sweep), mean_jct_h(study)
    elif figure == "makespan":
        groups = study.groups()
        column, each = next((column, each) for key, column, _, each in TOTALS if key == panel.key)
        place = {row: float(index) for index, group in enumerate(groups) for row in group.rows}
        x, y = np.array([place[row] for row in range(len(study.table))]), study.numbers(column) * each
    else:
        return []
    return _of_rows(study, x, y, {row: group.label for group in groups for row in group.rows}, to_runs)


def _of_rows(
    study: Study, x: Floats, y: Floats, labels: Mapping[int, str], to_runs: Sequence[str]
) -> list[dict[str, Any]]:
    states, points = row_states(study), study.texts("point")
    keys = {key: study.texts(key) for key in study.varied}
    seeds = study.texts(SEED) if SEED in study.overrides else [""] * len(points)
    return [
        {
            "x": _significant(x[row]),
            "y": _significant(y[row]),
            "label": labels[row],
            "seed": seeds[row],
            "keys": {key: texts[row] for key, texts in keys.items()},
            "state": states[row],
            "point": points[row],
            "link": to_runs[row],
        }
        for row in range(len(points))
        if np.isfinite(x[row]) and np.isfinite(y[row])
    ]


def _plain(values: Floats) -> list[float | None]:
    return [_significant(value) if np.isfinite(value) else None for value in values.tolist()]


def _significant(value: float) -> float:
    return float(f"{value:.6g}")
