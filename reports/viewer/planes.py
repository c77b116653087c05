"""Whole numbers as text that a page can carry: byte planes, deflated, in base64.

A block holds several arrays. Each is written as planes: the lowest byte of every value, then the next byte, as many as
the largest value needs. Equal bytes come to stand beside each other, so that deflate finds them, and a plane that
would hold only zeros is not there at all. The page's script reads the same form (``unpack`` in ``viewer_frames.js``).

Block, before deflate: ``uint32`` count of arrays; for each array ``uint32`` length and ``uint32`` planes; the planes.
All numbers are little-endian.
"""

from __future__ import annotations

import base64
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Ints = npt.NDArray[np.int64]

_LIMIT = 1 << 32
_LEVEL = 9  # a tenth smaller than the default; the page is written once and read often


def pack(arrays: Sequence[Ints]) -> str:
    """Return ``arrays`` as base64 text.

    Parameters
    ----------
    arrays
        One-dimensional, with values from 0 to 2**32 - 1.

    Raises
    ------
    ValueError
        Where a value is out of that range.
    """
    header = [len(arrays)]
    planes: list[bytes] = []
    for values in arrays:
        largest = int(values.max(initial=0))
        if largest >= _LIMIT or values.min(initial=0) < 0:
            raise ValueError(f"{int(values.min())} to {largest} is out of the range of 0 to {_LIMIT - 1}")
        width = (largest.bit_length() + 7) // 8
        octets = np.ascontiguousarray(values, "<u4").view(np.uint8).reshape(len(values), 4)
        header += [len(values), width]
        planes += [octets[:, place].tobytes() for place in range(width)]
    block = np.array(header, "<u4").tobytes() + b"".join(planes)
    return base64.b64encode(zlib.compress(block, _LEVEL)).decode("ascii")


def unpack(text: str) -> list[Ints]:
    """Return the arrays that `pack` made into ``text``."""
    block = zlib.decompress(base64.b64decode(text))
    count = int(np.frombuffer(block, "<u4", 1)[0])
    shapes = np.frombuffer(block, "<u4", 2 * count, 4).reshape(count, 2).tolist()
    place = 4 + 8 * count
    arrays = []
    for length, width in shapes:
        octets = np.frombuffer(block, np.uint8, length * width, place).reshape(width, length).astype(np.int64)
        arrays.append((octets << (8 * np.arange(width))[:, None]).sum(axis=0, dtype=np.int64))
        place += length * width
    return arrays


def gaps(ascending: Ints) -> Ints:
    """Return (N,) what each value adds to the one before it, the first to -1: 0 or more for distinct values >= 0."""
    return np.diff(ascending, prepend=-1) - 1
