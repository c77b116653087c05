"""Codes of 64 bits for tuples of numbers: to find equal ones, and to know things again from one problem to the next."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import numpy.typing as npt

Codes = npt.NDArray[np.uint64]

_START: Final = np.uint64(0x9E3779B97F4A7C15)
_ONE: Final = np.uint64(0xBF58476D1CE4E5B9)
_TWO: Final = np.uint64(0x94D049BB133111EB)
_SHIFT: Final = np.uint64(29)


def mixed(*parts: npt.NDArray[np.integer[Any]] | Codes | int) -> Codes:
    """Return the code of each tuple that ``parts``, arrays of one shape or numbers, make. Unequal ones hardly meet."""
    code = np.full(np.broadcast_shapes(*(np.shape(part) for part in parts)), _START)
    for part in parts:
        code = (code ^ np.asarray(part, dtype=np.uint64)) * _ONE
        code ^= code >> _SHIFT
        code *= _TWO
        code ^= code >> _SHIFT
    return code
