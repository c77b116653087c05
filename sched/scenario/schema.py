"""The scenario file as a list of keys: their types in words, and what is wrong with a file's structure.

Everything comes from the structs of `phasewise.sched.scenario.config`: types, bounds, defaults, and the docs from their
docstrings, so that messages and the reference page cannot fall behind.
"""

from __future__ import annotations

import json
import math
import re
import types
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias, Union, get_args, get_origin

import msgspec

from phasewise.profiling.names import LONGEST_SHOWN, nearest
from phasewise.sched.scenario.config import LARGEST, MOST_INTEGER, MOST_SIZE, Scenario, Section

Told: TypeAlias = tuple[str, str]
"""A dotted key and what is wrong with its value."""


_NO_LIMITS = (MOST_INTEGER, MOST_SIZE)  # bounds that nobody meets who means what they write
MOST_UNKNOWN = 20
MOST_NAMES = 256  # of worker types or job types in one table


@dataclass(frozen=True, slots=True)
class Key:
    """A key of the scenario file.

    Attributes
    ----------
    path
        Dotted, for example ``"workload.jobs"``.
    type
        What is allowed, in words.
    default
        As it is written in the file; ``"none"`` where nothing is the default, ``"required"`` where there is none.
    doc
        What it means.
    """

    path: str
    type: str
    default: str
    doc: str


def written(value: object) -> str:
    """Return a value as a message or a table shows it."""
    if value is None:
        return "none"
    text = json.dumps(value, default=str, ensure_ascii=False)
    return f"{text[:LONGEST_SHOWN]} ... ({len(text):,} characters)" if len(text) > 2 * LONGEST_SHOWN else text


def scenario_keys() -> list[Key]:
    """Return every key of the scenario file, in the order of the sections."""
    return [
        Key(path, in_words(field.type), _default(field), _docs(owner).get(field.name, ""))
        for path, field, owner in _fields()
    ]


def field_type(path: str) -> Any:
    """Return the type of a dotted key, or None where there is no such key."""
    return next((field.type for known, field, _ in _fields() if known == path), None)


def accepts(kind: Any, wanted: type) -> bool:
    """Return whether a key's type takes values of the Python type ``wanted`` (also through bounds, unions, choices)."""
    if get_origin(kind) is Literal:
        return wanted is str
    if hasattr(kind, "__metadata__") or get_origin(kind) in (Union, types.UnionType):
        return any(accepts(part, wanted) for part in get_args(kind))
    return kind is wanted or get_origin(kind) is wanted


def _fields() -> Iterator[tuple[str, msgspec.structs.FieldInfo, type[Section]]]:
    for field in msgspec.structs.fields(Scenario):
        if _is_section(field.type):
            for inner in msgspec.structs.fields(field.type):
                yield f"{field.name}.{inner.name}", inner, field.type
        else:
            yield field.name, field, Scenario


def _is_section(kind: Any) -> bool:
    return isinstance(kind, type) and issubclass(kind, Section)


def _default(field: msgspec.structs.FieldInfo) -> str:
    if field.required:
        return "required"
    if field.default is not msgspec.NODEFAULT:
        return written(field.default)
    return written(field.default_factory())


def _docs(section: type[Section]) -> dict[str, str]:
    """Return what the docstring's Attributes say of each field."""
    _, _, listed = (section.__doc__ or "").partition("Attributes\n    ----------\n")
    docs: dict[str, list[str]] = {}
    for line in listed.splitlines():
        if match := re.fullmatch(r" {4}(\w+)", line):
            docs[match[1]] = current = []
        elif line.strip():
            current.append(line.strip())
    return {name: " ".join(text) for name, text in docs.items()}


def in_words(kind: Any) -> str:
    """Return what a type allows, in words."""
    arguments = get_args(kind)
    if hasattr(kind, "__metadata__"):
        return _bounded(in_words(arguments[0]), kind.__metadata__[0])
    if get_origin(kind) is Literal:
        return "one of " + ", ".join(arguments)
    if get_origin(kind) in (Union, types.UnionType):
        return f"{in_words(arguments[0])}, or none"
    if get_origin(kind) is tuple:
        several = f"a list, each value {in_words(arguments[0])}"
        return several if Ellipsis in arguments else f"[A, B] (as an option A:B), two integers from 0 to {LARGEST}"
    if get_origin(kind) is dict:
        return "a table" if arguments[1] is Any else f"a table, each value {in_words(arguments[1])}"
    return {bool: "true or false", int: "an integer", float: "a finite number", str: "a text"}[kind]


