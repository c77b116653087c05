"""Every fault of an input file, with its line."""

from __future__ import annotations

from pathlib import Path

from phasewise.sched.faults import Fault
from phasewise.sched.scenarios import scan_scenario
from phasewise.sched.workload.gavel_trace import scan_trace
from phasewise.sched.workload.throughputs import ThroughputTable, scan_csv

__all__ = ["Fault", "validate_file"]


def validate_file(path: Path, throughputs: Path | None = None) -> list[Fault]:
    """Return every fault of a trace, a scenario (``.toml``) or a throughput table (``.csv``), in order of lines.

    A file with another suffix is a trace. Its job types are judged by the table in the CSV file ``throughputs``, or by
    the built-in one.

    Raises
    ------
    TraceError
        Where ``throughputs`` itself is wrong, with the line of every fault.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        return [Fault(None, f"{path} {found}; allowed: a trace, a scenario (.toml) or a throughput table (.csv)")]
    suffix = path.suffix.lower()
    if suffix == ".toml":
        return scan_scenario(path)
    if suffix == ".csv":
        return scan_csv(path)[1]
    table = ThroughputTable.from_csv(throughputs) if throughputs else ThroughputTable.builtin()
    return scan_trace(path, table.for_types(table.worker_types))[1]
