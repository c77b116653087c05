"""What a compiled function promises: one signature, read off its annotations; arrays of another layout are errors."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from numba.core.dispatcher import Dispatcher

import phasewise.sched
import phasewise.solvers
from phasewise.bench.precompile import every
from phasewise.profiling.jit.account import ACCOUNT
from phasewise.profiling.jit.kernel import Compiled, Inner, Kernel, LayoutError, inner, kernel, wanted
from phasewise.profiling.jit.layouts import IntVector, Matrix, Vector
from phasewise.profiling.jit.prepare import KernelError, prepare
from phasewise.profiling.jit.store import Store, used

MORE_THAN = 100  # there are more compiled functions; fewer would mean that they were not found
RULED = {  # a rule of placement is handed to these
    "place_one",
    "place_job",
    "place_in_order",
    "place_in_round",
    "refresh",
    "rescore",
}
OPEN = RULED | {"move_up"}  # and to this a column of any type


class Pair(NamedTuple):
    """Arrays that belong together."""

    weight: Vector
    at: IntVector


@pytest.fixture(autouse=True)
def store(tmp_path: Path) -> Iterator[None]:
    """Keep what these tests compile apart, so that it is compiled."""
    with used(Store(tmp_path)):
        yield


@inner
def scaled(value: float, by: int) -> float:
    """Return a product; called with a literal and with a number of one byte below."""
    return value * by


@kernel()
def total(pair: Pair, table: Matrix, by: int) -> float:
    """Return a sum."""
    found = scaled(table[0, 0], 3)
    for k in range(len(pair.at)):
        found += scaled(pair.weight[pair.at[k]], np.int8(by))
    return found


def functions() -> dict[str, Dispatcher]:
    """Return every compiled function of the packages that have any, by its dotted name."""
    found = {}
    for package in (phasewise.sched, phasewise.solvers):
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for each in vars(importlib.import_module(module.name)).values():
                if isinstance(each, Dispatcher):
                    found[f"{each.__module__}.{each.__name__}"] = each
    return found


def test_no_function_may_change_the_order_of_its_additions() -> None:
    found = functions()
    assert len(found) > MORE_THAN
    assert [name for name, each in found.items() if each.targetoptions.get("fastmath")] == []


def test_every_compiled_function_has_one_signature_unless_it_is_handed_a_rule_or_any_column() -> None:
    for name, each in functions().items():
        assert isinstance(each, Compiled), name
        several = [formal for formal in each.formal if formal is None]
        assert len(several) == (name.rpartition(".")[2] in OPEN), name


def test_every_kernel_is_compiled_ahead_of_time() -> None:
    kernels = {name for name, each in functions().items() if isinstance(each, Kernel)}
    ahead = {f"phasewise.{each.kernel.title}" for each in every()}
    assert kernels - ahead == {"phasewise.sched.nodes.kernels.release_task", "phasewise.sched.nodes.rounds.place_one"}


def test_a_literal_and_a_narrow_number_are_no_signatures_of_their_own() -> None:
    assert total(Pair(np.ones(3), np.arange(3)), np.ones((1, 1)), 2) == 9.0
    assert isinstance(scaled, Inner)
    assert [str(each) for each in scaled.signatures] == ["(float64, int64)"]


@pytest.mark.parametrize(
    ("pair", "table", "named"),
    [
        (Pair(np.ones(3), np.arange(3)), np.ones((4, 4))[:, ::2], "table is array(float64, 2d, A), not"),
        (Pair(np.ones(3), np.arange(3)), np.ones((1, 1), np.float32), "table is array(float32, 2d, C), not"),
        (Pair(np.ones(3), np.arange(3)), np.ones(1), "table is array(float64, 1d, C), not"),
        (Pair(np.ones(3), np.arange(3.0)), np.ones((1, 1)), "pair is Pair(array(float64, 1d, C) x 2), not"),
    ],
)
def test_arrays_of_another_layout_are_an_error_and_not_another_compilation(
    pair: Pair, table: np.ndarray, named: str
) -> None:
    total(Pair(np.ones(3), np.arange(3)), np.ones((1, 1)), 2)
    before = len(ACCOUNT.compilations)
    with pytest.raises(LayoutError, match="total is not compiled for this") as raised:
        total(pair, table, 2)
    assert named in str(raised.value)
    assert len(ACCOUNT.compilations) == before


def test_a_read_only_array_is_an_error_where_it_is_handed_to_a_kernel() -> None:
    frozen = np.ones((1, 1))
    frozen.flags.writeable = False
    with pytest.raises(LayoutError, match="readonly"):
        total(Pair(np.ones(3), np.arange(3)), frozen, 2)


def test_numbers_are_converted() -> None:
    assert total(Pair(np.ones(3), np.arange(3)), np.ones((1, 1)), np.int32(2)) == 9.0
    assert total(Pair(np.ones(3), np.arange(3)), np.ones((1, 1)), True) == 6.0


def test_what_cannot_be_compiled_is_told_in_one_line() -> None:
    @kernel()
    def impossible(values: Vector) -> float:
        return values.nonsense

    with pytest.raises(KernelError, match=r"cannot compile .*impossible: .*nonsense") as raised:
        prepare(wanted(impossible))
    assert "\n" not in str(raised.value)
