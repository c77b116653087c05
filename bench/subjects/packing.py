"""Deciding who shares GPUs with whom: rounds of jobs that come and go, by the backend that goes by kinds."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import islice
from typing import Final

from phasewise.bench.series.packing import plain_rounds
from phasewise.bench.subjects.api import Case
from phasewise.bench.subjects.solvers import TapeSubject

JOBS: Final = 256
PROBLEMS: Final = 30
KINDS: Final = 26


def packed(count: int) -> TapeSubject:
    """Return max-min fairness of jobs of the Gavel study's kinds, ``count`` rounds: the first cold, the others warm."""
    return TapeSubject("by-kinds", list(islice(plain_rounds(KINDS, JOBS, count), count)))


def cases() -> Iterator[Case]:
    """Yield the one case."""
    yield Case("solvers/packed/by-kinds", PROBLEMS, "problem", lambda: packed(PROBLEMS), packed)
