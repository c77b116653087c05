"""Rows whose columns a map names: which column is the arrival, which the GPUs, and so on."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from phasewise.profiling.names import nearest, quoted
from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing.record import Dropped, Notes, Record
from phasewise.sched.workload.importing.tables import number, shares, text_of, whole
from phasewise.sched.workload.importing.times import TimesOfFile, between

TIMES: Final = ("submit", "start", "end", "eligible")
AMOUNTS: Final = ("duration", "gpus", "gpu_milli", "cpus", "memory_mib", "limit", "steps", "weight")
WORDS: Final = ("gpu_type", "gpu_spec", "user", "vc", "class", "state", "id", "depends_on", "job_type")
KEYS: Final = (*TIMES, *AMOUNTS, *WORDS)

_PART: Final = re.compile(r"(.+)/(\d+(?:\.\d+)?)")
_PLAIN: Final = re.compile(r"[+-]?\d+(\.\d*)?", re.ASCII)


@dataclass(frozen=True, slots=True)
class _Column:
    name: str
    divisor: float = 1.0


class ColumnMap:
    """Makes a record of a row by a map from what a record has to the columns of the file.

    Parameters
    ----------
    columns
        By a key of `KEYS`, the name of a column; for an amount also ``COLUMN/NUMBER``, which divides it.
    names
        The columns of the file.
    where
        The file, for messages.

    Raises
    ------
    TraceError
        Where the map names what there is not, or lacks what every job needs.
    """

    def __init__(self, columns: Mapping[str, str], names: list[str], where: object, notes: Notes) -> None:
        self._where, self._notes = where, notes
        self._times = TimesOfFile(where, notes)
        self._columns = {key: self._column(key, text, names) for key, text in columns.items()}
        if lacks := [key for key in ("submit", "gpus") if key not in columns]:
            raise TraceError(f"{where}: --map lacks {', '.join(lacks)}; give {self._example()}")
        if not ({"duration", "steps"} & columns.keys() or {"start", "end"} <= columns.keys()):
            raise TraceError(f"{where}: --map has no duration; give duration=COLUMN, or start=COLUMN and end=COLUMN")

    @staticmethod
    def _example() -> str:
        return "for example --map submit=submit_time,gpus=num_gpu,duration=duration"

    def _column(self, key: str, text: str, names: list[str]) -> _Column:
        if key not in KEYS:
            raise TraceError(f"--map names {quoted(key)}{nearest(key, KEYS)}; allowed: {', '.join(KEYS)}")
        column = _Column(text)
        if text not in names and (part := _PART.fullmatch(text)) is not None and key in AMOUNTS:
            column = _Column(part[1], float(part[2]))
        if column.name not in names or column.divisor <= 0.0:
            near = nearest(column.name, names)
            listed = ", ".join(names[:40])
            raise TraceError(f"{self._where}: --map {key}={text}: there is no such column{near}; it has {listed}")
        return column

    def record(self, row: Mapping[str, str], line: int) -> Record | Dropped:
        """Return what a row says; raise ValueError where it cannot be read."""
        submit_s = self._time(row, "submit", line)
        if submit_s is None:
            return Dropped("no submission time")
        start_s, end_s = self._time(row, "start", line), self._time(row, "end", line)
        duration_s = self._amount(row, "duration")
        if duration_s is None and "duration" not in self._columns:
            duration_s = between(start_s, end_s)
        gpus, milli = shares(self._amount(row, "gpus") or 0.0, 1, self._notes)
        if "gpu_milli" in self._columns and gpus == 1:
            milli = min(1000, whole("gpu_milli", row[self._columns["gpu_milli"].name], 1000)) or 1000
        weight, steps = self._amount(row, "weight"), self._amount(row, "steps")
        return Record(
            submit_s,
            duration_s,
            gpus,
            milli,
            gpu_type=self._word(row, "gpu_type"),
            gpu_spec=self._word(row, "gpu_spec"),
            cpu_milli=round((self._amount(row, "cpus") or 0.0) * 1000),
            memory_mib=round(self._amount(row, "memory_mib") or 0.0),
            user=self._word(row, "user"),
            vc=self._word(row, "vc"),
            job_class=self._word(row, "class"),
            state=self._word(row, "state"),
            eligible_s=self._time(row, "eligible", line),
            limit_s=self._amount(row, "limit"),
            depends_on=self._word(row, "depends_on"),
            source_id=self._word(row, "id"),
            job_type=self._word(row, "job_type"),
            total_steps=steps if steps else None,
            priority_weight=weight if weight else 1.0,
        )

    def _time(self, row: Mapping[str, str], key: str, line: int) -> float | None:
        """Return a point in time: seconds as they are, or a date."""
        column = self._columns.get(key)
        if column is None:
            return None
        text = row[column.name].strip()
        if _PLAIN.fullmatch(text):
            return number(column.name, text)
        return self._times.seconds(column.name, text, line)

    def _amount(self, row: Mapping[str, str], key: str) -> float | None:
        column = self._columns.get(key)
        value = None if column is None else number(column.name, row[column.name])
        return None if value is None or column is None else value / column.divisor

    def _word(self, row: Mapping[str, str], key: str) -> str | None:
        column = self._columns.get(key)
        return None if column is None else text_of(row[column.name])
