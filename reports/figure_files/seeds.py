"""Means over seeds, with their intervals, and what a point is worth."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from phasewise.profiling.stats import LEVEL, Interval, t_interval
from phasewise.reports.figure_files.model import CENSORED, COMPLETE, OVERLOADED, Floats
from phasewise.reports.figure_files.studies import Study

_UNFINISHED: Final = frozenset({"stopped", "interrupted", "failed"})


def mean_of_seeds(values: Floats, level: float = LEVEL) -> Interval:
    """Return the mean of (n,) values between the ends of its Student interval, NaN for one value alone."""
    if len(values) < 2:
        return Interval(np.nan, float(values.mean()), np.nan)
    return t_interval(values, level)


def row_states(study: Study) -> list[str]:
    """Return (P,) what the figures of each point of a study are worth: complete, censored or overloaded.

    Where the table does not say whether a run is censored, one that ended before its time is.
    """
    censored = study.numbers("censored")
    return [
        OVERLOADED
        if status == "overloaded"
        else CENSORED
        if censored[row] > 0 or (np.isnan(censored[row]) and status in _UNFINISHED)
        else COMPLETE
        for row, status in enumerate(study.statuses())
    ]


def worst(states: Sequence[str]) -> str:
    """Return what a point is that several runs with these states make."""
    return next((state for state in (OVERLOADED, CENSORED) if state in states), COMPLETE)
