"""What splitting problems into parts gives up, over the time that it takes: quality over time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from phasewise.reports.charts import Axis
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.model import Figure, Panel, Series
from phasewise.reports.figure_files.sources import Sources, few_enough
from phasewise.reports.palette import cycle_colour

NAME: Final = "quality-over-time"
FLOOR: Final = 1e-10  # what is given up by less than that is nothing: answers are proven to 1e-9
NEEDED: Final = ("instance", "solver", "parts", "state", "cpu_ms", "quality")
Records = Sequence[Mapping[str, Any]]


def quality_over_time(sources: Sources) -> Figure:
    """Return what is missing of the optimum over CPU time, a point a number of parts, a panel an instance.

    Raises
    ------
    FigureError
        Where a record lacks a field.
    """
    records = [record for _, records in sources.splits for record in records]
    for name, of in sources.splits:
        missing = sorted({field for record in of for field in NEEDED if field not in record})
        if missing:
            raise FigureError(f"{name}: has records without {', '.join(missing)}, which {NAME} needs")
    solvers = list(dict.fromkeys(str(record["solver"]) for record in records))
    few_enough(solvers, NAME)
    panels = []
    for instance in dict.fromkeys(str(record["instance"]) for record in records):
        own = [record for record in records if record["instance"] == instance]
        series = [
            line
            for index, solver in enumerate(solvers)
            for state in ("cold", "warm")
            if (line := _line(solver, state, own, cycle_colour(index))) is not None
        ]
        x_axis = Axis("CPU time of all parts (ms)", log=True)
        panels.append(Panel(instance, instance, x_axis, Axis("Missing of the optimum", log=True), series))
    return Figure(
        NAME,
        "Quality over time: a problem whole and in parts",
        panels,
        [
            "A point a number of parts, 1 the whole; n is that number. CPU time of building and solving, all parts.",
            "Missing: 1 less the objective of all parts together over the bound proven for the whole.",
            f"Less than {FLOOR:g} is drawn there: answers are proven to 1e-9.",
        ],
    )


def _line(solver: str, state: str, records: Records, colour: str) -> Series | None:
    """Return a solver's points in the order of parts, None where there is none."""
    points = sorted(
        (int(record["parts"]), float(record["cpu_ms"]), max(FLOOR, 1.0 - float(record["quality"])))
        for record in records
        if record["solver"] == solver and record["state"] == state
    )
    if not points:
        return None
    parts, x, y = np.array(points).T
    return Series(f"{solver}, {state}", x, y, colour, "points", n=parts, faint=state == "warm")
