"""`tiresias`: the job lists of the Tiresias simulator (NSDI'19)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from phasewise.sched.workload.importing.record import Dropped, Record
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.tables import TableFormat, number, text_of, whole


@register_format
class Tiresias(TableFormat):
    """Job list of the Tiresias simulator (CSV with header)."""

    name: ClassVar[str] = "tiresias"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is submit_time, seconds; iterations are not read: the work is the duration",
        "no GPU type is recorded: a duration counts as taken on the reference type",
    )
    columns: ClassVar[tuple[str, ...]] = (
        "job_id", "num_gpu", "submit_time", "iterations", "model_name", "duration", "interval",
    )  # fmt: skip

    def record(self, row: Mapping[str, str]) -> Record | Dropped:
        """Return what a row says."""
        submit_s = number("submit_time", row["submit_time"])
        if submit_s is None:
            return Dropped("no submission time")
        return Record(
            submit_s,
            number("duration", row["duration"]),
            whole("num_gpu", row["num_gpu"]),
            source_id=text_of(row["job_id"]),
            job_type=text_of(row["model_name"]),
        )
