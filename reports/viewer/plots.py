"""The charts under the heat map: figures of one run or of two over simulated time, and completion times."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from phasewise.reports import figures, palette
from phasewise.reports.charts import Axis, Chart, Series, Top, missing
from phasewise.reports.clipping import said_of, top_of
from phasewise.reports.errors import RunDirectoryError
from phasewise.reports.phase_charts import CLOCKS, TIME, total
from phasewise.reports.quantities import JCT, count, duration
from phasewise.reports.run_directory import Run
from phasewise.reports.viewer.timeline import Timeline

Floats = npt.NDArray[np.float64]

_X = Axis("Simulated time (h)")
_SYNC = "viewer-time"
_HISTOGRAM_BINS = 40
_HEIGHT = 200
_TOPS = (4.0, 6.0, 10.0, 20.0, 30.0, 40.0, 60.0, 80.0, 100.0)  # where an axis of a share may end, per cent
_LEAST_COUNT = 4.0  # an axis of a count ends no lower, or it would have ticks between whole numbers


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
    ),
    Figure("queue", "Queue", "queued", "Jobs waiting", "jobs", "Jobs in the system that hold no GPU."),
    Figure(
        "fragmentation",
        "Fragmentation",
        "frag_rate",
        "Fragmented (%)",
        "%",
        "Share of the idle GPU capacity that typical jobs cannot use in its current location.",
        100.0,
        "No run on this page recorded fragmentation: it is known only where each job stays on one node.",
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
    """Return stacked charts with the same vertical axis under each clock, so that equal heights mean equal times.

    A few rounds may take a hundred times as long as the others, the first one above all: then the axis is cut.
    """
    sums = {clock: {c.key: total(_layers(c, clock)) for c in charts if not c.absent} for clock in CLOCKS}
    tops: dict[str, float | None] = {}
    for clock, each in sums.items():
        every = np.concatenate([np.empty(0), *each.values()])
        tops[clock] = top_of(every) or 1.06 * float(every.max(initial=0.0)) or None
    return [
        chart
        if chart.absent
        else replace(
            chart,
            tops={
                clock: Top(tops[clock], said_of(each[chart.key], tops[clock], "ms", chart.x))
                for clock, each in sums.items()
                if len(each[chart.key])
            },
        )
        for chart in charts
    ]


def _layers(chart: Chart, clock: str) -> list[Floats]:
    """Return the values of a chart of phases under a clock; none where the run did not take it."""
    found = (item.values_cpu if clock == "cpu" else item.values for item in chart.series)
    return [values for values in found if values is not None]


def _note(clock: Timeline) -> str:
    size = clock.bins.size
    if len(clock.round_at) == 1:
        return "One point a round." if size == 1 else f"Means over bins of {count(size)} rounds."
    if size == 1 or len(clock.hours) < 2:
        return "One point for each start of a round."
    return f"Means over bins of {duration(3600 * float(np.median(np.diff(clock.hours))))}."


def _figure_chart(figure: Figure, runs: Sequence[Run], names: Sequence[str], clock: Timeline, note: str) -> Chart:
    series = []
    for index, run in enumerate(runs):
        if figure.column not in run.rounds:
            continue
        values = figure.factor * clock.binned(index, run.rounds.numbers(figure.column))
        if np.isfinite(values).any():
            label = names[index] if len(runs) > 1 else figure.title.lower()
            series.append(Series(label, palette.run_colour(index), values, figure.unit, dash=index > 0))
    if not series:
        reason = figure.absent or f"No run on this page has the column {figure.column}."
        return missing(figure.key, figure.title, reason)
    every = np.concatenate([item.values for item in series])
    cut = None if figure.unit == "%" else top_of(every)
    said = said_of(every, cut, figure.unit, np.tile(clock.hours, len(series)))
    return Chart(
        figure.key,
        figure.title,
        f"{figure.meaning} {note} {said}".rstrip(),
        _X,
        Axis(figure.axis, low=0.0, high=cut or _top(figure, series)),
        clock.hours,
        series,
        sync=_SYNC,
        height=_HEIGHT,
    )


def _top(figure: Figure, series: Sequence[Series]) -> float | None:
    """Return where the vertical axis ends, None where the page may choose: near the highest value in any case."""
    most = max(float(np.nanmax(item.values)) for item in series)
    if figure.unit == "%":
        return next((top for top in _TOPS if 1.05 * most <= top), _TOPS[-1])
    return _LEAST_COUNT if most <= _LEAST_COUNT else None


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
    note = f"Exclusive time, so the layers add up to the round. {note}"
    return Chart(key, title, note, _X, TIME, clock.hours, series, True, sync=_SYNC, height=260)


def jct_charts(runs: Sequence[Run], names: Sequence[str]) -> list[Chart]:
    """Return the distribution of job completion times, and their cumulative share, of all runs on one axis."""
    hours = {index: _jct_hours(run) for index, run in enumerate(runs)}
    hours = {index: values for index, values in hours.items() if len(values)}
    if not hours:
        return [missing("jct", "Job completion time", "No job that counts was completed.")]
    several = len(runs) > 1
    named = {index: names[index] if several else "jobs" for index in hours}
    counted = ", ".join(
        f"{names[index]}: {count(len(values))}" if several else count(len(values)) for index, values in hours.items()
    )
    edges = figures.log_edges(np.concatenate(list(hours.values())), _HISTOGRAM_BINS)
    marks = [] if several else _marks(next(iter(hours.values())))

    def share_by_bin(values: Floats) -> Floats:
        return np.append(100 * figures.log_histogram(values, edges) / len(values), 0.0)

    def share_by_edge(values: Floats) -> Floats:
        return 100 * np.searchsorted(values, edges, "right") / len(values)

    def chart(key: str, title: str, note: str, y_axis: Axis, series: list[Series]) -> Chart:
        axis = Axis("Job completion time (h, logarithmic)", log=True, low=float(edges[0]), high=float(edges[-1]))
        return Chart(key, title, note, axis, y_axis, edges, series, marks=marks)

    in_bins, at_most = Axis("Share of jobs in each bin (%)", low=0.0), Axis("Jobs complete (%)", low=0.0, high=100.0)
    note, of_same = f"{_whose(runs)}: {counted}.", "Share of the same jobs with at most this completion time."
    by_bin, by_edge = _shares(hours, named, share_by_bin, "steps"), _shares(hours, named, share_by_edge, "line")
    return [
        chart("jct", "Job completion time", note, in_bins, by_bin),
        chart("jct_share", "Cumulative share of jobs", of_same, at_most, by_edge),
    ]


def _shares(
    hours: Mapping[int, Floats], named: Mapping[int, str], share_of: Callable[[Floats], Floats], draw: str
) -> list[Series]:
    """Return a line a run of what ``share_of`` makes of its completion times; ``hours`` and ``named`` are by run."""
    return [
        Series(named[index], palette.run_colour(index), share_of(values), "%", draw, dash=index > 0)
        for index, values in hours.items()
    ]


def _whose(runs: Sequence[Run]) -> str:
    """Return which jobs the distribution is of: a scenario may name a window of ids that its averages are over."""
    windows = {run.summary.window for run in runs}
    if windows == {None}:
        return "Completed jobs"
    if len(windows) > 1 or None in windows:
        return "Completed jobs of each run's measuring window"
    ((first, end),) = (window for window in windows if window)
    return f"Completed jobs with ids {count(first)} to {count(end - 1)}, the measuring window"


def _jct_hours(run: Run) -> Floats:
    try:
        return figures.counted(run, "jct_s") / 3600.0
    except RunDirectoryError:  # a run that was killed may not have a table of jobs: nothing of it is completed
        return np.empty(0)


def _marks(hours: Floats) -> list[tuple[float, str]]:
    at = {float(np.quantile(hours, level)): name for level, name in ((0.95, "p95"), (0.5, "p50"))}
    return sorted((value, f"{name} {JCT(3600.0 * value)}") for value, name in at.items())
