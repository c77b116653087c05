"""A fault in an input file, and how a list of them is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

SHOWN = 20


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


def render(origin: object, faults: Sequence[Fault], shown: int = SHOWN) -> str:
    """Return one message: a fault a line as ``origin:line: message``, at most ``shown`` of them, then a count."""
    told = [
        f"{origin}:{fault.line}: {fault.message}" if fault.line else f"{origin}: {fault.message}" for fault in faults
    ]
    if len(told) > shown:
        told = [*told[:shown], f"{origin}: and {len(told) - shown} more faults"]
    return "\n".join(told)
