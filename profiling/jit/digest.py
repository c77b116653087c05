"""What a compiler sees of a function, as one digest: its code, the code it calls, and the constants all of these use.

Machine code is kept by this digest (`store`), so that it is exactly the code that is there: an edit of a callee or of a
constant in another module gives another digest, and an edit of a comment, a docstring or anything else gives the same.
It follows names, so code that is reached otherwise has to be named (``also`` of `phasewise.profiling.jit.kernel`).
"""

from __future__ import annotations

import enum
import hashlib
import pickle
import types
from collections.abc import Iterable, Iterator
from typing import Any, Final, NamedTuple

import numpy as np
from numba.core.dispatcher import Dispatcher

from phasewise.profiling.jit.signatures import is_named_tuple

_TOOLS: Final = frozenset({"numpy", "numba", "llvmlite", "math", "operator", "builtins", "scipy", "typing"})
"""Packages that are known by their version (`store`), not looked into."""


_PLAIN: Final = (type(None), bool, int, float, complex, str, bytes)


class _Part(NamedTuple):
    """A function by itself: what it is, and the functions that it names."""

    own: bytes
    called: tuple[types.FunctionType, ...]


_PARTS: Final[dict[types.FunctionType, _Part]] = {}


def digest(roots: Iterable[Any], *more: str) -> str:
    """Return the digest of functions, of all that they call, and of ``more`` text.

    Raises
    ------
    UnkeyableError
        Where a function uses a global value whose content cannot be told.
    """
    found = hashlib.sha256()
    for text in more:
        found.update(f"{len(text)}:{text}".encode())
    waiting = [function for root in reversed(tuple(roots)) for function in _functions(root)]
    seen = set[types.FunctionType]()
    while waiting:
        function = waiting.pop()
        if function not in seen:
            seen.add(function)
            part = _part(function)
            found.update(part.own)
            waiting.extend(reversed(part.called))
    return found.hexdigest()


class UnkeyableError(Exception):
    """A compiled function uses a global value whose content cannot be told."""


def _functions(value: Any) -> list[types.FunctionType]:
    """Return the plain function behind a compiled or a plain one."""
    function = value.py_func if isinstance(value, Dispatcher) else value
    return [function] if isinstance(function, types.FunctionType) else []


def _part(function: types.FunctionType) -> _Part:
    known = _PARTS.get(function)
    if known is None:
        # Where a function stands is part of it: what is kept of a caller refers to it by its module and name.
        text = f"{function.__module__}.{function.__qualname__} {_described(function.__code__, function.__doc__)}"
        own, called = hashlib.sha256(text.encode()), []
        for name, value in _named(function):
            functions = _functions(value)
            called.extend(functions)
            own.update(f"{name}={_content(name, value, function) if not functions else _options(value)};".encode())
        known = _PARTS[function] = _Part(own.digest(), tuple(called))
    return known


def _options(value: Any) -> str:
    return repr(sorted(value.targetoptions.items())) if isinstance(value, Dispatcher) else ""


def _described(code: types.CodeType, doc: str | None) -> str:
    """Return what a code object does, without where it stands and what is said about it."""
    constants = []
    for index, constant in enumerate(code.co_consts):
        if isinstance(constant, types.CodeType):
            constants.append(_described(constant, None))
        elif index == 0 and constant == doc:
            constants.append("")
        else:
            constants.append(_constant(constant))
    names = (code.co_names, code.co_varnames, code.co_freevars, code.co_cellvars, code.co_argcount, code.co_flags)
    return f"{code.co_code.hex()} {names} {getattr(code, 'co_exceptiontable', b'').hex()} {constants}"


def _named(function: types.FunctionType) -> Iterator[tuple[str, Any]]:
    """Yield the names that a function uses of its module, of enclosing functions and of modules, with their values."""
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        yield name, cell.cell_contents
    defaults = (*enumerate(function.__defaults__ or ()), *(function.__kwdefaults__ or {}).items())
    for which, value in defaults:
        yield f"default {which}", value
    names = list(_names(function.__code__))
    for name in names:
        if name in function.__globals__:
            value = function.__globals__[name]
            yield name, value
            if isinstance(value, types.ModuleType) and not _is_tool(value.__name__):
                for inner in names:
                    if hasattr(value, inner):
                        yield f"{name}.{inner}", getattr(value, inner)


def _names(code: types.CodeType) -> dict[str, None]:
    """Return the names that code uses, in order, that of nested functions included."""
    names = dict.fromkeys(code.co_names)
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            names.update(_names(constant))
    return names


def _is_tool(module: str | None) -> bool:
    return module is not None and module.partition(".")[0] in _TOOLS


def _constant(value: Any) -> str:
    """Return a constant as text: equal text for equal values of one type, and for those alone."""
    if isinstance(value, tuple):
        return f"({','.join(map(_constant, value))})"
    if isinstance(value, frozenset):
        return f"{{{','.join(sorted(map(_constant, value)))}}}"
    return f"{type(value).__name__} {value!r}"


def _content(name: str, value: Any, user: types.FunctionType) -> str:
    """Return what a global value is, as text; raise `UnkeyableError` where that cannot be told."""
    if isinstance(value, type):
        return _described_class(value)
    if isinstance(value, tuple):
        return f"{type(value).__qualname__}({','.join(_content(name, each, user) for each in value)})"
    if isinstance(value, np.generic | np.ndarray):
        array = np.asarray(value)
        return f"{array.dtype} {array.shape} {hashlib.sha256(array.tobytes()).hexdigest()}"
    if isinstance(value, types.ModuleType) or type(value) in _PLAIN:
        return _constant(value) if type(value) in _PLAIN else value.__name__
    if isinstance(value, types.BuiltinFunctionType) or _is_tool(getattr(value, "__module__", None)):
        return f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', type(value).__qualname__)}"
    return _pickled(name, value, user)


def _pickled(name: str, value: Any, user: types.FunctionType) -> str:
    try:
        return f"{type(value).__qualname__} {hashlib.sha256(pickle.dumps(value)).hexdigest()}"
    except (pickle.PicklingError, TypeError, AttributeError) as error:
        where, kind = f"{user.__module__}.{user.__qualname__}", type(value).__qualname__
        raise UnkeyableError(f"{where} uses {name}, a {kind}: its content cannot be told") from error


def _described_class(kind: type) -> str:
    """Return a class by name, with its fields or members: their order is part of compiled code."""
    inside: object = ""
    if is_named_tuple(kind):
        inside = kind._fields  # type: ignore[attr-defined]
    elif issubclass(kind, enum.Enum):
        inside = [(each.name, _constant(each.value)) for each in kind]
    return f"class {kind.__module__}.{kind.__qualname__} {inside}"
