"""Studies: what is missing is run, whatever is there already, and a table says what became of every point."""

from __future__ import annotations

import csv
import json
import shutil
import sys
import tomllib
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from small_studies import HEAD, Here, made, study

from phasewise.bench.cli import studying
from phasewise.bench.cli.main import main
from phasewise.bench.study.errors import StudyError
from phasewise.bench.study.executors.api import Callbacks
from phasewise.bench.study.folder import StudyFolder
from phasewise.bench.study.perform import perform
from phasewise.bench.study.points import point_hash, points_of
from phasewise.bench.study.records import read_attempt
from phasewise.bench.study.status import status_record
from phasewise.bench.study.study import run_study
from phasewise.bench.study.table import columns_of
from phasewise.sched.version import RULES

SHORT = "[set]\nworkload.jobs = 2\n"
SEEDS = SHORT + '[grid]\nseed = "0:2"\n'
TOO_LITTLE = "[limits]\nmemory_mib = 1\n"  # of which the process holds more after a few rounds


def statuses(states: list) -> list[str]:
    return [state.status for state in states]


# -- what is there and what is missing -------------------------------------------------------------------------------


def test_a_study_leaves_a_run_directory_for_every_point_and_its_own_files(tmp_path: Path) -> None:
    states, did = made(tmp_path / "it", study(tmp_path, SEEDS))
    assert statuses(states) == ["complete", "complete"]
    assert all(state.done for state in states)
    for point in did:
        run = tmp_path / "it" / "points" / point.name
        record = json.loads((run / "run.json").read_bytes())
        assert point_hash(record["scenario"]) == run.name == point.name
        assert record["status"] == "complete"
    assert tomllib.loads((tmp_path / "it" / "study.toml").read_text())["grid"] == {"seed": [0, 1]}
    assert pq.read_table(tmp_path / "it" / "table.parquet").num_rows == 2
    page = (tmp_path / "it" / "index.html").read_text()
    assert all(f"points/{point.name}/run.json" in page for point in did)


def test_what_is_done_is_not_run_again_and_more_seeds_run_alone(tmp_path: Path) -> None:
    made(tmp_path / "it", study(tmp_path, SEEDS))
    assert made(tmp_path / "it", study(tmp_path, SEEDS))[1] == []
    states, did = made(tmp_path / "it", study(tmp_path, SHORT + '[grid]\nseed = "0:3"\n'))
    assert [point.overrides for point in did] == [{"seed": 2}]
    assert len(states) == 3


def test_results_from_elsewhere_count_once_they_lie_there(tmp_path: Path) -> None:
    made(tmp_path / "laptop", study(tmp_path, SHORT + "[grid]\nseed = [0]\n"))
    made(tmp_path / "cluster", study(tmp_path, SHORT + "[grid]\nseed = [1]\n"))
    shutil.copytree(tmp_path / "cluster" / "points", tmp_path / "laptop" / "points", dirs_exist_ok=True)
    for run in (tmp_path / "laptop" / "points").iterdir():
        (run / "point.json").unlink()  # plain run directories count as well
    states, did = made(tmp_path / "laptop", study(tmp_path, SEEDS))
    assert (did, statuses(states)) == ([], ["complete", "complete"])


@pytest.mark.parametrize("spoilt", ["another run", "other rules", "half a file", "interrupted", "running"])
def test_what_is_no_end_of_this_point_is_run_again(tmp_path: Path, spoilt: str) -> None:
    definition = study(tmp_path, SHORT + "[grid]\nseed = [0]\n")
    _, (point,) = made(tmp_path / "it", definition)
    run = tmp_path / "it" / "points" / point.name
    record, attempt = ((run / name).read_text() for name in ("run.json", "point.json"))
    match spoilt:
        case "another run":
            (run / "run.json").write_text(record.replace('"seed": 0', '"seed": 1'))
        case "other rules":
            (run / "point.json").write_text(attempt.replace(f'"rules": {RULES}', f'"rules": {RULES + 1}'))
        case "half a file":
            (run / "run.json").write_text(record[:100])
        case "interrupted":
            (run / "run.json").write_text(record.replace('"status": "complete"', '"status": "interrupted"'))
        case "running":
            (run / "point.json").write_text(attempt.replace('"complete"', '"running"'))
    assert made(tmp_path / "it", definition)[1] == [point]
    assert read_attempt(run).attempts == 2


def test_a_failed_point_stops_no_other_and_is_run_again(tmp_path: Path) -> None:
    text = "[set]\nworkload.jobs = 2\n[grid]\nseed = [0]\nlimits.memory_mib = [1, 100000]\ntiming.round_s = [60, 90]\n"
    text += "[[exclude]]\nlimits.memory_mib = 1\ntiming.round_s = 90\n"
    text += "[[exclude]]\nlimits.memory_mib = 100000\ntiming.round_s = 60\n"
    definition = study(tmp_path, text)
    states, did = made(tmp_path / "it", definition)
    assert statuses(states) == ["failed", "complete"]
    assert len(did) == 2
    assert "limits.memory_mib = 1" in states[0].message
    assert states[0].attempt.cause == "memory"
    assert made(tmp_path / "it", definition)[1] == did[:1]


