"""What a round costs over the number of active jobs, by phase."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from phasewise.reports import figures
from phasewise.reports.charts import Axis
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.model import Figure, Floats, Panel, Series
from phasewise.reports.figure_files.sources import Sources
from phasewise.reports.palette import phase_colour
from phasewise.reports.run_directory import Run

NAME: Final = "round-cost"
MOST_BINS: Final = 12
LEAST_ROUNDS: Final = 5  # of a point: a mean of fewer says more of one round than of the size
MOST_PANELS: Final = 6
_ALL: Final = "all phases"


def round_cost(sources: Sources) -> Figure:
    """Return mean CPU time a round over active jobs, by phase: a panel a policy, solver and placement.

    The rounds of all runs of a panel are gathered by their active jobs, in bins of equal ratio. Means, since they add
    up and a phase that few rounds enter has its part.

    Raises
    ------
    FigureError
        Where no run has rounds with a cost, or there are too many panels to read.
    """
    panels = [_panel(title, runs) for title, runs in _by_method(sources).items()]
    panels = [panel for panel in panels if panel.series]
    if not panels:
        raise FigureError(f"{NAME}: no run has {LEAST_ROUNDS} rounds with active jobs and CPU times by phase")
    if len(panels) > MOST_PANELS:
        raise FigureError(f"{NAME}: {len(panels)} panels, one a policy, solver and placement; at most {MOST_PANELS}")
    note = (
        f"Means over the rounds of a bin of active jobs, {LEAST_ROUNDS} rounds at least; exclusive times, which add up."
    )
    return Figure(NAME, "Cost of a round over active jobs", panels, [note])


def _by_method(sources: Sources) -> dict[str, list[Run]]:
    """Return the runs by policy, solver and placement."""
    runs = [run for group in sources.run_groups() for run in group.runs]
    if not runs:
        raise FigureError(f"{NAME}: none of the points of the study has a run directory yet")
    found: dict[str, list[Run]] = {}
    for run in runs:
        words = [str(run.section(name).get("name") or "") for name in ("policy", "solver", "placement")]
        found.setdefault(", ".join(filter(None, words)), []).append(run)
    return found


def _panel(title: str, runs: Sequence[Run]) -> Panel:
    phases = figures.phase_names(runs[0].rounds)
    active = np.concatenate([run.rounds.numbers("active") for run in runs])
    bins = _bins(active)
    x = np.array([active[rows].mean() for rows in bins])
    n = np.array([float(len(rows)) for rows in bins])
    total = np.zeros(len(bins))
    series = []
    for phase in phases:
        column = figures.phase_column(phase, "cpu_")
        cost = np.concatenate([_cost_ms(run, column) for run in runs])
        y = np.array([cost[rows].mean() for rows in bins])
        if np.isfinite(y).any() and np.nansum(y) > 0:
            total += np.nan_to_num(y)
            series.append(Series(phase, x, np.where(y > 0, y, np.nan), phase_colour(phase), "points", n=n))
    if series:
        series.insert(0, Series(_ALL, x, total, "ink", "points", n=n))
    return Panel(title, title, Axis("Active jobs", log=True), Axis("CPU time per round (ms)", log=True), series)


def _cost_ms(run: Run, column: str) -> Floats:
    return 1e3 * run.rounds.numbers(column) if column in run.rounds else np.full(len(run.rounds), np.nan)


def _bins(active: Floats) -> list[np.ndarray]:
    """Return the rows of each bin of active jobs that holds enough of them."""
    positive = active[active > 0]
    if not len(positive):
        return []
    edges = figures.log_edges(positive, MOST_BINS)
    at = np.digitize(active, edges) - 1
    rows = [np.flatnonzero((at == index) & (active > 0)) for index in range(MOST_BINS)]
    return [of for of in rows if len(of) >= LEAST_ROUNDS]
