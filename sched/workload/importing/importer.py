"""From a trace file to records in order of arrival, with an account of every row: read, kept, dropped and why."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from phasewise.profiling.names import nearest
from phasewise.sched.errors import SchedulingError, TraceError, UnknownFormatError
from phasewise.sched.reading.faults import Fault, render
from phasewise.sched.reading.recognise import misfit
from phasewise.sched.workload.importing import registry
from phasewise.sched.workload.importing.choice import ANY, Choice
from phasewise.sched.workload.importing.record import Dropped, Notes, Record, Row, TraceFormat, Wrong
from phasewise.sched.workload.importing.source import CONVERTED, Head, Source
from phasewise.sched.workload.importing.store import RecordStore, Spool, open_parquet, write_parquet

RECORDS: Final = "records"
"""The format of what was converted before, in an account."""

MOST_FAULTS: Final = 10_000  # that are kept to be told; a file with more is of another kind
TOLD_ROWS: Final = 8_192  # rows between two reports of progress

Progress = Callable[[int, int, int], None]
"""Called with bytes read, bytes in all and rows read."""


def sniffed(head: Head, where: object) -> str:
    """Return the name of the trace format of a file that begins so.

    Raises
    ------
    TraceError
        Where it is of none, or of several.
    """
    found = [name for name in registry.format_names() if registry.trace_format(name).sniff(head)]
    if len(found) == 1:
        return found[0]
    allowed = ", ".join(registry.format_names())
    if found:
        raise TraceError(
            f"{where}: may be of trace format {' or '.join(found)}; name one with --format or --trace-format"
        )
    why = misfit(head.content, "trace that is known here") or "this is not a trace that is known here"
    raise TraceError(f"{where}: {why}; allowed: {allowed} (csv with --map takes any table with a header)")


def import_trace(
    path: Path, choice: Choice = ANY, progress: Progress | None = None, target: Path | None = None
) -> RecordStore:
    """Return the records of a trace of any format, in order of arrival, the first at time 0.

    Parameters
    ----------
    progress
        Told every few thousand rows.
    target
        A Parquet file to write them to.

    Raises
    ------
    TraceError
        Where the file cannot be read, is of no such format, or has faults, each with its line.
    UnknownFormatError
        Where there is no such format.
    OutputError
        Where ``target`` cannot be written.
    """
    if is_converted(path):
        return _converted(path, choice, target)
    reading = _Reading(choice.states, progress)
    name, notes = reading.all_of(path, choice)
    return reading.finish(
        name, path, notes.sentences(), target, {name: len(gpus) for name, gpus in notes.machines.items()}
    )


def is_converted(path: Path) -> bool:
    """Return whether a file was converted before; raise `TraceError` where it cannot be read."""
    with Source(path) as source:
        return source.head.content.startswith(CONVERTED)


def import_faults(path: Path, choice: Choice = ANY) -> list[Fault]:
    """Return every fault of a trace of any format, with its line; that no job is left to run is one."""
    reading = _Reading(choice.states, None)
    try:
        if is_converted(path):
            require_jobs(_converted(path, choice, None), path)
            return []
        name, _ = reading.all_of(path, choice)
        if not reading.faults:
            require_jobs(reading.finish(name, path, [], None), path)
    except (TraceError, UnknownFormatError) as error:  # what cannot be read on behind it
        return [*reading.faults, located(path, error)]
    return reading.faults


def located(path: Path, error: SchedulingError) -> Fault:
    """Return an error of a file as a fault, on the line that its message begins with."""
    found = re.match(rf"{re.escape(str(path))}:(?:(\d+):)? ?", str(error))
    if found is None:
        return Fault(None, str(error))
    return Fault(int(found[1]) if found[1] else None, str(error)[found.end() :])


def require_jobs(store: RecordStore, path: Path) -> RecordStore:
    """Return a store that has jobs; raise `TraceError` with what became of the rows of one that has none."""
    if store.rows:
        return store
    account = store.account
    told = "; ".join(f"{rows:,}: {reason}" for reason, rows in account.get("dropped", {}).items()) or "it has no rows"
    raise TraceError(f"{path}: of {account.get('rows_read', 0):,} rows no job is left to run ({told})")


def _converted(path: Path, choice: Choice, target: Path | None) -> RecordStore:
    """Return the records of a file that was converted before."""
    store = open_parquet(path)
    if choice.states:
        reading = _Reading(choice.states, None)
        reading.read(((0, record) for block in store for record in records_of(block)), None)
        account = store.account
        machines = account.get("machines", {})
        return reading.finish(account.get("format", RECORDS), path, account.get("assumptions", []), target, machines)
    if target is not None:
        write_parquet(iter(store), store.account, target)
    return store


def records_of(block: Any) -> Iterator[Record]:
    """Yield the records of a block."""
    yield from map(Record._make, zip(*(column.to_pylist() for column in block.columns), strict=True))


def _require_of_format(head: Head, format_class: type[TraceFormat], path: Path) -> None:
    """Raise `TraceError` where a file cannot be of a format that was named: it is no text, or clearly another one."""
    if not head.content.strip():
        raise TraceError(f"{path}: the file is empty")
    if head.content.startswith(b"version https://git-lfs"):
        raise TraceError(f"{path}: {misfit(head.content, 'trace')}")
    if format_class.sniff(head) or format_class.name == "csv":
        return
    others = [name for name in registry.format_names() if registry.trace_format(name).sniff(head)]
    if others:
        raise TraceError(
            f"{path}: this is not a trace of format {format_class.name}; it seems to be {' or '.join(others)}"
        )
    why = misfit(head.content, f"trace of format {format_class.name}")
    if why and not format_class.columns:
        raise TraceError(f"{path}: {why}")


class _Reading:
    """Rows as they are judged and counted."""

    def __init__(self, states: tuple[str, ...], progress: Progress | None) -> None:
        self._states = {state.upper() for state in states}
        self._asked = states
        self._progress = progress
        self._spool = Spool()
        self._seen: Counter[str] = Counter()
        self._dropped: Counter[str] = Counter()
        self.faults: list[Fault] = []
        self._rows = 0

    def all_of(self, path: Path, choice: Choice) -> tuple[str, Notes]:
        """Take every row of a file; return the name of its format, and what was taken for granted."""
        with Source(path) as source:
            name = choice.format or sniffed(source.head, path)
            format_class = registry.trace_format(name)
            _require_of_format(source.head, format_class, path)
            notes = Notes()
            for sentence in format_class.assumes:
                notes.add(sentence, 0)
            self.read(format_class(choice.columns, notes).rows(source), source)
        return name, notes

    def read(self, rows: Iterator[Row], source: Source | None) -> None:
        """Take every row."""
        for line, found in rows:
            self._rows += 1
            if isinstance(found, Record):
                reason = self._reason(found)
                if reason:
                    self._dropped[reason] += 1
                else:
                    self._spool.add(found)
            elif isinstance(found, Dropped):
                self._dropped[found.reason] += 1
            elif isinstance(found, Wrong):
                self.faults.append(Fault(line or None, found.message))
                if len(self.faults) > MOST_FAULTS:
                    break
            if self._progress is not None and source is not None and self._rows % TOLD_ROWS == 0:
                self._progress(source.position, source.size, self._rows)

    def _reason(self, record: Record) -> str:
        """Return why a record is no job to run, empty where it is one."""
        state = record.state or ""
        if state:
            self._seen[state] += 1
        if record.gpus == 0:
            return "it needs no GPU"
        if self._states and state.upper() not in self._states:
            return "another final state than asked for"
        if record.duration_s is None and record.total_steps is None:
            return "no duration: it never started, or did not end"
        if record.duration_s is not None and not record.duration_s > 0.0:
            return "a duration of 0 or less"
        return ""

    def finish(
        self,
        name: str,
        path: Path,
        assumptions: list[str],
        target: Path | None,
        machines: Mapping[str, int] = MappingProxyType({}),
    ) -> RecordStore:
        """Return the records that were kept; ``machines`` are the GPUs that were seen on each."""
        if self.faults:
            raise TraceError(render(path, self.faults))
        seen = {state.upper() for state in self._seen}
        if unknown := [state for state in self._asked if state.upper() not in seen]:
            listed = ", ".join(sorted(self._seen)) or "none"
            near = nearest(unknown[0], sorted(self._seen))
            raise TraceError(f"{path}: no job ended as {', '.join(unknown)}{near}; states in this trace: {listed}")
        dropped = dict(self._dropped.most_common())
        kept = self._rows - sum(dropped.values())
        account = {
            "format": name,
            "source": path.name,
            "rows_read": self._rows,
            "rows_kept": kept,
            "dropped": dropped,
            "states": list(self._asked),
            "assumptions": assumptions,
        }
        if machines:
            account["machines"] = dict(sorted(machines.items()))
        return self._spool.finish(account, target)
