"""Reductions along the rows of (R, W) arrays, of which there are many, each of a few worker types.

NumPy goes along one row after the other: for 1,700 rows of 7, ``max(axis=1)`` takes 285 us where turning the array
around first and going along its 7 columns takes 50 (at 130 x 3: 24 and 8).
"""

from __future__ import annotations

import itertools
from typing import Final

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]

BLOCK: Final = 4096
"""Rows that are turned around at once. More do not fit into the cache: 60,000 rows of 7 take 1.4 ms at once, 0.5 so."""


def row_max(matrix: Floats) -> Floats:
    """Return (R,) the largest entry of each row of ``matrix`` (R, W); W of at least 1."""
    return _by_blocks(np.maximum, matrix)


def row_sum(matrix: Floats) -> Floats:
    """Return (R,) the sum of each row of ``matrix`` (R, W), its entries added in their order."""
    return _by_blocks(np.add, matrix)


def row_any(matrix: Bools) -> Bools:
    """Return (R,) whether there is a true entry in each row of ``matrix`` (R, W)."""
    found: Bools = np.logical_or.reduce(np.ascontiguousarray(matrix.T), axis=0)
    return found


def _by_blocks(reduction: np.ufunc, matrix: Floats) -> Floats:
    rows = len(matrix)
    if rows <= BLOCK:
        reduced: Floats = reduction.reduce(np.ascontiguousarray(matrix.T), axis=0)
        return reduced
    reduced = np.empty(rows)
    edges = [*range(0, rows - 1, BLOCK), rows]  # a single row would be added up in another order
    for start, end in itertools.pairwise(edges):
        reduction.reduce(np.ascontiguousarray(matrix[start:end].T), axis=0, out=reduced[start:end])
    return reduced
