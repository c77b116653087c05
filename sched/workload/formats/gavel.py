"""`gavel` and `gavel7`: the traces of the Gavel simulator (OSDI'20): ten fields a line, or, before that, seven."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from phasewise.sched.workload.importing.record import Record
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.tabbed import TabbedFormat, above_0, at_least_0, promise


@register_format
class Gavel(TabbedFormat):
    """Trace of the Gavel simulator: ten fields, separated by tabs."""

    name: ClassVar[str] = "gavel"
    assumes: ClassVar[tuple[str, ...]] = (
        "jobs have types and steps: a duration is their steps over the rate of the table on the reference type",
    )
    counts: ClassVar[tuple[int, ...]] = (10,)

    def record(self, fields: Sequence[str]) -> Record:
        """Return what a line says."""
        job_type, _, _, _, _, steps, gpus, weight, slo, arrival = fields
        return Record(
            at_least_0("arrival", arrival),
            None,
            int(above_0("scale factor", gpus)),
            job_type=job_type,
            total_steps=above_0("total steps", steps),
            priority_weight=above_0("priority weight", weight),
            slo=promise(slo),
        )


@register_format
class Gavel7(TabbedFormat):
    """Trace of the first form of the Gavel simulator: seven fields, separated by tabs."""

    name: ClassVar[str] = "gavel7"
    assumes: ClassVar[tuple[str, ...]] = (
        "the sixth field is the arrival and the seventh the scale factor; every job has weight 1 and no SLO",
        *Gavel.assumes,
    )
    counts: ClassVar[tuple[int, ...]] = (7,)

    def record(self, fields: Sequence[str]) -> Record:
        """Return what a line says."""
        job_type, _, _, _, steps, arrival, gpus = fields
        return Record(
            at_least_0("arrival", arrival),
            None,
            int(above_0("scale factor", gpus)),
            job_type=job_type,
            total_steps=above_0("total steps", steps),
        )
