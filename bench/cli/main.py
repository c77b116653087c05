"""The command line: `phasewise COMMAND`.

A command is one module of `phasewise.bench.cli.commands` and is imported only when it is used; what it needs beyond
click it imports when it runs. So `phasewise --help` and `phasewise list` answer without loading a solver.
"""

from __future__ import annotations

import importlib
import os
import pkgutil
import sys
import warnings
from collections.abc import Sequence
from typing import NoReturn

import click

from phasewise.bench.cli import commands
from phasewise.bench.cli.boundary import guarded
from phasewise.bench.cli.output import streams_in_place
from phasewise.profiling.names import nearest, quoted

PROGRAM = "phasewise"
THREADS = ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS")


class CommandFolder(click.Group):
    """A group whose commands are the modules of a package, imported on demand."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of the modules in the folder, in alphabetical order."""
        return sorted(module.name for module in pkgutil.iter_modules(commands.__path__))

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Return the command that the arguments name; fail with the nearest one where there is none."""
        name = args[0] if args else ""
        names = self.list_commands(ctx)
        if name and not name.startswith("-") and name not in names:
            ctx.fail(f"No such command {quoted(name)}{nearest(name, names)}; allowed: {', '.join(names)}.")
        return super().resolve_command(ctx, args)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return the command of that name, or None where there is no such module."""
        if cmd_name not in self.list_commands(ctx):
            return None
        command = importlib.import_module(f"{commands.__name__}.{cmd_name}").command
        assert isinstance(command, click.Command)
        return command


@click.group(cls=CommandFolder, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.version_option(package_name=PROGRAM, prog_name=PROGRAM)
def cli() -> None:
    """Simulate GPU-cluster scheduling and measure where the simulation spends its time.

    Start with `phasewise run philly`, then `phasewise report runs/philly-1`.
    """


def main(arguments: Sequence[str] | None = None) -> NoReturn:
    """Run the command line and exit: 0 done, 2 bad input, 3 the run failed, 130 interrupted.

    BLAS gets one thread unless the environment says otherwise.

    Parameters
    ----------
    arguments
        What follows `phasewise`; None means the process's own.

    Raises
    ------
    SystemExit
        Always, with the exit code.
    """
    for variable in THREADS:  # before NumPy is loaded: idle BLAS threads would be counted as CPU time of the run
        os.environ.setdefault(variable, "1")
    # what a library has to say to its developers is no output of this command; `python -W` still works
    warnings.simplefilter("ignore", append=True)
    words = sys.argv[1:] if arguments is None else list(arguments)
    with streams_in_place():
        sys.exit(guarded(lambda: cli.main(args=_as_text(words), prog_name=PROGRAM, standalone_mode=False)))


def _as_text(words: Sequence[str]) -> list[str]:
    """Return the arguments; raise `click.UsageError` for one that is not UTF-8, which no file of a run can hold."""
    for word in words:
        try:
            word.encode("utf-8")
        except UnicodeEncodeError:
            shown = os.fsencode(word).decode("utf-8", "backslashreplace")
            raise click.UsageError(f"the argument '{shown}' is not UTF-8; allowed: UTF-8 text") from None
    return list(words)
