"""How evenly users and virtual clusters were served: in the summary, the terminal and comparisons, after a resume."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_runs import interrupted, require_the_same, resumed

import phasewise
from phasewise.sched.recording.owners import Served
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate

JOBS = 60


def scenario(folder: Path, **changed: Any) -> Scenario:
    """Return a run of jobs of three users and two virtual clusters; a fifth of the jobs are of no user."""
    path = folder / "jobs.csv"
    rows = [
        f"{job * 300},{1 + job % 3},{1800 + 997 * (job % 7)},{['ann', 'bob', 'cat', 'bob', ''][job % 5]},q{job % 2}"
        for job in range(JOBS)
    ]
    path.write_text("\n".join(["at,gpus,seconds,who,queue", *rows]) + "\n")
    asked = {
        "policy.name": "fifo",
        "workload.trace": str(path),
        "workload.trace_format": "csv",
        "workload.map": {"submit": "at", "gpus": "gpus", "duration": "seconds", "user": "who", "vc": "queue"},
        "workload.speed": {"v100": 1.0},
        "cluster.gpus": {"v100": 4},
        "stop.window": "none",
        "output.trace": False,
        **{key.replace("__", "."): value for key, value in changed.items()},
    }
    return load_scenario("toy", asked)


def index_of(run: phasewise.Run, column: str, window: tuple[int, int] = (0, JOBS)) -> float:
    """Return Jain's index over the owners in a column of jobs.parquet, from the jobs themselves."""
    got: dict[str, list[float]] = {}
    for job, owner, rho in zip(run.jobs["job_id"], run.jobs[column], run.jobs["rho"], strict=True):
        if window[0] <= job < window[1] and owner is not None:
            got.setdefault(owner, []).append(1.0 / rho)
    means = np.array([np.mean(each) for each in got.values()])
    return float(means.sum() ** 2 / (len(means) * (means**2).sum()))


@pytest.mark.parametrize("window", [None, (10, 40)])
def test_the_summary_has_the_index_over_users_and_virtual_clusters(
    window: tuple[int, int] | None, tmp_path: Path
) -> None:
    simulate(scenario(tmp_path, stop__window=window or "none"), tmp_path / "run")
    run = phasewise.load(tmp_path / "run")
    counted = window or (0, JOBS)
    assert run.summary["jain_users"] == pytest.approx(index_of(run, "user", counted))
    assert run.summary["jain_vcs"] == pytest.approx(index_of(run, "vc", counted))
    assert 1 / 3 <= run.summary["jain_users"] < 1.0


def test_a_resumed_run_counts_the_owners_of_both_parts(tmp_path: Path) -> None:
    asked = scenario(tmp_path, output__checkpoint_rounds=5, output__chunk_rounds=7)
    simulate(asked, tmp_path / "whole")
    interrupted(asked, tmp_path / "cut", 33)
    resumed(asked, tmp_path / "cut")
    require_the_same(tmp_path / "cut", tmp_path / "whole")


def test_generated_jobs_of_nobody_have_no_index(tmp_path: Path) -> None:
    run = phasewise.run("toy", out=tmp_path / "run")
    assert (run.summary["jain_users"], run.summary["jain_vcs"]) == (None, None)


def test_one_owner_is_served_evenly_and_nobody_not_at_all() -> None:
    served = Served()
    assert served.jain() is None
    served.add(["a", None, "a", "b"], [2.0, 1.0, None, 0.5])
    assert (served.jobs, served.got) == ({"a": 1, "b": 1}, {"a": 0.5, "b": 2.0})
    assert served.jain() == pytest.approx(2.5**2 / (2 * (0.25 + 4.0)))


def test_it_is_told_where_owners_are_known_and_only_there(tmp_path: Path, phasewise: Callable) -> None:
    simulate(scenario(tmp_path), tmp_path / "theirs")
    simulate(load_scenario("toy", {"output.trace": False}), tmp_path / "nobodys")
    said = phasewise("compare", tmp_path / "theirs", tmp_path / "nobodys").out
    assert "Jain's index, users" in said
    assert "Jain's index, vcs" in said
    assert "Jain's index, " not in phasewise("compare", tmp_path / "nobodys", tmp_path / "nobodys").out
    trace = ("--trace", tmp_path / "jobs.csv", "--trace-format", "csv", "--speed", "v100=1", "--cluster", "v100=4")
    columns = "submit=at,gpus=gpus,duration=seconds,user=who,vc=queue"
    ran = phasewise("run", "toy", *trace, "--map", columns, "--out", tmp_path / "again", "-q").out
    assert "Jain over users" in ran
    assert "Jain over vcs" in ran
