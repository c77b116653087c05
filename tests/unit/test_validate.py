"""`validate_file` finds out what a file is and tells every fault with its line."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from trace_samples import HELIOS, PAI, PHILLY, SACCT, SAMPLES, SEREN, SHOCKWAVE, SWF

from phasewise.sched.validate import validate_file
from phasewise.sched.workload.importing.importer import import_trace

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


# -- traces of other formats -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", SAMPLES)
def test_a_right_trace_of_every_format_has_no_fault(name: str, tmp_path: Path, phasewise: Callable) -> None:
    (tmp_path / "log").write_text(SAMPLES[name].text)
    said = phasewise("validate", tmp_path / "log", "--trace-format", name, *SAMPLES[name].options)
    assert (said.code, said.out, said.err) == (0, f"{tmp_path / 'log'}: no fault found\n", "")


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        (HELIOS.replace("vcA,8,", "vcA,many,").replace("2020-06-09 18:41:02,2020", "yesterday,2020"), [2, 3]),
        (SEREN.replace("03-01 00:02:10+08:00,100,30,0.0", "03-01 00:02:10+00:00,100,30,0.0"), [3]),
        (HELIOS[:-40], [6]),
        (PAI.replace("100.0,V100", "much,V100").replace("job6,worker,3.0", "job6,worker,-3"), [1, 6]),
        (PHILLY.replace('"2017-10-07 00:10:00"', '"noon"').replace('"gpus": ["gpu0"]', '"gpus": 1', 1), [2]),
        (PHILLY[:300], [17]),
        (SWF.replace("60 120 1800", "60 120 much"), [4]),
        (SACCT.replace("2026-01-05T10:05:00", "soon"), [3]),
        (SHOCKWAVE.replace("\t7000\t1\t", "\t7000\tone\t"), [1]),
    ],
    ids=["helios", "zones", "cut off", "pai", "philly", "cut off JSON", "swf", "sacct", "shockwave"],
)
def test_every_fault_of_a_trace_of_another_format_has_its_line(text: str, lines: list[int], tmp_path: Path) -> None:
    (tmp_path / "log").write_text(text)
    faults = validate_file(tmp_path / "log")
    assert [fault.line for fault in faults] == lines, faults
    assert not any(str(tmp_path) in fault.message.split(":")[0] for fault in faults)


def test_a_trace_of_which_no_job_is_left_to_run_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(HELIOS.replace("vcA,8,", "vcA,0,").replace("vcA,1,", "vcA,0,"))
    (fault,) = validate_file(tmp_path / "log.csv")
    assert "of 5 rows no job is left to run (3: it needs no GPU" in fault.message


def test_a_converted_trace_is_judged_and_another_parquet_file_is_none(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text(HELIOS)
    store = import_trace(tmp_path / "log.csv", target=tmp_path / "log.parquet")
    assert validate_file(tmp_path / "log.parquet") == []
    unordered = store.block(0).take([1, 0])
    pq.write_table(unordered.drop_columns(["gpus"]), tmp_path / "other.parquet")
    assert "a Parquet file" in validate_file(tmp_path / "other.parquet")[0].message


def test_a_format_that_is_named_wins_and_an_unknown_one_is_a_fault(tmp_path: Path, phasewise: Callable) -> None:
    (tmp_path / "log.csv").write_text(HELIOS)
    for name, words in (("philly", "not a trace of format philly; it seems to be helios"), ("hellios", "did you mean")):
        said = phasewise("validate", tmp_path / "log.csv", "--trace-format", name)
        assert said.code == 2
        assert words in said.err
        assert said.err.count("\n") == 1


@pytest.mark.parametrize(
    ("text", "lines"),
    [
        ("machineId,number of GPUs,single GPU mem\nm1,2,12GB\nm2,eight,24GB\n", [3]),
        ("gpu_model,gpu_capacity_num,cpu_num,node_name\nA10,1,128,0\nA10,1\nH800,8,192,2\n", [3]),
        ("be06,T4,96,512,2\nbe07,,96,512,2\n", [2]),
        ("be06,T4,96,512,2\n", []),
    ],
)
def test_every_fault_of_a_node_list_of_a_public_trace_has_its_line(text: str, lines: list[int], tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text(text)
    assert [fault.line for fault in validate_file(tmp_path / "nodes.csv")] == lines
