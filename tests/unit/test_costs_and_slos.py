"""What GPUs cost and what jobs are promised: in scenarios, traces, generated jobs, and in what a run writes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_runs import Run

from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.scenario.workloads import build_workload
from phasewise.sched.simulate import simulate
from phasewise.sched.streams import Streams
from phasewise.sched.workload.arrivals import Arrival, Position
from phasewise.sched.workload.gavel_trace import read_trace, write_trace
from phasewise.sched.workload.throughputs import ThroughputTable

PRICES = {"v100": 2.0, "p100": 1.0, "k80": 0.25}
TYPES = ("k80", "p100", "v100")


def run(tmp_path: Path, **overrides: object) -> Run:
    named = {key.replace("__", "."): value for key, value in overrides.items()}
    scenario = load_scenario("toy", {"workload.jobs": 12, **named})
    return Run(tmp_path / "out", simulate(scenario, tmp_path / "out").status)


def test_what_a_job_costs_is_the_gpu_time_that_it_held_at_the_price_of_its_types(tmp_path: Path) -> None:
    gpus = load_scenario("toy").cluster.gpus
    finished = run(tmp_path, cluster__gpu_hour_prices={name: PRICES.get(name, 1.0) for name in gpus})
    assert finished.summary["cost"] == pytest.approx(sum(job["cost"] for job in finished.jobs.values()))
    dearest = max(PRICES.get(name, 1.0) for name in gpus)
    cheapest = min(PRICES.get(name, 1.0) for name in gpus)
    for job in finished.jobs.values():
        hours = job["gpu_s"] / 3600.0
        assert cheapest * hours * (1 - 1e-12) <= job["cost"] <= dearest * hours * (1 + 1e-12)


def test_at_one_price_for_all_cost_is_gpu_hours(tmp_path: Path) -> None:
    gpus = load_scenario("toy").cluster.gpus
    finished = run(tmp_path, cluster__gpu_hour_prices=dict.fromkeys(gpus, 3.0))
    held = sum(job["gpu_s"] for job in finished.jobs.values())
    assert finished.summary["cost"] == pytest.approx(3.0 * held / 3600.0)


def test_without_prices_and_slos_nothing_is_told_of_them(tmp_path: Path) -> None:
    finished = run(tmp_path)
    assert finished.summary["cost"] is None
    assert finished.summary["slo_misses"] is None
    assert {job["cost"] for job in finished.jobs.values()} == {None}
    assert {job["slo_s"] for job in finished.jobs.values()} == {None}
    assert all("slo_s" not in event for event in finished.events("job_arrival"))


def test_a_miss_is_a_job_that_did_not_complete_within_its_slo(tmp_path: Path) -> None:
    finished = run(tmp_path, workload__slos=True, cluster__gpus={"v100": 1}, stop__rounds=400)
    over = [job for job in finished.jobs.values() if job["jct_s"] is not None]
    late = sum(job["jct_s"] > job["slo_s"] for job in over)
    end_s = finished.summary["sim_time_s"]
    overdue = sum(job["jct_s"] is None and job["arrival_s"] + job["slo_s"] < end_s for job in finished.jobs.values())
    assert finished.summary["slo_misses"] == late + overdue > 0
    assert all(event["slo_s"] > 0.0 for event in finished.events("job_arrival"))


@pytest.mark.parametrize(
    ("prices", "said"),
    [({"v100": 1.0}, "has no price of"), ({"v100": 1.0, "tpu": 1.0}, "names tpu"), ({"v100": 0.0}, "above 0")],
)
def test_prices_are_of_all_types_of_the_cluster(prices: dict[str, float], said: str) -> None:
    with pytest.raises(ScenarioError, match=said):
        load_scenario("philly", {"cluster.gpu_hour_prices": prices})


def test_generated_slos_are_1_2_or_2_or_10_times_the_duration_and_change_no_job() -> None:
    drawn = {}
    for slos in (False, True):
        scenario = load_scenario("philly", {"workload.jobs": 300, "workload.slos": slos, "stop.window": None})
        workload = build_workload(scenario, TYPES)
        drawn[slos] = workload.until(np.inf, Position(), Streams.of(scenario.seed))
    for plain, promised in zip(drawn[False], drawn[True], strict=True):
        assert plain.slo_s is None
        assert (plain.job_type, plain.total_steps, plain.arrival_s) == (
            promised.job_type, promised.total_steps, promised.arrival_s,
        )  # fmt: skip
    reference = ThroughputTable.builtin().for_types(("v100",))
    multiples = [
        job.slo_s / (job.total_steps / float(reference.row(job.job_type, int(job.scale_factor))[0]))
        for job in drawn[True]
        if job.slo_s is not None
    ]
    assert len(multiples) == 300
    counts = [sum(abs(each / multiple - 1.0) < 1e-9 for each in multiples) for multiple in (1.2, 2.0, 10.0)]
    assert sum(counts) == 300
    assert min(counts) > 60


def test_jobs_that_are_there_at_the_start_are_promised_a_multiple_of_what_they_have_left() -> None:
    overrides = {"workload.jobs": 1, "workload.initial_jobs": 20, "workload.slos": True, "stop.window": None}
    scenario = load_scenario("philly", overrides)
    jobs = build_workload(scenario, TYPES).until(np.inf, Position(), Streams.of(scenario.seed))
    assert all(job.slo in (1.2, 2.0, 10.0) and job.slo_s is not None and job.slo_s > 0.0 for job in jobs)


def test_the_slo_of_a_trace_is_kept_and_counts_in_durations_on_the_reference_type(tmp_path: Path) -> None:
    table = ThroughputTable.builtin()
    view, reference = table.for_types(("k80",)), table.for_types(("v100",))
    row = view.index("A3C", 1)
    jobs = [Arrival(0, "A3C", row, 1.0, 1.0, 5000.0, 0.0, slo=2.0), Arrival(1, "A3C", row, 1.0, 1.0, 5000.0, 1.0)]
    write_trace(jobs, tmp_path / "slos.trace")
    first, second = read_trace(tmp_path / "slos.trace", view, reference=reference)
    assert first.slo == 2.0
    assert first.slo_s == 2.0 * 5000.0 / float(reference.row("A3C", 1)[0])
    assert (second.slo, second.slo_s) == (None, None)
    (own, _) = read_trace(tmp_path / "slos.trace", view)
    assert own.slo_s == 2.0 * 5000.0 / float(view.row("A3C", 1)[0])
    write_trace(jobs, tmp_path / "cut.trace", truncate=True)
    assert [text.split("\t")[8] for text in (tmp_path / "cut.trace").read_text().splitlines()] == [
        "2.000000", "-1.000000",
    ]  # fmt: skip


def test_the_slos_that_a_policy_gives_up_are_told(tmp_path: Path) -> None:
    gpus = {"v100": 1}
    finished = run(
        tmp_path, workload__slos=True, cluster__gpus=gpus, cluster__gpu_hour_prices={"v100": 1.0},
        policy__name="max_sum_throughput_normalized_by_cost_perf_SLOs", stop__rounds=200,
    )  # fmt: skip
    told = finished.events("slos_given_up")
    assert told
    assert any(event["together"] for event in told)
    for event in told:
        assert event["passed"] == sorted(event["passed"])
    assert [event["passed"] for event in told] == sorted((event["passed"] for event in told), key=len)
