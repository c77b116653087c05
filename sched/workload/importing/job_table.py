"""The job table of Alibaba's PAI traces of 2020, beside the task table: whose a job is, how it ended, when it was sent.

It has a million rows, and the task table is read row by row: what is kept of a job are its name and 13 bytes.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

import numpy as np

from phasewise.profiling.names import quoted
from phasewise.sched.errors import TraceError
from phasewise.sched.reading.faults import Fault, render
from phasewise.sched.workload.importing.source import Source
from phasewise.sched.workload.importing.tables import number, text_of

COLUMNS: Final = ("job_name", "inst_id", "user", "status", "start_time", "end_time")
LONGEST_NAME: Final = 64  # bytes of a job's name; those of the trace have 24
MOST_WORDS: Final = 1 << 16  # users, or states; the trace has some 1,300 users
_BLOCK: Final = 1 << 14
_TASK, _JOB = "task_table", "job_table"


class Job(NamedTuple):
    """What the job table says of a job; None where it says nothing."""

    user: str | None
    state: str | None
    submit_s: float | None


def beside(tasks: Path) -> Path | None:
    """Return the job table that lies beside a task table and is called like it, None where there is none."""
    if _TASK not in tasks.name:
        return None
    named = tasks.with_name(tasks.name.replace(_TASK, _JOB))
    other = named.with_suffix("") if named.suffix == ".gz" else named.with_name(named.name + ".gz")
    return next((path for path in (named, other) if path.is_file()), None)


class JobTable:
    """Jobs by name.

    Parameters
    ----------
    path
        The table (CSV, with or without its header).

    Raises
    ------
    TraceError
        Where it cannot be read, or has faults, each with its line.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._words: dict[str, int] = {}
        names, codes, submits = self._columns(path)
        order = np.argsort(names, kind="stable")
        self._names, self._codes, self._submit_s = names[order], codes[order], submits[order]
        self._texts: list[str | None] = [None, *self._words]
        self._words = {}

    def get(self, name: str) -> Job | None:
        """Return a job, None where the table has none of that name."""
        key = name.encode()
        at = int(np.searchsorted(self._names, np.bytes_(key)))
        if at == len(self._names) or self._names[at] != key:
            return None
        user, state = self._codes[at].tolist()
        submit_s = float(self._submit_s[at])
        return Job(self._texts[user], self._texts[state], None if np.isnan(submit_s) else submit_s)

    def _columns(self, path: Path) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Return (J,) names, (J, 2) codes of user and state, and (J,) submissions, seconds; NaN where there is none."""
        blocks: list[tuple[np.ndarray, np.ndarray, np.ndarray]] = []
        rows: list[tuple[bytes, int, int, float]] = []
        faults: list[Fault] = []
        with Source(path) as source:
            for line, fields in _rows(source):
                try:
                    rows.append(self._row(fields))
                except ValueError as error:
                    faults.append(Fault(line, str(error)))
                if len(rows) == _BLOCK:
                    blocks.append(_packed(rows))
                    rows = []
        if faults:
            raise TraceError(render(path, faults))
        blocks.append(_packed(rows))
        names, codes, submits = (np.concatenate(each) for each in zip(*blocks, strict=True))
        return names, codes, submits

    def _row(self, fields: Sequence[str]) -> tuple[bytes, int, int, float]:
        if len(fields) != len(COLUMNS):
            raise ValueError(f"{len(fields)} fields; allowed: {len(COLUMNS)}, {','.join(COLUMNS)}")
        row = dict(zip(COLUMNS, fields, strict=True))
        name = row["job_name"].encode()
        if not 0 < len(name) <= LONGEST_NAME:
            raise ValueError(f"job_name is {quoted(row['job_name'])}; allowed: 1 to {LONGEST_NAME} bytes")
        submit_s = number("start_time", row["start_time"])
        user, state = (self._code(text_of(row[column])) for column in ("user", "status"))
        return name, user, state, float("nan") if submit_s is None else submit_s

    def _code(self, word: str | None) -> int:
        """Return a number for a word, 0 for none."""
        if word is None:
            return 0
        if len(self._words) >= MOST_WORDS and word not in self._words:
            raise ValueError(f"{quoted(word)} is one user or state too many; allowed: {MOST_WORDS:,} different ones")
        return self._words.setdefault(word, len(self._words) + 1)


def _rows(source: Source) -> Iterator[tuple[int, list[str]]]:
    """Yield every row but the header, with its line."""
    reader = csv.reader(text for _, text in source.lines())
    for fields in reader:
        if fields and not (reader.line_num == 1 and tuple(fields) == COLUMNS):
            yield reader.line_num, fields


def _packed(rows: Sequence[tuple[bytes, int, int, float]]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    return (
        np.array([row[0] for row in rows], f"S{LONGEST_NAME}" if not rows else None),
        np.array([row[1:3] for row in rows], np.int32).reshape(-1, 2),
        np.array([row[3] for row in rows], np.float64),
    )
