"""Run a scenario from the command line: the folder, the display, the signals, and what is said when it ends."""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click
import msgspec

from phasewise.bench.cli import progress
from phasewise.bench.cli.boundary import InterruptedRunError, Interruption
from phasewise.bench.cli.directories import claimed, has_begun

if TYPE_CHECKING:
    from phasewise.profiling.artefacts.sinks import Sink
    from phasewise.sched.scenario.config import Scenario


@dataclass(frozen=True, slots=True)
class Voice:
    """What may be said on standard error.

    Attributes
    ----------
    quiet
        Nothing but warnings.
    """

    quiet: bool

    def say(self, text: str) -> None:
        """Print a line."""
        if not self.quiet:
            print(text, file=sys.stderr)

    def warn(self, text: str) -> None:
        """Print a warning, also where quiet: it changes what the results mean."""
        print(f"phasewise: warning: {text}", file=sys.stderr)

    def lines(self) -> Sink:
        """Return the sink for standard error: PROFILE lines where nobody watches a bar there."""
        from phasewise.profiling.artefacts.sinks import NullSink, StreamSink

        if self.quiet or sys.stderr.isatty():
            return NullSink()
        return StreamSink(sys.stderr, kinds=("PROFILE",))


def perform(
    scenario: Scenario,
    out: Path | None,
    *,
    quiet: bool,
    overwrite: bool,
    resume: bool = False,
    then: Callable[[Path], None] = lambda _: None,
) -> Path:
    """Run ``scenario`` and return its run directory.

    Parameters
    ----------
    out
        The folder asked for, None for the next free one; no other run gets it meanwhile.
    quiet
        Say nothing on standard error.
    overwrite
        Whether a run in that folder may be replaced.
    resume
        Whether a run in that folder is to go on from its last checkpoint.
    then
        What else is to be written into the folder, while it still is this run's.

    Raises
    ------
    click.UsageError
        Where a run is to be resumed and no folder is given, or is to be replaced as well.
    InterruptedRunError
        On Ctrl-C, SIGTERM or SIGHUP, after what was computed has been saved.
    phasewise.sched.errors.SchedulingError, phasewise.solvers.errors.SolverError
        As `phasewise.sched.simulate.simulate`.
    """
    from phasewise.sched.simulate import Callbacks, simulate

    if resume and (out is None or overwrite):
        why = "it needs --out DIR, the run directory to continue" if out is None else "--overwrite begins anew"
        raise click.UsageError(f"--resume continues a run from its last checkpoint: {why}")
    voice, interruption = Voice(quiet), Interruption()
    lines = voice.lines()  # asks for a terminal before the bar puts something of its own in the place of standard error
    with claimed(out, scenario.name, overwrite=overwrite, resume=resume) as path, _told_where(path):
        with interruption.watched(), progress.shown(scenario.name, quiet=quiet) as report:
            outcome = simulate(
                scenario,
                path,
                lines=lines,
                command=["phasewise", *sys.argv[1:]],
                callbacks=Callbacks(report, voice.say, interruption.asked, warn=voice.warn),
                resume=resume,
            )
        warn_of_losses(outcome.summary, voice)
        then(path)
    return path


def warn_of_losses(summary: Mapping[str, Any], voice: Voice) -> None:
    """Warn of jobs that were refused or dropped: they are missing from every mean."""
    from phasewise.reports.losses import losses
    from phasewise.reports.run_directory import Summary

    for loss in losses(msgspec.convert(summary, Summary)):
        voice.warn(loss.sentence)


@contextlib.contextmanager
def _told_where(path: Path) -> Iterator[None]:
    """Turn an interruption into the error that says what the run has left."""
    try:
        yield
    except KeyboardInterrupt as interrupt:
        from phasewise.bench.cli.so_far import told_where

        if not has_begun(path):
            raise InterruptedRunError("the run had not begun") from interrupt
        raise InterruptedRunError(told_where(path), left=path) from interrupt
