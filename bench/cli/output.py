"""The standard streams: standard output as tables want it, standard error as a courtesy, neither a risk to a run."""

from __future__ import annotations

import contextlib
import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, TextIO, cast

from phasewise.profiling.artefacts.sinks import Courtesy

if TYPE_CHECKING:
    from rich.console import Console

FILE_COLUMNS = 120  # where no terminal says how wide it is
STREAMS = 3  # descriptors 0, 1 and 2


def console() -> Console:
    """Return standard output: a terminal with its own width and colours, a file or a pipe plain and wide enough."""
    from rich.console import Console

    class PlainConsole(Console):
        """A console that leaves it to the boundary what a lost reader means."""

        def on_broken_pipe(self) -> None:
            raise  # noqa: PLE0704  (rich calls this in its handler of the error)

    return PlainConsole(width=None if sys.stdout.isatty() else FILE_COLUMNS, highlight=False)


@contextlib.contextmanager
def streams_in_place() -> Iterator[None]:
    """See to it, for the block, that there are three streams and that standard error never raises.

    Where a stream was closed at the start its descriptor would go to the next file that is opened, and whatever prints
    would print into that.
    """
    null = os.open(os.devnull, os.O_RDWR)
    while null < STREAMS:
        null = os.dup(null)
    os.close(null)
    if sys.stdout is None:
        sys.stdout = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115  (for as long as the process lives)
    with contextlib.redirect_stderr(cast("TextIO", Courtesy(sys.stderr))):
        yield


@contextlib.contextmanager
def shown_if_possible(saved: Path) -> Iterator[None]:
    """Show, in the block, what a finished run came to; where cannot write to standard output, it is done all the same.

    Parameters
    ----------
    saved
        Where it is saved, which is said on standard error where the output is lost for another reason than that its
        reader has seen enough.
    """
    try:
        yield
        sys.stdout.flush()
    except OSError as error:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the last flush, at exit, needs a place to go
        if not isinstance(error, BrokenPipeError):
            lost = f"cannot write to standard output: {error.strerror}"
            print(f"phasewise: the results so far are saved in {saved}, but {lost}", file=sys.stderr)
