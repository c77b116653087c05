"""Charts as plain records: what is drawn, with titles, units and series. The page's script only draws them.

Every series is downsampled here, by bins of rounds, so that a page stays small however long a run was.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.reports import figures, palette
from phasewise.reports.clipping import said_of, top_of
from phasewise.reports.columns import ColumnTable
from phasewise.reports.figures import Bins, Floats
from phasewise.reports.quantities import JCT, PLAIN, SOLVE_TIME, count
from phasewise.reports.run_directory import Run

_HOUR_S = 3600.0
# A certified gap of 0 has no place on a logarithmic axis; it is drawn at the resolution of a double.
GAP_FLOOR = 1e-16


@dataclass(frozen=True, slots=True)
class Axis:
    """An axis: its title with the unit, and how it is scaled (``log``; ``low``/``high`` fix its range)."""

    title: str
    log: bool = False
    low: float | None = None
    high: float | None = None


@dataclass(frozen=True, slots=True)
class Series:
    """One line or area: values per x, their unit for the read-out, and the alternative values of a switch."""

    label: str
    colour: str
    values: Floats
    unit: str = ""
    draw: str = "line"  # line, area (stacked where the chart is), steps
    dash: bool = False
    values_cpu: Floats | None = None


class Top(NamedTuple):
    """Where the vertical axis ends under one clock (None: by the values), and what is said of the values above."""

    at: float | None
    said: str


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart, or the sentence that says why there is none (``absent``).

    Attributes
    ----------
    key
        Unique within the page.
    x
        (B,) ascending.
    marks
        Vertical rules as (x, label).
    sync
        Charts of one such group share their cursor.
    tops
        Of a chart of time: where the axis ends, by clock (``cpu``, ``wall``).
    """

    key: str
    title: str
    note: str
    x_axis: Axis
    y_axis: Axis
    x: Floats
    series: Sequence[Series] = ()
    stacked: bool = False
    marks: Sequence[tuple[float, str]] = ()
    sync: str = ""
    height: int = 240
    absent: str = ""
    tops: Mapping[str, Top] = field(default_factory=dict)

    def named(self, title: str, height: int) -> Chart:
        """Return the same under another title, of another height."""
        return replace(self, title=title, height=height)

    def cut(self, unit: str = "") -> Chart:
        """Return the same with its axis cut where a few values would flatten all others, and said so in its note."""
        values = [np.nan_to_num(item.values) for item in self.series]
        drawn = np.sum(values, axis=0) if self.stacked else np.concatenate(values)
        top = top_of(drawn)
        if top is None:
            return self
        return replace(self, note=f"{self.note} {said_of(drawn, top, unit)}", y_axis=replace(self.y_axis, high=top))

    def payload(self) -> dict[str, Any]:
        """Return what the page's script needs, as JSON-ready values with five significant figures."""
        return {
            "key": self.key,
            "x": _plain(self.x),
            "xAxis": _axis(self.x_axis),
            "yAxis": _axis(self.y_axis),
            "stacked": self.stacked,
            "marks": [[float(f"{at:.5g}"), label] for at, label in self.marks],
            "sync": self.sync,
            "height": self.height,
            "series": [_series(item) for item in self.series],
            **({"tops": {clock: list(top) for clock, top in self.tops.items()}} if self.tops else {}),
        }


def missing(key: str, title: str, reason: str) -> Chart:
    """Return a chart that says why it does not exist."""
    nothing = np.empty(0)
    return Chart(key, title, "", Axis(""), Axis(""), nothing, absent=reason)


def _plain(values: Floats) -> list[float | None]:
    return [float(f"{value:.5g}") if np.isfinite(value) else None for value in values.tolist()]


def _axis(axis: Axis) -> dict[str, Any]:
    return {"title": axis.title, "log": axis.log, "low": axis.low, "high": axis.high}


def _series(item: Series) -> dict[str, Any]:
    content: dict[str, Any] = {
        "label": item.label,
        "colour": item.colour,
        "values": _plain(item.values),
        "unit": item.unit,
        "draw": item.draw,
    }
    if item.dash:
        content["dash"] = True
    if item.values_cpu is not None:
        content["cpu"] = _plain(item.values_cpu)
    return content


