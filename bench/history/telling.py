"""A history in words, as JSON, and as what its page is made of."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from phasewise.bench.history.measurements import Kept
from phasewise.bench.history.series import Point, Series, Step

_SHORT: Final = 12  # digits of a commit


def machine_line(kept: Kept) -> str:
    """Return what the machine is."""
    machine = kept.machine
    return f"{machine['cpu']}, {machine['cores']} cores, {machine['system']}, {machine['python']}"


def lines(kept: Kept, series: Sequence[Series], false_alarms: float) -> Iterator[str]:
    """Yield the steps of all series, latest first, and what there is of the others."""
    commits = {point.commit for each in series for point in each.points}
    yield (
        f"{machine_line(kept)}: {len(kept.measurements)} measurements of {len({(s.kind, s.case) for s in series})} "
        f"cases at {len(commits)} commits"
    )
    if kept.broken:
        yield f"{kept.broken} lines are no measurements and were left out"
    steps = [(each, step) for each in series for step in each.steps]
    for each, step in sorted(steps, key=lambda pair: -pair[0].points[pair[1].at].committed_s):
        yield _step_line(each, step)
    rate = f"the probability that this list has a step where there is none is at most {false_alarms:.0%}"
    yield f"{len(steps)} steps; {rate}" if steps else f"no steps; {rate}"


def _step_line(series: Series, step: Step) -> str:
    point, before = series.points[step.at], series.points[step.at - 1]
    text = (
        f"{series.kind} {series.case}: {step.ratio:.3f} at {point.commit[:_SHORT]} {point.subject} "
        f"(the one before that was measured: {before.commit[:_SHORT]})"
    )
    if step.versions:
        text += f"; other versions: {', '.join(step.versions)}"
    if step.counters:
        text += f"; other work: {', '.join(step.counters)}"
    return text


def figures(kept: Kept, series: Sequence[Series], false_alarms: float) -> dict[str, Any]:
    """Return all that the page and ``--json`` say, ready for JSON."""
    return {
        "machine": dict(kept.machine),
        "measurements": len(kept.measurements),
        "broken_lines": kept.broken,
        "false_alarms": false_alarms,
        "series": [_series(each) for each in series],
    }


def _series(series: Series) -> dict[str, Any]:
    return {
        "kind": str(series.kind),
        "case": series.case,
        "base": series.base,
        "points": [
            {**_point(point), "level": math.exp(level)}
            for point, level in zip(series.points, series.levels, strict=True)
        ],
        "steps": [_step(series, step) for step in series.steps],
    }


def _point(point: Point) -> dict[str, Any]:
    return {
        "commit": point.commit,
        "committed_s": point.committed_s,
        "subject": point.subject,
        "ratio": math.exp(point.log),
        "low": math.exp(point.low),
        "high": math.exp(point.high),
        "cpu_ms": point.cpu_ms,
        "measurements": point.measurements,
    }


def _step(series: Series, step: Step) -> Mapping[str, Any]:
    point, before = series.points[step.at], series.points[step.at - 1]
    return {
        "at": step.at,
        "ratio": step.ratio,
        "commit": point.commit,
        "subject": point.subject,
        "after": before.commit,
        "versions": list(step.versions),
        "counters": list(step.counters),
    }
