"""The signature of a compiled function, read off its annotations."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Callable
from typing import Any, Final

import numpy as np
from numba.core import types
from numba.np import numpy_support

from phasewise.profiling.jit.layouts import ArrayLayout

Signature = tuple[Any, ...]
"""A numba type for each argument; None for one that is known only when the function is called."""

_SCALARS: Final[dict[object, Any]] = {float: types.float64, int: types.int64, bool: types.boolean}


def signature_of(function: Callable[..., object]) -> Signature:
    """Return the argument types of a function; None for those whose annotation says nothing to a compiler."""
    hints = typing.get_type_hints(function, include_extras=True)
    return tuple(type_of(hints.get(name)) for name in inspect.signature(function).parameters)


def type_of(hint: Any) -> Any:
    """Return the numba type that an annotation stands for, None where it stands for none.

    Known are float, int, bool, the arrays of `layouts`, named tuples and tuples of these.
    """
    if hint in _SCALARS:
        return _SCALARS[hint]
    for note in getattr(hint, "__metadata__", ()):
        if isinstance(note, ArrayLayout):
            return types.Array(numpy_support.from_dtype(np.dtype(note.dtype)), note.axes, "C")
    if is_named_tuple(hint):
        fields = typing.get_type_hints(hint, include_extras=True)
        return _tuple_of([fields[name] for name in hint._fields], hint)
    if typing.get_origin(hint) is tuple:
        return _tuple_of(typing.get_args(hint), None)
    return None


def is_named_tuple(kind: Any) -> bool:
    """Return whether this is the class of a named tuple."""
    return isinstance(kind, type) and issubclass(kind, tuple) and hasattr(kind, "_fields")


def _tuple_of(hints: typing.Sequence[Any], kind: Any) -> Any:
    members = tuple(type_of(hint) for hint in hints)
    return None if None in members else types.BaseTuple.from_types(members, kind)  # type: ignore[attr-defined]


def described(signature: Signature) -> str:
    """Return a signature as text: the same for the same types, the names and order of named tuples' fields included."""
    return ", ".join(map(_described, signature))


def _described(kind: Any) -> str:
    if isinstance(kind, types.BaseNamedTuple):  # type: ignore[attr-defined]
        fields = zip(kind.fields, kind.types, strict=True)
        return (
            f"{kind.instance_class.__qualname__}({', '.join(f'{name}: {_described(each)}' for name, each in fields)})"
        )
    if isinstance(kind, types.BaseTuple):  # type: ignore[attr-defined]
        return f"({', '.join(map(_described, kind.types))})"
    return str(kind)


def accepts(given: Any, wanted: Any, typing_context: Any) -> bool:
    """Return whether a value of one type can be handed to compiled code as another: the same, or a number as one."""
    if given == wanted:
        return True
    if isinstance(given, types.Array) and isinstance(wanted, types.Array):
        same = (given.dtype, given.ndim, given.layout) == (wanted.dtype, wanted.ndim, wanted.layout)
        return same and (given.mutable or not wanted.mutable)
    scalars = (types.Number, types.Boolean)
    both = isinstance(given, scalars) and isinstance(wanted, scalars)
    return both and typing_context.can_convert(given, wanted) is not None