def test_a_point_that_a_limit_stopped_is_done_until_the_limit_is_wider(tmp_path: Path) -> None:
    def limited(limit: str) -> tuple[list, list]:
        return made(tmp_path / "it", study(tmp_path, f"[grid]\nseed = [0]\n[limits]\n{limit}\n"))

    (state,), did = limited("sim_time_s = 5000")
    assert (state.status, state.message, len(did)) == ("stopped", "sim_time", 1)
    assert limited("sim_time_s = 4000")[1] == []
    (state,), did = limited("sim_time_s = 9000")
    assert (state.summary["sim_time_s"] >= 9000, len(did)) == (True, 1)
    (state,), did = limited("")
    assert (state.status, len(did)) == ("complete", 1)


def test_a_limit_of_cpu_time_stops_a_point_between_two_rounds(tmp_path: Path) -> None:
    (state,), _ = made(tmp_path / "it", study(tmp_path, "[grid]\nseed = [0]\n[limits]\ncpu_s = 1e-6\n"))
    assert (state.status, state.message, state.summary["rounds"]) == ("stopped", "cpu_time", 1)
    (state,), _ = made(tmp_path / "it", study(tmp_path, "[grid]\nseed = [0]\n"))
    assert state.status == "complete"


def test_an_interruption_leaves_a_table_and_the_same_call_goes_on(tmp_path: Path) -> None:
    definition, folder, here = study(tmp_path, SEEDS), StudyFolder(tmp_path / "it"), Here()
    with pytest.raises(KeyboardInterrupt):
        run_study(definition, folder, here, lambda _: Callbacks(interrupted=lambda: True))
    (first,) = [state for state in folder.states(folder.points()) if state.status != "missing"]
    assert (first.status, first.done) == ("interrupted", False)
    assert sorted(pq.read_table(folder.path / "table.parquet")["status"].to_pylist()) == ["interrupted", "missing"]
    states, did = made(folder.path, definition)
    assert (statuses(states), len(did)) == (["complete", "complete"], 2)


def test_a_folder_is_one_commands_and_not_that_of_something_else(tmp_path: Path) -> None:
    definition, folder = study(tmp_path, SEEDS), StudyFolder(tmp_path / "it")
    with folder.held(), pytest.raises(StudyError, match="is taken"):
        made(folder.path, definition)
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.tex").write_text("")
    with pytest.raises(StudyError, match="holds no study"):
        made(tmp_path / "other", definition)
    with pytest.raises(StudyError, match="is a file"):
        made(tmp_path / "small.toml", definition)


# -- what a point writes ---------------------------------------------------------------------------------------------


