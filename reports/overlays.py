"""Charts that lay several runs over one another: completion times, waits and fairness, and what happened over time."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from phasewise.reports import figures, palette
from phasewise.reports.charts import Axis, Chart, Series, Top, missing
from phasewise.reports.clipping import said_of, top_of
from phasewise.reports.columns import ColumnTable
from phasewise.reports.errors import RunDirectoryError
from phasewise.reports.figures import Floats
from phasewise.reports.phase_charts import CLOCKS, TIME, total
from phasewise.reports.quantities import count, duration
from phasewise.reports.run_directory import Run

HEIGHT: Final = 230
MOST_BINS: Final = 240  # of simulated time
HISTOGRAM_BINS: Final = 40
MOST_POINTS: Final = 200  # of a cumulative share, each run
SYNC: Final = "runs-over-time"
_HOUR_S: Final = 3600.0
_HOURS: Final = Axis("Simulated time (h)")
_JCT: Final = "Job completion time (h, logarithmic)"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of the jobs that count: its chart, where it stands in the table of jobs, and its axis."""

    key: str
    title: str
    note: str
    axis: str
    column: str
    factor: float = 1.0
    marks: Sequence[tuple[float, str]] = ()


OF_JOBS: Final = (
    Figure("jct_share", "Cumulative share of jobs", "Completed jobs that count.", _JCT, "jct_s", 1 / _HOUR_S),
    Figure("wait_share", "Wait in the queue", "From arrival to first start.", "Wait (h)", "queued_s", 1 / _HOUR_S),
    Figure(
        "rho_share",
        "Finish-time fairness",
        "Times as long as on an isolated share of the cluster; above 1 a job lost by sharing.",
        "Finish-time fairness ρ (logarithmic)",
        "rho",
        marks=((1.0, "isolated share"),),
    ),
)


def lines(names: Sequence[str], values: Mapping[int, Floats], unit: str, draw: str = "line") -> list[Series]:
    """Return a series for each run that has values; where colours come again, the line is dashed."""
    return [
        Series(names[index], palette.run_colour(index), each, unit, draw, dash=index >= len(palette.RUNS))
        for index, each in values.items()
    ]


def job_charts(runs: Sequence[Run], names: Sequence[str]) -> list[Chart]:
    """Return the cumulative share of jobs over JCT and its histogram, then over waits and finish-time fairness."""
    found: list[Chart] = []
    for figure in OF_JOBS:
        values = {index: _counted(run, figure.column) * figure.factor for index, run in enumerate(runs)}
        values = {index: each for index, each in values.items() if len(each)}
        if values:
            found.append(_share(figure, names, values))
        elif figure.column == "jct_s":
            found.append(missing("jct", "Job completion time", "No job that counts was completed in these runs."))
        if values and figure.column == "jct_s":
            found.append(_histogram(names, values))
    return found


def _counted(run: Run, column: str) -> Floats:
    try:
        return figures.counted(run, column)
    except RunDirectoryError:  # a run that was killed may have no table of jobs: nothing of it is completed
        return np.empty(0)


def _share(figure: Figure, names: Sequence[str], of: Mapping[int, Floats]) -> Chart:
    levels = np.linspace(0.0, 1.0, MOST_POINTS)
    x = np.unique(np.concatenate([np.quantile(values, levels, method="lower") for values in of.values()]))
    shares = {index: 100.0 * np.searchsorted(values, x, "right") / len(values) for index, values in of.items()}
    log = "logarithmic" in figure.axis
    low, high = figures.log_edges(x, 1) if log else (0.0, float(x[-1]))
    jobs = ", ".join(f"{names[index]} {count(len(values))}" for index, values in of.items())
    return Chart(
        figure.key,
        figure.title,
        f"{figure.note} Jobs: {jobs}.",
        Axis(figure.axis, log=log, low=float(low), high=float(high)),
        Axis("Jobs (%)", low=0.0, high=100.0),
        x,
        lines(names, shares, "%"),
        marks=figure.marks,
        height=HEIGHT,
    )


def _histogram(names: Sequence[str], hours: Mapping[int, Floats]) -> Chart:
    edges = figures.log_edges(np.concatenate(list(hours.values())), HISTOGRAM_BINS)
    bars = {
        index: np.append(100.0 * figures.log_histogram(values, edges) / len(values), 0.0)
        for index, values in hours.items()
    }
    return Chart(
        "jct",
        "Job completion time",
        "Share of the same jobs in each bin.",
        Axis(_JCT, log=True, low=float(edges[0]), high=float(edges[-1])),
        Axis("Jobs in each bin (%)", low=0.0),
        edges,
        lines(names, bars, "%", "steps"),
        height=HEIGHT,
    )


