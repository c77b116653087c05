"""The comparison that `phasewise solve` prints."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from rich import box
from rich.console import Console
from rich.table import Table

Figures = Mapping[str, Any]
"""What one solver came to, as `phasewise.solvers.replay.Record.summary` gives it."""

_WIDE = Console(width=10_000, file=io.StringIO())  # what is measured on a narrow one is cut to it

_COST: Sequence[tuple[str, Callable[[Figures], str]]] = (
    ("rounds", lambda of: str(of["rounds"])),
    ("build", lambda of: _fixed(of["build_ms_median"])),
    ("solve", lambda of: _fixed(of["solve_ms_median"])),
    ("total", lambda of: _fixed(of["total_ms_median"])),
    ("p95", lambda of: _fixed(of["total_ms_p95"])),
    ("iter", lambda of: _fixed(of["iterations_median"], 0)),
)
_REBUILDS: Sequence[tuple[str, Callable[[Figures], str]]] = (
    ("rebuilds", lambda of: ", ".join(f"{reason} {count}" for reason, count in of["rebuilds"].items()) or "none"),
)
_ANSWERS: Sequence[tuple[str, Callable[[Figures], str]]] = (
    ("max gap", lambda of: _small(of["max_gap"])),
    ("max viol", lambda of: _small(of["max_violation"])),
    ("lost", lambda of: _fixed(of["objective_lost_median"], 3)),
    ("util", lambda of: _fixed(of["utilization_median"], 3)),
    ("unused", lambda of: _fixed(of["utilization_given_up_median"], 3)),
    ("fail", lambda of: str(of["failures"])),
)


def replay_tables(tape: str, problems: int, figures: Iterable[Figures], output: Console) -> list[Table]:
    """Return the figures of each solver as tables that fit ``output``: one, or two or three that share its columns.

    No column is left out and no figure cut; names and reasons break into several lines where they must.
    """
    title = f"{tape}: {problems} problems; CPU ms a round (median; p95 of the total)"
    answers, rebuilds = "the answers", "models built, by reason"
    listed = list(figures)
    tables: list[Table] = []
    for parts in (
        {title: (*_COST, *_REBUILDS, *_ANSWERS)},
        {title: _COST, answers: (*_ANSWERS, *_REBUILDS)},
        {title: _COST, answers: _ANSWERS, rebuilds: _REBUILDS},
    ):
        tables = [_table(name, columns, listed) for name, columns in parts.items()]
        if all(_WIDE.measure(table).minimum <= output.width for table in tables):
            break
    return tables


def _table(title: str, columns: Sequence[tuple[str, Callable[[Figures], str]]], figures: Sequence[Figures]) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE_HEAD, show_edge=False, padding=(0, 0, 0, 1))
    table.add_column("solver", overflow="fold", min_width=len("cvxpy-dpp:ECOS"))
    for name, _ in columns:
        if name == "rebuilds":
            table.add_column(name, overflow="fold", min_width=len("changed 12"))
        else:
            table.add_column(name, justify="right", no_wrap=True)
    for of in figures:
        table.add_row(of["solver"], *(cell(of) for _, cell in columns))
    return table


def _fixed(value: float | None, digits: int = 2) -> str:
    return "-" if value is None else f"{value:.{digits}f}"


def _small(value: float | None) -> str:
    return "-" if value is None else f"{value:.1e}"
