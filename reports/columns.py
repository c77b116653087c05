"""A table of a run directory as named NumPy columns: the only place here that knows Arrow."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from phasewise.profiling.artefacts.schemas import Record
from phasewise.reports.errors import RunDirectoryError

Floats = npt.NDArray[np.float64]


@dataclass(frozen=True)
class ColumnTable:
    """A read-only table with named columns.

    Attributes
    ----------
    path
        The file it came from, for messages.
    table
        The Arrow table.
    record
        What its columns are. One that is described and not there, as in a table of an earlier schema, is all null.
    """

    path: Path
    table: Any
    record: Record

    @property
    def names(self) -> tuple[str, ...]:
        """Return the column names in file order."""
        return tuple(self.table.column_names)

    def __len__(self) -> int:
        return int(self.table.num_rows)

    def __contains__(self, name: object) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> npt.NDArray[Any]:
        """Return a column as NumPy has it: numbers where there are such, NaN for null; texts as objects, None for null.

        Raises
        ------
        KeyError
            Where there is no such column; it names those that there are.
        """
        if self._is_lacking(name):
            return np.full(len(self), np.nan)
        if name not in self:
            raise KeyError(f"no column {name!r}; there are {', '.join(self.names)}")
        found: npt.NDArray[Any] = self._column(name).to_numpy(zero_copy_only=False)
        return found

    def to_pandas(self) -> Any:
        """Return the table as a data frame; raise `RunDirectoryError` where pandas is not installed."""
        try:
            return self.table.to_pandas()
        except ImportError as error:
            raise RunDirectoryError("a data frame needs pandas, which is not installed: pip install pandas") from error

    def numbers(self, name: str) -> Floats:
        """Return a column as float64, NaN where the file has null.

        Raises
        ------
        RunDirectoryError
            Where there is no such column and none is described, or it holds no numbers.
        """
        if self._is_lacking(name):
            return np.full(len(self), np.nan)
        values = self._column(name)
        try:
            return np.asarray(values.cast("float64").to_numpy(zero_copy_only=False), dtype=np.float64)
        except (ValueError, TypeError, NotImplementedError) as error:
            raise RunDirectoryError(
                f"{self.path}: column {name!r} holds {values.type}; numbers are expected"
            ) from error

    def strings(self, name: str) -> list[str | None]:
        """Return a column as text, None where the file has null; raises as `numbers` does."""
        if self._is_lacking(name):
            return [None] * len(self)
        return [None if value is None else str(value) for value in self._column(name).to_pylist()]

    def require(self, names: Iterable[str]) -> None:
        """Raise `RunDirectoryError` naming the columns that are missing."""
        if lost := [name for name in names if name not in self]:
            raise RunDirectoryError(
                f"{self.path}: no column {', '.join(lost)}; this table has {', '.join(self.names) or 'no columns'}"
            )

    def _is_lacking(self, name: str) -> bool:
        return name not in self and self.record.describes(name)

    def _column(self, name: str) -> Any:
        self.require([name])
        return self.table.column(name).combine_chunks()