def test_a_point_writes_little_unless_the_study_asks_for_more(tmp_path: Path) -> None:
    made(tmp_path / "lean", study(tmp_path, SEEDS))
    (lean, _) = sorted((tmp_path / "lean" / "points").iterdir())
    assert {entry.name for entry in lean.iterdir()} == {
        "run.json", "point.json", "jobs.parquet", "rounds.parquet", "placements.parquet",
    }  # fmt: skip
    more = "[set]\nworkload.jobs = 2\noutput.lines = 'all'\noutput.placements = true\noutput.rounds_every = 1\n"
    made(tmp_path / "full", study(tmp_path, more + "[grid]\nseed = [0, 1]\n"))
    full = tmp_path / "full" / "points" / lean.name
    assert (full / "lines.log").stat().st_size > 1000
    assert (
        pq.read_table(full / "placements.parquet").num_rows > pq.read_table(lean / "placements.parquet").num_rows == 0
    )
    rows = [pq.read_table(run / "rounds.parquet").num_rows for run in (lean, full)]
    assert rows[0] == -(-rows[1] // 100)


# -- table and status ------------------------------------------------------------------------------------------------


def test_the_table_has_overrides_status_and_every_number_of_the_summary(tmp_path: Path) -> None:
    text = SHORT + '[grid]\nseed = [0, 1]\nstop.window = ["none", "0:1"]\n'
    states, _ = made(tmp_path / "it", study(tmp_path, text))
    table = pq.read_table(tmp_path / "it" / "table.parquet").to_pydict()
    assert list(table)[:4] == ["point", "seed", "stop.window", "status"]
    assert table == columns_of(states)
    assert table["stop.window"] == ["none", "0:1"] * 2
    for row, state in enumerate(states):
        summary = json.loads((tmp_path / "it" / "points" / state.point.name / "run.json").read_bytes())["summary"]
        assert table["point"][row] == state.point.name
        assert table["avg_jct_s"][row] == summary["avg_jct_s"]
        assert table["rho.mean"][row] == summary["rho"]["mean"]
        assert table["phases.lp_solve.cpu_s"][row] == summary["phases"]["lp_solve"]["cpu_s"]
        assert table["cpu_s"][row] == summary["cpu_s"] <= table["point_cpu_s"][row]
        assert table["censored"][row] is summary["censored"]
    assert table["message"] == [""] * 4


def test_the_status_counts_states_and_names_what_failed(tmp_path: Path) -> None:
    made(tmp_path / "it", study(tmp_path, TOO_LITTLE + '[grid]\nseed = "0:1"\n'))
    folder = StudyFolder(tmp_path / "it")
    record = status_record("small", folder.states(folder.points()))
    assert (record["points"], record["done"], record["counts"]) == (1, 0, {"failed": 1})
    assert [(each["overrides"], each["status"]) for each in record["failed"]] == [({"seed": 0}, "failed")]
    assert "memory" in record["failed"][0]["message"]


# -- the command -----------------------------------------------------------------------------------------------------


def called(*words: object) -> int:
    with pytest.raises(SystemExit) as end:
        main([str(word) for word in words])
    return end.value.code


def test_the_command_lists_points_without_writing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    study(tmp_path, SEEDS)
    assert called("study", "run", tmp_path / "small.toml", "--dry-run", "--out", tmp_path / "it") == 0
    said = capsys.readouterr().out
    assert said.count("to do") == 3
    assert "2 points, 2 to do" in said
    assert not (tmp_path / "it").exists()


def test_bad_input_is_one_line_and_exit_code_2(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for words in (["run", "gavel-fig8"], ["status", tmp_path], ["table", tmp_path / "none"], ["run", "toy.toml"]):
        assert called("study", *words) == 2
        said = capsys.readouterr()
        assert (said.out, said.err.count("\n")) == ("", 1), said.err
        assert said.err.startswith("phasewise: error: "), said.err


def test_status_and_table_of_a_study_from_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    states, _ = made(tmp_path / "it", study(tmp_path, SEEDS))
    assert called("study", "status", tmp_path / "it", "--json") == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"complete": 2}
    assert called("study", "status", tmp_path / "it", "--watch") == 0
    assert "2 of 2 points done (2 complete)" in capsys.readouterr().out
    assert called("study", "table", tmp_path / "it", "--csv", tmp_path / "it.csv") == 0
    with (tmp_path / "it.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["point"] for row in rows] == [state.point.name for state in states]
    assert [float(row["avg_jct_s"]) for row in rows] == [state.summary["avg_jct_s"] for state in states]


def test_an_executor_that_is_not_installed_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    study(tmp_path, SEEDS)
    monkeypatch.delitem(sys.modules, "phasewise.bench.study.executors.slurm", raising=False)
    monkeypatch.setitem(sys.modules, "submitit", None)
    assert called("study", "run", tmp_path / "small.toml", "--executor", "slurm", "--out", tmp_path / "it") == 2
    assert "pip install 'phasewise[slurm]'" in capsys.readouterr().err
    assert not (tmp_path / "it").exists()


def test_the_built_in_studies_are_listed(capsys: pytest.CaptureFixture[str]) -> None:
    assert called("study", "list", "--json") == 0
    listed = {each["name"]: each for each in json.loads(capsys.readouterr().out)}
    assert {"gavel-fig9", "gavel-fig10", "gavel-fig11", "fgd-fig7", "fgd-fig9", "alibaba-load"} <= set(listed)
    assert (listed["gavel-fig9"]["points"], listed["fgd-fig7"]["kind"]) == (108, "inflate")


def test_who_watches_sees_every_change_until_all_is_done(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    definition, folder = study(tmp_path, SEEDS), StudyFolder(tmp_path / "it")
    points = points_of(definition)
    left = list(points)

    def next_point(seconds: float) -> None:
        if seconds == studying.WATCH_S:  # others wait, too
            point = left.pop(0)
            perform(point, folder.run_path(point.name), lambda: False)

    with folder.held():
        folder.write_plan(definition, points)
        monkeypatch.setattr(studying.time, "sleep", next_point)
        assert called("study", "status", tmp_path / "it", "--watch") == 0
    said = [line.partition(" (")[0] for line in capsys.readouterr().out.splitlines()]
    assert said == [f"small: {count} of 2 points done" for count in (0, 1, 2)]


# -- processes -------------------------------------------------------------------------------------------------------


@pytest.mark.thorough
def test_a_study_in_processes_comes_to_what_it_comes_to_here(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    definition = study(tmp_path, SHORT + '[grid]\npolicy.name = ["max_min_fairness_perf", "isolated"]\nseed = "0:2"\n')
    here, _ = made(tmp_path / "here", definition)
    words = ["study", "run", tmp_path / "small.toml", "--out", tmp_path / "it", "--workers", "2", "--json", "-q"]
    assert called(*words) == 0
    assert json.loads(capsys.readouterr().out)["counts"] == {"complete": 4}
    there = StudyFolder(tmp_path / "it").states([state.point for state in here])
    assert [state.summary["avg_jct_s"] for state in there] == [state.summary["avg_jct_s"] for state in here]
    assert not (tmp_path / "it" / "workers.log").exists()


def test_the_head_of_a_small_study_names_a_scenario() -> None:
    assert tomllib.loads(HEAD)["study"]["scenario"] == "toy"
