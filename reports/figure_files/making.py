"""From paths to files: NAME.svg, NAME.png, the CSV behind them and a JSON of how they were made."""

from __future__ import annotations

import csv
import io
import json
import shlex
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.environment import describe_environment
from phasewise.profiling.errors import cannot_write
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files import catalogue, published
from phasewise.reports.figure_files.model import COLUMNS, STATES, Figure
from phasewise.reports.figure_files.sources import Sources, read


def names() -> list[str]:
    """Return the names of the figures there are."""
    return catalogue.names()


def make(
    name: str, paths: Sequence[Path], out: Path, *, overlays: Sequence[str] | None = None, drawn: bool = True
) -> list[Path]:
    """Write a figure's files into a folder and return their paths: SVG, PNG, CSV, JSON.

    Nothing is written before all is known to be there. The same input gives the same bytes.

    Parameters
    ----------
    name
        One of `names`.
    paths
        The folder of a study, run directories, folders of inflation experiments or files of replays.
    out
        The folder, made where it is missing.
    overlays
        Published figures or CSV files to lay over it; None for those that the studies given repeat.
    drawn
        False for CSV and JSON alone, which need no matplotlib.

    Raises
    ------
    FigureError
        Where there is no such figure, it cannot be made of what was given, or matplotlib is not installed.
    RunDirectoryError
        Where a run directory is broken.
    OutputError
        Where a file cannot be written.
    """
    wanted = catalogue.definition(name)
    if drawn:
        _require_matplotlib()
    sources = read([Path(path) for path in paths], wanted.made_of, name)
    chosen = _repeated(sources, name) if overlays is None else list(overlays)
    figure = published.laid_over(wanted.make(sources), chosen)
    files = {
        "csv": table(figure).encode(),
        "json": _json(figure, sources, chosen),
    }
    if drawn:
        from phasewise.reports.figure_files.drawing import render  # noqa: PLC0415  (matplotlib takes long to import)

        files |= render(figure)
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out, error) from error
    written = [out / f"{name}.{suffix}" for suffix in ("svg", "png", "csv", "json") if suffix in files]
    for path in written:
        write_atomically(path, files[path.suffix[1:]])
    return written


def prepare(name: str, paths: Sequence[Path]) -> Figure:
    """Return a figure's data, with the published curves that its studies repeat; raises as `make` does."""
    wanted = catalogue.definition(name)
    sources = read(paths, wanted.made_of, name)
    return published.laid_over(wanted.make(sources), _repeated(sources, name))


def table(figure: Figure) -> str:
    """Return the figure's points as CSV; an empty field is what there is not."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(COLUMNS)
    writer.writerows(["" if value is None else _plain(value) for value in row] for row in figure.rows())
    return text.getvalue()


def _plain(value: object) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _repeated(sources: Sources, name: str) -> list[str]:
    """Return the published curves that belong here: those that the studies given repeat, and those that always do."""
    elsewhere = {*published.overlay_names()} - {*published.overlay_names(name)}
    found = [
        each
        for study in sources.studies
        for each in (study.overlay_names() or published.by_study(study.name, name))
        if each not in elsewhere
    ]
    return list(dict.fromkeys([*found, *published.always(name)]))


def _require_matplotlib() -> None:
    if find_spec("matplotlib") is None:
        raise FigureError(
            "drawing needs matplotlib, which is not installed: pip install 'phasewise[plots]'; "
            "with --data-only the CSV and the JSON are written without it"
        )


def _json(figure: Figure, sources: Sources, overlays: Sequence[str]) -> bytes:
    """Return how a figure was made: of what, by what, and what must be said with it."""
    environment = describe_environment()
    words = ["phasewise", "figure", figure.name, *(str(each.path) for each in sources.inputs)]
    words += [word for name in overlays for word in ("--overlay", name)]
    content = {
        "figure": figure.name,
        "title": figure.title,
        "notes": list(figure.notes),
        "panels": [_panel(figure, index) for index in range(len(figure.panels))],
        "states": dict(STATES),
        "inputs": [
            {"path": str(each.path), "kind": each.kind, "file": each.file, "sha256": each.sha256}
            for each in sources.inputs
        ],
        "overlays": list(overlays),
        "command": shlex.join(words),
        "commit": environment["commit"],
        "version": environment["version"],
        "environment": environment,
    }
    return (json.dumps(content, indent=1, ensure_ascii=False, allow_nan=False) + "\n").encode()


def _panel(figure: Figure, index: int) -> dict[str, Any]:
    panel = figure.panels[index]
    series = [
        {
            "label": item.label,
            "source": item.source,
            "points": len(item.x),
            "n": None if item.n is None else int(item.n.max(initial=0)),
            "of": None if item.of is None else int(item.of.max(initial=0)),
            "note": item.note,
        }
        for item in panel.series
    ]
    return {
        "panel": panel.key,
        "title": panel.title,
        "x": panel.x_axis.title,
        "y": panel.y_axis.title,
        "series": series,
    }
