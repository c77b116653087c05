"""What a study is made of: a TOML file, or one that is built in, as frozen structs.

Nothing here resolves a scenario: that, and what is wrong with a single point, is `phasewise.bench.study.points`'.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

import msgspec

from phasewise.bench.study.errors import StudyError
from phasewise.profiling.inputs import file_meant, read_input
from phasewise.profiling.names import nearest, quoted
from phasewise.sched.scenario.config import Limits
from phasewise.sched.scenario.own_code import placed_names
from phasewise.sched.scenario.schema import accepts, field_type, in_words

BUILTIN: Final = Path(__file__).resolve().parent / "definitions"
MOST_BYTES: Final = 4 << 20
NAME: Final = re.compile(r"[\w][\w.-]*", re.ASCII)

Kind = Literal["run", "inflate"]
Overrides = dict[str, Any]


class _Section(msgspec.Struct, frozen=True, forbid_unknown_fields=True, kw_only=True):
    """A section of the study file: an unknown key is an error."""


class Head(_Section, frozen=True, kw_only=True):
    """What is studied.

    Attributes
    ----------
    name
        Names the folder; the file's name where it is not given.
    scenario
        A built-in scenario, or the path of a TOML file, relative to the study file.
    kind
        ``run``: each point is a run; ``inflate``: each fills the scenario's nodes with its pods.
    description
        One line for `phasewise study list`.
    """

    name: str = ""
    scenario: str
    kind: Kind = "run"
    description: str = ""


class Inflation(_Section, frozen=True, kw_only=True):
    """What a fill takes besides nodes, pods, placement and seed, which are the scenario's.

    Attributes
    ----------
    load
        GPU demand that arrives, over the cluster's GPUs; none is 1.3, or all that ``order`` holds.
    order
        A file of arrival orders, relative to the study file; empty draws one for each seed.
    bit_compatible
        Whether scores are rounded as the original's are.
    """

    load: float | None = None
    order: str = ""
    bit_compatible: bool = False


class Figures(_Section, frozen=True, kw_only=True):
    """Which figures are drawn once the points are done.

    Attributes
    ----------
    names
        As `phasewise figure list` has them.
    x
        What `jct-vs-rate` is over, a key of the grid: ``workload.rate_per_hour`` where nothing is said, or
        ``timing.round_s``.
    """

    names: tuple[str, ...] = ()
    x: str = ""


class Quick(_Section, frozen=True, kw_only=True):
    """What `--quick` changes, so that the study says something within two minutes.

    Attributes
    ----------
    grid
        Axes in the place of those of the same key.
    set
        Keys of the scenario, the same for all points.
    exclude
        In the place of the study's.
    """

    grid: dict[str, Any] = {}
    set: dict[str, Any] = {}
    exclude: list[dict[str, Any]] | None = None


class Definition(_Section, frozen=True, kw_only=True):
    """A study as its file has it, dotted keys flat.

    Attributes
    ----------
    study
        What is studied.
    set
        Keys of the scenario that are the same for all points.
    grid
        Values of each key that varies; a point for every combination.
    exclude
        Combinations that are left out: those that agree with all of an entry's keys.
    limits
        What a point may take.
    inflate
        For ``kind = "inflate"``.
    slurm
        Parameters of submitit's executor, verbatim.
    figures
        What is drawn.
    quick
        What `--quick` changes.
    """

    study: Head
    set: Overrides = {}
    grid: dict[str, list[Any]] = {}
    exclude: list[Overrides] = []
    limits: Limits = Limits()
    inflate: Inflation = Inflation()
    slurm: dict[str, Any] = {}
    figures: Figures = Figures()
    quick: Quick = Quick()


def builtin_names() -> list[str]:
    """Return the names of the built-in studies, sorted."""
    return sorted(path.stem for path in BUILTIN.glob("*.toml"))


def load_definition(name_or_path: str | Path) -> Definition:
    """Return a study as its file has it, its paths made relative to where we are.

    Parameters
    ----------
    name_or_path
        A built-in name, or the path of a TOML file.

    Raises
    ------
    StudyError
        Naming the file, the key, the value got and what is allowed.
    """
    path, fault = file_meant(name_or_path, builtin_names(), BUILTIN, "study")
    if fault:
        raise StudyError(fault)
    raw = _read(path)
    flat: dict[str, Any] = {key: value for key, value in raw.items() if key not in ("set", "grid", "exclude")}
    flat["set"] = flattened(_table(path, raw, "set"))
    flat["grid"] = {key: _axis(value) for key, value in flattened(_table(path, raw, "grid")).items()}
    flat["exclude"] = [flattened(entry) for entry in _tables(path, raw, "exclude")]
    definition = _converted(path, flat)
    _check(path, definition)
    return _placed(path, definition)


def flattened(table: Mapping[str, Any], prefix: str = "") -> Overrides:
    """Return a table of tables as one, its keys dotted: ``{"policy": {"name": [...]}}`` is ``{"policy.name": [...]}``.

    A key of the scenario whose value is a table stays one.
    """
    flat: Overrides = {}
    for key, value in table.items():
        if isinstance(value, Mapping) and field_type(f"{prefix}{key}") is None:
            flat |= flattened(value, f"{prefix}{key}.")
        else:
            flat[f"{prefix}{key}"] = value
    return flat


def quickened(definition: Definition) -> Definition:
    """Return the study that `--quick` runs.

    Raises
    ------
    StudyError
        Where the study does not say what that is.
    """
    quick = definition.quick
    if quick == Quick():
        raise StudyError(f"study {definition.study.name} has no [quick] section; run it without --quick")
    grid = {key: _axis(value) for key, value in flattened(quick.grid).items()}
    exclude = definition.exclude if quick.exclude is None else [flattened(entry) for entry in quick.exclude]
    return msgspec.structs.replace(
        definition,
        grid=definition.grid | grid,
        set=definition.set | flattened(quick.set),
        exclude=exclude,
        quick=Quick(),
    )


def overridden(definition: Definition, settings: Mapping[str, str]) -> Definition:
    """Return the study with keys of the scenario set for all points: an axis of that key has this value alone."""
    grid = dict(definition.grid)
    for key in settings.keys() & grid.keys():
        grid[key] = [_typed(key, settings[key])]
    more = {key: text for key, text in settings.items() if key not in grid}
    return msgspec.structs.replace(definition, grid=grid, set=definition.set | more)


def _typed(key: str, text: str) -> Any:
    """Return the value that a text stands for, as a study file would have it."""
    if accepts(field_type(key), str):
        return text
    try:
        return tomllib.loads(f"value = {text}")["value"]
    except ValueError:  # a range, a window, no TOML: for others to read
        return text


def _read(path: Path) -> dict[str, Any]:
    try:
        raw = tomllib.loads(read_input(path, MOST_BYTES).decode("utf-8"))
    except OSError as error:
        raise StudyError(f"{path}: cannot read the study: {error.strerror}") from error
    except RecursionError as error:
        raise StudyError(f"{path}: values are nested too deeply; allowed: sections and keys") from error
    except ValueError as error:  # wrong UTF-8, wrong TOML
        raise StudyError(f"{path}: not TOML: {error}") from error
    if "study" not in raw and "cluster" in raw:
        raise StudyError(f"{path}: seems a scenario; a study has a [study] section that names one (see `study list`)")
    return raw


def _table(path: Path, raw: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    table = raw.get(name, {})
    if not isinstance(table, Mapping):
        raise StudyError(f"{path}: {name}: got {quoted(str(table))}; allowed: a section, [{name}]")
    return table


def _tables(path: Path, raw: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    tables = raw.get(name, [])
    if not isinstance(tables, list) or not all(isinstance(each, Mapping) for each in tables):
        raise StudyError(f"{path}: {name}: got {quoted(str(tables))}; allowed: tables, [[{name}]]")
    return tables


def _axis(value: Any) -> list[Any]:
    """Return the values of an axis; one that is no list is the only one."""
    return value if isinstance(value, list) else [value]


def _converted(path: Path, flat: Mapping[str, Any]) -> Definition:
    known = {field.name: field.type for field in msgspec.structs.fields(Definition)}
    for name, value in flat.items():
        if name not in known:
            raise StudyError(f"{path}: {name}: is not a section{nearest(name, known)}; allowed: {', '.join(known)}")
        kind = known[name]
        if not (isinstance(kind, type) and issubclass(kind, msgspec.Struct)):
            continue
        if not isinstance(value, Mapping):
            raise StudyError(f"{path}: {name}: got {quoted(str(value))}; allowed: a section, [{name}]")
        keys = {field.name: field.type for field in msgspec.structs.fields(kind)}
        for key in value:
            if key not in keys:
                near = nearest(key, keys)
                raise StudyError(f"{path}: {name}.{key}: is not a key of [{name}]{near}; allowed: {', '.join(keys)}")
    if "study" not in flat:
        raise StudyError(f"{path}: study: is missing; give a section [study] with the scenario")
    try:
        return msgspec.convert(flat, Definition)
    except msgspec.ValidationError as error:
        text, _, where = str(error).partition(" - at `$.")
        raise StudyError(f"{path}: {where.rstrip('`') or 'study'}: {text}{_allowed(where.rstrip('`'))}") from error


def _allowed(where: str) -> str:
    """Return what a key's type allows, where that can be said."""
    section, _, key = where.partition(".")
    sections: dict[str, type[msgspec.Struct]] = {"limits": Limits, "study": Head, "inflate": Inflation}
    kind = sections.get(section)
    kinds = {} if kind is None else {field.name: field.type for field in msgspec.structs.fields(kind)}
    try:
        return f"; allowed: {in_words(kinds[key])}"
    except KeyError:
        return ""


