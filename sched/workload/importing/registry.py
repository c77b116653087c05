"""Trace formats by name.

A format is a class decorated by `register_format` in a module of `phasewise.sched.workload.formats`, or one that an
entry point of the group ``phasewise.formats`` names. Modules there must be cheap to import, because listing imports
them all.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import TypeVar

from phasewise.sched.errors import UnknownFormatError
from phasewise.sched.shelves import Shelf
from phasewise.sched.workload.importing.record import TraceFormat

F = TypeVar("F", bound=type[TraceFormat])

_FORMATS = Shelf("trace format", "phasewise.sched.workload.formats", "phasewise.formats")


def register_format(cls: F) -> F:
    """Register a class of trace formats under its `name`; a class decorator.

    Raises
    ------
    SchedulingError
        If another class has that name, or the class has no docstring.
    """
    _FORMATS.add(cls)
    return cls


def registered_format(cls: type[TraceFormat]) -> AbstractContextManager[None]:
    """Register a class of trace formats for the length of a ``with`` block."""
    return _FORMATS.holding(cls)


def trace_format(name: str) -> type[TraceFormat]:
    """Return the class of trace formats registered as ``name``.

    Raises
    ------
    UnknownFormatError
        If there is none, or its plug-in cannot be loaded; lists those there are, or says why.
    """
    cls: type[TraceFormat] = _FORMATS.get(name, UnknownFormatError)
    return cls


def format_names() -> tuple[str, ...]:
    """Return the names of all trace formats, alphabetically."""
    return tuple(_FORMATS.found())


def describe_formats() -> dict[str, str]:
    """Return one line on each trace format by name, alphabetically."""
    return _FORMATS.descriptions()


def broken_formats() -> dict[str, str]:
    """Return why a plug-in or a module of trace formats could not be loaded, by its name."""
    _FORMATS.found()
    return dict(sorted(_FORMATS.broken.items()))
