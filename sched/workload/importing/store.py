"""Records of any number, as columns: gathered in any order, put in order of arrival, read block by block.

What is held in memory is a block or a few, and sixteen bytes a record while they are put in order; the rest lies in a
temporary file, or in the Parquet file that was asked for.
"""

from __future__ import annotations

import json
import tempfile
import weakref
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from phasewise.profiling.artefacts import tables  # noqa: F401  (sets Arrow's memory pool before it is loaded)
from phasewise.profiling.artefacts.sinks import beside
from phasewise.profiling.environment import release_memory
from phasewise.profiling.errors import cannot_write
from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing.record import COLUMNS, FIELDS, Record

# isort: split
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

BLOCK: Final = 1 << 14
"""Rows of a block: a row group of the file."""

KEPT_BLOCKS: Final = 4  # so many stay in memory; more go to a file
ACCOUNT_KEY: Final = b"phasewise.trace"
_TYPES: Final = {"float64": pa.float64(), "int64": pa.int64(), "string": pa.string()}
SCHEMA: Final = pa.schema([pa.field(each.name, _TYPES[each.type]) for each in FIELDS])
_SHIFTED: Final = ("arrival_s", "eligible_s")
_GATHERED: Final = 8  # blocks that are put together at a time where rows are not in order

Floats = npt.NDArray[np.float64]


class RecordStore:
    """Records in order of arrival, the first at time 0.

    Parameters
    ----------
    blocks
        Tables of `BLOCK` rows each but the last; or a Parquet file whose row groups they are.
    account
        What is known of how they came here.
    folder
        A temporary folder that goes when the store does.
    """

    def __init__(
        self, blocks: list[pa.Table] | Path, account: Mapping[str, Any], folder: tempfile.TemporaryDirectory[str] | None
    ) -> None:
        self.account = dict(account)
        self._tables = [] if isinstance(blocks, Path) else blocks
        self._file = pq.ParquetFile(blocks) if isinstance(blocks, Path) else None
        if folder is not None:
            weakref.finalize(self, folder.cleanup)
        if self._file is not None:
            self.rows: int = self._file.metadata.num_rows
            self.blocks: int = self._file.metadata.num_row_groups
        else:
            self.rows, self.blocks = sum(table.num_rows for table in self._tables), len(self._tables)

    def block(self, index: int, columns: list[str] | None = None) -> pa.Table:
        """Return a block: `BLOCK` rows, or what is left in the last one."""
        if self._file is not None:
            return self._file.read_row_group(index, columns=columns)
        table = self._tables[index]
        return table if columns is None else table.select(columns)

    def __iter__(self) -> Iterator[pa.Table]:
        return (self.block(index) for index in range(self.blocks))


