"""The comparison that `phasewise solve` prints."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from rich import box
from rich.table import Table

TIMES = ("build", "solve", "total")
COLUMNS = ("rounds", *TIMES, "p95", "iter", "rebuilds", "max gap", "max viol", "lost", "util", "unused", "fail")


def replay_table(tape: str, problems: int, figures: Iterable[Mapping[str, Any]]) -> Table:
    """Return a table of the figures of each solver, as `phasewise.solvers.replay.Record.summary` gives them."""
    title = f"{tape}: {problems} problems; CPU ms a round (median; p95 of the total)"
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 1))
    table.add_column("solver", overflow="fold", min_width=len("cvxpy-dpp:ECOS"))
    for column in COLUMNS:
        table.add_column(column, justify="left" if column == "rebuilds" else "right")
    for of in figures:
        table.add_row(
            of["solver"],
            str(of["rounds"]),
            *(_fixed(of[f"{name}_ms_median"]) for name in TIMES),
            _fixed(of["total_ms_p95"]),
            _fixed(of["iterations_median"], 0),
            ", ".join(f"{reason} {count}" for reason, count in of["rebuilds"].items()) or "none",
            _small(of["max_gap"]),
            _small(of["max_violation"]),
            _fixed(of["objective_lost_median"], 3),
            _fixed(of["utilization_median"], 3),
            _fixed(of["utilization_given_up_median"], 3),
            str(of["failures"]),
        )
    return table


def _fixed(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
