"""Call stacks of a callable, sampled by the CPU time of this thread, each with the CPU and the wall time up to it.

The system's timer of CPU time sends a signal; Python takes it between two instructions, so the time of a call into
compiled code stands with the function that made it. A sampled run is for reading, never for timing.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import CodeType, FrameType
from typing import Final, TypeVar

import msgspec

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import SamplingError

Result = TypeVar("Result")
INTERVAL_S: Final = 0.001  # of CPU time; a system whose clock ticks more slowly gives fewer samples of more time each


class Folded(msgspec.Struct, frozen=True, kw_only=True):
    """Sampled stacks, equal ones as one.

    Attributes
    ----------
    samples
        How many were taken.
    frames
        Functions, as ``module:name``.
    stacks
        Indices of frames, the outermost first, and of each stack in the same place:
    cpu_s, wall_s
        the seconds that passed up to its samples since those before.
    """

    samples: int
    frames: list[str]
    stacks: list[list[int]]
    cpu_s: list[float]
    wall_s: list[float]


def can_sample() -> bool:
    """Return whether this system has a timer of CPU time, and this is the thread that may take its signals."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


def sample_folded(call: Callable[[], Result], interval_s: float = INTERVAL_S) -> tuple[Result, Folded]:
    """Return what ``call`` returns, and the stacks that were seen below it.

    Raises
    ------
    SamplingError
        Where `can_sample` says no.
    """
    if not can_sample():
        raise SamplingError("call stacks cannot be sampled: this system, or this thread, has no timer of CPU time")
    sampler = _Sampler(sys._getframe())  # noqa: SLF001  (the documented way to the running frame)
    before = signal.signal(signal.SIGPROF, sampler.take)
    signal.siginterrupt(signal.SIGPROF, False)  # a write of a library that does not expect it goes on
    signal.setitimer(signal.ITIMER_PROF, interval_s, interval_s)
    try:
        result = call()
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0.0)
        signal.signal(signal.SIGPROF, before)
    return result, sampler.folded()


@dataclass(slots=True)
class _Sampler:
    """Takes a sample at each signal.

    Attributes
    ----------
    root
        The frame below which a stack begins.
    """

    root: FrameType
    samples: int = 0
    names: dict[int, str] = field(default_factory=dict)
    kept: list[CodeType] = field(default_factory=list)  # alive, so that no other code gets its id
    spent: dict[tuple[int, ...], list[float]] = field(default_factory=dict)
    cpu_s: float = field(default_factory=time.thread_time)
    wall_s: float = field(default_factory=time.perf_counter)

    def take(self, _number: int, frame: FrameType | None) -> None:
        cpu_s, wall_s = time.thread_time(), time.perf_counter()
        stack = []
        while frame is not None and frame is not self.root:
            code = frame.f_code
            if id(code) not in self.names:
                self.names[id(code)] = f"{frame.f_globals.get('__name__', '?')}:{code.co_qualname}"
                self.kept.append(code)
            stack.append(id(code))
            frame = frame.f_back
        if frame is None or not stack:  # outside the call: between it and the timer
            return
        self.samples += 1
        total = self.spent.setdefault(tuple(reversed(stack)), [0.0, 0.0])
        total[0] += cpu_s - self.cpu_s
        total[1] += wall_s - self.wall_s
        self.cpu_s, self.wall_s = time.thread_time(), time.perf_counter()  # what the sample took is nobody's

    def folded(self) -> Folded:
        frames = sorted(set(self.names.values()))
        place = {name: index for index, name in enumerate(frames)}
        rows: dict[tuple[int, ...], list[float]] = {}
        for stack, (cpu_s, wall_s) in self.spent.items():
            total = rows.setdefault(tuple(place[self.names[code]] for code in stack), [0.0, 0.0])
            total[0] += cpu_s
            total[1] += wall_s
        return Folded(
            samples=self.samples,
            frames=frames,
            stacks=[list(stack) for stack in rows],
            cpu_s=[round(cpu_s, 6) for cpu_s, _ in rows.values()],
            wall_s=[round(wall_s, 6) for _, wall_s in rows.values()],
        )


def write_folded(folded: Folded, path: Path | str) -> None:
    """Write stacks as JSON; raises `OutputError` where they cannot be written."""
    write_atomically(path, msgspec.json.encode(folded))


def read_folded(path: Path) -> Folded:
    """Return the stacks of a file.

    Raises
    ------
    SamplingError
        Where it cannot be read, or holds something else.
    """
    try:
        folded = msgspec.json.decode(path.read_bytes(), type=Folded)
    except (OSError, msgspec.MsgspecError) as error:
        raise SamplingError(f"{path}: the sampled call stacks cannot be read: {error}") from error
    rows, known = len(folded.stacks), range(len(folded.frames))
    if len(folded.cpu_s) != rows or len(folded.wall_s) != rows or any(i not in known for s in folded.stacks for i in s):
        raise SamplingError(f"{path}: the sampled call stacks do not fit together")
    return folded
