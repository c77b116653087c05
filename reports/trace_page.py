"""What a trace holds, as one page with pictures: arrivals and demand by day, GPU time by whose and what it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.reports import page, trace_text

WIDTH: Final = 720.0  # of a picture, in its own units
HEIGHT: Final = 140.0
MOST_BARS: Final = 180  # days are added up to so many bars
MOST_ROWS: Final = 20
WHOLE_FROM: Final = 1000.0  # from here on heights are told without decimals


class Bar(NamedTuple):
    """A bar of a picture, in its units, and what it says."""

    x: float
    y: float
    width: float
    height: float
    title: str


class Picture(NamedTuple):
    """Bars over days.

    Attributes
    ----------
    unit
        What the bars' heights are.
    ticks
        Heights with a label.
    line_y
        Where a level is drawn (the capacity), None where there is none.
    rows
        The same for a file: a head, then a row a bar.
    """

    title: str
    note: str
    bars: list[Bar]
    unit: str
    ticks: Sequence[tuple[float, str]]
    days: str
    line_y: float | None = None
    rows: Sequence[Sequence[object]] = ()


class Table(NamedTuple):
    """GPU time by groups."""

    title: str
    rows: list[Mapping[str, Any]]
    more: int


def write_page(figures: Mapping[str, Any], path: Path) -> None:
    """Write the page of a trace's figures, as `phasewise trace describe --json` has them.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    text = page.plain(
        "trace.html",
        figures=figures,
        lines=list(trace_text.lines(figures)),
        pictures=pictures(figures),
        tables=tables(figures),
        width=WIDTH,
        height=HEIGHT,
    )
    write_atomically(path, text.encode())


def pictures(figures: Mapping[str, Any]) -> list[Picture]:
    """Return the pictures over days: arrivals, and the demand of each GPU type and of all together."""
    found = [over_days("Arrivals", "jobs a day", figures["arrivals"]["by_day"])]
    for name, row in figures["demand"].items():
        title = "Demand" if name == "all" else f"Demand, GPU type {name}"
        note = "GPUs requested if every job ran at once, daily mean"
        if row["capacity_gpus"]:
            note += f"; the line is the capacity, {row['capacity_gpus']:,} GPUs"
        found.append(over_days(title, note, row["gpus_by_day"], row["capacity_gpus"]))
    return found


def over_days(title: str, note: str, values: Sequence[float], level: float | None = None) -> Picture:
    """Return a picture of a value for each day; of many days, neighbours share a bar with their mean."""
    days = len(values)
    each = max(1, -(-days // MOST_BARS))
    means = [sum(part) / len(part) for part in (values[at : at + each] for at in range(0, days, each))]
    top = max([*means, level or 0.0, 1e-9])
    step = WIDTH / max(1, len(means))
    bars = [
        Bar(
            index * step,
            HEIGHT * (1.0 - mean / top),
            max(0.5, step - 1.0),
            HEIGHT * mean / top,
            _named(index, each, mean),
        )
        for index, mean in enumerate(means)
    ]
    line_y = None if level is None else HEIGHT * (1.0 - level / top)
    unit = note.partition(";")[0]
    rows: list[Sequence[object]] = [["first day", "days", unit]]
    rows += [[index * each, min(each, days - index * each), mean] for index, mean in enumerate(means)]
    ticks = [(HEIGHT * (1.0 - part), short(part * top)) for part in (0.0, 0.5, 1.0)]
    return Picture(title, note, bars, unit, ticks, f"{days:,} days", line_y, rows)


def _named(index: int, each: int, mean: float) -> str:
    day = index * each
    span = f"day {day}" if each == 1 else f"days {day} to {day + each - 1}"
    return f"{span}: {short(mean)}"


def short(value: float) -> str:
    """Return a height in words: four digits, or all of a larger whole number, and never an exponent."""
    return f"{value:,.0f}" if value >= WHOLE_FROM else f"{value:,.4g}"


def tables(figures: Mapping[str, Any]) -> list[Table]:
    """Return GPU time by size, state and so on, the largest groups of each."""
    found = []
    for name, words in trace_text.GROUPS.items():
        rows = figures["gpu_time_by"][name]
        largest = sorted(rows, key=lambda row: -row["gpu_s"])[:MOST_ROWS]
        found.append(Table(f"GPU time by {words}", [row for row in rows if row in largest], len(rows) - len(largest)))
    return found
