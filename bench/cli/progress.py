"""How far a run has come, on stderr: a bar on a terminal, a line every few seconds elsewhere.

The wall clock is read here for the display alone; nothing that is shown reaches the simulation.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator
from time import monotonic
from typing import TYPE_CHECKING, TextIO

if TYPE_CHECKING:
    from phasewise.sched.simulate import Progress

DAY_S = 86_400.0
BAR_INTERVAL_S = 0.1
LINE_INTERVAL_S = 5.0

Report = Callable[["Progress"], None]


class Throttle:
    """Says when the next display is due, and how many rounds a second went by since the last one."""

    def __init__(self, interval_s: float) -> None:
        self._interval_s = interval_s
        self._last_s = monotonic()
        self._last_round = 0

    def due(self, round_index: int) -> float | None:
        """Return rounds a second since the last display, or None where the next one is not due yet."""
        now_s = monotonic()
        passed_s = now_s - self._last_s
        if passed_s < self._interval_s:
            return None
        rate = (round_index - self._last_round) / passed_s
        self._last_s, self._last_round = now_s, round_index
        return rate


def describe(progress: Progress, rate: float) -> str:
    """Return one line: round, simulated time, jobs, rounds a second."""
    jobs = (
        f"{progress.completed:,} done"
        if progress.target is None
        else f"{progress.completed:,}/{progress.target:,} done"
    )
    return (
        f"round {progress.round_index:,}  day {progress.sim_time_s / DAY_S:.1f}  {progress.active:,} active  "
        f"{jobs}  {rate:,.0f} rounds/s"
    )


@contextlib.contextmanager
def shown(title: str, *, quiet: bool, stream: TextIO | None = None) -> Iterator[Report | None]:
    """Yield the function to call with the progress after each round, or None where nothing is to be shown.

    Parameters
    ----------
    title
        What is running.
    quiet
        Show nothing.
    stream
        Where to; None means stderr. A terminal gets a bar, anything else a plain line every few seconds.
    """
    stream = sys.stderr if stream is None else stream
    if quiet:
        yield None
    elif stream.isatty():
        with _bar(title, stream) as report:
            yield report
    else:
        yield _lines(title, stream)


def _lines(title: str, stream: TextIO) -> Report:
    throttle = Throttle(LINE_INTERVAL_S)

    def report(progress: Progress) -> None:
        rate = throttle.due(progress.round_index)
        if rate is not None:
            print(f"{title}: {describe(progress, rate)}", file=stream, flush=True)

    return report


@contextlib.contextmanager
def _bar(title: str, stream: TextIO) -> Iterator[Report]:
    from rich.console import Console
    from rich.progress import BarColumn, SpinnerColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bars
    from rich.table import Column

    elapsed = TimeElapsedColumn(table_column=Column(no_wrap=True, min_width=7))
    columns = (
        SpinnerColumn(),
        TextColumn("{task.description}"),
        BarColumn(bar_width=None),  # what is left of the line
        TextColumn("{task.fields[line]}"),
    )
    with Bars(*columns, elapsed, console=Console(file=stream), transient=True) as bars:
        task = bars.add_task(title, total=None, line="starting")
        throttle = Throttle(BAR_INTERVAL_S)

        def report(progress: Progress) -> None:
            rate = throttle.due(progress.round_index)
            if rate is not None:
                bars.update(task, total=progress.target, completed=progress.completed, line=describe(progress, rate))

        yield report
