"""Results: a row for every backend, instance and start, as files that anybody can write."""

from __future__ import annotations

import csv
import io
import json
import math
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from phasewise.bench.testset.errors import TestsetError
from phasewise.bench.testset.judging import Reached
from phasewise.bench.testset.manifest import Manifest
from phasewise.profiling.errors import cannot_read

MODES: Final = ("cold", "warm")


class Row(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """What a backend made of an instance.

    Attributes
    ----------
    testset
        Version of the set.
    instance, sha256
        Which, and the digest of the problems that were solved.
    backend
        Its name.
    mode
        ``cold``: every problem in a session of its own; ``warm``: one session goes through them in their order.
    problems
        How many were answered.
    cpu_ms, cpu_ms_max
        CPU milliseconds a problem, building and solving, mean and largest; warm ones without the first problem. None
        where none was answered.
    objective
        Of the last problem answered.
    gap, violation
        The worst of all problems, as fractions.
    tolerance
        The class that the worst answer is in, see `phasewise.bench.testset.judging.Reached`.
    failures
        Problems without an answer of class 1e-3 or better.
    limit_s
        CPU seconds that a problem was given.
    judged
        Whether the figures are phasewise's own judgement; false for those that somebody else reports.
    machine
        What it was measured on, in words; times of two machines are not compared.
    message
        Why the first that failed did.
    """

    testset: int
    instance: str
    sha256: str
    backend: str
    mode: Literal["cold", "warm"]
    problems: int
    cpu_ms: float | None
    cpu_ms_max: float | None
    objective: float | None
    gap: float | None
    violation: float | None
    tolerance: Reached
    failures: int
    limit_s: float
    judged: bool = False
    machine: str = ""
    message: str = ""

    @property
    def key(self) -> tuple[str, str, str, str]:
        """What there is one row of: backend, machine, instance and start."""
        return (self.backend, self.machine, self.instance, self.mode)


COLUMNS: Final = Row.__struct_fields__


def csv_text(rows: Iterable[Row]) -> str:
    """Return rows as CSV with a header; what is None is empty."""
    stream = io.StringIO()
    writer = csv.DictWriter(stream, COLUMNS, lineterminator="\n")
    writer.writeheader()
    for row in rows:
        writer.writerow(msgspec.to_builtins(row))
    return stream.getvalue()


def line(row: Row) -> bytes:
    """Return a row as a line of JSON."""
    return msgspec.json.encode(row) + b"\n"


def read(path: Path, manifest: Manifest) -> list[Row]:
    """Return the rows of a file, checked: CSV with a header, a JSON list, or a row of JSON a line.

    Raises
    ------
    TestsetError
        Where a row is none, or is of another test set; names file and row.
    phasewise.profiling.errors.RecordError
        Where the file cannot be read.
    """
    try:
        text = path.read_text("utf-8")
    except OSError as error:
        raise cannot_read(path, error) from error
    except UnicodeDecodeError as error:
        raise TestsetError(f"{path} is not text in UTF-8: {error}") from error
    found = [_row(path, number, plain) for number, plain in enumerate(_plain(path, text), 1)]
    for number, row in enumerate(found, 1):
        if (fault := _fault(row, manifest)) is not None:
            raise TestsetError(f"{path}, row {number}: {fault}")
    return found


def _plain(path: Path, text: str) -> Sequence[dict[str, Any]]:
    """Return the rows of a text as dictionaries; a last line without its end is that of a killed run, and no row."""
    if path.suffix == ".csv":
        table = csv.DictReader(io.StringIO(text))
        if lacking := [name for name in COLUMNS if name not in (table.fieldnames or ())]:
            raise TestsetError(f"{path} lacks the columns {', '.join(lacking)}")
        return [{name: value for name, value in each.items() if value != "" and name is not None} for each in table]
    try:
        if text.lstrip().startswith("["):
            return list(json.loads(text))
        whole = text if text.endswith("\n") else text[: text.rfind("\n") + 1]
        return [json.loads(each) for each in whole.splitlines() if each.strip()]
    except ValueError as error:
        raise TestsetError(f"{path} is no table of results, neither CSV nor JSON: {error}") from error


def _row(path: Path, number: int, plain: dict[str, Any]) -> Row:
    try:
        return msgspec.convert({**_NOTHING, **plain}, Row, strict=False)
    except (msgspec.ValidationError, TypeError) as error:
        raise TestsetError(f"{path}, row {number}: {error}") from error


_NOTHING: Final = dict.fromkeys(("cpu_ms", "cpu_ms_max", "objective", "gap", "violation"))


def _fault(row: Row, manifest: Manifest) -> str | None:
    """Return what is wrong with a row, or None."""
    if row.testset != manifest.testset:
        return f"is of test set {row.testset}; this is test set {manifest.testset}"
    instance = manifest.named(row.instance)
    if row.sha256 != instance.sha256:
        return f"sha256 of {row.instance} is {row.sha256[:16]}..., in the manifest {instance.sha256[:16]}..."
    numbers = {name: getattr(row, name) for name in ("cpu_ms", "cpu_ms_max", "gap", "violation", "limit_s")}
    stated = {name: value for name, value in numbers.items() if value is not None}
    if wrong := [f"{name} is {value!r}" for name, value in stated.items() if not 0.0 <= value < math.inf]:
        return f"{', '.join(wrong)}; allowed: finite numbers of at least 0"
    if row.cpu_ms is None and row.tolerance in SOLVED:
        return f"tolerance is {row.tolerance} but cpu_ms is missing"
    return None


SOLVED: Final = (Reached.NINTH, Reached.SIXTH, Reached.THIRD)
"""Classes of answers that count as good ones, the tightest first."""
