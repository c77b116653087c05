"""`shockwave`: the traces of the Shockwave simulator (NSDI'23): Gavel's fields, a mode of adaptation and a duration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final

from phasewise.profiling.names import quoted
from phasewise.sched.workload.importing.record import Record
from phasewise.sched.workload.importing.registry import register_format
from phasewise.sched.workload.importing.source import Head
from phasewise.sched.workload.importing.tabbed import TabbedFormat, above_0, at_least_0, promise

MODES: Final = ("static", "accordion", "gns")
_MODE: Final = 7  # its place in a line


@register_format
class Shockwave(TabbedFormat):
    """Trace of the Shockwave simulator: twelve fields, or eleven without the duration, separated by tabs."""

    name: ClassVar[str] = "shockwave"
    assumes: ClassVar[tuple[str, ...]] = (
        "the duration is that on a v100; batch sizes that change while a job runs (accordion, gns) are not simulated",
    )
    counts: ClassVar[tuple[int, ...]] = (12, 11)

    @classmethod
    def sniff(cls, head: Head) -> bool:
        """Return whether the first line has so many fields and names a mode in its place."""
        fields = head.columns("\t")
        return len(fields) in cls.counts and fields[_MODE] in MODES

    def record(self, fields: Sequence[str]) -> Record:
        """Return what a line says."""
        job_type, _, _, _, _, steps, gpus, mode, weight, slo, *rest = fields
        if mode not in MODES:
            raise ValueError(f"the mode is {quoted(mode)}; allowed: {', '.join(MODES)}")
        if mode != "static":
            self.notes.add("jobs whose batch size changes: they keep the first one")
        return Record(
            at_least_0("arrival", rest[-1]),
            at_least_0("duration", rest[0]) if len(rest) > 1 else None,
            int(above_0("scale factor", gpus)),
            gpu_type="v100",
            job_type=job_type,
            total_steps=above_0("total steps", steps),
            priority_weight=above_0("priority weight", weight),
            slo=promise(slo),
        )
