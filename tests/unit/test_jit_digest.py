"""Compiled code is the code that is there: what changes a kernel's digest, and what does not."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from itertools import count
from pathlib import Path

import pytest

from phasewise.profiling.jit.kernel import Kernel

MAIN = '''"""A kernel."""
from __future__ import annotations

from typing import Final, NamedTuple

from phasewise.profiling.jit.kernel import inner, kernel
from phasewise.profiling.jit.layouts import Vector

import {helper}
from {helper} import SIGN, Mode, tilted

OFFSETS: Final = (1.0, 2.0)


class Pair(NamedTuple):
    first: Vector
    second: Vector


class Nested(NamedTuple):
    pair: Pair
    by: float


@inner
def own(value: float) -> float:
    """Return something."""
    return tilted(value) * SIGN + OFFSETS[1]


@kernel()
def total(values: Vector, nested: Nested) -> float:
    """Return a sum."""
    found = 0.0
    for i in range(values.size):
        found += own(values[i]) + {helper}.SCALE * Mode.SLOW + nested.pair.first[0]
    return found
'''
HELPER = '''"""What a kernel sees of another module."""
from enum import IntEnum

from phasewise.profiling.jit.kernel import inner

SIGN = 1.0
SCALE = 2.0
UNSEEN = 3.0


class Mode(IntEnum):
    SLOW = 1
    FAST = 2


@inner
def deeper(value: float) -> float:
    return value + 0.5


@inner
def tilted(value: float) -> float:
    """Return something else."""
    return deeper(value) * 2.0
'''
HELPER_MOVED = '''
deeper = {helper}.deeper


@inner
def tilted(value: float) -> float:
    """Return something else."""
    return deeper(value) * 2.0


'''
Digest = Callable[[str, str], str | None]
_NUMBER = count()


@pytest.fixture
def digest(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Digest]:
    """Return what makes both modules anew with two texts, and tells the name under which the kernel would be kept."""
    monkeypatch.syspath_prepend(tmp_path)
    name = f"seen_by_kernels_{next(_NUMBER)}"

    def made(main: str = MAIN, helper: str = HELPER) -> str | None:
        for module in (name, f"{name}_helper"):
            sys.modules.pop(module, None)
        (tmp_path / f"{name}.py").write_text(main.format(helper=f"{name}_helper"))
        (tmp_path / f"{name}_helper.py").write_text(helper)
        importlib.invalidate_caches()
        sys.dont_write_bytecode, before = True, sys.dont_write_bytecode
        try:
            total = importlib.import_module(name).total
        finally:
            sys.dont_write_bytecode = before
        assert isinstance(total, Kernel)
        return total.file_of(total.formal)

    yield made
    for module in (name, f"{name}_helper"):
        sys.modules.pop(module, None)


SEEN = {
    "the kernel itself": (MAIN.replace("found = 0.0", "found = 1.0"), HELPER),
    "what it calls": (MAIN.replace("+ OFFSETS[1]", "- OFFSETS[1]"), HELPER),
    "a constant of its module": (MAIN.replace("(1.0, 2.0)", "(1.0, 3.0)"), HELPER),
    "the type of a constant": (MAIN.replace("(1.0, 2.0)", "(1, 2)"), HELPER),
    "a constant of another module": (MAIN, HELPER.replace("SIGN = 1.0", "SIGN = -1.0")),
    "a constant that it asks a module for": (MAIN, HELPER.replace("SCALE = 2.0", "SCALE = 4.0")),
    "a member of an enumeration": (MAIN, HELPER.replace("SLOW = 1", "SLOW = 3")),
    "a function of another module": (MAIN, HELPER.replace("* 2.0", "* 2.5")),
    "what that calls in turn": (MAIN, HELPER.replace("+ 0.5", "+ 0.25")),
    "where a callee stands": (  # what is kept of the kernel refers to it by its module
        MAIN.replace("import SIGN, Mode, tilted", "import SIGN, Mode").replace(
            "OFFSETS: F", HELPER_MOVED + "OFFSETS: F"
        ),
        HELPER,
    ),
    "how a callee is compiled": (MAIN.replace("@inner\n", "@loop\n").replace("import inner,", "import loop,"), HELPER),
    "an item of a list": (MAIN.replace("(1.0, 2.0)", "[1.0, 3.0]"), HELPER),
    "the order of the fields of what it is handed": (
        MAIN.replace("    first: Vector\n    second: Vector", "    second: Vector\n    first: Vector"),
        HELPER,
    ),
    "an argument's layout": (MAIN.replace("import Vector", "import IntVector as Vector"), HELPER),
}
UNSEEN = {
    "a comment": ("# a comment\n" + MAIN, HELPER),
    "a docstring": (MAIN.replace("Return a sum.", "Return the sum."), HELPER.replace("something else", "more")),
    "a constant that nothing uses": (MAIN, HELPER.replace("UNSEEN = 3.0", "UNSEEN = 4.0")),
    "a member that nothing uses of what is not an enumeration": (MAIN + "\n\nUNUSED = 1\n", HELPER),
}


@pytest.mark.parametrize("what", SEEN)
def test_an_edit_of_what_a_kernel_sees_gives_another_digest(digest: Digest, what: str) -> None:
    assert digest(*SEEN[what]) != digest(MAIN, HELPER)


@pytest.mark.parametrize("what", UNSEEN)
def test_an_edit_of_what_it_does_not_see_gives_the_same(digest: Digest, what: str) -> None:
    assert digest(*UNSEEN[what]) == digest(MAIN, HELPER)


def test_a_kernel_that_uses_what_has_no_content_is_not_kept(digest: Digest) -> None:
    unkeyable = MAIN.replace("OFFSETS: Final = (1.0, 2.0)", "OFFSETS: Final = [lambda: 0.0, 2.0]")
    assert digest(unkeyable, HELPER) is None
