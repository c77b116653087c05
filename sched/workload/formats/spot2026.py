"""`spot2026`: the job list of Alibaba's cluster-trace-v2026-spot: high-priority and spot jobs on six GPU models."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from phasewise.sched.workload.importing.record import Dropped, Record
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.tables import TableFormat, number, shares, text_of, whole


@register_format
class Spot2026(TableFormat):
    """Job list of Alibaba's spot traces of 2026 (CSV with header)."""

    name: ClassVar[str] = "spot2026"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is submit_time; a job takes gpu_request x worker_num GPUs at once",
        "a duration was taken on gpu_model, and the job may run on any type",
        "the class is job_type (HP or Spot), the virtual cluster the organization",
    )
    columns: ClassVar[tuple[str, ...]] = (
        "job_name", "organization", "gpu_model", "cpu_request", "gpu_request", "worker_num",
        "submit_time", "duration", "job_type",
    )  # fmt: skip

    def record(self, row: Mapping[str, str]) -> Record | Dropped:
        """Return what a row says."""
        submit_s = number("submit_time", row["submit_time"])
        if submit_s is None:
            return Dropped("no submission time")
        workers = whole("worker_num", row["worker_num"], 1)
        gpus, milli = shares(number("gpu_request", row["gpu_request"]) or 0.0, workers, self.notes)
        return Record(
            submit_s,
            number("duration", row["duration"]),
            gpus,
            milli,
            gpu_type=text_of(row["gpu_model"]),
            cpu_milli=round((number("cpu_request", row["cpu_request"]) or 0.0) * 1000 * workers),
            vc=text_of(row["organization"]),
            job_class=text_of(row["job_type"]),
            source_id=text_of(row["job_name"]),
        )
