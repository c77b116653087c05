"""What is published about a scale: figures with their origin, as `docs/reports/data/SCALE.json` keeps them.

Everything here is measured elsewhere and read here; what follows from it (what-if, exponents, who wins where) is
computed when a page is made, so that a page never disagrees with its figures.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import OutputError
from phasewise.reports.errors import ReportWriteError, RunDirectoryError

SCHEMA = 1


class Figure(msgspec.Struct, frozen=True, array_like=True):
    """An estimate between the ends of its 95 % interval."""

    low: float
    estimate: float
    high: float


class Origin(msgspec.Struct, frozen=True):
    """What made a figure.

    Attributes
    ----------
    command
        As a shell takes it.
    n
        How many of what were measured, in words.
    interval
        How the intervals were made, in words.
    commit, dirty
        Of the checkout; None where there was none.
    machine
        Processor, cores, Python and system, in words.
    cpu_s
        What measuring took.
    """

    command: str
    n: str
    interval: str
    commit: str | None
    dirty: bool | None
    machine: str
    cpu_s: float


class PhaseCost(msgspec.Struct, frozen=True):
    """One phase of a run: share of the loop's CPU time (of 1), CPU and wall milliseconds a round."""

    name: str
    share: Figure
    cpu_ms: Figure
    wall_ms: float


class Memory(msgspec.Struct, frozen=True):
    """Resident memory (MiB) at rounds of a run, and the share by which it grew from round 1,000 on.

    Attributes
    ----------
    peaks_mib
        Of all runs, ascending; the curve is that of the median one. Empty where only that one is known.
    added_mib
        What resident memory grew by within each phase of a further run, from the first round to the last.
    """

    round: list[int]
    rss_mib: list[float]
    peak_mib: float
    growth: float | None
    peaks_mib: list[float] = []
    added_mib: dict[str, float] = {}


class Runs(msgspec.Struct, frozen=True):
    """The built-in scenario, run several times."""

    origin: Origin
    setup: str
    gpus: int
    rounds: int
    active: float
    lp_solves: int
    rounds_per_cpu_s: Figure
    round_ms: Figure
    phases: list[PhaseCost]
    memory: Memory


class Size(msgspec.Struct, frozen=True):
    """One size of the growth study: CPU milliseconds a round by phase, ``all`` included."""

    times: float
    gpus: int
    jobs: float
    rounds: int
    peak_mib: float
    cost_ms: dict[str, Figure]


class Growth(msgspec.Struct, frozen=True):
    """The same scenario at several sizes, ascending."""

    origin: Origin
    scenario: str
    sizes: list[Size]


class Checked(msgspec.Struct, frozen=True):
    """A what-if that was checked: what rounds with a dear phase predict of those without, and what was measured.

    Attributes
    ----------
    phase, times
        Which was made dear, and how many times its own time it took then.
    scenario
        The command of the runs.
    share
        Of the phase in the dear rounds.
    predicted, measured
        How many times faster a run gets where the phase takes its own time.
    holds
        Whether the two intervals have a figure in common.
    """

    origin: Origin
    phase: str
    times: float
    scenario: str
    share: Figure
    predicted: Figure
    measured: Figure
    holds: bool


class SolverCost(msgspec.Struct, frozen=True):
    """A backend on the tape: CPU milliseconds a problem.

    Attributes
    ----------
    problems
        How many it was given, the first of its session not counted.
    slower
        Its time over that of the first backend of the table on the same problems; None for that one.
    worst_gap
        Largest certified relative gap, None without a bound.
    solved_by
        Problems by the backend that solved them.
    """

    solver: str
    problems: int
    build_ms: Figure
    solve_ms: Figure
    total_ms: Figure
    total_ms_p95: float
    iterations: float | None
    rebuilds: dict[str, int]
    worst_gap: float | None
    worst_violation: float | None
    exact: bool
    failures: int
    solved_by: dict[str, int]
    slower: Figure | None = None


class Replay(msgspec.Struct, frozen=True):
    """The backends on one tape, the quickest exact one first.

    Attributes
    ----------
    left_out
        Why a backend has no row, by its name.
    """

    origin: Origin
    tape: str
    jobs: float
    types: int
    nonzeros: float
    rows: list[SolverCost]
    left_out: dict[str, str] = {}


class AutoPoint(msgspec.Struct, frozen=True):
    """A point of the table of `auto`: CPU milliseconds a problem by backend.

    Attributes
    ----------
    measured_ms
        The same of the backends that matter there, measured again for these pages.
    slower
        Their times over that of the backend that the table has first, on the same problems.
    """

    family: str
    linear: bool
    gangs: bool
    jobs: int
    types: int
    cpu_ms: dict[str, float]
    measured_ms: dict[str, Figure] = {}
    slower: dict[str, Figure] = {}


class Auto(msgspec.Struct, frozen=True):
    """The table of `auto`, and the rule by which it leaves one backend for another.

    Attributes
    ----------
    origin
        Of the figures with intervals, or of the table where there are none.
    table
        What the table was made with, in words.
    """

    origin: Origin
    points: list[AutoPoint]
    advantage: float
    patience: int
    table: str = ""


class HotLine(msgspec.Struct, frozen=True):
    """A line of the program: its share (of 1) of the time of all lines that were watched, callees left out."""

    file: str
    line: int
    function: str
    source: str
    hits: int
    time_ms: float
    share: float


class Profiles(msgspec.Struct, frozen=True):
    """Files for reading, relative to the pages, and the lines that took most."""

    origin: Origin
    flame: str
    lines: str
    trace: str
    rounds: int
    hot: list[HotLine]


class Publication(msgspec.Struct, frozen=True):
    """All that is published about a scale; None where a part was not measured.

    Attributes
    ----------
    absent
        Why a part is not, by its name.
    """

    scale: str
    title: str
    schema: int = SCHEMA
    runs: Runs | None = None
    growth: Growth | None = None
    replay: Replay | None = None
    auto: Auto | None = None
    profiles: Profiles | None = None
    check: Checked | None = None
    absent: dict[str, str] = {}


def load_publication(path: Path) -> Publication:
    """Return the publication kept in the file ``path``; raise `RunDirectoryError` where it is none of this schema."""
    try:
        text = path.read_bytes()
        schema = msgspec.json.decode(text, type=dict[str, Any]).get("schema")
        if schema == SCHEMA:
            return msgspec.json.decode(text, type=Publication)
    except OSError as error:
        raise RunDirectoryError(f"{path}: cannot be read: {error.strerror}; make reports makes it") from error
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunDirectoryError(f"{path}: is no publication of schema {SCHEMA}: {error}") from error
    raise RunDirectoryError(f"{path}: schema {schema!r}; this version reads schema {SCHEMA}")


def save_publication(publication: Publication, path: Path) -> None:
    """Write the publication to the file ``path``, five significant figures each; raises `ReportWriteError`."""
    plain = _rounded(msgspec.to_builtins(publication))
    text = msgspec.json.format(msgspec.json.encode(plain), indent=1)
    write_page(path, text)


def write_page(path: Path, content: bytes) -> None:
    """Write a file whole or not at all, its folder made first; raise `ReportWriteError` where that fails."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content)
    except (OSError, OutputError) as error:
        raise ReportWriteError(f"{path}: cannot be written: {error}") from error


def _rounded(value: Any) -> Any:
    if isinstance(value, float):
        return float(f"{value:.5g}")
    if isinstance(value, dict):
        return {key: _rounded(item) for key, item in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_rounded(item) for item in value]
    return value
