"""Every fault of an input file, with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from phasewise.sched.faults import Fault
from phasewise.sched.scenario.loading import scan_scenario
from phasewise.sched.workload.csv_tables import header_of
from phasewise.sched.workload.gavel_trace import scan_trace
from phasewise.sched.workload.openb import NODE_LIST, POD_LIST, scan_nodes, scan_pods
from phasewise.sched.workload.throughputs import COLUMNS, ThroughputTable, scan_csv

__all__ = ["Fault", "validate_file"]

ALLOWED = "a trace, a scenario (.toml), or a throughput table, a node list or a pod list (.csv)"

# A CSV file is what most columns of its header belong to; the first of these where that is a draw.
_CSV_KINDS: tuple[tuple[tuple[str, ...], Callable[[Path], list[Fault]]], ...] = (
    (COLUMNS, lambda path: scan_csv(path)[1]),
    (NODE_LIST.columns, lambda path: scan_nodes(path)[1]),
    (POD_LIST.columns, lambda path: scan_pods(path)[1]),
)


def validate_file(path: Path, throughputs: Path | None = None) -> list[Fault]:
    """Return every fault of a trace, a scenario (``.toml``) or a ``.csv`` file, in order of lines.

    A CSV file is a throughput table, a node list or a pod list, by its header. A file with another suffix is a trace.
    Its job types are judged by the table in the CSV file ``throughputs``, or by the built-in one.

    Raises
    ------
    TraceError
        Where ``throughputs`` itself is wrong, with the line of every fault.
    """
    if not path.is_file():
        found = "is a folder" if path.is_dir() else "does not exist"
        return [Fault(None, f"{path} {found}; allowed: {ALLOWED}")]
    suffix = path.suffix.lower()
    if suffix == ".toml":
        return scan_scenario(path)
    if suffix == ".csv":
        names = set(header_of(path))
        _, scan = max(_CSV_KINDS, key=lambda kind: len(names.intersection(kind[0])))
        return scan(path)
    table = ThroughputTable.from_csv(throughputs) if throughputs else ThroughputTable.builtin()
    return scan_trace(path, table.for_types(table.worker_types))[1]
