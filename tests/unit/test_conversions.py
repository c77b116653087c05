"""What the page on traces converts by hand is run on a few made-up rows, and what it writes can be read."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path

import pytest

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "bring-your-own-trace.md"
BLOCKS = {
    name: block
    for block in re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.S)
    for name in re.findall(r"\A# (.*)", block)
}
GAVEL = "reads throughputs.json, writes gavel_speeds.csv"
SIA = "reads workload.csv, writes sia.csv"
MILLION = "writes million.csv"
SPEEDS = {"v100": {"('encoder0', 1)": {"null": 2.5, "('encoder1', 1)": [0.7, 0.6]}, "('encoder0', 2)": {"null": 4.5}}}
WORKLOAD = "name,time,application,num_replicas,batch_size\ncifar10-0,107,cifar10,2,512\nbert-1,200,bert,1,64\n"


def test_every_block_of_the_page_is_tried_here() -> None:
    assert set(BLOCKS) == {GAVEL, SIA, MILLION}


def test_a_table_of_gavel_is_valid(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phasewise: Callable) -> None:
    monkeypatch.chdir(tmp_path)
    Path("throughputs.json").write_text(json.dumps(SPEEDS))
    exec(BLOCKS[GAVEL], {})
    assert Path("gavel_speeds.csv").read_text().splitlines()[1:] == ["encoder0,1,v100,2.5", "encoder0,2,v100,4.5"]
    said = phasewise("validate", "gavel_speeds.csv")
    assert said.code == 0, said.err


def test_a_workload_of_sia_is_read_by_the_command_shown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phasewise: Callable
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("workload.csv").write_text(WORKLOAD)
    exec(BLOCKS[SIA], {})
    (columns,) = re.findall(r"--trace sia\.csv --trace-format csv --map (\S+)", PAGE.read_text())
    said = phasewise("trace", "describe", "sia.csv", "--format", "csv", "--map", columns, "--json")
    assert said.code == 0, said.err
    figures = json.loads(said.out)
    assert (figures["jobs"], figures["gpu_s"]) == (2, 2 * 1_200.0 + 14_400.0)


def test_the_log_of_a_million_jobs_is_read_and_is_as_described(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, phasewise: Callable
) -> None:
    monkeypatch.chdir(tmp_path)
    few = 3_000
    exec(BLOCKS[MILLION].replace("1_000_000", str(few)), {})  # as many days: the jobs come so much further apart
    said = phasewise("trace", "describe", "million.csv", "--json")
    assert said.code == 0, said.err
    figures = json.loads(said.out)
    assert figures["jobs"] == few
    assert figures["gpu_s"] / few == pytest.approx(7.9 * 3_600 * 3.5, rel=0.15)
