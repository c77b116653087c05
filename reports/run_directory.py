"""A run directory, read: `run.json` at once, the tables and lines when they are asked for.

Layout: the reference page "run directory" of the documentation. Fields that a run does not have are None, never 0.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import msgspec

from phasewise.profiling.artefacts.tables import RecordError, read_table
from phasewise.reports.columns import ColumnTable
from phasewise.reports.errors import RunDirectoryError

SCHEMA = 1
_BY_DESIGN = "fresh"  # why a model was built, of a solver that builds one every time
Status = Literal["complete", "saturated", "stopped", "failed", "interrupted"]

_ROUND_COLUMNS = ("round", "sim_time_s", "active", "running", "queued", "utilization", "moves", "lp_solved", "rss_mib")
_JOB_COLUMNS = ("job_id", "arrival_s", "jct_s", "status")
_PLACEMENT_COLUMNS = ("job_id", "node", "gpu", "share_milli", "start_round", "end_round")


class PhaseTotals(msgspec.Struct, frozen=True):
    """Exclusive time of one phase over a whole run: seconds, entries, and share of the loop's wall time (of 1)."""

    wall_s: float
    cpu_s: float
    calls: int = 0
    share: float = 0.0


class Summary(msgspec.Struct, frozen=True, kw_only=True):
    """The figures of a run, as `run.json` has them; None where a figure does not exist. Units are in the names."""

    avg_jct_s: float | None = None
    jct_s_p50: float | None = None
    jct_s_p95: float | None = None
    makespan_s: float | None = None
    utilization: float | None = None
    rounds: int = 0
    allocations: int | None = None
    lp_solves: int | None = None
    lp_rebuilds: dict[str, int] | None = None
    lp_reuse_rate: float | None = None
    jobs_arrived: int | None = None
    jobs_completed: int | None = None
    jobs_failed: int | None = None
    jobs_failed_example: str | None = None
    jobs_refused: int | None = None
    jobs_refused_example: str | None = None
    window: tuple[int, int] | None = None
    sim_time_s: float | None = None
    version: str | None = None
    wall_s: float | None = None
    cpu_s: float | None = None
    rounds_per_cpu_s: float | None = None
    peak_rss_mib: float | None = None
    moves: int | None = None
    frag_rate_mean: float | None = None
    fragmented_gpus_mean: float | None = None
    occupied_nodes_mean: float | None = None
    unallocated_gpus_mean: float | None = None
    pending_gpus_mean: float | None = None
    unplaced_mean: float | None = None
    lease_extensions: int | None = None
    lease_extension_opportunities: int | None = None
    phases: dict[str, PhaseTotals] = {}
    phase_coverage: float | None = None

    @property
    def kept_models(self) -> float | None:
        """Return the share of solves that reused a model, or None where the solver keeps none by design."""
        return None if self.lp_rebuilds and self.lp_rebuilds.keys() == {_BY_DESIGN} else self.lp_reuse_rate

    @property
    def lease_extension_rate(self) -> float | None:
        """Return the share of opportunities in which a job kept its GPUs, or None where there were none."""
        if self.lease_extensions is None or not self.lease_extension_opportunities:
            return None
        return self.lease_extensions / self.lease_extension_opportunities

    @property
    def follows_nodes(self) -> bool:
        """Return whether every job ran on one node, so that it is known which idle GPUs are of use."""
        return self.fragmented_gpus_mean is not None


class _RunFile(msgspec.Struct, frozen=True, kw_only=True):
    """`run.json`."""

    schema: int
    status: Status
    scenario: dict[str, Any]
    environment: dict[str, Any] = {}
    summary: Summary = Summary()
    command: str | list[str] | None = None
    layout: dict[str, Any] = {}


@dataclass(frozen=True)
class Run:
    """One run directory.

    Attributes
    ----------
    path
        The directory.
    status
        How the run ended; ``saturated`` is a result, whose JCT is a lower bound.
    scenario, environment
        The resolved scenario and the machine, as recorded.
    summary
        The figures.
    command
        The command line, empty where it was not recorded.
    layout
        The cluster's nodes by worker type, as recorded; empty where they were not.
    """

    path: Path
    status: Status
    scenario: Mapping[str, Any]
    environment: Mapping[str, Any]
    summary: Summary
    command: str
    layout: Mapping[str, Any] = field(default_factory=dict)

    @property
    def name(self) -> str:
        """Return the directory's name."""
        return self.path.resolve().name

    @property
    def scenario_name(self) -> str:
        """Return the scenario's name, or the directory's where it has none."""
        return str(self.scenario.get("name") or self.name)

    @cached_property
    def rounds(self) -> ColumnTable:
        """Return the table of rounds, read once; raises `RunDirectoryError` where it is missing or broken."""
        return self._table("rounds.parquet", _ROUND_COLUMNS)

    @cached_property
    def jobs(self) -> ColumnTable:
        """Return the table of jobs, as `rounds`."""
        return self._table("jobs.parquet", _JOB_COLUMNS)

    @cached_property
    def placements(self) -> ColumnTable:
        """Return the table of placement intervals, as `rounds`."""
        return self._table("placements.parquet", _PLACEMENT_COLUMNS)

    def section(self, name: str) -> Mapping[str, Any]:
        """Return one section of the scenario, empty where there is none."""
        section = self.scenario.get(name)
        return section if isinstance(section, Mapping) else {}

    def _table(self, name: str, columns: tuple[str, ...]) -> ColumnTable:
        path = self.path / name
        try:
            table = ColumnTable(path, read_table(path))
        except RecordError as error:
            raise RunDirectoryError(f"{self.path}: its table {name} is missing or broken: {error}") from error
        table.require(columns)
        return table


def load_run(path: Path | str) -> Run:
    """Return the run kept in the directory ``path``; its tables are read when they are first asked for.

    Raises
    ------
    RunDirectoryError
        Where there is no such directory, no `run.json`, or one that is broken or of another schema.
    """
    directory = Path(path)
    try:
        if directory.is_file() and directory.name == "run.json":
            directory = directory.parent
        kind = "" if directory.is_dir() else "a file" if directory.exists() else "missing"
    except (OSError, ValueError) as error:  # a name that is too long, or holds a NUL
        raise RunDirectoryError(f"{directory}: cannot be read: {getattr(error, 'strerror', error)}") from error
    if kind:
        raise RunDirectoryError(
            f"{directory}: is {kind}; a run directory is expected (phasewise run SCENARIO --out DIR)"
        )
    file = directory / "run.json"
    content = _read_run_file(file)
    command = content.command if isinstance(content.command, str) else shlex.join(content.command or ())
    return Run(
        directory, content.status, content.scenario, content.environment, content.summary, command, content.layout
    )


def _read_run_file(file: Path) -> _RunFile:
    try:
        text = file.read_bytes()
    except FileNotFoundError as error:
        raise RunDirectoryError(
            f"{file}: no such file; a run directory has run.json, rounds.parquet and jobs.parquet"
        ) from error
    except OSError as error:
        raise RunDirectoryError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        schema = msgspec.json.decode(text, type=dict[str, Any]).get("schema")
        if schema == SCHEMA:
            return msgspec.json.decode(text, type=_RunFile)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunDirectoryError(f"{file}: is no run.json of schema {SCHEMA}: {error}") from error
    raise RunDirectoryError(f"{file}: schema {schema!r}; this version reads schema {SCHEMA}")
