"""Scenarios: the built-in ones, TOML files, overrides, and what must hold before a run starts.

Nothing here imports NumPy, but where a policy has to be asked about its options: `phasewise list scenarios` answers at
once.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import msgspec

from phasewise.profiling.inputs import file_meant, read_input
from phasewise.profiling.names import quoted
from phasewise.sched.cluster.inventories import inventory_names, pod_table_names
from phasewise.sched.errors import ScenarioError
from phasewise.sched.reading.faults import SHOWN, Fault, render
from phasewise.sched.reading.recognise import SCENARIO, misfit
from phasewise.sched.scenario import ceiling, own_code, policy_section, texts
from phasewise.sched.scenario.checks import consistency_faults, listed_gpus
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.schema import Told, accepts, field_type, structure_faults, written

BUILTIN = Path(__file__).resolve().parent.parent / "data" / "scenarios"
MOST_SCENARIO_BYTES = 4 << 20
DEEPEST = 8  # levels of tables and lists within a key
_MANY_NAMES = re.compile(r"(?m)^[ \t]*\[*[ \t]*[\w-]+(?:[ \t]*\.[ \t]*[\w-]+){64}", re.ASCII)
FILE_KEYS = (
    ("cluster", "nodes"),
    ("workload", "trace"),
    ("workload", "throughputs"),
    ("workload", "co_throughputs"),
    ("workload", "pods"),
    ("recorded", "allocations"),
)


def builtin_names() -> list[str]:
    """Return the names of the built-in scenarios, sorted."""
    return sorted(path.stem for path in BUILTIN.glob("*.toml"))


def describe() -> list[dict[str, str]]:
    """Return the name and description of each built-in scenario."""
    texts = {name: tomllib.loads((BUILTIN / f"{name}.toml").read_text(encoding="utf-8")) for name in builtin_names()}
    return [{"name": name, "description": str(raw["description"])} for name, raw in texts.items()]


def load_scenario(name_or_path: str | Path, overrides: Mapping[str, object] | None = None) -> Scenario:
    """Return a resolved scenario.

    Parameters
    ----------
    name_or_path
        A built-in name, or the path of a TOML file.
    overrides
        By dotted key, for example ``{"workload.jobs": 50, "cluster.gpus": "v100=4,k80=2"}``; a text is read as
        the key's type asks. They win over the file. A new trace, or a new number of generated jobs, that comes
        without a window is run whole: the file's window, and its number of jobs, belong to the file's workload; so
        does the number of jobs where a new window comes without one and jobs arrive at a rate. The limit of simulated
        time of a built-in scenario grows with the window, or the jobs, that are asked for. Of the options of the file's
        policy, another policy keeps those that it takes.

    Raises
    ------
    ScenarioError
        Naming file, line and key of every fault, the value got and what is allowed.
    """
    path, fault = file_meant(name_or_path, builtin_names(), BUILTIN, "scenario")
    if fault:
        raise ScenarioError(fault)
    raw, lines, unreadable = _read(path)
    if unreadable:
        raise ScenarioError(render(path, unreadable))
    given = dict(overrides or {})
    limits = ceiling.of(raw) if path.parent == BUILTIN else None
    if told := _apply(raw, given):
        raise ScenarioError(_listed(told))
    policy_section.keep_what_is_taken(raw, given)
    if limits is not None:
        ceiling.fit(raw, given, limits)
    if told := _faults(raw):
        raise ScenarioError(_cut([_placed(path, lines, given, fault) for fault in told[: SHOWN + 1]], len(told)))
    return _completed(msgspec.convert(raw, Scenario))


def resolve(scenario: Scenario) -> Scenario:
    """Return a scenario with every default in place.

    Worker types with 0 GPUs are left out, and each of the others gets its GPUs per node; a list of nodes is added up.

    Raises
    ------
    ScenarioError
        Naming each key that is wrong, the value got and what is allowed.
    """
    if told := _faults(msgspec.to_builtins(scenario)):
        raise ScenarioError(_listed(told))
    return _completed(scenario)


def scan_scenario(path: Path) -> list[Fault]:
    """Return every fault of a scenario file, with its line where one is to blame."""
    raw, lines, unreadable = _read(path)
    told = [] if unreadable else _faults(raw)
    faults = unreadable + [Fault(_line(lines, key), f"{key}: {message}") for key, message in told]
    return sorted(faults, key=lambda fault: fault.line or 0)


def parse_counts(text: str) -> dict[str, int]:
    """Return ``{"v100": 36, "p100": 36}`` for ``"v100=36,p100=36"``.

    Raises
    ------
    ScenarioError
        Naming the part that is not ``TYPE=COUNT`` or names a type again.
    """
    counts: dict[str, int] = {}
    for part in text.split(","):
        name, equals, count = (piece.strip() for piece in part.partition("="))
        if not name or not equals or not re.fullmatch(r"-?\d{1,12}", count, re.ASCII):
            raise ScenarioError(f"got {part!r} in {text!r}; allowed: TYPE=COUNT,..., for example v100=36,p100=36")
        if name in counts:
            raise ScenarioError(f"got {text!r}, which names {name!r} again; allowed: each worker type once")
        counts[name] = int(count)
    return counts


def _read(path: Path) -> tuple[dict[str, Any], dict[str, int], list[Fault]]:
    """Return a file's values, with its paths made relative to it, and the line of each key; or why it has none."""
    text = ""
    try:
        content = read_input(path, MOST_SCENARIO_BYTES)
        if why := misfit(content, SCENARIO):
            return {}, {}, [Fault(None, why)]
        text = content.decode("utf-8")
        if deep := _MANY_NAMES.search(text):  # Python's reader takes time by the square of their number
            return (
                {},
                {},
                [Fault(text.count("\n", 0, deep.end()) + 1, "a key of more than 64 names; allowed: section.key")],
            )
        raw = tomllib.loads(text)
    except (OSError, ValueError, RecursionError) as error:  # ValueError: wrong UTF-8, wrong TOML, an endless number
        return {}, {}, [_unreadable(error, text)]
    lines = _lines(text)
    if (key := _too_deep(raw)) is not None:
        fault = f"{quoted(key)} is nested more than {DEEPEST} levels deep; allowed: tables within a key"
        return {}, {}, [Fault(lines.get(key), fault)]
    raw.setdefault("name", path.stem)
    built_in = {("cluster", "nodes"): inventory_names(), ("workload", "pods"): pod_table_names()}
    for section, key in FILE_KEYS:
        named = _table(raw, section).get(key)
        if isinstance(named, str) and named and named not in built_in.get((section, key), ()):
            raw[section][key] = str(path.parent / named)
    for section, key in own_code.NAMES:
        if key in _table(raw, section):
            raw[section][key] = own_code.placed_names(f"{section}.{key}", raw[section][key], path.parent)
    return raw, lines, []


