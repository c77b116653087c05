"""Where machine code is kept: whole files only, made once however many processes want them, read from two folders."""

from __future__ import annotations

import importlib
import os
import pickle
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from phasewise.profiling.jit import store as stores
from phasewise.profiling.jit.account import ACCOUNT
from phasewise.profiling.jit.kernel import Kernel, kernel, wanted
from phasewise.profiling.jit.layouts import Vector
from phasewise.profiling.jit.prepare import prepare
from phasewise.profiling.jit.store import SUFFIX, Store, current, used

pytestmark = pytest.mark.thorough

MODULE = """from pathlib import Path

from numba.extending import overload

from phasewise.profiling.jit.kernel import kernel
from phasewise.profiling.jit.layouts import Vector


def noted(value):
    raise NotImplementedError


@overload(noted)
def _noted(value):
    with Path(__file__).with_name("compiled.log").open("a") as log:  # the compiler is at work
        log.write("once\\n")
    return lambda value: value


@kernel()
def total(values: Vector) -> float:
    found = 0.0
    for i in range(values.size):
        found += noted(values[i])
    return found
"""
PREPARED = """
import sys
sys.path.insert(0, sys.argv[1])
import kept_once
from phasewise.profiling.jit.account import ACCOUNT
from phasewise.profiling.jit.kernel import wanted
from phasewise.profiling.jit.prepare import prepare
said = []
waited_s = prepare(wanted(kept_once.total), said.append)
print(kept_once.total.__class__.__name__, len(ACCOUNT.compilations), waited_s > 0.0, said)
"""


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    with used(Store(tmp_path / "kept")) as _:
        yield current()


def fresh() -> Kernel:
    """Return a kernel as a new process would have it: nothing loaded."""

    @kernel()
    def total(values: Vector) -> float:
        found = 0.0
        for i in range(values.size):
            found += values[i]
        return found

    assert isinstance(total, Kernel)
    return total


def test_a_kernel_is_compiled_once_and_loaded_after_that(store: Store) -> None:
    before = len(ACCOUNT.compilations)
    assert [fresh()(np.ones(3)) for _ in range(3)] == [3.0, 3.0, 3.0]
    assert len(ACCOUNT.compilations) == before + 1
    assert len(list(store.folder.glob(f"*{SUFFIX}"))) == 1


@pytest.mark.parametrize(
    "broken",
    [
        b"",
        b"phasewise",
        b"phasewise kernel 1\n" + bytes(31),
        b"not one of ours, but long enough to have a digest in it" * 9,
    ],
    ids=["empty", "cut in its head", "cut in its digest", "foreign"],
)
def test_what_is_no_whole_file_is_dropped_and_made_anew(store: Store, broken: bytes) -> None:
    fresh()(np.ones(3))
    (kept,) = store.folder.glob(f"*{SUFFIX}")
    kept.write_bytes(broken)
    assert fresh()(np.ones(3)) == 3.0
    assert store.load(kept.stem) is not None


def test_a_file_that_is_cut_short_is_dropped_and_made_anew(store: Store) -> None:
    fresh()(np.ones(3))
    (kept,) = store.folder.glob(f"*{SUFFIX}")
    whole = kept.read_bytes()
    for length in (len(whole) - 1, len(whole) // 2, 60):
        kept.write_bytes(whole[:length])
        assert fresh()(np.ones(3)) == 3.0
        assert store.load(kept.stem) is not None


@pytest.mark.parametrize("content", [b"no pickle", pickle.dumps(None), pickle.dumps(("too", "few"))])
def test_a_whole_file_of_something_else_is_dropped_and_made_anew(store: Store, content: bytes) -> None:
    fresh()(np.ones(3))
    (kept,) = store.folder.glob(f"*{SUFFIX}")
    store.save(kept.stem, content)
    assert fresh()(np.ones(3)) == 3.0
    assert store.load(kept.stem) != content


def test_a_file_of_a_module_that_is_gone_is_dropped_and_made_anew(store: Store) -> None:
    fresh()(np.ones(3))
    (kept,) = store.folder.glob(f"*{SUFFIX}")
    store.save(kept.stem, b"cmodule_that_is_gone\nThing\n.")  # a pickle of a name in it
    assert fresh()(np.ones(3)) == 3.0


def test_what_the_installation_has_is_used_where_the_user_has_nothing(
    store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stores, "installed_folder", lambda: tmp_path / "installed")
    function = fresh()
    function(np.ones(3))
    stores.install([str(function.file_of(function.formal))])
    before = len(ACCOUNT.compilations)
    with used(Store(tmp_path / "another user")):
        assert fresh()(np.ones(3)) == 3.0
        assert not (tmp_path / "another user").exists()
    assert len(ACCOUNT.compilations) == before


def test_where_nothing_can_be_kept_kernels_are_compiled_in_memory(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with used(Store(tmp_path / "file" / "folder")):
        assert fresh()(np.ones(3)) == 3.0


def test_old_files_and_what_killed_processes_left_are_removed(store: Store) -> None:
    for name, age_days in (("new", 1), ("old", 60)):
        store.save(name, b"machine code")
        (store.folder / ".killed.1.part").write_bytes(b"")
        then_s = time.time() - age_days * 86_400
        os.utime(store.folder / (name + SUFFIX), (then_s, then_s))
    os.utime(store.folder / ".killed.1.part", (0, 0))
    store.evict()
    assert sorted(path.name for path in store.folder.iterdir()) == [f"new{SUFFIX}"]


def test_four_processes_at_once_on_a_cold_cache_compile_once(tmp_path: Path) -> None:
    (tmp_path / "kept_once.py").write_text(MODULE)
    log = tmp_path / "compiled.log"
    command = [sys.executable, "-P", "-c", PREPARED, str(tmp_path)]

    def at_once(processes: int, folder: str) -> tuple[list[str], int]:
        """Return what so many processes say, and how often the compiler was at work."""
        log.write_text("")
        environment = {**os.environ, stores.VARIABLE: str(tmp_path / folder)}
        started = [
            subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) for _ in range(processes)
        ]
        return [process.communicate()[0] for process in started], log.read_text().count("once")

    _, alone = at_once(1, "first")
    said, together = at_once(4, "second")
    assert together == alone > 0
    assert all(line.startswith("Kernel 0 ") for line in said), said  # workers compiled, not they
    said, again = at_once(1, "second")
    assert (said, again) == (["Kernel 0 False []\n"], 0)


def test_preparing_says_how_much_how_long_and_when_it_is_done(store: Store, tmp_path: Path) -> None:
    said: list[str] = []
    assert prepare(wanted(fresh()), said.append) > 0.0
    assert said[0].startswith("compiling one kernel, once on this machine: about ")
    assert said[-1].startswith("compiled in ")
    assert prepare(wanted(fresh()), said.append) == 0.0
    assert len([line for line in said if line.startswith("compiled in ")]) == 1


def test_an_interruption_while_compiling_ends_it(store: Store, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "kept_once.py").write_text(MODULE)
    monkeypatch.syspath_prepend(tmp_path)
    kept_once = importlib.import_module("kept_once")
    with pytest.raises(KeyboardInterrupt):
        prepare(wanted(kept_once.total), interrupted=lambda: True)
    assert not list(store.folder.glob(f"*{SUFFIX}"))
