"""What the gate says in the end: a table, what differs, and the exit code."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from enum import IntEnum

import numpy as np

from phasewise.bench.gate.counts import Counts
from phasewise.bench.gate.measure import Judged
from phasewise.bench.gate.places import Place
from phasewise.bench.gate.verdict import CounterChange, Verdict


class GateExit(IntEnum):
    """What the shell is told."""

    PASSED = 0
    SLOWER = 1
    NOT_COMPARABLE = 2


def exit_code(cases: Sequence[Judged], counts: Counts | None = None) -> GateExit:
    """Return the code: slower where a case is, whatever the others are; otherwise not comparable where one is not.

    A case is slower by its clock and counters, or by its instructions. Instructions that could not be counted change
    nothing.
    """
    verdicts = {case.verdict for case in cases}
    counted = {case.verdict for case in counts.cases} if counts else set()
    if Verdict.SLOWER in verdicts | counted:
        return GateExit.SLOWER
    if not cases or verdicts & {Verdict.DIFFERENT, Verdict.UNDECIDED}:
        return GateExit.NOT_COMPARABLE
    return GateExit.PASSED


def render(cases: Sequence[Judged], commit: str) -> Iterator[str]:
    """Yield the lines of the table and the sentence that ends it."""
    width = max(len(case.measured.case.name) for case in cases)
    yield f"{'case':<{width}}  {'base ms':>8}  {'head/base':>9}  {'95 % interval':>15}  verdict"
    for case in cases:
        base_ms = 1e3 * float(np.median(case.measured.base_s))
        low, estimate, high = case.ratio
        yield (
            f"{case.measured.case.name:<{width}}  {base_ms:>8.1f}  {estimate:>9.3f}  "
            f"{f'{low:.3f} .. {high:.3f}':>15}  {case.verdict}"
        )
        for change in case.changes:
            yield f"{'':<{width}}  {_change(change)}"
    yield _sentence(exit_code(cases), commit)


def render_counts(counts: Counts, commit: str) -> Iterator[str]:
    """Yield the lines of the second verdict: a table and the sentence that ends it, or why it cannot be had."""
    if counts.absent:
        yield f"instructions are not counted: {counts.absent}"
        return
    width = max(len(case.case) for case in counts.cases)
    yield f"{'instructions, by ' + counts.tool:<{width}}  {'base':>14}  {'head/base':>9}  verdict"
    for case in counts.cases:
        if case.absent:
            yield f"{case.case:<{width}}  {'-':>14}  {'-':>9}  not known: {case.absent}"
        else:
            yield f"{case.case:<{width}}  {case.base:>14,}  {case.ratio:>9.4f}  {case.verdict}"
    yield counts_sentence(counts, commit)


def counts_sentence(counts: Counts, commit: str) -> str:
    """Return what follows from the counts."""
    if counts.absent:
        return f"instructions are not counted: {counts.absent}"
    verdicts = {case.verdict for case in counts.cases}
    if Verdict.SLOWER in verdicts:
        return f"more instructions than at {commit[:12]}: slower, whatever the clock says"
    known = sum(not case.absent for case in counts.cases)
    return f"no more instructions than at {commit[:12]}, in {known} of {len(counts.cases)} cases that are counted"


def render_places(places: Sequence[Place]) -> Iterator[str]:
    """Yield, of each case that became slower, the three functions that moved most."""
    from phasewise.reports.flame_changes import three_most

    for place in places:
        if place.changes is None:
            yield f"{place.case}: which functions moved is not known: {place.absent}"
            continue
        lines = three_most(place.changes)
        yield f"{place.case}: CPU time of a walk that moved{':' if lines else ': no function for certain'}"
        yield from (f"  {line}" for line in lines)


def _change(change: CounterChange) -> str:
    counts = " -> ".join("none" if count is None else f"{count:g}" for count in (change.base, change.head))
    return (
        f"counter {change.name}: {counts}: {'within its limit' if change.verdict is Verdict.SAME else change.verdict}"
    )


def _sentence(code: GateExit, commit: str) -> str:
    match code:
        case GateExit.PASSED:
            return f"passed: no case is slower than at {commit[:12]}"
        case GateExit.SLOWER:
            return f"slower than at {commit[:12]}: make it quick again, or move the base in bench/gate.toml and say why"
        case _:
            return (
                f"not comparable with {commit[:12]}: where the work has changed on purpose, move the base in "
                "bench/gate.toml and say why; where a case is undecided, the machine was too noisy: run it again"
            )
