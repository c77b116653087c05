"""Parquet tables that grow while a run goes on, and are readable whenever it dies.

While rows arrive, each block of them becomes one complete file in a folder beside the table, written under a temporary
name in that folder and renamed: ``rounds.parquet.parts/000000.parquet`` and so on. Closing merges these parts into
``rounds.parquet``, again by a rename, and removes the folder. So there are three states to find, and no others:

* the parts alone: the run, or the merge, was killed; the parts hold every row that was written;
* the table and (some of) the parts: killed after the merge; the table holds every row, the parts do not count;
* the table alone: the run was closed.

`read_table` knows all three. The table's bytes depend on its rows only, not on how they came in blocks.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

# Arrow reads this once, when it is loaded. Its own pools keep what they once had; the system's gives it back, so that
# the memory of a long run stays flat.
os.environ.setdefault("ARROW_DEFAULT_MEMORY_POOL", "system")

import pyarrow as pa
import pyarrow.parquet as pq

from phasewise.profiling.artefacts.schemas import Field
from phasewise.profiling.errors import OutputError, RecordError, cannot_read, cannot_write

__all__ = [
    "ROW_GROUP", "OutputError", "RecordError", "TableSink", "part_files", "parts_folder", "read_blocks", "read_table",
]  # fmt: skip

ROW_GROUP = 1 << 14  # rows; 5 MiB of 40 columns: enough to compress well, little enough to hold during the merge

Column = np.ndarray | Sequence[object]


def parts_folder(path: Path | str) -> Path:
    """Return the folder that holds the parts of a table while it grows."""
    final = Path(path)
    return final.with_name(final.name + ".parts")


class TableSink:
    """Writes a table block by block; see the module for what a killed run leaves.

    Parameters
    ----------
    path
        Where the table goes; an earlier table of that name, and its parts, are removed.
    fields
        What its columns are, in order: no other can be written. Where a field may be null, NaN is written as null, and
        so is a column that is not given.
    rows, parts
        What there is of it and is to be gone on with (`phasewise.profiling.artefacts.rewinding.rewind_table`); without
        parts it is begun anew.

    Raises
    ------
    OutputError
        Here and in every method, where a file cannot be written.
    """

    def __init__(self, path: Path | str, fields: Sequence[Field], rows: int = 0, parts: int = 0) -> None:
        self.path = Path(path)
        self.schema = _schema(fields)
        self.rows = rows
        self._nullable = frozenset(each.name for each in fields if each.null)
        self._parts = parts_folder(self.path)
        self._count = parts
        self._closed = False
        if parts:
            return
        try:
            _remove_earlier(self.path)
            self._parts.mkdir(parents=True)
        except OSError as error:
            raise cannot_write(self._parts, error) from error
        self._write_part(self.schema.empty_table())  # so that even a run without rows leaves a table with columns

    def write(self, columns: Mapping[str, Column]) -> None:
        """Write one block of rows as a complete part.

        Parameters
        ----------
        columns
            Arrays of equal length by column, in any order.

        Raises
        ------
        RecordError
            Where columns that are never null are missing or hold null, columns are unknown or of unequal length, or
            values do not fit the column's type.
        """
        block = self._table(columns)
        if block.num_rows:
            self._write_part(block)
            self.rows += block.num_rows

    def close(self) -> None:
        """Merge the parts into the table and remove them; closing twice does no harm."""
        if self._closed:
            return
        merged = self._parts / "merged.tmp"
        parts = [self._part(index) for index in range(self._count)]
        try:
            _require_all(self.rows, _merge(parts, self.schema, merged), self._parts)
            merged.replace(self.path)
        except OSError as error:
            with suppress(OSError):
                merged.unlink()
            raise cannot_write(self.path, error) from error
        except (RecordError, pa.ArrowException, ValueError) as error:  # a part was lost, or exchanged for another file
            with suppress(OSError):
                merged.unlink()
            raise OutputError(f"cannot complete {self.path}: {error}; its other parts are kept") from error
        self._closed = True
        with suppress(OSError):  # what stays does no harm: the table counts, and a file of somebody else's is not ours
            for part in parts:
                part.unlink()
            self._parts.rmdir()

    def _part(self, index: int) -> Path:
        return self._parts / f"{index:06d}.parquet"

    def _table(self, columns: Mapping[str, Column]) -> pa.Table:
        """Return the block as a table of this schema."""
        missing = [name for name in self.schema.names if name not in columns and name not in self._nullable]
        unknown = [name for name in columns if name not in self.schema.names]
        if missing or unknown:
            raise RecordError(f"{self.path}: wrong columns: missing {missing}, unknown {unknown}")
        lengths = {name: len(values) for name, values in columns.items()}
        if len(set(lengths.values())) > 1:
            raise RecordError(f"{self.path}: columns of unequal length: {lengths}")
        rows = next(iter(lengths.values()), 0)
        arrays = [
            self._array(field, columns[field.name]) if field.name in columns else pa.nulls(rows, field.type)
            for field in self.schema
        ]
        return pa.Table.from_arrays(arrays, schema=self.schema)

    def _array(self, field: pa.Field, values: Column) -> pa.Array:
        """Return one column in its Arrow type."""
        nullable = field.name in self._nullable
        try:
            array = pa.array(values, type=field.type, from_pandas=nullable)
        except (pa.ArrowException, TypeError, ValueError, OverflowError) as error:
            raise RecordError(f"{self.path}, column {field.name} ({field.type}): {error}") from error
        if array.null_count and not nullable:
            raise RecordError(f"{self.path}, column {field.name}: {array.null_count} nulls, where there are to be none")
        return array

    def _write_part(self, block: pa.Table) -> None:
        """Write the next part: plain and quick, since it lives only until the merge."""
        part = self._part(self._count)
        temporary = part.with_suffix(".tmp")
        try:
            pq.write_table(
                block,
                temporary,
                row_group_size=ROW_GROUP,  # what the merge holds of a part at a time
                compression="none",
                use_dictionary=False,
                write_statistics=False,
            )
            temporary.replace(part)
        except OSError as error:
            with suppress(OSError):
                temporary.unlink()
            raise cannot_write(self.path, error) from error
        self._count += 1


def read_table(path: Path | str, columns: Sequence[str] | None = None) -> pa.Table:
    """Return a table, from its file or, where the run was killed, from the parts it left.

    Parameters
    ----------
    path
        The table's final place.
    columns
        Which columns to read; all where None.

    Raises
    ------
    RecordError
        Where there is neither table nor parts, or they cannot be read.
    """
    final = Path(path)
    names = None if columns is None else list(columns)
    if final.exists():
        return _read(final, names)
    folder = parts_folder(final)
    if not folder.is_dir() or not (parts := part_files(folder)):
        raise RecordError(f"no table at {final}, and no parts of one in {folder.name}")
    return pa.concat_tables([_read(part, names) for part in parts]).combine_chunks()


def read_blocks(path: Path | str, columns: Sequence[str]) -> Iterator[pa.Table]:
    """Yield some columns of a complete table, `ROW_GROUP` rows at a time; raises as `read_table`."""
    yield from _blocks([Path(path)], list(columns))


def _require_all(written: int, merged: int, folder: Path) -> None:
    if merged != written:
        raise RecordError(f"the parts in {folder} hold {merged} rows, but {written} were written")


def _schema(fields: Sequence[Field]) -> pa.Schema:
    """Return the schema with these columns."""
    try:
        return pa.schema([pa.field(each.name, pa.type_for_alias(each.type)) for each in fields])
    except ValueError as error:
        raise RecordError(f"a table cannot have these columns: {error}") from error


def _remove_earlier(path: Path) -> None:
    """Remove what an earlier run left here.

    The parts are put out of the way in one step, so that nobody ever reads half of them; the table goes first, because
    it would otherwise count more than the new run's parts.
    """
    path.unlink(missing_ok=True)
    folder = parts_folder(path)
    if folder.is_dir():
        stale = folder.with_suffix(".stale")
        shutil.rmtree(stale, ignore_errors=True)
        folder.rename(stale)
        shutil.rmtree(stale)


def part_files(folder: Path) -> list[Path]:
    """Return the complete parts in the order in which they were written; files of other names are no parts.

    Raises
    ------
    RecordError
        Where one of them is missing.
    """
    numbered = [part for part in folder.glob("*.parquet") if part.stem.isascii() and part.stem.isdigit()]
    parts = sorted(numbered, key=lambda part: int(part.stem))
    for expected, part in enumerate(parts):
        if int(part.stem) != expected:
            raise RecordError(f"{folder}: part {expected:06d}.parquet is missing")
    return parts


def _read(path: Path, columns: list[str] | None) -> pa.Table:
    """Return one Parquet file."""
    try:
        with pq.ParquetFile(path) as file:
            unknown = [name for name in columns or () if name not in file.schema_arrow.names]
            if unknown:
                raise RecordError(f"{path} has no columns {unknown}; it has {file.schema_arrow.names}")
            return file.read(columns=columns, use_threads=False)
    except pa.ArrowInvalid as error:
        raise RecordError(f"cannot read {path}: {error}") from error
    except OSError as error:
        raise cannot_read(path, error) from error


def _merge(parts: Sequence[Path], schema: pa.Schema, target: Path) -> int:
    """Write the rows of all parts into one file, holding two row groups in memory at most; return how many they are."""
    rows = 0
    with pq.ParquetWriter(target, schema, compression="zstd") as writer:
        for group in _row_groups(parts):
            writer.write_table(group, row_group_size=ROW_GROUP)
            rows += group.num_rows
            del group
    return rows


def _row_groups(parts: Sequence[Path]) -> Iterator[pa.Table]:
    """Yield the rows of all parts in pieces of exactly `ROW_GROUP` rows; the last one is shorter."""
    waiting: list[pa.Table] = []
    rows = 0
    for block in _blocks(parts):
        rest = block
        while rows + rest.num_rows >= ROW_GROUP:
            head = rest.slice(0, ROW_GROUP - rows)
            yield pa.concat_tables([*waiting, head]).combine_chunks()
            rest = rest.slice(ROW_GROUP - rows)
            waiting, rows = [], 0
        if rest.num_rows:
            waiting.append(rest)
            rows += rest.num_rows
    if rows:
        yield pa.concat_tables(waiting).combine_chunks()


def _blocks(parts: Sequence[Path], columns: list[str] | None = None) -> Iterator[pa.Table]:
    """Yield the row groups of all parts, one after another; raises as `_read`."""
    for part in parts:
        try:
            with pq.ParquetFile(part, pre_buffer=False) as file:
                for index in range(file.num_row_groups):
                    yield file.read_row_group(index, columns=columns, use_threads=False)
        except pa.ArrowInvalid as error:
            raise RecordError(f"cannot read {part}: {error}") from error
        except OSError as error:
            raise cannot_read(part, error) from error
