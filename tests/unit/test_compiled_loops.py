"""What all compiled loops promise."""

from __future__ import annotations

import importlib
import pkgutil

import numba
from numba.core.dispatcher import Dispatcher

import phasewise.sched
import phasewise.solvers

DECORATED_IN_PLACE = 100  # there are more loops than that; fewer would mean that they were not found


def loops() -> list[tuple[str, Dispatcher]]:
    """Return every compiled loop of the packages that have any, by its dotted name."""
    found = []
    for package in (phasewise.sched, phasewise.solvers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            members = vars(importlib.import_module(module.name)).items()
            found += [(f"{module.name}.{name}", each) for name, each in members if isinstance(each, Dispatcher)]
    return found


def test_no_loop_may_change_the_order_of_its_additions() -> None:
    found = loops()
    assert len(found) > DECORATED_IN_PLACE
    assert [name for name, each in found if each.targetoptions.get("fastmath")] == []


def test_a_loop_that_may_would_be_found() -> None:
    @numba.njit(fastmath=True)
    def quick(value: float) -> float:
        return value

    assert quick.targetoptions.get("fastmath")
