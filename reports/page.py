"""What the report's pages share: templates, styles and scripts in one file, links to files, bars of phases."""

from __future__ import annotations

import os
from collections.abc import Iterable
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, NamedTuple
from urllib.parse import quote

import jinja2

from phasewise.reports import figures, palette, quantities
from phasewise.reports.run_directory import Run

WORDS: Final = {"cpu": "CPU", "wall": "wall"}  # the clocks, in words
_STYLES: Final = (("vendor", "uPlot.min.css"), ("templates", "report.css"), ("templates", "export.css"))
_SCRIPTS: Final = (
    ("vendor", "uPlot.iife.min.js"),
    *(("templates", f"{name}.js") for name in ("export", "report", "flame_kinds", "flame")),
)
_FILES: Final = (
    ("pyinstrument.html", "call stacks by wall time, as a tree (pyinstrument)"),
    ("stacks.json", "call stacks by CPU time, as the flame graph has them"),
    ("native.json", "call stacks with compiled and native frames (py-spy or perf)"),
    ("line_profile.txt", "time by line (line_profiler)"),
    ("trace.json.gz", "phases over time, for Perfetto or speedscope"),
    ("lines.log", "PROFILE, TELEMETRY and EVENT lines"),
    ("run.json", "scenario, environment and summary"),
)


class Bar(NamedTuple):
    """A phase as a part of a bar: its width in per cent, and what is read out."""

    name: str
    width: float
    tip: str


def rendered(template: str, **content: Any) -> str:
    """Return a page: a template with its content, and with all that it needs of styles and scripts."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("phasewise.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _filters()
    return environment.get_template(template).render(
        words=WORDS,
        css="\n".join(text(*name) for name in _STYLES),
        scripts=[text(*name) for name in _SCRIPTS],
        **content,
    )


def plain(template: str, **content: Any) -> str:
    """Return a page whose pictures are in its template: with its content, styles, and what saves its pictures."""
    environment = jinja2.Environment(autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True)
    return environment.from_string(text("templates", template)).render(
        css="\n".join(text("templates", f"{name}.css") for name in ("report", "export")),
        export_js=text("templates", "export.js"),
        **content,
    )


def text(folder: str, name: str) -> str:
    """Return the text of a file of this package."""
    return files("phasewise.reports").joinpath(folder, name).read_text("utf-8")


def _filters() -> dict[str, Any]:
    return {
        "number": quantities.number,
        "count": quantities.count,
        "percent": quantities.percent,
        "with_unit": quantities.with_unit,
        "jct": quantities.JCT,
        "makespan": quantities.MAKESPAN,
        "run_time": quantities.RUN_TIME,
        "phase_total": quantities.PHASE_TOTAL.text,
        "per_round": quantities.PER_ROUND,
        "per_round_number": quantities.PER_ROUND.text,
        "solve_time": quantities.SOLVE_TIME,
        "memory": quantities.MEMORY,
        "gpu_time": quantities.GPU_TIME,
        "wait": quantities.WAIT,
        "colour": palette.phase_colour,
        "quantile": figures.quantile,
    }


def bars_of(spent: Iterable[tuple[str, float | None, float | None]]) -> list[Bar]:
    """Return phases, given with their seconds in all and a round, as parts of all of them."""
    rows = list(spent)
    whole = sum(seconds or 0.0 for _, seconds, _ in rows)
    parts = [(name, (seconds or 0.0) / whole if whole else 0.0, each) for name, seconds, each in rows]
    return [
        Bar(name, 100.0 * share, f"{name}: {quantities.percent(share)}, {quantities.PER_ROUND(each)} a round")
        for name, share, each in parts
    ]


def machine_of(run: Run) -> str:
    """Return commit, processor, Python and system in one line, as far as they were recorded."""
    known = run.environment
    commit = str(known.get("commit") or "")[:10]
    parts = [
        f"phasewise {known['version']}" if known.get("version") else "",
        f"commit {commit}{' with local changes' if known.get('dirty') else ''}" if commit else "",
        str(known.get("cpu") or ""),
        f"{known['cores']} cores" if known.get("cores") else "",
        str(known.get("python") or ""),
    ]
    return " · ".join(part for part in parts if part)


def files_of(run: Run, folder: Path) -> list[tuple[str, str, str]]:
    """Return the files of a run that are there: link from a page in ``folder``, name, what it is."""
    found = [(name, what) for name, what in _FILES if (run.path / name).is_file()]
    start = folder.resolve()
    return [
        (quote(Path(os.path.relpath(run.path.resolve() / name, start)).as_posix()), name, what) for name, what in found
    ]
