"""How far a study has come, on stderr: a bar on a terminal, a line now and then elsewhere."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from time import monotonic
from typing import TYPE_CHECKING, Final

from phasewise.bench.study.executors.api import Callbacks
from phasewise.bench.study.points import Point
from phasewise.bench.study.records import Attempt
from phasewise.bench.study.status import duration
from phasewise.bench.study.study import Task

if TYPE_CHECKING:
    from phasewise.bench.cli.runs import Voice

LINE_INTERVAL_S: Final = 5.0
BAR_INTERVAL_S: Final = 0.2

Begin = Callable[[Task], Callbacks]


@dataclass(slots=True)
class _Count:
    """What is known of a study that is going on."""

    name: str
    parallel: int
    total: int = 0
    before: int = 0
    ended: int = 0
    failed: int = 0
    task: Task | None = None
    running: dict[str, tuple[Point, float]] = field(default_factory=dict)  # and how much of it is done
    left: dict[str, Point] = field(default_factory=dict)
    spent_cpu_s: float = 0.0
    spent_wall_s: float = 0.0

    def begin(self, task: Task) -> None:
        """Take note of what is to be done."""
        self.task, self.total = task, len(task.points)
        self.before = self.total - len(task.left)
        self.left = {point.name: point for point in task.left}

    def note(self, point: Point, attempt: Attempt) -> None:
        """Take note that an attempt is over."""
        self.running.pop(point.name, None)
        self.left.pop(point.name, None)
        self.ended += 1
        self.failed += attempt.status not in ("complete", "overloaded", "stopped")
        if attempt.cpu_s is not None and attempt.wall_s is not None:
            self.spent_cpu_s += attempt.cpu_s
            self.spent_wall_s += attempt.wall_s

    def left_s(self) -> float | None:
        """Return the wall seconds that are left, by what finished points took; None where nothing is known."""
        if self.task is None or not self.spent_cpu_s:
            return None
        costs, left = self.task.costs, 0.0
        for name, point in self.left.items():
            left += (costs.expected_s(point) or 0.0) * (1.0 - self.running.get(name, (point, 0.0))[1])
        return left * self.spent_wall_s / self.spent_cpu_s / min(self.parallel, max(1, len(self.left)))

    @property
    def line(self) -> str:
        """One line on all of it."""
        words = [f"{self.before + self.ended}/{self.total} points"]
        words += [f"{self.failed} failed"] if self.failed else []
        words += [f"{len(self.running)} running"] if self.running else []
        left_s = self.left_s()
        words += [f"about {duration(left_s)} left"] if left_s else []
        return ", ".join(words)


@contextlib.contextmanager
def shown(name: str, voice: Voice, interrupted: Callable[[], bool], parallel: int) -> Iterator[Begin]:
    """Yield what to call with the task of a study; it returns what an executor tells meanwhile.

    Parameters
    ----------
    voice
        Says warnings and, where it is not to be quiet, the progress.
    interrupted
        Whether the study is to end.
    parallel
        How many points are done at once.
    """
    count = _Count(name, parallel)
    if voice.quiet:
        yield _beginner(count, voice, interrupted, lambda: None)
    elif sys.stderr.isatty():
        with _bar(count) as refresh:
            yield _beginner(count, voice, interrupted, refresh)
    else:
        yield _beginner(count, voice, interrupted, _lines(count, voice))


def _beginner(count: _Count, voice: Voice, interrupted: Callable[[], bool], refresh: Callable[[], None]) -> Begin:
    def began(point: Point) -> None:
        count.running[point.name] = (point, 0.0)

    def ended(point: Point, attempt: Attempt) -> None:
        count.note(point, attempt)
        if attempt.status == "failed":
            voice.warn(f"point {point.name} failed: {attempt.message}")
        refresh()

    def advanced(point: Point | None, share: float | None) -> None:
        if point is not None and share is not None:
            count.running[point.name] = (point, share)
        refresh()

    def begin(task: Task) -> Callbacks:
        count.begin(task)
        return Callbacks(began=began, ended=ended, advanced=advanced, say=voice.say, interrupted=interrupted)

    return begin


def _lines(count: _Count, voice: Voice) -> Callable[[], None]:
    last_s, said = monotonic(), ""

    def refresh() -> None:
        nonlocal last_s, said
        if monotonic() - last_s < LINE_INTERVAL_S:
            return
        last_s = monotonic()
        if (line := count.line) != said:
            said = line
            voice.say(f"{count.name}: {line}")

    return refresh


@contextlib.contextmanager
def _bar(count: _Count) -> Iterator[Callable[[], None]]:
    from rich.console import Console
    from rich.progress import BarColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),
        TextColumn("{task.fields[line]}"),
        TimeElapsedColumn(),
    )
    with Progress(*columns, console=Console(file=sys.stderr), transient=True) as bars:
        task = bars.add_task(count.name, total=None, line="starting")
        last_s = monotonic()

        def refresh() -> None:
            nonlocal last_s
            if monotonic() - last_s >= BAR_INTERVAL_S:
                last_s = monotonic()
                bars.update(task, total=count.total, completed=count.before + count.ended, line=count.line)

        yield refresh
