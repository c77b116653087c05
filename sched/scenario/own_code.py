"""Policies, placements and solvers of a scenario that are classes in somebody's Python file, ``FILE.py:CLASS``.

A resolved scenario names them with the digest of their file: what was run, is run again or is a point of a study is
known by what the file held. Nothing is executed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Final

import msgspec

from phasewise.profiling.errors import OwnFileError
from phasewise.profiling.own_files import by_content, is_named, pinned, placed, unpinned
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.schema import Told

NAMES: Final = (("policy", "name"), ("placement", "name"), ("solver", "name"))
KEYS: Final = frozenset(".".join(each) for each in NAMES)


def each_part(name: str, change: Callable[[str], str]) -> str:
    """Return a name, or a chain of them, with the files in it named as ``change`` says; anything else as it is."""
    parts = [part.strip() for part in name.split(",")]
    return ",".join(change(part) if is_named(part) else part for part in parts) if any(map(is_named, parts)) else name


def placed_names(key: str, value: Any, folder: Any) -> Any:
    """Return the value of a key of a scenario as it is from here, where files are named relative to ``folder``."""
    if key not in KEYS or not isinstance(value, str):
        return value
    return each_part(value, lambda part: placed(part, folder))


def faults(scenario: Scenario) -> Iterator[Told]:
    """Yield what is wrong with the files that a scenario names, each by its key."""
    for section, key in NAMES:
        try:
            each_part(getattr(scenario, section).name, pinned)
        except OwnFileError as error:
            yield f"{section}.{key}", f"{error}"


def with_digests(scenario: Scenario) -> Scenario:
    """Return a scenario with the digest of each file that it names; raises `OwnFileError` where it has faults."""
    changed: dict[str, Any] = {}
    for section, _ in NAMES:
        choice = getattr(scenario, section)
        if (name := each_part(choice.name, pinned)) != choice.name:
            changed[section] = msgspec.structs.replace(choice, name=name)
    return msgspec.structs.replace(scenario, **changed) if changed else scenario


def is_same(key: str, now: Any, then: Any) -> bool:
    """Return whether two values of a key are equal, or name copies of the same code."""
    if now == then:
        return True
    named = key in KEYS and isinstance(now, str) and isinstance(then, str)
    return named and each_part(now, by_content) == each_part(then, by_content)


def difference(key: str, now: Any, then: Any) -> str:
    """Return in words that a key names the same file, of another content; empty where that is not what differs."""
    if key not in KEYS or not isinstance(then, str) or each_part(now, unpinned) != each_part(then, unpinned):
        return ""
    return f"{key} names {each_part(now, unpinned)}, which is another file than it was, by its content"
