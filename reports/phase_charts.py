"""The time of a round by phase, over the run: CPU and wall, of one run or of several on one scale."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import numpy as np

from phasewise.reports import figures, palette
from phasewise.reports.charts import Axis, Chart, Series, Top, binned, missing
from phasewise.reports.clipping import said_of, top_of
from phasewise.reports.columns import ColumnTable
from phasewise.reports.figures import Bins, Floats
from phasewise.reports.run_directory import Run

CLOCKS: Final[Mapping[str, str]] = {"cpu": "cpu_", "wall": ""}  # as the page calls them, and in names of columns
TIME: Final = Axis("Time per round (ms)", low=0.0)
MOST_BINS, LEAST_BINS = 300, 60  # of one chart; several runs share the first
_ROOM: Final = 1.06  # above the largest value


def time_per_round(
    rounds: ColumnTable, bins: Bins, prefix: str, tops: Mapping[str, float | None] | None = None
) -> Chart:
    """Return the stacked time of a round by phase, over the run, CPU and wall.

    Parameters
    ----------
    tops
        Where the axis ends by clock, for charts on one scale; None: where this run's own values ask for it.
    """
    key, title = f"{prefix}time", "Time per round, by phase"
    layers = {clock: _layers(rounds, bins, column) for clock, column in CLOCKS.items()}
    if not layers["wall"] or not len(rounds):
        return missing(key, title, "The table of rounds has no phase columns or no rows.")
    totals = {clock: total(each.values()) for clock, each in layers.items() if each}
    ends = tops or {clock: top_of(values) for clock, values in totals.items()}
    series = [
        Series(name, palette.phase_colour(name), wall, "ms", "area", values_cpu=layers["cpu"].get(name))
        for name, wall in layers["wall"].items()
    ]
    return Chart(
        key,
        title,
        f"{binned(bins)} Exclusive time, so the layers add up to the round. Drag to zoom, double-click to return.",
        Axis("Round"),
        TIME,
        bins.first(rounds.numbers("round")),
        series,
        stacked=True,
        sync=f"{prefix}rounds",
        height=340,
        tops={clock: Top(ends.get(clock), said_of(each, ends.get(clock), "ms")) for clock, each in totals.items()},
    )


def several(runs: Sequence[Run], names: Sequence[str], height: int) -> list[Chart]:
    """Return the same of each run, on one scale, so that equal heights mean equal times."""
    most = max(LEAST_BINS, MOST_BINS // max(1, len(runs)))
    bins = [figures.bins_of(len(run.rounds), most) for run in runs]
    tops: dict[str, float | None] = {}
    for clock, column in CLOCKS.items():
        each = [total(_layers(run.rounds, own, column).values()) for run, own in zip(runs, bins, strict=True)]
        every = np.concatenate(each)
        tops[clock] = top_of(every) or _ROOM * float(every.max(initial=0.0)) or None
    return [
        time_per_round(run.rounds, own, f"r{index}-", tops).named(f"Time per round, by phase: {name}", height)
        for index, (run, own, name) in enumerate(zip(runs, bins, names, strict=True))
    ]


def _layers(rounds: ColumnTable, bins: Bins, clock: str) -> dict[str, Floats]:
    """Return (B,) milliseconds a round by phase; none where the table has no such columns or no rows."""
    columns = {name: figures.phase_column(name, clock) for name in figures.phase_names(rounds)}
    if not len(rounds):
        return {}
    return {name: 1e3 * bins.mean(rounds.numbers(column)) for name, column in columns.items() if column in rounds}


def total(layers: Iterable[Floats]) -> Floats:
    """Return (B,) the sums of layers, values that do not exist left out; (0,) where there is no layer."""
    known = [np.nan_to_num(layer) for layer in layers]
    return np.asarray(np.sum(known, axis=0)) if known else np.empty(0)
