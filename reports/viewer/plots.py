"""The charts under the heat map: figures of one run or of two over simulated time, and completion times."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from phasewise.reports import figures, palette
from phasewise.reports.charts import Axis, Chart, Series, missing
from phasewise.reports.errors import RunDirectoryError
from phasewise.reports.quantities import count, duration
from phasewise.reports.run_directory import Run
from phasewise.reports.viewer.timeline import Timeline

Floats = npt.NDArray[np.float64]

RUN_COLOURS = ("blue", "vermilion")
_X = Axis("Simulated time (h)")
_SYNC = "viewer-time"
_HISTOGRAM_BINS = 40
_HEIGHT = 200


@dataclass(frozen=True, slots=True)
class Figure:
    """One figure of a round, drawn for all runs on a page: its column, and how a page states it."""

    key: str
    title: str
    column: str
    axis: str
    unit: str
    meaning: str
    factor: float = 1.0
    high: float | None = None
    absent: str = ""


FIGURES = (
    Figure(
        "utilisation",
        "Utilisation",
        "utilization",
        "GPUs in use (%)",
        "%",
        "GPU time used, of what the cluster has.",
        100.0,
        100.0,
    ),
    Figure("queue", "Queue", "queued", "Jobs waiting", "jobs", "Jobs in the system that hold no GPU."),
    Figure(
        "fragmentation",
        "Fragmentation",
        "frag_rate",
        "Fragmented (%)",
        "%",
        "Share of the idle GPU capacity that the jobs to be expected cannot use where it lies.",
        100.0,
        100.0,
        "No run on this page recorded fragmentation.",
    ),
    Figure(
        "moves", "Moves", "moves", "Jobs moved per round", "jobs", "Jobs that run on other GPUs than a round before."
    ),
)


def time_charts(runs: Sequence[Run], names: Sequence[str], clock: Timeline) -> list[Chart]:
    """Return utilisation, queue, fragmentation, moves, and each run's phase times, over simulated time."""
    note = _note(clock)
    charts = [_figure_chart(figure, runs, names, clock, note) for figure in FIGURES]
    phases = [_phases(run, index, names, clock, note) for index, run in enumerate(runs)]
    return charts + _on_one_scale(phases)


def _on_one_scale(charts: Sequence[Chart]) -> list[Chart]:
    """Return stacked charts with the same vertical axis, so that equal heights mean equal times."""
    drawn = [chart for chart in charts if not chart.absent]
    if len(drawn) < 2:
        return list(charts)
    high = max(float(np.nanmax(np.nansum([item.values for item in chart.series], axis=0))) for chart in drawn)
    axis = replace(drawn[0].y_axis, high=1.06 * high or 1.0)
    return [chart if chart.absent else replace(chart, y_axis=axis) for chart in charts]


def _note(clock: Timeline) -> str:
    size = clock.bins.size
    return "One point a round." if size == 1 else f"Means over bins of {count(size)} rounds."


def _figure_chart(figure: Figure, runs: Sequence[Run], names: Sequence[str], clock: Timeline, note: str) -> Chart:
    series = []
    for index, run in enumerate(runs):
        if figure.column not in run.rounds:
            continue
        values = figure.factor * clock.binned(index, run.rounds.numbers(figure.column))
        if np.isfinite(values).any():
            label = names[index] if len(runs) > 1 else figure.title.lower()
            series.append(Series(label, RUN_COLOURS[index], values, figure.unit, dash=index > 0))
    if not series:
        reason = figure.absent or f"No run on this page has the column {figure.column}."
        return missing(figure.key, figure.title, reason)
    y_axis = Axis(figure.axis, low=0.0, high=figure.high)
    return Chart(
        figure.key,
        figure.title,
        f"{figure.meaning} {note}",
        _X,
        y_axis,
        clock.hours,
        series,
        sync=_SYNC,
        height=_HEIGHT,
    )


def _phases(run: Run, index: int, names: Sequence[str], clock: Timeline, note: str) -> Chart:
    key, title = f"phases{index}", "Time per round, by phase"
    if len(names) > 1:
        title = f"{title}: {names[index]}"
    phases = figures.phase_names(run.rounds)
    if not phases:
        return missing(key, title, "The table of rounds has no phase columns.")

    def milliseconds(name: str, kind: str) -> Floats:
        return 1e3 * clock.binned(index, run.rounds.numbers(figures.phase_column(name, kind)))

    series = [
        Series(
            name,
            palette.phase_colour(name),
            milliseconds(name, ""),
            "ms",
            "area",
            values_cpu=milliseconds(name, "cpu_") if figures.phase_column(name, "cpu_") in run.rounds else None,
        )
        for name in phases
    ]
    y_axis = Axis("Time per round (ms)", low=0.0)
    note = f"Exclusive time, so the layers add up to the round. {note}"
    return Chart(key, title, note, _X, y_axis, clock.hours, series, True, sync=_SYNC, height=260)


def jct_charts(runs: Sequence[Run], names: Sequence[str]) -> list[Chart]:
    """Return the distribution of job completion times, and their cumulative share, of all runs on one axis."""
    hours = {index: _jct_hours(run) for index, run in enumerate(runs)}
    hours = {index: values for index, values in hours.items() if len(values)}
    if not hours:
        return [missing("jct", "Job completion time", "No job that counts was completed.")]
    edges = figures.log_edges(np.concatenate(list(hours.values())), _HISTOGRAM_BINS)
    axis = Axis("Job completion time (h, logarithmic)", log=True, low=float(edges[0]), high=float(edges[-1]))
    several = len(runs) > 1
    counted = ", ".join(
        f"{names[index]}: {count(len(values))}" if several else count(len(values)) for index, values in hours.items()
    )

    def lines(values_of: Callable[[Floats], Floats], draw: str) -> list[Series]:
        return [
            Series(
                names[index] if several else "jobs", RUN_COLOURS[index], values_of(values), "%", draw, dash=index > 0
            )
            for index, values in hours.items()
        ]

    def share_by_bin(values: Floats) -> Floats:
        return np.append(100 * figures.log_histogram(values, edges) / len(values), 0.0)

    def share_by_edge(values: Floats) -> Floats:
        return 100 * np.searchsorted(values, edges, "right") / len(values)

    marks = [] if several else _marks(next(iter(hours.values())))
    return [
        Chart(
            "jct",
            "Job completion time",
            f"Completed jobs that count: {counted}.",
            axis,
            Axis("Share of jobs in each bin (%)", low=0.0),
            edges,
            lines(share_by_bin, "steps"),
            marks=marks,
        ),
        Chart(
            "jct_share",
            "Cumulative share of jobs",
            "The share of the same jobs that took at most so long.",
            axis,
            Axis("Jobs complete (%)", low=0.0, high=100.0),
            edges,
            lines(share_by_edge, "line"),
            marks=marks,
        ),
    ]


def _jct_hours(run: Run) -> Floats:
    try:
        return figures.counted_jct_s(run) / 3600.0
    except RunDirectoryError:  # a run that was killed may not have a table of jobs: nothing of it is completed
        return np.empty(0)


def _marks(hours: Floats) -> list[tuple[float, str]]:
    at = {float(np.quantile(hours, level)): name for level, name in ((0.95, "p95"), (0.5, "p50"))}
    return sorted((value, f"{name} {duration(3600 * value)}") for value, name in at.items())
