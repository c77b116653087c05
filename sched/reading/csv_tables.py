"""Strict reading of CSV files with a header: every fault with its line."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from phasewise.profiling.names import nearest, quoted
from phasewise.sched.reading.faults import Fault
from phasewise.sched.reading.fields import decoded_lines

if TYPE_CHECKING:
    from collections.abc import Iterable

MOST_NAMED = 20  # columns that a message names
Record = tuple[int, list[str]]
Row = tuple[int, dict[str, str]]


@dataclass(frozen=True, slots=True)
class CsvForm:
    """What a kind of CSV file looks like.

    Attributes
    ----------
    name
        What the file is, for messages.
    required
        Columns that it must have, in any order.
    optional
        Columns that it may have besides.
    row
        What a row stands for, for messages.
    """

    name: str
    required: tuple[str, ...]
    optional: tuple[str, ...]
    row: str

    @property
    def columns(self) -> tuple[str, ...]:
        """All columns that it may have."""
        return self.required + self.optional

    def __str__(self) -> str:
        return ",".join(self.required) + (f"[,{','.join(self.optional)}]" if self.optional else "")


def scan_rows(path: Path, form: CsvForm) -> tuple[list[Row], list[Fault]]:
    """Return the rows of a file by column, each with its line, and the faults of its shape (not of its values).

    White space around a field does not count. Where the header is wrong there are no rows.
    """
    try:
        lines, faults = decoded_lines(path, form.name)
    except OSError as error:
        return [], [Fault(None, f"cannot read the {form.name}: {error.strerror}")]
    records = csv_records(lines, faults)
    names = _header(next(records, None), form, faults)
    if names is None:
        return [], faults
    rows: list[Row] = []
    for line, fields in records:
        if len(fields) == len(names):
            rows.append((line, dict(zip(names, fields, strict=True))))
        else:
            faults.append(Fault(line, f"{len(fields)} fields; allowed: the {len(names)} of the header"))
    if not rows and not faults:
        faults.append(Fault(None, f"no rows; a row for each {form.row} is needed"))
    return rows, faults


def csv_records(lines: Iterable[tuple[int, str]], faults: list[Fault]) -> Iterator[Record]:
    """Yield the fields of each line without the white space around them; add a fault for a line that is no CSV row."""
    for line, text in lines:
        try:
            fields = next(csv.reader([text], strict=True), [])
        except csv.Error as error:
            faults.append(Fault(line, f"not a CSV row: {error}"))
            continue
        yield line, [field.strip() for field in fields]


def _header(header: Record | None, form: CsvForm, faults: list[Fault]) -> list[str] | None:
    """Return the names of the columns, or None and a fault where they are not those of the form."""
    if header is None:
        if not faults:
            faults.append(Fault(None, f"the file is empty; the first line must be {form}"))
        return None
    line, names = header
    told = _complaints(names, form)
    if told:
        faults.append(Fault(line, f"the header of a {form.name} {'; '.join(told)}; allowed: {form}"))
        return None
    return names


def _others(names: Sequence[str]) -> str:
    return f" and {len(names) - MOST_NAMED:,} others" if len(names) > MOST_NAMED else ""


def _complaints(names: Sequence[str], form: CsvForm) -> list[str]:
    told = []
    if missing := [name for name in form.required if name not in names]:
        told.append(f"lacks {', '.join(missing)}")
    if unknown := [name for name in names if name not in form.columns]:
        named = [quoted(name) + nearest(name, form.columns) for name in unknown[:MOST_NAMED]]
        told.append(f"has {', '.join(named)}{_others(unknown)}")
    if twice := sorted({name for name in names if names.count(name) > 1}):
        told.append(f"has {', '.join(map(repr, twice))} twice")
    return told
