"""What a run directory has to be for a run to go on in it, and what is said where it is not."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from broken_runs import interrupted, require_the_same, resumed
from oracle import GAVEL, names, read
from oracle import replay as recording_of
from small_runs import Job, trace_file, trace_scenario

from phasewise.profiling import environment
from phasewise.sched import basis
from phasewise.sched.errors import ResumeError
from phasewise.sched.recording.checkpoint import Checkpoints, read_checkpoint
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import Callbacks, simulate

EVERY = 5
SMALL = {
    "policy.name": "fifo",
    "workload.jobs": 6,
    "workload.rate_per_hour": 6.0,
    "stop.window": "none",
    "stop.rounds": 24,
    "output.checkpoint_rounds": EVERY,
    "output.trace": False,
}
BAD_INPUT = 2


def scenario_with(**changed: object) -> Scenario:
    return load_scenario("toy", {**SMALL, **{key.replace("__", "."): value for key, value in changed.items()}})


def cut_short(out: Path, **changed: object) -> Path:
    """Leave a run that was interrupted after 13 rounds, with checkpoints of 5 and of 10."""
    interrupted(scenario_with(**changed), out, 13)
    return out


def said_of(scenario: Scenario, out: Path) -> tuple[list[str], list[str]]:
    """Go on; return what was told, and what was warned of."""
    told: list[str] = []
    warned: list[str] = []
    resumed(scenario, out, callbacks=Callbacks(notify=told.append, warn=warned.append))
    return told, warned


def record(out: Path) -> dict[str, Any]:
    return json.loads((out / "run.json").read_bytes())


def contents(out: Path) -> dict[str, tuple[bytes, int]]:
    """Return every file of a folder, with its bytes and when it was last written to."""
    files = [path for path in out.rglob("*") if path.is_file()]
    return {str(path.relative_to(out)): (path.read_bytes(), path.stat().st_mtime_ns) for path in files}


# -- from where it goes on -------------------------------------------------------------------------------------------


def test_a_run_goes_on_from_its_last_checkpoint_and_says_so(tmp_path: Path) -> None:
    out, whole = cut_short(tmp_path / "cut"), tmp_path / "whole"
    simulate(scenario_with(), whole)
    told, warned = said_of(scenario_with(), out)
    assert (told, warned) == ([f"resumed at round 10, from a checkpoint in {out}"], [])
    require_the_same(out, whole)
    assert record(out)["resumed"] == [{"round": 10, "changed": {}}]
    assert record(whole)["resumed"] == []


def test_no_folder_and_a_run_that_never_began_are_begun(tmp_path: Path) -> None:
    assert said_of(scenario_with(), tmp_path / "new") == ([], [])
    assert record(tmp_path / "new")["status"] == "stopped"
    (tmp_path / "killed").mkdir()
    (tmp_path / "killed" / "lines.log").write_text("EVENT {")
    assert said_of(scenario_with(), tmp_path / "killed") == ([], [])
    require_the_same(tmp_path / "killed", tmp_path / "new")


@pytest.mark.parametrize("every", [0, 20])
def test_a_run_without_a_checkpoint_begins_anew_and_says_so(every: int, tmp_path: Path) -> None:
    out = cut_short(tmp_path, output__checkpoint_rounds=every)
    scenario = scenario_with(output__checkpoint_rounds=every)
    told, (warned,) = said_of(scenario, out)
    assert told == []
    assert warned.startswith(f"there is no checkpoint in {out}")
    assert ("output.checkpoint_rounds is 0" in warned) == (every == 0)
    assert record(out)["resumed"] == []
    assert record(out)["summary"]["rounds"] == 24


def test_a_run_that_is_over_is_left_as_it_is(tmp_path: Path) -> None:
    scenario = scenario_with(stop__rounds=None)
    whole = simulate(scenario, tmp_path)
    assert whole.status == "complete"
    assert not (tmp_path / "checkpoint").exists()
    before = contents(tmp_path)
    told: list[str] = []
    again = resumed(scenario, tmp_path, callbacks=Callbacks(notify=told.append))
    assert contents(tmp_path) == before
    assert (again.status, again.summary) == ("complete", record(tmp_path)["summary"])
    assert told == [f"the run in {tmp_path} is over (complete): nothing is written"]


def test_a_run_that_came_to_its_limit_is_over_until_the_limit_is_raised(tmp_path: Path) -> None:
    out = tmp_path / "out"
    simulate(scenario_with(), out)
    before = contents(out)
    assert "nothing is written" in said_of(scenario_with(), out)[0][0]
    with pytest.raises(
        ResumeError, match=r"stop\.rounds is 20, but the run in .* has come to 24; allowed: that or more"
    ):
        resumed(scenario_with(stop__rounds=20), out)
    assert contents(out) == before
    said_of(scenario_with(stop__rounds=31), out)
    simulate(scenario_with(stop__rounds=31), tmp_path / "whole")
    require_the_same(out, tmp_path / "whole")


def test_a_limit_of_simulated_time_can_be_raised_and_not_lowered(tmp_path: Path) -> None:
    out = cut_short(tmp_path / "out", stop__sim_time_s=1e6)
    with pytest.raises(ResumeError, match=r"stop\.sim_time_s is 100, but the run in .* has come to"):
        resumed(scenario_with(stop__sim_time_s=100.0), out)
    resumed(scenario_with(stop__sim_time_s=2e6), out)
    simulate(scenario_with(stop__sim_time_s=2e6), tmp_path / "whole")
    require_the_same(out, tmp_path / "whole")


def test_a_limit_of_wall_time_begins_anew_each_time(tmp_path: Path) -> None:
    at_once = scenario_with(stop__wall_s=1e-9)
    simulate(at_once, tmp_path / "out")
    assert record(tmp_path / "out")["summary"]["rounds"] == 1
    in_time = scenario_with(stop__wall_s=1e6)
    resumed(in_time, tmp_path / "out")
    simulate(in_time, tmp_path / "whole")
    require_the_same(tmp_path / "out", tmp_path / "whole")


def test_a_run_that_was_killed_between_its_last_checkpoint_and_its_end_runs_no_further_round(tmp_path: Path) -> None:
    out, scenario = tmp_path / "out", scenario_with(stop__rounds=10)
    interrupted(scenario_with(), out, 10)  # at the barrier: what the other run has when it is killed before its end
    resumed(scenario, out)
    simulate(scenario, tmp_path / "whole")
    require_the_same(out, tmp_path / "whole")
    assert record(out)["summary"]["rounds"] == 10


def test_the_files_of_a_run_that_begins_never_meet_the_checkpoint_of_another(tmp_path: Path) -> None:
    cut_short(tmp_path)
    scenario = scenario_with(seed=8, output__checkpoint_rounds=50)
    interrupted_at_once = iter([True])
    with pytest.raises(KeyboardInterrupt):
        simulate(scenario, tmp_path, callbacks=Callbacks(interrupted=lambda: next(interrupted_at_once)))
    assert not (tmp_path / "checkpoint").exists()


def test_costs_add_up_over_the_parts(tmp_path: Path) -> None:
    out = cut_short(tmp_path)
    checkpoint = read_checkpoint(out / "checkpoint" / "last.npz")
    before = checkpoint.recorder
    resumed(scenario_with(), out)
    summary = record(out)["summary"]
    accounts, wall_ns = (np.asarray(before[f"totals.phases.{part}"]).tolist() for part in ("accounts", "wall_ns"))
    for name in [name for name, each_ns in zip(accounts, wall_ns, strict=True) if each_ns]:
        assert summary["phases"][name]["wall_s"] > wall_ns[accounts.index(name)] / 1e9
    assert summary["phases"]["arrivals"]["calls"] == 24
    assert summary["wall_s"] > sum(wall_ns) / 1e9


def test_profile_lines_add_up_over_the_parts(tmp_path: Path) -> None:
    lines = {"output__profile_every": 7, "stop__rounds": 21}
    resumed(scenario_with(**lines), cut_short(tmp_path, **lines))
    told = [line.partition(" ")[2] for line in (tmp_path / "lines.log").read_text().splitlines() if line[:3] == "PRO"]
    *every, last = (json.loads(line)["total_s"] for line in told)
    assert len(every) == 3
    assert sum(every) == pytest.approx(last)


def test_a_trace_is_gone_on_with_by_its_content_wherever_it_lies(tmp_path: Path) -> None:
    jobs = [Job(7200.0 * (1 + k % 5), 400.0 * k, 1 + k % 2) for k in range(9)]
    made = {"output.checkpoint_rounds": EVERY}
    scenario = trace_scenario(tmp_path, jobs, {"v100": 2, "k80": 3}, made)
    out, whole = tmp_path / "out", tmp_path / "whole"
    interrupted(scenario, out, 8)
    simulate(scenario, whole)
    moved = tmp_path / "moved.trace"
    shutil.move(tmp_path / "jobs.trace", moved)
    elsewhere = msgspec.structs.replace(scenario.workload, trace=str(moved))
    trace_file(tmp_path, jobs[:-1])
    before = contents(out)
    with pytest.raises(ResumeError, match=r"the content of the file that workload\.trace names has changed"):
        resumed(scenario, out)
    assert contents(out) == before
    resumed(msgspec.structs.replace(scenario, workload=elsewhere), out)
    assert record(out)["summary"]["avg_jct_s"] == record(whole)["summary"]["avg_jct_s"]
    assert record(out)["scenario"]["workload"]["trace"] == str(moved)


@pytest.mark.thorough
def test_recorded_allocations_are_gone_on_with(tmp_path: Path) -> None:
    name = names(GAVEL / "replay")[0]
    trace, *_ = name.split("--")
    result = read(GAVEL / "results" / f"{name}.json")
    scenario = load_scenario(
        "philly",
        {
            "workload.trace": str(GAVEL / "traces" / f"{trace}.trace"),
            "cluster.gpus": result["cluster_spec"],
            "cluster.gpus_per_node": result["num_gpus_per_server"],
            "recorded.allocations": str(recording_of(name)),
            "policy.name": "recorded",
            "timing.preset": "gavel",
            "seed": result["seed"],
            "output.checkpoint_rounds": 40,
            "output.trace": False,
        },
    )
    simulate(scenario, tmp_path / "whole")
    for rounds in (60, 100, 45):
        interrupted(scenario, tmp_path / "out", rounds)
    resumed(scenario, tmp_path / "out")
    require_the_same(tmp_path / "out", tmp_path / "whole")


# -- what does not fit -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "told"),
    [
        ({"seed": 8}, "seed is 8, was 5"),
        ({"policy__name": "fifo_perf"}, 'policy.name is "fifo_perf", was "fifo"'),
        ({"output__checkpoint_rounds": 6}, "output.checkpoint_rounds is 6, was 5"),
        ({"cluster__gpus": "v100=2"}, "cluster.gpus.k80 is not set, was "),
    ],
)
def test_another_scenario_is_refused_with_what_differs(changed: dict[str, object], told: str, tmp_path: Path) -> None:
    out = cut_short(tmp_path)
    before = contents(out)
    with pytest.raises(ResumeError) as refused:
        resumed(scenario_with(**changed), out)
    assert told in str(refused.value)
    assert str(refused.value).startswith(f"{out} holds another run: ")
    assert contents(out) == before


@pytest.mark.parametrize("over", [False, True])
def test_other_rules_are_refused_whether_or_not_the_run_is_over(
    over: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if over:
        simulate(scenario_with(stop__rounds=None), tmp_path)
    else:
        cut_short(tmp_path, stop__rounds=None)
    monkeypatch.setattr(basis, "rules", lambda: "0" * 64)
    with pytest.raises(ResumeError, match=r"the rules are of version .* \(sources 0{12}\), were of version"):
        resumed(scenario_with(stop__rounds=None), tmp_path)


def test_the_rules_change_with_any_source_and_table_that_decides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(basis, "DECIDING", (tmp_path,))
    found = set()
    for name, content in (("a.py", "x = 1"), ("a.py", "x = 2"), ("b.csv", "1,2"), ("b.csv", "1,3"), ("b.txt", "-")):
        (tmp_path / name).write_text(content)
        basis.rules.cache_clear()
        found.add(basis.rules())
    monkeypatch.undo()
    basis.rules.cache_clear()
    assert len(found) == 4  # a text decides nothing
    assert basis.rules() not in found


def test_a_plug_ins_source_is_part_of_what_a_run_follows_from(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lottery.py").write_text("class Lottery:\n    name = 'lottery'\n")
    monkeypatch.syspath_prepend(tmp_path)
    import lottery  # noqa: PLC0415

    scenario = scenario_with()
    assert basis.basis_of(scenario).inputs == {}
    monkeypatch.setattr(basis.registry, "policy_class", lambda _: lottery.Lottery)
    first = basis.basis_of(scenario).inputs
    assert first.keys() == {"policy.name"}
    (tmp_path / "lottery.py").write_text("class Lottery:\n    name = 'lottery, too'\n")
    assert basis.basis_of(scenario).inputs != first


def test_another_machine_is_a_warning_and_stands_in_the_run_directory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    cut_short(tmp_path)
    monkeypatch.setattr(environment, "_cpu_model", lambda: "Abacus 3000")
    _, (warned,) = said_of(scenario_with(), tmp_path)
    assert "the run continues with another processor or other packages: cpu is Abacus 3000, was" in warned
    assert record(tmp_path)["resumed"][0]["changed"]["cpu"][1] == "Abacus 3000"


@pytest.mark.parametrize("content", [b"", b"{}", b"[1", b'{"scenario": 3, "summary": {}, "status": "stopped"}'])
def test_a_run_json_that_is_none_is_one_message(content: bytes, tmp_path: Path) -> None:
    (tmp_path / "run.json").write_bytes(content)
    with pytest.raises(ResumeError, match=r"run\.json is not a run directory"):
        resumed(scenario_with(), tmp_path)


def test_a_run_of_an_earlier_version_is_refused(tmp_path: Path) -> None:
    cut_short(tmp_path)
    run = record(tmp_path)
    del run["basis"], run["resumed"]
    (tmp_path / "run.json").write_text(json.dumps(run))
    with pytest.raises(ResumeError, match="were of an earlier version"):
        resumed(scenario_with(), tmp_path)


# -- damage ----------------------------------------------------------------------------------------------------------


def damage(path: Path, how: str) -> None:
    content = bytearray(path.read_bytes())
    if how == "truncated":
        content = content[: len(content) // 2]
    elif how == "emptied":
        content = bytearray()
    else:
        content[len(content) // 2] ^= 0x10  # within the values, not in a field of the zip archive that nobody reads
    path.write_bytes(content)


@pytest.mark.parametrize("how", ["truncated", "emptied", "flipped"])
def test_a_damaged_checkpoint_is_known_for_one_and_the_one_before_is_taken(how: str, tmp_path: Path) -> None:
    out, whole = cut_short(tmp_path / "out"), tmp_path / "whole"
    damage(out / "checkpoint" / "last.npz", how)
    told, (warned,) = said_of(scenario_with(), out)
    assert told == [f"resumed at round 5, from a checkpoint in {out}"]
    assert f"{out / 'checkpoint' / 'last.npz'} is damaged: " in warned
    assert warned.endswith("the run continues from the previous checkpoint")
    simulate(scenario_with(), whole)
    require_the_same(out, whole)


def test_where_no_checkpoint_is_whole_nothing_is_written(tmp_path: Path) -> None:
    cut_short(tmp_path)
    for path in Checkpoints(tmp_path).found():
        damage(path, "flipped")
    before = contents(tmp_path)
    with pytest.raises(ResumeError, match=r"cannot continue: .*last\.npz is damaged: .*--overwrite"):
        resumed(scenario_with(), tmp_path)
    assert contents(tmp_path) == before


def test_a_checkpoint_of_a_later_format_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as later:
        later.setattr("phasewise.sched.recording.checkpoint.FORMAT", 2)
        cut_short(tmp_path)
    with pytest.raises(ResumeError, match="is a checkpoint of format 2; this version reads format 1"):
        resumed(scenario_with(), tmp_path)


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("lines.log", "lines.log is .* bytes shorter than it was"),
        ("rounds.parquet", "cannot read .*rounds.parquet"),
        ("jobs.parquet", "no table|cannot read .*jobs.parquet"),
    ],
)
def test_files_that_lost_what_they_held_at_a_checkpoint_are_named(name: str, told: str, tmp_path: Path) -> None:
    cut_short(tmp_path)
    os.truncate(tmp_path / name, 300)
    before = contents(tmp_path)
    with pytest.raises(ResumeError, match=told):
        resumed(scenario_with(), tmp_path)
    assert contents(tmp_path) == before


def test_lines_that_were_edited_are_named(tmp_path: Path) -> None:
    cut_short(tmp_path)
    lines = (tmp_path / "lines.log").read_text()
    (tmp_path / "lines.log").write_text(lines.replace('"round":3', '"round":4'))
    with pytest.raises(ResumeError, match=r"lines\.log holds something else than it did"):
        resumed(scenario_with(), tmp_path)


def test_a_table_that_has_gone_is_named(tmp_path: Path) -> None:
    cut_short(tmp_path)
    (tmp_path / "rounds.parquet").unlink()
    with pytest.raises(ResumeError, match=r"rounds\.parquet has 0 rows, 10 fewer than it had"):
        resumed(scenario_with(), tmp_path)


# -- the command line ------------------------------------------------------------------------------------------------

ARGUMENTS = [
    "toy",
    *(part for key, value in SMALL.items() for part in ("--set", f"{key}={value}".replace("False", "false"))),
]


def test_the_command_goes_on_and_says_where(tmp_path: Path, phasewise: Callable) -> None:
    out = cut_short(tmp_path / "out")
    said = phasewise("run", *ARGUMENTS, "--resume", "--out", out)
    assert said.code == 0
    assert f"resumed at round 10, from a checkpoint in {out}\n" in said.err
    assert said.out.splitlines()[-1] == f"run directory: {out}"
    simulate(scenario_with(), tmp_path / "whole")
    require_the_same(out, tmp_path / "whole")
    before = contents(out)
    again = phasewise("run", *ARGUMENTS, "--resume", "--out", out)
    assert (again.code, again.out) == (0, said.out)
    assert contents(out) == before
    other = phasewise("run", *ARGUMENTS, "--seed", 8, "--resume", "--out", out)
    assert (other.code, other.out) == (BAD_INPUT, "")
    assert "seed is 8, was 5" in other.err
    assert contents(out) == before


def test_the_command_begins_where_there_is_nothing(tmp_path: Path, phasewise: Callable) -> None:
    assert phasewise("run", *ARGUMENTS, "-q", "--resume", "--out", tmp_path / "new").code == 0
    assert record(tmp_path / "new")["summary"]["rounds"] == 24


@pytest.mark.parametrize(
    ("options", "told"),
    [(["--resume"], "it needs --out DIR"), (["--resume", "--overwrite", "--out", "x"], "--overwrite begins anew")],
)
def test_options_that_contradict_each_other_are_one_message(
    options: list[str], told: str, phasewise: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = phasewise("run", "toy", "-q", *options)
    assert (said.code, said.err.count("phasewise: error:")) == (BAD_INPUT, 1)
    assert told in said.err
    assert list(tmp_path.iterdir()) == []


def test_a_folder_of_somebody_elses_is_no_run_to_go_on_with(tmp_path: Path, phasewise: Callable) -> None:
    (tmp_path / "thesis.tex").write_text("three years of work")
    said = phasewise("run", "toy", "-q", "--resume", "--out", tmp_path)
    assert said.code == BAD_INPUT
    assert "holds no run.json" in said.err
    assert {path.name for path in tmp_path.iterdir()} == {"thesis.tex"}


def test_every_command_reads_a_run_that_was_cut_short_with_its_checkpoint(tmp_path: Path, phasewise: Callable) -> None:
    out = cut_short(tmp_path / "out")
    assert Checkpoints(out).found()
    for words in (
        ["report", out, "--out", tmp_path / "report.html"],
        ["view", out, "--out", tmp_path / "view.html"],
        ["compare", out, out],
    ):
        assert phasewise(*words).code == 0
