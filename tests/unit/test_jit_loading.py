"""A kernel that is kept is loaded without the compiler's tables, and does all that the one that was compiled does."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from phasewise.profiling.jit import store as stores

pytestmark = pytest.mark.thorough

MODULE = '''
from phasewise.profiling.jit.kernel import kernel
from phasewise.profiling.jit.layouts import IntVector, Vector


@kernel()
def doubled(values: Vector, at: IntVector) -> Vector:
    """Return an array of its own; raise where an index is none of the array's."""
    found = values.copy()
    for k in at:
        if k < 0:
            raise ValueError("an index is below 0", k)
        found[k] *= 2.0
    return found


@kernel()
def digest(more: int) -> int:
    """Return the hash of a text, and more: the process's own secret goes into it."""
    return hash("phasewise") + more


@kernel()
def again(values: Vector, at: IntVector) -> Vector:
    """Return what is doubled twice: another kernel goes into this one."""
    return doubled(doubled(values, at), at)
'''
ASKED = """
import sys
import numpy as np
import kept
from phasewise.profiling.jit.account import ACCOUNT
values, at = np.array([1.0, 2.0]), np.array([1])
for call in sys.argv[1:]:
    try:
        print(eval(call))
    except Exception as error:
        print(type(error).__name__, error)
print([each.name for each in ACCOUNT.compilations])
print(sorted({"scipy.linalg", "numba.np.linalg", "numba.cpython.hashing"} & set(sys.modules)))
"""
DOUBLED = "kept.doubled(values, at)"
RAISING = "kept.doubled(values, -at)"


@pytest.fixture(scope="module")
def machine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("machine")
    (folder / "kept.py").write_text(MODULE)
    return folder


def answered(machine: Path, *calls: str) -> list[str]:
    """Return what a process of its own prints: an answer a call, what it compiled, which tables it loaded."""
    environment = {
        **os.environ,
        stores.VARIABLE: str(machine / "cache"),
        "PYTHONPATH": str(machine),
        "PYTHONHASHSEED": "7",
        "NUMBA_OPT": "1",
    }
    command = [sys.executable, "-P", "-c", ASKED, *calls]
    ended = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
    return ended.stdout.splitlines()


def test_what_is_loaded_answers_as_what_was_compiled_and_imports_no_table(machine: Path) -> None:
    *compiled, made, tables = answered(machine, DOUBLED, RAISING)
    *loaded, made_again, left = answered(machine, DOUBLED, RAISING)
    assert compiled == loaded == ["[1. 4.]", "ValueError ('an index is below 0', -1)"]
    assert (made, made_again) == ("['kept.doubled']", "[]")
    assert "numba.np.linalg" in tables
    assert left == "[]"


def test_a_kernel_that_refers_to_one_of_numbas_own_values_gets_it(machine: Path) -> None:
    text, made, _ = answered(machine, "kept.digest(3) == hash('phasewise') + 3")
    assert (text, made) == ("True", "['kept.digest']")
    text, made, tables = answered(machine, "kept.digest(3) == hash('phasewise') + 3")
    assert (text, made) == ("True", "[]")
    assert "numba.cpython.hashing" in tables


def test_a_kernel_that_was_loaded_goes_into_another_that_is_compiled(machine: Path) -> None:
    answered(machine, DOUBLED)
    *answers, made, _ = answered(machine, DOUBLED, "kept.again(values, at)")
    assert answers == ["[1. 4.]", "[1. 8.]"]
    assert made == "['kept.again']"
    *answers, made, _ = answered(machine, "kept.again(values, at)", RAISING)
    assert answers == ["[1. 8.]", "ValueError ('an index is below 0', -1)"]
    assert made == "[]"


def test_a_second_run_loads_no_table_of_the_compiler(tmp_path: Path) -> None:
    script = (
        "import sys\n"
        "from phasewise.bench.cli.main import main\n"
        "try:\n"
        "    main(sys.argv[1:])\n"
        "except SystemExit:\n"
        "    print(sorted({'scipy.linalg', 'numba.np.linalg', 'numba.cpython.unicode'} & set(sys.modules)))\n"
    )
    for _ in range(2):
        words = ["run", "toy", "--rounds", "3", "-q", "--overwrite", "--out", str(tmp_path / "run")]
        ended = subprocess.run(
            [sys.executable, "-P", "-c", script, *words], capture_output=True, text=True, check=True, cwd=tmp_path
        )
    assert ended.stdout.splitlines()[-1] == "[]"


def test_no_round_loads_a_package(tmp_path: Path) -> None:
    """What a phase imports would be its time: 40 ms of arrivals, where a round has one."""
    script = (
        "import sys\n"
        "from phasewise.bench.cli.main import main\n"
        "from phasewise.sched.engine import Simulation\n"
        "step = Simulation.step\n"
        "def watched(self, wall_s):\n"
        "    before = set(sys.modules)\n"
        "    reason = step(self, wall_s)\n"
        "    print('IMPORTED', {name.partition('.')[0] for name in set(sys.modules) - before} - {'phasewise'})\n"
        "    return reason\n"
        "Simulation.step = watched\n"
        "main(sys.argv[1:])\n"
    )
    for policy in ("max_min_fairness_perf", "max_min_fairness_packed"):
        words = ["run", "toy", "--policy", policy, "--rounds", "6", "-q", "--out", str(tmp_path / policy)]
        ended = subprocess.run(
            [sys.executable, "-P", "-c", script, *words], capture_output=True, text=True, check=True, cwd=tmp_path
        )
        imported = [line for line in ended.stdout.splitlines() if line.startswith("IMPORTED")]
        assert imported == ["IMPORTED set()"] * 6
