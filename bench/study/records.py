"""What a study keeps beside the runs: which points there are, and what became of the last attempt at each."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from phasewise.bench.study.definition import Kind
from phasewise.profiling.artefacts.sinks import write_atomically

PLAN: Final = "plan.json"
ATTEMPT: Final = "point.json"

Cause = Literal["", "memory", "cpu", "killed"]
"""Why an attempt was cut off from outside, if it was: by a limit, or nobody knows by whom."""


class Planned(msgspec.Struct, frozen=True, kw_only=True):
    """A point of the plan: its name, what tells it from the others, what it is."""

    point: str
    overrides: dict[str, Any]
    resolved: dict[str, Any]


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """`plan.json`: every point of the study, in the order of its grid."""

    name: str
    kind: Kind
    points: list[Planned]


class Attempt(msgspec.Struct, frozen=True, kw_only=True):
    """`point.json`: the last attempt at a point.

    Attributes
    ----------
    point
        Its name.
    rules
        `phasewise.sched.version.RULES` of the code that made it.
    status
        ``running``, or as in `run.json`.
    message
        Why it failed, or which rule stopped it.
    cause
        What cut it off from outside, if anything did.
    cpu_s, wall_s
        What it took in all, start and writing included.
    memory_mib, time_s
        Its limits of memory and CPU time; 0 without.
    attempts
        Which attempt it is, from 1.
    """

    point: str
    rules: int
    status: str
    message: str = ""
    cause: Cause = ""
    cpu_s: float | None = None
    wall_s: float | None = None
    peak_rss_mib: float | None = None
    memory_mib: float = 0.0
    time_s: float = 0.0
    attempts: int = 1


def write_attempt(run: Path, attempt: Attempt) -> None:
    """Write an attempt into the point's folder, whole or not at all; raises `OutputError`."""
    write_atomically(run / ATTEMPT, msgspec.json.format(msgspec.json.encode(attempt), indent=1) + b"\n")


def read_attempt(run: Path) -> Attempt | None:
    """Return the last attempt at a point; None where there was none that can be read."""
    try:
        return msgspec.json.decode((run / ATTEMPT).read_bytes(), type=Attempt)
    except (OSError, msgspec.MsgspecError):
        return None
