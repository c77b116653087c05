"""GPUs that no allocation asks for: offered type by type, or once all types went to those they are named for."""

from __future__ import annotations

from pathlib import Path

import pytest
from small_runs import Job, Run, run_trace

RATES = {
    ("plain", 1): {"v100": 10.0, "p100": 5.0},
    ("odd", 1): {"v100": 4.0, "p100": 8.0},  # as 8 of the 26 job types of Gavel's table
}
MAX_MIN = {"policy.name": "max_min_fairness_perf", "policy.canonical": True}
SHARING = {"policy.name": "max_min_fairness_packed"}


def run(folder: Path, jobs: list[Job], overrides: dict[str, object], *, own: bool) -> Run:
    keys = {"timing.own_types_first": own, **overrides}
    return run_trace(folder, jobs, {"v100": 2, "p100": 2}, keys, RATES)


def jct_s(result: Run) -> list[float]:
    return [job["jct_s"] for _, job in sorted(result.jobs.items())]


@pytest.mark.parametrize("policy", [MAX_MIN, SHARING], ids=["alone", "packed"])
def test_a_job_runs_where_its_allocation_is_although_another_type_is_free(
    tmp_path: Path, policy: dict[str, object]
) -> None:
    jobs = [Job(36_000.0), Job(28_800.0, job_type="odd")]
    by_type = run(tmp_path / "by_type", jobs, policy, own=False)
    own = run(tmp_path / "own", jobs, policy, own=True)
    assert jct_s(by_type) == pytest.approx([3600.0, 7200.0])  # on the free V100, at half the speed
    assert jct_s(own) == pytest.approx([3600.0, 3600.0])


@pytest.mark.parametrize("policy", [MAX_MIN, SHARING], ids=["alone", "packed"])
def test_what_nobody_is_given_is_not_left_idle(tmp_path: Path, policy: dict[str, object]) -> None:
    """Two GPUs of one type for three jobs that one type is all for: the third runs on the other type all the same."""
    jobs = [Job(36_000.0, job_type="odd") for _ in range(3)]
    rounds = run(tmp_path, jobs, policy, own=True).table("rounds")
    assert rounds["running"][0] == 3


def test_no_job_is_chosen_twice_and_no_type_is_given_away_twice(tmp_path: Path) -> None:
    jobs = [Job(30_000.0 + 700.0 * i, arrival_s=400.0 * i, job_type=("plain", "odd")[i % 2]) for i in range(12)]
    result = run(tmp_path, jobs, {**MAX_MIN, "output.check_invariants": True}, own=True)
    assert result.status == "complete"
    assert max(result.table("rounds")["running"]) == 4


def test_short_rounds_come_to_the_ideal_where_types_are_free(tmp_path: Path) -> None:
    jobs = [Job(20_000.0 + 900.0 * i, arrival_s=1_500.0 * i, job_type=("plain", "odd")[i % 2]) for i in range(10)]
    short = {**MAX_MIN, "timing.round_s": 10.0}
    ideal = run(tmp_path / "ideal", jobs, {**MAX_MIN, "timing.mechanism": "ideal"}, own=True).summary["avg_jct_s"]
    own = run(tmp_path / "own", jobs, short, own=True).summary["avg_jct_s"]
    by_type = run(tmp_path / "by_type", jobs, short, own=False).summary["avg_jct_s"]
    assert own == pytest.approx(ideal, rel=0.01)
    assert by_type > 1.05 * ideal
