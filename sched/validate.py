"""Every fault of an input file, with its line."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

from phasewise.profiling.inputs import input_fault, read_input
from phasewise.sched import registry
from phasewise.sched.cluster.foreign_lists import foreign_nodes
from phasewise.sched.cluster.openb import scan_nodes
from phasewise.sched.errors import SchedulingError, TraceError
from phasewise.sched.reading.faults import Fault
from phasewise.sched.reading.recognise import (
    CO_THROUGHPUTS,
    GUIDE,
    NODES,
    OURS,
    PODS,
    SCENARIO,
    THROUGHPUTS,
    TRACE,
    misfit,
    recognise,
)
from phasewise.sched.scenario.loading import load_scenario, scan_scenario
from phasewise.sched.scenario.workloads import GAVEL, build_workload, is_foreign
from phasewise.sched.workload.co_throughputs import CoThroughputTable
from phasewise.sched.workload.co_throughputs import scan_csv as scan_co_throughputs
from phasewise.sched.workload.gavel_trace import scan_trace
from phasewise.sched.workload.importing.choice import ANY, Choice
from phasewise.sched.workload.importing.source import CONVERTED, Source
from phasewise.sched.workload.openb import scan_pods
from phasewise.sched.workload.throughputs import ThroughputTable, scan_csv
from phasewise.solvers import registry as solvers
from phasewise.solvers.errors import SolverError

__all__ = ["Fault", "validate_file"]

_TABLES: Mapping[str, Callable[[Path], list[Fault]]] = {
    THROUGHPUTS: lambda path: scan_csv(path)[1],
    NODES: lambda path: scan_nodes(path)[1],
    CO_THROUGHPUTS: lambda path: scan_co_throughputs(path)[1],
    PODS: lambda path: scan_pods(path)[1],
}
_SUFFIXES: Mapping[str, str] = {".toml": SCENARIO, ".trace": TRACE}


def validate_file(path: Path, throughputs: Path | None = None, choice: Choice = ANY) -> list[Fault]:
    """Return every fault of a file, in order of lines: a trace, a scenario, a table, a list of nodes or pods.

    What it is, its content says, and where that says nothing its name.

    Parameters
    ----------
    throughputs
        A CSV file, by which the job types of a Gavel trace are judged; None means the built-in table.
    choice
        How a trace of another format is to be read. One that names a format, or columns, has the file judged as such.

    Raises
    ------
    TraceError
        Where ``throughputs`` itself is wrong, with the line of every fault.
    """
    try:
        if _is_imported(path, choice):
            from phasewise.sched.workload.importing.importer import import_faults  # noqa: PLC0415  (Arrow)

            return import_faults(path, choice)
        kind, fault = _kind(path)
    except OSError as error:
        return [Fault(None, f"cannot be read: {error.strerror}")]
    if fault is not None:
        found = foreign_nodes(path)
        return [fault] if found is None else found[1]
    if kind == SCENARIO:
        return scan_scenario(path) or _unbuildable(path)
    if kind in _TABLES:
        return _TABLES[kind](path)
    table = ThroughputTable.from_csv(throughputs) if throughputs else ThroughputTable.builtin()
    return scan_trace(path, table.for_types(table.worker_types))[1]


def _is_imported(path: Path, choice: Choice) -> bool:
    """Return whether a file is judged as a trace of another format than Gavel's: by what is said, or by its content."""
    if choice.format or choice.columns:
        return choice.format != GAVEL
    if input_fault(path) or path.suffix.lower() == ".toml":
        return False
    try:
        with Source(path) as source:
            head = source.head
    except TraceError:
        return False  # it cannot be unpacked, which `_kind` says, too
    if recognise(head.content).kind in _TABLES:
        return False
    if head.content.startswith(CONVERTED):
        from phasewise.sched.workload.importing.store import holds_records  # noqa: PLC0415  (Arrow)

        return holds_records(path)
    return is_foreign(head)


def _unbuildable(path: Path) -> list[Fault]:
    """Return what a run would be refused for though every key of its scenario is right: a name, a file's content."""
    scenario = load_scenario(path)
    checks: tuple[tuple[str, Callable[[], object]], ...] = (
        ("policy.name", lambda: registry.policy_class(scenario.policy.name)),
        ("placement.name", lambda: registry.placement_class(scenario.placement.name)),
        ("solver.name", lambda: [solvers.get(name.strip()) for name in scenario.solver.name.split(",")]),
        ("workload.co_throughputs", lambda: CoThroughputTable.chosen(scenario.workload.co_throughputs)),
        ("workload", lambda: build_workload(scenario, tuple(sorted(scenario.cluster.gpus)))),
    )
    faults: list[Fault] = []
    for key, check in checks:
        try:
            check()
        except (SchedulingError, SolverError) as error:
            faults.append(Fault(None, f"{key}: {error}"))
    return faults


def _kind(path: Path) -> tuple[str, Fault | None]:
    """Return what a file is to be judged as, or the one fault that says why it is nothing of all that."""
    if found := input_fault(path):
        return "", Fault(None, f"{path} {found}; allowed: {OURS}")
    content = read_input(path)
    suffix = path.suffix.lower()
    kind = _SUFFIXES.get(suffix) or recognise(content).kind
    fault = None
    if kind:
        pass
    elif foreign := misfit(content, "file that phasewise reads"):
        fault = Fault(None, f"{foreign}. Read are {OURS}")
    elif not content.strip():
        fault = Fault(None, f"the file is empty; allowed: {OURS}")
    elif suffix == ".csv":
        fault = Fault(1, f"the header has no column that is known here; allowed: {OURS}. How to convert: {GUIDE}")
    elif b"\t" not in content:
        fault = Fault(None, f"no line has a tab, so it is no trace; allowed: {OURS}. How to convert: {GUIDE}")
    return kind, fault
