"""Groups of runs on a terminal: a table a point, with means, intervals, and what each differs by from the first."""

from __future__ import annotations

from itertools import groupby

from rich.console import Console
from rich.markup import escape
from rich.text import Text

from phasewise.reports.groups import Group, Grouped, Mean
from phasewise.reports.quantities import ABSENT, Quantity
from phasewise.reports.terminal import drawn, ruled, say

_GROUP = " "


def render_groups(found: Grouped, console: Console) -> None:
    """Print runs by groups: cautions, then the groups of each point side by side in rows."""
    drawn(console, lambda target: _print(found, target))


def _print(found: Grouped, console: Console) -> None:
    for caution in found.cautions:
        say(console, f"[yellow]! {escape(caution)}[/]")
    for point, groups in groupby(found.groups, key=lambda group: dict(group.point)):
        if point:
            console.print()
            say(console, f"[bold]{escape(', '.join(f'{name} = {value}' for name, value in point.items()))}[/]")
        _print_point(list(groups), console)
    say(
        console,
        "[dim]Means over seeds, 95 % intervals (Student); differences are paired by seed, against the first group.[/]",
    )


def _print_point(groups: list[Group], console: Console) -> None:
    """Print the groups of one point: a block of rows a figure."""
    table = ruled("figure")
    table.add_column("", style="dim", no_wrap=True)
    table.add_column("group", no_wrap=True)
    for head in ("runs", "mean", "95 % interval", "difference", "95 % interval"):
        table.add_column(head, justify="right", no_wrap=True)
    for figures in zip(*(group.figures for group in groups), strict=True):
        for group, figure in zip(groups, figures, strict=True):
            first = group is groups[0]
            table.add_row(
                Text(figure.label if first else ""),
                figure.quantity.unit if first else "",
                Text(f"{group.name}{' !' if group.partial else ''}"),
                str(len(figure.over_seeds.values)),
                *_cells(figure.over_seeds, figure.quantity),
                *(("", "") if figure.difference is None else _cells(figure.difference, figure.quantity)),
            )
    console.print(table)


def _cells(over: Mean, quantity: Quantity) -> tuple[str, str]:
    """Return a mean and its interval as they are printed."""
    if over.interval is None:
        return quantity.shown(over.mean, _GROUP), ABSENT
    low, high = (quantity.shown(end, _GROUP) for end in (over.interval.low, over.interval.high))
    return quantity.shown(over.mean, _GROUP), f"{low} to {high}"
