"""How the loops of this package are compiled: by numba, cached beside their file.

A `loop` does not count references to arrays, which takes most of the time of a short loop over a tuple of twenty of
them: it may be handed arrays and look at parts of them, but not make, keep or return any. What makes arrays is a
`kernel`.
"""

from __future__ import annotations

import logging
from functools import cache
from typing import Final

from phasewise.solvers.compiled import compiled

kernel = compiled()
loop = compiled(_nrt=False)

_LOG: Final = logging.getLogger(__name__)


@loop
def _probe(value: float) -> float:
    return value


@cache
def announce() -> None:
    """Log a warning, once, where the compiled loops are not at hand: the first solve will take half a minute."""
    _probe(0.0)
    if sum(_probe.stats.cache_misses.values()):  # type: ignore[attr-defined]
        _LOG.warning("compiling the structured solvers, once on this machine: about half a minute ...")
