"""`import phasewise`: runs, studies and figures from Python, equal to what the commands make."""

from __future__ import annotations

import gc
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import phasewise
from phasewise.bench.cli.main import main
from phasewise.profiling.errors import OutputError
from phasewise.reports.errors import RunDirectoryError
from phasewise.sched.errors import ResumeError, ScenarioError
from phasewise.sched.scenario.loading import load_scenario

PAGE = Path(__file__).resolve().parents[2] / "docs" / "howto" / "use-from-python.md"
SMALL = {"policy.name": "fifo", "workload.jobs": 6}


def test_a_run_is_that_of_the_command(tmp_path: Path) -> None:
    ours = phasewise.run("toy", tmp_path / "ours", SMALL)
    with pytest.raises(SystemExit) as end:
        main(["run", "toy", "-q", "--policy", "fifo", "--jobs", "6", "--out", str(tmp_path / "theirs")])
    assert end.value.code == 0
    theirs = phasewise.load(tmp_path / "theirs")
    assert ours.status == theirs.status == "complete"
    assert ours.scenario == theirs.scenario
    assert ours.scenario["policy"]["name"] == "fifo"
    for name in ("job_id", "jct_s", "completion_s", "job_type"):
        np.testing.assert_array_equal(ours.jobs[name], theirs.jobs[name])
    assert (tmp_path / "ours" / "lines.log").read_bytes().count(b"EVENT") == (
        (tmp_path / "theirs" / "lines.log").read_bytes().count(b"EVENT")
    )


@pytest.mark.thorough
def test_the_page_s_examples_run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {}
    for block in re.findall(r"^```python\n(.*?)^```$", PAGE.read_text(), re.MULTILINE | re.DOTALL):
        exec(block, names)
    assert names["page"] == Path("runs/fifo/report.html")
    np.testing.assert_array_equal(names["same"].jobs["jct_s"], names["jct"])
    assert len(names["study"].table["point"]) == 4
    assert all(path.is_file() for path in names["files"])
    assert names["solution"].objective == pytest.approx(2.0)


def test_figures_and_columns_go_by_name(tmp_path: Path) -> None:
    run = phasewise.run("toy", tmp_path / "run", SMALL)
    assert run.summary["avg_jct_s"] == run.summary.avg_jct_s == pytest.approx(run.jobs["jct_s"].mean())
    assert run.summary.rounds == len(run.rounds) == run.rounds["round"].size
    assert run.rounds["utilization"].dtype == np.float64
    assert set(run.placements["job_id"].tolist()) == set(range(6))
    assert "complete" in repr(run)
    with pytest.raises(KeyError, match="no column 'nonesuch'; there are job_id"):
        run.jobs["nonesuch"]
    with pytest.raises(KeyError, match="nonesuch"):
        run.summary["nonesuch"]


def test_the_profile_has_every_phase_by_name_and_adds_up_to_the_loop(tmp_path: Path) -> None:
    run = phasewise.run("toy", tmp_path / "run", SMALL)
    profile = run.profile
    assert set(profile) == {*run.summary.phases, "other"}
    assert profile["policy"].cpu_s == run.summary.phases["policy"].cpu_s
    assert profile["policy"].calls == run.summary.phases["policy"].calls
    assert sum(row.cpu_s or 0.0 for row in profile.values()) == pytest.approx(run.summary.cpu_s)
    assert sum(row.share or 0.0 for row in profile.values()) == pytest.approx(1.0)
    costs = [row.cpu_s or 0.0 for name, row in profile.items() if name != "other"]
    assert costs == sorted(costs, reverse=True)
    assert list(profile)[-1] == "other"
    assert phasewise.load(tmp_path / "run").profile == profile


def test_a_run_without_a_folder_lives_as_long_as_it_is_held() -> None:
    run = phasewise.run("toy", overrides=SMALL)
    place = run.path
    assert (place / "run.json").is_file()
    assert run.report().read_text(encoding="utf-8").rstrip().endswith("</html>")
    del run
    gc.collect()
    assert not place.exists()


def test_a_folder_that_is_taken_is_kept_and_may_be_replaced_or_gone_on_with(tmp_path: Path) -> None:
    phasewise.run("toy", tmp_path / "run", SMALL)
    before = (tmp_path / "run" / "jobs.parquet").read_bytes()
    with pytest.raises(OutputError, match="holds a run already"):
        phasewise.run("toy", tmp_path / "run", SMALL)
    with pytest.raises(ResumeError, match=r"workload\.jobs is 5, was 6"):
        phasewise.run("toy", tmp_path / "run", {**SMALL, "workload.jobs": 5}, resume=True)
    assert phasewise.run("toy", tmp_path / "run", SMALL, resume=True).status == "complete"
    assert (tmp_path / "run" / "jobs.parquet").read_bytes() == before
    assert len(phasewise.run("toy", tmp_path / "run", {"workload.jobs": 5}, overwrite=True).jobs) == 5


def test_wrong_input_is_an_error_that_names_it(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="nonesuch"):
        phasewise.run("nonesuch")
    with pytest.raises(ScenarioError, match=r"workload\.jobs"):
        phasewise.run("toy", overrides={"workload.jobs": -1})
    with pytest.raises(TypeError, match="overrides are for a scenario by its name"):
        phasewise.run(load_scenario("toy"), overrides={"workload.jobs": 5})
    with pytest.raises(RunDirectoryError, match="is missing"):
        phasewise.load(tmp_path / "nonesuch")


def test_jobs_that_are_refused_are_warned_of(tmp_path: Path) -> None:
    scenario = load_scenario("toy", {"workload.jobs": 4, "workload.scale_factors": "gavel", "cluster.gpus": "v100=1"})
    with pytest.warns(RuntimeWarning, match="refused"):
        phasewise.run(scenario, tmp_path / "run")


@pytest.mark.thorough
def test_a_study_is_run_looked_into_and_drawn(tmp_path: Path) -> None:
    definition = tmp_path / "two.toml"
    definition.write_text(
        '[study]\nname = "two"\nscenario = "toy"\n[grid]\npolicy.name = ["fifo", "isolated"]\nworkload.jobs = [5]\n'
    )
    study = phasewise.study(definition, tmp_path / "study")
    assert study.done
    assert repr(study) == f"<Study 'study': 2 of 2 points done, {tmp_path / 'study'}>"
    rows = study.table
    assert sorted(rows["policy.name"]) == ["fifo", "isolated"]
    run = phasewise.load(study.run_path(rows["point"][0]))
    assert run.summary.avg_jct_s == rows["avg_jct_s"][0]
    written = phasewise.figure("jct-cdf", study, run, out=tmp_path / "figures")
    assert {path.suffix for path in written} == {".svg", ".png", ".csv", ".json"}
    assert json.loads((tmp_path / "figures" / "jct-cdf.json").read_text())["figure"] == "jct-cdf"
