"""Numbers as people read them: three significant figures, grouped digits, the unit always beside the number.

A figure that does not exist is shown as an en dash, never as 0.
"""

from __future__ import annotations

import math

ABSENT = "–"
THIN_SPACE = "\u202f"  # narrow, and no line breaks at it
_SECONDS = ((86400.0, "d"), (3600.0, "h"), (60.0, "min"), (1.0, "s"), (1e-3, "ms"), (1e-6, "µs"))
# Below these a larger unit is not used yet: 90 s reads better than 1.5 min, 36 h better than 1.5 d.
_SWITCH = {"d": 2 * 86400.0, "h": 2 * 3600.0, "min": 120.0}


def number(value: float | None, digits: int = 3, group: str = THIN_SPACE) -> str:
    """Return ``value`` with ``digits`` significant figures at least; integers stay whole."""
    if isinstance(value, int):
        return count(value, group)
    if value is None or not math.isfinite(value):
        return ABSENT
    if value == 0:
        return "0"
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(value))))
    rounded = round(value, decimals)
    if abs(rounded) < 1e-4:
        return f"{value:.{digits - 1}e}".replace("e-0", "e-")
    decimals = max(0, digits - 1 - math.floor(math.log10(abs(rounded))))
    return f"{rounded:,.{decimals}f}".replace(",", group)


def count(value: float | None, group: str = THIN_SPACE) -> str:
    """Return a whole number with grouped digits."""
    return ABSENT if value is None or not math.isfinite(value) else f"{round(value):,}".replace(",", group)


def percent(fraction: float | None, group: str = THIN_SPACE) -> str:
    """Return a fraction of 1 in per cent, with one decimal."""
    if fraction is None or not math.isfinite(fraction):
        return ABSENT
    return f"{fraction * 100:.1f}{group}%"


def scaled(value: float | None, factor: float, group: str = THIN_SPACE) -> str:
    """Return ``value * factor``, for columns whose unit stands in the head."""
    return number(None if value is None else value * factor, group=group)


def duration(seconds: float | None, group: str = THIN_SPACE) -> str:
    """Return seconds in the unit that suits them, from µs to days."""
    if seconds is None or not math.isfinite(seconds):
        return ABSENT
    if seconds == 0:
        return f"0{group}s"
    for size, unit in _SECONDS:
        if abs(seconds) >= _SWITCH.get(unit, size):
            return f"{number(seconds / size, group=group)}{group}{unit}"
    return f"{number(seconds * 1e6, group=group)}{group}µs"


def with_unit(value: float | None, unit: str, group: str = THIN_SPACE) -> str:
    """Return the number and its unit, or the dash alone."""
    text = number(value, group=group)
    return text if text == ABSENT else f"{text}{group}{unit}"
