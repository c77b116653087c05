"""What an interrupted run or fill came to until then: shown as at its end, before the interruption goes on."""

from __future__ import annotations

import contextlib
import shlex
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from phasewise.bench.cli.boundary import InterruptedRunError
from phasewise.bench.cli.output import shown_if_possible

RESUMABLE = "run"  # the command that takes --resume


@contextlib.contextmanager
def shown_so_far(show: Callable[[Path], None]) -> Iterator[None]:
    """Show, where what runs in the block is interrupted, what it left in its folder.

    Parameters
    ----------
    show
        Prints what the folder holds. It is called only where there is something in it.

    Raises
    ------
    InterruptedRunError
        That of the block.
    """
    try:
        yield
    except InterruptedRunError as interrupted:
        if interrupted.left is not None:
            with shown_if_possible(interrupted.left):
                show(interrupted.left)
        raise


def told_where(out: Path) -> str:
    """Return where an interrupted run is saved, and, where it has a checkpoint, the command that goes on from there."""
    from phasewise.reports.run_directory import load_run
    from phasewise.sched.recording.checkpoint import Checkpoints

    saved = f"the results so far are saved in {out}"
    if load_run(out).status != "interrupted" or not any(Checkpoints(out).folder.glob("*.npz")):
        return saved
    return f"{saved}; to go on from its last checkpoint: {_resuming(sys.argv[1:], out)}"


def _resuming(words: Sequence[str], out: Path) -> str:
    """Return the command line that resumes the run which ``words`` began."""
    if not words or words[0] != RESUMABLE:
        return f"phasewise {RESUMABLE} with the same scenario and options, --resume --out {shlex.quote(str(out))}"
    kept = [word for word in words if word not in ("--overwrite", "--resume")]
    placed = any(word == "--out" or word.startswith("--out=") for word in kept)
    return shlex.join(["phasewise", *kept, "--resume", *([] if placed else ["--out", str(out)])])
