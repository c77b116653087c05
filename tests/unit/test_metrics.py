"""What a run is judged by, against figures worked out by hand and the original's own."""

from __future__ import annotations

import numpy as np
import pytest
from oracle import GAVEL, names, read, replay, replays

from phasewise.profiling.artefacts.run_json import Rho, Slowdown
from phasewise.sched.recording.metrics import (
    JctStatistics,
    in_window,
    jain_index,
    jct_statistics,
    percentiles,
    rho_statistics,
    slowdown_statistics,
    worker_utilization,
)


def test_jct_statistics_are_those_of_the_jobs_that_completed() -> None:
    assert jct_statistics(np.array([10.0, np.nan, 30.0, 20.0])) == JctStatistics(3, 20.0, 20.0, 29.0)


@pytest.mark.parametrize("jct_s", [[], [np.nan, np.nan]])
def test_without_a_completed_job_there_is_no_figure(jct_s: list[float]) -> None:
    assert jct_statistics(np.array(jct_s)) == JctStatistics(0, None, None, None)


@pytest.mark.parametrize("wrong", [np.inf, -1.0])
def test_an_impossible_jct_is_refused(wrong: float) -> None:
    with pytest.raises(ValueError, match="finite and not negative"):
        jct_statistics(np.array([1.0, wrong]))


def test_a_window_counts_from_its_first_id_to_before_its_end() -> None:
    ids = np.array([0, 1, 2, 3])
    assert in_window(ids, (1, 3)).tolist() == [False, True, True, False]
    assert in_window(ids, None).all()


def test_worker_utilization_is_the_mean_over_gpus_of_the_whole_run() -> None:
    assert worker_utilization(np.array([50.0, 100.0, 0.0, 50.0]), 100.0) == 0.5


def test_nothing_is_utilised_before_time_passes() -> None:
    assert worker_utilization(np.zeros(4), 0.0) == 0.0
    assert worker_utilization(np.zeros(0), 10.0) == 0.0


def test_rho_is_judged_over_the_jobs_of_which_it_is_known() -> None:
    rho = rho_statistics(np.array([0.5, np.nan, 1.0, 1.5, 3.0]))
    assert rho == Rho(mean=1.5, p99=pytest.approx(1.5 + 1.5 * 0.97), worst=3.0, share_above_1=0.5, jobs=4)
    assert rho_statistics(np.array([np.nan])) is rho_statistics(np.array([])) is None


def test_a_bounded_slowdown_is_jct_over_the_best_time_and_short_jobs_count_as_ten_seconds() -> None:
    jct_s, ideal_s = np.array([30.0, 40.0, 5.0, np.nan]), np.array([15.0, 1.0, 0.5, 1.0])
    found = slowdown_statistics(jct_s, ideal_s, 10.0)  # 2, 4 (of 10 s), 1 (at least), not known
    assert found == Slowdown(
        mean=pytest.approx(7 / 3), p95=pytest.approx(3.8), p99=pytest.approx(3.96), worst=4.0, jobs=3
    )
    assert slowdown_statistics(np.array([np.nan]), np.array([1.0]), 10.0) is None


def test_jains_index_is_1_where_all_are_served_alike_and_1_over_n_where_one_gets_all() -> None:
    assert jain_index(np.array([1.5, 1.5, np.nan, 1.5])) == pytest.approx(1.0)
    assert jain_index(np.array([1.0, 1e9, 1e9, 1e9])) == pytest.approx(0.25)
    assert jain_index(np.array([1.0, 0.5])) == pytest.approx(9 / 10)  # gets 1 and 2: 9 / (2 * 5)
    assert jain_index(np.array([])) is None


def test_percentiles_leave_out_what_is_not_known() -> None:
    assert percentiles(np.array([10.0, np.nan, 20.0]), 50.0, 100.0) == (15.0, 20.0)
    assert percentiles(np.array([np.nan]), 50.0, 95.0) == (None, None)


@pytest.mark.oracle
def test_the_mean_jct_equals_the_original_bit_for_bit() -> None:
    compared = 0
    for name in names(GAVEL / "results"):
        result = read(GAVEL / "results" / f"{name}.json")
        if result.get("avg_jct_s") is None:
            continue
        times = [job["completion_time_s"] for job in result["jobs"]]
        jct_s = np.array([np.nan if time is None else time for time in times])
        assert jct_statistics(jct_s).avg_s == result["avg_jct_s"]
        compared += 1
    assert compared == 74


@pytest.mark.oracle
@pytest.mark.thorough
@pytest.mark.parametrize("name", replays("packed", "gandiva", "gen24"))
def test_utilization_equals_the_original_bit_for_bit(name: str) -> None:
    result = read(GAVEL / "results" / f"{name}.json")
    busy_s = np.zeros(sum(result["cluster_spec"].values()))
    start_s, end_s = 0.0, None
    for one in read(replay(name))["rounds"]:
        if not one.get("steps"):
            continue
        start_s = start_s if end_s is None else end_s
        workers = {tuple(job): gpus for job, _, gpus in one["assign"]}
        for job, _, finish_s in one["steps"]:
            busy_s[workers[tuple(job)]] += finish_s - start_s
        end_s = max(finish_s for _, _, finish_s in one["steps"])
    assert worker_utilization(busy_s, result["makespan_s"]) == result["utilization"]
