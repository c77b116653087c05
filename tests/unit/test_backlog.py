"""Drift and overload: on numbers made up, on queues whose load is known, and in runs."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from small_runs import Run

from phasewise.bench.series.overload import durations_s as drawn_s
from phasewise.bench.series.overload import judged_queue, judged_run, mean_duration_s, mean_held_s, rates
from phasewise.sched.round.backlog import FIRST_CHECK, SAMPLES, Backlog, Census, estimate
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate


def watched(arrivals: int, active: object, waiting: object, *, rate: float | None = None, step: int = 1) -> Backlog:
    """Return what was seen of a run in which so many jobs were active and waiting when so many had arrived."""
    backlog = Backlog()
    for arrived in range(0, arrivals + 1, step):
        backlog.observe(Census(10.0 * arrived, arrived, active(arrived), waiting(arrived)), rate)  # type: ignore[operator]
    return backlog


def test_what_stays_of_every_batch_is_the_drift() -> None:
    backlog = watched(3100, lambda n: n // 4, lambda n: n // 4)
    assert backlog.drift is not None
    assert backlog.drift.share == pytest.approx(0.25, abs=1e-3)
    assert backlog.drift.high - backlog.drift.low < 0.01
    assert backlog.overloaded


def test_nothing_is_told_of_few_arrivals_and_nothing_judged_before_the_first_check() -> None:
    assert watched(SAMPLES // 2 - 2, lambda n: n, lambda n: n).drift is None
    early = watched(FIRST_CHECK - 1, lambda n: n, lambda n: n)
    assert early.drift is not None
    assert not early.overloaded


def test_a_cluster_that_is_filling_is_not_overloaded() -> None:
    filling = watched(6000, lambda n: n // 3, lambda _: 0)
    assert filling.drift is not None
    assert filling.drift.low > 0.3
    assert not filling.overloaded


def test_the_jobs_of_the_beginning_are_no_arrivals() -> None:
    backlog = Backlog()
    for arrived in range(500, 2600):
        backlog.observe(Census(float(arrived), arrived, 500, 0), None)
    assert backlog.initial == 500
    assert backlog.drift is not None
    assert backlog.drift.share == 0.0


def test_memory_does_not_grow_and_samples_stay_evenly_apart() -> None:
    backlog = watched(100_000, lambda n: n, lambda n: n, step=7)
    assert SAMPLES // 2 <= len(backlog.arrived) <= SAMPLES
    apart = np.diff(backlog.arrived) / backlog.span
    assert 0.7 < apart.min() <= apart.max() < 1.4
    assert np.median(apart) == pytest.approx(1.0, abs=0.01)
    assert backlog.drift is not None
    assert backlog.drift.share == pytest.approx(1.0)


def test_a_later_judgement_takes_back_an_earlier_one() -> None:
    wave = watched(12_400, lambda n: min(n, 6000) // 5, lambda n: min(n, 6000) // 5)
    assert watched(6100, lambda n: n // 5, lambda n: n // 5).overloaded
    assert not wave.overloaded


def test_chance_in_the_arrivals_is_taken_out_where_their_rate_is_known() -> None:
    rng = np.random.default_rng(3)
    rate, served = 1.0, 0.8  # jobs a second; so the drift is a fifth
    now_s = np.concatenate([[0.0], np.cumsum(rng.exponential(1.0, 3200))])[::50]
    arrived = np.arange(len(now_s)) * 50.0
    active = arrived - served * now_s
    plain, known = estimate(arrived, active), estimate(arrived, active, now_s, rate)  # type: ignore[arg-type]
    assert plain is not None
    assert known is not None
    assert known.share == pytest.approx(0.2, abs=1e-9)
    assert known.high - known.low < 1e-9 < plain.high - plain.low


def test_arrivals_at_even_distances_leave_nothing_to_regress_on() -> None:
    arrived = [float(n) for n in range(0, 640, 10)]
    assert estimate(arrived, arrived, arrived, 1.0) == pytest.approx((1.0, 1.0, 1.0))


def test_queues_below_their_load_run_on_and_those_above_it_are_found() -> None:
    below, above = ([judged_queue("generator", 32, load, 2, seed) for seed in range(10)] for load in (0.9, 1.4))
    assert sum(run[-1].overloaded for run in below) == 0
    assert sum(run[-1].overloaded for run in above) == 10


def test_the_study_knows_how_long_its_jobs_last() -> None:
    lasts_s = drawn_s("generator", np.random.default_rng(1), 400_000)
    assert lasts_s.mean() == pytest.approx(mean_duration_s(), rel=0.01)
    assert (np.ceil(lasts_s / 7200.0) * 7200.0).mean() == pytest.approx(mean_held_s(7200.0), rel=0.01)
    assert mean_held_s(1e-3 * 60.0 * 10.0) == pytest.approx(mean_duration_s(), rel=1e-4)


@pytest.mark.nightly
@pytest.mark.parametrize("kind", ["generator", "exponential"])
@pytest.mark.parametrize("servers", [16, 108])
def test_the_rule_errs_no_more_often_than_is_written(kind: str, servers: int) -> None:
    """Bounds of the page `What a mean is worth`, with room for 100 runs each."""
    at = {
        load: rates([judged_queue(kind, servers, load, 3, seed) for seed in range(1000, 1100)], load)
        for load in (0.8, 0.95, 1.0, 1.2, 1.4)
    }
    assert at[0.8][-1].overloaded == 0.0
    assert at[0.95][-1].overloaded <= 0.05
    assert at[1.0][-1].overloaded <= 0.3
    assert at[1.2][-1].overloaded >= 0.97
    assert at[1.4][0].overloaded >= 0.97
    for load in (1.2, 1.4):
        assert at[load][0].covered >= 0.75  # a cluster of 108 has only just filled
        assert all(each.covered >= 0.85 for each in at[load][1:])


@pytest.mark.nightly
def test_the_rule_holds_in_this_simulator() -> None:
    at = {
        load: rates([judged_run(108, load, 1, seed) for seed in range(1000, 1020)], load) for load in (0.9, 1.0, 1.25)
    }
    assert at[0.9][-1].overloaded <= 0.05
    assert at[1.0][-1].overloaded <= 0.35
    assert at[1.25][-1].overloaded >= 0.75
    assert at[1.25][-1].share == pytest.approx(0.2, abs=0.03)


CROWDED = {
    "policy.name": "fifo", "workload.jobs": 0, "workload.scale_factors": "single", "workload.scale_factor_cap": 0,
    "timing.round_s": 3600.0, "stop.window": [2900, 2950], "output.trace": False,
}  # fmt: skip


@pytest.mark.thorough
def test_a_run_past_saturation_ends_as_overloaded_with_a_bound_of_its_whole_window(tmp_path: Path) -> None:
    chosen = {**CROWDED, "workload.rate_per_hour": 40.0, "timing.preset": "gavel"}
    run = Run(tmp_path / "run", simulate(load_scenario("toy", chosen), tmp_path / "run").status)
    summary = run.summary
    assert run.status == "overloaded"
    assert run.events("run_end")[0]["reason"] == "drift"
    assert summary["drift"]["low"] > 0.9  # of 40 jobs an hour six GPUs do one or two
    assert summary["censored"]
    assert summary["window_done"] < summary["window_jobs"] == 50
    assert summary["jobs_arrived"] >= FIRST_CHECK
    ages_s = [summary["sim_time_s"] - job["arrival_s"] for job in run.jobs.values() if 2900 <= job["job_id"] < 2950]
    if summary["avg_jct_s"] is None:
        assert summary["avg_jct_lower_bound_s"] == pytest.approx(np.mean(ages_s))
    assert "Infinity" not in (tmp_path / "run" / "run.json").read_text()
    json.loads((tmp_path / "run" / "run.json").read_text())


@pytest.mark.thorough
def test_an_overloaded_run_ends_the_same_every_time_and_only_where_it_is_asked_to(tmp_path: Path) -> None:
    chosen = {**CROWDED, "workload.rate_per_hour": 40.0}
    first, second = (simulate(load_scenario("toy", chosen), None) for _ in range(2))
    assert first.status == second.status == "overloaded"
    assert first.summary["rounds"] == second.summary["rounds"]
    switched_off = {**chosen, "stop.saturation": False, "stop.rounds": first.summary["rounds"] + 5}
    other = simulate(load_scenario("toy", switched_off), None)
    assert other.status == "stopped"
    assert other.summary["rounds"] == first.summary["rounds"] + 5


@pytest.mark.thorough
def test_a_run_that_keeps_up_completes_its_window_and_does_not_drift() -> None:
    chosen = {**CROWDED, "cluster.gpus": {"v100": 60}, "cluster.gpus_per_node": {}, "workload.rate_per_hour": 2.4}
    outcome = simulate(load_scenario("toy", {**chosen, "stop.window": [3200, 3250]}), None)
    assert outcome.status == "complete"
    assert outcome.summary["drift"]["low"] < 0.005
