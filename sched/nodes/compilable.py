"""Marks plain functions that rules of placement call, so that they can be compiled with them.

numba itself is imported only when something is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

MARKED: Final[list[Callable[..., Any]]] = []


def compilable(function: Function) -> Function:
    """Return the function, marked: a compiled function may call it. It must make no arrays."""
    MARKED.append(function)
    return function
