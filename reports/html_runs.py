"""The page of several runs: their jobs on common axes first, then figures and phases side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from phasewise.profiling.artefacts.run_json import STATUSES
from phasewise.reports import overlays, page, palette, phase_charts, quantities
from phasewise.reports.compare import Comparison, Row, compare_runs
from phasewise.reports.page import Bar
from phasewise.reports.run_directory import Run


@dataclass(frozen=True, slots=True)
class NamedRun:
    """A run under its name and colour on the page, and what it was made with."""

    name: str
    colour: str
    status: str
    status_note: str
    command: str
    machine: str
    files: Sequence[tuple[str, str, str]]


@dataclass(frozen=True, slots=True)
class BarRow:
    """A run's round as a bar of phases; all bars of a page are on one scale."""

    name: str
    phases: Sequence[Bar]
    total: str


def render(runs: Sequence[Run], folder: Path) -> str:
    """Return the HTML of the page of two runs or more; links to their files are relative to ``folder``."""
    comparison = compare_runs(runs)
    names = comparison.names
    charts = {
        "jobs": overlays.job_charts(runs, names),
        "phases": phase_charts.several(runs, names, overlays.HEIGHT),
        "time": overlays.time_charts(runs, names),
    }
    tables = {"cpu": comparison.cpu_ms, "wall": comparison.wall_ms}
    return page.rendered(
        "report_runs.html",
        title=", ".join(names),
        names=names,
        runs=[_named(run, index, names[index], folder) for index, run in enumerate(runs)],
        comparison=comparison,
        charts=charts,
        tables=tables,
        bars={which: _bars(rows, comparison) for which, rows in tables.items()},
        cells={which: _cells(rows, names, page.WORDS[which]) for which, rows in tables.items()},
        payload=[chart.payload() for group in charts.values() for chart in group if not chart.absent],
    )


def _named(run: Run, index: int, name: str, folder: Path) -> NamedRun:
    return NamedRun(
        name,
        palette.run_colour(index),
        run.status,
        STATUSES[run.status],
        run.command,
        page.machine_of(run),
        page.files_of(run, folder),
    )


def _bars(rows: Sequence[Row], comparison: Comparison) -> list[BarRow]:
    """Return each run's phases; the widths are per cent of the slowest run's round."""
    if not rows:
        return []
    *phases, total = rows
    longest = max((value or 0.0) for value in total.values) or 1.0

    def bar(row: Row, index: int) -> Bar:
        value = row.values[index]
        return Bar(row.label, 100.0 * (value or 0.0) / longest, f"{row.label}: {_ms(value)} a round")

    return [
        BarRow(name, [bar(row, index) for row in phases], _ms(total.values[index]))
        for index, name in enumerate(comparison.names)
    ]


def _ms(value: float | None) -> str:
    return quantities.with_unit(value, "ms")


def _cells(rows: Sequence[Row], names: Sequence[str], clock: str) -> Sequence[Sequence[object]]:
    """Return the same for a file: a head, then a row a phase with each run's milliseconds a round."""
    return [
        ["phase", *(f"{name}, {clock} per round (ms)" for name in names)],
        *([row.label, *row.values] for row in rows),
    ]
