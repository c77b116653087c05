"""Sums over vectors, for loops that may not make arrays."""

from __future__ import annotations

from phasewise.profiling.jit.kernel import loop
from phasewise.profiling.jit.layouts import Matrix, Vector


@loop
def dot(first: Vector, second: Vector) -> float:
    """Return the sum of products of two vectors, as long as the second."""
    total = 0.0
    for i in range(second.size):
        total += first[i] * second[i]
    return total


@loop
def sum_of(values: Vector) -> float:
    """Return the sum of a vector."""
    total = 0.0
    for i in range(values.size):
        total += values[i]
    return total


@loop
def sum_of_products(first: Matrix, second: Matrix) -> float:
    """Return the sum of products of two (W, J) arrays."""
    total = 0.0
    for j in range(first.shape[0]):
        for i in range(first.shape[1]):
            total += first[j, i] * second[j, i]
    return total


@loop
def largest(values: Vector) -> float:
    """Return the largest of figures above 0."""
    most = 0.0
    for i in range(values.size):
        most = values[i] if values[i] > most else most
    return most
