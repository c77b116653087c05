"""How the loops of this package are compiled: by numba, cached beside their file.

Sums may be added in any order and a quotient may become a product with a reciprocal: each answer is certified, so the
last bits do not matter, while loops over jobs become vector instructions. A division by zero gives infinity, as in
NumPy.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    Function = TypeVar("Function", bound=Callable[..., object])

    def kernel(function: Function) -> Function:
        """Compile a function (for the type checker: leave it as it is)."""
        return function
else:
    from numba import njit

    kernel = njit(cache=True, error_model="numpy", fastmath={"reassoc", "contract", "arcp", "nsz"})
