"""One self-contained HTML page about one run or several: opens from a file, without a network."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any
from urllib.parse import quote

import jinja2

from phasewise.profiling.artefacts.run_json import STATUSES
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import OutputError
from phasewise.reports import charts, figures, palette, quantities
from phasewise.reports.charts import Chart
from phasewise.reports.compare import Comparison, compare_runs
from phasewise.reports.errors import ReportWriteError, RunDirectoryError
from phasewise.reports.figures import PhaseRow, SolverFigures
from phasewise.reports.glossary import PHASES
from phasewise.reports.losses import Loss, losses
from phasewise.reports.run_directory import Run
from phasewise.reports.worth import doubts, drift_text

# Bins of one chart, shared by the runs on the page: enough for its pixels, few enough for a small file.
_MOST_BINS = 300
_LEAST_BINS = 60

_FILES = (
    ("pyinstrument.html", "call stacks, sampled (pyinstrument)"),
    ("line_profile.txt", "time by line (line_profiler)"),
    ("trace.json.gz", "phases over time, for Perfetto or speedscope"),
    ("lines.log", "PROFILE, TELEMETRY and EVENT lines"),
    ("run.json", "scenario, environment and summary"),
)


@dataclass(frozen=True, slots=True)
class Section:
    """A heading of a run's part of the page with its charts."""

    key: str
    title: str
    charts: Sequence[Chart]
    absent: str = ""


@dataclass(frozen=True, slots=True)
class RunPage:
    """Everything the template needs about one run."""

    run: Run
    key: str
    title: str
    status_note: str
    setup: str
    phases: Sequence[PhaseRow]
    solver: SolverFigures
    sections: Mapping[str, Section]
    scenario: Sequence[tuple[str, str]]
    environment: Sequence[tuple[str, str]]
    files: Sequence[tuple[str, str, str]]

    @property
    def top(self) -> PhaseRow | None:
        """Return the phase that took most, None where no time was recorded."""
        return next((row for row in self.phases if row.name != figures.OTHER), None)

    @property
    def phase_cells(self) -> list[list[object]]:
        """Return the phase table for a file: a head, then a row a phase."""
        head = ["phase", "share of CPU time", "CPU (s)", "wall (s)", "CPU per round (s)", "wall per round (s)", "calls"]
        cells = ((r.name, r.share, r.cpu_s, r.wall_s, r.cpu_round_s, r.wall_round_s, r.calls) for r in self.phases)
        return [head, *(list(row) for row in cells)]

    @property
    def losses(self) -> Sequence[Loss]:
        """Return the jobs that are in no mean of the run, by what became of them."""
        return losses(self.run.summary)

    @property
    def doubts(self) -> Sequence[str]:
        """Return why the mean JCT of the run is not one."""
        return doubts(self.run.status, self.run.summary)

    @property
    def drift(self) -> str:
        """Return which part of arrivals piles up, with its interval."""
        return drift_text(self.run.summary.drift)

    @property
    def machine(self) -> str:
        """Return commit, processor, Python and system in one line, as far as they were recorded."""
        known = self.run.environment
        commit = str(known.get("commit") or "")[:10]
        parts = [
            f"phasewise {known['version']}" if known.get("version") else "",
            f"commit {commit}{' with local changes' if known.get('dirty') else ''}" if commit else "",
            str(known.get("cpu") or ""),
            f"{known['cores']} cores" if known.get("cores") else "",
            str(known.get("python") or ""),
        ]
        return " · ".join(part for part in parts if part)

    @property
    def lp_share(self) -> float:
        """Return the share of `lp_build` and `lp_solve` in the loop's CPU time."""
        return sum(row.share or 0.0 for row in self.phases if row.name in {"lp_build", "lp_solve"})

    @property
    def rebuild_note(self) -> str:
        """Return how often a model was built for which reason."""
        reasons = (f"{quantities.count(number)} {reason}" for reason, number in self.solver.rebuilds.items())
        return ", ".join(reasons) or "every model was reused"

    @property
    def round_s(self) -> float | None:
        """Return the loop's CPU seconds a round, None where there is no round."""
        rounds = self.run.summary.rounds
        return sum(row.cpu_s or 0.0 for row in self.phases) / rounds if rounds else None


def write_report(runs: Sequence[Run], out: Path | str) -> Path:
    """Write the report of ``runs`` to the file ``out`` and return its path.

    Raises
    ------
    RunDirectoryError
        Where a run's table of rounds cannot be read.
    ReportWriteError
        Where there is no run, or ``out`` cannot be written.
    """
    if not runs:
        raise ReportWriteError(f"{out}: a report needs at least one run directory")
    target = Path(out)
    page = render_page(runs, target.parent)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, page.encode())
    except (OSError, OutputError) as error:
        raise ReportWriteError(f"{target}: the report cannot be written: {error}") from error
    return target


