"""Tapes: the sequence of allocation problems that a run stated, in one file, to be solved again by any backend.

A tape is a zip archive, written front to back as the run goes and renamed into place at its end:

* ``tape.json``: ``{"format": "phasewise-tape", "version": 2, "origin": {...}}``;
* for every problem, in order, ``000000/problem.json`` (its class, by the first of its families' names, its numbers, the
  names of its arrays) and an ``.npy`` file for each array that differs from the last problem's of the same name;
* ``end.json``: how many problems there are.

The same problems give the same bytes: no times, no machine, a fixed order. Nothing in a tape is code.
"""

from __future__ import annotations

import io
import json
import math
import zipfile
import zlib
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from phasewise.profiling.artefacts.sinks import beside
from phasewise.profiling.errors import OutputError, cannot_write
from phasewise.solvers import registry
from phasewise.solvers.errors import ProblemError, TapeError
from phasewise.solvers.problems import AllocationProblem

FORMAT: Final = "phasewise-tape"
VERSION: Final = 2
_READ: Final = (1, 2)
"""Versions that are read. The first one had two families and no keys of rows."""

MOST_TEXT: Final = 1 << 20  # bytes of a JSON entry
MOST_ARRAY: Final = 256 << 20  # bytes of an array: 4 million jobs on 8 worker types

_EPOCH: Final = (1980, 1, 1, 0, 0, 0)  # zip's first date: a tape must not depend on when it was written
_LEVEL: Final = 6
_DAMAGE: Final = (
    zipfile.BadZipFile, zlib.error, EOFError, KeyError, ValueError, TypeError, NotImplementedError, OverflowError,
    RecursionError,
)  # fmt: skip
"""What the readers of zip, JSON and npy raise at damaged or foreign content."""


class TapeWriter:
    """Writes problems to a tape as they come. A context manager: the file appears at its end, whole or not at all.

    Where the block ends by an exception, what was recorded until then is kept, unless it is nothing.

    Parameters
    ----------
    path
        The file to write; an existing one is replaced.
    origin
        What to note about where the problems come from; JSON.

    Raises
    ------
    OutputError
        Where the file cannot be written.
    """

    def __init__(self, path: Path, origin: Mapping[str, Any]) -> None:
        self._path, self._temporary = path, beside(path)
        self._last: dict[str, npt.NDArray[Any]] = {}
        self.problems = 0
        self._broken = False
        self._archive: zipfile.ZipFile | None = None
        try:
            self._archive = zipfile.ZipFile(self._temporary, "w", zipfile.ZIP_DEFLATED, compresslevel=_LEVEL)
            self._put_json("tape.json", {"format": FORMAT, "version": VERSION, "origin": dict(origin)})
        except OSError as error:
            raise self._abandoned(error) from error

    def __enter__(self) -> TapeWriter:
        return self

    def __exit__(self, kind: type[BaseException] | None, value: object, traceback: TracebackType | None) -> None:
        if self._broken or (kind is not None and not self.problems):
            self._drop()
            return
        try:
            self._put_json("end.json", {"problems": self.problems})
            if self._archive is not None:
                self._archive.close()
            self._temporary.replace(self._path)
        except OSError as error:
            raise self._abandoned(error) from error

    def write(self, problem: AllocationProblem) -> None:
        """Append ``problem``; raise `OutputError` where it cannot be written."""
        stated = problem.stated()
        arrays = {name: value for name, value in stated.items() if isinstance(value, np.ndarray)}
        numbers = {name: float(value) for name, value in stated.items() if isinstance(value, (int, float))}
        place = f"{self.problems:06d}"
        try:
            self._put_json(
                f"{place}/problem.json", {"kind": problem.families[0], "numbers": numbers, "arrays": list(arrays)}
            )
            for name, array in arrays.items():
                if not _same(self._last.get(name), array):
                    self._put(f"{place}/{name}.npy", _npy(array))
                    self._last[name] = array.copy()
        except OSError as error:
            raise self._abandoned(error) from error
        self.problems += 1

    def _put_json(self, name: str, content: Mapping[str, Any]) -> None:
        self._put(name, json.dumps(content, sort_keys=True, allow_nan=False).encode())

    def _put(self, name: str, content: bytes) -> None:
        entry = zipfile.ZipInfo(name, _EPOCH)
        entry.compress_type = zipfile.ZIP_DEFLATED
        entry.create_system = 3  # the same bytes on every system
        assert self._archive is not None
        self._archive.writestr(entry, content, compresslevel=_LEVEL)

    def _abandoned(self, error: OSError) -> OutputError:
        self._broken = True
        self._drop()
        return cannot_write(self._path, error)

    def _drop(self) -> None:
        """Leave nothing behind; what cannot be written cannot be closed in order either."""
        if self._archive is not None:
            with suppress(OSError, ValueError):
                self._archive.close()
        with suppress(OSError):
            self._temporary.unlink()


