"""A fixed piece of work, by which CPU times of one machine at two moments are compared.

Machines change their speed by the hour; a time over that of the same work done beside it changes much less.
"""

from __future__ import annotations

import time
from typing import Final

import numpy as np

REPEATS: Final = 15
_LOOP: Final = 40_000
_SIDE: Final = 120


def yardstick_s() -> float:
    """Return the least CPU seconds of the piece of work, half of it plain Python and half NumPy."""
    return min(_once() for _ in range(REPEATS))


def _once() -> float:
    matrix = np.linspace(0.0, 1.0, _SIDE * _SIDE).reshape(_SIDE, _SIDE)
    began_s = time.process_time()
    total = 0
    for index in range(_LOOP):
        total += index * index
    for _ in range(20):
        matrix = np.sort(matrix @ matrix / _SIDE, axis=1)
    taken_s = time.process_time() - began_s
    assert total
    assert np.isfinite(matrix).all()
    return taken_s
