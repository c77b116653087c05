"""Standard output, as the tables of `phasewise.reports` want it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

FILE_COLUMNS = 120  # where no terminal says how wide it is


def console() -> Console:
    """Return standard output: a terminal with its own width and colours, a file or a pipe plain and wide enough."""
    from rich.console import Console

    return Console(width=None if sys.stdout.isatty() else FILE_COLUMNS, highlight=False)
