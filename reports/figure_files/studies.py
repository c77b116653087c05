"""A study's folder, read: what was varied, and a row of figures a point."""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Final

import numpy as np

from phasewise.profiling.artefacts.schemas import Record
from phasewise.profiling.errors import RecordError
from phasewise.reports.columns import ColumnTable
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.model import Floats

SEED: Final = "seed"
RATE: Final = "workload.rate_per_hour"
_TABLE: Final = Record("table.parquet", ())


@dataclass(frozen=True, slots=True)
class Group:
    """Points that differ in their seed alone, or in what a figure has on its x axis.

    Attributes
    ----------
    label
        What sets it apart from the study's other groups.
    keys
        Its overrides, as text.
    rows
        (P,) rows of the table.
    """

    label: str
    keys: Mapping[str, str]
    rows: tuple[int, ...]


@dataclass(frozen=True)
class Study:
    """A study.

    Attributes
    ----------
    path
        Its folder.
    settings
        `study.toml`.
    table
        A row a point.
    """

    path: Path
    settings: Mapping[str, Any]
    table: ColumnTable

    @property
    def name(self) -> str:
        """Return its name, the folder's where it has none."""
        return str(self._section("study").get("name") or self.path.resolve().name)

    @property
    def fills(self) -> bool:
        """Return whether its points are inflation experiments."""
        return self._section("study").get("kind") == "inflate"

    @cached_property
    def overrides(self) -> tuple[str, ...]:
        """Return the dotted keys that were set, in order: the columns between `point` and `status`, and the grid's."""
        names = self.table.names
        start, end = names.index("point") + 1, names.index("status")
        grid = [key for key in _dotted(self._section("grid")) if key in names]
        return tuple(dict.fromkeys([*names[start:end], *grid]))

    @cached_property
    def varied(self) -> tuple[str, ...]:
        """Return the overrides of which there is more than one value."""
        return tuple(key for key in self.overrides if len(set(self.texts(key))) > 1)

    @property
    def window(self) -> tuple[int, int] | None:
        """Return which jobs count, by id, A <= id < B, where the study sets it for all of its points."""
        match self._section("set").get("stop.window"):
            case [int(first), int(end)]:
                return first, end
            case _:
                return None

    @property
    def figures_x(self) -> str:
        """Return the key that the study says its figures are over, empty where it says none."""
        return str(self._section("figures").get("x") or "")

    def overlay_names(self) -> list[str]:
        """Return what the study says it is to be compared with: names of published figures, or nothing."""
        told = self._section("study").get("overlay") or self._section("figures").get("overlay") or ()
        return [told] if isinstance(told, str) else [str(name) for name in told]

    def numbers(self, name: str) -> Floats:
        """Return (P,) a column, NaN throughout where there is none."""
        return self.table.numbers(name) if name in self.table else np.full(len(self.table), np.nan)

    def texts(self, name: str) -> list[str]:
        """Return (P,) a column as text: whole numbers without a point, an empty text for null."""
        return [_text(value) for value in self.table.table.column(name).to_pylist()]

    def statuses(self) -> list[str]:
        """Return (P,) how each point ended; empty where it has not."""
        return self.texts("status")

    def folder(self, row: int) -> Path:
        """Return the run directory of a point."""
        return self.path / "points" / self.texts("point")[row]

    def seeds(self) -> list[str]:
        """Return (P,) the seed of each point, empty where the study sets none."""
        return self.texts(SEED) if SEED in self.overrides else [""] * len(self.table)

    def groups(self, apart_from: Collection[str] = ()) -> list[Group]:
        """Return the points by all overrides but the seed and some more, in the order of the table."""
        keys = [key for key in self.varied if key != SEED and key not in apart_from]
        columns = {key: self.texts(key) for key in keys}
        rows: dict[tuple[str, ...], list[int]] = {}
        for row in range(len(self.table)):
            rows.setdefault(tuple(columns[key][row] for key in keys), []).append(row)
        return [
            Group(
                _label(dict(zip(keys, values, strict=True))) or self.name,
                dict(zip(keys, values, strict=True)),
                tuple(of),
            )
            for values, of in rows.items()
        ]

    def _section(self, name: str) -> Mapping[str, Any]:
        section = self.settings.get(name)
        return section if isinstance(section, Mapping) else {}


def is_study(path: Path) -> bool:
    """Return whether a folder is a study's."""
    return (path / "study.toml").is_file()


def load_study(path: Path) -> Study:
    """Return the study kept in a folder.

    Raises
    ------
    FigureError
        Where its settings or its table are missing or broken.
    """
    from phasewise.profiling.artefacts.tables import read_table  # noqa: PLC0415  names are asked for without Parquet

    file = path / "study.toml"
    try:
        settings = tomllib.loads(file.read_text("utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise FigureError(f"{file}: cannot be read: {error}") from error
    place = path / _TABLE.name
    try:
        table = ColumnTable(place, read_table(place), _TABLE)
    except RecordError as error:
        raise FigureError(
            f"{path}: its table {_TABLE.name} is missing or broken ({error}); `phasewise study run` writes it"
        ) from error
    table.require(("point", "status"))
    return Study(path, settings, table)


def _dotted(tree: Mapping[str, Any], prefix: str = "") -> list[str]:
    keys: list[str] = []
    for key, value in tree.items():
        keys += _dotted(value, f"{prefix}{key}.") if isinstance(value, Mapping) else [f"{prefix}{key}"]
    return keys


def _text(value: object) -> str:
    if value is None:
        return ""
    return f"{value:.12g}" if isinstance(value, float) else str(value)


def _label(keys: Mapping[str, str]) -> str:
    """Return what names a group: names stand alone, other values behind the last part of their key."""
    return ", ".join(
        value if key.rpartition(".")[2] == "name" else f"{key.rpartition('.')[2]} {value or 'none'}"
        for key, value in keys.items()
    )
