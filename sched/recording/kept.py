"""What observers keep of a run, written down as arrays, numbers and texts by name, and read back.

As `phasewise.sched.round.tree` does of the state. A field that is added to what is kept goes along by itself, or its
kind is refused when the first checkpoint is written; it cannot be forgotten.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

import numpy as np

from phasewise.profiling.phases import PhaseProfile, PhaseTotals
from phasewise.sched.api import Leaf
from phasewise.sched.errors import StateError

Leaves = dict[str, Leaf]


def leaves_of(name: str, value: Any) -> Iterator[tuple[str, Leaf]]:
    """Yield the leaves of a value: copies, by names that begin with ``name``.

    Raises
    ------
    StateError
        Where a value is of a kind that cannot be written down.
    """
    match value:
        case None | bool() | int() | float() | str():
            yield name, value
        case np.generic():
            yield name, value.item()
        case np.ndarray() | array() | tuple() | list():
            yield name, _whole(name, np.array(value))
        case dict():
            yield f"{name}.keys", _whole(name, np.array(list(value)))
            yield f"{name}.values", _whole(name, np.array(list(value.values())))
        case PhaseTotals():
            for part, inner in value.profile._asdict().items():
                yield f"{name}.{part}", np.array(inner)
        case _ if is_dataclass(value):
            for each in fields(value):
                yield from leaves_of(f"{name}.{each.name}", getattr(value, each.name))
        case _:
            raise StateError(f"{name} is a {type(value).__name__}, which no checkpoint can hold")


def refilled(name: str, value: Any, leaves: Leaves) -> Any:
    """Return what was written down, of the kind of ``value``; its leaves are taken out of ``leaves``.

    A dataclass is filled in place. Where ``value`` is None, the leaf comes back as it is.

    Raises
    ------
    StateError
        Where a name is missing.
    """
    try:
        return _refilled(name, value, leaves)
    except KeyError as missing:
        raise StateError(f"the checkpoint has no {missing}") from missing


def _refilled(name: str, value: Any, leaves: Leaves) -> Any:
    match value:
        case array():
            return array(value.typecode, np.asarray(leaves.pop(name)).tolist())
        case tuple() | list():
            return type(value)(np.asarray(leaves.pop(name)).tolist())
        case dict():
            keys, values = (np.asarray(leaves.pop(f"{name}.{part}")).tolist() for part in ("keys", "values"))
            return type(value)(dict(zip(keys, values, strict=True)))
        case PhaseTotals():
            totals = PhaseTotals()
            parts = (np.asarray(leaves.pop(f"{name}.{part}")).tolist() for part in PhaseProfile._fields)
            totals.add(PhaseProfile(*map(tuple, parts)))
            return totals
        case _ if is_dataclass(value):
            for each in fields(value):
                setattr(value, each.name, _refilled(f"{name}.{each.name}", getattr(value, each.name), leaves))
            return value
        case _:
            return leaves.pop(name)


def _whole(name: str, values: np.ndarray) -> np.ndarray:
    if values.dtype.hasobject:
        raise StateError(f"{name} holds values that no checkpoint can hold")
    return values
