"""Backends that somebody hands in: out of a file that is named ``FILE.py:CLASS``, or as a class or an object."""

from __future__ import annotations

from typing import Any, Final

from phasewise.profiling import own_files
from phasewise.profiling.defects import is_somebodys, told
from phasewise.profiling.errors import OwnFileError
from phasewise.solvers.api import SolverBackend
from phasewise.solvers.errors import UnknownBackendError

NEEDED: Final = {
    "name": "a text",
    "aliases": "other names of it, () for none",
    "families": "a frozenset of problem families",
    "requires": "what pip must have installed by module, {} for nothing",
    "limits": "what to know before choosing it, a text",
    "tolerance": "the relative gap that its answers keep, a number",
    "open": "open(options, timer), which returns a session",
}


def of_file(name: str) -> SolverBackend:
    """Return the backend that ``FILE.py:CLASS`` names; raises `UnknownBackendError` saying what is wrong with it."""
    try:
        return made(own_files.load(name), own_files.symbol(name))
    except (OwnFileError, UnknownBackendError) as error:
        raise UnknownBackendError(f"solver backend {own_files.unpinned(name)}: {error}") from error


def made(thing: Any, called: str) -> SolverBackend:
    """Return a backend from its class, which is called without arguments, or as it is.

    Raises
    ------
    UnknownBackendError
        Where the class raises, or the backend is none: says what it lacks.
    """
    if isinstance(thing, type):
        try:
            backend = thing()
        except Exception as error:
            raise UnknownBackendError(f"{called}() raised {told(error, _is_theirs)}") from error
    else:
        backend = thing
    lacks = [f"{each} ({what})" for each, what in NEEDED.items() if not hasattr(backend, each)]
    if lacks:
        raise UnknownBackendError(f"{called} is no solver backend: it lacks {'; '.join(lacks)}")
    found: SolverBackend = backend
    words = (found.name, found.limits, *found.aliases, *found.requires, *found.requires.values(), *found.families)
    if not all(isinstance(word, str) for word in words):
        raise UnknownBackendError(
            f"{called} is no solver backend: name, aliases, families, requires and limits must be text"
        )
    return found


def _is_theirs(module: str) -> bool:
    return module != __name__ and is_somebodys(module)
