"""The page of a run of the gate: verdicts, and where what became slower did so."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import OutputError
from phasewise.reports import page
from phasewise.reports.errors import ReportWriteError
from phasewise.reports.flame_changes import FlameChanges


class CountCell(NamedTuple):
    """The instructions of a case: of base and head, head over base in words, the verdict, or why they are not known."""

    base: int
    head: int
    ratio: str
    verdict: str
    absent: str


class GateRow(NamedTuple):
    """A case: CPU time of the head over that of the base with its interval, verdict, and the counters that differ.

    ``counted`` is None where its instructions were not counted.
    """

    case: str
    low: float
    estimate: float
    high: float
    verdict: str
    counters: Sequence[str]
    counted: CountCell | None = None


@dataclass(frozen=True, slots=True)
class GatePage:
    """What the page shows.

    Attributes
    ----------
    verdict, sentence
        Of the whole gate: in a word, and what follows from it.
    places
        Of each case that became slower, its name as the key.
    counted_by, counts
        What counted instructions, and the second verdict in a sentence; both empty where it was not asked for, the
        first also where nothing could count.
    """

    title: str
    verdict: str
    sentence: str
    machine: str
    rows: Sequence[GateRow]
    places: Sequence[FlameChanges]
    counted_by: str = ""
    counts: str = ""


def write_page(shown: GatePage, path: Path) -> None:
    """Write the page; raises `ReportWriteError` where it cannot be written."""
    content = page.rendered("gate.html", shown=shown, title=shown.title, payload=[])
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        write_atomically(path, content.encode())
    except (OSError, OutputError) as error:
        raise ReportWriteError(f"{path}: the page of the gate cannot be written: {error}") from error
