"""The files of a history: a line a measurement, a file a machine.

A line is added and never changed, and the order of lines means nothing: so two histories of one machine are merged by
putting their lines together, which git does by itself (``*.jsonl merge=union`` in ``.gitattributes``).
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any, Final, NamedTuple

import msgspec

from phasewise.bench.history.errors import HistoryError
from phasewise.profiling.errors import cannot_read, cannot_write

FOLDER: Final = Path(".bench/history")
SUFFIX: Final = ".jsonl"
_MACHINE_KEYS: Final = ("cpu", "cores", "system", "python")
_DIGITS: Final = 12  # of a fingerprint


class Kind(StrEnum):
    """What a measurement was taken by, and so what its logarithm is of."""

    SUITE = "suite"  # CPU time of a step over that of the yardstick
    GATE = "gate"  # CPU time over that of the base, in live worker pairs


class Measurement(msgspec.Struct, frozen=True, kw_only=True):
    """One measurement of one case at one commit.

    Attributes
    ----------
    kind
        What took it.
    case
        Name of the case, as the suite has it.
    commit
        Full hash of the commit.
    committed_s
        When the commit was made, seconds since 1970: the order of a series.
    subject
        First line of the commit's message.
    measured_s
        When it was measured, seconds since 1970.
    log, low, high
        Natural logarithm of the ratio that `Kind` names, between the ends of its 95 % interval.
    cpu_ms
        CPU milliseconds of a step (suite) or of a sample (gate), for readers; series are made of ``log``.
    base
        Full hash of the base, for the gate.
    counters
        Work done, the same on every machine.
    packages
        Versions of the packages that decide speeds.
    v
        Version of this form.
    """

    kind: Kind
    case: str
    commit: str
    committed_s: float
    subject: str
    measured_s: float
    log: float
    low: float
    high: float
    cpu_ms: float
    base: str | None = None
    counters: dict[str, float] = {}
    packages: dict[str, str | None] = {}
    v: int = 1


class Kept(NamedTuple):
    """What a file of a history holds.

    Attributes
    ----------
    machine
        What distinguishes the machine.
    measurements
        Without repetitions.
    broken
        Lines that are none: the last one of a process that was killed, say.
    """

    machine: Mapping[str, Any]
    measurements: Sequence[Measurement]
    broken: int


def machine_of(environment: Mapping[str, Any]) -> dict[str, Any]:
    """Return what makes figures of one machine comparable, of what `describe_environment` says."""
    python = ".".join(str(environment["python"]).split(".")[:2])
    system = str(environment["platform"]).partition("-")[0]
    return {"cpu": environment["cpu"], "cores": environment["cores"], "system": system, "python": python}


def fingerprint(machine: Mapping[str, Any]) -> str:
    """Return the name of the machine's file: the first digits of a digest of what distinguishes it."""
    text = json.dumps({key: machine[key] for key in _MACHINE_KEYS}, sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()[:_DIGITS]


def append(folder: Path, machine: Mapping[str, Any], measurements: Iterable[Measurement]) -> Path:
    """Add measurements to the machine's file in ``folder``, in one write, and return its path.

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    path = folder / f"{fingerprint(machine)}{SUFFIX}"
    lines = [msgspec.json.encode(each) for each in measurements]
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with path.open("ab") as file:
            if file.tell() == 0:
                lines.insert(0, msgspec.json.encode({"machine": dict(machine)}))
            elif not _ends_whole(path):
                lines.insert(0, b"")  # what a killed process left stays a line of its own
            file.write(b"".join(line + b"\n" for line in lines))
    except OSError as error:
        raise cannot_write(path, error) from error
    return path


def read(path: Path) -> Kept:
    """Return what the file of a machine holds.

    Raises
    ------
    HistoryError
        Where it names no machine.
    RecordError
        Where it cannot be read.
    """
    try:
        lines = path.read_bytes().splitlines()
    except OSError as error:
        raise cannot_read(path, error) from error
    machine: Mapping[str, Any] | None = None
    found: dict[bytes, Measurement] = {}
    broken = 0
    for line in filter(None, lines):
        try:
            if line.startswith(b'{"machine"'):
                machine = msgspec.json.decode(line)["machine"]
            else:
                found[line] = msgspec.json.decode(line, type=Measurement)
        except msgspec.MsgspecError:
            broken += 1
    if machine is None:
        raise HistoryError(f"{path}: not a history: no line names the machine; expected {{'machine': ...}} as a line")
    return Kept(machine, list(found.values()), broken)


def files(folder: Path) -> list[Path]:
    """Return the files of a history; raise `HistoryError` where there is none."""
    found = sorted(folder.glob(f"*{SUFFIX}"))
    if not found:
        raise HistoryError(
            f"{folder}: no history here; `phasewise gate --history {folder}` or "
            f"`phasewise history add RESULTS.json --folder {folder}` begins one"
        )
    return found


def _ends_whole(path: Path) -> bool:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read(1) == b"\n"
