"""Running backends over the test set: a row at a time, kept as it comes, so that an interrupted run goes on."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from phasewise.bench.testset.errors import TestsetError
from phasewise.bench.testset.judging import Reached
from phasewise.bench.testset.link import Link
from phasewise.bench.testset.manifest import Instance, Manifest
from phasewise.bench.testset.rows import MODES, Row, line, read
from phasewise.bench.testset.tapes import tape_of
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.environment import describe_environment
from phasewise.profiling.errors import cannot_read, cannot_write
from phasewise.profiling.own_files import unpinned
from phasewise.solvers import registry

ROWS: Final = "rows.jsonl"
ABOUT: Final = "testset.json"
_SAME: Final = ("testset", "commit", "dirty", "cpu", "python")
"""What has to be as it was for a run to go on: rows of two machines or versions are two tables."""

Say = Callable[[str], None]


class Folder:
    """The folder of a run: what it was made by, and the rows so far.

    Raises
    ------
    TestsetError
        Where it holds results of another version, machine or test set.
    OutputError, RecordError
        Where it cannot be written or read.
    """

    def __init__(self, path: Path, manifest: Manifest) -> None:
        self.path, self.testset, self._manifest = path, manifest.testset, manifest
        environment = describe_environment()
        self.machine = str(environment.get("cpu") or "unknown")
        about = {"testset": manifest.testset, **environment}
        try:
            path.mkdir(parents=True, exist_ok=True)
            if (file := path / ABOUT).is_file():
                self._require_same(file, about)
            else:
                write_atomically(file, (json.dumps(about, indent=2, sort_keys=True) + "\n").encode())
        except OSError as error:
            raise cannot_write(path, error) from error

    def _require_same(self, file: Path, about: dict[str, Any]) -> None:
        try:
            before = json.loads(file.read_text("utf-8"))
        except OSError as error:
            raise cannot_read(file, error) from error
        except ValueError as error:
            raise TestsetError(f"{file} is not JSON: {error}; choose another --out") from error
        if not isinstance(before, dict):
            raise TestsetError(f"{file} is not a JSON object; choose another --out")
        for name in _SAME:
            if before.get(name) != about.get(name):
                raise TestsetError(
                    f"{self.path} has results of another {name} ({before.get(name)!r}, now {about.get(name)!r}); "
                    "choose another --out"
                )

    def rows(self) -> list[Row]:
        """Return the rows so far, of each key the last."""
        file = self.path / ROWS
        found = read(file, self._manifest) if file.is_file() else []
        return list({row.key: row for row in found}.values())

    def mend(self) -> None:
        """Cut off the piece of a line that a killed run may have left, before another is written after it."""
        file = self.path / ROWS
        if file.is_file() and not (content := file.read_bytes()).endswith(b"\n") and content:
            write_atomically(file, content[: content.rfind(b"\n") + 1])

    def keep(self, row: Row) -> None:
        """Append a row; raise `OutputError` where it cannot be written."""
        try:
            with (self.path / ROWS).open("ab") as file:
                file.write(line(row))
        except OSError as error:
            raise cannot_write(self.path / ROWS, error) from error


class Task(NamedTuple):
    """A row that is to be measured."""

    backend: str
    instance: Instance
    mode: str
    limit_s: float


def run(
    backends: Sequence[str], instances: Sequence[Instance], folder: Folder, limit_s: float | None, say: Say, cache: Path
) -> int:
    """Measure every row that ``folder`` does not have, and return how many that were.

    Parameters
    ----------
    backends
        Names, aliases or ``FILE.py:CLASS``.
    limit_s
        CPU seconds a problem; None for those of the manifest.

    Raises
    ------
    UnknownBackendError
        Where a backend is not there or not installed, before anything is measured.
    TestsetError, OutputError, RecordError, TapeError
        Where an instance or the folder cannot be used.
    """
    families = {name: registry.get(name).families for name in backends}
    done = {row.key: row for row in folder.rows()}
    folder.mend()
    count = 0
    for name in backends:
        called = _called(name)
        with Link(name) as link:
            ended: str | None = None  # an instance whose cold walk ran out of time
            for task in _tasks(name, instances, limit_s):
                row = done.get((called, folder.machine, task.instance.name, task.mode))
                if row is None or row.limit_s != task.limit_s:
                    figures = _figures(task, families[name], link, cache, out_of_time=ended == task.instance.name)
                    row = _row(task, called, folder, figures)
                    folder.keep(row)
                    count += 1
                    say(f"{called} {task.instance.name} {task.mode}: {row.tolerance}{_time(row)}")
                ended = task.instance.name if row.tolerance is Reached.LIMIT else None
    return count


def _called(name: str) -> str:
    """Return what rows call a backend: its registered name, or the file and class that it was named by."""
    return unpinned(name) if ".py:" in name else registry.get(name).name


def _tasks(name: str, instances: Sequence[Instance], limit_s: float | None) -> Iterator[Task]:
    for instance in instances:
        for mode in MODES:
            yield Task(name, instance, mode, instance.limit_s if limit_s is None else limit_s)


def _figures(task: Task, families: frozenset[str], link: Link, cache: Path, *, out_of_time: bool) -> dict[str, Any]:
    """Return the measured columns of a row: measured only where the backend takes the family and there is hope."""
    nothing = {"problems": 0, "cpu_ms": None, "cpu_ms_max": None, "objective": None, "gap": None, "violation": None}
    if task.instance.family not in families:
        message = f"does not take problem family {task.instance.family}"
        return {**nothing, "failures": 0, "tolerance": str(Reached.REFUSED), "message": message}
    if out_of_time and task.mode == MODES[1]:  # its first problem is as cold
        message = "not tried, as the cold walk ran out of time"
        return {**nothing, "failures": 1, "tolerance": str(Reached.LIMIT), "message": message}
    return link.figures(task.instance.name, tape_of(task.instance, cache), task.mode, task.limit_s)


def _row(task: Task, called: str, folder: Folder, figures: dict[str, Any]) -> Row:
    instance = task.instance
    known = {"instance": instance.name, "sha256": instance.sha256, "backend": called, "mode": task.mode}
    return msgspec.convert(
        {
            **known,
            "testset": folder.testset,
            "limit_s": task.limit_s,
            "judged": True,
            "machine": folder.machine,
            **figures,
        },
        Row,
    )


def _time(row: Row) -> str:
    return "" if row.cpu_ms is None else f", {row.cpu_ms:.3g} ms"
