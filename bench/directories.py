"""Which folder a run writes to, and that no earlier run is lost by accident."""

from __future__ import annotations

import contextlib
import shutil
from collections.abc import Iterator
from pathlib import Path

import click

from phasewise.profiling.errors import cannot_write

RUNS = Path("runs")
MARK = "run.json"  # what makes a folder a run directory


@contextlib.contextmanager
def claimed(out: Path | None, scenario: str, *, overwrite: bool) -> Iterator[Path]:
    """Yield an empty folder for a run; leave nothing behind where the run did not begin.

    Parameters
    ----------
    out
        The folder asked for; None takes the next free `runs/SCENARIO-N`.
    scenario
        The scenario's name.
    overwrite
        Whether a run directory in that place may be replaced. It is put aside first and comes back when the new run
        does not begin.

    Raises
    ------
    click.UsageError
        Where ``out`` is a file, or a folder that is not empty and may not be replaced.
    OutputError
        Where the folder cannot be made.
    """
    aside: Path | None = None
    existed = out is not None and out.exists()
    try:
        if out is None:
            out = _next_free(scenario)
        else:
            aside = _put_aside(out, overwrite=overwrite)
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise cannot_write(out or RUNS, error) from error
    try:
        yield out
    except BaseException:
        if not any(out.iterdir()):  # the run did not begin
            _give_back(out, aside, existed=existed)
        else:
            _drop(aside)
        raise
    _drop(aside)


def _next_free(scenario: str) -> Path:
    """Return a folder of its own, made here, so that runs started side by side do not meet in one."""
    RUNS.mkdir(exist_ok=True)
    number = 1
    while True:
        path = RUNS / f"{scenario.replace('/', '-')}-{number}"
        try:
            path.mkdir()
        except FileExistsError:
            number += 1
        else:
            return path


def _put_aside(out: Path, *, overwrite: bool) -> Path | None:
    """Return where the run directory ``out`` has been moved to, or None where there is nothing to move."""
    if not out.exists():
        return None
    if not out.is_dir():
        raise click.UsageError(f"--out {out} is a file; name a folder")
    if not any(out.iterdir()):
        return None
    if not (out / MARK).is_file():
        raise click.UsageError(
            f"--out {out} is not empty and holds no {MARK}, so it is not replaced; name another folder"
        )
    if not overwrite:
        raise click.UsageError(f"--out {out} holds a run already; name another folder, or replace it with --overwrite")
    aside = out.with_name(f".{out.resolve().name}.replaced")
    _drop(aside)
    return out.rename(aside)


def _drop(aside: Path | None) -> None:
    if aside is not None:
        shutil.rmtree(aside, ignore_errors=True)


def _give_back(out: Path, aside: Path | None, *, existed: bool) -> None:
    """Restore what was there before a run that did not begin."""
    with contextlib.suppress(OSError):
        if not existed or aside is not None:
            out.rmdir()
        if aside is not None:
            aside.rename(out)
