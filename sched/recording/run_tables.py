"""The Parquet tables of a run directory, and the trace made of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from phasewise.profiling import trace
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.recording import intervals, rounds
from phasewise.sched.round.outcome import JobRecord

Columns = Mapping[str, Any]

JOBS_SCHEMA = {
    "job_id": "int64",
    "job_type": "string",
    "arrival_s": "float64",
    "scale_factor": "float64",
    "gpu_milli": "int64",
    "priority_weight": "float64",
    "total_steps": "float64",
    "completion_s": "float64",
    "jct_s": "float64",
    "status": "string",
    "rounds_run": "int64",
    "moves": "int64",
}


class Tables(Protocol):
    """Where chunks of rows go."""

    def write(self, *, rounds: Columns, placements: Columns, jobs: Sequence[JobRecord]) -> None:
        """Add a chunk of each table."""
        ...

    def close(self) -> None:
        """Complete the tables."""
        ...


class NoTables:
    """Keeps nothing."""

    def write(self, *, rounds: Columns, placements: Columns, jobs: Sequence[JobRecord]) -> None:
        """Drop a chunk of each table."""

    def close(self) -> None:
        """Do nothing."""


class RunTables:
    """`jobs.parquet`, `rounds.parquet` and `placements.parquet`."""

    def __init__(self, out: Path, rounds_schema: Mapping[str, str]) -> None:
        from phasewise.profiling.artefacts.tables import TableSink  # noqa: PLC0415  pyarrow: only where tables are written

        self._jobs = TableSink(out / "jobs.parquet", JOBS_SCHEMA)
        self._rounds = TableSink(out / "rounds.parquet", rounds_schema, nan_as_null=rounds.NULLABLE)
        self._placements = TableSink(out / "placements.parquet", intervals.SCHEMA)

    def write(self, *, rounds: Columns, placements: Columns, jobs: Sequence[JobRecord]) -> None:
        """Add a chunk of each table."""
        self._rounds.write(rounds)
        self._placements.write(placements)
        self._jobs.write(_job_columns(jobs))

    def close(self) -> None:
        """Complete the tables."""
        for sink in (self._jobs, self._rounds, self._placements):
            sink.close()


def _job_columns(jobs: Sequence[JobRecord]) -> dict[str, list[object]]:
    columns: dict[str, list[object]] = {name: [] for name in JOBS_SCHEMA}
    for job in jobs:
        columns["gpu_milli"].append(round(job.scale_factor * WHOLE_MILLI))
        columns["jct_s"].append(None if job.completion_s is None else job.completion_s - job.arrival_s)
        for name in JOBS_SCHEMA:
            if name not in {"gpu_milli", "jct_s"}:
                columns[name].append(getattr(job, name))
    return columns


def write_phase_trace(out: Path) -> None:
    """Write `trace.json.gz` from the phase times in `rounds.parquet`."""
    trace.write_trace(out / "trace.json.gz", _timed_rounds(out / "rounds.parquet"))


def _timed_rounds(path: Path) -> Iterator[trace.RoundRecord]:
    from phasewise.profiling.artefacts.tables import read_table  # noqa: PLC0415  pyarrow: only where tables are read

    table = read_table(path, ["round", "active", "running", *rounds.WALL_COLUMNS])
    start_s = 0.0  # the first of the wall columns is the time outside all phases
    for batch in table.to_batches(max_chunksize=1024):
        columns = [batch.column(index).to_pylist() for index in range(batch.num_columns)]
        for index, active, running, *times_s in zip(*columns, strict=True):
            total_s = sum(times_s)
            yield trace.RoundRecord(index, start_s, total_s, times_s[1:], {"active": active, "running": running})
            start_s += total_s