def _unreadable(error: OSError | ValueError | RecursionError, text: str) -> Fault:
    """Return what keeps a scenario from being read, with its line."""
    match error:
        case OSError():
            return Fault(None, f"cannot read the scenario: {error.strerror}")
        case UnicodeDecodeError():
            line = error.object[: error.start].count(b"\n") + 1
            return Fault(line, f"byte 0x{error.object[error.start]:02x}; allowed: UTF-8 text")
        case RecursionError():
            return Fault(None, "values are nested too deeply; allowed: sections, keys and tables within a key")
        case _:
            message, _, place = str(error).partition(" (at ")
            match = re.match(r"line (\d+)", place)
            return Fault(int(match[1]) if match else text.count("\n") + 1, f"not TOML: {message}")


def _too_deep(raw: Mapping[str, Any]) -> str | None:
    """Return the first key whose value is nested deeper than `DEEPEST`, None where none is."""
    for key, value in raw.items():
        level: list[Any] = [value]
        for _ in range(DEEPEST):
            tables = [inner.values() if isinstance(inner, dict) else inner for inner in level]
            level = [each for table in tables if isinstance(table, (list, type({}.values()))) for each in table]
        if level:
            return key
    return None


def _table(raw: Mapping[str, Any], section: str) -> dict[str, Any]:
    """Return a section, or an empty one where the file has none or something else in its place."""
    named = raw.get(section)
    return named if isinstance(named, dict) else {}


def _lines(text: str) -> dict[str, int]:
    """Return the line on which each dotted key of a TOML text first stands."""
    section = ""
    lines: dict[str, int] = {}
    for number, line in enumerate(text.splitlines(), start=1):
        if header := re.match(r"\s*\[\s*([^\[\]]+?)\s*\]", line):
            section = header[1].replace('"', "") + "."
            lines.setdefault(section[:-1], number)
        elif key := re.match(r"\s*([\w.\"'-]+)\s*=", line):
            lines.setdefault(section + re.sub(r"[\"']", "", key[1]), number)
    return lines


def _line(lines: Mapping[str, int], key: str) -> int | None:
    """Return the line of a key, else that of the table it is in."""
    while key and key not in lines:
        key = key.rpartition(".")[0]
    return lines.get(key)


def _placed(path: Path, lines: Mapping[str, int], given: Mapping[str, object], fault: Told) -> str:
    """Return a fault with its file and line, unless an override is to blame."""
    key, message = fault
    if any(key == name or key.startswith(f"{name}.") for name in given) or path.parent == BUILTIN:
        return f"{key}: {message}"
    return render(path, [Fault(_line(lines, key), f"{key}: {message}")])


def _listed(told: list[Told]) -> str:
    return _cut([f"{key}: {message}" for key, message in told[: SHOWN + 1]], len(told))


def _cut(told: list[str], faults: int) -> str:
    """Return the messages, one a line, the first `SHOWN` of so many faults."""
    return "\n".join(told if faults <= SHOWN else [*told[:SHOWN], f"and {faults - SHOWN:,} more faults"])


