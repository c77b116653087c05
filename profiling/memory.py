"""Where memory goes in a round: what each phase adds and holds, exclusive and additive like the times; and its slope.

A `MemoryTimer` is a `PhaseTimer` that reads memory where the other reads clocks. That makes every phase several times
dearer, so it is for runs that are read and not timed.
"""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.profiling.environment import MIB, rss_mib
from phasewise.profiling.errors import SampleError
from phasewise.profiling.phases import ACCOUNTS, OTHER, Clock, PhaseProfile, PhaseTimer, Span
from phasewise.profiling.stats import Interval

BLOCKS: Final = 10  # stretches of rounds that a slope is fitted through; each longer than what is held back goes up

Floats = npt.NDArray[np.float64]


class Held(NamedTuple):
    """What a process holds: resident memory, what Python has allocated, and the most of that since it was last asked.

    All in bytes; the last two are 0 where `tracemalloc` is off.
    """

    resident: int
    traced: int = 0
    peak: int = 0


def held() -> Held:
    """Return what this process holds, and begin anew to look for the most."""
    resident = round(rss_mib() * MIB)
    if not tracemalloc.is_tracing():
        return Held(resident)
    traced, peak = tracemalloc.get_traced_memory()
    tracemalloc.reset_peak()
    return Held(resident, traced, peak)


@contextmanager
def traced() -> Iterator[None]:
    """Have `tracemalloc` count what Python allocates; where it does already, leave it be."""
    if tracemalloc.is_tracing():
        yield
        return
    tracemalloc.start()
    try:
        yield
    finally:
        tracemalloc.stop()


class MemoryRow(NamedTuple):
    """Memory of one round, by account in the order of `phasewise.profiling.phases.ACCOUNTS`, bytes.

    Attributes
    ----------
    resident, traced
        What the process held at the end of the round.
    grown, allocated
        What resident and traced memory became more by in each account; negative where it became less. Their sums over
        all rounds are what the run added.
    high
        The most traced memory in an account above what there was when it was entered.
    """

    resident: int
    traced: int
    grown: tuple[int, ...]
    allocated: tuple[int, ...]
    high: tuple[int, ...]


def _account_of(name: str) -> int:
    """Return the place of the phase ``name`` among `ACCOUNTS`; that of all others is ``"other"``."""
    return ACCOUNTS.index(name if name in ACCOUNTS else OTHER)


class MemoryTimer(PhaseTimer):
    """Measures memory by phase as well as time; the times are those of a run that is looked at, and no figures.

    Parameters
    ----------
    read
        Where memory is read; the process's own unless a test brings another.
    rounds
        For how many rounds there is room from the start: what is kept of a round must not look like a leak. With more,
        the room doubles. None keeps no rounds: each `take` tells what resident memory grew by, and that is all.
    """

    __slots__ = (
        "_allocated",
        "_current",
        "_grown",
        "_high",
        "_keeps",
        "_last",
        "_outer",
        "_read_memory",
        "_table",
        "_taken",
        "_watched",
    )

    def __init__(self, clock: Clock | None = None, read: Callable[[], Held] = held, rounds: int | None = 1024) -> None:
        super().__init__(clock)
        self._read_memory = read
        self._watched: dict[str, Span] = {}
        self._outer: list[int] = []
        self._current = 0
        self._keeps = rounds is not None
        self._table = np.zeros(((rounds or 0) + 2, 2 + 3 * len(ACCOUNTS)), np.int64)
        self._taken = 0
        self._empty()
        self._last = read()

    def phase(self, name: str) -> Span:
        """Return the context manager that keeps the phase ``name`` open, as `PhaseTimer.phase`."""
        found = self._watched.get(name)
        if found is None:
            found = self._watched[name] = _Watched(self, _account_of(name), super().phase(name))
        return found

    def turn(self, name: str) -> None:
        """Go from the phase that is open to ``name``, as `PhaseTimer.turn`."""
        self.charge()
        self._current = _account_of(name)
        super().turn(name)

    def take(self) -> PhaseProfile:
        """Return the times since the last call as `PhaseTimer.take`, and what memory grew by; keep a row of it."""
        self.charge()
        grown = tuple(self._grown)
        if self._keeps:
            self._keep_row()
        self._empty()
        return super().take()._replace(grown=grown)

    def _keep_row(self) -> None:
        if self._taken == len(self._table):
            self._table = np.concatenate((self._table, np.zeros_like(self._table)))
        row = (self._last.resident, self._last.traced, *self._grown, *self._allocated, *self._high)
        self._table[self._taken] = row
        self._taken += 1

    def rows(self) -> list[MemoryRow]:
        """Return a row for every `take`: the first is what came before the first round."""
        size, found = len(ACCOUNTS), []
        for resident, traced_now, *rest in self._table[: self._taken].tolist():
            grown, allocated, high = (tuple(rest[at : at + size]) for at in (0, size, 2 * size))
            found.append(MemoryRow(resident, traced_now, grown, allocated, high))
        return found

    def enter(self, account: int) -> None:
        """Charge what has changed to the open account, and open another."""
        self.charge()
        self._outer.append(self._current)
        self._current = account

    def leave(self) -> None:
        """Charge what has changed to the open account, and go back to the one before."""
        self.charge()
        self._current = self._outer.pop()

    def charge(self) -> None:
        """Charge what has changed since memory was read last to the open account."""
        now, last, at = self._read_memory(), self._last, self._current
        self._grown[at] += now.resident - last.resident
        self._allocated[at] += now.traced - last.traced
        self._high[at] = max(self._high[at], now.peak - last.traced)
        self._last = now

    def _empty(self) -> None:
        self._grown, self._allocated, self._high = ([0] * len(ACCOUNTS) for _ in range(3))


