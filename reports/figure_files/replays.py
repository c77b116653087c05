"""Time of solving over the number of jobs, cold and warm, and how good the answers are, from replays of tapes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from phasewise.reports.charts import GAP_FLOOR, Axis
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.model import Figure, Panel, Series
from phasewise.reports.figure_files.sources import Sources, few_enough
from phasewise.reports.palette import cycle_colour

NAME: Final = "solve-time"
Records = Sequence[Mapping[str, Any]]


def solve_time(sources: Sources) -> Figure:
    """Return CPU time a problem over its jobs, a point a tape: warm (the median) and cold (the first).

    Raises
    ------
    FigureError
        Where a file does not say how many jobs its problems have.
    """
    records = [(name, record) for name, replay in sources.replays for record in replay]
    for name, record in records:
        if not _number(record, "jobs_median"):
            raise FigureError(
                f"{name}: its record of {record['solver']} has no jobs_median, over which {NAME} draws; "
                "`phasewise solve --json` writes it"
            )
    families = sorted({str(record.get("family") or "") for _, record in records})
    by_line: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for _, record in records:
        by_line.setdefault((str(record["solver"]), str(record.get("family") or "")), []).append(record)
    few_enough(by_line, NAME)
    time, quality = [], []
    for index, ((solver, family), of) in enumerate(by_line.items()):
        label = f"{solver}, {family}" if len(families) > 1 else solver
        colour = cycle_colour(index)
        time.append(_line(label, of, "total_ms_median", colour))
        if any(_number(record, "cold_ms") for record in of):
            time.append(_line(f"{label}, cold", of, "cold_ms", colour, faint=True))
        quality.append(_line(label, of, "max_gap", colour, floor=GAP_FLOOR))
    x_axis = Axis("Jobs in the problem (median of the tape)", log=True)
    return Figure(
        NAME,
        "Time of solving over the number of jobs",
        [
            Panel("time", "", x_axis, Axis("CPU time per problem (ms)", log=True), time),
            Panel("gap", "", x_axis, Axis("Worst certified gap", log=True), quality),
        ],
        [
            "CPU time of building and solving: the median over a tape, whose session is warm; cold: its first problem.",
            f"A gap of 0 is drawn at {GAP_FLOOR:g}.",
            *([f"Problems: {families[0]}."] if families != [""] and len(families) == 1 else []),
        ],
    )


def _line(label: str, records: Records, key: str, colour: str, *, faint: bool = False, floor: float = 0.0) -> Series:
    """Return a figure of a solver over the size of its problems; tapes without it are left out."""
    points = sorted(
        (float(record["jobs_median"]), max(floor, float(record[key])), float(record.get("rounds") or 0))
        for record in records
        if isinstance(record.get(key), int | float)
    )
    x, y, n = np.array(points).reshape(-1, 3).T
    return Series(label, x, y, colour, "points", n=n, faint=faint)


def _number(record: Mapping[str, Any], key: str) -> float | None:
    value = record.get(key)
    return float(value) if isinstance(value, int | float) and value > 0 else None
