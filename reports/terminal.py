"""Runs on a terminal: the summary after a run, and the comparison of several. Plain text where there is no terminal."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from rich import box
from rich.console import Console
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from phasewise.reports.figures import OTHER, PhaseRow, phase_rows
from phasewise.reports.losses import Loss, losses
from phasewise.reports.quantities import (
    ABSENT,
    JCT,
    MAKESPAN,
    MEMORY,
    PER_ROUND,
    PHASE_TOTAL,
    RUN_TIME,
    SPEED,
    WAIT,
    count,
    number,
    percent,
)
from phasewise.reports.run_directory import Run, Summary
from phasewise.reports.worth import doubts, drift_text

if TYPE_CHECKING:  # what compares runs takes a tenth of the start of a run, which compares nothing
    from phasewise.reports.changes import Change
    from phasewise.reports.compare import Comparison, Difference, Row
    from phasewise.reports.flame_changes import FlameChanges

_GROUP = " "  # a plain space: terminals have no narrow one
_LEAST_BAR, _MOST_BAR = 6, 24  # cells
_EIGHTHS = " ▏▎▍▌▋▊▉█"
_ASCII = str.maketrans(
    {
        "·": "-",
        "µ": "u",
        "–": "-",
        "×": "x",
        "─": "-",
        "█": "#",
        **dict.fromkeys("▏▎▍▌", " "),
        **dict.fromkeys("▋▊▉", "#"),
    }
)
_MOST_LETTERS = 26  # of a phase's name: a plug-in may name one at any length
_STATUS_STYLE = {
    "complete": "green",
    "overloaded": "yellow",
    "stopped": "yellow",
    "failed": "red",
    "interrupted": "red",
}
# Nearest terminal colours of the page's palette.
_PHASE_STYLE = {
    "lp_solve": "#d55e00",
    "lp_build": "#e69f00",
    "worker_assignment": "#2f8fd0",
    "event_completion": "#009e73",
    "policy": "#56b4e9",
    "telemetry": "#e6d32e",
    "priorities": "#cc79a7",
    OTHER: "bright_black",
}


def render_summary(run: Run | Summary, console: Console) -> None:
    """Print the figures of a run and its phase table, fitting 80 columns."""
    drawn(console, lambda target: _print_summary(run, target))


def render_comparison(comparison: Comparison, console: Console) -> None:
    """Print runs side by side: what differs, metrics, phases, solver statistics."""
    drawn(console, lambda target: _print_comparison(comparison, target))


def drawn(console: Console, draw: Callable[[Console], None]) -> None:
    """Draw on the console; in plain ASCII where its encoding has nothing else."""
    if "utf" in console.encoding.lower():
        draw(console)
        return

    canvas = Console(file=io.StringIO(), width=console.width, color_system=None)
    with canvas.capture() as captured:
        draw(canvas)
    text = captured.get().translate(_ASCII).encode("ascii", "replace").decode("ascii")
    console.print(text, markup=False, highlight=False, end="", crop=False, soft_wrap=True)


def say(console: Console, text: str) -> None:
    """Print a line of markup."""
    console.print(text.rstrip(), highlight=False, soft_wrap=True)


def _print_summary(run: Run | Summary, console: Console) -> None:
    summary = run.summary if isinstance(run, Run) else run
    if isinstance(run, Run):
        style = _STATUS_STYLE[run.status]
        say(console, f"[bold]{escape(run.scenario_name)}[/]  [{style}]{run.status}[/]  {_setup(run)}")
        console.print()
    console.print(_facts(summary, isinstance(run, Run) and run.status == "overloaded"))
    told = doubts(run.status if isinstance(run, Run) else None, summary)
    lost = losses(summary)
    if lost or told:
        console.print(_left_out(told, lost))
    console.print()
    rows = phase_rows(summary)
    if not rows:
        say(console, "No phases were recorded: there is no phase table.")
        return
    console.print(_phase_table(rows, summary, console.width))
    if summary.phase_coverage is not None:
        coverage = percent(summary.phase_coverage, group=_GROUP)
        say(console, f"[dim]Exclusive times. Named phases cover {coverage} of the loop's wall time.[/]")


def _setup(run: Run) -> str:
    names = (str(run.section(key).get("name", "")) for key in ("policy", "solver", "placement"))
    return f"[dim]{escape(' · '.join(name for name in names if name))}[/]"


def _facts(summary: Summary, lower_bound: bool) -> Table:
    """Return the key figures in two columns of name and value."""
    left, right = _costs_of_running(summary), _outcome(summary, lower_bound)
    if summary.follows_nodes:
        more_left, more_right = _node_facts(summary)
        left, right = left + more_left, right + more_right
    if summary.cost is not None or summary.slo_misses is not None:
        left = [*left, ("cost", number(summary.cost, group=_GROUP))]
        right = [*right, ("SLOs missed", "–" if summary.slo_misses is None else count(summary.slo_misses, _GROUP))]
    if summary.jain_users is not None or summary.jain_vcs is not None:
        left = [*left, ("Jain over users", number(summary.jain_users, group=_GROUP))]
        right = [*right, ("Jain over vcs", number(summary.jain_vcs, group=_GROUP))]
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    for style in ("dim", "bold", "dim", "bold"):
        table.add_column(style=style, no_wrap=True, min_width=18 if style == "dim" else 16)
    for one, other in zip(left, right, strict=True):
        table.add_row(*one, *other)
    return table


def _costs_of_running(summary: Summary) -> list[tuple[str, str]]:
    """Return what the run took, and what its jobs waited for: the left column."""
    slowdown = summary.slowdown
    mean_slowdown, p99_slowdown = (None, None) if slowdown is None else (slowdown.mean, slowdown.p99)
    kept = percent(summary.kept_models, group=_GROUP)
    reused = "" if summary.kept_models is None else f", {kept} reused"
    return [
        ("rounds", count(summary.rounds, _GROUP)),
        ("rounds per CPU s", SPEED.text(summary.rounds_per_cpu_s, _GROUP)),
        ("CPU, wall", f"{RUN_TIME(summary.cpu_s, _GROUP)}, {RUN_TIME(summary.wall_s, _GROUP)}"),
        ("LP solves", count(summary.lp_solves, _GROUP) + reused),
        ("allocations", count(summary.allocations, _GROUP)),
        ("peak memory", MEMORY(summary.peak_rss_mib, _GROUP)),
        ("queue p50, p95", f"{WAIT(summary.queue_s_p50, _GROUP)}, {WAIT(summary.queue_s_p95, _GROUP)}"),
        ("goodput", percent(summary.goodput, group=_GROUP)),
        ("offered load", percent(summary.offered_load, group=_GROUP)),
        ("slowdown mean, p99", f"{number(mean_slowdown, group=_GROUP)}, {number(p99_slowdown, group=_GROUP)}"),
    ]


def _outcome(summary: Summary, lower_bound: bool) -> list[tuple[str, str]]:
    """Return what became of the jobs: the right column."""
    extended = percent(summary.lease_extension_rate, group=_GROUP)
    bound = " (lower bound)" if lower_bound else ""
    failed = f", {count(summary.jobs_failed, _GROUP)} failed" if summary.jobs_failed else ""
    return [
        ("jobs completed", count(summary.jobs_completed, _GROUP) + failed),
        ("average JCT", JCT(summary.avg_jct_s, _GROUP) + (bound if summary.avg_jct_s is not None else "")),
        ("JCT p50, p95", f"{JCT(summary.jct_s_p50, _GROUP)}, {JCT(summary.jct_s_p95, _GROUP)}"),
        ("makespan", MAKESPAN(summary.makespan_s, _GROUP)),
        ("utilisation", percent(summary.utilization, group=_GROUP)),
        ("moves, leases kept", f"{count(summary.moves, _GROUP)}, {extended}"),
        *_fairness(summary),
        ("drift", drift_text(summary.drift)),
        (
            "Jain, restarts",
            f"{number(summary.jain, group=_GROUP)}, {number(summary.restarts_per_job, group=_GROUP)} per job",
        ),
    ]


def _fairness(summary: Summary) -> list[tuple[str, str]]:
    """Return finish-time fairness."""
    rho = summary.rho
    mean, p99, worst = (None, None, None) if rho is None else (rho.mean, rho.p99, rho.worst)
    above = None if rho is None else rho.share_above_1
    return [
        ("rho mean, p99", f"{number(mean, group=_GROUP)}, {number(p99, group=_GROUP)}"),
        ("rho worst, above 1", f"{number(worst, group=_GROUP)}, {percent(above, group=_GROUP)}"),
    ]


def _left_out(told: Sequence[str], lost: Sequence[Loss]) -> Table:
    """Return a row for each reason to doubt the mean, and for each kind of jobs that are not in it, with an example."""
    table = Table(box=None, show_header=False, padding=(0, 1), pad_edge=False)
    table.add_column(style="dim", no_wrap=True, min_width=18)
    table.add_column(style="yellow", overflow="fold")
    for doubt in told:
        table.add_row("beware", Text(doubt))
    for loss in lost:
        example = f"; for example {loss.example}" if loss.example else ""
        table.add_row(f"jobs {loss.verb}", Text(f"{loss.share}, in no completion time{example}"))
    return table


def _node_facts(summary: Summary) -> tuple[list[tuple[str, str]], list[tuple[str, str]]]:
    """Return what the nodes of the cluster came to, means over rounds, for the left and for the right column."""

    def mean(value: float | None) -> str:
        return number(value, group=_GROUP)

    useless = f"{mean(summary.fragmented_gpus_mean)}, {percent(summary.frag_rate_mean, group=_GROUP)} of idle"
    left = [
        ("idle GPUs, mean", mean(summary.unallocated_gpus_mean)),
        ("nodes used, mean", mean(summary.occupied_nodes_mean)),
    ]
    return left, [("fragmented, mean", useless), ("unplaced, mean", f"{mean(summary.unplaced_mean)} jobs")]


def _phase_table(rows: Sequence[PhaseRow], summary: Summary, width: int) -> Table:
    """Return the phase table; its bars take what the figures leave of ``width`` columns."""
    wall = sum(row.wall_s for row in rows)
    cpu = sum(row.cpu_s for row in rows if row.cpu_s is not None)
    a_round = cpu / summary.rounds if summary.rounds else None
    figures = [(row.cpu_s, row.cpu_round_s, row.wall_s, row.calls) for row in rows] + [(cpu, a_round, wall, None)]
    cells = [
        (
            PHASE_TOTAL.text(cpu_s, _GROUP),
            PER_ROUND.text(round_s, _GROUP),
            PHASE_TOTAL.text(wall_s, _GROUP),
            count(calls, _GROUP),
        )
        for cpu_s, round_s, wall_s, calls in figures
    ]
    heads = (f"CPU {PHASE_TOTAL.unit}", f"{PER_ROUND.unit}/round", f"wall {PHASE_TOTAL.unit}", "calls")
    taken = sum(max(map(len, column)) + 2 for column in zip(heads, *cells, strict=True))
    taken += max(len(_clipped(row.name)) for row in rows) + 2
    bar = max(_LEAST_BAR, min(_MOST_BAR, width - taken - len(" 99.9 %")))
    table = ruled("phase")
    table.add_column("share of CPU time", no_wrap=True, width=bar + len(" 99.9 %"))
    for head in heads:
        table.add_column(head, justify="right", no_wrap=True)
    largest = max(row.share or 0.0 for row in rows) or 1.0
    for row, texts in zip(rows, cells, strict=False):
        share = Text(_bar((row.share or 0.0) / largest, bar), style=_PHASE_STYLE.get(row.name, "default"))
        share.append(f" {percent(row.share, group=_GROUP):>6}", style="default")
        table.add_row(Text(_clipped(row.name)), share, *texts)
    table.add_section()
    table.add_row("loop", "", *cells[-1][:3], "", style="bold")
    return table


def _clipped(name: str) -> str:
    return name if len(name) <= _MOST_LETTERS else f"{name[: _MOST_LETTERS - 3]}..."


def ruled(first: str) -> Table:
    """Return an empty table with a rule under its head and two spaces between columns."""
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, padding=(0, 0, 0, 1), show_edge=False, header_style="dim")
    table.add_column(first, no_wrap=True)
    return table


def _bar(fraction: float, cells: int) -> str:
    """Return a bar of at most ``cells`` cells, in eighths of a cell, padded."""
    full, rest = divmod(round(fraction * cells * 8), 8)
    return ("█" * full + (_EIGHTHS[rest] if rest else "")).ljust(cells)


def _print_comparison(comparison: Comparison, console: Console) -> None:
    for index, (name, status) in enumerate(zip(comparison.names, comparison.statuses, strict=True)):
        say(console, f"[bold]{_letter(index)}[/]  {escape(name)}  [{_STATUS_STYLE[status]}]{status}[/]")
    for caution in comparison.cautions:
        say(console, f"[yellow]! {escape(caution)}[/]")
    console.print()
    differing = [*comparison.scenario, *comparison.environment]
    if differing:
        console.print(_difference_table(differing))
        console.print()
    groups = _groups(len(comparison.names), console.width)
    for title, rows in (
        ("metric", comparison.metrics),
        ("phase, CPU time per round", comparison.cpu_ms),
        ("phase, wall time per round", comparison.wall_ms),
        ("phase, share of CPU time", comparison.shares),
        ("solver", comparison.solver),
    ):
        for group in groups if rows else ():
            console.print(_side_by_side(title, rows, group))
            console.print()
    for change in comparison.changes:
        _print_change(change, comparison, console)
    for item in comparison.functions:
        _print_functions(item, comparison, console)
    for index, reasons in enumerate(comparison.rebuilds):
        told = ", ".join(f"{count(times, _GROUP)} {reason}" for reason, times in reasons.items())
        say(console, f"{_letter(index)}  models built: {told or 'none'}")


def _print_change(change: Change, comparison: Comparison, console: Console) -> None:
    """Print by phase how much more CPU time a run took than the first, with intervals, and which phase it was."""
    letter = _letter(comparison.names.index(change.run))
    table = ruled(f"{letter} against A, CPU time".ljust(26))
    for head in ("A ms", f"{letter} ms", f"{letter}/A", "95 % interval", "more, ms"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in change.rows:
        ratio = row.ratio
        table.add_row(
            Text("a round" if row is change.whole else _clipped(row.name)),
            number(row.base_ms, group=_GROUP),
            number(row.ms, group=_GROUP),
            ABSENT if ratio is None else f"×{number(ratio.estimate, group=_GROUP)}",
            ABSENT if ratio is None else f"{number(ratio.low, group=_GROUP)} to {number(ratio.high, group=_GROUP)}",
            number(row.difference_ms.estimate, group=_GROUP),
            "moved" if row in change.movers else "",
            style="bold" if row is change.whole else "",
        )
    console.print(table)
    say(console, f"[bold]{letter}[/]  {escape(change.verdict)}")
    how = "pairs of stretches of rounds" if change.paired else "stretches of rounds, the runs apart"
    say(console, f"[dim]Bootstrap over {change.stretches} {how}. It does not cover variation between runs: repeat")
    say(console, "[dim]both runs, in turn, before you rely on a small difference.")
    console.print()


def _print_functions(item: FlameChanges, comparison: Comparison, console: Console) -> None:
    """Print the functions whose CPU time moved from the first run to another, as far as call stacks were sampled."""
    letter = _letter(comparison.names.index(item.key))
    if item.absent:
        say(console, f"[bold]{letter}[/]  functions: {escape(item.absent)}")
        console.print()
        return
    table = ruled(f"{letter} against A, by function")
    for head in ("A ms", f"{letter} ms", "more, ms", "interval"):
        table.add_column(head, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    for row in item.rows:
        interval = (
            ABSENT if row.low_ms is None else " to ".join(number(e, group=_GROUP) for e in (row.low_ms, row.high_ms))
        )
        times = (number(each, group=_GROUP) for each in (row.before_ms, row.after_ms, row.change_ms))
        table.add_row(Text(f"{row.name} in {row.module}", overflow="ellipsis"), *times, interval, str(row.movement))
    console.print(table)
    say(console, f"[bold]{letter}[/]  {escape(item.sentence)}")
    say(console, f"[dim]{escape(item.note)}")
    console.print()


def _letter(index: int) -> str:
    return chr(ord("A") + index) if index < 26 else f"#{index + 1}"


def _difference_table(rows: Sequence[Difference]) -> Table:

    table = ruled("differs")
    for index in range(len(rows[0].values)):
        table.add_column(_letter(index), overflow="fold")
    for row in rows:
        table.add_row(Text(row.key), *(Text(ABSENT if value is None else str(value)) for value in row.values))
    return table


def _groups(runs: int, width: int) -> list[Sequence[int]]:
    """Return the runs beside the first, in as many groups as ``width`` columns ask for."""
    each = max(1, (width - 42) // 19)  # label, unit and first run; then value and ratio of each further one
    return [range(start, min(start + each, runs)) for start in range(1, runs, each)]


def _side_by_side(title: str, rows: Sequence[Row], group: Sequence[int]) -> Table:
    table = ruled(title.ljust(26))
    table.add_column("", style="dim", no_wrap=True, min_width=3)
    table.add_column(_letter(0), justify="right", no_wrap=True)
    for index in group:
        table.add_column(_letter(index), justify="right", no_wrap=True)
        table.add_column(f"{_letter(index)}/A", justify="right", no_wrap=True, style="dim")
    for row in rows:
        cells = [row.shown(0, _GROUP)]
        for index in group:
            ratio = row.ratios[index]
            cells += [
                row.shown(index, _GROUP),
                "" if ratio is None else f"×{number(ratio, group=_GROUP)}",
            ]
        table.add_row(Text(_clipped(row.label)), row.unit, *cells, style="bold" if row.label == "total" else "")
    return table
