"""The points of a study: resolved scenarios, or settings of fills, named by the hash of what they are."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, cast

import msgspec

from phasewise.bench.study.definition import Definition, Inflation, Kind
from phasewise.bench.study.errors import StudyError
from phasewise.bench.study.grid import combinations
from phasewise.profiling.own_files import by_content
from phasewise.sched.errors import SchedulingError
from phasewise.sched.scenario.config import Limits
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.scenario.own_code import each_part
from phasewise.solvers.errors import SolverError

DIGITS: Final = 16
UNNAMED: Final = frozenset({"name", "description", "output", "limits"})  # what the same run may have otherwise
CODE: Final = frozenset({"policy", "placement", "solver", "setting"})  # sections that name code
LEAN: Final[Mapping[str, Any]] = {
    "output.lines": "none",
    "output.placements": False,
    "output.trace": False,
    "output.rounds_every": 100,
}
"""What a point writes, where the study does not say otherwise: all that figures take, in well under a megabyte."""


@dataclass(frozen=True, slots=True)
class Point:
    """One run, or one fill, of a study.

    Attributes
    ----------
    name
        Hash of ``resolved``, and the folder's name.
    kind
        Whether it is a run or a fill.
    overrides
        By dotted key, what tells it from the other points.
    resolved
        The scenario, or the setting of the fill, as JSON has it.
    """

    name: str
    kind: Kind
    overrides: dict[str, Any]
    resolved: dict[str, Any]

    @property
    def limits(self) -> Limits:
        """What it may take."""
        return msgspec.convert(self.resolved.get("limits", {}), Limits)


def point_hash(resolved: Mapping[str, Any]) -> str:
    """Return the name of a point: 16 hex digits of SHA-256 over what it is.

    Hashed is the canonical JSON (keys sorted, no white space, ASCII) of the resolved scenario without ``name``,
    ``description``, ``output`` and ``limits``, or of the setting of a fill. Code of one's own counts by its class and
    the digest of its file, wherever that lies.
    """
    what = {key: value for key, value in resolved.items() if key not in UNNAMED}
    for key in CODE & what.keys():
        where = "placement" if key == "setting" else "name"
        if isinstance(what[key], Mapping) and isinstance(name := what[key].get(where), str):
            what[key] = {**what[key], where: each_part(name, by_content)}
    text = json.dumps(what, sort_keys=True, separators=(",", ":"), allow_nan=False)
    return hashlib.sha256(text.encode("ascii")).hexdigest()[:DIGITS]


def points_of(definition: Definition) -> list[Point]:
    """Return the points of a study in the order of its grid, each once.

    Raises
    ------
    StudyError
        Where the grid is wrong, or a point's scenario is: it names the point.
    """
    made = _fill if definition.study.kind == "inflate" else _run
    points: dict[str, Point] = {}
    for overrides in combinations(definition.grid, definition.exclude):
        point = made(definition, overrides)
        points.setdefault(point.name, point)
    return list(points.values())


def _run(definition: Definition, overrides: Mapping[str, Any]) -> Point:
    resolved = _resolved(definition, {**LEAN, **_limits(definition), **definition.set, **overrides})
    return Point(point_hash(resolved), "run", dict(overrides), resolved)


def _fill(definition: Definition, overrides: Mapping[str, Any]) -> Point:
    """Return a fill: nodes, pods, placement and seed of the scenario, the rest of [inflate]."""
    own = {field.name for field in msgspec.structs.fields(Inflation)}
    given = {**definition.set, **overrides}
    of_scenario = {key: value for key, value in given.items() if key.removeprefix("inflate.") not in own}
    scenario = _resolved(definition, {**_limits(definition), **of_scenario})
    inflate = asdict_of(definition.inflate) | {
        key.removeprefix("inflate."): value for key, value in given.items() if key not in of_scenario
    }
    cluster, workload = scenario["cluster"], scenario["workload"]
    for key, value in (("cluster.nodes", cluster["nodes"]), ("workload.pods", workload["pods"])):
        if not value:
            raise StudyError(
                f"{key}: is empty; a study of kind inflate needs a scenario with nodes and pods, as alibaba"
            )
    resolved = {
        "experiment": "inflate",
        "setting": {
            "nodes": cluster["nodes"],
            "pods": workload["pods"],
            "placement": scenario["placement"]["name"],
            "seed": scenario["seed"],
            "order": inflate["order"] or None,
            "load": inflate["load"],
            "bit_compatible": inflate["bit_compatible"],
            "compiled": True,
        },
        "limits": scenario["limits"],
    }
    return Point(point_hash(resolved), "inflate", dict(overrides), resolved)


def asdict_of(struct: msgspec.Struct) -> dict[str, Any]:
    """Return a struct's fields as JSON has them."""
    return cast("dict[str, Any]", msgspec.to_builtins(struct))


def require_names(points: Sequence[Point]) -> None:
    """Raise `StudyError` where there is no policy, placement or solver of a name that a point has."""
    from phasewise.sched.registry import placement_class, policy_class
    from phasewise.solvers import registry as solvers

    asked: dict[str, dict[str, Callable[[str], object]]] = {}
    for point in points:
        if point.kind == "inflate":
            asked.setdefault("placement.name", {})[point.resolved["setting"]["placement"]] = placement_class
            continue
        asked.setdefault("policy.name", {})[point.resolved["policy"]["name"]] = policy_class
        asked.setdefault("placement.name", {})[point.resolved["placement"]["name"]] = placement_class
        for part in point.resolved["solver"]["name"].split(","):
            asked.setdefault("solver.name", {})[part.strip()] = solvers.get
    for key, names in asked.items():
        for name, get in names.items():
            try:
                get(name)
            except (SchedulingError, SolverError) as error:
                raise StudyError(f"{key}: {error}") from error


def _limits(definition: Definition) -> dict[str, Any]:
    return {f"limits.{key}": value for key, value in asdict_of(definition.limits).items() if value is not None}


def _resolved(definition: Definition, given: Mapping[str, Any]) -> dict[str, Any]:
    try:
        scenario = load_scenario(definition.study.scenario, given)
    except SchedulingError as error:
        shown = {key: value for key, value in given.items() if key in definition.grid}
        where = f"point {json.dumps(shown)}" if shown else "every point"
        raise StudyError(f"study {definition.study.name}, {where}: {error}") from error
    return cast("dict[str, Any]", msgspec.to_builtins(scenario))
