"""The one place where an error becomes a message and an exit code."""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections.abc import Callable, Iterator
from enum import IntEnum
from pathlib import Path
from types import FrameType

import click

from phasewise.bench.study.errors import StudyError
from phasewise.profiling.defects import frames, keep_traceback, module_of, told, where_kept
from phasewise.profiling.errors import ProfilingError
from phasewise.reports.errors import ReportError
from phasewise.sched.errors import InflationFailedError, InvariantError, RunFailedError, SchedulingError
from phasewise.solvers.errors import ReplayFailedError, SolverError


class ExitCode(IntEnum):
    """What the shell is told."""

    DONE = 0
    BAD_INPUT = 2
    FAILED = 3
    INTERRUPTED = 130  # 128 + SIGINT, as shells count


class InterruptedRunError(Exception):
    """A run was interrupted; the message says what it left.

    Attributes
    ----------
    left
        The folder with what was computed, None where nothing was.
    """

    def __init__(self, *told: str, left: Path | None = None) -> None:
        super().__init__(*told)
        self.left = left


class AfterRunError(Exception):
    """A run is done and saved, and what was to follow it failed; the message says where the run is."""


_EXPECTED = (
    AfterRunError,
    InterruptedRunError,
    click.ClickException,
    ProfilingError,
    ReportError,
    SchedulingError,
    SolverError,
    StudyError,
)


def guarded(call: Callable[[], object]) -> int:
    """Return the exit code of ``call``, having printed one message on stderr where it did not succeed.

    Errors of these packages and wrong usage are messages. Anything else is a defect, of the program or of a plug-in:
    one message as well, which names the file that keeps the traceback.
    """
    try:
        result = call()
        sys.stdout.flush()
    except BaseException as error:
        return _ended(error)
    return result if isinstance(result, int) else ExitCode.DONE


def _ended(error: BaseException) -> int:
    """Say what ended the call, and return the exit code."""
    code: int
    match error:
        case click.Abort(__cause__=EOFError() as end):  # click takes an input that ended for an interruption
            code = _defect(end)
        case KeyboardInterrupt() | click.Abort():
            code = _say(InterruptedRunError())
        case SystemExit() if _readers_gone(error):
            code = ExitCode.DONE
        case click.exceptions.NoArgsIsHelpError():
            error.show()
            code = ExitCode.BAD_INPUT
        case _ if isinstance(error, _EXPECTED):
            code = _say(error)
        case OSError() if not _output_stands():
            code = _lost_output(error)
        case _:
            code = _defect(error)
    return code


class Interruption:
    """Ctrl-C, SIGTERM and SIGHUP as a wish, granted between two rounds; whoever asks twice is obeyed at once."""

    def __init__(self) -> None:
        self._asked = False

    def asked(self) -> bool:
        """Return whether a signal has come."""
        return self._asked

    @contextlib.contextmanager
    def watched(self) -> Iterator[None]:
        """Take the signals within the block; under `nohup` a terminal that goes away is none."""
        numbers = [signal.SIGINT, signal.SIGTERM]
        if signal.getsignal(signal.SIGHUP) is not signal.SIG_IGN:
            numbers.append(signal.SIGHUP)
        previous = {number: signal.signal(number, self._take) for number in numbers}
        try:
            yield
        finally:
            for number, handler in previous.items():
                signal.signal(number, handler)

    def _take(self, _number: int, _frame: FrameType | None) -> None:
        if self._asked:
            raise KeyboardInterrupt
        self._asked = True


def _say(error: BaseException) -> int:
    """Print the one message for ``error`` and return its exit code."""
    match error:
        case InterruptedRunError():
            text, code = ": ".join(["interrupted", *map(str, error.args)]), ExitCode.INTERRUPTED
        case AfterRunError() | RunFailedError() | InflationFailedError() | InvariantError() | ReplayFailedError():
            text, code = f"error: {error}", ExitCode.FAILED
        case click.UsageError():
            text, code = f"error: {_usage(error)}", ExitCode.BAD_INPUT
        case click.ClickException():
            text, code = f"error: {error.format_message()}", ExitCode.BAD_INPUT
        case _:
            text, code = f"error: {error}", ExitCode.BAD_INPUT
    print(f"phasewise: {text}", file=sys.stderr)
    return code


def _readers_gone(end: SystemExit) -> bool:
    """Return whether click or rich ask for the end: the reader of our output (`head`, a pager) has seen enough."""
    return any(module_of(frame).partition(".")[0] in {"click", "rich"} for frame, _ in list(frames(end))[:1])


def _defect(error: BaseException) -> int:
    """Print the one message for what nobody foresaw, keep its traceback in a file, and return the exit code."""
    kept = where_kept(keep_traceback(error), error)
    print(f"phasewise: error: a defect: {told(error)}; {kept}", file=sys.stderr)
    return ExitCode.FAILED


def _usage(error: click.UsageError) -> str:
    """Return click's complaint with the way to the help of the command it was raised in."""
    where = error.ctx.command_path if error.ctx is not None else "phasewise"
    return f"{error.format_message().rstrip('.')} (see `{where} --help`)"


def _output_stands() -> bool:
    """Return whether standard output still takes an empty line."""
    try:
        print(flush=True)
    except OSError:
        return False
    return True


def _lost_output(error: OSError) -> int:
    """Say that standard output takes no more; say nothing where its reader (`head`, a pager) has seen enough."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the last flush, at exit, needs a place to go
    if isinstance(error, BrokenPipeError):
        return ExitCode.DONE
    print(f"phasewise: error: cannot write to standard output: {error.strerror}", file=sys.stderr)
    return ExitCode.FAILED
