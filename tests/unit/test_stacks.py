"""Call stacks by CPU time: where the time went, what a file of them may hold, and the tree that a page draws."""

from __future__ import annotations

import hashlib
import json
import signal
import threading
import time
from pathlib import Path

import msgspec
import numpy as np
import pytest

from phasewise.profiling.errors import SamplingError
from phasewise.profiling.sampler import can_sample
from phasewise.profiling.stacks import Folded, read_folded, sample_folded, write_folded
from phasewise.reports.flame import LEAST, NEVER, flame_of

FOLDED = Folded(
    samples=7,
    frames=["numpy.core:dot", "phasewise.sched.engine:step", "phasewise.solvers.session:Solver.solve"],
    stacks=[[1], [1, 2], [1, 2, 0], [1, 0]],
    cpu_s=[0.25, 0.5, 0.125, 0.0],
    wall_s=[0.25, 0.5, 0.25, 1.0],
    squares_s2=[0.0625, 0.0625, 0.015625, 0.0],
)


def busy(cpu_s: float) -> int:
    """Count for so long, in CPU seconds of this thread."""
    end, counted = time.thread_time() + cpu_s, 0
    while time.thread_time() < end:
        counted += 1
    return counted


def twice_as_long() -> int:
    return busy(0.2)


def once() -> int:
    return busy(0.1)


def asleep() -> None:
    time.sleep(0.2)


def work() -> str:
    twice_as_long()
    asleep()
    once()
    return "done"


def share_below(folded: Folded, name: str) -> tuple[float, float]:
    """Return CPU and wall seconds of the stacks through a function."""
    frame = next((i for i, each in enumerate(folded.frames) if each.endswith(f":{name}")), -1)
    rows = [row for row, stack in enumerate(folded.stacks) if frame in stack]
    return sum(folded.cpu_s[row] for row in rows), sum(folded.wall_s[row] for row in rows)


def test_samples_say_which_function_took_how_much_cpu_time() -> None:
    before = signal.getsignal(signal.SIGPROF)
    result, folded = sample_folded(work)
    assert result == "done"
    assert signal.getsignal(signal.SIGPROF) == before
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)
    assert folded.samples >= 10
    longer, shorter = share_below(folded, "twice_as_long"), share_below(folded, "once")
    assert 0.1 < shorter[0] + longer[0] < 0.35
    assert 1.1 < longer[0] / shorter[0] < 3.6  # 2, of some fifty samples on a busy machine
    assert share_below(folded, "work")[1] > 0.4  # the wall time has the sleep, which no CPU time has
    outermost = {folded.frames[stack[0]] for stack in folded.stacks}
    assert {name.rpartition(":")[2] for name in outermost} == {"work"}


def one_compiled_call() -> None:
    hashlib.pbkdf2_hmac("sha256", b"", b"", 200_000)  # many ticks on any machine


def test_a_long_compiled_call_is_told_from_many_samples() -> None:
    def both() -> None:
        busy(0.4)
        one_compiled_call()

    _, folded = sample_folded(both)
    spent_s, square_s2 = np.array(folded.cpu_s), np.array(folded.squares_s2)
    assert len(square_s2) == len(folded.stacks)
    alone = np.array([folded.frames[stack[-1]].endswith(":one_compiled_call") for stack in folded.stacks])
    within = np.array([folded.frames[stack[-1]].endswith(":busy") for stack in folded.stacks])
    assert alone.any()
    assert spent_s[alone].sum() ** 2 / square_s2[alone].sum() < 2.0
    assert 2.0 < spent_s[within].sum() ** 2 / square_s2[within].sum() <= folded.samples


def test_an_error_of_the_call_passes_and_the_timer_is_off() -> None:
    def fail() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        sample_folded(fail)
    assert signal.getitimer(signal.ITIMER_PROF) == (0.0, 0.0)


def test_a_thread_without_signals_is_told() -> None:
    told: list[object] = []

    def ask() -> None:
        told.append(can_sample())
        with pytest.raises(SamplingError, match="this thread"):
            sample_folded(work)

    thread = threading.Thread(target=ask)
    thread.start()
    thread.join()
    assert told == [False]


def test_stacks_are_read_as_they_were_written(tmp_path: Path) -> None:
    write_folded(FOLDED, tmp_path / "stacks.json")
    assert read_folded(tmp_path / "stacks.json") == FOLDED


def test_stacks_of_an_earlier_version_are_read_without_the_squares_of_their_samples(tmp_path: Path) -> None:
    older = {name: getattr(FOLDED, name) for name in ("samples", "frames", "stacks", "cpu_s", "wall_s")}
    (tmp_path / "stacks.json").write_text(json.dumps(older))
    assert read_folded(tmp_path / "stacks.json") == msgspec.structs.replace(FOLDED, squares_s2=[])


APART = {"samples": 1, "frames": [], "stacks": [[0]], "cpu_s": [1.0], "wall_s": [1.0]}
SQUARES = [{**APART, "frames": ["a:a"], "squares_s2": squares} for squares in ([0.0], [-1.0], [1.0, 1.0])]


@pytest.mark.parametrize(
    "broken", [b"", b"{}", b"[]", b"\xff", *(json.dumps(each).encode() for each in (APART, *SQUARES))]
)
def test_broken_stacks_are_named_and_the_page_says_so(broken: bytes, tmp_path: Path) -> None:
    (tmp_path / "stacks.json").write_bytes(broken)
    with pytest.raises(SamplingError, match=r"stacks\.json"):
        read_folded(tmp_path / "stacks.json")
    assert "stacks.json" in flame_of(tmp_path).absent


def test_a_run_that_was_not_profiled_says_so(tmp_path: Path) -> None:
    assert flame_of(tmp_path).absent == NEVER


def test_a_frame_of_the_tree_has_the_time_of_all_below_it(tmp_path: Path) -> None:
    write_folded(FOLDED, tmp_path / "stacks.json")
    flame = flame_of(tmp_path)
    root, cpu, wall, (step,) = flame.tree
    assert (root, cpu, wall) == (-1, 875.0, 2000.0)
    frame, cpu, wall, (solve, dot) = step
    assert (flame.frames[frame], cpu, wall) == ("phasewise.sched.engine:step", 875.0, 2000.0)
    assert solve[1:3] == [625.0, 750.0]
    assert solve[3] == [[0, 125.0, 250.0, []]]
    assert dot == [0, 0.0, 1000.0, []]  # no CPU time, but wall time enough to be seen
    assert [flame.rooms[room][0] for room in flame.room_of] == ["NumPy", "simulation", "solvers"]
    assert "7 samples" in flame.note


def test_what_is_less_than_a_pixel_is_left_out(tmp_path: Path) -> None:
    tiny = Folded(samples=2, frames=["a:a", "b:b"], stacks=[[0], [1]], cpu_s=[1.0, LEAST / 2], wall_s=[1.0, LEAST / 2])
    write_folded(tiny, tmp_path / "stacks.json")
    assert [child[0] for child in flame_of(tmp_path).tree[3]] == [0]
