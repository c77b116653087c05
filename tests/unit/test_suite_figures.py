"""The benchmark suite compares steps: a problem with a problem, however many of them a walk has."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

pytestmark = pytest.mark.thorough

# Walks of different lengths, on a clock of their own by which a problem takes 1 s or 112 s, and a pod 0.5 s, exactly.
SUITE = """
from phasewise.bench.subjects.api import Case

class Counting:
    now = 0.0
    def __init__(self, steps, each): self.steps, self.each = steps, each
    def prepare(self):
        def walk():
            Counting.now += self.steps * self.each
            return self.steps
        return walk
    def check(self, answer): assert answer == self.steps
    def counters(self, answer): return {"iterations": 3}
    def sizes(self, answer): return {"jobs": 5}

def clock(): return Counting.now

def case(name, steps, each, unit="problem", repeats=None):
    return Case(name, steps, unit, lambda: Counting(steps, each), repeats=repeats)

import phasewise.bench.subjects.catalogue as catalogue
CASES = {c.name: c for c in (
    case("solvers/toy/quick", 60, 1.0),
    case("solvers/toy/slow", 1, 112.0, repeats=1),
    case("placement/toy/fgd", 170, 0.5, "pod"),
)}
catalogue.catalogue = lambda: CASES
catalogue.left_out = dict
from phasewise.bench.suite import *
"""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("suite")
    folder.joinpath("walks.py").write_text(SUITE)
    return folder


def bench(folder: Path, *options: str) -> str:
    """Run the suite of cases whose steps take a known time, and return what it prints."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "-p",
        "walks",
        "-p",
        "no:cacheprovider",
        "-q",
        "--benchmark-timer=walks.clock",
    ]
    command += ["--benchmark-columns=median,iqr,iterations,rounds", "--benchmark-sort=fullname", *options, "walks.py"]
    done = subprocess.run(
        command, cwd=folder, capture_output=True, text=True, check=False, env={"PYTHONPATH": str(folder), "PATH": ""}
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def rows(printed: str, case: str) -> list[list[str]]:
    """Return what the table has of a case, a list a row: median, IQR, steps, walks; ratios left out."""
    lines = re.findall(rf"^test_case\[{case}\](.*)$", printed, re.MULTILINE)
    return [re.sub(r"\([^)]*\)", "", line).split() for line in lines]


def test_the_table_has_the_time_of_a_step_and_the_steps_beside_it(folder: Path) -> None:
    printed = bench(folder)
    assert rows(printed, "solvers/toy/quick") == [["1.0000", "0.0000", "60", "5"]]
    assert rows(printed, "solvers/toy/slow") == [["112.0000", "0.0000", "1", "1"]]
    assert "112.0000 (112.00)" in printed  # the ratio of a problem to a problem
    assert "'solvers/toy, CPU time a problem'" in printed
    assert "'placement/toy, CPU time a pod'" in printed


def test_the_statistics_in_the_json_are_of_a_step(folder: Path, tmp_path: Path) -> None:
    bench(folder, f"--benchmark-json={tmp_path / 'results.json'}")
    for case in json.loads((tmp_path / "results.json").read_text())["benchmarks"]:
        stats, each = case["stats"], {"quick": 1.0, "slow": 112.0, "fgd": 0.5}[case["param"].rpartition("/")[2]]
        assert stats["iterations"] == case["extra_info"]["steps"]
        assert {stats[name] for name in ("min", "max", "mean", "median", "q1", "q3")} == {each}
        assert stats["data"] == [each] * stats["rounds"]
        assert stats["ops"] == 1 / each


def test_a_comparison_has_steps_on_both_sides_also_with_a_record_of_whole_walks(folder: Path, tmp_path: Path) -> None:
    kept = f"--benchmark-storage={tmp_path}"
    bench(folder, kept, "--benchmark-save=first")
    (record,) = tmp_path.rglob("*_first.json")
    of_walks(record)
    printed = bench(folder, kept, "--benchmark-compare", "--benchmark-compare-fail=median:1%")
    assert [row[0] for row in rows(printed, "solvers/toy/quick")] == ["1.0000", "1.0000"]
    assert [row[0] for row in rows(printed, "solvers/toy/slow")] == ["112.0000", "112.0000"]


def of_walks(record: Path) -> None:
    """Write a record as it was when the statistics were those of a whole walk."""
    content: dict[str, Any] = json.loads(record.read_text())
    for case in content["benchmarks"]:
        stats, steps = case["stats"], case["extra_info"]["steps"]
        walks = [steps * stats["median"]] * stats["rounds"]
        stats.update({"iterations": 1, "min": walks[0], "max": walks[0], "mean": walks[0], "median": median(walks)})
        stats.update({"q1": walks[0], "q3": walks[0], "ops": 1 / walks[0], "total": sum(walks)})
    record.write_text(json.dumps(content))
