"""What is described is what is written: tables, lines, summaries; and what the figures of schema 2 come to."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from small_runs import Job, Run, perform, run_trace

from phasewise.profiling.artefacts.line_fields import EVENTS, PROFILE, TELEMETRY
from phasewise.profiling.artefacts.run_columns import JOBS, PLACEMENTS, ROUNDS
from phasewise.profiling.artefacts.run_json import Drift, LostGpuTime, PhaseTimes, Rho, RunJson, Summary
from phasewise.profiling.artefacts.schemas import Field, Record, keys_of
from phasewise.profiling.errors import RecordError
from phasewise.profiling.phases import PHASES
from phasewise.sched.round.outcome import JobRecord
from phasewise.sched.scenario.loading import load_scenario

V100_ROUND = 7200.0  # steps of a job type "plain" that take a v100 one round of 360 s

KINDS: Mapping[str, Mapping[str, object]] = {
    "whole GPUs": {},
    "on nodes": {
        "placement.name": "fgd", "cluster.nodes": "cluster-h", "workload.pods": "openb",
        "workload.scale_factors": "single", "workload.scale_factor_cap": 0,
    },
    "moving costs": {"placement.name": "fgd", "migration.enabled": True},
    "the original's rules": {"timing.preset": "gavel", "policy.name": "fifo"},
}  # fmt: skip


@pytest.fixture(scope="module", params=list(KINDS))
def made(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Run:
    """Return a run of 40 rounds of one kind."""
    overrides = {"stop.rounds": 40, "output.trace": False, "output.profile_every": 10, **KINDS[request.param]}
    return perform(load_scenario("toy", overrides), tmp_path_factory.mktemp("run") / "out")


# -- what is written is what is described ----------------------------------------------------------------------------


@pytest.mark.parametrize("table", [JOBS, ROUNDS, PLACEMENTS], ids=lambda table: table.name)
def test_a_table_has_the_columns_that_are_described_in_their_order(table: Record, made: Run) -> None:
    types = sorted(made.record["layout"]["worker_types"])
    fields = table.columns(type=types, name=PHASES)
    schema = pq.read_schema(made.out / table.name)
    assert schema.names == [field.name for field in fields]
    assert [str(kind).replace("double", "float64") for kind in schema.types] == [field.type for field in fields]


def test_a_line_has_the_keys_that_are_described_and_null_only_where_that_is_said(made: Run) -> None:
    lines = [(record, EVENTS[record.pop("event")]) for record in made.lines("EVENT")]
    lines += [(line, record) for record in (PROFILE, TELEMETRY) for line in made.lines(record.name)]
    assert len(lines) > 80
    for line, record in lines:
        described = {field.name: field for field in record.fields}
        assert line.keys() <= described.keys()
        assert [name for name, field in described.items() if not field.null and line.get(name) is None] == []


def test_run_json_has_every_key_that_is_described_and_no_other(made: Run) -> None:
    assert list(made.record) == [field.name for field in keys_of(RunJson)]
    assert list(made.summary) == [field.name for field in keys_of(Summary)]
    assert made.summary["phases"]["policy"].keys() == {field.name for field in keys_of(PhaseTimes)}
    assert made.summary["lost_gpu_s"].keys() == {field.name for field in keys_of(LostGpuTime)}
    unsaid = [field.name for field in keys_of(Summary) if not field.null and made.summary[field.name] is None]
    assert unsaid == []


@pytest.mark.parametrize("struct", [RunJson, Summary, PhaseTimes, Rho, LostGpuTime, Drift])
def test_every_key_of_run_json_says_what_it_means(struct: type[Any]) -> None:
    assert all(field.meaning for field in keys_of(struct))


def test_a_line_with_a_key_that_is_not_described_is_refused_by_name() -> None:
    record = Record("MOOD", (Field("round", "int", "", "the round"), Field("why", "text", "", "why", null="unknown")))
    record.require({"round": 1})
    record.require({"round": 1, "why": None})
    with pytest.raises(RecordError, match=r"MOOD: .*not described: \['who'\]; .*missing: \['round'\]"):
        record.require({"why": "", "who": ""})


def test_a_name_that_stands_for_several_is_each_of_them() -> None:
    named = [field.name for field in ROUNDS.columns(type=("k80", "v100"), name=("policy",))]
    assert named.index("utilization_v100") == named.index("utilization_k80") + 1
    assert {"phase_policy_s", "phase_policy_cpu_s"} <= set(named)
    assert ROUNDS.describes("utilization_v100")
    assert not ROUNDS.describes("utilisation")


# -- the jobs that count ---------------------------------------------------------------------------------------------


def test_a_window_that_is_done_is_not_censored(tmp_path: Path) -> None:
    jobs = [Job(V100_ROUND), Job(2 * V100_ROUND), Job(10 * V100_ROUND)]
    summary = run_trace(tmp_path, jobs, {"v100": 3}, {"stop.window": [0, 2]}).summary
    assert (summary["window_jobs"], summary["window_done"], summary["censored"]) == (2, 2, False)
    assert summary["avg_jct_s"] == summary["avg_jct_lower_bound_s"] == 540.0


def test_unfinished_jobs_of_a_window_count_at_their_age_in_the_lower_bound(tmp_path: Path) -> None:
    jobs = [Job(V100_ROUND), Job(10 * V100_ROUND), Job(10 * V100_ROUND), Job(V100_ROUND, arrival_s=1e6)]
    overrides = {"stop.window": [0, 4], "stop.rounds": 3}
    summary = run_trace(tmp_path, jobs, {"v100": 3}, overrides).summary
    assert (summary["window_jobs"], summary["window_done"], summary["censored"]) == (4, 1, True)
    assert summary["avg_jct_s"] == 360.0
    assert summary["avg_jct_lower_bound_s"] == pytest.approx(
        (360.0 + 1080.0 + 1080.0) / 3
    )  # the fourth is not there yet


def test_without_a_window_all_that_arrived_count(tmp_path: Path) -> None:
    jobs = [Job(V100_ROUND), Job(10 * V100_ROUND), Job(V100_ROUND, scale_factor=4)]
    summary = run_trace(tmp_path, jobs, {"v100": 2}, {"stop.rounds": 2}).summary
    assert (summary["window_jobs"], summary["window_done"], summary["censored"]) == (3, 2, True)
    assert summary["avg_jct_lower_bound_s"] == pytest.approx((360.0 + 720.0) / 2)  # a refused job has no age


def test_a_mean_over_nothing_is_absent(tmp_path: Path) -> None:
    summary = run_trace(tmp_path, [Job(V100_ROUND, scale_factor=4)], {"v100": 1}).summary
    assert (summary["window_jobs"], summary["window_done"], summary["censored"]) == (1, 1, False)
    assert summary["avg_jct_s"] is summary["avg_jct_lower_bound_s"] is summary["goodput"] is None


# -- what a job came to ----------------------------------------------------------------------------------------------


def test_a_job_says_when_it_left_and_what_it_asked_for(tmp_path: Path) -> None:
    jobs = [Job(V100_ROUND), Job(10 * V100_ROUND), Job(V100_ROUND, scale_factor=4, arrival_s=100.0)]
    table = run_trace(tmp_path, jobs, {"v100": 2}, {"stop.rounds": 2}).jobs
    assert [table[job]["status"] for job in range(3)] == ["complete", "active", "refused"]
    assert [table[job]["end_s"] for job in range(3)] == [360.0, None, 360.0]  # seen at the start of a round
    assert [table[job]["demand_milli"] for job in range(3)] == [1000, 1000, 4000]
    assert [table[job]["ideal_s"] for job in range(2)] == [360.0, 3600.0]


def test_a_job_that_is_dropped_says_when(tmp_path: Path) -> None:
    run = run_trace(
        tmp_path,
        [Job(1.0, scale_factor=2), Job(20 * V100_ROUND)],
        {"v100": 3},
        {"timing.preset": "gavel", "stop.rounds": 9},
    )
    assert run.jobs[0]["status"] == "failed"
    failed = run.events("job_failed")[0]["round"]
    rounds = run.table("rounds")
    assert rounds["sim_time_s"][failed] <= run.jobs[0]["end_s"] <= rounds["end_s"][failed]


def test_rho_is_the_jct_over_the_time_on_an_isolated_share() -> None:
    job = JobRecord(
        job_id=0, job_type="plain", arrival_s=100.0, scale_factor=1.0, priority_weight=1.0, total_steps=1.0,
        completion_s=400.0, status="complete", rounds_run=1, moves=0, isolated_s=200.0, first_start_s=130.0,
    )  # fmt: skip
    assert (job.jct_s, job.rho, job.queued_s) == (300.0, 1.5, 30.0)
    assert job._replace(isolated_s=None).rho is job._replace(completion_s=None).rho is None
    assert job._replace(first_start_s=None).queued_s is None


def test_one_job_after_the_other_is_fair_to_the_first_and_not_to_the_second(tmp_path: Path) -> None:
    run = run_trace(tmp_path, [Job(V100_ROUND), Job(V100_ROUND)], {"v100": 1})
    # The first is done in 360 s, which half the GPU would have taken 720 s for; the second then is alone.
    assert [run.jobs[job]["rho"] for job in range(2)] == pytest.approx([0.5, 2.0])
    assert [run.jobs[job]["queued_s"] for job in range(2)] == [0.0, 360.0]
    assert [run.jobs[job]["run_s"] for job in range(2)] == [360.0, 360.0]
    assert run.summary["rho"] == pytest.approx(
        {"mean": 1.25, "p99": 1.985, "worst": 2.0, "share_above_1": 0.5, "jobs": 2}
    )
    assert (run.summary["queue_s_p50"], run.summary["queue_s_p95"]) == (180.0, 342.0)


@pytest.mark.parametrize("policy", ["isolated", "fifo", "max_min_fairness_perf", "max_min_fairness_water_filling_perf"])
def test_the_summary_has_the_fairness_of_the_window_under_every_policy(policy: str, tmp_path: Path) -> None:
    overrides = {"policy.name": policy, "stop.window": [2, 9], "workload.jobs": 12, "output.trace": False}
    run = perform(load_scenario("toy", overrides), tmp_path / "out")
    rho = np.array([run.jobs[job]["rho"] for job in range(2, 9)])
    told = run.summary["rho"]
    assert told["jobs"] == run.summary["jct_jobs"] == 7
    assert told["mean"] == pytest.approx(rho.mean())
    assert told["p99"] == pytest.approx(np.percentile(rho, 99))
    assert (told["worst"], told["share_above_1"]) == (rho.max(), (rho > 1).mean())
    waits = [run.jobs[job]["queued_s"] for job in range(2, 9)]
    assert run.summary["queue_s_p95"] == pytest.approx(np.percentile(waits, 95))


# -- where GPU time went ---------------------------------------------------------------------------------------------


def test_gpu_time_that_is_held_after_the_last_step_of_a_round_is_lost(tmp_path: Path) -> None:
    jobs = [Job(V100_ROUND / 4), Job(V100_ROUND)]  # 90 s and 360 s on two GPUs for one round of 360 s
    summary = run_trace(tmp_path, jobs, {"v100": 2}).summary
    assert summary["lost_gpu_s"] == {"migration": 0.0, "round_end": 270.0, "fragmented": 0.0, "no_work": 0.0}
    assert summary["goodput"] == pytest.approx((90.0 + 360.0) / 720.0)


def test_a_wait_for_the_next_arrival_is_no_time_in_which_gpus_are_held(tmp_path: Path) -> None:
    jobs = [Job(V100_ROUND), Job(V100_ROUND, arrival_s=10_000.0)]
    run = run_trace(tmp_path, jobs, {"v100": 1})
    assert run.summary["goodput"] == 1.0
    rounds = run.table("rounds")
    assert rounds["sim_time_s"][1:] == rounds["end_s"][:-1]


def test_gpu_time_in_which_a_job_moves_is_held_and_no_good(tmp_path: Path) -> None:
    overrides = {"migration.enabled": True, "stop.rounds": 60, "output.trace": False}
    run = perform(load_scenario("toy", overrides), tmp_path / "out")
    lost, rounds = run.summary["lost_gpu_s"], run.table("rounds")
    assert lost["migration"] == run.summary["migration_gpu_s"] > 0.0
    gpus = sum(run.record["scenario"]["cluster"]["gpus"].values())
    held = sum(
        (gpus - idle) * (end - start)
        for idle, start, end in zip(rounds["unallocated_gpus"], rounds["sim_time_s"], rounds["end_s"], strict=True)
    )
    assert run.summary["goodput"] == pytest.approx(1.0 - (lost["migration"] + lost["round_end"]) / held)
