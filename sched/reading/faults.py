"""A fault in an input file, and how a list of them is told."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

SHOWN = 20
SHOWN_ALIKE = 3  # of faults that differ by a name or a number only; the lines of the others are listed
SHOWN_RANGES = 8

_VARIES = re.compile(r"'[^']*'|\"[^\"]*\"|0x[0-9a-f]+|[+-]?\d[\d.,:]*(e[+-]?\d+)?")


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing wrong with a file.

    Attributes
    ----------
    line
        Line number from 1, or None where no single line is to blame.
    message
        What is wrong, the value got and what is allowed.
    """

    line: int | None
    message: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.message}" if self.line else self.message


def render(origin: object, faults: Sequence[Fault], shown: int = SHOWN, alike: int = SHOWN_ALIKE + 1) -> str:
    """Return one message: a fault a line as ``origin:line: message``, those alike together, then a count.

    Parameters
    ----------
    origin
        The file.
    faults
        In order of lines.
    shown
        At most so many lines of text, and one that counts the rest.
    alike
        Faults that differ by a name or a number only are told one by one where they are at most so many.
    """
    groups: dict[str, list[Fault]] = {}
    for fault in faults:
        groups.setdefault(_VARIES.sub("#", fault.message), []).append(fault)
    told: list[str] = []
    covered = 0
    for group in groups.values():
        if len(told) >= shown:
            return "\n".join([*told, f"{origin}: and {len(faults) - covered:,} more faults"])
        told += _group(origin, group, shown - len(told), alike)
        covered += len(group)
    return "\n".join(told)


def _group(origin: object, group: Sequence[Fault], room: int, alike: int) -> Iterator[str]:
    """Yield the first of some faults that are alike, and where the others are."""
    first = group if len(group) <= min(alike, room) else group[: min(SHOWN_ALIKE, room)]
    for fault in first:
        yield f"{origin}:{fault.line}: {fault.message}" if fault.line else f"{origin}: {fault.message}"
    if rest := group[len(first) :]:
        where = _ranges([fault.line for fault in rest if fault.line])
        yield f"{origin}: and {len(rest):,} more like this{where}"


def _ranges(lines: Sequence[int]) -> str:
    """Return ``", in lines 4-9, 12"``, cut where it grows long; nothing where no line is known."""
    spans: list[tuple[int, int]] = []
    for line in lines:
        if spans and line == spans[-1][1] + 1:
            spans[-1] = (spans[-1][0], line)
        elif not spans or line != spans[-1][1]:
            spans.append((line, line))
    if not spans:
        return ""
    named = [f"{first}-{last}" if last > first else str(first) for first, last in spans[:SHOWN_RANGES]]
    return f", in lines {', '.join(named)}" + (f" ... {spans[-1][1]}" if len(spans) > SHOWN_RANGES else "")
