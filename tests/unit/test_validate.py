"""`validate_file` finds out what a file is and tells every fault with its line."""

from __future__ import annotations

from pathlib import Path

import pytest

from phasewise.sched.validate import validate_file

GOOD_LINE = "A3C\tc\td\t-s\t0\t10\t1\t1\t-1\t0\n"


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.trace", GOOD_LINE),
        ("a.txt", GOOD_LINE),
        ("a.csv", "job_type,scale_factor,gpu_type,steps_per_second\nnet,1,new,1.5\n"),
        ("a.toml", "[cluster]\ngpus = { v100 = 1 }\n[workload]\njobs = 3\n"),
    ],
)
def test_a_right_file_of_each_kind_has_no_fault(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    assert validate_file(tmp_path / name) == []


@pytest.mark.parametrize(
    ("name", "content", "lines"),
    [
        ("a.trace", GOOD_LINE + "x\n" + GOOD_LINE + "\t\n", [2, 4]),
        ("a.csv", "job_type,scale_factor,gpu_type,steps_per_second\nnet,1,new,-1\nnet,0,new,1\n", [2, 3]),
        ("a.csv", "sn,cpu_milli\n", [1]),
        ("a.toml", "[stop]\nrounds = 0\n[cluster]\ngpus = { v100 = 1 }\n[workload]\njosb = 3\n", [2, 6]),
        ("a.toml", "[cluster]\ngpus = { v100 = 0 }\n[workload]\njobs = 3\n[stop]\nwindow = [3, 1]\n", [2, 6]),
        ("a.toml", "[cluster\n", [1]),
    ],
)
def test_every_fault_has_its_line(tmp_path: Path, name: str, content: str, lines: list[int]) -> None:
    (tmp_path / name).write_text(content)
    faults = validate_file(tmp_path / name)
    assert [fault.line for fault in faults] == lines
    assert [str(fault).split(":")[0] for fault in faults] == [f"line {line}" for line in lines]


def test_a_file_that_is_missing_or_a_folder_is_one_fault_without_a_line(tmp_path: Path) -> None:
    (missing,) = validate_file(tmp_path / "none.toml")
    (folder,) = validate_file(tmp_path)
    assert missing.line is folder.line is None
    assert "does not exist" in str(missing)
    assert "is a folder" in str(folder)


def test_a_trace_is_judged_by_the_table_that_is_named(tmp_path: Path) -> None:
    trace, table = tmp_path / "own.trace", tmp_path / "own.csv"
    trace.write_text(GOOD_LINE.replace("A3C", "encoder"))
    table.write_text("job_type,scale_factor,gpu_type,steps_per_second\nencoder,1,new,1.5\n")
    (unknown,) = validate_file(trace)
    assert "unknown job type 'encoder'" in str(unknown)
    assert validate_file(trace, table) == []
