"""What figures are made of: studies, runs, fills, replays and splits, told apart by what lies in the paths given."""

from __future__ import annotations

import csv
import hashlib
import json
from collections.abc import Collection, Mapping, Sequence, Sized
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, Literal

import numpy as np

from phasewise.profiling.artefacts.fill_files import CURVES
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.model import Floats
from phasewise.reports.figure_files.studies import Group, Study, is_study, load_study
from phasewise.reports.run_directory import Run, load_run

Kind = Literal["study", "runs", "fills", "replay", "splits"]

KINDS: Final[Mapping[Kind, str]] = {
    "study": "the folder of a study (phasewise study run)",
    "runs": "run directories (phasewise run)",
    "fills": "folders of phasewise inflate",
    "replay": "files of phasewise solve --json",
    "splits": "files pop.json of python -P -m phasewise.bench.series.pop",
}
MOST_SERIES: Final = 10  # as many as there are colours that everybody can tell apart


@dataclass(frozen=True, slots=True)
class Input:
    """A path that was given, and the digest of the file in it that says what was computed."""

    path: Path
    kind: Kind
    file: str
    sha256: str


@dataclass(frozen=True, slots=True)
class RunGroup:
    """A run, or the runs of a study that differ in their seed alone."""

    label: str
    runs: Sequence[Run]
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class FillGroup:
    """The curves of a fill, or of fills that differ in their seed alone: by column, (L,) each."""

    label: str
    curves: Sequence[Mapping[str, Floats]]
    keys: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Sources:
    """All that was given, in the order in which it was given."""

    inputs: Sequence[Input]
    studies: Sequence[Study] = ()
    runs: Sequence[Run] = ()
    fills: Sequence[Path] = ()
    replays: Sequence[tuple[str, Sequence[Mapping[str, Any]]]] = ()
    splits: Sequence[tuple[str, Sequence[Mapping[str, Any]]]] = ()

    def run_groups(self, *, one_seed: bool = False) -> list[RunGroup]:
        """Return a group for each run, and for the points of studies that differ in their seed alone.

        Parameters
        ----------
        one_seed
            Keep the first of each group's runs only: of a study, one seed.
        """
        labels = unique([run.name for run in self.runs], [run.path for run in self.runs])
        groups = [RunGroup(label, [run], {}) for label, run in zip(labels, self.runs, strict=True)]
        for study in self.studies:
            for group in study.groups():
                found = [load_run(folder) for folder in _there(study, group)[: 1 if one_seed else None]]
                groups += [RunGroup(group.label, found, group.keys)] if found else []
        return groups

    def fill_groups(self) -> list[FillGroup]:
        """Return a group for each fill that differs from the others in more than its seed."""
        groups = [FillGroup(label, curves, {}) for label, curves in _plain_fills(self.fills)]
        for study in self.studies:
            for group in study.groups():
                curves = [_read_curves(folder) for folder in _there(study, group)]
                groups += [FillGroup(group.label, curves, group.keys)] if curves else []
        return groups


def read(paths: Sequence[Path], allowed: Collection[Kind], figure: str) -> Sources:
    """Return what the paths hold.

    Raises
    ------
    FigureError
        Where there is no path, or one of a kind that the figure is not made of.
    RunDirectoryError
        Where a run directory is broken.
    """
    wanted = " or ".join(KINDS[kind] for kind in KINDS if kind in allowed)
    if not paths:
        raise FigureError(f"{figure}: needs at least one path: {wanted}")
    paths = [path.parent if path.name == "run.json" else path for path in paths]
    kinds = [_kind(path, figure, wanted) for path in paths]
    for path, kind in zip(paths, kinds, strict=True):
        if kind not in allowed:
            raise FigureError(f"{path}: is of another kind ({KINDS[kind]}); {figure} is made of {wanted}")
    given = list(zip(paths, kinds, strict=True))
    studies = [load_study(path) for path, kind in given if kind == "study"]
    for study in studies:
        of: Kind = "fills" if study.fills else "runs"
        if of not in allowed and allowed != {"study"}:
            raise FigureError(f"{study.path}: is a study of {of}; {figure} is made of {wanted}")
    return Sources(
        [_input(path, kind) for path, kind in given],
        studies,
        [load_run(path) for path, kind in given if kind == "runs"],
        [path for path, kind in given if kind == "fills"],
        *([(path.name, _records(path)) for path, kind in given if kind == one] for one in ("replay", "splits")),
    )


