"""Nothing that is not this project's own is printed: by no native library, at no time, through no door."""

from __future__ import annotations

import json
import os
import pty
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.errors import OptionError
from phasewise.solvers.session import Walk

pytestmark = pytest.mark.thorough

SOLVES = """
import json, sys
import numpy as np
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.errors import OptionError, SolveFailedError
from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.packed_instances import random_packed
from phasewise.solvers.session import Walk

names, options = json.loads(sys.argv[1])
solved = []
for name in names:
    try:
        solver = Walk.of(name, options, PhaseTimer())
    except OptionError:
        assert options
        continue
    kind = LexicographicProblem if name == "water-filling" else MaxMinProblem
    for seed in range(4):
        random = np.random.default_rng(seed)
        if name == "by-kinds":
            solver.solve(random_packed(seed, 12 + seed, 3, 4))
            solved.append(name)
            continue
        gain = random.uniform(0.1, 1.0, (12 + seed, 3))
        if seed == 3:
            gain *= 10.0 ** random.integers(-12, 12, (len(gain), 1))  # more than some solvers can do
        try:
            solver.solve(kind(gain, np.ones(len(gain)), np.array([2.0, 2.0, 1.0])))
        except SolveFailedError:
            continue
        solved.append(name)
assert options or set(solved) == set(names), solved
"""

STUBBORN = """
import ctypes, os, sys
import highspy

class Stubborn(highspy.Highs):
    def __init__(self):
        for descriptor in (1, 2):
            os.write(descriptor, b"a native greeting\\n")
        ctypes.CDLL(None).puts(b"one that C holds back")
        print("one of Python's")
        print("one of Python's", file=sys.stderr)
        super().__init__()

highspy.Highs = Stubborn
sys.stdout.write("before ")
ctypes.CDLL(None).printf(b"")
"""