def binned(bins: Bins) -> str:
    """Return the sentence that states the bin size."""
    if bins.size == 1:
        return "One point per round."
    return f"Means over bins of {count(bins.size)} rounds."


def memory_by_phase(rounds: ColumnTable, bins: Bins, prefix: str) -> Chart | None:
    """Return what phases added to resident memory since the start, over rounds; None where that was not recorded."""
    columns = {name: figures.memory_column(name) for name in figures.phase_names(rounds)}
    grown = {name: rounds.numbers(column) for name, column in columns.items()}
    added = {name: np.cumsum(np.nan_to_num(values)) for name, values in grown.items() if np.isfinite(values).any()}
    if not added:
        return None
    last = bins.starts + np.minimum(bins.size, bins.rows - bins.starts) - 1
    whole = float(sum(each[-1] for each in added.values()))
    moved = sorted((name for name in added if np.any(added[name])), key=lambda name: -abs(added[name][-1]))
    return Chart(
        f"{prefix}memory-phases",
        "Resident memory added since the start, by phase",
        "What a phase frees stays with the process for the next one that allocates, so a phase that grows is not "
        f"always the one that keeps. To the end, they added {whole:+.1f} MiB.",
        Axis("Round"),
        Axis("Added since the start (MiB)"),
        bins.first(rounds.numbers("round")),
        [Series(name, palette.phase_colour(name), added[name][last], "MiB") for name in moved],
        sync=f"{prefix}rounds",
    )


def memory(rounds: ColumnTable, bins: Bins, prefix: str) -> Chart:
    """Return resident memory over rounds."""
    rss = rounds.numbers("rss_mib")
    if not np.isfinite(rss).any():
        return missing(f"{prefix}memory", "Resident memory", "This run did not record resident memory.")
    growth = figures.memory_growth(rss[np.isfinite(rss)])
    grown = "" if growth is None else f" From round {count(1000)} to the end it changed by {growth * 100:+.2f} %."
    peak = bins.largest(rss)
    return Chart(
        f"{prefix}memory",
        "Resident memory",
        f"Largest resident set size in each bin of {count(bins.size)} rounds.{grown}"
        if bins.size > 1
        else f"Resident set size.{grown}",
        Axis("Round"),
        Axis("Resident memory (MiB)", low=0.0),
        bins.first(rounds.numbers("round")),
        [Series("resident", "blue", peak, "MiB")],
        sync=f"{prefix}rounds",
    )


def solver_charts(rounds: ColumnTable, bins: Bins, prefix: str) -> list[Chart]:
    """Return building against solving, iterations, gap and objective over the run; empty where no LP was solved."""
    solved = figures.solved_rows(rounds)
    if not solved.any():
        return []
    x = bins.first(rounds.numbers("round"))

    def chart(key: str, title: str, note: str, y_axis: Axis, series: Sequence[Series]) -> Chart:
        if not any(np.isfinite(item.values).any() for item in series):
            return missing(prefix + key, title, f"The solver of this run reported no {title.lower()}.")
        drawn = Chart(prefix + key, title, note, Axis("Round"), y_axis, x, series, key == "lp", sync=f"{prefix}rounds")
        return drawn.cut("ms" if key == "lp" else "") if y_axis.low == 0.0 else drawn

    only = f"{binned(bins)} Only rounds that solved an LP."
    gap_note = "Worst relative gap in each bin; a gap of 0 is drawn at 1e-16."
    objective_note = f"{only} The value of the policy's own objective."
    series = _solver_series(rounds, bins, solved)
    return [
        chart("lp", "Building and solving", only, Axis("CPU time per solve (ms)", low=0.0), series["lp"]),
        chart("iterations", "Iterations", only, Axis("Iterations per solve", low=0.0), series["iterations"]),
        chart("gap", "Certified gap", gap_note, Axis("Relative gap (logarithmic)", log=True), series["gap"]),
        chart("objective", "Objective", objective_note, Axis("Objective (no unit)"), series["objective"]),
    ]