def unique(labels: Sequence[str], paths: Sequence[Path]) -> list[str]:
    """Return a name for each path: its label, with its folder's name before it where that is needed, or a number."""
    if len(set(labels)) < len(labels):
        labels = [f"{path.resolve().parent.name}/{label}" for label, path in zip(labels, paths, strict=True)]
    if len(set(labels)) < len(labels):
        labels = [f"{label} ({index})" for index, label in enumerate(labels, 1)]
    return list(labels)


def few_enough(groups: Sized, figure: str, most: int = MOST_SERIES) -> None:
    """Raise `FigureError` where there are more lines than can be told apart, or none."""
    if not groups:
        raise FigureError(f"{figure}: none of the points of the study has a run directory yet")
    if len(groups) > most:
        raise FigureError(
            f"{figure}: {len(groups)} lines, of which nobody could tell one from another; name at most {most} "
            "run directories (those of a study lie in its folder `points`)"
        )


def _kind(path: Path, figure: str, wanted: str) -> Kind:
    try:
        if path.is_file():
            records = _records(path)
            found: Kind | None = None if not records else "splits" if "parts" in records[0] else "replay"
        elif is_study(path):
            found = "study"
        else:
            file = path / "run.json"
            found = ("fills" if _is_fill(file) else "runs") if file.exists() else None
    except (OSError, ValueError) as error:
        raise FigureError(f"{path}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if found is None:
        what = "is none of these" if path.exists() else "does not exist"
        raise FigureError(f"{path}: {what}; {figure} is made of {wanted}")
    return found


def _is_fill(file: Path) -> bool:
    try:
        content = json.loads(file.read_bytes())
    except ValueError:
        return False  # a run directory whose reader says what is wrong with it
    return isinstance(content, dict) and content.get("experiment") == "inflate"


def _records(path: Path) -> list[Mapping[str, Any]]:
    """Return the records of a replay or of splits, none where the file is something else."""
    try:
        content = json.loads(path.read_bytes())
    except ValueError:
        return []
    if not isinstance(content, list):
        return []
    return content if all(isinstance(each, dict) and "solver" in each for each in content) else []


def _input(path: Path, kind: Kind) -> Input:
    names = {"study": "table.parquet", "runs": "run.json", "fills": "curves.csv"}
    file = path if path.is_file() else path / names[kind]
    try:
        return Input(path, kind, file.name, hashlib.sha256(file.read_bytes()).hexdigest())
    except OSError as error:
        raise FigureError(f"{file}: cannot be read: {error.strerror}") from error


def _there(study: Study, group: Group) -> list[Path]:
    """Return the run directories of a group's points that have one, in the order of seeds."""
    seeds = study.seeds()
    rows = sorted(group.rows, key=lambda row: (len(seeds[row]), seeds[row]))
    return [folder for row in rows if ((folder := study.folder(row)) / "run.json").is_file()]


def _plain_fills(paths: Sequence[Path]) -> list[tuple[str, list[Mapping[str, Floats]]]]:
    """Return fills by what sets them apart, which is their setting without the seed."""
    settings = [_setting(path) for path in paths]
    differing = [key for key in settings[0] if len({str(each.get(key)) for each in settings}) > 1] if settings else []
    others = [key for key in differing if key not in {"seed", "placement"}]
    groups: dict[str, list[Mapping[str, Floats]]] = {}
    for path, setting in zip(paths, settings, strict=True):
        words = [str(setting.get("placement")), *(f"{key} {Path(str(setting.get(key))).name}" for key in others)]
        groups.setdefault(", ".join(words), []).append(_read_curves(path))
    return list(groups.items())


def _setting(path: Path) -> Mapping[str, Any]:
    content = json.loads((path / "run.json").read_bytes())
    setting = content.get("setting")
    if not isinstance(setting, dict):
        raise FigureError(f"{path / 'run.json'}: has no setting; phasewise inflate writes one")
    return setting


def _read_curves(folder: Path) -> Mapping[str, Floats]:
    file = folder / CURVES.name
    try:
        with file.open(encoding="utf-8", newline="") as lines:
            rows = list(csv.DictReader(lines))
        names = rows[0].keys() if rows else ()
        curves = {name: np.array([float(row[name]) for row in rows]) for name in names}
    except (OSError, ValueError, TypeError) as error:
        raise FigureError(f"{file}: cannot be read: {getattr(error, 'strerror', None) or error}") from error
    if "arrived_load_pct" not in curves:
        raise FigureError(f"{file}: has no column arrived_load_pct; phasewise inflate writes one")
    return curves
