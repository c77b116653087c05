"""The cases of the original simulators: all there, unchanged, small enough to be kept, and never silently none."""

from __future__ import annotations

import gzip
import hashlib
import subprocess
import sys
from pathlib import Path

import pytest
from oracle import BESIDE, FGD, GAVEL, KEPT, ROOT, names, read

MOST_BYTES = 2_000_000
LIST = "SHA256SUMS"
COUNTS = {"alloc": 61, "replay": 23, "results": 78}
COVERED = {  # of the kept recordings: every trace, and every policy that is replayed here
    "trace": {
        "po_prio4_30_s8", "po_single_20_s9", "st_multi2_16_s4", "st_multi_30_s2", "st_prio_30_s5", "st_single_20_s1",
        "st_single_50_s0",
    },
    "policy": {
        "allox", "fifo", "fifo_packed", "fifo_perf", "finish_time_fairness_perf", "gandiva", "isolated",
        "max_min_fairness", "max_min_fairness_packed", "max_min_fairness_perf", "max_min_fairness_water_filling_perf",
        "max_sum_throughput_normalized_by_cost_perf", "max_sum_throughput_perf", "min_total_duration_perf",
    },
}  # fmt: skip


def kept() -> dict[str, Path]:
    """Return every file of the cases by its name in the list."""
    found = {path.relative_to(KEPT).as_posix(): path for path in KEPT.rglob("*") if path.is_file()}
    return {name: path for name, path in found.items() if name not in {LIST, "README.md"}}


def test_every_case_of_the_list_is_there_and_unchanged_and_no_other() -> None:
    listed = dict(reversed(line.split(maxsplit=1)) for line in (KEPT / LIST).read_text().splitlines())
    assert {name: hashlib.sha256(path.read_bytes()).hexdigest() for name, path in kept().items()} == listed


def test_the_cases_take_less_than_two_megabytes() -> None:
    assert sum(path.stat().st_size for path in kept().values()) < MOST_BYTES


def test_there_are_as_many_cases_of_each_kind_as_the_tests_are_meant_to_see() -> None:
    assert {folder: len(names(GAVEL / folder)) for folder in COUNTS} == COUNTS
    assert len(read(FGD / "node_cases.json")["cases"]) == 400
    assert len(read(FGD / "small_clusters.json")["runs"]) == 12


def test_the_recorded_runs_are_of_every_trace_and_every_policy() -> None:
    parts = [name.split("--") for name in names(GAVEL / "replay")]
    assert {part[0] for part in parts} == COVERED["trace"]
    assert {part[3] for part in parts} == COVERED["policy"]


@pytest.mark.thorough
def test_a_test_of_cases_that_are_not_there_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "test_nothing.py").write_text(
        "import pytest\n@pytest.mark.parametrize('case', [])\ndef test_nothing(case: str) -> None: ...\n"
    )
    command = [sys.executable, "-P", "-m", "pytest", "-q", "-c", str(ROOT / "pyproject.toml"), str(tmp_path)]
    told = subprocess.run(command, capture_output=True, text=True, check=False, cwd=tmp_path)
    assert told.returncode == pytest.ExitCode.INTERRUPTED, told.stdout
    assert "Empty parameter set in 'test_nothing'" in told.stdout


@pytest.mark.nightly
def test_the_kept_cases_are_those_beside_the_checkout(shared_dir: Path) -> None:
    assert shared_dir == BESIDE
    for name, path in kept().items():
        whole = shared_dir / "oracle" / name
        packed = path.read_bytes()
        assert (whole if whole.exists() else whole.with_suffix("")).read_bytes() == (
            packed if whole.exists() else gzip.decompress(packed)
        ), name
