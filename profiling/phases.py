"""Where the time of a round goes: exclusive wall and CPU time per phase, additive to the nanosecond.

At any moment exactly one account is open: the innermost phase, or the unnamed rest ("other") where there is none.
Entering or leaving a phase reads the clocks once, charges what passed since the last reading to the open account, and
opens another. So every nanosecond lands in one account, and nested phases need no subtraction. Accounts are integers:
their sums are exact whatever the nesting.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from enum import StrEnum
from operator import add
from typing import NamedTuple, Protocol, cast

NANOSECONDS = 1e9  # a second


class Phase(StrEnum):
    """The steps of a round, in the order in which tables and traces show them."""

    ARRIVALS = "arrivals"
    POLICY = "policy"
    LP_BUILD = "lp_build"
    LP_SOLVE = "lp_solve"
    PRIORITIES = "priorities"
    WORKER_ASSIGNMENT = "worker_assignment"
    EVENT_COMPLETION = "event_completion"
    TELEMETRY = "telemetry"
    EXIT_CHECKS = "exit_checks"


PHASES = tuple(phase.value for phase in Phase)
OTHER = "other"  # the time outside all phases
ACCOUNTS = (OTHER, *PHASES)


class Clock(Protocol):
    """Two clocks that never run backwards, as integers: differences and sums of integers are exact."""

    def wall_ns(self) -> int:
        """Return wall time in nanoseconds since an arbitrary instant."""
        ...

    def cpu_ns(self) -> int:
        """Return the CPU time that this process has used, in nanoseconds."""
        ...


class Span(Protocol):
    """What ``with`` needs to keep a phase open."""

    def __enter__(self) -> None: ...

    def __exit__(self, kind: object, value: object, traceback: object) -> None: ...


class SystemClock:
    """The machine's clocks: `time.perf_counter_ns` and `time.process_time_ns`.

    CPU time is that of the whole process, because that is what is claimed: a solver that starts threads must not look
    cheaper for it. The clock of the calling thread costs the same system call (0.28 us each where the wall clock, which
    needs no system call, costs 0.07 us), so nothing would be won by it.
    """

    wall_ns = staticmethod(time.perf_counter_ns)
    cpu_ns = staticmethod(time.process_time_ns)


class FakeClock:
    """A clock for tests that moves only when told: set or increase ``now_s`` and ``cpu_s``, both in seconds."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.cpu_s = 0.0

    def wall_ns(self) -> int:
        """Return ``now_s`` in nanoseconds."""
        return round(self.now_s * NANOSECONDS)

    def cpu_ns(self) -> int:
        """Return ``cpu_s`` in nanoseconds."""
        return round(self.cpu_s * NANOSECONDS)


MOST_ACCOUNTS = len(ACCOUNTS) + 32
"""Further names than these share the time outside all phases: a name made anew every round must not slow a run down."""

_NINE = slice(1, len(ACCOUNTS))  # the values of `Phase` among the accounts


class PhaseProfile(NamedTuple):
    """What a `PhaseTimer` measured between two calls of `PhaseTimer.take`.

    Attributes
    ----------
    accounts
        ``"other"`` (the time outside all phases), the nine values of `Phase` in their order, then any further names in
        order of first use. What follows is in this order.
    wall_ns, cpu_ns
        Exclusive time of each account, nanoseconds. Their sums are the time that passed, exactly.
    entries
        How often each account was entered; 0 for ``"other"``, unless somebody entered it by that name.
    grown
        Bytes by which resident memory grew in each of `ACCOUNTS`; empty where nobody reads memory.
    """

    accounts: tuple[str, ...]
    wall_ns: tuple[int, ...]
    cpu_ns: tuple[int, ...]
    entries: tuple[int, ...]
    grown: tuple[int, ...] = ()

    @property
    def wall_s(self) -> tuple[float, ...]:
        """Exclusive wall seconds of the nine values of `Phase`, in their order."""
        return tuple([ns / NANOSECONDS for ns in self.wall_ns[_NINE]])

    @property
    def cpu_s(self) -> tuple[float, ...]:
        """Exclusive CPU seconds of the nine values of `Phase`, in their order."""
        return tuple([ns / NANOSECONDS for ns in self.cpu_ns[_NINE]])

    @property
    def calls(self) -> tuple[int, ...]:
        """How often each of the nine values of `Phase` was entered, in their order."""
        return self.entries[_NINE]

    @property
    def phases_s(self) -> dict[str, float]:
        """Exclusive wall seconds of every phase that was open, by name."""
        return {self.accounts[index]: self.wall_ns[index] / NANOSECONDS for index in self._open()}

    @property
    def phases_cpu_s(self) -> dict[str, float]:
        """Exclusive CPU seconds of every phase that was open, by name."""
        return {self.accounts[index]: self.cpu_ns[index] / NANOSECONDS for index in self._open()}

    @property
    def other_s(self) -> float:
        """Wall seconds outside all phases."""
        return self.wall_ns[0] / NANOSECONDS

    @property
    def other_cpu_s(self) -> float:
        """CPU seconds outside all phases."""
        return self.cpu_ns[0] / NANOSECONDS

    @property
    def total_s(self) -> float:
        """Wall seconds in all: exactly ``sum(phases_s.values()) + other_s``, the same floats added in that order."""
        return sum(self.phases_s.values()) + self.other_s

    def _open(self) -> list[int]:
        """Return the accounts of phases that were open: entered now, or before the last take and not yet left."""
        times = zip(self.entries, self.wall_ns, self.cpu_ns, strict=True)
        return [index for index, (calls, wall, cpu) in enumerate(times) if index and (calls or wall or cpu)]


