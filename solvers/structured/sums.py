"""Sums over vectors, for loops that may not make arrays."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from phasewise.solvers.structured.compiled import loop

Floats = npt.NDArray[np.float64]


@loop
def dot(first: Floats, second: Floats) -> float:
    """Return the sum of products of two vectors, as long as the second."""
    total = 0.0
    for i in range(second.size):
        total += first[i] * second[i]
    return total


@loop
def sum_of(values: Floats) -> float:
    """Return the sum of a vector."""
    total = 0.0
    for i in range(values.size):
        total += values[i]
    return total


@loop
def sum_of_products(first: Floats, second: Floats) -> float:
    """Return the sum of products of two (W, J) arrays."""
    total = 0.0
    for j in range(first.shape[0]):
        for i in range(first.shape[1]):
            total += first[j, i] * second[j, i]
    return total


@loop
def largest(values: Floats) -> float:
    """Return the largest of figures above 0."""
    most = 0.0
    for i in range(values.size):
        most = values[i] if values[i] > most else most
    return most
