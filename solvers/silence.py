"""Standard output and standard error belong to this project: what a native library says there is dropped.

HiGHS 1.16 prints a banner when its first object is made, before any option can be set; SCS prints why it gives up
whatever its options say; CVXPY tries every solver that is installed when it is imported, and some greet.
"""

from __future__ import annotations

import atexit
import contextlib
import ctypes
import os
import sys
import threading
from collections.abc import Callable, Iterator
from functools import cache
from typing import TYPE_CHECKING, Final, TextIO

if TYPE_CHECKING:
    import highspy


class _Redirection:
    """One of the two standard streams, led nowhere: its file descriptor and Python's object of it."""

    def __init__(self, name: str, descriptor: int) -> None:
        self._name, self._descriptor = name, descriptor
        self._depth = 0
        self._kept: int | None = None
        self._stream: TextIO | None = None
        self._nowhere: TextIO | None = None

    def begin(self) -> None:
        """Lead it nowhere; what was written before still gets where it was meant to."""
        self._depth += 1
        if self._depth > 1:
            return
        self._stream = getattr(sys, self._name)
        _flush(self._stream)
        self._kept = None
        with contextlib.suppress(OSError):  # closed by whoever started the process: then there is nothing to lead away
            self._kept = os.dup(self._descriptor)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, self._descriptor)
            os.close(nowhere)
        if self._nowhere is None:  # open until the process ends: a logger that is made within the block keeps it
            self._nowhere = open(os.devnull, "w", encoding="utf-8")  # noqa: PTH123, SIM115
            atexit.register(self._nowhere.close)
        setattr(sys, self._name, self._nowhere)

    def end(self) -> None:
        """Undo one `begin`."""
        self._depth -= 1
        if self._depth:
            return
        if getattr(sys, self._name) is self._nowhere:  # else somebody else has replaced it meanwhile
            setattr(sys, self._name, self._stream)
        if self._kept is not None:
            os.dup2(self._kept, self._descriptor)
            os.close(self._kept)


_OUTPUT: Final = _Redirection("stdout", 1)
_ERRORS: Final = _Redirection("stderr", 2)
_LOCK: Final = threading.Lock()


@contextlib.contextmanager
def silenced(*, errors: bool = True) -> Iterator[None]:
    """Drop what is written to the standard streams within the block, by native code as well as by Python's.

    It takes microseconds. The streams are the process's: what other threads write meanwhile is dropped too, so that it
    belongs around the making of native objects, and around those solves alone that would otherwise speak. Blocks may
    nest and overlap in time.

    Parameters
    ----------
    errors
        Whether standard error, where this project shows its progress, is silenced as well.
    """
    redirections = (_OUTPUT, _ERRORS) if errors else (_OUTPUT,)
    flush_native = _native_flush()
    with _LOCK:
        flush_native()
        for each in redirections:
            each.begin()
    try:
        yield
    finally:
        with _LOCK:
            flush_native()  # into nowhere: C keeps what it prints to a pipe or a file until its buffer is full
            for each in redirections:
                each.end()


def new_highs() -> highspy.Highs:
    """Return a new HiGHS object with its output turned off, made without a word."""
    with silenced():
        import highspy

        highs = highspy.Highs()
        highs.setOptionValue("output_flag", False)
        highs.setOptionValue("log_to_console", False)
    return highs


def _flush(stream: TextIO | None) -> None:
    """Write out what ``stream`` holds back; one that is closed or lost is the concern of whoever writes to it next."""
    if stream is not None:
        with contextlib.suppress(OSError, ValueError):
            stream.flush()


@cache
def _native_flush() -> Callable[[], object]:
    """Return the function that writes out what C's own streams hold back, or one that does nothing."""
    try:
        flush = ctypes.CDLL(None).fflush
    except (OSError, TypeError, AttributeError):  # no C library by that name, as on Windows
        return lambda: None
    return lambda: flush(None)
