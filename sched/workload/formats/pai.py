"""`pai` and `pai-sim`: Alibaba's PAI traces of 2020: the task table, and the job list of their simulator."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from typing import ClassVar, Final

from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing.record import Dropped, Notes, Record, Row, Wrong
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.source import Head, Source
from phasewise.sched.workload.importing.tables import TableFormat, number, shares, text_of, whole
from phasewise.sched.workload.importing.times import between

PERCENT: Final = 100.0  # of a GPU, or of a core, is one
_TASKS: Final = (
    "job_name", "task_name", "inst_num", "status", "start_time", "end_time",
    "plan_cpu", "plan_mem", "plan_gpu", "gpu_type",
)  # fmt: skip
_STATES: Final = frozenset({"Terminated", "Failed", "Running", "Waiting", "Interrupted", "Cancelled"})


def _known_type(text: str | None) -> str | None:
    """Return a GPU type; MISC stands for several."""
    named = text_of(text)
    return None if named == "MISC" else named


@register_format
class Pai:
    """Task table of Alibaba's PAI traces of 2020 (CSV, with or without its header)."""

    name: ClassVar[str] = "pai"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is start_time: the table has no submission, so what was queued comes late",
        "each task is a job of its own, on plan_gpu / 100 x inst_num GPUs; gpu_type MISC is no type",
    )
    columns: ClassVar[tuple[str, ...]] = _TASKS

    def __init__(self, columns: Mapping[str, str], notes: Notes) -> None:
        if columns:
            raise TraceError("trace format pai has its columns in a fixed order; --map is for csv and swf")
        self.notes = notes

    @staticmethod
    def sniff(head: Head) -> bool:
        """Return whether the first line is the header, or a row whose fourth field is a state of a task."""
        first = head.columns(",")
        return first == _TASKS or (len(first) == len(_TASKS) and first[3] in _STATES)

    def rows(self, source: Source) -> Iterator[Row]:
        """Yield every row of the file, in its order."""
        reader = csv.reader(text for _, text in source.lines())
        for fields in reader:
            line = reader.line_num
            if not fields or (line == 1 and tuple(fields) == _TASKS):
                continue
            if len(fields) != len(_TASKS):
                if not source.ends_whole:
                    raise TraceError(f"{source.path}:{line}: the file ends within a row: it was cut off")
                yield line, Wrong(f"{len(fields)} fields; allowed: {len(_TASKS)}, {','.join(_TASKS)}")
                continue
            try:
                yield line, self.record(dict(zip(_TASKS, fields, strict=True)))
            except ValueError as error:
                yield line, Wrong(str(error))

    def record(self, row: Mapping[str, str]) -> Record | Dropped:
        """Return what a row says; raise ValueError where it cannot be read."""
        start_s = number("start_time", row["start_time"])
        if start_s is None:
            return Dropped("it never started, and no arrival is known")
        gang = whole("inst_num", row["inst_num"], 1)
        gpus, milli = shares((number("plan_gpu", row["plan_gpu"]) or 0.0) / PERCENT, gang, self.notes)
        return Record(
            start_s,
            between(start_s, number("end_time", row["end_time"])),
            gpus,
            milli,
            gpu_type=_known_type(row["gpu_type"]),
            cpu_milli=round((number("plan_cpu", row["plan_cpu"]) or 0.0) / PERCENT * 1000 * gang),
            memory_mib=round((number("plan_mem", row["plan_mem"]) or 0.0) * 1024 * gang),
            state=text_of(row["status"]),
            source_id=f"{row['job_name']}/{row['task_name']}",
        )


@register_format
class PaiSimulator(TableFormat):
    """Job list of the simulator of Alibaba's PAI traces (CSV with header)."""

    name: ClassVar[str] = "pai-sim"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is submit_time; num_gpu and num_cpu are percent, times num_inst where there is that column",
    )
    columns: ClassVar[tuple[str, ...]] = ("num_gpu", "num_cpu", "submit_time", "duration")
    optional: ClassVar[tuple[str, ...]] = ("job_id", "num_inst", "user", "gpu_type", "status")

    @classmethod
    def sniff(cls, head: Head) -> bool:
        """Return whether the header has the columns, and an estimate or a group, which no other list has."""
        marks = {"user_dur", "group_dur", "group_gpu_dur", "group", "num_inst"}
        return super().sniff(head) and bool(marks & set(head.columns(",")))

    def record(self, row: Mapping[str, str]) -> Record | Dropped:
        """Return what a row says."""
        submit_s = number("submit_time", row["submit_time"])
        if submit_s is None:
            return Dropped("no submission time")
        gang = whole("num_inst", row.get("num_inst", ""), 1)
        gpus, milli = shares((number("num_gpu", row["num_gpu"]) or 0.0) / PERCENT, gang, self.notes)
        return Record(
            submit_s,
            number("duration", row["duration"]),
            gpus,
            milli,
            gpu_type=_known_type(row.get("gpu_type")),
            cpu_milli=round((number("num_cpu", row["num_cpu"]) or 0.0) / PERCENT * 1000 * gang),
            user=text_of(row.get("user")),
            state=text_of(row.get("status")),
            source_id=text_of(row.get("job_id")),
        )