class Tape:
    """A tape to read, problem by problem; iterate over it as often as needed.

    Parameters
    ----------
    path
        The file.

    Attributes
    ----------
    problems
        How many there are.
    origin
        What was noted about where they come from.

    Raises
    ------
    TapeError
        Where the file cannot be read, is no tape, is of another version, or is damaged.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            with zipfile.ZipFile(path) as archive:
                header = json.loads(_entry(archive, "tape.json", MOST_TEXT))
                if header["format"] != FORMAT:
                    raise TapeError(f"{path} is not a tape; a tape is a file that `phasewise tape` wrote")
                if header["version"] not in _READ:
                    versions = " and ".join(map(str, _READ))
                    raise TapeError(f"{path} is a tape of version {header['version']!r}; read are versions {versions}")
                self.origin: Mapping[str, Any] = header["origin"]
                self.problems = _count(json.loads(_entry(archive, "end.json", MOST_TEXT))["problems"], archive)
        except OSError as error:
            raise TapeError(f"cannot read the tape {path}: {error.strerror or error}") from error
        except _DAMAGE as error:
            raise TapeError(f"{path} is not a tape, or a damaged one: {error}") from error

    def __len__(self) -> int:
        return self.problems

    def __iter__(self) -> Iterator[AllocationProblem]:
        last: dict[str, npt.NDArray[Any]] = {}
        with zipfile.ZipFile(self._path) as archive:
            held = set(archive.namelist())
            for index in range(self.problems):
                try:
                    yield _read(archive, held, f"{index:06d}", last)
                except (*_DAMAGE, OSError, ProblemError) as error:
                    raise TapeError(f"{self._path}: problem {index} is damaged: {error}") from error


def _read(archive: zipfile.ZipFile, held: set[str], place: str, last: dict[str, npt.NDArray[Any]]) -> AllocationProblem:
    """Return one problem, checked; ``last`` has the arrays seen so far by name and is kept up to date."""
    about = json.loads(_entry(archive, f"{place}/problem.json", MOST_TEXT))
    for name in about["arrays"]:
        if (entry := f"{place}/{name}.npy") in held:
            array = _array(_entry(archive, entry, MOST_ARRAY))
            array.flags.writeable = False
            last[name] = array
    stated: dict[str, Any] = {name: last[name] for name in about["arrays"]}
    problem = registry.families()[about["kind"]].restated({**stated, **about["numbers"]})
    problem.validate()
    return problem


def _entry(archive: zipfile.ZipFile, name: str, most: int) -> bytes:
    """Return an entry; raise ValueError, with none of it read, where it unpacks to more than ``most`` bytes."""
    size = archive.getinfo(name).file_size
    if size > most:
        raise ValueError(f"{name} unpacks to {size:,} bytes; allowed: at most {most:,}")
    return archive.read(name)


def _count(value: object, archive: zipfile.ZipFile) -> int:
    """Return the number of problems; raise ValueError for what is none, or more than the archive has entries."""
    most = len(archive.namelist())
    if isinstance(value, bool) or not isinstance(value, int) or not 0 <= value <= most:
        raise ValueError(f"the number of problems is {str(value)[:40]}; allowed: an integer from 0 to {most}")
    return value


def _array(content: bytes) -> npt.NDArray[Any]:
    """Return an array of numbers; raise ValueError where its header does not say what the bytes after it are."""
    stream = io.BytesIO(content)
    version = np.lib.format.read_magic(stream)
    if version not in {(1, 0), (2, 0)}:
        raise ValueError(f"an array of version {version}; read are versions 1.0 and 2.0")
    read_header = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
    shape, _, dtype = read_header(stream)
    size = math.prod(shape) * dtype.itemsize
    if dtype.kind not in "biuf" or size != len(content) - stream.tell():
        raise ValueError(f"an array of shape {str(shape)[:60]} and type {dtype}, which is not what follows it")
    stream.seek(0)
    array: npt.NDArray[Any] = np.load(stream, allow_pickle=False)
    return array


def _npy(array: npt.NDArray[Any]) -> bytes:
    content = io.BytesIO()
    np.lib.format.write_array(content, np.ascontiguousarray(array), version=(1, 0), allow_pickle=False)
    return content.getvalue()


def _same(before: npt.NDArray[Any] | None, array: npt.NDArray[Any]) -> bool:
    return before is not None and before.dtype == array.dtype and np.array_equal(before, array)