def _solver_series(rounds: ColumnTable, bins: Bins, solved: npt.NDArray[np.bool_]) -> dict[str, list[Series]]:
    """Return what the charts of the solver draw, by chart; ``solved`` says which rounds solved an LP."""

    def over(name: str) -> Floats:
        return np.where(solved, rounds.numbers(name), np.nan)

    def cpu_ms(name: str) -> Floats:
        return bins.mean(over(figures.phase_column(name, "cpu_"))) * 1e3

    parts = [Series(name, palette.phase_colour(name), cpu_ms(name), "ms", "area") for name in ("lp_build", "lp_solve")]
    return {
        "lp": parts,
        "iterations": [Series("iterations", "blue", bins.mean(over("lp_iterations")))],
        "gap": [Series("worst gap", "wine", bins.largest(np.maximum(over("lp_gap"), GAP_FLOOR)))],
        "objective": [Series("objective", "green", bins.mean(over("lp_objective")))],
    }


def cluster_charts(rounds: ColumnTable, bins: Bins, prefix: str) -> list[Chart]:
    """Return jobs, utilisation, fragmentation (where jobs are bound to nodes) and moves over simulated time."""
    if not len(rounds):
        return [missing(f"{prefix}jobs", "Jobs", "The run has no rounds.")]
    hours = bins.first(rounds.numbers("sim_time_s")) / _HOUR_S

    def chart(key: str, title: str, y_axis: Axis, series: Sequence[Series]) -> Chart:
        x_axis = Axis("Simulated time (h)")
        return Chart(prefix + key, title, binned(bins), x_axis, y_axis, hours, series, sync=f"{prefix}cluster")

    gpus = Axis("GPUs in use (%)", low=0.0, high=100.0)
    moves = [Series("moves", "pink", bins.mean(rounds.numbers("moves")), "per round", "steps")]
    shown = [
        chart("jobs", "Jobs", Axis("Jobs", low=0.0), _job_series(rounds, bins)),
        chart("utilisation", "Utilisation by worker type", gpus, _usage_series(rounds, bins)),
        chart("moves", "Moves", Axis("Moves per round", low=0.0), moves).cut(),
    ]
    lost = 100 * rounds.numbers("frag_rate")
    if np.isfinite(lost).any():
        of_idle = [Series("fragmented", "orange", bins.mean(lost), "%")]
        y_axis = Axis("Fragmented, of idle GPUs (%)", low=0.0)
        shown.insert(2, chart("fragmentation", "Fragmentation", y_axis, of_idle))
    return shown


def _job_series(rounds: ColumnTable, bins: Bins) -> list[Series]:
    """Return how many jobs were active, running and queued."""
    drawn = (("active", "grey", "area"), ("running", "blue", "line"), ("queued", "vermilion", "line"))
    return [Series(name, colour, bins.mean(rounds.numbers(name)), "", shape) for name, colour, shape in drawn]


def _usage_series(rounds: ColumnTable, bins: Bins) -> list[Series]:
    """Return the part of the GPUs that was in use, of each type and of all."""
    usage = [
        Series(name, palette.cycle_colour(index), 100 * bins.mean(rounds.numbers(f"utilization_{name}")), "%")
        for index, name in enumerate(figures.worker_types(rounds))
    ]
    usage.append(Series("all", "ink", 100 * bins.mean(rounds.numbers("utilization")), "%", dash=True))
    return usage


