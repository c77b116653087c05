"""A study for programs: run what is missing of it, and have its points as columns."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from phasewise.bench.study.definition import load_definition, overridden, quickened
from phasewise.bench.study.errors import StudyError
from phasewise.bench.study.executors.local import LocalExecutor
from phasewise.bench.study.folder import State, StudyFolder
from phasewise.bench.study.records import PLAN
from phasewise.bench.study.status import status_record
from phasewise.bench.study.study import default_folder, run_study
from phasewise.bench.study.table import columns_of
from phasewise.sched.scenario.own_code import KEYS


@dataclass(frozen=True)
class Study:
    """A study and what became of its points.

    Attributes
    ----------
    path
        Its folder.
    states
        (P,) what became of each point, in the order of the grid.
    """

    path: Path
    states: tuple[State, ...]

    @property
    def status(self) -> dict[str, Any]:
        """Counts by state and the points that failed, as `phasewise study status --json` has them."""
        return status_record(StudyFolder(self.path).read_plan().name, self.states)

    @property
    def done(self) -> bool:
        """Whether nothing is left to do."""
        return all(state.done for state in self.states)

    @cached_property
    def table(self) -> dict[str, npt.NDArray[Any]]:
        """The table, (P,) NumPy columns by name; a number that a point does not have is NaN."""
        columns = columns_of(self.states)
        return {name: _column(values) for name, values in columns.items()}

    def __repr__(self) -> str:
        over = sum(state.done for state in self.states)
        return f"<Study {self.path.name!r}: {over} of {len(self.states)} points done, {self.path}>"

    def run_path(self, point: str) -> Path:
        """Return the run directory of a point, by its name in the table's column ``point``."""
        return StudyFolder(self.path).run_path(point)


def study(
    path_or_name: str | Path,
    out: str | Path | None = None,
    *,
    overrides: Mapping[str, Any] | None = None,
    workers: int = 1,
    quick: bool = False,
) -> Study:
    """Do what is missing of a study, in processes of this machine, and return what became of its points.

    Parameters
    ----------
    path_or_name
        A built-in study, a TOML file, or the folder of a study, of which nothing is run.
    out
        The study's folder; `studies/NAME` where it is not given.
    overrides
        Keys of the scenario by dotted key, the same for all points, as text; an axis of that key has this value alone.
    workers
        Processes at once.
    quick
        Whether to run the short form that the study has for it.

    Raises
    ------
    phasewise.bench.study.errors.StudyError
        Where the study is wrong, or something else runs it.
    """
    if out is None and (Path(path_or_name) / PLAN).is_file():
        folder = StudyFolder(Path(path_or_name))
        return Study(folder.path, tuple(folder.states(folder.points())))
    definition = load_definition(path_or_name)
    definition = overridden(quickened(definition) if quick else definition, _texts(overrides or {}))
    folder = StudyFolder(default_folder(definition) if out is None else Path(out))
    states = run_study(definition, folder, LocalExecutor(workers, folder.path / "workers.log"))
    return Study(folder.path, tuple(states))


def _texts(overrides: Mapping[str, Any]) -> dict[str, str]:
    """Return overrides as the command line has them."""
    for key in KEYS & overrides.keys():
        if not isinstance(overrides[key], str):
            raise StudyError(
                f"{key}: got {overrides[key]!r}; allowed: a name or FILE.py:CLASS, for points run in processes of "
                "their own and are known by what the file holds"
            )
    return {key: str(value) for key, value in overrides.items()}


def _column(values: list[Any]) -> npt.NDArray[Any]:
    """Return a column as NumPy's: numbers with NaN for None, anything else as it is."""
    if any(isinstance(value, str) for value in values) or all(isinstance(value, bool) for value in values):
        return np.array(values)
    return np.array([np.nan if value is None else float(value) for value in values])
