"""`swf`: the standard workload format of the parallel workloads archive: 18 fields a line, separated by white space."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing.mapping import ColumnMap
from phasewise.sched.workload.importing.record import Dropped, Notes, Record, Row, Wrong
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.source import Head, Source

_FIELDS: Final = (
    "job", "submit", "wait", "run", "used_procs", "avg_cpu", "used_mem", "req_procs", "req_time", "req_mem",
    "status", "uid", "gid", "app", "queue", "partition", "prev_job", "think",
)  # fmt: skip
_STATES: Final = {"0": "FAILED", "1": "COMPLETED", "2": "PARTIAL", "3": "PARTIAL", "4": "PARTIAL", "5": "CANCELLED"}
_MAP: Final = {
    "submit": "submit", "duration": "run", "gpus": "procs", "limit": "req_time", "state": "status", "user": "uid",
    "vc": "queue", "id": "job", "depends_on": "prev_job",
}  # fmt: skip
_LINE: Final = re.compile(r"\s*(-?\d+(\.\d*)?([eE][+-]?\d+)?\s+){17}-?\d+(\.\d*)?\s*", re.ASCII)


@register_format
class Swf:
    """Standard workload format of parallel machines: 18 fields a line, `;` before comments."""

    name: ClassVar[str] = "swf"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is the submission (field 2), the duration the run time (field 4), the virtual cluster the queue",
        "that a job is submitted some time after another one has ended (fields 17 and 18) is kept and not simulated",
    )
    columns: ClassVar[tuple[str, ...]] = _FIELDS

    def __init__(self, columns: Mapping[str, str], notes: Notes) -> None:
        self.notes = notes
        self._map = {**_MAP, **columns}
        if "gpus" not in columns:
            notes.add(
                "each processor counts as a GPU: the format has no GPUs (--map gpus=procs/8 makes a GPU of eight: "
                "fewer share one, more are rounded up to whole ones)",
                0,
            )

    @staticmethod
    def sniff(head: Head) -> bool:
        """Return whether the first line that is no comment is of 18 numbers."""
        lines = [line for line in head.lines if not line.lstrip().startswith(";")]
        return bool(lines) and _LINE.fullmatch(lines[0]) is not None

    def rows(self, source: Source) -> Iterator[Row]:
        """Yield every job of the file, in its order."""
        mapped = ColumnMap(self._map, [*_FIELDS, "procs"], source.path, self.notes)
        for line, text in source.lines():
            if not text.strip() or text.lstrip().startswith(";"):
                continue
            fields = text.split()
            if len(fields) != len(_FIELDS):
                if not source.ends_whole:
                    raise TraceError(f"{source.path}:{line}: the file ends within a line: it was cut off")
                yield line, Wrong(f"{len(fields)} fields; allowed: {len(_FIELDS)}")
                continue
            try:
                yield line, self._record(mapped, fields, line)
            except ValueError as error:
                yield line, Wrong(str(error))

    @staticmethod
    def _record(mapped: ColumnMap, fields: list[str], line: int) -> Record | Dropped:
        """Return what a line says: -1 is nothing, and processors are those used, or else those asked for."""
        row = {name: "" if text in {"-1", "-1.0"} else text for name, text in zip(_FIELDS, fields, strict=True)}
        row["procs"] = row["used_procs"] if row["used_procs"] not in {"", "0"} else row["req_procs"]
        row["status"] = _STATES.get(row["status"], row["status"])
        return mapped.record(row, line)
