"""Marks plain functions that rules of placement call, so that they can be compiled with them.

numba itself is imported only when something is compiled.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from typing import Any, Final, TypeVar

Function = TypeVar("Function", bound=Callable[..., Any])

_MARKED: Final[list[Callable[..., Any]]] = []


def compilable(function: Function) -> Function:
    """Return the function, marked: a compiled function may call it. It must make no arrays."""
    _MARKED.append(function)
    return function


def register_marked() -> None:
    """Let compiled functions call all that are marked by now."""
    for function in _MARKED:
        _register(function)


@cache
def _register(function: Callable[..., Any]) -> None:
    from numba.extending import register_jitable  # noqa: PLC0415

    register_jitable(_nrt=False)(function)
