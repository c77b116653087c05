"""Figures of a run beside its mean, against its own tables."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_runs import Job, Run, run_trace

from phasewise.profiling.stats import batch_mean_interval
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate

GPUS = 6
BUSY = {"workload.jobs": 40, "workload.rate_per_hour": 6.0, "workload.scale_factors": "gavel"}


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory) -> Run:
    out = tmp_path_factory.mktemp("busy") / "run"
    scenario = load_scenario("toy", {**BUSY, "migration.enabled": True})
    return Run(out, simulate(scenario, out).status)


def column(run: Run, table: str, name: str) -> np.ndarray:
    return np.array(run.table(table)[name], np.float64)


def test_gpu_time_is_lost_or_makes_steps_to_the_last_second(busy: Run) -> None:
    offered = GPUS * (column(busy, "rounds", "end_s")[-1] - column(busy, "rounds", "sim_time_s")[0])
    lost = busy.summary["lost_gpu_s"]
    assert min(lost.values()) > 0.0  # or a cause is not tried
    held = sum(job["gpu_s"] for job in busy.jobs.values())
    assert held * busy.summary["goodput"] + sum(lost.values()) == pytest.approx(offered, rel=1e-9)
    assert held + lost["fragmented"] + lost["no_work"] == pytest.approx(offered, rel=1e-9)


def test_idle_gpus_are_fragmented_as_far_as_waiting_jobs_ask_for_them(busy: Run) -> None:
    idle, asked = column(busy, "rounds", "unallocated_gpus"), column(busy, "rounds", "pending_gpus")
    lasts_s = column(busy, "rounds", "end_s") - column(busy, "rounds", "sim_time_s")
    assert busy.summary["lost_gpu_s"]["fragmented"] == pytest.approx((np.minimum(idle, asked) * lasts_s).sum())
    assert busy.summary["lost_gpu_s"]["no_work"] == pytest.approx((np.maximum(idle - asked, 0.0) * lasts_s).sum())


def test_a_restart_is_a_round_that_a_job_runs_after_one_in_which_it_waited(busy: Run) -> None:
    grid = busy.grid([2, 2, 2])
    for job_id, job in busy.jobs.items():
        runs = (grid == job_id).any(axis=1)
        starts = np.count_nonzero(np.diff(runs.astype(int), prepend=0) == 1)
        assert job["restarts"] == starts - 1
    counted = list(busy.jobs.values())
    assert max(job["restarts"] for job in counted) > 0
    assert busy.summary["restarts_per_job"] == pytest.approx(np.mean([job["restarts"] for job in counted]))
    assert busy.summary["moves_per_job"] == pytest.approx(np.mean([job["moves"] for job in counted]))


def test_waits_are_told_by_size(busy: Run) -> None:
    told = busy.summary["queue_by_gpus"]
    assert set(told) == {"1", "2"}
    for size, wait in told.items():
        of_size = [job["queued_s"] for job in busy.jobs.values() if job["scale_factor"] == int(size)]
        assert wait == {
            "p50_s": pytest.approx(np.median(of_size)),
            "p95_s": pytest.approx(np.percentile(of_size, 95)),
            "jobs": len(of_size),
        }


def test_slowdown_and_jains_index_are_those_of_the_jobs(busy: Run) -> None:
    jobs = list(busy.jobs.values())
    slowdown = [max(1.0, job["jct_s"] / max(job["ideal_s"], 10.0)) for job in jobs]
    assert busy.summary["slowdown"]["mean"] == pytest.approx(np.mean(slowdown))
    got = np.array([1.0 / job["rho"] for job in jobs])
    assert busy.summary["jain"] == pytest.approx(got.sum() ** 2 / (len(got) * (got**2).sum()))


def test_the_mean_jct_has_an_interval_by_batch_means_in_order_of_arrival(busy: Run) -> None:
    low, mean, high = batch_mean_interval([job["jct_s"] for _, job in sorted(busy.jobs.items())])
    assert busy.summary["avg_jct_s"] == pytest.approx(mean)
    assert busy.summary["avg_jct_interval_s"] == {"low": pytest.approx(low), "high": pytest.approx(high), "batches": 10}


def test_offered_load_is_the_rate_of_arrivals_times_the_least_gpu_time_of_a_job(busy: Run) -> None:
    jobs = [job for _, job in sorted(busy.jobs.items())]
    span_s = jobs[-1]["arrival_s"] - jobs[0]["arrival_s"]
    least = sum(job["scale_factor"] * job["ideal_s"] for job in jobs[1:])
    assert busy.summary["offered_load"] == pytest.approx(least / span_s / GPUS)


@pytest.mark.thorough
def test_offered_load_at_a_known_rate_is_near_what_it_should_be(tmp_path: Path) -> None:
    # 1 job/h of the generator's mean, 16.77 h on a V100, on 30 of them; durations vary 1.8-fold of their mean.
    chosen = {
        "cluster.gpus": {"v100": 30}, "workload.rate_per_hour": 1.0, "workload.jobs": 1500, "policy.name": "fifo",
        "workload.scale_factors": "single", "workload.scale_factor_cap": 0, "timing.round_s": 3600.0,
    }  # fmt: skip
    summary = simulate(load_scenario("toy", {**chosen, "output.trace": False}), None).summary
    assert summary["offered_load"] == pytest.approx(16.77 / 30, rel=0.15)


def test_jobs_that_all_come_at_once_offer_no_load_and_do_not_drift(tmp_path: Path) -> None:
    finished = run_trace(tmp_path, [Job(2000.0) for _ in range(40)], {"v100": 4})
    assert finished.summary["offered_load"] is None
    assert finished.summary["drift"] is None


def test_a_mean_that_leaves_jobs_out_has_no_interval(tmp_path: Path) -> None:
    finished = run_trace(tmp_path, [*(Job(400.0) for _ in range(30)), Job(1e9)], {"v100": 4}, {"stop.rounds": 60})
    assert finished.summary["censored"]
    assert finished.summary["jct_jobs"] == 30
    assert finished.summary["avg_jct_interval_s"] is None
