"""The folder of a study: its file, its points, which of them are done.

``study.toml`` (resolved), ``plan.json``, ``points/HASH/`` (run directories), ``table.parquet``, ``figures/``,
``index.html``. A folder is one command's for as long as that runs.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import msgspec

from phasewise.bench.study.definition import Definition, code_placed
from phasewise.bench.study.errors import StudyError
from phasewise.bench.study.grid import expanded
from phasewise.bench.study.points import Point, asdict_of, point_hash
from phasewise.bench.study.records import PLAN, Attempt, Plan, Planned, read_attempt
from phasewise.bench.study.toml_text import document
from phasewise.profiling.artefacts.run_json import RENAMED
from phasewise.profiling.artefacts.sinks import write_atomically
from phasewise.profiling.errors import cannot_write
from phasewise.sched.scenario.config import Limits
from phasewise.sched.version import RULES

STUDY: Final = "study.toml"
LOCK: Final = ".phasewise.lock"
ENDS: Final = ("complete", "overloaded", "stopped")  # of a point that is done
STATES: Final = (*ENDS, "failed", "interrupted", "running", "missing")


@dataclass(frozen=True, slots=True)
class State:
    """What became of a point so far.

    Attributes
    ----------
    point
        Which.
    status
        One of `STATES`.
    done
        Whether nothing is left to do.
    message
        Why it failed, or what stopped it.
    summary
        The figures of its run, empty where there are none.
    attempt
        The last attempt, None where it is not known of.
    """

    point: Point
    status: str
    done: bool
    message: str
    summary: dict[str, Any]
    attempt: Attempt | None

    @property
    def cpu_s(self) -> float | None:
        """CPU seconds that the point took in all; those of its loop where more is not known."""
        if self.attempt is not None and self.attempt.cpu_s is not None:
            return self.attempt.cpu_s
        spent = self.summary.get("cpu_s")
        return None if spent is None else float(spent)


class StudyFolder:
    """A study's folder.

    Parameters
    ----------
    path
        Where it is, or is to be.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.points_path = path / "points"
        self.figures = path / "figures"

    def run_path(self, point: str) -> Path:
        """Return the run directory of a point."""
        return self.points_path / point

    @contextlib.contextmanager
    def held(self) -> Iterator[None]:
        """Keep other commands from running this study within the block.

        Raises
        ------
        StudyError
            Where one does already, or the folder holds something else.
        OutputError
            Where the folder cannot be made.
        """
        self._require_ours()
        try:
            self.points_path.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(self.path / LOCK, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise cannot_write(self.path, error) from error
        try:
            if not _locked(descriptor):
                raise StudyError(f"--out {self.path} is taken: another command runs this study; wait for its end")
            yield
        finally:
            os.close(descriptor)

    @property
    def is_held(self) -> bool:
        """Whether a command runs this study now, on this machine or where locks are shared."""
        try:
            descriptor = os.open(self.path / LOCK, os.O_RDWR)
        except OSError:
            return False
        try:
            return not _locked(descriptor)
        finally:
            os.close(descriptor)

    def _require_ours(self) -> None:
        if self.path.is_dir():
            found = {entry.name for entry in self.path.iterdir()} - {LOCK}
            if found and not found & {STUDY, PLAN, "points"}:
                raise StudyError(f"--out {self.path} is not empty and holds no study; name another folder")
        elif os.path.lexists(self.path):
            raise StudyError(f"--out {self.path} is a file; name a folder")

    def write_plan(self, definition: Definition, points: Sequence[Point]) -> None:
        """Write down what the study is: ``study.toml`` and ``plan.json``; raises `OutputError`."""
        planned = [Planned(point=each.name, overrides=each.overrides, resolved=each.resolved) for each in points]
        plan = Plan(name=definition.study.name, kind=definition.study.kind, points=planned)
        write_atomically(self.path / STUDY, study_text(definition).encode())
        write_atomically(self.path / PLAN, msgspec.json.encode(plan) + b"\n")

    def read_plan(self) -> Plan:
        """Return which points the study has.

        Raises
        ------
        StudyError
            Where the folder holds no study.
        """
        path = self.path / PLAN
        try:
            return msgspec.json.decode(path.read_bytes(), type=Plan)
        except OSError as error:
            raise StudyError(f"{self.path}: no study: cannot read {PLAN}: {error.strerror}") from error
        except msgspec.MsgspecError as error:
            raise StudyError(f"{path}: no plan of a study: {error}") from error

    def points(self) -> list[Point]:
        """Return the points of the plan; raises as `read_plan`."""
        plan = self.read_plan()
        return [Point(each.point, plan.kind, each.overrides, each.resolved) for each in plan.points]

    def states(self, points: Sequence[Point]) -> list[State]:
        """Return what became of each point."""
        held = self.is_held
        return [self.state(point, running=held) for point in points]

    def state(self, point: Point, *, running: bool = False) -> State:
        """Return what became of a point, by its own files.

        Parameters
        ----------
        running
            Whether an attempt without an end may still be going on.
        """
        run = self.run_path(point.name)
        attempt, record = read_attempt(run), _read_run(run)
        status = record.status if record is not None else "missing"
        if attempt is not None and attempt.status == "running":
            status = "running" if running else "interrupted"
        elif attempt is not None and attempt.status not in ENDS:
            status = attempt.status
        ended = record is not None and record.status in ENDS and status in ENDS and record.name == point.name
        if status in ENDS and not ended:
            status = "missing"  # the folder holds another run
        known = attempt is None or attempt.rules == RULES
        done = ended and known and not (record is not None and _may_go_on(record, attempt, point.limits))
        return State(
            point,
            status,
            done,
            attempt.message if attempt is not None else "",
            record.summary if record is not None and record.name == point.name else {},
            attempt,
        )


class _Run(msgspec.Struct, frozen=True):
    """As much of a `run.json` as a study needs."""

    status: str
    summary: dict[str, Any] = {}
    scenario: dict[str, Any] = {}
    experiment: str = ""
    setting: dict[str, Any] = {}

    @property
    def name(self) -> str:
        """The point that this is a run of."""
        what = {"experiment": self.experiment, "setting": self.setting} if self.experiment else self.scenario
        return point_hash(what)


def _read_run(run: Path) -> _Run | None:
    """Return the `run.json` of a point; None where there is none that can be read."""
    try:
        record = msgspec.json.decode((run / "run.json").read_bytes(), type=_Run)
    except (OSError, msgspec.MsgspecError):
        return None
    return msgspec.structs.replace(record, status=RENAMED.get(record.status, record.status))


def _may_go_on(record: _Run, attempt: Attempt | None, limits: Limits) -> bool:
    """Return whether a run was stopped by a limit that is wider, or gone, by now."""
    if record.status != "stopped":
        return False
    had = msgspec.convert(record.scenario.get("limits", {}), Limits)
    reason = attempt.message if attempt is not None else ""
    simulated_s = record.summary.get("sim_time_s") or 0.0
    at_simulated = had.sim_time_s is not None and simulated_s >= had.sim_time_s
    return (at_simulated and _is_wider(had.sim_time_s, limits.sim_time_s)) or (
        reason.startswith("cpu_time") and _is_wider(had.cpu_s, limits.cpu_s)
    )


def _is_wider(had: float | None, limit: float | None) -> bool:
    return had is not None and (limit is None or limit > had)


def _locked(descriptor: int) -> bool:
    """Return whether the lock is had; on file systems without locks it always is."""
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def study_text(definition: Definition) -> str:
    """Return a resolved study as a TOML document, which is a study file again."""
    definition = code_placed(definition, Path.cwd())  # as `scenario` and `order` below
    sections = asdict_of(definition)
    sections["study"] = {key: value for key, value in sections["study"].items() if value}
    sections["inflate"] = {key: value for key, value in sections["inflate"].items() if value}
    sections["figures"] = {key: value for key, value in sections["figures"].items() if value}
    sections["grid"] = expanded(definition.grid)
    sections["limits"] = {key: value for key, value in sections["limits"].items() if value is not None}
    del sections["quick"]
    for section, key in (("study", "scenario"), ("inflate", "order")):
        named = sections[section].get(key, "")
        if os.path.exists(named):  # relative to where we are; the file will lie elsewhere  # noqa: PTH110
            sections[section][key] = os.path.abspath(named)  # noqa: PTH100  (a link stays one)
    return document(sections)
