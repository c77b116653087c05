"""`acme-seren` and `acme-kalos`: the job logs of the two Acme clusters (NSDI'24), a row a job."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from phasewise.sched.workload.importing.record import Dropped, Record
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.tables import TableFormat, number, text_of, whole
from phasewise.sched.workload.importing.times import between

_SHARED = (
    "job_id", "user", "node_num", "gpu_num", "cpu_num", "type", "state",
    "submit_time", "start_time", "end_time", "duration", "queue", "gpu_time",
)  # fmt: skip
_KALOS = ("mem_per_pod_GB", "shared_mem_per_pod", "fail_time", "stop_time")
_ON = "no GPU type is recorded: a duration counts as taken on the reference type"


class _Acme(TableFormat):
    def record(self, row: Mapping[str, str]) -> Record | Dropped:
        """Return what a row says."""
        submit_s, start_s, end_s = (self.time(row, name) for name in ("submit_time", "start_time", "end_time"))
        if submit_s is None:
            return Dropped("no submission time")
        pod_gib = number("mem_per_pod_GB", row.get("mem_per_pod_GB", "")) or 0.0
        return Record(
            submit_s,
            between(start_s, end_s),
            whole("gpu_num", row["gpu_num"]),
            cpu_milli=1000 * whole("cpu_num", row["cpu_num"]),
            memory_mib=round(pod_gib * 1024) * max(1, whole("node_num", row["node_num"])),
            user=text_of(row["user"]),
            job_class=text_of(row["type"]),
            state=text_of(row["state"]),
            source_id=text_of(row["job_id"]),
        )


@register_format
class Seren(_Acme):
    """Job log of Acme's Seren cluster (CSV with header)."""

    name: ClassVar[str] = "acme-seren"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is submit_time, the duration end_time - start_time",
        "the class is the kind of job (column type)",
        _ON,
    )
    columns: ClassVar[tuple[str, ...]] = _SHARED

    @classmethod
    def sniff(cls, head: object) -> bool:
        """Return whether the header has the columns of this format, and not those that only Kalos has."""
        return super().sniff(head) and not head.has(*_KALOS)  # type: ignore[arg-type,attr-defined]


@register_format
class Kalos(_Acme):
    """Job log of Acme's Kalos cluster (CSV with header)."""

    name: ClassVar[str] = "acme-kalos"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is submit_time, the duration end_time - start_time: column duration contains the queue, as does "
        "gpu_time, so neither is read",
        "the class is the kind of job (column type); memory is that of a pod times node_num",
        _ON,
    )
    columns: ClassVar[tuple[str, ...]] = (*_SHARED, *_KALOS)
