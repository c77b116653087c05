"""Arrays as compiled code takes them: an element type, a number of axes, C order. For annotations; knows no numba.

A kernel is compiled once, for what its annotations say. To the type checker each of these is a plain NumPy array.
"""

from __future__ import annotations

from typing import Annotated, NamedTuple, TypeVar

import numpy as np
import numpy.typing as npt

Element = TypeVar("Element", bound=np.generic)


class ArrayLayout(NamedTuple):
    """A contiguous, writable array: its element type (as `numpy.dtype` takes it) and its number of axes."""

    dtype: str
    axes: int


Vector = Annotated[npt.NDArray[np.float64], ArrayLayout("float64", 1)]
Matrix = Annotated[npt.NDArray[np.float64], ArrayLayout("float64", 2)]
Cube = Annotated[npt.NDArray[np.float64], ArrayLayout("float64", 3)]
IntVector = Annotated[npt.NDArray[np.int64], ArrayLayout("int64", 1)]
IntMatrix = Annotated[npt.NDArray[np.int64], ArrayLayout("int64", 2)]
IntCube = Annotated[npt.NDArray[np.int64], ArrayLayout("int64", 3)]
ShortVector = Annotated[npt.NDArray[np.int16], ArrayLayout("int16", 1)]
ShortMatrix = Annotated[npt.NDArray[np.int16], ArrayLayout("int16", 2)]
ByteVector = Annotated[npt.NDArray[np.int8], ArrayLayout("int8", 1)]
FlagVector = Annotated[npt.NDArray[np.bool_], ArrayLayout("bool", 1)]
FlagMatrix = Annotated[npt.NDArray[np.bool_], ArrayLayout("bool", 2)]


def laid_out(array: npt.NDArray[Element]) -> npt.NDArray[Element]:
    """Return an array of somebody else's as kernels take it, contiguous and writable: itself, or a copy."""
    flags = array.flags
    if flags.c_contiguous and flags.writeable:
        return array
    return np.array(array, order="C")  # `np.require` takes five times as long, to say that it is needed
