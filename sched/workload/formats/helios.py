"""`helios`: the job logs of the Helios clusters (SC'21): ``cluster_log.csv``, a row a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar, Final

from phasewise.sched.workload.importing.record import Dropped, Record
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.tables import TableFormat, number, text_of, whole
from phasewise.sched.workload.importing.times import between

CAP_S: Final = 1_209_600.0  # fourteen days, after which a job is ended there


@register_format
class Helios(TableFormat):
    """Job log of the Helios clusters (CSV with header)."""

    name: ClassVar[str] = "helios"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is submit_time, the duration end_time - start_time",
        "no GPU type is recorded: a duration counts as taken on the reference type",
    )
    columns: ClassVar[tuple[str, ...]] = (
        "job_id", "user", "vc", "gpu_num", "cpu_num", "node_num", "state",
        "submit_time", "start_time", "end_time", "duration", "queue",
    )  # fmt: skip

    def record(self, row: Mapping[str, str]) -> Record | Dropped:
        """Return what a row says."""
        submit_s, start_s, end_s = (self.time(row, name) for name in ("submit_time", "start_time", "end_time"))
        if submit_s is None:
            return Dropped("no submission time")
        duration_s = between(start_s, end_s)
        if duration_s is None and start_s is not None:
            duration_s = number("duration", row["duration"])
        if duration_s is not None and duration_s >= CAP_S:
            self.notes.add("jobs that were ended at the limit of 14 days: their duration is a lower bound")
        return Record(
            submit_s,
            duration_s,
            whole("gpu_num", row["gpu_num"]),
            cpu_milli=1000 * whole("cpu_num", row["cpu_num"]),
            user=text_of(row["user"]),
            vc=text_of(row["vc"]),
            state=text_of(row["state"]),
            source_id=text_of(row["job_id"]),
        )
