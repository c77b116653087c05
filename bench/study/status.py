"""How far a study is, for people and for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from phasewise.bench.study.costs import Costs
from phasewise.bench.study.folder import STATES, State


def status_record(name: str, states: Sequence[State]) -> dict[str, Any]:
    """Return what `phasewise study status --json` prints.

    ``study``, ``points`` (in all), ``done``, ``counts`` by state (each of `STATES` that a point is in), ``failed`` (a
    list of points with their ``overrides``, ``status`` and ``message``), ``cpu_s`` (of all attempts that ended),
    ``left_cpu_s`` (expected of the points that are not done; None where nothing is known).
    """
    return {
        "study": name,
        "points": len(states),
        "done": sum(state.done for state in states),
        "counts": counted(states),
        "failed": [_told(state) for state in states if state.status == "failed"],
        "cpu_s": sum(state.cpu_s or 0.0 for state in states),
        "left_cpu_s": left_cpu_s(states),
    }


def counted(states: Sequence[State]) -> dict[str, int]:
    """Return how many points are in each state, in the order of `STATES`, those that none is in left out."""
    counts = {status: sum(state.status == status for state in states) for status in STATES}
    return {status: count for status, count in counts.items() if count}


def left_cpu_s(states: Sequence[State]) -> float | None:
    """Return the CPU seconds that the points that are not done can be expected to take."""
    costs = Costs()
    for state in states:
        if state.done and state.cpu_s is not None:
            costs.note(state.point, state.cpu_s)
    return costs.left_s(state.point for state in states if not state.done)


def _told(state: State) -> dict[str, Any]:
    return {
        "point": state.point.name,
        "overrides": state.point.overrides,
        "status": state.status,
        "message": state.message,
    }


def sentence(record: dict[str, Any]) -> str:
    """Return one line on how far a study is."""
    counts = ", ".join(f"{count} {status}" for status, count in record["counts"].items())
    return f"{record['study']}: {record['done']} of {record['points']} points done ({counts}){left(record)}"


def left(record: dict[str, Any]) -> str:
    """Return what is left, in words; empty where nothing is, or nobody knows."""
    if record["done"] == record["points"] or record["left_cpu_s"] is None:
        return ""
    return f"; about {duration(record['left_cpu_s'])} of CPU time left"


def duration(seconds: float) -> str:
    """Return a time in words, to two figures or so."""
    if seconds < 90.0:
        return f"{seconds:.0f} s"
    if seconds < 5400.0:
        return f"{seconds / 60.0:.0f} min"
    return f"{seconds / 3600.0:.1f} h"
