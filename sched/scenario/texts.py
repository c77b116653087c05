"""What stands on the command line for a table or a list of the scenario file."""

from __future__ import annotations

import math
from collections.abc import Iterator

from phasewise.profiling.names import quoted
from phasewise.sched.errors import ScenarioError

TABLE = "table"
"""The speed of a trace's jobs that is no ratio: by the table of throughputs."""


def parse_names(text: str) -> dict[str, str]:
    """Return ``{"submit": "submit_time"}`` for ``"submit=submit_time,..."``; raise `ScenarioError` for another form."""
    return dict(_pairs(text, "NAME=COLUMN", "submit=submit_time,gpus=num_gpu"))


def parse_ratios(text: str) -> dict[str, float]:
    """Return ``{"v100": 1.0}`` for ``"v100=1"``, nothing for ``"table"``; raise `ScenarioError` for another form."""
    if text.strip() == TABLE:
        return {}
    ratios: dict[str, float] = {}
    for name, number in _pairs(text, f"TYPE=RATIO,..., or {TABLE}", "v100=1,p100=0.5"):
        try:
            ratios[name] = float(number) if number.isascii() and "_" not in number else math.nan
        except ValueError:
            ratios[name] = math.nan
        if not 0.0 < ratios[name] < math.inf:
            raise ScenarioError(f"got {name}={quoted(number)}; allowed: a finite number above 0")
    return ratios


def parse_words(text: str) -> list[str]:
    """Return ``["COMPLETED", "FAILED"]`` for ``"COMPLETED,FAILED"``."""
    return [word.strip() for word in text.split(",") if word.strip()]


def _pairs(text: str, form: str, example: str) -> Iterator[tuple[str, str]]:
    seen: set[str] = set()
    for part in text.split(","):
        name, equals, value = (piece.strip() for piece in part.partition("="))
        if not (name and equals and value):
            raise ScenarioError(f"got {quoted(part)} in {quoted(text)}; allowed: {form}, for example {example}")
        if name in seen:
            raise ScenarioError(f"got {quoted(text)}, which names {quoted(name)} again; allowed: each name once")
        seen.add(name)
        yield name, value
