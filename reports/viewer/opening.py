"""At which moment a page opens, and why there: most runs begin and end empty."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from phasewise.reports.quantities import count, percent
from phasewise.reports.run_directory import Run
from phasewise.reports.viewer.timeline import Timeline


@dataclass(frozen=True, slots=True)
class Opening:
    """A moment of the clock, and the sentence that says why the page opens there."""

    tick: int
    why: str


def busiest(clock: Timeline, runs: Sequence[Run]) -> Opening:
    """Return the moment at which most jobs wait, of all runs together; of several such the one with most GPUs in use.

    Where none ever waits, that is the moment with most GPUs in use.

    Parameters
    ----------
    clock
        Of the same runs.
    """
    waiting = _sum(clock, runs, "queued")
    used = _sum(clock, runs, "utilization") / len(runs)
    tick = int(np.where(waiting == waiting.max(), used, -1.0).argmax())
    if waiting[tick] > 0:
        return Opening(tick, f"{_moment(clock, tick)}, where most jobs wait: {count(waiting[tick])}")
    return Opening(tick, f"{_moment(clock, tick)}, where most GPUs are in use: {percent(float(used[tick]))}")


def _sum(clock: Timeline, runs: Sequence[Run], column: str) -> np.ndarray:
    """Return (T,) a figure of the rounds, added over the runs; a run that has ended adds nothing."""
    total = np.zeros(len(clock.time_s))
    for run, at in zip(runs, clock.round_at, strict=True):
        values = np.nan_to_num(run.rounds.numbers(column))
        total += np.where(at >= 0, values[np.maximum(at, 0)], 0.0)
    return total


def _moment(clock: Timeline, tick: int) -> str:
    if len(clock.round_at) == 1:
        return f"round {count(tick)}"
    return f"{clock.time_s[tick] / 3600.0:.1f}\u202fh of simulated time"
