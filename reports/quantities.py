"""Numbers as people read them: three significant figures, grouped digits, the unit always beside the number.

A figure that does not exist is shown as an en dash, never as 0.

A figure that stands in several places (a run's summary, its report, the viewer, a comparison) is a `Quantity`: it has
one unit, whatever its size, and one way of being written, so that the same figure reads the same everywhere.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

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
    return SHARE(fraction, group)


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


@dataclass(frozen=True, slots=True)
class Quantity:
    """A kind of figure, its unit and how it is written.

    Called with a value as files have it (seconds, fractions of 1), it returns number and unit, or the dash alone.

    Attributes
    ----------
    unit
        Empty for a plain number.
    each
        Units in 1 of what files have: 1e3 for milliseconds of seconds.
    decimals
        A fixed number of them; None for three significant figures.
    """

    unit: str
    each: float = 1.0
    decimals: int | None = None

    def __call__(self, value: float | None, group: str = THIN_SPACE) -> str:
        """Return the figure with its unit."""
        text = self.text(value, group)
        return text if text == ABSENT or not self.unit else f"{text}{group}{self.unit}"

    def text(self, value: float | None, group: str = THIN_SPACE) -> str:
        """Return the figure without its unit, for a table whose head has it."""
        return self.shown(self.of(value), group)

    def of(self, value: float | None) -> float | None:
        """Return the value in the unit, a whole number as it is where nothing has to be converted."""
        return value if value is None or self.each == 1.0 else value * self.each

    def shown(self, value: float | None, group: str = THIN_SPACE) -> str:
        """Return a value that is in the unit, without it."""
        if self.decimals is None or value is None or not math.isfinite(value):
            return number(value, group=group)
        return f"{value:,.{self.decimals}f}".replace(",", group)


PLAIN = Quantity("")
SHARE = Quantity("%", 100.0, decimals=1)
JCT = Quantity("h", 1 / 3600)  # as the field quotes it; of the jobs that count
WAIT = Quantity("h", 1 / 3600)  # from arrival to first start
MAKESPAN = Quantity("h", 1 / 3600)
GPU_TIME = Quantity("GPU h", 1 / 3600)  # in which no step was made
RUN_TIME = Quantity("s")  # of a whole run, CPU or wall
PHASE_TOTAL = Quantity("ms", 1e3)  # of a phase over a whole run, CPU or wall
PER_ROUND = Quantity("ms", 1e3)  # of a phase, or of all, a round; CPU or wall
SOLVE_TIME = Quantity("ms", 1e3)  # of building or solving one allocation problem
SPEED = Quantity("/s")  # rounds per CPU second
MEMORY = Quantity("MiB")
