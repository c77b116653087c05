"""Whose failure is it: the native solver's, or that of the code which calls it? The place decides, not the class."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import native_library
import numpy as np
import pytest
from scipy import sparse

from phasewise.solvers.native import is_native


class OwnError(Exception):
    """What the author of a plug-in might define."""


class PanicError(BaseException):
    """A panic of Rust: no `Exception`, and of a module that the binding makes up."""


PanicError.__module__ = "pyo3_runtime"


@dataclass(frozen=True)
class Backend:
    """As much of a backend as is asked for; its own package is this file."""

    requires: Mapping[str, str] = field(default_factory=dict)


def out_of_a_binding(error: type[BaseException]) -> None:
    """Raise as compiled code does, without a frame of its own."""
    ctypes.pythonapi.PyErr_SetNone(ctypes.py_object(error))


def changes_while_iterating() -> None:
    entries = {1: 1}
    for entry in entries:
        entries[entry + 1] = 1


def raises(error: BaseException) -> Callable[[], object]:
    def call() -> object:
        raise error

    return call


NATIVE: Mapping[str, Callable[[], object]] = {
    "raised in the library's lines": lambda: native_library.fail(ValueError("x")),
    "an index in the library's lines": lambda: native_library.fail(IndexError("x")),
    "a class of the library": lambda: native_library.fail(OwnError("x")),
    "RuntimeError out of compiled code": lambda: threading.Lock().release(),
    "a class of compiled code": lambda: out_of_a_binding(PanicError),
    "no memory": lambda: np.zeros(1 << 50),
    "no memory, told by ourselves": raises(MemoryError()),
}
OURS: Mapping[str, Callable[[], object]] = {
    "RuntimeError of our own": raises(RuntimeError("x")),
    "a class of our own": raises(OwnError("x")),
    "a wrong name": lambda: np.no_such_name,  # type: ignore[attr-defined]
    "a wrong key": lambda: {}["a"],
    "a wrong type for compiled code": lambda: out_of_a_binding(TypeError),
    "a wrong value for compiled code": lambda: out_of_a_binding(ValueError),
    "a wrong shape for NumPy": lambda: np.concatenate([np.zeros((2, 2)), np.zeros(3)]),
    "a singular matrix": lambda: np.linalg.inv(np.zeros((2, 2))),
    "a wrong shape for SciPy": lambda: sparse.csr_array(np.eye(2)) @ np.ones(3),
    "a mapping that changes": changes_while_iterating,
    "an input that ended": raises(EOFError()),
    "an assertion": raises(AssertionError()),
}
WISHES: Mapping[str, Callable[[], object]] = {
    "Ctrl-C": lambda: native_library.fail(KeyboardInterrupt()),
    "the end": lambda: native_library.fail(SystemExit(0)),
}


def caught(call: Callable[[], object]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    pytest.fail("nothing was raised")


@pytest.mark.parametrize("what", NATIVE)
def test_a_native_solver_fails_in_its_own_lines_or_without_any(what: str) -> None:
    assert is_native(caught(NATIVE[what]), Backend())  # type: ignore[arg-type]


@pytest.mark.parametrize("what", [*OURS, *WISHES])
def test_what_the_calling_code_does_wrong_is_no_failure_of_the_solver(what: str) -> None:
    assert not is_native(caught({**OURS, **WISHES}[what]), Backend())  # type: ignore[arg-type]


def test_scipy_is_a_solver_only_for_a_backend_that_requires_it() -> None:
    error = caught(OURS["a wrong shape for SciPy"])
    assert is_native(error, Backend({"scipy.optimize": "scipy"}))  # type: ignore[arg-type]
    assert not is_native(error, Backend({"highspy": "highspy"}))  # type: ignore[arg-type]


def test_the_session_may_lie_in_another_package_than_its_backend() -> None:
    def failing() -> None:
        native_library.fail(KeyError("x"))

    class Session:
        """Of the library's package."""

    Session.__module__ = native_library.__name__
    assert is_native(caught(failing), Backend())  # type: ignore[arg-type]
    assert not is_native(caught(failing), Backend(), Session())  # type: ignore[arg-type]
