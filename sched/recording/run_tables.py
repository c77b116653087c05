"""The Parquet tables of a run directory, and the trace made of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from math import isfinite
from pathlib import Path
from typing import Any, Final

from phasewise.profiling import trace
from phasewise.profiling.artefacts.run_columns import JOBS, PLACEMENTS, ROUNDS
from phasewise.profiling.artefacts.schemas import Record
from phasewise.profiling.phases import PHASES
from phasewise.sched.recording import rounds
from phasewise.sched.round.outcome import JobRecord

Columns = Mapping[str, Any]
Origins = Callable[[Sequence[int], Sequence[float]], Mapping[str, list[str | None]]]
"""Returns, for ids and weights of jobs, columns of jobs.parquet that only the workload knows."""


def nobodys(job_ids: Sequence[int], weights: Sequence[float]) -> Mapping[str, list[str | None]]:
    """Return no columns."""
    del job_ids, weights
    return {}


class RunTables:
    """`jobs.parquet`, `rounds.parquet` and `placements.parquet`.

    Parameters
    ----------
    kept
        How many rows of each table there are to be gone on with; None begins them anew.
    """

    def __init__(self, out: Path, worker_types: Sequence[str], kept: Mapping[str, int] | None = None) -> None:
        from phasewise.profiling.artefacts.rewinding import rewind_table  # noqa: PLC0415  as below
        from phasewise.profiling.artefacts.tables import TableSink  # noqa: PLC0415  pyarrow: only where tables are written

        def sink(record: Record, **names: Sequence[str]) -> TableSink:
            path, columns = out / record.name, record.columns(**names)
            if kept is None:
                return TableSink(path, columns)
            return TableSink(path, columns, kept[record.name], rewind_table(path, kept[record.name]))

        self._jobs = sink(JOBS)
        self._rounds = sink(ROUNDS, type=worker_types, name=PHASES)
        self._placements = sink(PLACEMENTS)

    @property
    def rows(self) -> dict[str, int]:
        """Rows of each table so far, by its file."""
        return {each.path.name: each.rows for each in (self._jobs, self._rounds, self._placements)}

    def write(self, *, rounds: Columns, placements: Columns, jobs: Sequence[JobRecord], origins: Columns) -> None:
        """Add a chunk of each table; ``origins`` are columns of the jobs that only the workload knows."""
        self._rounds.write(rounds)
        self._placements.write(placements)
        self._jobs.write(_job_columns(jobs) | dict(origins))

    def close(self) -> None:
        """Complete the tables."""
        for sink in (self._jobs, self._rounds, self._placements):
            sink.close()


def _job_columns(jobs: Sequence[JobRecord]) -> dict[str, Sequence[Any]]:
    if not jobs:
        return dict.fromkeys(JOBS.always, ())
    columns: dict[str, Sequence[Any]] = dict(zip(JobRecord._fields, zip(*jobs, strict=True), strict=True))
    del columns["isolated_s"]
    columns["gpu_milli"] = columns["demand_milli"]
    columns["jct_s"] = [job.jct_s for job in jobs]
    columns["queued_s"] = [job.queued_s for job in jobs]
    columns["rho"] = [job.rho for job in jobs]
    return columns


def write_phase_trace(out: Path, worker_types: Sequence[str]) -> None:
    """Write `trace.json.gz` from `rounds.parquet`: phases, curves of what the cluster and the solver do, arrows."""
    trace.write_trace(out / "trace.json.gz", _timed_rounds(out / "rounds.parquet", worker_types))


CURVES: Final = ("active", "running", "queued", "moves", "lp_jobs", "lp_iterations", "lp_gap", "rss_mib")
"""Columns of rounds.parquet that the trace shows as curves, beside the busy share of each worker type."""


def _timed_rounds(path: Path, worker_types: Sequence[str]) -> Iterator[trace.RoundRecord]:
    from phasewise.profiling.artefacts.tables import read_blocks  # noqa: PLC0415  pyarrow: only where tables are read

    start_s = 0.0
    curves = {**{name: name for name in CURVES}, **{f"utilization_{name}": f"busy {name}" for name in worker_types}}
    for block in read_blocks(path, ["round", "lp_solved", *curves, *rounds.WALL_COLUMNS]):
        for batch in block.to_batches(max_chunksize=1024):
            columns = [batch.column(index).to_pylist() for index in range(batch.num_columns)]
            for index, solved, *figures in zip(*columns, strict=True):
                times_s = figures[len(curves) :]  # the first of the wall columns is the time outside all phases
                shown = zip(curves.values(), figures, strict=False)
                counters = {name: value for name, value in shown if value is not None and isfinite(value)}
                total_s = sum(times_s)
                yield trace.RoundRecord(index, start_s, total_s, times_s[1:], counters, bool(solved))
                start_s += total_s
