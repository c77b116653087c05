"""What py-spy and perf write, read: sampled stacks under names like our own, ``module:function``."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator
from itertools import groupby
from pathlib import PurePosixPath
from typing import Final

from phasewise.profiling.stacks import Folded

INTERPRETER: Final = "CPython:interpreter"
OURS: Final = ("sched", "solvers", "profiling", "reports", "bench")
_PY_SPY: Final = re.compile(r"^(?P<name>.+) \((?P<file>.+?)(?::\d+)?\)$")
_PERF: Final = re.compile(r"^\s+[0-9a-f]+ (?P<name>.+?)(?:\+0x[0-9a-f]+)? \((?P<file>.+)\)$")
_TRAMPOLINE: Final = re.compile(r"^py::(?P<name>[^:]+):(?P<file>.+)$")
_FROZEN: Final = re.compile(r"^<frozen (?P<module>.+)>$")

Stack = tuple[str, ...]


def folded_of_py_spy(text: str, below: str) -> Folded:
    """Return the stacks of py-spy's raw format below the functions of the module ``below``, a second a sample."""
    found: Counter[Stack] = Counter()
    for line in text.splitlines():
        names, _, samples = line.rpartition(" ")
        if not samples.isdigit():
            continue
        stack = [_of_py_spy(frame) for frame in names.split(";")]
        inside = [at for at, frame in enumerate(stack) if frame.startswith(f"{below}:")]
        if inside and stack[inside[-1] + 1 :]:
            found[tuple(stack[inside[-1] + 1 :])] += int(samples)
    return _folded(found)


def folded_of_perf(text: str) -> Folded:
    """Return the stacks of ``perf script -F tid,ip,sym,dso``; the interpreter's neighbouring frames are one."""
    found: Counter[Stack] = Counter()
    for sample in re.split(r"\n\s*\n", text):
        frames = [_of_perf(match) for line in sample.splitlines() if (match := _PERF.match(line))]
        if stack := tuple(_without_repeats(reversed(frames))):
            found[stack] += 1
    return _folded(found)


def _folded(found: Counter[Stack]) -> Folded:
    frames = sorted({frame for stack in found for frame in stack})
    place = {frame: index for index, frame in enumerate(frames)}
    seconds = [float(samples) for samples in found.values()]
    return Folded(
        samples=found.total(),
        frames=frames,
        stacks=[[place[frame] for frame in stack] for stack in found],
        cpu_s=seconds,
        wall_s=seconds,
        tick_s=1.0,
    )


def _of_py_spy(frame: str) -> str:
    match = _PY_SPY.match(frame)
    return f"?:{frame}" if match is None else _named(match["name"], match["file"])


def _of_perf(match: re.Match[str]) -> str:
    if python := _TRAMPOLINE.match(match["name"]):
        return _named(python["name"], python["file"])
    library = PurePosixPath(match["file"]).name
    if library.startswith(("python", "libpython")):
        return INTERPRETER
    return f"{library}:{match['name']}"


def _named(name: str, file: str) -> str:
    """Return a function under the name of its module, where its file is one of Python, and of its library otherwise."""
    if frozen := _FROZEN.match(file):
        return f"{frozen['module']}:{name}"
    path = PurePosixPath(file)
    if path.suffix != ".py":
        return f"{path.name}:{name}"
    parts = list(path.with_suffix("").parts)
    if "site-packages" in parts:
        parts = parts[len(parts) - parts[::-1].index("site-packages") :]
    ours = next((at for at, folder in enumerate(parts[:-1]) if folder in OURS), None)
    if ours is not None and (ours == 0 or parts[0] in ("/", "phasewise")):  # a checkout's folders lack the first name
        parts = ["phasewise", *parts[ours:]]
    return f"{'.'.join(part for part in parts if part not in ('/', '__init__'))}:{name}"


def _without_repeats(frames: Iterable[str]) -> Iterator[str]:
    """Yield frames, the interpreter's once where several follow one another."""
    for frame, group in groupby(frames):
        yield from [frame] if frame == INTERPRETER else group
