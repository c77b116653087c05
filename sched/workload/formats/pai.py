"""`pai` and `pai-sim`: Alibaba's PAI traces of 2020: the task table, and the job list of their simulator."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar, Final

from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing.job_table import Job, JobTable, beside
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
_BY_JOB: Final = {"submit": "job_table"}
_UNKNOWN: Final = Job(None, None, None)
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
        "the arrival is start_time: the table has no submission, so what was queued comes late; with --map "
        "submit=job_table it is the start_time of the job in the job table, where that is no later",
        "each task is a job of its own, on plan_gpu / 100 x inst_num GPUs; gpu_type MISC is no type",
        "user and final state are those of the job where pai_job_table.csv lies beside it",
    )
    columns: ClassVar[tuple[str, ...]] = _TASKS

    def __init__(self, columns: Mapping[str, str], notes: Notes) -> None:
        if columns and dict(columns) != _BY_JOB:
            raise TraceError(
                "trace format pai has its columns in a fixed order; --map is for csv and swf, or here submit=job_table"
            )
        self.notes = notes
        self._submitted = bool(columns)
        self._jobs: JobTable | None = None

    @staticmethod
    def sniff(head: Head) -> bool:
        """Return whether the first line is the header, or a row whose fourth field is a state of a task."""
        first = head.columns(",")
        return first == _TASKS or (len(first) == len(_TASKS) and first[3] in _STATES)

    def rows(self, source: Source) -> Iterator[Row]:
        """Yield every row of the file, in its order."""
        self._join(source.path)
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
        job = self._job(row["job_name"])
        arrival_s = self._arrival(start_s, job)
        if arrival_s is None:
            return Dropped("it never started, and no arrival is known")
        gang = whole("inst_num", row["inst_num"], 1)
        gpus, milli = shares((number("plan_gpu", row["plan_gpu"]) or 0.0) / PERCENT, gang, self.notes)
        return Record(
            arrival_s,
            between(start_s, number("end_time", row["end_time"])),
            gpus,
            milli,
            gpu_type=_known_type(row["gpu_type"]),
            cpu_milli=round((number("plan_cpu", row["plan_cpu"]) or 0.0) / PERCENT * 1000 * gang),
            memory_mib=round((number("plan_mem", row["plan_mem"]) or 0.0) * 1024 * gang),
            user=job.user,
            state=job.state or text_of(row["status"]),
            source_id=f"{row['job_name']}/{row['task_name']}",
        )

    def _join(self, tasks: Path) -> None:
        """Read the job table beside the task table."""
        path = beside(tasks)
        if path is not None:
            self._jobs = JobTable(path)
            self.notes.add(f"joined with {path.name}, by job_name", 0)
        elif self._submitted:
            raise TraceError(
                f"{tasks}: --map submit=job_table, but no job table lies beside it; allowed: pai_task_table.csv and "
                "pai_job_table.csv in one folder"
            )

    def _job(self, name: str) -> Job:
        if self._jobs is None:
            return _UNKNOWN
        job = self._jobs.get(name)
        if job is None:
            self.notes.add("tasks of which the job table has no job: they have no user, and their own state")
        return job or _UNKNOWN

    def _arrival(self, start_s: float | None, job: Job) -> float | None:
        """Return when a task came, seconds: when it started, or, where asked for, when its job was submitted."""
        if not self._submitted or start_s is None:
            return start_s
        if job.submit_s is None or job.submit_s > start_s:
            self.notes.add("tasks that started before their job was submitted, or whose job has no submission: they "
                           "arrive when they start")  # fmt: skip
            return start_s
        return job.submit_s


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
