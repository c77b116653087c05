"""Rows that bear a name of their own, one a row: read strictly, with every fault of the whole file."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

from phasewise.sched.errors import TraceError
from phasewise.sched.reading.csv_tables import CsvForm, scan_rows
from phasewise.sched.reading.faults import Fault, render
from phasewise.sched.reading.fields import integer

Item = TypeVar("Item")


def checked(path: Path, scanned: tuple[list[Item], list[Fault]]) -> list[Item]:
    """Return the items of a list; raise `TraceError` with the line of every fault where there are any."""
    items, faults = scanned
    if faults:
        raise TraceError(render(path, faults))
    return items


def scan_named(
    path: Path, form: CsvForm, key: str, parse: Callable[[dict[str, str]], tuple[Item, list[str]]]
) -> tuple[list[Item], list[Fault]]:
    """Return the items of the rows that are right, and every fault of a list with its line, in order.

    Parameters
    ----------
    path, form
        The file, and its columns.
    key
        The column that names a row: not empty, and no name twice.
    parse
        Makes an item of a row's fields, and says what is wrong with them.
    """
    rows, faults = scan_rows(path, form)
    items: list[Item] = []
    first: dict[str, int] = {}
    for line, row in rows:
        item, told = parse(row)
        name = row[key]
        if not name:
            told.insert(0, f"{key} is empty; a name is needed")
        elif first.setdefault(name, line) != line:
            told.insert(0, f"{form.row} {name!r} again; first in line {first[name]}")
        faults.extend(Fault(line, message) for message in told)
        if not told:
            items.append(item)
    faults.sort(key=lambda fault: fault.line or 0)
    return items, faults


class Fields:
    """Fields of one row, read strictly; what is wrong gathers in ``told``."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def integer(self, name: str, text: str, least: int = 0, most: int | None = None) -> int:
        """Return a field as an integer between two limits, or -1 and a complaint."""
        try:
            return integer(name, text, least=least, most=most)
        except ValueError as error:
            self.told.append(str(error))
            return -1
