"""Two sets of sampled stacks as one flame graph, coloured by what changed, and a table of the functions that moved."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, NamedTuple

from phasewise.profiling.errors import SamplingError
from phasewise.profiling.stack_changes import (
    FunctionChange,
    Movement,
    PlaceChange,
    StackChanges,
    TimeChange,
    stack_changes,
)
from phasewise.profiling.stacks import read_folded
from phasewise.reports.flame import LEAST, STACKS
from phasewise.reports.quantities import count, number

FEWEST_ROWS: Final = 8  # of the table: where fewer functions moved, the largest changes that are noise follow
ROUND, RUN = "a round", "the sampled run"
_SIGNS: Final = {Movement.SLOWER: 1, Movement.FASTER: -1, Movement.NOISE: 0}


class FunctionRow(NamedTuple):
    """A row of the table: CPU milliseconds of a function in itself."""

    name: str
    module: str
    before_ms: float
    after_ms: float
    change_ms: float
    low_ms: float | None
    high_ms: float | None
    movement: Movement


@dataclass(frozen=True, slots=True)
class FlameChanges:
    """What a page needs of the comparison of two sets of stacks, or the sentence that says why there is none.

    Attributes
    ----------
    key, names
        What the two are called: the key is unique on the page, the names are those of before and after.
    sentence
        Which functions moved most.
    note
        What was compared with what, and how sure the verdicts are.
    rows
        The functions that moved, the largest change first, then noise.
    tree
        ``[frame, before_ms, after_ms, low_ms, high_ms, sign, [children]]``, the root with frame -1; the interval is
        null where there were too few samples; the sign is 1 where slower, -1 where faster, 0 where that is noise.
    common
        By which factor after is taken to be slower throughout.
    """

    key: str
    names: tuple[str, str]
    absent: str = ""
    sentence: str = ""
    note: str = ""
    rows: Sequence[FunctionRow] = ()
    tree: list[Any] = field(default_factory=list)
    frames: Sequence[str] = ()
    common: float = 1.0

    def payload(self) -> dict[str, Any]:
        """Return what the page's script draws, as JSON-ready values."""
        return {"tree": self.tree, "frames": list(self.frames), "names": list(self.names), "common": self.common}

    @property
    def cells(self) -> Sequence[Sequence[object]]:
        """Return the table for a file: a head, then a row a function."""
        before, after = self.names
        head = ["function", "module", f"{before} (ms)", f"{after} (ms)", "change (ms)", "low", "high", "verdict"]
        return [head, *(list(row) for row in self.rows)]

    def as_json(self) -> dict[str, Any]:
        """Return the table as plain values; ``absent`` says why it is empty."""
        fields = FunctionRow._fields
        return {
            "absent": self.absent,
            "common": self.common,
            "functions": [dict(zip(fields, [*row[:-1], str(row.movement)], strict=True)) for row in self.rows],
        }


def has_stacks(folder: Path) -> bool:
    """Return whether call stacks were sampled in a run directory."""
    return (folder / STACKS).is_file()


def changes_between(base: Path, run: Path, names: tuple[str, str]) -> FlameChanges:
    """Return how the sampled stacks of a run directory differ from those of another.

    What all functions have in common is taken out, as the runs were made at different times.
    """
    try:
        before, after = (read_folded(folder / STACKS) for folder in (base, run))
        if (before.times == 1) != (after.times == 1):
            older = names[0] if before.times == 1 else names[1]
            return FlameChanges(names[1], names, absent=f"{older} was sampled without its rounds: profile it again.")
        changes = stack_changes([before], [after], shared_factor=True)
    except SamplingError as error:
        return FlameChanges(names[1], names, absent=f"{error}.")
    return drawn(changes, names, names[1], ROUND if before.times > 1 else RUN)


def drawn(changes: StackChanges, names: tuple[str, str], key: str, unit: str) -> FlameChanges:
    """Return the comparison as a page shows it; ``unit`` says what the times are for, as in "a round"."""
    moved = changes.moved
    shown = changes.functions[: max(FEWEST_ROWS, len(moved))]
    return FlameChanges(
        key=key,
        names=names,
        sentence=_sentence(moved, unit),
        note=_note(changes, names, unit),
        rows=[_row(each) for each in shown],
        tree=_plain(changes.root, changes.root.whole),
        frames=changes.frames,
        common=changes.common,
    )


def three_most(changes: StackChanges) -> list[str]:
    """Return a line for each of the three functions that moved most."""
    return [_told(each) for each in changes.moved[:3]]


def _sentence(moved: Sequence[FunctionChange], unit: str) -> str:
    if not moved:
        return "No function moved for certain"
    rest = f", and {len(moved) - 3} more" if len(moved) > 3 else ""
    return f"CPU time of {unit} that moved: {'; '.join(_told(each) for each in moved[:3])}{rest}"


def _told(function: FunctionChange) -> str:
    row = _row(function)
    interval = "" if row.low_ms is None else f" ({number(row.low_ms)} to {number(row.high_ms)})"
    return f"{row.name} in {row.module} {row.change_ms:+.3g} ms{interval}"


def _note(changes: StackChanges, names: tuple[str, str], unit: str) -> str:
    before, after = names
    ticks = [count(each) for each in changes.samples]
    shared = (
        f" Of {after}, ×{number(changes.common)} is taken out, the median of the ratios of all functions that matter: "
        "a busy machine slows all."
        if changes.common != 1.0
        else ""
    )
    return (
        f"CPU time of {unit} by function, in itself and in nothing that it called: {ticks[0]} samples of {before}, "
        f"{ticks[1]} of {after}.{shared} Intervals hold for all functions together: where nothing changed, the "
        f"probability that anything is named is at most {1.0 - changes.level:.0%}."
    )


def _row(function: FunctionChange) -> FunctionRow:
    module, _, name = function.name.rpartition(":")
    own = function.own
    low, change, high = own.change_s or (None, own.after_s - own.before_s, None)
    milli = [None if value is None else 1e3 * value for value in (low, high)]
    return FunctionRow(
        name, module, 1e3 * own.before_s, 1e3 * own.after_s, 1e3 * change, milli[0], milli[1], own.movement
    )


def _plain(place: PlaceChange, root: TimeChange) -> list[Any]:
    kept = [
        each
        for each in place.below
        if each.whole.before_s >= LEAST * root.before_s or each.whole.after_s >= LEAST * root.after_s
    ]
    kept.sort(key=lambda each: -max(each.whole.before_s, each.whole.after_s))
    whole = place.whole
    ends = (whole.change_s.low, whole.change_s.high) if whole.change_s else (None, None)
    times = [None if value is None else float(f"{1e3 * value:.5g}") for value in (whole.before_s, whole.after_s, *ends)]
    return [place.frame, *times, _SIGNS[whole.movement], [_plain(each, root) for each in kept]]
