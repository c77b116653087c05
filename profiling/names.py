"""Names that people type, and what they may have meant."""

from __future__ import annotations

from collections.abc import Collection
from difflib import get_close_matches
from functools import lru_cache
from typing import Final

LONGEST_NAME: Final = 64  # characters of a name for which a similar one is looked up
LONGEST_SHOWN: Final = 80  # characters of a value that a message repeats


def nearest(name: str, known: Collection[str]) -> str:
    """Return ``", did you mean 'x'?"``, or the empty string where no known name is near."""
    if len(name) > LONGEST_NAME:
        return ""
    close = _closest(name, tuple(known))
    return f", did you mean {close!r}?" if close else ""


@lru_cache(maxsize=256)  # one misspelt name often stands on thousands of lines
def _closest(name: str, known: tuple[str, ...]) -> str:
    close = get_close_matches(name, known, n=1, cutoff=0.6)
    if close:
        return close[0]
    lowered = {each.lower(): each for each in known}
    close = get_close_matches(name.lower(), lowered, n=1, cutoff=0.6)
    return lowered[close[0]] if close else ""


def quoted(text: str) -> str:
    """Return a value as a message shows it: in quotes, and cut where it is very long."""
    if len(text) <= LONGEST_SHOWN:
        return repr(text)
    return f"{text[:LONGEST_SHOWN]!r}... ({len(text):,} characters)"
