"""Where a vertical axis is cut, so that a few points do not flatten all others, and what is said of them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from phasewise.reports.quantities import THIN_SPACE, count, number

LIMIT, ROOM = 4.0, 2.0  # times the 99th percentile: when an axis is cut, and where


def top_of(values: npt.NDArray[np.float64]) -> float | None:
    """Return where an axis from 0 is cut, None where the largest value is not far above the 99th percentile."""
    known = values[np.isfinite(values)]
    usual = float(np.quantile(known, 0.99, method="lower")) if len(known) else 0.0
    return ROOM * usual if float(known.max(initial=0.0)) > LIMIT * usual > 0.0 else None


def said_of(
    values: npt.NDArray[np.float64],
    top: float | None,
    unit: str = "",
    hours: npt.NDArray[np.float64] | None = None,
) -> str:
    """Return the sentence on the values above the top of an axis, empty where there are none.

    Parameters
    ----------
    hours
        When each value was, for an axis of time: the sentence then says where the largest is.
    """
    above = np.isfinite(values) & (values > top) if top is not None else np.zeros(len(values), np.bool_)
    if not above.any():
        return ""
    at = int(np.where(above, values, -np.inf).argmax())
    size = number(float(values[at])) + (f"{THIN_SPACE}{unit}" if unit else "")
    where = "" if hours is None else f" at {hours[at]:.1f}{THIN_SPACE}h"
    if above.sum() == 1:
        return f"One point, {size}{where}, is above the top of the chart."
    return f"{count(int(above.sum()))} points, up to {size}{where}, are above the top of the chart."
