"""The files of a run directory while the run goes on: lines, tables, `run.json`, checkpoints."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np

from phasewise.profiling.artefacts.run_json import Resumption, RunJson, Status
from phasewise.profiling.artefacts.sinks import FileSink, Folder, Tail, write_atomically
from phasewise.profiling.environment import describe_environment
from phasewise.profiling.errors import RecordError, cannot_write
from phasewise.sched.api import Leaf
from phasewise.sched.basis import basis_of
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.errors import ResumeError
from phasewise.sched.recording.checkpoint import Checkpoint, Checkpoints, Marks
from phasewise.sched.recording.run_tables import Columns, RunTables
from phasewise.sched.round.outcome import JobRecord
from phasewise.sched.scenario.config import Output, Scenario

LINES: Final = "lines.log"
RUN: Final = "run.json"
STALE: Final = (
    "trace.json.gz",
    "error.txt",
)  # made when a run ends, one way or the other: where it goes on they hold no more

OVER: Final[frozenset[Status]] = frozenset({"complete", "overloaded"})
"""How a run ended that nothing carries further."""


class RunFiles:
    """A run directory.

    Parameters
    ----------
    out
        The folder.
    worker_types
        (W,) names, for the columns of `rounds.parquet`.
    origin
        The keys of `run.json` that are the same all the time (`origin`).
    output
        Which files there are.
    """

    def __init__(self, out: Path, worker_types: Sequence[str], origin: Mapping[str, Any], output: Output) -> None:
        self._out = out
        self._worker_types = worker_types
        self._origin = dict(origin)
        self._has_lines = output.lines == "all"
        self._folder = Folder(out)
        self._checkpoints = Checkpoints(out)
        self._lines: FileSink | None = None
        self._tables: RunTables | None = None

    @property
    def stands(self) -> bool:
        """Whether the folder is where it was."""
        return self._folder.stands

    def require(self) -> None:
        """Raise `OutputError` where the folder is gone, or another one is in its place."""
        self._folder.require()

    def begin(self) -> None:
        """Begin all files anew; a checkpoint of an earlier run goes first, as it belongs to the files of that."""
        self._checkpoints.remove()
        self._tidy()
        if self._has_lines:
            self._lines = FileSink(self._out / LINES)
        self._tables = RunTables(self._out, self._worker_types)

    def go_on(self, marks: Marks, first: bytes) -> None:
        """Cut all files back to ``marks``, and open them; raises as `rewind_table` and `rewind_lines`."""
        from phasewise.profiling.artefacts.rewinding import rewind_lines  # noqa: PLC0415  pyarrow, as in `run_tables`

        self._tidy()
        self._tables = RunTables(self._out, self._worker_types, marks.rows)
        if self._has_lines:
            rewind_lines(self._out / LINES, first, marks.lines)
            self._lines = FileSink(self._out / LINES, behind=marks.lines)

    def _tidy(self) -> None:
        """Remove what an earlier part of the run left that says something else now, or was being written."""
        stale = [self._out / name for name in STALE]
        try:
            for path in (*stale, *self._out.glob(".*.tmp"), *self._checkpoints.folder.glob(".*.tmp")):
                if not path.is_dir():  # somebody else's, then: writing over it will say so
                    path.unlink(missing_ok=True)
        except OSError as error:
            raise cannot_write(self._out, error) from error

    def imported(self, account: Mapping[str, Any]) -> None:
        """Note how the trace of the jobs was read."""
        self._origin["workload"] = dict(account)

    def line(self, line: bytes) -> None:
        """Take a line."""
        if self._lines is not None:
            self._lines.write(line)

    def chunk(self, *, rounds: Columns, placements: Columns, jobs: Sequence[JobRecord], origins: Columns) -> None:
        """Add a chunk of each table."""
        self._folder.require()
        if self._tables is not None:
            self._tables.write(rounds=rounds, placements=placements, jobs=jobs, origins=origins)

    def run(self, run: Mapping[str, Any]) -> None:
        """Write `run.json`."""
        record = RunJson(**self._origin, **run)
        content = msgspec.json.format(msgspec.json.encode(record, enc_hook=own_number), indent=1) + b"\n"
        self._folder.require()
        write_atomically(self._out / RUN, content)

    def checkpoint(self, round_index: int, state: Mapping[str, Leaf], recorder: Mapping[str, Leaf]) -> None:
        """Write all that is held back, and a checkpoint."""
        if self._tables is None:
            return
        if self._lines is not None:
            self._lines.flush()
        tail = Tail() if self._lines is None else self._lines.tail
        marks = Marks(rows=self._tables.rows, lines=tail)
        known = {name: self._origin[name] for name in ("scenario", "basis", "environment", "resumed")}
        self._checkpoints.save(
            Checkpoint(round_index=round_index, marks=marks, state=dict(state), recorder=dict(recorder), **known)
        )

    def close(self) -> None:
        """Complete lines and tables."""
        if self._lines is not None:
            self._lines.close()
        if self._tables is not None:
            self._tables.close()

    def complete(self) -> None:
        """Remove the checkpoints."""
        self._checkpoints.remove()


def require_files(out: Path, marks: Marks) -> None:
    """Check that the files of a run directory still hold what they held at a checkpoint.

    Raises
    ------
    ResumeError
        Where one of them does not.
    """
    from phasewise.profiling.artefacts.rewinding import require_lines, require_rows  # noqa: PLC0415  as above

    try:
        if marks.lines != Tail():
            require_lines(out / LINES, Tail(*marks.lines))
        for name, rows in marks.rows.items():
            require_rows(out / name, rows)
    except RecordError as error:
        raise ResumeError(str(error)) from error


def own_number(number: np.generic) -> object:
    """Return a number of NumPy's in Python's own, whoever counted with it."""
    return number.item()


def origin(
    scenario: Scenario, layout: ClusterLayout, command: Sequence[str], begun: Checkpoint | None
) -> dict[str, Any]:
    """Return what `run.json` says all the time of a run that goes on from ``begun``, or begins."""
    environment = describe_environment()
    return {
        "scenario": msgspec.to_builtins(scenario),
        "command": list(command),
        "environment": environment,
        "layout": layout.description(),
        "basis": basis_of(scenario),
        "resumed": [] if begun is None else [*begun.resumed, resumption(begun, environment)],
    }


def resumption(begun: Checkpoint, environment: Mapping[str, Any]) -> Resumption:
    """Return from where a run goes on, and what of the machine is another now."""
    there, here = _machine(begun.environment), _machine(environment)
    changed = {name: (there.get(name), here.get(name)) for name in there | here if there.get(name) != here.get(name)}
    return Resumption(round=begun.round_index, changed=changed)


def _machine(environment: Mapping[str, Any]) -> dict[str, Any]:
    return {"cpu": environment.get("cpu"), "python": environment.get("python"), **environment.get("packages", {})}
