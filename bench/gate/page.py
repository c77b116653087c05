"""The page of the gate: its table, and of each case that became slower the functions that moved."""

from __future__ import annotations

from pathlib import Path

from phasewise.bench.gate.counts import Counts
from phasewise.bench.gate.outcome import counts_sentence, exit_code, render
from phasewise.bench.gate.places import Place
from phasewise.bench.gate.record import Found
from phasewise.profiling.environment import describe_environment
from phasewise.reports.flame_changes import FlameChanges, drawn
from phasewise.reports.gate_page import CountCell, GatePage, GateRow, write_page

_SIDES = ("base", "head")


def write_gate_page(found: Found, path: Path) -> None:
    """Write the page on what a run of the gate found; raises `ReportWriteError` where it cannot be written."""
    *_, sentence = render(found.cases, found.base)
    rows = [
        GateRow(
            name := case.measured.case.name,
            *case.ratio,
            str(case.verdict),
            [str(change.name) for change in case.changes],
            _counted(found.counts, name),
        )
        for case in found.cases
    ]
    environment = describe_environment()
    shown = GatePage(
        title=f"The gate, against {found.base[:12]}",
        verdict=exit_code(found.cases, found.counts).name.lower().replace("_", " "),
        sentence=sentence,
        machine=f"{environment['cpu']}, {environment['cores']} cores, {environment['python']}",
        rows=rows,
        places=[_drawn(place) for place in found.places],
        counted_by=found.counts.tool if found.counts else "",
        counts=counts_sentence(found.counts, found.base) if found.counts else "",
    )
    write_page(shown, path)


def _counted(counts: Counts | None, name: str) -> CountCell | None:
    counted = counts.of(name) if counts else None
    if counted is None:
        return None
    return CountCell(counted.base, counted.head, f"{counted.ratio:.4f}", str(counted.verdict), counted.absent)


def _drawn(place: Place) -> FlameChanges:
    if place.changes is None:
        return FlameChanges(place.case, _SIDES, absent=f"{place.absent}.")
    return drawn(place.changes, _SIDES, place.case, "a walk")
