"""What a trace holds, as lines of text."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

DAY_S: Final = 86_400.0
HOUR_S: Final = 3_600.0
SHOWN: Final = 8  # groups of a grouping, days of demand
GROUPS: Final = {
    "size": "GPUs",
    "state": "final state",
    "user": "user",
    "vc": "virtual cluster",
    "class": "class",
    "type": "GPU type",
}


def lines(figures: Mapping[str, Any]) -> Iterator[str]:
    """Yield the figures of a trace, as `phasewise trace describe --json` has them, a line each."""
    arrivals, durations = figures["arrivals"], figures["duration_s"]
    if not figures["jobs"]:
        yield "no job is left to describe"
        return
    yield (
        f"arrivals: {arrivals['span_s'] / DAY_S:,.2f} days, {_told(arrivals['rate_per_hour'], '{:,.2f} an hour')}, "
        f"CV of the times between them {_told(arrivals['cv'], '{:.2f}')} (1 is Poisson)"
    )
    yield (
        f"gaps: longest {arrivals['longest_gap_s'] / HOUR_S:,.1f} h, {arrivals['gaps_of_a_day']:,} of a day or more, "
        f"{arrivals['days_without_arrivals']:,} days without an arrival"
    )
    yield (
        f"durations: mean {_told(durations['mean'], '{:,.0f}')} s, p50 {_told(durations['p50'], '{:,.0f}')} s, "
        f"p95 {_told(durations['p95'], '{:,.0f}')} s, longest {_told(durations['most'], '{:,.0f}')} s"
    )
    if missing := figures["jobs_without_duration"]:
        yield f"durations of {missing:,} jobs are not known: their steps are, and the table has no such row"
    yield f"GPU time: {figures['gpu_s'] / HOUR_S:,.1f} GPU hours"
    for name, words in GROUPS.items():
        rows = figures["gpu_time_by"][name]
        if [row["key"] for row in rows] != ["not recorded"]:
            yield from _group(words, rows)
    yield from _demand(figures["demand"])


def _told(value: float | None, form: str) -> str:
    return "-" if value is None else form.format(value)


def _group(words: str, rows: list[dict[str, Any]]) -> Iterator[str]:
    largest = sorted(rows, key=lambda row: -row["gpu_s"])[:SHOWN]
    shown = [row for row in rows if row in largest]
    more = f" (of {len(rows):,})" if len(rows) > len(shown) else ""
    yield f"GPU time by {words}{more}:"
    width = max((len(row["key"]) for row in shown), default=0)
    for row in shown:
        hours, jobs = row["gpu_s"] / HOUR_S, row["jobs"]
        yield f"  {row['key']:<{width}}  {hours:>14,.1f} GPU h  {row['share']:>6.1%}  {jobs:>10,} jobs"


def _demand(rows: Mapping[str, Mapping[str, Any]]) -> Iterator[str]:
    yield "demand, GPUs requested if every job ran at once, daily means:"
    width = max(len(name) for name in rows)
    for name, row in rows.items():
        line = f"  {name:<{width}}  mean {row['mean_gpus']:>10,.1f}  peak {row['peak_gpus']:>10,.1f}"
        if row["capacity_gpus"]:
            mean, peak = row["mean_over_capacity"], row["peak_over_capacity"]
            line += f"  {mean:.0%} of {row['capacity_gpus']:,} GPUs, peak {peak:.0%}"
            line += f", {row['days_over_capacity']:,} days over capacity"
        yield line
