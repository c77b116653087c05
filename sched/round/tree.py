"""The state of a simulation written down as arrays, numbers and texts by name, and read back.

``written(state)`` has everything that a round depends on: a state read back from it, with the same parts, runs on as
the one that was written down would. Names are paths: ``clocks.now_s``, ``jobs.steps_done``, ``streams.types.words``.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from dataclasses import fields, is_dataclass
from typing import Any, Final

import numpy as np

from phasewise.sched.api import Leaf
from phasewise.sched.errors import StateError
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.state import SimulationState, begin

Leaves = dict[str, Leaf]

_VERSION: Final = 3  # of the state of `random.Random`, whose words and spare normal draw are written down
_FREE: Final = ("memory", "warm")  # what parts of a run leave, of any shape
_LENGTH: Final = "length"


def written(state: SimulationState) -> Leaves:
    """Return all of a state by name, in copies.

    Raises
    ------
    StateError
        Where the solvers are warm, or the policy remembers what cannot be written down.
    """
    if state.warm is not None:
        raise StateError(
            "a state is written down at a barrier only, where the solvers have forgotten all (warm = None)"
        )
    leaves: Leaves = dict(_memory("memory", state.memory))
    for name in _names(state):
        leaves.update(_leaves(name, getattr(state, name)))
    return leaves


def restored(leaves: Mapping[str, Leaf], parts: Parts) -> SimulationState:
    """Return the state that was written down as ``leaves``, of a simulation with these parts.

    Raises
    ------
    StateError
        Where a name is missing or there is one too many, or an array has another shape: it was another simulation's.
    """
    state = begin(parts)
    left = dict(leaves)
    try:
        state.memory = _remembered("memory", left)
        for name in _names(state):
            setattr(state, name, _filled(name, getattr(state, name), left))
    except KeyError as missing:
        raise StateError(f"the state that was written down has no {missing}") from missing
    except ValueError as shapes:
        raise StateError(f"the state that was written down is of another cluster: {shapes}") from shapes
    if left:
        raise StateError(f"the state that was written down has more than this simulation: {', '.join(sorted(left))}")
    return state


def copied(state: SimulationState, parts: Parts) -> SimulationState:
    """Return a state on which a round can be tried without touching ``state``; its solvers are as warm."""
    warm, state.warm = state.warm, None
    try:
        copy = restored(written(state), parts)
    finally:
        state.warm = warm
    copy.warm = warm  # a value that nobody changes
    return copy


def _names(state: SimulationState) -> list[str]:
    return [each.name for each in fields(state) if each.name not in _FREE]


# -- of a known shape --------------------------------------------------------------------------------------------------


def _leaves(name: str, value: Any) -> Iterator[tuple[str, Leaf]]:
    """Yield the leaves of a value."""
    if isinstance(value, random.Random):
        _, words, spare = value.getstate()
        yield f"{name}.words", np.array(words, np.uint32)
        yield f"{name}.spare", spare
    elif isinstance(value, np.ndarray):
        yield name, value.copy()
    elif isinstance(value, list):
        yield name, np.array(value, np.float64)
    elif value is None or isinstance(value, (bool, int, float)):
        yield name, value
    else:
        for part, inner in _parts_of(value).items():
            yield from _leaves(f"{name}.{part}", inner)


def _filled(name: str, value: Any, leaves: Leaves) -> Any:
    """Return a value of the kind of ``value``, made of its leaves, which are taken out of ``leaves``."""
    if value is None or isinstance(value, (bool, int, float, list, np.ndarray)):
        return _like(value, leaves.pop(name))
    if isinstance(value, random.Random):
        words = tuple(np.asarray(leaves.pop(f"{name}.words")).tolist())
        value.setstate((_VERSION, words, leaves.pop(f"{name}.spare")))
    elif isinstance(value, tuple):
        value = type(value)(*(np.array(leaves.pop(f"{name}.{part}")) for part in _parts_of(value)))
    elif is_dataclass(value):
        for part, inner in _parts_of(value).items():
            setattr(value, part, _filled(f"{name}.{part}", inner, leaves))
    else:
        value.restore({part: leaves.pop(f"{name}.{part}") for part in value.written()})
    return value


def _like(value: Any, leaf: Any) -> Any:
    """Return a leaf as what it was; arrays keep their identity, as accounts share some."""
    if isinstance(value, list):
        return leaf.tolist()
    if not isinstance(value, np.ndarray):
        return leaf
    if value.shape != leaf.shape:
        raise ValueError(f"{leaf.shape} beside {value.shape}")
    value[...] = leaf
    return value


def _parts_of(value: Any) -> Mapping[str, Any]:
    """Return the parts of a dataclass or a named tuple, or what something of its own kind is written down as."""
    if is_dataclass(value):
        return {each.name: getattr(value, each.name) for each in fields(value)}
    if isinstance(value, tuple):
        return value._asdict()  # type: ignore[attr-defined, no-any-return]  # a named tuple: there are no others
    leaves: Mapping[str, Any] = value.written()
    return leaves


# -- of any shape ------------------------------------------------------------------------------------------------------


def _memory(name: str, value: object) -> Iterator[tuple[str, Leaf]]:
    """Yield the leaves of what a policy remembers: a tuple, with names or without, has its length beside its parts."""
    if isinstance(value, tuple):
        yield f"{name}.{_LENGTH}", len(value)
        for index, inner in enumerate(value):
            yield from _memory(f"{name}.{index}", inner)
    elif isinstance(value, np.ndarray) and not value.dtype.hasobject:
        yield name, value.copy()
    elif value is None or isinstance(value, (bool, int, float, str)):
        yield name, value
    else:
        kind = type(value).__name__
        raise StateError(f"{name} is a {kind}; a policy may remember None, numbers, texts, arrays and tuples of these")


def _remembered(name: str, leaves: Leaves) -> object:
    """Return what a policy remembered, whose leaves are taken out; tuples come back without names."""
    if f"{name}.{_LENGTH}" not in leaves:
        return leaves.pop(name)
    length = int(leaves.pop(f"{name}.{_LENGTH}"))  # type: ignore[arg-type]  # written as a number
    return tuple(_remembered(f"{name}.{index}", leaves) for index in range(length))
