"""How a trace file is to be read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Choice:
    """How a file is to be read.

    Attributes
    ----------
    format
        The name of a trace format; empty means by its content.
    columns
        By what a record has, the column of the file: for formats that take a map.
    states
        The final states that are kept; empty means all.
    """

    format: str = ""
    columns: Mapping[str, str] = field(default_factory=dict)
    states: tuple[str, ...] = ()


ANY: Final = Choice()
"""By the content, all of it."""