class Spool:
    """Takes records in any order."""

    def __init__(self) -> None:
        self._rows: list[Record] = []
        self._tables: list[pa.Table] = []
        self._arrivals: list[Floats] = []
        self._folder: tempfile.TemporaryDirectory[str] | None = None
        self._writer: Any = None
        self.rows = 0

    def add(self, record: Record) -> None:
        """Take a record."""
        self._rows.append(record)
        if len(self._rows) == BLOCK:
            self._flush()

    def _flush(self) -> None:
        if not self._rows:
            return
        columns = zip(*self._rows, strict=True)
        table = pa.Table.from_arrays(
            [pa.array(values, type=field.type) for field, values in zip(SCHEMA, columns, strict=True)], schema=SCHEMA
        )
        self._arrivals.append(np.array([row.arrival_s for row in self._rows]))
        self.rows += len(self._rows)
        self._rows = []
        if self._writer is None and len(self._tables) < KEPT_BLOCKS:
            self._tables.append(table)
            return
        if self._writer is None:
            self._folder = tempfile.TemporaryDirectory(prefix="phasewise-trace-")
            self._writer = pa.ipc.new_file(pa.OSFile(str(Path(self._folder.name) / "spool.arrow"), "wb"), SCHEMA)
            for kept in self._tables:
                self._writer.write_table(kept)
            self._tables = []
        self._writer.write_table(table)

    def finish(self, account: dict[str, Any], target: Path | None = None) -> RecordStore:
        """Return all records in order of arrival, those at the same time in the order in which they came.

        Parameters
        ----------
        account
            Goes with the file; ``first_arrival_s``, what is taken from every time so that the first is 0, is added.
        target
            A Parquet file to write; a temporary one, where there are many, if None.
        """
        self._flush()
        arrivals = np.concatenate([np.empty(0), *self._arrivals])
        first_s = float(arrivals.min()) if len(arrivals) else 0.0
        account["first_arrival_s"] = first_s
        if self._writer is not None:
            self._writer.close()
        blocks = (_shifted(table, first_s) for table in self._ordered(arrivals))
        if target is None and self._writer is None:
            return RecordStore(list(blocks), account, None)
        path = target
        if path is None:
            assert self._folder is not None
            path = Path(self._folder.name) / "records.parquet"
        write_parquet(blocks, account, path)
        return RecordStore(path, account, self._folder)

    def _ordered(self, arrivals: Floats) -> Iterator[pa.Table]:
        """Yield blocks in order."""
        parts = self._parts()
        if (np.diff(arrivals) >= 0.0).all():
            yield from (parts(index) for index in range(len(self._arrivals)))
            return
        order = np.argsort(arrivals, kind="stable")
        for start in range(0, len(order), _GATHERED * BLOCK):
            wanted = order[start : start + _GATHERED * BLOCK]
            part_of = wanted // BLOCK
            by_part = np.argsort(part_of, kind="stable")
            pieces = [
                parts(int(part)).take(pa.array(wanted[part_of == part] - int(part) * BLOCK))
                for part in np.unique(part_of)
            ]
            place = np.empty_like(by_part)
            place[by_part] = np.arange(len(by_part))
            table = pa.concat_tables(pieces).take(pa.array(place)).combine_chunks()
            yield from (table.slice(first, BLOCK) for first in range(0, table.num_rows, BLOCK))

    def _parts(self) -> Any:
        if self._writer is None:
            return self._tables.__getitem__
        assert self._folder is not None
        reader = pa.ipc.open_file(pa.OSFile(str(Path(self._folder.name) / "spool.arrow"), "rb"))
        return lambda index: pa.Table.from_batches([reader.get_batch(index)])


def _shifted(table: pa.Table, first_s: float) -> pa.Table:
    if first_s == 0.0:
        return table
    for name in _SHIFTED:
        at = table.schema.get_field_index(name)
        table = table.set_column(at, SCHEMA.field(name), pc.subtract(table.column(name), first_s))
    return table


def write_parquet(blocks: Iterator[pa.Table], account: Mapping[str, Any], path: Path) -> None:
    """Write blocks as a Parquet file, a row group each, which appears only when it is complete.

    Raises
    ------
    OutputError
        Where it cannot be written; nothing is left behind.
    """
    temporary = beside(path)
    schema = SCHEMA.with_metadata({ACCOUNT_KEY: json.dumps(account).encode()})
    try:
        with pq.ParquetWriter(temporary, schema, compression="zstd") as writer:
            for index, table in enumerate(blocks):
                writer.write_table(table.cast(schema), row_group_size=BLOCK)
                if index % 32 == 31:
                    release_memory()
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise cannot_write(path, error) from error
    finally:
        with suppress(OSError):
            temporary.unlink()


def holds_records(path: Path) -> bool:
    """Return whether a Parquet file has the columns of records."""
    try:
        return set(COLUMNS) <= set(pq.read_schema(path).names)
    except (pa.ArrowException, OSError):
        return False


def open_parquet(path: Path) -> RecordStore:
    """Return the records of a file that `write_parquet` wrote.

    Raises
    ------
    TraceError
        Where it is another file, damaged, or its rows are not in order.
    """
    try:
        file = pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise TraceError(f"{path}: this Parquet file is damaged or cut off: {str(error).splitlines()[0]}") from error
    names = file.schema_arrow.names
    if missing := [name for name in COLUMNS if name not in names]:
        raise TraceError(
            f"{path}: this is not a trace: the Parquet file lacks {', '.join(missing[:6])}; allowed: what "
            "`phasewise trace convert` writes"
        )
    if wrong := [name for name in COLUMNS if file.schema_arrow.field(name).type != SCHEMA.field(name).type]:
        raise TraceError(f"{path}: columns of another type than `phasewise trace convert` writes: {', '.join(wrong)}")
    groups = file.metadata.num_row_groups
    sizes = [file.metadata.row_group(index).num_rows for index in range(groups)]
    if not sizes or any(size != BLOCK for size in sizes[:-1]) or not 0 < sizes[-1] <= BLOCK:
        raise TraceError(f"{path}: its row groups are not of {BLOCK} rows; write it with `phasewise trace convert`")
    account = json.loads((file.schema_arrow.metadata or {}).get(ACCOUNT_KEY, b"{}"))
    return RecordStore(path, account, None)