def solve_time_charts(rounds: ColumnTable, prefix: str) -> list[Chart]:
    """Return the distributions of building and solving time on one logarithmic axis."""
    statistics = figures.solver_figures(rounds)
    parts = {"lp_build": statistics.build_s * 1e3, "lp_solve": statistics.solve_s * 1e3}
    parts = {name: values[np.isfinite(values) & (values > 0)] for name, values in parts.items()}
    seen = np.concatenate(list(parts.values()))
    if not len(seen):
        return []
    edges = figures.log_edges(seen, _histogram_bins(len(seen)))
    axis = Axis("CPU time per solve (ms, logarithmic)", log=True, low=float(edges[0]), high=float(edges[-1]))
    return [
        Chart(
            f"{prefix}dist_{name}",
            f"Distribution of {name}",
            f"{count(len(values))} solves.",
            axis,
            Axis("Solves", low=0.0),
            edges,
            [Series("solves", palette.phase_colour(name), _steps(figures.log_histogram(values, edges)), draw="steps")],
            marks=_quantile_marks(values, lambda value: SOLVE_TIME(value / 1e3)),
            height=190,
        )
        if len(values)
        else missing(f"{prefix}dist_{name}", f"Distribution of {name}", f"This run spent no measurable time in {name}.")
        for name, values in parts.items()
    ]


def jct_charts(run: Run, prefix: str) -> list[Chart]:
    """Return the JCT histogram and its cumulative share, on one logarithmic axis."""
    hours = figures.counted(run, "jct_s") / _HOUR_S
    if not len(hours):
        return [missing(f"{prefix}jct", "Job completion time", "None of the counted jobs completed in this run.")]
    edges = figures.log_edges(hours, _histogram_bins(len(hours)))
    axis = Axis("Job completion time (h, logarithmic)", log=True, low=float(edges[0]), high=float(edges[-1]))
    marks = _quantile_marks(hours, lambda value: JCT(value * _HOUR_S))
    levels = np.linspace(0.0, 1.0, min(200, len(hours)) if len(hours) > 1 else 2)
    window = run.summary.window
    which = "Completed jobs" if window is None else f"Completed jobs of the window {window[0]} ≤ id < {window[1]}"
    histogram = _steps(figures.log_histogram(hours, edges))
    return [
        Chart(
            f"{prefix}jct",
            "Job completion time",
            f"{which}: {count(len(hours))}.",
            axis,
            Axis("Jobs", low=0.0),
            edges,
            [Series("jobs", "blue", histogram, "", "steps")],
            marks=marks,
        ),
        Chart(
            f"{prefix}jct_share",
            "Cumulative share of jobs",
            "Share of these jobs with a completion time of at most x.",
            axis,
            Axis("Jobs complete (%)", low=0.0, high=100.0),
            np.quantile(hours, levels),
            [Series("share", "blue", 100 * levels, "%")],
            marks=marks,
        ),
    ]


def rho_charts(run: Run, prefix: str) -> list[Chart]:
    """Return the cumulative share of jobs over finish-time fairness; none where the run does not have it."""
    rho = figures.counted(run, "rho")
    if not len(rho):
        return []
    edges = figures.log_edges(np.append(rho, 1.0), 1)
    levels = np.linspace(0.0, 1.0, min(200, len(rho)) if len(rho) > 1 else 2)
    p99 = float(np.quantile(rho, 0.99))
    return [
        Chart(
            f"{prefix}rho",
            "Finish-time fairness",
            "Share of these jobs with a ρ of at most x. ρ is the completion time over the time on an isolated share of "
            "the cluster; above 1, sharing hurt the job.",
            Axis("Finish-time fairness ρ (logarithmic)", log=True, low=float(edges[0]), high=float(edges[-1])),
            Axis("Jobs (%)", low=0.0, high=100.0),
            np.quantile(rho, levels),
            [Series("share", "blue", 100 * levels, "%")],
            marks=sorted({1.0: "isolated share", p99: f"p99 {PLAIN(p99)}"}.items()),
        )
    ]


def _histogram_bins(values: int) -> int:
    """Return how many bins show the shape of so many values without splitting it into single ones."""
    return int(np.clip(3 * np.sqrt(values), 8, 60))


def _steps(counts: Floats) -> Floats:
    """Return counts with a closing 0, so that the steps return to the axis at the last edge."""
    return np.append(counts, 0.0)


def _quantile_marks(values: Floats, text: Any) -> list[tuple[float, str]]:
    marks = ((float(np.quantile(values, level)), name) for level, name in ((0.5, "p50"), (0.95, "p95")))
    labels = {value: f"{name} {text(value)}" for value, name in marks}
    return sorted(labels.items())  # one mark where both are the same
