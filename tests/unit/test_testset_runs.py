"""Backends on the test set, each in a process of its own: what hangs, dies or lies is one row, and others go on."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

from phasewise.bench.testset.errors import TestsetError
from phasewise.bench.testset.judging import Reached
from phasewise.bench.testset.link import Link
from phasewise.bench.testset.manifest import load
from phasewise.bench.testset.rows import Row
from phasewise.bench.testset.running import ABOUT, ROWS, Folder, run

pytestmark = pytest.mark.thorough

SET = load()
SUMS = SET.named("small/max_sum")
BACKENDS = Path(__file__).parents[1] / "fixtures" / "strange_backends.py"


def found(
    backend: str, *, mode: str = "cold", limit_s: float = 5.0, times: float = 20.0, margin_s: float = 30.0
) -> dict:
    with Link(f"{BACKENDS}:{backend}", times, margin_s) as link:
        return link.figures(SUMS.name, SUMS.tape, mode, limit_s)


def test_a_backend_of_ones_own_file_is_judged_though_it_prints() -> None:
    row = found("Sound", mode="warm")
    assert (row["tolerance"], row["failures"], row["problems"]) == ("1e-9", 0, SUMS.problems)
    assert row["objective"] == pytest.approx(SUMS.objective[-1], rel=1e-9)
    assert 0.0 < row["cpu_ms"] <= row["cpu_ms_max"]


def test_times_are_exact_although_the_process_has_a_limit_of_cpu_time() -> None:
    """Of a problem that takes half a millisecond or more, each, the least of many must not be 0."""
    said = subprocess.run([sys.executable, "-P", "-c", LIMITED], capture_output=True, text=True, check=True).stdout
    assert float(said) > 1e-4


LIMITED = """
import resource
from phasewise.bench.testset.worker import allow, used_s
allow(100.0)
spent = []
for _ in range(20):
    began_s = used_s()
    sum(range(100_000))
    spent.append(used_s() - began_s)
print(min(spent))
"""


def test_lines_that_come_together_are_all_read(tmp_path: Path) -> None:
    """A worker that is quick says several things before anybody looks; the last of them must not be waited for."""
    with Link("quick") as link:
        process = subprocess.Popen(["printf", r"one\ntwo\nthr"], stdout=subprocess.PIPE)
        assert process.wait() == 0
        assert [link.line(process, 5.0) for _ in range(3)] == [b"one", b"two", b""]
        assert process.stdout is not None
        process.stdout.close()


def test_a_backend_that_waits_for_ever_is_out_of_time() -> None:
    row = found("Sleeps", limit_s=0.1, times=0.01, margin_s=6.0)
    assert row["tolerance"] == "limit"
    assert "no end within" in row["message"]


def test_a_backend_that_uses_too_much_of_the_processor_is_ended_by_the_system() -> None:
    row = found("Spins", limit_s=0.5)
    assert row["tolerance"] == "limit"
    assert row["message"] == "problem 1: ended by the system; allowed 0.5 s of CPU"


def test_a_backend_that_dies_or_raises_failed_and_a_new_process_is_there_for_the_next() -> None:
    with Link(f"{BACKENDS}:Dies") as link:
        for _ in range(2):
            row = link.figures(SUMS.name, SUMS.tape, "cold", 5.0)
            assert row["tolerance"] == "failed"
            assert row["message"] == "loading and compiling: the worker ended (code 7): so long"
    row = found("Raises")
    assert (row["tolerance"], row["failures"], row["cpu_ms"] is None) == ("failed", SUMS.problems, False)
    assert "KeyError: 'a key'" in row["message"]


def test_a_backend_that_claims_an_optimum_that_is_none_is_wrong() -> None:
    row = found("Lies")
    assert (row["tolerance"], row["failures"]) == ("wrong", SUMS.problems)
    assert row["gap"] == pytest.approx(0.5)


def test_a_run_goes_on_where_it_was_and_measures_nothing_twice(tmp_path: Path) -> None:
    instances = [SUMS, SET.named("small/transport")]
    said: list[str] = []

    def once() -> tuple[int, list[Row]]:
        folder = Folder(tmp_path / "out", SET)
        count = run([f"{BACKENDS}:Sound"], instances, folder, None, said.append, tmp_path)
        return count, folder.rows()

    count, rows = once()
    assert count == 4
    assert [row.tolerance for row in rows] == [Reached.NINTH, Reached.NINTH, Reached.REFUSED, Reached.REFUSED]
    assert {row.backend for row in rows} == {f"{BACKENDS}:Sound"}
    assert once() == (0, rows)
    kept = (tmp_path / "out" / ROWS).read_bytes()
    (tmp_path / "out" / ROWS).write_bytes(kept[:-30])  # as a kill leaves it
    count, again = once()
    assert (count, again) == (1, rows)


def test_a_folder_of_another_commit_or_machine_is_refused(tmp_path: Path) -> None:
    Folder(tmp_path, SET)
    about = json.loads((tmp_path / ABOUT).read_text())
    (tmp_path / ABOUT).write_text(json.dumps({**about, "cpu": "another one"}))
    with pytest.raises(TestsetError, match=r"has results of another cpu \('another one', now .*choose another --out"):
        Folder(tmp_path, SET)
