"""What was compiled in this process, and how long it took: kept apart from everything that is measured.

Whoever measures a loop asks for the time that was spent compiling meanwhile to be charged elsewhere (`charged`).
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Final, NamedTuple


class Compilation(NamedTuple):
    """A kernel that was compiled: its name, and wall and CPU seconds."""

    name: str
    wall_s: float
    cpu_s: float


Charge = Callable[[str], AbstractContextManager[object]]
"""Returns, for the name of a kernel, what is to be held open while it is compiled."""


class Account:
    """The compilations of a process. Kernels that one kernel calls are compiled with it and count as part of it."""

    def __init__(self) -> None:
        self.compilations: list[Compilation] = []
        self._charges: list[Charge] = []
        self._depth = 0

    @property
    def wall_s(self) -> float:
        """Wall seconds in all."""
        return sum(each.wall_s for each in self.compilations)

    @contextmanager
    def compiling(self, name: str) -> Iterator[None]:
        """Measure what is compiled within."""
        self._depth += 1
        outermost = self._depth == 1
        began_s, began_cpu_s = time.perf_counter(), time.process_time()
        try:
            with self._charges[-1](name) if outermost and self._charges else nullcontext():
                yield
        finally:
            self._depth -= 1
            if outermost:
                spent_s, spent_cpu_s = time.perf_counter() - began_s, time.process_time() - began_cpu_s
                self.compilations.append(Compilation(name, spent_s, spent_cpu_s))

    @contextmanager
    def charged(self, charge: Charge) -> Iterator[None]:
        """Hold ``charge(name)`` open whenever a kernel is compiled within; the innermost of several counts."""
        self._charges.append(charge)
        try:
            yield
        finally:
            self._charges.pop()


ACCOUNT: Final = Account()
"""That of this process."""
