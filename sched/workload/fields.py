"""Strict reading of the fields of a text file: what Python's own conversions let through is refused here.

Each function returns the value or raises ValueError with what was got and what is allowed; the caller knows the line.
"""

from __future__ import annotations

import math
import re
from difflib import get_close_matches
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path

from phasewise.sched.faults import Fault

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")
_INTEGER = re.compile(r"\d{1,9}", re.ASCII)
MOST_INTEGER = 999_999_999  # nine digits: sums of thousands of them stay far below the limits of 64 bits


def number(field: str, text: str, *, least: float = -math.inf, above: float = -math.inf) -> float:
    """Return ``text`` as a finite float of at least ``least`` and above ``above``."""
    allowed = "a finite number"
    if above > -math.inf:
        allowed += f" above {above:g}"
    elif least > -math.inf:
        allowed += f" of at least {least:g}"
    value = float(text) if _NUMBER.fullmatch(text) else math.nan
    if not (math.isfinite(value) and value >= least and value > above):
        raise ValueError(f"{field} is {text!r}; allowed: {allowed}")
    return value


def positive_integer(field: str, text: str) -> int:
    """Return ``text`` as an integer of at least 1."""
    if not _INTEGER.fullmatch(text) or int(text) == 0:
        raise ValueError(f"{field} is {text!r}; allowed: a positive integer")
    return int(text)


def integer(field: str, text: str, *, least: int = 0, most: int | None = None) -> int:
    """Return ``text`` as an integer of at least ``least`` and at most ``most`` (of up to nine digits where None)."""
    upper = MOST_INTEGER if most is None else most
    if not _INTEGER.fullmatch(text) or not least <= int(text) <= upper:
        raise ValueError(f"{field} is {text!r}; allowed: an integer from {least} to {upper}")
    return int(text)


def nearest(name: str, known: Collection[str]) -> str:
    """Return ``", did you mean 'x'?"``, or the empty string where no known name is near."""
    close = get_close_matches(name, list(known), n=1, cutoff=0.6)
    return f", did you mean {close[0]!r}?" if close else ""


def decoded_lines(path: Path) -> tuple[list[tuple[int, str]], list[Fault]]:
    """Return the lines of a UTF-8 file with their numbers from 1, and a fault for each that is not UTF-8.

    Raises
    ------
    OSError
        Where the file cannot be read.
    """
    lines: list[tuple[int, str]] = []
    faults: list[Fault] = []
    raw = path.read_bytes().split(b"\n")
    if raw[-1] == b"":
        raw.pop()
    for line, octets in enumerate(raw, start=1):
        try:
            lines.append((line, octets.decode("utf-8").removesuffix("\r")))
        except UnicodeDecodeError as error:
            faults.append(Fault(line, f"byte {error.start + 1} is 0x{octets[error.start]:02x}; allowed: UTF-8 text"))
    return lines, faults