def python(script: str, *arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run ``script`` in a new interpreter and return what it said."""
    command = [sys.executable, "-P", "-c", script, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False, timeout=600, **settings)  # type: ignore[call-overload]


def groups() -> list[tuple[str, ...]]:
    """Return the backends that can share a process: HiGHS greets once in each, so its users get their own."""
    names = registry.names()
    alone = [name for name in names if "highspy" in registry.get(name).requires]
    return [*((name,) for name in alone), tuple(name for name in names if name not in alone)]


@pytest.mark.parametrize("names", groups(), ids=",".join)
def test_a_session_of_each_backend_says_nothing_from_import_to_its_last_solve(names: tuple[str, ...]) -> None:
    said = python(SOLVES, json.dumps([names, {}]))
    if "compiling" in said.stderr:  # that is ours to say, once on a machine
        said = python(SOLVES, json.dumps([names, {}]))
    assert said.returncode == 0, said.stderr
    assert said.stdout == ""
    assert said.stderr == ""


@pytest.mark.parametrize(
    "options", [{"rho_x": 1e-300}, {"log_csv_filename": "/dev/null"}, {"write_data_filename": "/dev/null"}], ids=str
)
@pytest.mark.parametrize("name", ["cvxpy-fresh:SCS", "cvxpy-dpp:SCS"])
def test_a_solver_that_gives_up_or_writes_a_file_says_nothing_either(name: str, options: Mapping[str, object]) -> None:
    said = python(SOLVES, json.dumps([[name], options]))
    assert said.returncode == 0, said.stderr
    assert said.stdout + said.stderr == ""


@pytest.mark.parametrize("name", ["highs-direct", "highs-warm", "cvxpy-fresh:HIGHS", "cvxpy-dpp:HIGHS"])
def test_highs_is_not_let_onto_the_console_by_an_option(name: str) -> None:
    with pytest.raises(OptionError, match=r"log_to_console=True.*log_file"):
        Walk.of(name, {"log_to_console": True}, PhaseTimer())


@pytest.mark.parametrize("name", ["highs-direct", "cvxpy-fresh:HIGHS"])
def test_the_log_of_highs_can_be_had_in_a_file(name: str, tmp_path: Path) -> None:
    log = tmp_path / "highs.log"
    said = python(SOLVES, json.dumps([[name], {"output_flag": True, "log_file": str(log)}]))
    assert said.returncode == 0, said.stderr
    assert said.stdout + said.stderr == ""
    assert "Optimal" in log.read_text()


def test_a_native_object_that_greets_on_every_stream_is_not_heard_and_nothing_of_ours_is_lost() -> None:
    script = STUBBORN + SOLVES + 'sys.stdout.write("after")\nsys.stderr.write("all is well")\n'
    said = python(script, json.dumps([["highs-warm", "highs-direct"], {}]))
    assert said.returncode == 0, said.stderr
    assert said.stdout == "before after"
    assert said.stderr == "all is well"


def test_blocks_that_overlap_in_time_give_the_streams_back_when_the_last_one_ends() -> None:
    script = """
import os, sys, threading
from phasewise.solvers.silence import silenced

inner, outer = threading.Event(), threading.Event()

def other():
    with silenced(errors=False):
        inner.set()
        outer.wait()
        print("not heard")
        os.write(1, b"nor is this")

thread = threading.Thread(target=other)
with silenced():
    thread.start()
    inner.wait()
    print("not heard", file=sys.stderr)
print("standard error is back", file=sys.stderr)
outer.set()
thread.join()
print("heard")
with silenced(), silenced():
    print("not heard")
os.write(1, b"")
print("heard again")
"""
    said = python(script)
    assert said.stdout == "heard\nheard again\n"
    assert said.stderr == "standard error is back\n"


def test_a_process_that_shows_every_warning_has_none_of_this_to_show() -> None:
    script = "from phasewise.solvers.silence import new_highs\nnew_highs()"
    said = subprocess.run([sys.executable, "-P", "-X", "dev", "-c", script], capture_output=True, text=True, check=True)
    assert said.stdout + said.stderr == ""


def test_an_error_within_the_block_gives_the_streams_back() -> None:
    script = """
from phasewise.solvers.silence import silenced
try:
    with silenced():
        raise ValueError("what went wrong")
except ValueError as error:
    print(error)
"""
    assert python(script).stdout == "what went wrong\n"


def test_a_process_without_standard_streams_can_solve() -> None:
    command = [sys.executable, "-P", "-c", SOLVES, json.dumps([["highs-direct", "cvxpy-fresh:SCS"], {}])]
    closed = ["sh", "-c", 'exec "$@" >&- 2>&-', "sh", *command]
    assert subprocess.run(closed, check=False, timeout=120).returncode == 0


@pytest.fixture(scope="module")
def tape(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("tape") / "toy.tape"
    said = command("tape", "toy", "--rounds", "30", "--out", str(path), "-q")
    assert said.returncode == 0, said.stderr
    return path


def command(*arguments: str, **settings: object) -> subprocess.CompletedProcess[str]:
    """Run the console command in a process of its own."""
    program = Path(sys.executable).with_name("phasewise")
    return subprocess.run([program, *arguments], capture_output=True, text=True, check=False, timeout=300, **settings)  # type: ignore[call-overload]


@pytest.mark.parametrize("solver", ["highs-direct", "cvxpy-fresh:HIGHS", "cvxpy-dpp:SCS"])
def test_figures_on_standard_output_are_json_from_the_first_character_to_the_last(tape: Path, solver: str) -> None:
    said = command("solve", str(tape), "--solver", solver, "--json", "-", "--rounds", "3")
    assert said.returncode == 0, said.stderr
    assert [figures["solver"] for figures in json.loads(said.stdout)] == [solver]
    assert said.stderr == ""


@pytest.mark.parametrize("verb", ["run", "profile"])
def test_a_quiet_run_prints_its_summary_alone(verb: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    said = command(verb, "toy", "--solver", "highs-direct", "--rounds", "20", "--out", str(out), "-q", cwd=tmp_path)
    assert said.returncode == 0, said.stderr
    assert said.stderr == ""
    assert said.stdout.startswith("toy  ")


def test_the_bar_of_a_run_on_a_terminal_is_not_torn_by_what_a_library_prints(tmp_path: Path) -> None:
    ours, theirs = pty.openpty()
    program = Path(sys.executable).with_name("phasewise")
    arguments = [program, "run", "toy", "--solver", "highs-direct", "--rounds", "20", "--out", tmp_path / "out"]
    run = subprocess.Popen(arguments, stdout=theirs, stderr=theirs, env={**os.environ, "COLUMNS": "200"})
    os.close(theirs)
    seen = b""
    while block := _read(ours):
        seen += block
    os.close(ours)
    assert run.wait(timeout=120) == 0
    bar = seen.partition(b"\x1b[?25h")[0]  # until the cursor is shown again
    assert b"toy" in bar
    assert b"starting" in bar
    assert b"HiGHS" not in seen
    assert b"Copyright" not in seen


def _read(descriptor: int) -> bytes:
    """Return what is there; nothing where the other side of the terminal is gone."""
    try:
        return os.read(descriptor, 65536)
    except OSError:
        return b""
