"""Utilisation, queue and active jobs over simulated time."""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.reports.charts import Axis
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.model import Figure, Floats, Panel, Series
from phasewise.reports.figure_files.sources import Sources, few_enough
from phasewise.reports.figure_files.totals import one_seed_note
from phasewise.reports.figures import bins_of
from phasewise.reports.palette import cycle_colour
from phasewise.reports.run_directory import Run

MOST_POINTS: Final = 200  # a line: what a column of print resolves
_HOUR_S: Final = 3600.0
_SHOWN: Final = (
    ("utilization", "GPUs in use (%)", 100.0, 100.0),
    ("queued", "Jobs waiting", 1.0, None),
    ("active", "Jobs in the system", 1.0, None),
)


def usage(sources: Sources) -> Figure:
    """Return utilisation, waiting and active jobs of runs over simulated time, as means over bins of rounds."""
    groups = sources.run_groups(one_seed=True)
    few_enough(groups, "usage")
    runs = [group.runs[0] for group in groups]
    for run in runs:
        if not len(run.rounds):
            raise FigureError(f"usage: {run.path} has no rounds")
    panels = []
    for column, title, each, high in _SHOWN:
        series = []
        for index, (group, run) in enumerate(zip(groups, runs, strict=True)):
            x, y = over_time(run, column)
            series.append(Series(group.label, x, y * each, cycle_colour(index), keys=group.keys))
        panels.append(Panel(column, "", Axis("Simulated time (h)", low=0.0), Axis(title, low=0.0, high=high), series))
    note = f"Means over at most {MOST_POINTS} stretches of a run, each round weighted by how long it took."
    return Figure("usage", "Use of the cluster over time", panels, [note, *one_seed_note(sources)])


def over_time(run: Run, column: str) -> tuple[Floats, Floats]:
    """Return (B,) where bins of a run's rounds begin, in hours, and the means of a column over simulated time."""
    rounds = run.rounds
    start, values = rounds.numbers("sim_time_s"), rounds.numbers(column)
    bins = bins_of(len(rounds), MOST_POINTS)
    weight = lengths_s(run)
    known = np.isfinite(values) & (weight > 0)
    total = np.add.reduceat(np.where(known, values * weight, 0.0), bins.starts)
    time = np.add.reduceat(np.where(known, weight, 0.0), bins.starts)
    return start[bins.starts] / _HOUR_S, np.divide(total, time, out=np.full(len(total), np.nan), where=time > 0)


def lengths_s(run: Run) -> Floats:
    """Return (R,) how long each round took, waits within it included; from start to start where no end is known."""
    start, end = run.rounds.numbers("sim_time_s"), run.rounds.numbers("end_s")
    if np.isnan(end).any():
        last = run.summary.sim_time_s
        end = np.append(start[1:], start[-1] if last is None else max(last, start[-1]))
    length = end - start
    if len(length) and length[-1] <= 0:
        length[-1] = np.median(length)
    return np.asarray(length, dtype=np.float64)
