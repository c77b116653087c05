"""Strict reading of the fields of a text file: what Python's own conversions let through is refused here.

Each function returns the value or raises ValueError with what was got and what is allowed; the caller knows the line.
"""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path

from phasewise.profiling.inputs import read_input
from phasewise.profiling.names import LONGEST_NAME, quoted
from phasewise.sched.reading.faults import Fault
from phasewise.sched.reading.recognise import misfit

_NUMBER = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)
_INTEGER = re.compile(r"\d{1,9}", re.ASCII)
LEAST_POSITIVE = 1e-9  # what is smaller than this, and not 0, or larger than the next, is no measure of anything here,
MOST = 1e15  # and sums and quotients with it leave the numbers that can be told apart
MOST_INTEGER = 999_999_999  # nine digits: sums of thousands of them stay far below the limits of 64 bits


def number(
    field: str, text: str, *, least: float = -math.inf, above: float = -math.inf, finest: float = LEAST_POSITIVE
) -> float:
    """Return ``text`` as a float of at least ``least`` and above ``above``.

    It is 0, or its magnitude lies from ``finest`` to `MOST`.
    """
    allowed = "a finite number"
    if above > -math.inf:
        allowed += f" above {above:g}"
    elif least > -math.inf:
        allowed += f" of at least {least:g}"
    value = float(text) if len(text) <= LONGEST_NAME and _NUMBER.fullmatch(text) else math.nan
    if not (math.isfinite(value) and value >= least and value > above):
        raise ValueError(f"{field} is {quoted(text)}; allowed: {allowed}")
    if value != 0.0 and not finest <= abs(value) <= MOST:
        raise ValueError(f"{field} is {quoted(text)}; allowed: {allowed}, its size from {finest:g} to {MOST:g}")
    return value


def positive_integer(field: str, text: str) -> int:
    """Return ``text`` as an integer of at least 1."""
    if not _INTEGER.fullmatch(text) or int(text) == 0:
        raise ValueError(f"{field} is {quoted(text)}; allowed: a positive integer")
    return int(text)


def integer(field: str, text: str, *, least: int = 0, most: int | None = None) -> int:
    """Return ``text`` as an integer of at least ``least`` and at most ``most`` (of up to nine digits where None)."""
    upper = MOST_INTEGER if most is None else most
    if not _INTEGER.fullmatch(text) or not least <= int(text) <= upper:
        raise ValueError(f"{field} is {quoted(text)}; allowed: an integer from {least} to {upper}")
    return int(text)


def decoded_lines(path: Path, expected: str) -> tuple[list[tuple[int, str]], list[Fault]]:
    """Return the lines of a UTF-8 file with their numbers from 1, and a fault for each that is not UTF-8.

    Parameters
    ----------
    path
        The file; `phasewise.profiling.inputs.read_input` says what it may be.
    expected
        What it should be, as `phasewise.sched.reading.recognise` calls it. A file of another kind has no lines here
        and one fault, which says what it seems to be.

    Raises
    ------
    OSError
        Where the file cannot be read.
    """
    content = read_input(path)
    if why := misfit(content, expected):
        return [], [Fault(None, why)]
    lines: list[tuple[int, str]] = []
    faults: list[Fault] = []
    raw = content.split(b"\n")
    if raw[-1] == b"":
        raw.pop()
    for line, octets in enumerate(raw, start=1):
        try:
            text = octets.decode("utf-8").removesuffix("\r")
        except UnicodeDecodeError as error:
            faults.append(Fault(line, f"byte {error.start + 1} is 0x{octets[error.start]:02x}; allowed: UTF-8 text"))
            continue
        if "\0" in text:
            faults.append(Fault(line, f"character {text.index(chr(0)) + 1} is NUL; allowed: text without NUL"))
        else:
            lines.append((line, text))
    return lines, faults
