"""Stacks with native frames: what py-spy and perf write is read under our names, and what is missing is said once."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phasewise.profiling import native
from phasewise.profiling.errors import SamplingError
from phasewise.profiling.native_text import INTERPRETER, folded_of_perf, folded_of_py_spy
from phasewise.profiling.stacks import Folded, write_folded
from phasewise.reports.flame import flame_of, native_flame_of

PY_SPY = """\
_start (python3.11);<module> (tool.py:1);sample_native (phasewise/profiling/native.py:44);step (sched/engine.py:10);\
svd (numpy/linalg/_linalg.py:1667);dgemm (libopenblas.so) 3
sample_native (phasewise/profiling/native.py:44);step (/home/me/phasewise/.namespace/phasewise/sched/engine.py:10);\
_find_and_load (<frozen importlib._bootstrap>:1165) 2
sample_native (phasewise/profiling/native.py:44);run (sched.py:140) 4
blas_server (libopenblas.so) 9
py-spy says something else
"""
PERF = """\
 41
\t          5f74a0 dgemm_kernel+0x10 (/venv/lib/python3.11/site-packages/numpy.libs/libopenblas.so)
\t          101010 _PyEval_EvalFrameDefault+0x5 (/usr/lib/libpython3.11.so.1.0)
\t          101011 PyEval_EvalCode+0x1 (/usr/lib/libpython3.11.so.1.0)

 41
\t    7f0000001000 py::Simulation.step:/venv/lib/python3.12/site-packages/phasewise/sched/engine.py (/tmp/perf-41.map)
\t          101011 main (/usr/bin/python3.12)
"""


def stacks(folded: Folded) -> dict[tuple[str, ...], float]:
    rows = (tuple(folded.frames[frame] for frame in stack) for stack in folded.stacks)
    return dict(zip(rows, folded.cpu_s, strict=True))


def test_py_spy_has_python_and_native_frames_below_the_call() -> None:
    folded = folded_of_py_spy(PY_SPY, "phasewise.profiling.native")
    assert stacks(folded) == {
        ("phasewise.sched.engine:step", "numpy.linalg._linalg:svd", "libopenblas.so:dgemm"): 3.0,
        ("phasewise.sched.engine:step", "importlib._bootstrap:_find_and_load"): 2.0,
        ("sched:run",): 4.0,  # of the standard library
    }
    assert folded.samples == 9  # other threads have no such call


def test_perf_has_libraries_and_the_interpreter_once() -> None:
    assert stacks(folded_of_perf(PERF)) == {
        (INTERPRETER, "libopenblas.so:dgemm_kernel"): 1.0,
        (INTERPRETER, "phasewise.sched.engine:Simulation.step"): 1.0,
    }


def test_the_page_draws_native_frames_in_a_room_of_their_own(tmp_path: Path) -> None:
    assert native_flame_of(tmp_path) is None
    write_folded(folded_of_py_spy(PY_SPY, "phasewise.profiling.native"), tmp_path / "native.json")
    flame = native_flame_of(tmp_path)
    assert flame is not None
    rooms = {flame.frames[at]: flame.rooms[room][0] for at, room in enumerate(flame.room_of)}
    assert rooms["libopenblas.so:dgemm"] == "compiled libraries"
    assert rooms["phasewise.sched.engine:step"] == "simulation"
    assert flame_of(tmp_path).absent


def test_where_neither_tool_is_there_one_message_says_so_before_anything_runs(
    phasewise: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    said = phasewise("profile", "toy", "--native", "--out", str(tmp_path / "run"))
    assert said.code == 2
    assert said.err.startswith("phasewise: error: --native needs py-spy or perf on the path")
    assert not (tmp_path / "run").exists()


def test_a_tool_that_may_not_look_says_why(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "py-spy"
    tool.write_text("#!/bin/sh\necho 'Permission denied: try again as root' >&2\nexit 1\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")
    with pytest.raises(SamplingError, match="py-spy could not look into this process: Permission denied"):
        native.sample_native(lambda: None)


def test_an_error_of_the_call_passes(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    tool = tmp_path / "py-spy"
    tool.write_text("#!/bin/sh\ntrap 'exit 0' INT\necho looking\nwhile :; do sleep 0.05; done\n")
    tool.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:/bin:/usr/bin")

    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        native.sample_native(fail)


def busy() -> int:
    end, counted = time.thread_time() + 0.6, 0
    while time.thread_time() < end:
        counted += len(bytes(500_000))
    return counted


@pytest.mark.thorough
def test_a_tool_that_is_there_looks_into_this_process() -> None:
    if not any(map(shutil.which, native.TOOLS)):
        with pytest.raises(SamplingError, match="--native needs"):
            native.native_tool()
        return
    counted, folded = native.sample_native(busy)
    assert counted > 0
    assert folded.samples >= 5
    assert 0.5 < sum(folded.cpu_s) < 1.5