def _check(path: Path, definition: Definition) -> None:
    name = definition.study.name
    if name and not NAME.fullmatch(name):
        raise StudyError(f"{path}: study.name: got {quoted(name)}; allowed: letters, digits, '-', '_' and '.'")
    for key, axis in definition.grid.items():
        if not axis:
            raise StudyError(f"{path}: grid.{key}: has no value; allowed: at least one")
    if definition.figures.x and definition.figures.x not in definition.grid:
        raise StudyError(
            f"{path}: figures.x: got {quoted(definition.figures.x)}; allowed: a key of [grid], "
            f"{', '.join(definition.grid)}"
        )
    for key in definition.set:
        if key in definition.grid:
            raise StudyError(f"{path}: set.{key}: is also in [grid]; allowed: one of the two")


def _placed(path: Path, definition: Definition) -> Definition:
    """Return the study with its name, and its paths as they are from where we are."""
    from phasewise.sched.scenario.loading import builtin_names as scenarios

    head, inflate = definition.study, definition.inflate
    scenario = head.scenario if head.scenario in scenarios() else str(path.parent / head.scenario)
    order = str(path.parent / inflate.order) if inflate.order else ""
    return msgspec.structs.replace(
        code_placed(definition, path.parent),
        study=msgspec.structs.replace(head, name=head.name or path.stem, scenario=scenario),
        inflate=msgspec.structs.replace(inflate, order=order),
    )


def code_placed(definition: Definition, folder: Path) -> Definition:
    """Return the study with what it names as ``FILE.py:CLASS``, relative to its file, as it is from where we are."""

    def placed(table: Mapping[str, Any]) -> dict[str, Any]:
        return {
            key: [placed_names(key, each, folder) for each in value]
            if isinstance(value, list)
            else placed_names(key, value, folder)
            for key, value in table.items()
        }

    quick = definition.quick
    left_out = quick.exclude if quick.exclude is None else [placed(flattened(entry)) for entry in quick.exclude]
    short = Quick(grid=placed(flattened(quick.grid)), set=placed(flattened(quick.set)), exclude=left_out)
    return msgspec.structs.replace(
        definition,
        set=placed(definition.set),
        grid=placed(definition.grid),
        exclude=[placed(entry) for entry in definition.exclude],
        quick=short,
    )
