"""`phasewise inflate`: options, files, messages and exit codes."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import small_lists

from phasewise.bench.cli.boundary import Interruption
from phasewise.profiling.artefacts.tables import read_table
from phasewise.profiling.errors import OutputError
from phasewise.sched.inflation import records

FILES = ["curves.csv", "placements.parquet", "run.json"]
Run = Callable[..., Any]


@pytest.fixture
def lists(tmp_path: Path) -> tuple[str, ...]:
    nodes, pods = small_lists.write_lists(tmp_path)
    return ("--nodes", str(nodes), "--pods", str(pods))


@pytest.fixture
def inflate(phasewise: Run, lists: tuple[str, ...], tmp_path: Path) -> Run:
    """Return a function that fills the small cluster by FGD, into the folder `out`."""

    def run(*more: object) -> Any:
        return phasewise("inflate", *lists, "--placement", "fgd", "--out", tmp_path / "out", *more)

    return run


def test_three_files_are_written_and_the_last_figures_printed(inflate: Run, tmp_path: Path) -> None:
    said = inflate("-q")
    assert said.code == 0
    (warning,) = said.err.splitlines()  # of the one pod that asks for more memory than any such node has
    assert "arrivals are of pods that no node can ever take" in warning
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES
    for text in ("fgd, seed 42: 5 nodes, 23 GPUs", "arrived load", "fragmented, of idle GPUs", "clones)", " us"):
        assert text in said.out
    assert f"inflation: {tmp_path / 'out'}" in said.out


def test_the_curves_have_a_row_for_each_load(inflate: Run, tmp_path: Path) -> None:
    assert inflate("-q").code == 0
    rows = list(csv.DictReader((tmp_path / "out" / "curves.csv").read_text().splitlines()))
    assert list(rows[0]) == [
        "arrived_load_pct",
        "alloc_pct",
        "frag_pct_of_total",
        "frag_pct_of_idle",
        "occupied_nodes",
    ]
    assert [int(row["arrived_load_pct"]) for row in rows] == list(range(len(rows)))
    assert len(rows) >= 131


def test_the_placements_have_a_row_for_each_arrival(inflate: Run, tmp_path: Path) -> None:
    assert inflate("-q").code == 0
    rows = read_table(tmp_path / "out" / "placements.parquet").to_pylist()
    summary = json.loads((tmp_path / "out" / "run.json").read_text())["summary"]
    assert list(rows[0]) == ["event", "pod", "node", "gpus", "score"]
    assert [row["event"] for row in rows] == list(range(summary["arrived_pods"]))
    lost = [row for row in rows if not row["node"]]
    assert len(lost) == summary["failed_pods"] > 0
    assert {(row["gpus"], row["score"]) for row in lost} == {("", -1)}
    assert any(row["gpus"] == "0-1-2-3-4-5-6-7" for row in rows)
    assert all(row["node"].startswith("n-") and 0 <= row["score"] <= 100 for row in rows if row["node"])


def test_the_record_says_what_was_asked_and_what_came_out(inflate: Run, lists: tuple[str, ...], tmp_path: Path) -> None:
    assert inflate("-q", "--seed", 3, "--load", 0.9, "--bit-compatible").code == 0
    record = json.loads((tmp_path / "out" / "run.json").read_text())
    assert (record["schema"], record["experiment"], record["status"]) == (2, "inflate", "complete")
    assert record["setting"] == {
        "nodes": lists[1],
        "pods": lists[3],
        "placement": "fgd",
        "seed": 3,
        "order": None,
        "load": 0.9,
        "bit_compatible": True,
        "compiled": True,
    }
    assert record["environment"]["python"]
    assert record["summary"]["cpu_us_per_pod"] > 0.0


def test_the_same_command_gives_the_same_bytes(inflate: Run, tmp_path: Path) -> None:
    out = tmp_path / "out"
    assert inflate("-q").code == 0
    first = [(out / name).read_bytes() for name in FILES[:2]]
    assert inflate("-q", "--overwrite", "--numpy").code == 0
    assert [(out / name).read_bytes() for name in FILES[:2]] == first


def test_a_folder_that_holds_anything_is_refused(inflate: Run, tmp_path: Path) -> None:
    assert inflate("-q").code == 0
    kept = (tmp_path / "out" / "run.json").read_bytes()
    said = inflate("-q", "--seed", 9)
    assert said.code == 2
    assert "holds a run already" in said.err
    assert (tmp_path / "out" / "run.json").read_bytes() == kept
    (tmp_path / "out" / "run.json").unlink()
    assert "is not empty" in inflate("-q", "--overwrite").err


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--placement", "fdg"), "no placement 'fdg'; choose one of:"),
        (("--load", "0"), "load is 0; allowed: a finite number above 0"),
        (("--load", "many"), "--load"),
        (("--seed", "-1"), "--seed"),
        (("--order", "none.json"), "none.json: cannot read the arrival orders"),
        (("--nodes", "none.csv"), "none.csv"),
        (("--pods", "none.csv"), "none.csv: cannot read the pod list"),
    ],
)
def test_bad_usage_is_one_message_and_leaves_nothing(
    inflate: Run, tmp_path: Path, more: tuple[str, ...], message: str
) -> None:
    said = inflate(*more)
    assert said.code == 2
    assert message in said.err
    assert said.err.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_every_fault_of_a_list_is_told_with_file_and_line(inflate: Run, lists: tuple[str, ...], tmp_path: Path) -> None:
    with Path(lists[3]).open("a") as stream:
        stream.write("x,1,1,2,500,\ny,1,1,1,1001,\n")
    said = inflate()
    assert said.code == 2
    assert [line.rpartition("pods.csv:")[2][:4] for line in said.err.splitlines()] == ["27: ", "28: "]
    assert not (tmp_path / "out").exists()


def test_an_interruption_saves_what_happened(inflate: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Interruption, "asked", lambda _: True)
    said = inflate()
    assert said.code == 130
    assert f"interrupted: the results so far are saved in {tmp_path / 'out'}" in said.err
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "interrupted"
    assert sorted(path.name for path in (tmp_path / "out").iterdir()) == FILES


def test_a_file_that_cannot_be_written_fails_the_experiment(inflate: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(path: Path, _content: bytes) -> None:
        raise OutputError(f"cannot write {path}: No space left on device")

    monkeypatch.setattr(records, "write_atomically", full)
    said = inflate()
    assert said.code == 3
    assert "the experiment failed after" in said.err
    assert "No space left on device" in said.err


def test_a_report_of_the_folder_says_that_it_is_no_run(inflate: Run, phasewise: Run, tmp_path: Path) -> None:
    assert inflate("-q").code == 0
    said = phasewise("report", tmp_path / "out")
    assert said.code == 2
    assert "run.json" in said.err
    assert said.err.count("\n") == 1
