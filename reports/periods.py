"""Makespan and utilisation of runs that do not cover the same period: whoever compares them has to know."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from phasewise.reports.quantities import MAKESPAN
from phasewise.reports.run_directory import Run

# Where jobs keep arriving until a window is complete, a run that ends later also did other jobs. A
# difference below this is that of any two policies, and hardly moves a mean over the run.
LEAST_DIFFERENCE: Final = 0.05
_SPACE = " "


def different_periods(runs: Sequence[Run], names: Sequence[str]) -> str | None:
    """Return a sentence where makespan and utilisation cover different periods in the runs; None otherwise.

    They do where one run was cut short and another was not, or at another time; where the windows are not the same; and
    where jobs kept arriving for much longer in one of them. Runs that all completed a finite set of jobs differ in
    their makespan as a result, and nothing is said.
    """
    if all(_cover_the_same(runs[0], run) for run in runs[1:]):
        return None
    told = "; ".join(f"{name}: {_period(run)}" for name, run in zip(names, runs, strict=True))
    return f"makespan and utilisation cover different periods ({told})"


def _cover_the_same(one: Run, other: Run) -> bool:
    if one.summary.window != other.summary.window or (one.status == "complete") != (other.status == "complete"):
        return False
    if one.status == "complete" and one.summary.window is None:
        return True
    spans = [run.summary.makespan_s or 0.0 for run in (one, other)]
    return max(spans) <= (1.0 + LEAST_DIFFERENCE) * min(spans)


def _period(run: Run) -> str:
    window = run.summary.window
    until = "" if window is None else f" with the window {window[0]}:{window[1]}"
    return f"{run.status}{until} after {MAKESPAN(run.summary.makespan_s, _SPACE)}"
