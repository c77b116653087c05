"""`csv`: any table with a header and a row a job; the user says which column is what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing.mapping import ColumnMap
from phasewise.sched.workload.importing.record import Dropped, Notes, Record
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.source import Head, Source
from phasewise.sched.workload.importing.tables import TableFormat


@register_format
class MappedCsv(TableFormat):
    """Any CSV with a header; `--map submit=COLUMN,gpus=COLUMN,duration=COLUMN,...` says what is what."""

    name: ClassVar[str] = "csv"
    assumes: ClassVar[tuple[str, ...]] = ("columns mean what the map says; times are seconds, or dates",)
    columns: ClassVar[tuple[str, ...]] = ()
    names_others: ClassVar[bool] = False

    def __init__(self, columns: Mapping[str, str], notes: Notes) -> None:
        if not columns:
            raise TraceError(
                "trace format csv needs a map of columns; give --map submit=COLUMN,gpus=COLUMN,duration=COLUMN"
            )
        super().__init__({}, notes)
        self._chosen = columns

    @classmethod
    def sniff(cls, head: Head) -> bool:
        """Return that nothing is taken for it: it has to be named."""
        del head
        return False

    def begin(self, names: list[str], source: Source) -> None:
        """Judge the map by the header."""
        self._map = ColumnMap(self._chosen, names, source.path, self.notes)

    def record(self, row: Mapping[str, str]) -> Record | Dropped:
        """Return what a row says."""
        return self._map.record(row, self.line)
