"""How the tests themselves are given out: what is set up at a price is set up once."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
from oracle import ROOT
from scheduling import IN_ONE_PROCESS, scope_of

NOTING = """
import os
import time
from pathlib import Path
import pytest

@pytest.mark.parametrize("index", range(12))
def test_a_worker_is_noted(index: int) -> None:
    with Path("{notes}").open("a") as file:
        file.write(os.environ["PYTEST_XDIST_WORKER"] + chr(10))
    time.sleep({lasts_s})  # so that one process cannot do all while the other starts
"""


def test_every_file_that_runs_in_one_process_is_there() -> None:
    assert [name for name in IN_ONE_PROCESS if not (ROOT / name).exists()] == []


def test_tests_share_a_scope_with_their_file_only_where_that_is_said() -> None:
    assert scope_of("tests/browser/test_a.py::test_b[c::d]") == "tests/browser/test_a.py"
    assert scope_of("tests/unit/test_stats.py::test_b[c]") == "tests/unit/test_stats.py::test_b[c]"


@pytest.mark.thorough
def test_two_processes_share_the_tests_of_a_plain_file_and_leave_a_dear_one_to_either(tmp_path: Path) -> None:
    for name in ("browser", "unit"):
        (tmp_path / "tests" / name).mkdir(parents=True)
        source = NOTING.format(notes=tmp_path / name, lasts_s=0.4 if name == "unit" else 0.0)
        (tmp_path / "tests" / name / f"test_{name}.py").write_text(source)
    (tmp_path / "tests" / "conftest.py").write_text("from scheduling import pytest_xdist_make_scheduler\n")
    (tmp_path / "pytest.ini").write_text(f"[pytest]\npythonpath = {ROOT / 'tests' / 'fixtures'}\n")
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-n", "2", "--dist", "loadscope", "tests"]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert "24 passed" in told.stdout, told.stdout + told.stderr
    workers = {name: (tmp_path / name).read_text().split() for name in ("browser", "unit")}
    assert len(set(workers["browser"])) == 1
    assert len(set(workers["unit"])) == 2
