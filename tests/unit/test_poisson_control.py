"""A Poisson control: the same jobs over the same time, without the bursts of the trace."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow.parquet as pq
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.scenario.workloads import build_workload
from phasewise.sched.workload.attribution import poisson_arrivals_s
from phasewise.sched.workload.importing.store import BLOCK

HEADER = "when,ran,cards\n"


def bursts(path: Path, jobs: int, gap_s: int = 10_000) -> Path:
    """Write jobs that come a hundred at a time."""
    path.write_text(HEADER + "".join(f"{500 + job // 100 * gap_s},{60 + job % 7},1\n" for job in range(jobs)))
    return path


def workload(path: Path, arrivals: str, seed: int = 0, **more: object):
    overrides = {
        "workload.trace": str(path), "workload.trace_format": "csv", "workload.arrivals": arrivals, "seed": seed,
        "workload.map": "submit=when,duration=ran,gpus=cards", "workload.speed": "v100=1", "cluster.gpus": "v100=64",
        **more,
    }  # fmt: skip
    return build_workload(load_scenario("toy", overrides), ("v100",))


@given(st.integers(0, 2**32), st.integers(1, 300), st.floats(0.0, 1e8))
def test_as_many_arrivals_as_asked_for_come_in_order_from_0_to_the_end(seed: int, jobs: int, span_s: float) -> None:
    times_s = poisson_arrivals_s(seed, jobs, span_s)
    assert times_s.shape == (jobs,)
    assert times_s[0] == 0.0
    assert (np.diff(times_s) >= 0.0).all()
    assert times_s[-1] == (span_s if jobs > 1 else 0.0)
    assert (times_s == poisson_arrivals_s(seed, jobs, span_s)).all()


def test_the_times_between_arrivals_are_those_of_a_poisson_process() -> None:
    gaps_s = np.diff(poisson_arrivals_s(1, 20_000, 20_000.0))
    assert gaps_s.mean() == pytest.approx(20_000.0 / 19_999)
    assert gaps_s.std() / gaps_s.mean() == pytest.approx(1.0, abs=0.03)
    for level in (0.1, 0.5, 2.0):
        assert (gaps_s > level).mean() == pytest.approx(np.exp(-level), abs=0.01)
    assert abs(np.corrcoef(gaps_s[1:], gaps_s[:-1])[0, 1]) < 0.03


def test_jobs_stay_as_they_are_and_come_at_other_times_over_any_number_of_blocks(tmp_path: Path) -> None:
    path = bursts(tmp_path / "log.csv", BLOCK + 500)
    recorded, control = (list(workload(path, kind).arrivals_in_order()) for kind in ("recorded", "poisson"))
    assert [replace(job, arrival_s=0.0) for job in recorded] == [replace(job, arrival_s=0.0) for job in control]
    times_s = [job.arrival_s for job in control]
    assert times_s == sorted(times_s)
    assert (times_s[0], times_s[-1]) == (0.0, recorded[-1].arrival_s)
    assert len(set(times_s)) == len(times_s)


def test_the_seed_decides_and_the_rate_is_that_of_the_jobs_that_are_kept(tmp_path: Path) -> None:
    path = bursts(tmp_path / "log.csv", 1_000)
    runs = [
        [job.arrival_s for job in workload(path, "poisson", seed, **{"workload.jobs": 350}).arrivals_in_order()]
        for seed in (1, 1, 2)
    ]
    assert runs[0] == runs[1] != runs[2]
    assert [(len(times_s), times_s[-1]) for times_s in runs] == [(350, 30_000.0)] * 3


def test_it_is_told_kept_and_seen_in_the_run(tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise(
        "run", "toy", "--trace", bursts(tmp_path / "log.csv", 200), "--trace-format", "csv", "--arrivals", "poisson",
        "--map", "submit=when,duration=ran,gpus=cards", "--speed", "v100=1", "--cluster", "v100=64", "--policy", "fifo",
        "--out", tmp_path / "run",
    )  # fmt: skip
    assert said.code == 0, said.err
    words = "arrivals are not the recorded ones: a Poisson process of equal rate, 200 jobs over 10,000 s"
    assert words in said.err
    assert any(
        words in told for told in json.loads((tmp_path / "run" / "run.json").read_text())["workload"]["assumptions"]
    )
    arrivals_s = pq.read_table(tmp_path / "run" / "jobs.parquet")["arrival_s"].to_pylist()
    assert len(set(arrivals_s)) == 200


def test_a_trace_of_gavel_has_a_control_too(tmp_path: Path) -> None:
    lines = [f"A3C\tc\td\t-s\t0\t{100 + job}\t1\t{1 + job % 2}\t-1\t{job // 5 * 900}\n" for job in range(10)]
    (tmp_path / "a.trace").write_text("".join(lines))
    overrides = {"workload.trace": str(tmp_path / "a.trace"), "workload.arrivals": "poisson", "cluster.gpus": "v100=4"}
    found = build_workload(load_scenario("toy", overrides), ("v100",))
    jobs = list(found.arrivals_in_order())
    assert [job.total_steps for job in jobs] == [100.0 + job for job in range(10)]
    assert [job.priority_weight for job in jobs] == [1.0, 2.0] * 5
    assert jobs[-1].arrival_s == 900.0


def test_generated_jobs_have_none() -> None:
    with pytest.raises(ScenarioError, match=r"got .poisson. without a trace"):
        load_scenario("toy", {"workload.arrivals": "poisson"})
