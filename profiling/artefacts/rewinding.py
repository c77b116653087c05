"""Files of a run cut back to what they held at an earlier moment, so that the run can go on from there.

Whatever is cut, a kill leaves files that can be cut again: each is replaced by a rename, or shortened in place. First
everything is checked (`require_lines`, `require_rows`), then cut.
"""

from __future__ import annotations

import shutil
import zlib
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Final

import pyarrow as pa
import pyarrow.parquet as pq

from phasewise.profiling.artefacts.sinks import Tail, beside
from phasewise.profiling.artefacts.tables import ROW_GROUP, part_files, parts_folder
from phasewise.profiling.errors import RecordError, cannot_read, cannot_write

_BLOCK: Final = 1 << 20


def require_lines(path: Path, tail: Tail) -> None:
    """Check that a file of lines still begins with what it held.

    Parameters
    ----------
    path
        The file.
    tail
        What it held behind its first line.

    Raises
    ------
    RecordError
        Where it is shorter, holds something else, or cannot be read.
    """
    try:
        with path.open("rb") as file:
            file.readline()
            crc, left = 0, tail.size
            while left and (block := file.read(min(_BLOCK, left))):
                crc, left = zlib.crc32(block, crc), left - len(block)
    except OSError as error:
        raise cannot_read(path, error) from error
    if left:
        raise RecordError(f"{path} is {left:,} bytes shorter than it was")
    if crc != tail.crc:
        raise RecordError(f"{path} holds something else than it did")


def rewind_lines(path: Path, first: bytes, tail: Tail) -> None:
    """Cut a file of lines back to its first line and ``tail``; the first line becomes ``first`` (without newline).

    Raises
    ------
    OutputError
        Where it cannot be written.
    """
    line = first + b"\n"
    try:
        with path.open("r+b") as file:
            if (found := file.readline()) == line:
                file.truncate(len(found) + tail.size)
                return
            temporary = beside(path)
            with temporary.open("wb") as target:
                target.write(line)
                left = tail.size
                while left and (block := file.read(min(_BLOCK, left))):
                    target.write(block)
                    left -= len(block)
        temporary.replace(path)
    except OSError as error:
        raise cannot_write(path, error) from error


def require_rows(path: Path, rows: int) -> None:
    """Check that a table, or what there is of it in parts, has so many rows.

    Raises
    ------
    RecordError
        Where it has fewer, or cannot be read.
    """
    files = [path] if path.exists() else _parts(path)
    found = sum(_rows(file) for file in files)
    if not files or found < rows:
        raise RecordError(f"{path} has {found:,} rows, {rows - found:,} fewer than it had")


def rewind_table(path: Path, rows: int) -> int:
    """Leave the first ``rows`` rows of a table, in parts, and return how many parts these are.

    Raises
    ------
    OutputError
        Where they cannot be written.
    RecordError
        Where it has fewer rows, or cannot be read.
    """
    try:
        if path.exists():
            _into_parts(path, rows)
        return _cut_parts(_parts(path), rows)
    except OSError as error:
        raise cannot_write(path, error) from error


def _parts(path: Path) -> list[Path]:
    folder = parts_folder(path)
    return part_files(folder) if folder.is_dir() else []


def _rows(file: Path) -> int:
    try:
        return int(pq.read_metadata(file).num_rows)
    except pa.ArrowInvalid as error:
        raise RecordError(f"cannot read {file}: {error}") from error
    except OSError as error:
        raise cannot_read(file, error) from error


def _into_parts(path: Path, rows: int) -> None:
    """Make a table one part of so many rows; the table goes last, and counts until then."""
    folder = parts_folder(path)
    if folder.is_dir():  # what a merge did not live to remove
        shutil.rmtree(folder)
    folder.mkdir()
    _write_head(path, folder / "000000.parquet", rows)
    path.unlink()


def _cut_parts(parts: list[Path], rows: int) -> int:
    """Remove all behind the first ``rows`` rows, from the end, and return how many parts are left."""
    for stray in parts[0].parent.glob("*.tmp"):
        stray.unlink()
    before, ends = 0, []
    for part in parts:
        before += _rows(part)
        ends.append(before)
    last = next(index for index, end in enumerate(ends) if end >= rows)
    for part in reversed(parts[last + 1 :]):
        part.unlink()
    if ends[last] > rows:
        _write_head(parts[last], parts[last], rows - (ends[last - 1] if last else 0))
    return last + 1


def _write_head(source: Path, target: Path, rows: int) -> None:
    """Write the first rows of one file as another, a row group in memory at a time."""
    temporary = target.with_suffix(".tmp")
    try:
        with pq.ParquetFile(source, pre_buffer=False) as file:
            options = {"compression": "none", "use_dictionary": False, "write_statistics": False}
            with pq.ParquetWriter(temporary, file.schema_arrow, **options) as writer:
                for group in _head(file, rows):
                    writer.write_table(group, row_group_size=ROW_GROUP)
        temporary.replace(target)
    except pa.ArrowInvalid as error:
        raise RecordError(f"cannot read {source}: {error}") from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def _head(file: pq.ParquetFile, rows: int) -> Iterator[pa.Table]:
    """Yield the first rows of a file by row groups."""
    left = rows
    for index in range(file.num_row_groups):
        if left <= 0:
            return
        group = file.read_row_group(index, use_threads=False).slice(0, left)
        left -= group.num_rows
        yield group