_ZEROS = (0,) * len(ACCOUNTS)
_NOTHING = PhaseProfile(ACCOUNTS, _ZEROS, _ZEROS, _ZEROS)


class PhaseTimer:
    """Measures where time goes between two calls of `take`.

    ``with timer.phase(Phase.POLICY):`` keeps a phase open. Phases nest, recur and recurse; what an inner phase takes is
    not counted in the outer one; an exception closes a phase like any other exit. Any string names a phase: one that is
    none of `Phase` gets an account of its own when it is first named, as long as there are fewer than `MOST_ACCOUNTS`.
    Within the ``with``, ``timer.turn(Phase.PRIORITIES)`` goes from the phase that is open straight to the next, for one
    reading of the clocks instead of two. Not to be shared between threads.

    Parameters
    ----------
    clock
        What to read; the machine's clocks unless a test brings its own.
    """

    __slots__ = ("_add", "_names", "_paused", "_read", "_spans", "_turns")

    def __init__(self, clock: Clock | None = None) -> None:
        self._add, self._read, self._paused = _accounts(SystemClock() if clock is None else clock)
        self._names = ACCOUNTS
        self._spans: dict[str, Span] = {}
        self._turns: dict[str, Callable[[], None]] = {}
        for name in ACCOUNTS:
            self._spans[name], self._turns[name] = self._add()

    def phase(self, name: str) -> Span:
        """Return the context manager that keeps the phase ``name`` open: a `Phase` or any other string.

        It is the same object each time: a hot loop may keep it, and saves 0.15 us for each time it need not ask.
        """
        try:
            return self._spans[name]
        except KeyError:
            return self._spans[self._further(name)]

    def turn(self, name: str) -> None:
        """Leave the phase that is open and enter ``name`` instead, until the ``with`` ends that opened the former."""
        try:
            self._turns[name]()
        except KeyError:
            self._turns[self._further(name)]()

    def _further(self, name: str) -> str:
        """Return the name under which a new one is known: with an account of its own where there is room for one."""
        if len(self._names) == MOST_ACCOUNTS:
            return OTHER
        shown = "".join(
            each if each.isprintable() else "?" for each in str(name)
        )  # lines and tables take no other text
        if shown not in self._spans:
            self._names = (*self._names, shown)
            self._spans[shown], self._turns[shown] = self._add()
        self._spans[name], self._turns[name] = self._spans[shown], self._turns[shown]
        return shown

    def paused(self) -> Span:
        """Return the context manager within which no time is charged to anything: as if the clocks stood still."""
        return self._paused

    def take(self) -> PhaseProfile:
        """Return what was measured since the last call, and start anew; phases that are open stay open."""
        wall, cpu, entries = self._read()
        return PhaseProfile(self._names, tuple(wall), tuple(cpu), tuple(entries))


Reading = tuple[list[int], list[int], list[int]]
Account = tuple[Span, Callable[[], None]]
"""What keeps an account open, and what opens it in place of the one that is open."""