class _Watched:
    """A span of the clocks with memory read outside of it: what reading takes is the outer phase's time."""

    __slots__ = ("_account", "_span", "_timer")

    def __init__(self, timer: MemoryTimer, account: int, span: Span) -> None:
        self._timer, self._account, self._span = timer, account, span

    def __enter__(self) -> None:
        self._timer.enter(self._account)
        self._span.__enter__()

    def __exit__(self, kind: object, value: object, traceback: object) -> None:
        self._span.__exit__(kind, value, traceback)
        self._timer.leave()


def columns(rows: Sequence[MemoryRow]) -> dict[str, Floats]:
    """Return (R,) columns, MiB, of the rounds that ``rows`` are of: `rss_mib`, `traced_mib`, and three by phase."""
    names = [name if name == OTHER else f"phase_{name}" for name in ACCOUNTS]
    found = {
        "rss_mib": np.array([row.resident for row in rows]) / MIB,
        "traced_mib": np.array([row.traced for row in rows]) / MIB,
    }
    for kind in ("grown", "allocated", "high"):
        values = np.array([getattr(row, kind) for row in rows], dtype=np.float64).reshape(len(rows), len(ACCOUNTS))
        found |= {f"{name}_{kind}_mib": values[:, index] / MIB for index, name in enumerate(names)}
    return found


def by_phase(rows: Sequence[MemoryRow]) -> Mapping[str, Mapping[str, float]]:
    """Return for every phase what it added in all rounds and the most that it held in any of them, MiB."""
    table = {kind: np.array([getattr(row, kind) for row in rows]) for kind in ("grown", "allocated", "high")}
    return {
        name: {
            "grown_mib": float(table["grown"][:, index].sum()) / MIB,
            "allocated_mib": float(table["allocated"][:, index].sum()) / MIB,
            "high_mib": float(table["high"][:, index].max()) / MIB,
        }
        for index, name in enumerate(ACCOUNTS)
    }


def slope(held_bytes: Sequence[float] | Floats, blocks: int = BLOCKS, level: float = 0.95) -> Interval:
    """Return by how many bytes a round memory grows: a line through the lows of stretches of rounds, and its interval.

    The lows, because what is held back between two writes goes up and down and is no leak. Neighbouring rounds are
    alike, stretches of many hardly are: Student's interval is over these.

    Raises
    ------
    phasewise.profiling.errors.SampleError
        Where there are fewer than two rounds a stretch, or fewer than three stretches.
    """
    from scipy.special import stdtrit  # noqa: PLC0415  (scipy takes long to import)

    values = np.asarray(held_bytes, dtype=np.float64)
    if blocks < 3 or values.size < 2 * blocks:
        raise SampleError(f"a slope over {blocks} stretches needs at least {2 * blocks} rounds, not {values.size}")
    parts = np.array_split(values, blocks)
    ends = np.cumsum([part.size for part in parts])
    at = np.array([end - part.size + int(np.argmin(part)) for end, part in zip(ends, parts, strict=True)])
    low = np.array([part.min() for part in parts])
    offset = at - at.mean()
    spread = float(offset @ offset)
    estimate = float(offset @ low) / spread
    residual = low - low.mean() - estimate * offset
    error = (float(residual @ residual) / (blocks - 2) / spread) ** 0.5
    margin = float(stdtrit(blocks - 2, 0.5 + level / 2)) * error
    return Interval(estimate - margin, estimate, estimate + margin)