class Hours:
    """Bins of simulated time, the same for all runs.

    Attributes
    ----------
    start_h
        (B,) where each begins.
    """

    def __init__(self, tables: Sequence[ColumnTable]) -> None:
        self._tables = tables
        starts = [table.numbers("sim_time_s") / _HOUR_S for table in tables]
        bins = min(MOST_BINS, max(len(each) for each in starts))
        ends = np.linspace(0.0, max(float(each.max(initial=0.0)) for each in starts) or 1.0, bins + 1)
        self.start_h = ends[:-1]
        self._place = [np.searchsorted(self.start_h, each, "right") - 1 for each in starts]
        self.note = f"Means over bins of {duration(_HOUR_S * float(ends[1]))}."

    def means(self, read: Callable[[ColumnTable], Floats]) -> dict[int, Floats]:
        """Return (B,) means over the rounds that begin in each bin, NaN for a bin with none, of runs that have them."""
        found = {}
        for index, (table, place) in enumerate(zip(self._tables, self._place, strict=True)):
            values = read(table)
            known = np.isfinite(values)
            counts = np.bincount(place[known], minlength=len(self.start_h))
            totals = np.bincount(place[known], values[known], len(self.start_h))
            if known.any():
                found[index] = np.divide(totals, counts, out=np.full(len(totals), np.nan), where=counts > 0)
        return found


_OVER_TIME: Final = (
    ("usage", "Utilisation", Axis("GPUs in use (%)", low=0.0, high=100.0), "utilization", 100.0, "%"),
    ("queue", "Waiting jobs", Axis("Jobs waiting", low=0.0), "queued", 1.0, ""),
    ("fragmentation", "Fragmentation", Axis("Fragmented, of idle GPUs (%)", low=0.0), "frag_rate", 100.0, "%"),
    ("memory", "Resident memory", Axis("Resident memory (MiB)", low=0.0), "rss_mib", 1.0, "MiB"),
)


def time_charts(runs: Sequence[Run], names: Sequence[str]) -> list[Chart]:
    """Return time a round, utilisation, waiting jobs, fragmentation and memory of all runs over simulated time."""
    tables = [run.rounds for run in runs]
    if not any(len(table) for table in tables):
        return [missing("usage", "Utilisation", "None of these runs has a round.")]
    hours = Hours(tables)
    found = [_round_time(names, hours)]
    for key, title, axis, column, factor, unit in _OVER_TIME:
        means = hours.means(lambda table, of=column, by=factor: by * table.numbers(of))  # type: ignore[misc]
        if means:
            series = lines(names, means, unit)
            drawn = Chart(key, title, hours.note, _HOURS, axis, hours.start_h, series, sync=SYNC, height=HEIGHT)
            found.append(drawn if axis.high else drawn.cut(unit))
        elif key != "fragmentation":  # which no run has whose jobs may span nodes
            found.append(missing(key, title, f"None of these runs recorded it: {title.lower()}."))
    return found


def _round_time(names: Sequence[str], hours: Hours) -> Chart:
    """Return the time of a round, CPU and wall, of all phases together."""

    def whole(clock: str) -> dict[int, Floats]:
        def read(table: ColumnTable) -> Floats:
            columns = [figures.phase_column(name, clock) for name in figures.phase_names(table)]
            found = total(table.numbers(column) for column in columns if column in table)
            return 1e3 * found if len(found) else np.full(len(table), np.nan)

        return hours.means(read)

    cpu, wall = whole(CLOCKS["cpu"]), whole(CLOCKS["wall"])
    if not wall:
        return missing("round", "Time per round", "None of these runs has columns of phases.")
    every = {clock: np.concatenate(list(each.values())) for clock, each in (("cpu", cpu), ("wall", wall)) if each}
    tops = {clock: top_of(values) for clock, values in every.items()}
    series = [
        replace(item, values_cpu=cpu.get(index)) for index, item in zip(wall, lines(names, wall, "ms"), strict=True)
    ]
    return Chart(
        "round",
        "Time per round",
        f"All phases together. {hours.note}",
        _HOURS,
        TIME,
        hours.start_h,
        series,
        sync=SYNC,
        height=HEIGHT,
        tops={clock: Top(tops[clock], said_of(values, tops[clock], "ms")) for clock, values in every.items()},
    )
