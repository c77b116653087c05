"""`openb`: pod lists of Alibaba's cluster-trace-gpu-v2023: pods with the times at which they came and went."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from phasewise.sched.workload.importing.record import Dropped, Record
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.tables import TableFormat, number, text_of, whole
from phasewise.sched.workload.importing.times import between


@register_format
class Openb(TableFormat):
    """Pod list of Alibaba's GPU traces of 2023 (CSV with header)."""

    name: ClassVar[str] = "openb"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is creation_time, the duration deletion_time - scheduled_time",
        "the GPU type on which a pod ran is not recorded: its duration counts as taken on the reference type",
        "the class is qos; gpu_spec is what a pod allows",
    )
    columns: ClassVar[tuple[str, ...]] = (
        "name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli", "gpu_spec", "qos", "pod_phase",
        "creation_time", "deletion_time", "scheduled_time",
    )  # fmt: skip

    def record(self, row: Mapping[str, str]) -> Record | Dropped:
        """Return what a row says."""
        created_s = number("creation_time", row["creation_time"])
        if created_s is None:
            return Dropped("no creation time")
        times_s = (number(name, row[name]) for name in ("scheduled_time", "deletion_time"))
        gpus, milli = whole("num_gpu", row["num_gpu"]), whole("gpu_milli", row["gpu_milli"])
        return Record(
            created_s,
            between(*times_s),
            gpus,
            milli if gpus == 1 and milli else 1000,
            gpu_spec=text_of(row["gpu_spec"]),
            cpu_milli=whole("cpu_milli", row["cpu_milli"]),
            memory_mib=whole("memory_mib", row["memory_mib"]),
            job_class=text_of(row["qos"]),
            state=text_of(row["pod_phase"]),
            source_id=text_of(row["name"]),
        )
