"""The table of a study: a row a point, as Parquet and as CSV."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from phasewise.bench.study.folder import State, StudyFolder
from phasewise.profiling.artefacts.sinks import beside, write_atomically
from phasewise.profiling.errors import cannot_write

if TYPE_CHECKING:
    import pyarrow as pa

TABLE: Final = "table.parquet"

Columns = dict[str, list[Any]]


def columns_of(states: Sequence[State]) -> Columns:
    """Return the table as lists by column.

    ``point``; what tells the points apart, under dotted keys; ``status``; every number and truth value of the summary,
    nested ones under dotted keys; ``cpu_s`` (of the loop, or of the fill; of the whole attempt where it has no
    summary); ``point_cpu_s``, ``point_wall_s`` (of the whole attempt), ``attempts``, ``message``. What a point does not
    have is None.
    """
    keys = list(dict.fromkeys(key for state in states for key in state.point.overrides))
    figures = [numbers_of(state.summary) for state in states]
    names = dict.fromkeys(name for each in figures for name in each)
    names.pop("cpu_s", None)
    columns: Columns = {"point": [state.point.name for state in states]}
    for key in keys:
        columns[key] = _alike([state.point.overrides.get(key) for state in states])
    columns["status"] = [state.status for state in states]
    for name in names:
        if name not in columns:  # an override of that name says what was asked for
            columns[name] = [each.get(name) for each in figures]
    attempts = [state.attempt for state in states]
    columns["cpu_s"] = [each.get("cpu_s", state.cpu_s) for each, state in zip(figures, states, strict=True)]
    columns["point_cpu_s"] = [None if each is None else each.cpu_s for each in attempts]
    columns["point_wall_s"] = [None if each is None else each.wall_s for each in attempts]
    columns["attempts"] = [None if each is None else each.attempts for each in attempts]
    columns["message"] = [state.message for state in states]
    return columns


def numbers_of(summary: Mapping[str, Any], prefix: str = "") -> dict[str, float | int | bool]:
    """Return every number and truth value of a summary, nested ones under dotted keys."""
    found: dict[str, float | int | bool] = {}
    for key, value in summary.items():
        if isinstance(value, Mapping):
            found |= numbers_of(value, f"{prefix}{key}.")
        elif isinstance(value, (int, float)):
            found[f"{prefix}{key}"] = value
    return found


def _alike(values: Sequence[Any]) -> list[Any]:
    """Return values that fit one column: as they are where they are of one plain type, otherwise as JSON."""
    kinds = {type(value) for value in values if value is not None}
    if kinds == {int, float}:
        return [None if value is None else float(value) for value in values]
    if len(kinds) <= 1 and kinds <= {int, float, str, bool}:
        return list(values)
    return [value if isinstance(value, str) else json.dumps(value) for value in values]


def write_table(folder: StudyFolder, states: Sequence[State]) -> Path:
    """Write ``table.parquet``, whole or not at all, and return where it is; raises `OutputError`."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = columns_of(states)
    table = pa.table({name: _array(name, values) for name, values in columns.items()})
    path = folder.path / TABLE
    temporary = beside(path)
    try:
        pq.write_table(table, temporary)
        temporary.replace(path)
    except OSError as error:
        temporary.unlink(missing_ok=True)
        raise cannot_write(path, error) from error
    return path


def _array(name: str, values: Sequence[Any]) -> pa.Array:
    import pyarrow as pa

    if all(value is None for value in values):
        return pa.array(values, pa.string() if name == "message" else pa.float64())
    return pa.array(values)


def write_csv(path: Path, states: Sequence[State]) -> None:
    """Write the table as CSV; a value that is missing is empty. Raises `OutputError`."""
    write_atomically(path, csv_text(columns_of(states)).encode())


def csv_text(columns: Mapping[str, Sequence[Any]]) -> str:
    """Return columns as CSV."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator=os.linesep)
    writer.writerow(columns)
    writer.writerows(_cells(row) for row in zip(*columns.values(), strict=True))
    return text.getvalue()


def _cells(row: Iterable[Any]) -> list[Any]:
    return ["" if value is None else value for value in row]
