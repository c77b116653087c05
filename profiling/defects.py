"""What was raised, where, and the file that keeps the traceback: an error that nobody foresaw, in words for a message.

A traceback is for who mends the code. Who reads the message wants to know what was raised, in which line, and where the
rest is.
"""

from __future__ import annotations

import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Final

from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import OutputError

FILE: Final = "error.txt"
"""The traceback of a failed run, in its run directory."""

TOOLS: Final = frozenset({*sys.stdlib_module_names, "builtins", "numpy", "numba", "llvmlite"})
"""What everybody computes with: what comes out of these is the fault of whoever called them."""

_MOST_WORDS: Final = 300  # characters of an error's own text in a message of one line


def module_of(frame: FrameType) -> str:
    """Return the dotted name of the module whose code runs in ``frame``, empty where it has none."""
    name = frame.f_globals.get("__name__")
    return name if isinstance(name, str) else ""


def belongs(module: str, package: str) -> bool:
    """Return whether ``module`` is ``package`` or lies in it."""
    return module == package or module.startswith(f"{package}.")


def is_somebodys(module: str) -> bool:
    """Return whether a line of ``module`` is worth naming: it is none of `TOOLS`."""
    return module.partition(".")[0] not in TOOLS


def frames(error: BaseException) -> Iterator[tuple[FrameType, int]]:
    """Yield the frames that ``error`` went through with the line of each, the innermost first."""
    return reversed(list(traceback.walk_tb(error.__traceback__)))


def said(error: BaseException) -> str:
    """Return the class and the text of ``error`` in one line."""
    try:
        text = " ".join(str(error).split())
    except Exception as unspoken:  # an error that cannot even say what it is must not hide itself
        text = f"(its text cannot be read: {type(unspoken).__name__})"
    if len(text) > _MOST_WORDS:
        text = f"{text[:_MOST_WORDS]} ..."
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def told(error: BaseException, chosen: Callable[[str], bool] = is_somebodys) -> str:
    """Return `said` and the line that is worth looking at: ``KeyError: 'a' (line 12 of FILE, in FUNCTION)``.

    Parameters
    ----------
    chosen
        Given the name of a module, says whether its lines are worth naming. The innermost such line is named, and none
        where there is none.
    """
    for frame, line in frames(error):
        if chosen(module_of(frame)):
            return f"{said(error)} (line {line} of {frame.f_code.co_filename}, in {frame.f_code.co_name})"
    return said(error)


def keep_traceback(error: BaseException, folder: Path | None = None) -> Path | None:
    """Write the traceback of ``error`` to `FILE` in ``folder`` and return its path.

    A file of its own in the system's folder for temporary files where there is no ``folder``, or it takes no file; None
    where that takes none either.
    """
    content = "".join(traceback.format_exception(error)).encode("utf-8", "backslashreplace")
    if folder is not None:
        try:
            write_atomically(folder / FILE, content)
        except OutputError:
            pass
        else:
            return folder / FILE
    try:
        with tempfile.NamedTemporaryFile(prefix="phasewise-error-", suffix=".txt", delete=False) as file:
            file.write(content)
    except OSError:
        return None
    return Path(file.name)


def where_kept(path: Path | None, error: BaseException) -> str:
    """Return where the traceback is, for a message; the innermost lines of it where it could not be kept."""
    if path is not None:
        return f"traceback: {path}"
    return "its traceback could not be written; innermost: " + " < ".join(
        f"{frame.f_code.co_filename}:{line}" for frame, line in list(frames(error))[:4]
    )
