"""One self-contained HTML page about one run or several: opens from a file, without a network."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from phasewise.profiling.artefacts.run_json import STATUSES
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import OutputError
from phasewise.reports import charts, figures, html_runs, page, phase_charts, quantities
from phasewise.reports.charts import Chart
from phasewise.reports.colocation import Colocation, colocation, untold
from phasewise.reports.errors import ReportWriteError, RunDirectoryError
from phasewise.reports.figures import PhaseRow, SolverFigures
from phasewise.reports.flame import Flame, flame_of, native_flame_of
from phasewise.reports.glossary import PHASES
from phasewise.reports.losses import Loss, losses
from phasewise.reports.page import Bar
from phasewise.reports.run_directory import Run
from phasewise.reports.sharing_charts import sharing_charts
from phasewise.reports.worth import doubts, drift_text


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
    flame: Flame
    native: Flame | None
    shared: Colocation | None
    unshared: str

    @property
    def top(self) -> PhaseRow | None:
        """Return the phase that took most, None where no time was recorded."""
        return next((row for row in self.phases if row.name != figures.OTHER), None)

    @property
    def phase_cells(self) -> Sequence[Sequence[object]]:
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
        return page.machine_of(self.run)

    @property
    def bars(self) -> Mapping[str, list[Bar]]:
        """Return the phases as parts of the loop's time by clock, CPU first; none where no time was recorded."""
        spent: dict[str, list[tuple[str, float | None, float | None]]] = {
            "cpu": [(row.name, row.cpu_s, row.cpu_round_s) for row in self.phases],
            "wall": [(row.name, row.wall_s, row.wall_round_s) for row in self.phases],
        }
        return {which: page.bars_of(each) for which, each in spent.items() if each}

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
    content = render_page(runs, target.parent)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(target, content.encode())
    except (OSError, OutputError) as error:
        raise ReportWriteError(f"{target}: the report cannot be written: {error}") from error
    return target


def render_page(runs: Sequence[Run], folder: Path) -> str:
    """Return the page's HTML; links to a run's files are relative to ``folder``."""
    return html_runs.render(runs, folder) if len(runs) > 1 else _render_one(runs[0], folder)


def _render_one(run: Run, folder: Path) -> str:
    shown = _run_page(run, "r0", run.scenario_name, folder)
    return page.rendered(
        "report.html",
        page=shown,
        title=shown.title,
        terms=PHASES,
        payload=[chart.payload() for chart in _drawn(shown)],
    )


def _drawn(shown: RunPage) -> list[Chart]:
    return [chart for section in shown.sections.values() for chart in section.charts if not chart.absent]


def _run_page(run: Run, key: str, title: str, folder: Path) -> RunPage:
    return RunPage(
        run=run,
        key=key,
        title=title,
        status_note=STATUSES[run.status],
        setup=_setup(run),
        phases=figures.phase_rows(run.summary),
        solver=figures.solver_figures(run.rounds),
        sections={section.key: section for section in _sections(run, f"{key}-")},
        scenario=_leaves(run.scenario),
        environment=_leaves(run.environment),
        files=page.files_of(run, folder),
        flame=flame_of(run.path),
        native=native_flame_of(run.path),
        shared=_shared(run),
        unshared=_unshared(run),
    )


def _sections(run: Run, prefix: str) -> list[Section]:
    rounds = run.rounds
    bins = figures.bins_of(len(rounds), phase_charts.MOST_BINS)
    solver = charts.solver_charts(rounds, bins, prefix)
    no_lp = "" if solver else "No LP was solved in this run, so there are no solver statistics."
    try:
        jct = [*charts.jct_charts(run, prefix), *charts.rho_charts(run, prefix)]
    except RunDirectoryError as error:
        jct = [charts.missing(f"{prefix}jct", "Job completion time", str(error))]
    by_phase = charts.memory_by_phase(rounds, bins, prefix) if len(rounds) else None
    memory = [charts.memory(rounds, bins, prefix), *([by_phase] if by_phase else [])] if len(rounds) else []
    return [
        Section("time", "Time over the run", [phase_charts.time_per_round(rounds, bins, prefix)]),
        Section("solver", "Solver", [*solver[:1], *charts.solve_time_charts(rounds, prefix), *solver[1:]], no_lp),
        Section(
            "cluster", "Cluster", [*charts.cluster_charts(rounds, bins, prefix), *sharing_charts(rounds, bins, prefix)]
        ),
        Section("jobs", "Jobs", jct),
        Section("memory", "Memory", memory, "" if memory else "The run has no rounds."),
    ]


def _shared(run: Run) -> Colocation | None:
    """Return who shared GPUs with whom; None where nobody did, or the run's tables do not say."""
    try:
        return colocation(run)
    except RunDirectoryError:
        return None  # the charts of jobs say what is wrong with a table


def _unshared(run: Run) -> str:
    """Return in one line why a run that packs does not say who shared with whom; empty where it does."""
    try:
        return untold(run)
    except RunDirectoryError:
        return ""  # as in `_shared`


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
