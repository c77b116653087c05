"""One question in SQL to the traces of many runs: the rows of all, each with the run that it is of."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import click

from phasewise.profiling.trace_tables import tables_of

TRACE: Final = "trace.json.gz"
POINTS: Final = "points"  # of a study's folder


class AskError(click.ClickException):
    """There is no trace to ask, or the question is no SQL that it can answer: says which."""

    exit_code = 2


class Answers(NamedTuple):
    """What came back.

    Attributes
    ----------
    head
        Names of the columns, `run` first.
    rows
        Of all traces, in the order of their folders.
    left_out
        Runs without a trace.
    """

    head: list[str]
    rows: list[tuple[Any, ...]]
    left_out: list[str]


def ask(paths: Sequence[Path], sql: str) -> Answers:
    """Return the answers of all traces to a question.

    Parameters
    ----------
    paths
        Run directories, and folders of studies, which stand for all of their points.
    sql
        A query over Perfetto's tables `slice`, `counter` and `counter_track`.

    Raises
    ------
    AskError
        Where none of the runs has a trace, or the query fails.
    RecordError
        Where a trace cannot be read.
    """
    runs = [run for path in paths for run in _runs(path)]
    traced = [run for run in runs if (run / TRACE).is_file()]
    if not traced:
        raise AskError(
            f"{', '.join(map(str, paths))}: no run with a {TRACE}; a run writes it unless output.trace is false, and a "
            "study where it is true"
        )
    head: list[str] = []
    rows: list[tuple[Any, ...]] = []
    for run in traced:
        head, found = _answer(run, sql)
        rows += [(run.name, *row) for row in found]
    return Answers(["run", *head], rows, [run.name for run in runs if run not in traced])


def _runs(path: Path) -> Iterator[Path]:
    """Yield the run directory, or those of the points of a study."""
    if not path.is_dir():
        raise AskError(f"{path}: no such folder; expected a run directory or the folder of a study")
    points = path / POINTS
    yield from sorted(each for each in points.iterdir() if each.is_dir()) if points.is_dir() else [path]


def _answer(run: Path, sql: str) -> tuple[list[str], list[tuple[Any, ...]]]:
    tables = tables_of(run / TRACE)
    try:
        cursor = tables.execute(sql)
        rows = cursor.fetchall()
    except (sqlite3.Error, sqlite3.Warning) as error:
        raise AskError(f"{run}: the question cannot be answered: {error}") from error
    finally:
        tables.close()
    return [column[0] for column in cursor.description or ()], rows
