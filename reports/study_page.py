"""A study's page: its figures to look into, its points in a table, each linked to its run. One file, no network."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import jinja2

from phasewise.profiling.artefacts.run_json import STATUSES
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import OutputError
from phasewise.reports import study_figures
from phasewise.reports.errors import ReportWriteError
from phasewise.reports.figure_files.model import STATES
from phasewise.reports.figure_files.seeds import row_states
from phasewise.reports.figure_files.studies import SEED, Study, load_study
from phasewise.reports.quantities import JCT, MAKESPAN, PLAIN, RUN_TIME, SHARE, Quantity, count

PAGE: Final = "index.html"
FIGURES: Final = "figures"
# Columns of the table of points: of these, those that the study has.
_COLUMNS: Final[Sequence[tuple[str, str, Quantity]]] = (
    ("avg_jct_s", "mean JCT", JCT),
    ("avg_jct_lower_bound_s", "its lower bound", JCT),
    ("makespan_s", "makespan", MAKESPAN),
    ("utilization", "utilisation", SHARE),
    ("drift.share", "drift", SHARE),
    ("offered_load", "offered load", PLAIN),
    ("rho.worst", "worst ρ", PLAIN),
    ("slo_misses", "missed SLOs", PLAIN),
    ("cost", "cost", PLAIN),
    ("alloc_pct", "GPUs in use (%)", PLAIN),
    ("frag_pct_of_total", "fragmented (% of all)", PLAIN),
    ("frag_pct_of_idle", "fragmented (% of idle)", PLAIN),
    ("occupied_nodes", "occupied nodes", PLAIN),
    ("cpu_s", "CPU time", RUN_TIME),
)


@dataclass(frozen=True, slots=True)
class Cell:
    """What stands in a cell, and what it is sorted by."""

    text: str
    order: str | float | None


@dataclass(frozen=True, slots=True)
class PointRow:
    """A point in the table: its link (empty where it has no files), its overrides, its cells."""

    point: str
    link: str
    keys: Mapping[str, str]
    status: str
    state: str
    done: Cell
    cells: Sequence[Cell]
    message: str


def write(folder: Path) -> Path:
    """Write the page of the study in ``folder`` and return its path.

    Raises
    ------
    FigureError
        Where the folder holds no study, or its table is broken.
    ReportWriteError
        Where the page cannot be written.
    """
    target = Path(folder) / PAGE
    page = render(load_study(Path(folder)))
    try:
        write_atomically(target, page.encode())
    except OutputError as error:
        raise ReportWriteError(f"{target}: the page cannot be written: {error}") from error
    return target


def render(study: Study) -> str:
    """Return the page's HTML."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("phasewise.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    links = study_figures.links(study)
    shown = study_figures.all_figures(study, links)
    columns = [each for each in _COLUMNS if any(value == value for value in study.numbers(each[0]))]  # noqa: PLR0124
    statuses = Counter(study.statuses())
    return environment.get_template("study.html").render(
        study=study,
        points=count(len(study.table)),
        statuses=[(status or "not run", number, STATUSES.get(status, "")) for status, number in statuses.items()],
        filters=[(key, list(dict.fromkeys(study.texts(key)))) for key in study.varied],
        seed=SEED,
        figures=shown,
        files={figure.name: _files(study.path, figure.name) for figure in shown},
        columns=[title for _, title, _ in columns],
        rows=_rows(study, links, columns),
        payload=_script({"figures": [figure.payload for figure in shown if not figure.absent], "states": dict(STATES)}),
        css="\n".join(_template(name) for name in ("report.css", "export.css", "study.css")),
        script="\n".join(_template(name) for name in ("export.js", "study_axes.js", "study.js")),
    )


def _template(name: str) -> str:
    return files("phasewise.reports").joinpath("templates", name).read_text("utf-8")


def _script(content: Mapping[str, Any]) -> str:
    """Return JSON that may stand in a script element."""
    return json.dumps(content, ensure_ascii=False, allow_nan=False, separators=(",", ":")).replace("<", "\\u003c")


def _files(folder: Path, name: str) -> list[str]:
    """Return the figure's files that lie in the study's folder, as links."""
    found = [Path(FIGURES) / f"{name}.{suffix}" for suffix in ("svg", "png", "csv", "json")]
    return [quote(path.as_posix()) for path in found if (folder / path).is_file()]


def _rows(study: Study, links: Sequence[str], columns: Sequence[tuple[str, str, Quantity]]) -> list[PointRow]:
    keys = {key: study.texts(key) for key in study.varied}
    points, statuses, states = study.texts("point"), study.statuses(), row_states(study)
    done, planned = study.numbers("window_done"), study.numbers("window_jobs")
    messages = study.texts("message") if "message" in study.table else [""] * len(points)
    values = {name: study.numbers(name) for name, _, _ in columns}
    return [
        PointRow(
            points[row],
            links[row],
            {key: texts[row] for key, texts in keys.items()},
            statuses[row] or "not run",
            states[row] if statuses[row] else "",
            _done(float(done[row]), float(planned[row])),
            [_cell(float(values[name][row]), quantity) for name, _, quantity in columns],
            messages[row],
        )
        for row in range(len(points))
    ]


def _cell(value: float, quantity: Quantity) -> Cell:
    known = value == value  # noqa: PLR0124  NaN
    whole = int(value) if known and value == int(value) and quantity is PLAIN else value
    return Cell(quantity(whole), value if known else None)


def _done(done: float, planned: float) -> Cell:
    """Return how many of the jobs that count are over."""
    if planned != planned or done != done:  # noqa: PLR0124  NaN
        return Cell("", None)
    return Cell(f"{count(done)} of {count(planned)}", done / planned if planned else 1.0)
