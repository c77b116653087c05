"""A run directory, read: `run.json` at once, the tables and lines when they are asked for.

Layout: the reference page "run directory" of the documentation. Fields that a run does not have are None, never 0.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import msgspec

from phasewise.profiling.artefacts import run_json
from phasewise.profiling.artefacts.run_columns import JOBS, PLACEMENTS, ROUNDS
from phasewise.profiling.artefacts.run_json import RENAMED, Status
from phasewise.profiling.artefacts.schemas import READ, Record
from phasewise.profiling.errors import RecordError
from phasewise.reports.columns import ColumnTable
from phasewise.reports.errors import RunDirectoryError

_BY_DESIGN: Final = "fresh"  # why a model was built, of a solver that builds one every time
_READ: Final = " and ".join(map(str, READ))


class Summary(run_json.Summary, frozen=True, kw_only=True):
    """The figures of a run, as `run.json` has them, and those that follow from them; None where there is none."""

    def __getitem__(self, name: str) -> Any:
        """Return a figure of `run.json` by its name; raise KeyError where there is none of that name."""
        if name not in self.__struct_fields__:
            raise KeyError(name)
        return getattr(self, name)

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


class _RunJson(run_json.RunJson, frozen=True, kw_only=True):
    """`run.json`, with what follows from its summary."""

    summary: Summary = Summary()


@dataclass(frozen=True)
class Run:
    """One run directory.

    Attributes
    ----------
    path
        The directory.
    status
        How the run ended; ``overloaded`` is a result, whose JCT is a lower bound.
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
        return self._table(ROUNDS)

    @cached_property
    def jobs(self) -> ColumnTable:
        """Return the table of jobs, as `rounds`."""
        return self._table(JOBS)

    @cached_property
    def placements(self) -> ColumnTable:
        """Return the table of placement intervals, as `rounds`."""
        return self._table(PLACEMENTS)

    def section(self, name: str) -> Mapping[str, Any]:
        """Return one section of the scenario, empty where there is none."""
        section = self.scenario.get(name)
        return section if isinstance(section, Mapping) else {}

    def _table(self, record: Record) -> ColumnTable:
        from phasewise.profiling.artefacts.tables import read_table  # noqa: PLC0415  a summary needs no Parquet

        path = self.path / record.name
        try:
            table = ColumnTable(path, read_table(path), record)
        except RecordError as error:
            raise RunDirectoryError(f"{self.path}: its table {record.name} is missing or broken: {error}") from error
        table.require(record.needed)
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
    return Run(
        directory,
        content.status,
        content.scenario,
        content.environment,
        content.summary,
        shlex.join(content.command),
        content.layout,
    )


def _read_run_file(file: Path) -> _RunJson:
    try:
        text = file.read_bytes()
    except FileNotFoundError as error:
        raise RunDirectoryError(
            f"{file}: no such file; a run directory has run.json, rounds.parquet and jobs.parquet"
        ) from error
    except OSError as error:
        raise RunDirectoryError(f"{file}: cannot be read: {error.strerror}") from error
    try:
        content = msgspec.json.decode(text, type=dict[str, Any])
        schema = content.get("schema")
        if schema not in READ:
            later = ": a later version wrote it" if isinstance(schema, int) and schema > max(READ) else ""
            raise RunDirectoryError(f"{file}: schema {schema!r}; this version reads schema {_READ}{later}")
        content["status"] = RENAMED.get(str(content.get("status")), content.get("status"))
        return msgspec.convert(content, type=_RunJson)
    except (msgspec.MsgspecError, UnicodeDecodeError) as error:
        raise RunDirectoryError(f"{file}: is no run.json of schema {_READ}: {error}") from error
