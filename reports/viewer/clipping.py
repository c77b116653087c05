"""Axes that a few outliers would stretch until nothing else is seen: cut, with a sentence on what is not shown."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from phasewise.reports.quantities import count, number

Floats = npt.NDArray[np.float64]

_CUT, _ROOM = 4.0, 2.0  # times the 99th percentile: when an axis is cut, and where


def cut_top(lines: Sequence[Floats]) -> float | None:
    """Return where an axis from 0 ends if it is to be cut; None where its highest value may stand on it.

    Parameters
    ----------
    lines
        What is drawn on the axis, 0 or more; NaN where there is nothing.
    """
    every = np.concatenate([line[np.isfinite(line)] for line in lines]) if lines else np.empty(0)
    if not len(every):
        return None
    usual = float(np.quantile(every, 0.99, method="lower"))
    return _ROOM * usual if every.max() > _CUT * usual > 0 else None


def cut_note(lines: Sequence[Floats], hours: Floats, high: float, unit: str) -> str:
    """Return how many points of ``lines`` are above ``high``, and where the highest is; empty where there is none.

    Parameters
    ----------
    lines
        Each (B,), drawn over ``hours``.
    unit
        Of the values, as a reader meets it.
    """
    above = sum(int((line > high).sum()) for line in lines)
    if not above:
        return ""
    highest = max(lines, key=lambda line: float(np.nan_to_num(line).max(initial=0.0)))
    at = int(np.nan_to_num(highest).argmax())
    where = f"{number(float(highest[at]))} {unit} at {hours[at]:.1f}\u202fh"
    if above == 1:
        return f" One point, {where}, is above the top of the chart."
    return f" {count(above)} points are above the top of the chart, the highest {where}."
