"""`sacct`: what SLURM's accounting prints: ``sacct -X -P --format=JobIDRaw,User,...,Submit,Eligible,Start,End,...``."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import ClassVar, Final, NamedTuple

from phasewise.profiling.names import quoted
from phasewise.sched.errors import TraceError
from phasewise.sched.workload.importing.record import Dropped, Record
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.source import Source
from phasewise.sched.workload.importing.tables import TableFormat, number, text_of
from phasewise.sched.workload.importing.times import between

_RESOURCES: Final = ("AllocTRES", "ReqTRES", "AllocGRES", "ReqGRES")
_GPU: Final = re.compile(r"(?:gres/)?gpu(?::([\w.-]+))?[=:](\d+)")
_AMOUNT: Final = re.compile(r"(\d+(?:\.\d+)?)([KMGT]?)")
_MIB: Final = {"K": 1 / 1024, "M": 1.0, "": 1.0, "G": 1024.0, "T": 1048576.0}
_LIMIT: Final = re.compile(r"(?:(\d+)-)?(\d+):(\d\d)(?::(\d\d))?")
_NO_LIMIT: Final = frozenset({"", "UNLIMITED", "Partition_Limit", "INVALID"})


class Resources(NamedTuple):
    """What a list of trackable resources asks for."""

    gpus: int
    gpu_type: str | None
    cpu_milli: int
    memory_mib: int


@register_format
class Sacct(TableFormat):
    """Output of `sacct -X -P` (SLURM), with header, separated by `|`."""

    name: ClassVar[str] = "sacct"
    assumes: ClassVar[tuple[str, ...]] = (
        "the arrival is Submit (Eligible, later where a job waited for another, is kept), the duration End - Start",
        "GPUs are those of AllocTRES, or of ReqTRES where nothing was allocated; the virtual cluster is the partition, "
        "the class the QOS",
    )
    columns: ClassVar[tuple[str, ...]] = ("Submit", "Start", "End", "State")
    separator: ClassVar[str] = "|"
    names_others: ClassVar[bool] = False

    def begin(self, names: list[str], source: Source) -> None:
        """Judge the header."""
        super().begin(names, source)
        if not {"JobIDRaw", "JobID"} & set(names) or not set(_RESOURCES) & set(names):
            raise TraceError(
                f"{source.path}:1: the header lacks JobIDRaw (or JobID), or AllocTRES (or ReqTRES); give both to "
                "sacct --format"
            )

    def record(self, row: Mapping[str, str]) -> Record | Dropped:
        """Return what a row says."""
        name = row.get("JobIDRaw") or row.get("JobID") or ""
        if "." in name or "." in row.get("JobID", ""):
            return Dropped("a step of a job (sacct without -X)")
        if "[" in name or "[" in row.get("JobID", ""):
            return Dropped("the part of an array that had not started: several jobs in one row")
        submit_s, start_s, end_s = (self.time(row, column) for column in ("Submit", "Start", "End"))
        if submit_s is None:
            return Dropped("no submission time")
        asked = resources(row)
        return Record(
            submit_s,
            between(start_s, end_s),
            asked.gpus,
            gpu_type=asked.gpu_type,
            cpu_milli=asked.cpu_milli,
            memory_mib=asked.memory_mib,
            user=text_of(row.get("User")),
            vc=text_of(row.get("Partition")),
            job_class=text_of(row.get("QOS")),
            state=(row["State"].split() or [""])[0] or None,
            eligible_s=self.time(row, "Eligible") if "Eligible" in row else None,
            limit_s=limit_s(row),
            source_id=text_of(name),
        )


def resources(row: Mapping[str, str]) -> Resources:
    """Return what was allocated, or else asked for: ``gres/gpu:l20=1,gres/gpu=1`` is one GPU."""
    text = next((row[column] for column in _RESOURCES if row.get(column, "").strip()), "")
    total, typed, kind = 0, 0, None
    for found in _GPU.finditer(text):
        if found[1] is None:
            total = max(total, int(found[2]))
        else:
            typed, kind = typed + int(found[2]), found[1] if kind in {None, found[1]} else None
    asked = dict(part.partition("=")[::2] for part in text.split(",") if "=" in part)
    cpus, memory = _AMOUNT.match(asked.get("cpu", "")), _AMOUNT.match(asked.get("mem", ""))
    return Resources(
        max(total, typed),
        kind,
        round(float(cpus[1]) * 1000) if cpus else 0,
        round(float(memory[1]) * _MIB[memory[2]]) if memory else 0,
    )


def limit_s(row: Mapping[str, str]) -> float | None:
    """Return how long a job was allowed to run, seconds: ``TimelimitRaw`` is minutes, ``Timelimit`` [days-]h:m:s."""
    raw, text = row.get("TimelimitRaw", "").strip(), row.get("Timelimit", "").strip()
    if raw and raw not in _NO_LIMIT:
        minutes = number("TimelimitRaw", raw)
        return None if minutes is None else minutes * 60.0
    if text in _NO_LIMIT:
        return None
    if (found := _LIMIT.fullmatch(text)) is None:
        raise ValueError(f"Timelimit is {quoted(text)}; allowed: [days-]hours:minutes:seconds, or UNLIMITED")
    days, hours, minutes_, seconds = (int(part or 0) for part in found.groups())
    return float(((days * 24 + hours) * 60 + minutes_) * 60 + seconds)
