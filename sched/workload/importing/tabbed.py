"""What formats of tab-separated lines without a header have in common."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import ClassVar

from phasewise.sched.errors import TraceError
from phasewise.sched.reading.fields import number
from phasewise.sched.workload.importing.record import Notes, Record, Row, Wrong
from phasewise.sched.workload.importing.source import Head, Source


class TabbedFormat:
    """Lines of so many fields; a subclass says how many, and what they mean."""

    name: ClassVar[str]
    assumes: ClassVar[tuple[str, ...]]
    columns: ClassVar[tuple[str, ...]] = ()
    counts: ClassVar[tuple[int, ...]]

    def __init__(self, columns: Mapping[str, str], notes: Notes) -> None:
        if columns:
            raise TraceError(f"trace format {self.name} has its fields in a fixed order; --map is for csv and swf")
        self.notes = notes

    @classmethod
    def sniff(cls, head: Head) -> bool:
        """Return whether the first line has so many fields."""
        return len(head.columns("\t")) in cls.counts

    def rows(self, source: Source) -> Iterator[Row]:
        """Yield every line of the file, in its order."""
        for line, text in source.lines():
            if not text.strip():
                continue
            fields = text.split("\t")
            if len(fields) not in self.counts:
                if not source.ends_whole:
                    raise TraceError(f"{source.path}:{line}: the file ends within a line: it was cut off")
                allowed = " or ".join(map(str, self.counts))
                yield line, Wrong(f"{len(fields)} tab-separated fields; allowed: {allowed}")
                continue
            try:
                yield line, self.record(fields)
            except ValueError as error:
                yield line, Wrong(str(error))

    def record(self, fields: Sequence[str]) -> Record:
        """Return what a line says; raise ValueError where it cannot be read."""
        raise NotImplementedError


def above_0(field: str, text: str) -> float:
    """Return a number above 0."""
    return number(field, text, above=0.0)


def at_least_0(field: str, text: str) -> float:
    """Return a number of at least 0."""
    return number(field, text, least=0.0, finest=0.0)


def promise(text: str) -> float | None:
    """Return an SLO as a multiple of a duration, None for the -1 that stands for no promise."""
    multiple = number("SLO", text, finest=0.0)
    if multiple <= 0.0 and multiple != -1.0:
        raise ValueError(f"SLO is {text}; allowed: -1 (none) or a number above 0")
    return multiple if multiple > 0.0 else None