def _accounts(clock: Clock) -> tuple[Callable[[], Account], Callable[[], Reading], Span]:
    """Return two functions over one set of accounts, one adds an account, the other reads and empties all, and a pause.

    Account 0, the first that is added, is the time outside all phases. A reading is wall nanoseconds, CPU nanoseconds
    and entries, by account.

    State lives in variables shared by closures, not in attributes of an object, because this is the one piece of code
    that every phase of every round pays for: it takes a fifth less time so, and half of the rest are the clocks.
    """
    wall_ns, cpu_ns = clock.wall_ns, clock.cpu_ns
    wall: list[int] = []
    cpu: list[int] = []
    entries: list[int] = []
    outer: list[int] = []  # the accounts that wait for the open one to be left
    push, pop = outer.append, outer.pop
    current = 0
    last_wall, last_cpu = wall_ns(), cpu_ns()

    def add_account() -> Account:
        account = len(wall)
        for column in (wall, cpu, entries):
            column.append(0)

        def turn() -> None:
            nonlocal current, last_wall, last_cpu
            now_wall = wall_ns()
            now_cpu = cpu_ns()
            wall[current] += now_wall - last_wall
            cpu[current] += now_cpu - last_cpu
            last_wall = now_wall
            last_cpu = now_cpu
            current = account
            entries[account] += 1

        def enter() -> None:
            push(current)
            turn()

        def leave(_kind: object, _value: object, _traceback: object) -> None:
            nonlocal current, last_wall, last_cpu
            now_wall = wall_ns()
            now_cpu = cpu_ns()
            wall[current] += now_wall - last_wall
            cpu[current] += now_cpu - last_cpu
            last_wall = now_wall
            last_cpu = now_cpu
            current = pop()

        return _span(enter, leave), turn

    def read() -> Reading:
        nonlocal wall, cpu, entries, last_wall, last_cpu
        now_wall, now_cpu = wall_ns(), cpu_ns()
        wall[current] += now_wall - last_wall
        cpu[current] += now_cpu - last_cpu
        last_wall, last_cpu = now_wall, now_cpu
        reading = wall, cpu, entries
        zeros = [0] * len(wall)
        wall, cpu, entries = zeros, zeros.copy(), zeros.copy()  # cheaper than emptying the old lists
        return reading

    def pause() -> None:
        wall[current] += wall_ns() - last_wall
        cpu[current] += cpu_ns() - last_cpu

    def go_on(_kind: object, _value: object, _traceback: object) -> None:
        nonlocal last_wall, last_cpu
        last_wall, last_cpu = wall_ns(), cpu_ns()

    return add_account, read, _span(pause, go_on)


def _span(enter: Callable[[], None], leave: Callable[[object, object, object], None]) -> Span:
    """Return a context manager. ``with`` looks its methods up in the class: hence a class each, with static methods."""
    methods = {"__slots__": (), "__enter__": staticmethod(enter), "__exit__": staticmethod(leave)}
    return cast("Span", type("Span", (), methods)())


class PhaseTotals:
    """Profiles added up, over a run or since the last line about it."""

    __slots__ = ("_sum",)

    def __init__(self) -> None:
        self._sum = _NOTHING

    def add(self, profile: PhaseProfile) -> None:
        """Add what a `PhaseTimer.take` returned."""
        total = self._sum
        if profile.accounts != total.accounts:
            total, profile = _aligned(total, profile)
        self._sum = PhaseProfile(
            total.accounts,
            tuple(map(add, total.wall_ns, profile.wall_ns)),
            tuple(map(add, total.cpu_ns, profile.cpu_ns)),
            tuple(map(add, total.entries, profile.entries)),
        )

    def take(self) -> PhaseProfile:
        """Return the sum of the profiles added since the last call, and start anew."""
        total, self._sum = self._sum, _NOTHING
        return total

    @property
    def profile(self) -> PhaseProfile:
        """The sum of the profiles added so far."""
        return self._sum

    @property
    def wall_s(self) -> float:
        """Wall seconds in all, inside and outside phases."""
        return sum(self._sum.wall_ns) / NANOSECONDS

    @property
    def cpu_s(self) -> float:
        """CPU seconds in all, inside and outside phases."""
        return sum(self._sum.cpu_ns) / NANOSECONDS

    @property
    def coverage(self) -> float:
        """Share of the wall time that was spent inside named phases; 0 where no time was measured."""
        outside, *inside = self._sum.wall_ns
        return sum(inside) / (outside + sum(inside)) if any(self._sum.wall_ns) else 0.0

    def phases(self) -> dict[str, dict[str, float]]:
        """Return ``{name: {"wall_s", "cpu_s", "calls", "share"}}`` of every phase that was open.

        ``share`` is the phase's fraction of the wall time in all. The last entry, ``"other"``, is the time outside all
        phases (0 calls), so that times and shares add up to the whole.
        """
        total = self._sum
        whole_ns = sum(total.wall_ns) or 1
        rows = {
            name: {"wall_s": wall / NANOSECONDS, "cpu_s": cpu / NANOSECONDS, "calls": calls, "share": wall / whole_ns}
            for name, wall, cpu, calls in zip(*total[:4], strict=True)
            if calls or wall or cpu or name == OTHER
        }
        rows[OTHER] = rows.pop(OTHER)
        return rows


def _aligned(first: PhaseProfile, second: PhaseProfile) -> tuple[PhaseProfile, PhaseProfile]:
    """Return both profiles over the same accounts: those of the first, then those that only the second has."""
    accounts = tuple(dict.fromkeys(first.accounts + second.accounts))
    return _spread(first, accounts), _spread(second, accounts)


def _spread(profile: PhaseProfile, accounts: tuple[str, ...]) -> PhaseProfile:
    """Return the profile over more accounts, 0 for those that it does not have."""
    place = {name: index for index, name in enumerate(profile.accounts)}

    def spread(values: tuple[int, ...]) -> tuple[int, ...]:
        return tuple([values[place[name]] if name in place else 0 for name in accounts])

    return PhaseProfile(accounts, spread(profile.wall_ns), spread(profile.cpu_ns), spread(profile.entries))
