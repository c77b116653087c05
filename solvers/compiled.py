"""What makes a compiled loop of a function, in one place: numba, without types of its own, behind a typed decorator.

Only modules that are themselves imported late use it, for numba takes half a second to load.

No loop is compiled with `fastmath`: additions that may be reordered differ between freshly compiled and cached loops,
and the same seed would no longer give the same bytes (decision 0008).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from numba import njit

Function = TypeVar("Function", bound=Callable[..., object])


def compiled(**options: object) -> Callable[[Function], Function]:
    """Return a decorator that compiles with these options of numba; cached beside the file, x / 0 as in NumPy."""
    decorate: Callable[[Function], Function] = njit(cache=True, error_model="numpy", **options)
    return decorate