def _apply(raw: dict[str, Any], given: Mapping[str, object]) -> list[Told]:
    """Put the overrides into ``raw``; return what cannot be read."""
    if given.get("workload.trace") or (given.get("workload.jobs") and not _table(raw, "workload").get("trace")):
        _table(raw, "stop").pop("window", None)
    if given.get("workload.trace"):
        _table(raw, "workload").pop("jobs", None)
    told: list[Told] = []
    for key, value in given.items():
        try:
            _put(raw, key, _typed(key, value) if isinstance(value, str) else value)
        except ScenarioError as error:
            told.append((key, str(error)))
    new_window = "stop.window" in given and _table(raw, "stop").get("window") is not None
    if new_window and "workload.jobs" not in given and _table(raw, "workload").get("rate_per_hour"):
        _table(raw, "workload").pop("jobs", None)  # jobs come until it is done, as in a file without their number
    _keep_one_cluster(_table(raw, "cluster"), given)
    if "cluster.gpus" in given and not any(key.startswith("cluster.gpus_per_node") for key in given):
        _keep_known_nodes(_table(raw, "cluster"))
    return told


def _keep_one_cluster(cluster: dict[str, Any], given: Mapping[str, object]) -> None:
    """Drop the file's machines where an override gives them the other way: by type, or as a list of nodes."""
    by_type = any(key.startswith("cluster.gpus") for key in given)
    if given.get("cluster.nodes") and not by_type:
        cluster.pop("gpus", None)
        cluster.pop("gpus_per_node", None)
    elif "cluster.gpus" in given and "cluster.nodes" not in given:
        cluster.pop("nodes", None)
        cluster.pop("copies", None)


def _keep_known_nodes(cluster: dict[str, Any]) -> None:
    """Drop the file's node sizes of worker types that an override took out of the cluster."""
    gpus, per_node = _table(cluster, "gpus"), _table(cluster, "gpus_per_node")
    if per_node:
        cluster["gpus_per_node"] = {name: count for name, count in per_node.items() if name in gpus}


def _put(raw: dict[str, Any], key: str, value: object) -> None:
    *tables, last = key.split(".")
    if len(tables) > 2:
        raise ScenarioError(f"got {written(value)}; allowed: section.key, or section.key.name within a table")
    for name in tables:
        raw = raw.setdefault(name, {})
        if not isinstance(raw, dict):
            raise ScenarioError(f"{name!r} is not a table of the scenario file")
    raw[last] = list(value) if isinstance(value, tuple) else value


_PARSERS: Mapping[str, Callable[[str], object]] = {
    "cluster.gpus": parse_counts,
    "cluster.gpus_per_node": parse_counts,
    "workload.map": texts.parse_names,
    "workload.speed": texts.parse_ratios,
    "workload.states": texts.parse_words,
}


def _typed(key: str, text: str) -> object:
    """Return an override's text as the key's type asks: counts, a window, JSON, or a TOML value; else as it stands."""
    kind = field_type(key)
    if (parse := _PARSERS.get(key)) is not None and not text.lstrip().startswith(("{", "[")):
        return parse(text)
    if text == "none" and accepts(kind, type(None)):
        return None
    if key == "stop.window" and (window := re.fullmatch(r"(\d{1,12}):(\d{1,12})", text.strip(), re.ASCII)):
        return [int(window[1]), int(window[2])]
    try:
        value: object = tomllib.loads(f"value = {text}")["value"]
    except ValueError:  # no TOML, or a number of thousands of digits
        value = _json(text) if accepts(kind, dict) else text
    except RecursionError as error:
        raise ScenarioError(f"got {quoted(text)}, which is nested too deeply") from error
    return text if accepts(kind, str) and not isinstance(value, str) else value


def _json(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError as error:
        why = error.msg if isinstance(error, json.JSONDecodeError) else "a number of too many digits"
        raise ScenarioError(f"got {quoted(text)}, which is neither a TOML table nor JSON: {why}") from error
    except RecursionError as error:
        raise ScenarioError(f"got {quoted(text)}, which is nested too deeply") from error


def _faults(raw: Mapping[str, Any]) -> list[Told]:
    """Return what is wrong in the structure, or else in what the values mean together."""
    if told := structure_faults(raw):
        return told
    scenario = msgspec.convert(raw, Scenario)
    if told := list(own_code.faults(scenario)):  # before its policy is asked about options
        return told
    return [*consistency_faults(scenario), *policy_section.option_faults(scenario)]


def _completed(scenario: Scenario) -> Scenario:
    cluster = scenario.cluster
    if cluster.nodes:
        cluster = msgspec.structs.replace(cluster, gpus=listed_gpus(cluster))
    else:
        gpus = {name: count for name, count in cluster.gpus.items() if count}
        per_node = {name: cluster.gpus_per_node.get(name, 1) for name in gpus}
        cluster = msgspec.structs.replace(cluster, gpus=gpus, gpus_per_node=per_node)
    return own_code.with_digests(msgspec.structs.replace(scenario, cluster=cluster))
