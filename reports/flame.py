"""The flame graph of a run that was profiled: sampled stacks as one tree, small enough for a page."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from phasewise.profiling.errors import SamplingError
from phasewise.profiling.stacks import Folded, read_folded
from phasewise.reports import palette
from phasewise.reports.quantities import RUN_TIME, count

STACKS: Final = "stacks.json"
NATIVE: Final = "native.json"
LEAST: Final = 5e-4  # of the whole: what is narrower in both times is less than a pixel wide, and left out
NEVER: Final = "No call stacks were sampled: `phasewise profile` does that, `phasewise run` does not."
# Whose function it is: the first of these that its module begins with.
ROOMS: Final = (
    ("phasewise.sched", "simulation", palette.CYCLE[0]),
    ("phasewise.solvers", "solvers", palette.CYCLE[5]),
    ("phasewise.profiling", "profiling", palette.CYCLE[8]),
    ("numpy", "NumPy", palette.CYCLE[4]),
    ("scipy", "SciPy", palette.CYCLE[2]),
    ("highspy", "HiGHS", palette.CYCLE[7]),
    ("cvxpy", "CVXPY", palette.CYCLE[1]),
    ("pyarrow", "Arrow", palette.CYCLE[3]),
    ("", "other", palette.CYCLE[9]),
    (".so", "compiled libraries", palette.CYCLE[6]),  # by the end of the name, as `_LIBRARY` has it
)
_LIBRARY: Final = re.compile(r"\.so(\.\d+)*$")


@dataclass(frozen=True, slots=True)
class Flame:
    """What the page needs of a flame graph, or the sentence that says why there is none (``absent``).

    Attributes
    ----------
    tree
        ``[frame, cpu_ms, wall_ms, [children]]``, the root with frame -1; children with the most CPU time first.
    frames
        Names and, for each, the index of its room.
    """

    note: str = ""
    absent: str = ""
    tree: list[Any] = field(default_factory=list)
    frames: list[str] = field(default_factory=list)
    room_of: list[int] = field(default_factory=list)
    rooms: list[tuple[str, str]] = field(default_factory=list)

    def payload(self) -> dict[str, Any]:
        """Return what the page's script draws, as JSON-ready values."""
        return {"tree": self.tree, "frames": self.frames, "roomOf": self.room_of, "rooms": self.rooms}


def flame_of(folder: Path) -> Flame:
    """Return the flame graph of a run directory."""
    file = folder / STACKS
    return _flame(file, _note) if file.is_file() else Flame(absent=NEVER)


def native_flame_of(folder: Path) -> Flame | None:
    """Return the flame graph with native frames of a run directory, None where none were sampled."""
    file = folder / NATIVE
    return _flame(file, _native_note) if file.is_file() else None


def _flame(file: Path, note: Callable[[Folded], str]) -> Flame:
    try:
        folded = read_folded(file)
    except SamplingError as error:
        return Flame(absent=f"{error}.")
    if not folded.samples:
        return Flame(absent="No call stack was sampled: the profiled run was over before the first sample.")
    return _drawn(folded, note(folded))


def _note(folded: Folded) -> str:
    return (
        f"{count(folded.samples)} samples of one thread, {RUN_TIME(sum(folded.cpu_s))} of CPU and "
        f"{RUN_TIME(sum(folded.wall_s))} of wall time, of a run that was profiled: for reading, not for timing. The "
        "wider, the more time; below a function stand those that it called. Time in compiled code stands with the "
        "function that called it."
    )


def _native_note(folded: Folded) -> str:
    return (
        f"{count(folded.samples)} samples of one thread, taken from outside, compiled and native frames among them; "
        f"the width is a share of the {RUN_TIME(sum(folded.cpu_s))} of CPU time of that run."
    )


@dataclass(slots=True)
class _Node:
    """A frame below the same callers, with the time of all stacks through it."""

    cpu_s: float = 0.0
    wall_s: float = 0.0
    below: dict[int, _Node] = field(default_factory=dict)


def _drawn(folded: Folded, note: str) -> Flame:
    root = _Node()
    for stack, cpu_s, wall_s in zip(folded.stacks, folded.cpu_s, folded.wall_s, strict=True):
        node = root
        for frame in (None, *stack):
            node = node if frame is None else node.below.setdefault(frame, _Node())
            node.cpu_s += cpu_s
            node.wall_s += wall_s
    places = [_room(name) for name in folded.frames]
    used = sorted(set(places))
    return Flame(
        note=note,
        tree=_plain(root, -1, root),
        frames=folded.frames,
        room_of=[used.index(place) for place in places],
        rooms=[ROOMS[place][1:] for place in used],
    )


def _plain(node: _Node, frame: int, root: _Node) -> list[Any]:
    kept = [
        (index, each)
        for index, each in node.below.items()
        if each.cpu_s >= LEAST * root.cpu_s or each.wall_s >= LEAST * root.wall_s
    ]
    kept.sort(key=lambda item: -item[1].cpu_s)
    times = [float(f"{1e3 * seconds:.5g}") for seconds in (node.cpu_s, node.wall_s)]
    return [frame, *times, [_plain(each, index, root) for index, each in kept]]


def _room(name: str) -> int:
    if _LIBRARY.search(name.partition(":")[0]):
        return len(ROOMS) - 1
    return next(index for index, (begins, _, _) in enumerate(ROOMS) if name.startswith(begins))
