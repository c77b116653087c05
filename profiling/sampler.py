"""Samples of the call stack at each tick of CPU time.

Imports nothing of this project: so the same sampler can look into another version of it.
"""

from __future__ import annotations

import signal
import statistics
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from types import CodeType, FrameType
from typing import Any, Final, TypeVar

Result = TypeVar("Result")
INTERVAL_S: Final = 0.001  # of CPU time; a system whose clock ticks more slowly gives fewer samples of more time each


def can_sample() -> bool:
    """Return whether this system has a timer of CPU time, and this is the thread that may take its signals."""
    return hasattr(signal, "setitimer") and threading.current_thread() is threading.main_thread()


@dataclass(slots=True)
class Sampler:
    """Takes a sample at each signal of the timer; what several calls give is added up."""

    interval_s: float = INTERVAL_S
    _root: FrameType | None = None  # below which a stack begins
    _ticks_s: list[float] = field(default_factory=list)
    _names: dict[int, str] = field(default_factory=dict)
    _kept: list[CodeType] = field(default_factory=list)  # alive, so that no other code gets its id
    _spent: dict[tuple[int, ...], list[float]] = field(default_factory=dict)
    _cpu_s: float = 0.0
    _wall_s: float = 0.0

    def run(self, call: Callable[[], Result]) -> Result:
        """Return what ``call`` returns; its stacks are kept. Only where `can_sample` says yes."""
        self._root = sys._getframe()  # noqa: SLF001  (the documented way to the running frame)
        before = signal.signal(signal.SIGPROF, self._take)
        signal.siginterrupt(signal.SIGPROF, False)  # a write of a library that does not expect it goes on
        self._cpu_s, self._wall_s = time.thread_time(), time.perf_counter()
        signal.setitimer(signal.ITIMER_PROF, self.interval_s, self.interval_s)
        try:
            return call()
        finally:
            signal.setitimer(signal.ITIMER_PROF, 0.0)
            signal.signal(signal.SIGPROF, before)
            self._root = None

    def _take(self, _number: int, frame: FrameType | None) -> None:
        if frame is not None and frame.f_code is Sampler._take.__code__:  # a signal while one is taken
            return
        cpu_s, wall_s = time.thread_time(), time.perf_counter()
        stack = []
        while frame is not None and frame is not self._root:
            code = frame.f_code
            if id(code) not in self._names:
                self._names[id(code)] = f"{frame.f_globals.get('__name__', '?')}:{code.co_qualname}"
                self._kept.append(code)
            stack.append(id(code))
            frame = frame.f_back
        if frame is None or not stack:  # outside the call: between it and the timer
            return
        self._ticks_s.append(cpu_s - self._cpu_s)
        total = self._spent.setdefault(tuple(reversed(stack)), [0.0, 0.0, 0.0])
        total[0] += cpu_s - self._cpu_s
        total[1] += wall_s - self._wall_s
        total[2] += (cpu_s - self._cpu_s) ** 2
        self._cpu_s, self._wall_s = time.thread_time(), time.perf_counter()  # what the sample took is nobody's

    def folded(self) -> dict[str, Any]:
        """Return the fields of `stacks.Folded`, equal stacks as one."""
        frames = sorted(set(self._names.values()))
        place = {name: index for index, name in enumerate(frames)}
        rows: dict[tuple[int, ...], list[float]] = {}
        for stack, spent in self._spent.items():
            total = rows.setdefault(tuple(place[self._names[code]] for code in stack), [0.0, 0.0, 0.0])
            total[:] = map(sum, zip(total, spent, strict=True))
        return {
            "samples": len(self._ticks_s),
            "frames": frames,
            "stacks": [list(stack) for stack in rows],
            "cpu_s": [round(cpu_s, 6) for cpu_s, _, _ in rows.values()],
            "wall_s": [round(wall_s, 6) for _, wall_s, _ in rows.values()],
            "squares_s2": [float(f"{squares_s2:.6g}") for _, _, squares_s2 in rows.values()],
            "tick_s": round(statistics.median(self._ticks_s), 6) if self._ticks_s else 0.0,
        }
