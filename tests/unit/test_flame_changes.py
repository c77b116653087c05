"""Two profiled runs compared by their sampled stacks: the table, the sentence, the tree, and where none can be made."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from synthetic_run import RunShape, write_run

from phasewise.profiling.stack_changes import stack_changes
from phasewise.profiling.stacks import Folded, write_folded
from phasewise.reports.compare import compare_runs
from phasewise.reports.flame_changes import FEWEST_ROWS, drawn, three_most
from phasewise.reports.html import render_page
from phasewise.reports.run_directory import load_run

FRAMES = ["phasewise.sched.engine:step", "phasewise.solvers.session:Solver.solve", "numpy:dot", "phasewise.sched:new"]
BEFORE = Folded(
    samples=1000,
    frames=FRAMES[:3],
    stacks=[[0], [0, 1], [0, 1, 2]],
    cpu_s=[1.2, 1.2, 1.6],
    wall_s=[1.2, 1.2, 1.6],
    tick_s=0.004,
    times=100,
)
AFTER = Folded(
    samples=1300,
    frames=FRAMES,
    stacks=[[0], [0, 1], [0, 1, 2], [0, 3]],
    cpu_s=[1.2, 1.2, 1.6, 1.2],
    wall_s=[1.2, 1.2, 1.6, 1.2],
    tick_s=0.004,
    times=100,
)


@pytest.fixture
def pair(tmp_path: Path) -> list[Path]:
    folders = [write_run(tmp_path / name, RunShape(rounds=60, jobs=30)) for name in ("old", "new")]
    for folder, folded in zip(folders, (BEFORE, AFTER), strict=True):
        write_folded(folded, folder / "stacks.json")
    return folders


def test_the_function_that_moved_is_the_first_row_and_is_told() -> None:
    changes = stack_changes([BEFORE], [AFTER])
    shown = drawn(changes, ("old", "new"), "new", "a round")
    row = shown.rows[0]
    assert (row.name, row.module, row.before_ms, row.movement) == ("new", "phasewise.sched", 0.0, "slower")
    assert row.after_ms == pytest.approx(12.0)
    assert row.low_ms is not None
    assert row.high_ms is not None
    assert row.low_ms < row.change_ms < row.high_ms
    assert shown.sentence.startswith("CPU time of a round that moved: new in phasewise.sched +12 ms (")
    assert len(shown.rows) == min(FEWEST_ROWS, 4)
    assert three_most(changes)[0].startswith("new in phasewise.sched +12 ms")
    assert "1\u202f000 samples of old, 1\u202f300 of new" in shown.note
    assert "at most 5%" in shown.note


def test_the_tree_has_both_times_the_interval_and_the_sign() -> None:
    shown = drawn(stack_changes([BEFORE], [AFTER]), ("old", "new"), "new", "a round")
    root, before, after, low, high, sign, (step,) = shown.tree
    assert (root, before, after) == (-1, 40.0, 52.0)
    assert low < 12.0 < high
    assert sign == 1
    below = {shown.frames[row[0]].rpartition(":")[2]: row for row in step[6]}
    assert below["new"][1:3] == [0.0, 12.0]
    assert below["new"][5] == 1
    assert below["Solver.solve"][5] == 0
    assert shown.payload()["names"] == ["old", "new"]


def test_two_profiled_runs_are_compared_by_function(pair: list[Path], phasewise: Callable[..., Any]) -> None:
    said = phasewise("compare", *map(str, pair))
    assert said.code == 0
    assert "functions" not in said.err
    assert "new in phasewise.sched" in said.out
    assert "CPU time of a round that moved: new in phasewise.sched +12 ms" in said.out
    told = json.loads(phasewise("compare", *map(str, pair), "--json").out)["functions"]["new"]
    assert told["functions"][0]["name"] == "new"
    assert told["functions"][0]["movement"] == "slower"
    assert told["absent"] == ""


def test_the_page_has_the_table_and_the_graph(pair: list[Path], phasewise: Callable[..., Any], tmp_path: Path) -> None:
    page = render_page([load_run(path) for path in pair], tmp_path)
    assert 'data-flame="changes"' in page
    assert "Differential flame graph, old and new" in page
    said = phasewise("compare", *map(str, pair), "--out", str(tmp_path / "both.html"))
    assert said.code == 0
    assert f"report: {tmp_path / 'both.html'}" in said.out
    assert 'data-flame="changes"' in (tmp_path / "both.html").read_text()


def test_runs_that_were_not_profiled_have_no_functions(pair: list[Path], tmp_path: Path) -> None:
    (pair[0] / "stacks.json").unlink()
    runs = [load_run(path) for path in pair]
    assert compare_runs(runs).functions == ()
    page = render_page(runs, tmp_path)
    assert "<code>phasewise profile</code> samples them" in page
    assert 'data-flame="changes"' not in page


def test_other_work_gets_no_verdict_and_broken_stacks_are_named(pair: list[Path], tmp_path: Path) -> None:
    (pair[1] / "stacks.json").write_text("{}")
    (item,) = compare_runs([load_run(path) for path in pair]).functions
    assert "stacks.json: the sampled call stacks cannot be read" in item.absent
    other = write_run(tmp_path / "other", RunShape(rounds=60, jobs=30, scenario={"seed": 5}))
    write_folded(AFTER, other / "stacks.json")
    (item,) = compare_runs([load_run(pair[0]), load_run(other)]).functions
    assert item.absent == "No verdict: the times are not comparable."


def test_a_run_of_an_earlier_version_has_to_be_profiled_again(pair: list[Path]) -> None:
    fields = {name: getattr(BEFORE, name) for name in BEFORE.__struct_fields__}
    write_folded(Folded(**{**fields, "times": 1}), pair[0] / "stacks.json")
    (item,) = compare_runs([load_run(path) for path in pair]).functions
    assert item.absent == "old was sampled without its rounds: profile it again."
