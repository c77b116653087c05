"""What formats with a header and a row a job have in common."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from phasewise.profiling.names import nearest, quoted
from phasewise.sched.errors import TraceError
from phasewise.sched.reading.fields import MOST
from phasewise.sched.workload.importing.record import Dropped, Notes, Record, Row, Wrong
from phasewise.sched.workload.importing.source import Head, Source
from phasewise.sched.workload.importing.times import NOTHING, TimesOfFile

_NUMBER: Final = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII)


class TableFormat:
    """A table with a header: a subclass says what its columns are, and what a row of them means."""

    name: ClassVar[str]
    assumes: ClassVar[tuple[str, ...]]
    columns: ClassVar[tuple[str, ...]]
    telling: ClassVar[tuple[str, ...]] = ()
    """Columns that no other format has together: by these it is recognised; all where empty."""

    separator: ClassVar[str] = ","
    optional: ClassVar[tuple[str, ...]] = ()
    names_others: ClassVar[bool] = True
    """Whether columns that are not read are worth a note; not where it is up to the user which are there."""

    def __init__(self, columns: Mapping[str, str], notes: Notes) -> None:
        if columns:
            raise TraceError(f"trace format {self.name} has a column for everything; --map is for csv and swf")
        self.notes = notes
        self.times = TimesOfFile("", notes)
        self.line = 0

    @classmethod
    def sniff(cls, head: Head) -> bool:
        """Return whether the header has the columns of this format."""
        return head.has(*(cls.telling or cls.columns), separator=cls.separator)

    def rows(self, source: Source) -> Iterator[Row]:
        """Yield every row of the file, in its order."""
        self.times = TimesOfFile(source.path, self.notes)
        reader = csv.reader((text for _, text in source.lines()), delimiter=self.separator, strict=True)
        header = next(self._records(reader, source), None)
        if header is None:
            raise TraceError(f"{source.path}: the file is empty; the first line must name {', '.join(self.columns)}")
        names = [name.strip() for name in header]
        self.begin(names, source)
        for fields in self._records(reader, source):
            if not fields:
                continue
            self.line = reader.line_num
            if len(fields) < len(names) and not source.ends_whole:
                raise TraceError(f"{source.path}:{self.line}: the file ends within a row: it was cut off")
            yield self.line, self._row(names, fields)

    def _records(self, reader: Iterator[list[str]], source: Source) -> Iterator[list[str]]:
        try:
            yield from reader
        except csv.Error as error:
            line = getattr(reader, "line_num", 0)
            raise TraceError(f"{source.path}:{line}: not a row of fields: {error}") from error

    def begin(self, names: list[str], source: Source) -> None:
        """Judge the header; raise `TraceError` where columns are missing."""
        if missing := [name for name in self.columns if name not in names]:
            raise TraceError(
                f"{source.path}:1: the header of trace format {self.name} lacks {', '.join(missing)}; "
                f"allowed: {', '.join(self.columns)}, in any order, and others besides"
            )
        others = [name for name in names if name and name not in (*self.columns, *self.optional)]
        if others and self.names_others:
            self.notes.add(f"columns that are not read: {', '.join(others[:12])}", 0)

    def _row(self, names: list[str], fields: list[str]) -> Record | Dropped | Wrong:
        if len(fields) != len(names):
            return Wrong(f"{len(fields)} fields; allowed: the {len(names)} of the header")
        try:
            return self.record(dict(zip(names, fields, strict=True)))
        except ValueError as error:
            return Wrong(str(error))

    def record(self, row: Mapping[str, str]) -> Record | Dropped:
        """Return what a row says; raise ValueError where it cannot be read."""
        raise NotImplementedError

    def time(self, row: Mapping[str, str], column: str) -> float | None:
        """Return a point in time, seconds; None where there is none."""
        return self.times.seconds(column, row[column], self.line)


def number(field: str, text: str, *, least: float = 0.0) -> float | None:
    """Return a field as a number, None where it is empty or says that there is none."""
    written = text.strip()
    if written.lower() in NOTHING:
        return None
    value = float(written) if len(written) < 64 and _NUMBER.fullmatch(written) else math.nan
    if not least <= value <= MOST:
        raise ValueError(f"{field} is {quoted(text)}; allowed: a number of at least {least:g}, or nothing")
    return value


def whole(field: str, text: str, otherwise: int = 0) -> int:
    """Return a field as an integer of at least 0 (also written as 8.0), ``otherwise`` where it is empty."""
    value = number(field, text)
    if value is None:
        return otherwise
    if not value.is_integer():
        raise ValueError(f"{field} is {quoted(text)}; allowed: an integer of at least 0")
    return int(value)


def text_of(text: str | None) -> str | None:
    """Return a text, None where it is empty or says that there is none."""
    written = (text or "").strip()
    return None if written.lower() in NOTHING else written


def shares(gpus: float, gang: int, notes: Notes) -> tuple[int, int]:
    """Return GPUs and thousandths of each for ``gang`` tasks of ``gpus`` GPUs each, fractions allowed.

    One task of less than a GPU shares one. Any other fraction is rounded up to whole GPUs, which is noted.
    """
    total = gpus * gang
    if total <= 0.0:
        return 0, 1000
    if total < 1.0:
        return 1, max(1, round(total * 1000))
    if not total.is_integer():
        notes.add("GPUs that do not come out whole over all tasks of a job are rounded up")
    return math.ceil(total), 1000


def unknown_key(key: str, allowed: tuple[str, ...]) -> str:
    """Return what to say of a key of a column map that there is not."""
    return f"--map has no {quoted(key)}{nearest(key, allowed)}; allowed: {', '.join(allowed)}"