def render_page(runs: Sequence[Run], folder: Path) -> str:
    """Return the page's HTML; links to a run's files are relative to ``folder``."""
    most = max(_LEAST_BINS, _MOST_BINS // len(runs))
    comparison = compare_runs(runs) if len(runs) > 1 else None
    titles = comparison.names if comparison else (runs[0].scenario_name,)
    pages = [
        _run_page(run, f"r{index}", title, folder, most)
        for index, (run, title) in enumerate(zip(runs, titles, strict=True))
    ]
    shelf = files("phasewise.reports")
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("phasewise.reports", "templates"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= _filters()
    return environment.get_template("report.html").render(
        pages=pages,
        comparison=comparison,
        terms=PHASES,
        bars=_comparison_bars(comparison),
        bar_rows=_comparison_cells(comparison),
        payload=[chart.payload() for page in pages for chart in _drawn(page)],
        styles=[shelf.joinpath(*name).read_text("utf-8") for name in (("vendor", "uPlot.min.css"),)],
        scripts=[
            shelf.joinpath(*name).read_text("utf-8")
            for name in (("vendor", "uPlot.iife.min.js"), ("templates", "export.js"), ("templates", "report.js"))
        ],
        css="\n".join(shelf.joinpath("templates", name).read_text("utf-8") for name in ("report.css", "export.css")),
    )


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


def _drawn(page: RunPage) -> list[Chart]:
    return [chart for section in page.sections.values() for chart in section.charts if not chart.absent]


def _run_page(run: Run, key: str, title: str, folder: Path, most: int) -> RunPage:
    return RunPage(
        run=run,
        key=key,
        title=title,
        status_note=STATUSES[run.status],
        setup=_setup(run),
        phases=figures.phase_rows(run.summary),
        solver=figures.solver_figures(run.rounds),
        sections={section.key: section for section in _sections(run, f"{key}-", most)},
        scenario=_leaves(run.scenario),
        environment=_leaves(run.environment),
        files=_files(run, folder),
    )


def _sections(run: Run, prefix: str, most: int) -> list[Section]:
    rounds = run.rounds
    bins = figures.bins_of(len(rounds), most)
    solver = charts.solver_charts(rounds, bins, prefix)
    no_lp = "" if solver else "No LP was solved in this run, so there are no solver statistics."
    try:
        jct = [*charts.jct_charts(run, prefix), *charts.rho_charts(run, prefix)]
    except RunDirectoryError as error:
        jct = [charts.missing(f"{prefix}jct", "Job completion time", str(error))]
    memory = [charts.memory(rounds, bins, prefix)] if len(rounds) else []
    return [
        Section("time", "Time over the run", [charts.time_per_round(rounds, bins, prefix)]),
        Section("solver", "Solver", [*solver[:1], *charts.solve_time_charts(rounds, prefix), *solver[1:]], no_lp),
        Section("cluster", "Cluster", charts.cluster_charts(rounds, bins, prefix)),
        Section("jobs", "Jobs", jct),
        Section("memory", "Memory", memory, "" if memory else "The run has no rounds."),
    ]


def _setup(run: Run) -> str:
    """Return policy, solver, placement and cluster in one line, as far as the scenario names them."""
    parts = [str(run.section(name).get("name", "")) for name in ("policy", "solver", "placement")]
    gpus = run.section("cluster").get("gpus")
    if isinstance(gpus, Mapping):
        kinds = ", ".join(f"{number} {name}" for name, number in gpus.items())
        parts.append(f"{quantities.count(sum(gpus.values()))} GPUs ({kinds})")
    return " · ".join(part for part in parts if part)


def _leaves(tree: Mapping[str, Any], prefix: str = "") -> list[tuple[str, str]]:
    rows: list[tuple[str, str]] = []
    for key, value in tree.items():
        if isinstance(value, Mapping) and value:
            rows += _leaves(value, f"{prefix}{key}.")
        else:
            rows.append((f"{prefix}{key}", _plain(value)))
    return rows


def _plain(value: object) -> str:
    if value is None or value in ("", {}, []):
        return quantities.ABSENT
    if isinstance(value, list):
        return ", ".join(str(item) for item in value)
    return str(value)


def _files(run: Run, folder: Path) -> list[tuple[str, str, str]]:
    found = [(name, what) for name, what in _FILES if (run.path / name).is_file()]
    start = folder.resolve()
    return [
        (quote(Path(os.path.relpath(run.path.resolve() / name, start)).as_posix()), name, what) for name, what in found
    ]


def _comparison_bars(comparison: Comparison | None) -> list[list[tuple[str, float, float]]]:
    """Return for each run its phases as (name, ms a round, width in per cent of the slowest run's round)."""
    if comparison is None or not comparison.cpu_ms:
        return []
    *rows, total = comparison.cpu_ms
    longest = max((value or 0.0) for value in total.values) or 1.0
    return [
        [(row.label, row.values[index] or 0.0, 100 * (row.values[index] or 0.0) / longest) for row in rows]
        for index in range(len(comparison.names))
    ]


def _comparison_cells(comparison: Comparison | None) -> list[list[object]]:
    """Return the same for a file: a head, then a row a phase with each run's ms a round."""
    if comparison is None or not comparison.cpu_ms:
        return []
    head = ["phase", *(f"{name}, CPU per round (ms)" for name in comparison.names)]
    return [head, *([row.label, *row.values] for row in comparison.cpu_ms)]