def _bounded(words: str, meta: msgspec.Meta) -> str:
    if meta.min_length:
        return f"{words} that is not empty"
    bounds = [f"of at least {meta.ge:g}"] if meta.ge is not None else []
    bounds += [f"above {meta.gt:g}"] if meta.gt is not None else []
    if meta.le is not None and meta.le not in _NO_LIMITS:
        bounds.append(f"at most {meta.le if isinstance(meta.le, int) else f'{meta.le:g}'}")
    return f"{words} {' and '.join(bounds)}"


def structure_faults(raw: Mapping[str, Any]) -> list[Told]:
    """Return every unknown key, every missing one and every value of the wrong type or out of its bounds.

    Of very many unknown keys in one place the first `MOST_UNKNOWN` are named and the others counted.
    """
    told: list[Told] = []
    known = {field.name: field for field in msgspec.structs.fields(Scenario)}
    unknown = _unknown_keys(raw, list(known), "a section or key")
    for name, value in raw.items():
        if name in unknown:
            told.append((_short(name), unknown[name]))
        elif name not in known:
            continue
        elif not _is_section(known[name].type):
            told += field_faults(name, known[name].type, value)
        elif not isinstance(value, Mapping):
            told.append((name, f"got {written(value)}; allowed: a section, [{name}]"))
        else:
            told += _section_faults(name, known[name].type, value)
    told += [(name, _missing(field)) for name, field in known.items() if field.required and name not in raw]
    return told


def _section_faults(section: str, kind: type[Section], raw: Mapping[str, Any]) -> list[Told]:
    known = {field.name: field for field in msgspec.structs.fields(kind)}
    told: list[Told] = []
    unknown = _unknown_keys(raw, list(known), f"a key of [{section}]")
    for name, value in raw.items():
        if name in known:
            told += field_faults(f"{section}.{name}", known[name].type, value)
        elif name in unknown:
            told.append((f"{section}.{_short(name)}", unknown[name]))
    told += [
        (f"{section}.{name}", _missing(field)) for name, field in known.items() if field.required and name not in raw
    ]
    return told


def _unknown_keys(raw: Mapping[str, Any], known: list[str], what: str) -> dict[str, str]:
    """Return what to say of each unknown key, of very many of the first ones only; the last of them counts the rest."""
    names = [name for name in raw if name not in known]
    told = {name: _unknown(name, known, what) for name in names[:MOST_UNKNOWN]}
    if len(names) > MOST_UNKNOWN:
        told[names[MOST_UNKNOWN]] = f"and {len(names) - MOST_UNKNOWN - 1:,} others are not {what} either"
    return told


def _short(name: str) -> str:
    return name if len(name) <= LONGEST_SHOWN else f"{name[:LONGEST_SHOWN]}... ({len(name):,} characters)"


def _missing(field: msgspec.structs.FieldInfo) -> str:
    return "is missing" + ("" if _is_section(field.type) else f"; give {in_words(field.type)}")


def _unknown(name: str, known: list[str], what: str) -> str:
    return f"is not {what}{nearest(name, known)}; allowed: {', '.join(known)}"


def field_faults(path: str, kind: Any, value: Any) -> list[Told]:
    """Return what keeps a key's value from being of the type ``kind`` and within its bounds."""
    arguments = get_args(kind)
    if isinstance(value, Mapping) and len(value) > MOST_NAMES and get_origin(kind) is dict:
        return [(path, f"has {len(value):,} names; allowed: at most {MOST_NAMES}")]
    if get_origin(kind) is dict and isinstance(value, Mapping) and arguments[1] is not Any:
        inner = [told for key, item in value.items() for told in field_faults(f"{path}.{key}", arguments[1], item)]
        return inner + [(path, "has an empty name; allowed: a name for each value") for key in value if not key]
    try:
        msgspec.convert(value, kind)
    except msgspec.ValidationError:
        limits = [limit for limit in _NO_LIMITS if isinstance(value, type(limit)) and limit < value < math.inf]
        more = f" and at most {limits[0]:g}" if limits and "at most" not in in_words(kind) else ""
        return [(path, f"got {written(value)}; allowed: {in_words(kind)}{more}")]
    if isinstance(value, float) and not math.isfinite(value):
        return [(path, f"got {written(value)}; allowed: {in_words(kind)}")]
    return []
