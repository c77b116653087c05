"""The canonical bytes of a sequence of problems, and their digest: what an instance of the test set is known by.

A tape is compressed, and other versions of zlib compress to other bytes. So the digest is of what a tape says: for
every problem a line of JSON with its kind and, in order of their names, its numbers and arrays, each as ``[name, type,
shape]``, followed by the bytes of these, little-endian, in C order. A number is an array of shape ``[]``.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable

import numpy as np

from phasewise.solvers.problems import AllocationProblem


def digest(problems: Iterable[AllocationProblem]) -> str:
    """Return SHA-256 of the canonical bytes of ``problems``, in hexadecimal digits."""
    hashed = hashlib.sha256()
    for problem in problems:
        hashed.update(canonical(problem))
    return hashed.hexdigest()


def canonical(problem: AllocationProblem) -> bytes:
    """Return the canonical bytes of one problem; what it does not state is left out."""
    stated = {name: value for name, value in sorted(problem.stated().items()) if value is not None}
    arrays = {name: _little_endian(np.asarray(value)) for name, value in stated.items()}
    header = [problem.families[0], [[name, each.dtype.str, list(each.shape)] for name, each in arrays.items()]]
    return json.dumps(header).encode() + b"\n" + b"".join(each.tobytes() for each in arrays.values())


def _little_endian(values: np.ndarray) -> np.ndarray:
    if values.ndim == 0:  # a number; a tape has all of them as floating point
        values = values.astype(np.float64)
    return values.astype(values.dtype.newbyteorder("<"))
