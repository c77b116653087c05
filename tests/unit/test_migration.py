"""What moving costs: by the model, in a job's progress, in the objective, and in what a run tells."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from small_runs import Job, Run, run_trace

from phasewise.sched import registry
from phasewise.sched.api import Assignment, ClusterView, Holding
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.errors import ScenarioError
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.migration import MigrationModel, checkpoint_sizes_mb
from phasewise.sched.scenario.config import Cluster, Migration
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate
from phasewise.sched.workload.arrivals import Arrival
from phasewise.sched.workload.throughputs import ThroughputTable
from phasewise.solvers.api import Solution, Status
from phasewise.solvers.problems import AllocationProblem

K80, V100 = 0, 1
FREE = {"plain": 0.0}


def model(fixed_s: float = 90.0, warm_discount: float = 0.5, patience: float = 0.0) -> MigrationModel:
    chosen = Migration(
        enabled=True, fixed_s=fixed_s, warm_discount=warm_discount, checkpoint_mb=FREE, patience=patience
    )
    built = MigrationModel.build(chosen, ["plain"])
    assert built is not None
    return built


def one_job() -> JobTable:
    """Return a table with one job that has never run."""
    jobs = JobTable(ClusterLayout.build(Cluster(gpus={"k80": 2, "v100": 2})))
    jobs.admit([Arrival(0, "plain", 0, 1.0, 1.0, 1e6, 0.0)], np.ones((1, 2)), 180.0, [0])
    return jobs


def in_round(jobs: JobTable, migration: MigrationModel, kind: int, *, moved: bool = False) -> float:
    """Let the job run on ``kind`` (-1: not at all) for a round of 360 s; return the seconds it pays."""
    on = np.array([kind], np.int64)
    assignment = Assignment(Holding.nothing(1), on, np.array([moved]), int(moved), 0, 0)
    migration.begin(jobs, assignment)
    jobs.worker_type[:] = on
    jobs.rounds_run += on >= 0
    return float(migration.pay(jobs, assignment, 360.0)[0])


# -- the model ---------------------------------------------------------------------------------------------------


def test_every_job_type_of_the_built_in_table_has_a_checkpoint_size() -> None:
    job_types = ThroughputTable.builtin().for_types(("v100",)).names
    built = MigrationModel.build(Migration(enabled=True, fixed_s=10.0, bandwidth_mb_per_s=100.0), job_types)
    assert built is not None
    of = dict(zip(job_types, built.full_s, strict=True))
    assert of["Transformer (batch size 64)"] == pytest.approx(10.0 + 65.0 * 12 / 100.0)
    assert of["LM (batch size 5)"] == pytest.approx(10.0 + 13.993 * 4 / 100.0)
    assert min(checkpoint_sizes_mb().values()) > 1.0


def test_a_checkpoint_size_is_given_by_job_type_before_family_before_the_table() -> None:
    given = {"LM": 1000.0, "LM (batch size 5)": 50.0}
    chosen = Migration(enabled=True, fixed_s=0.0, bandwidth_mb_per_s=10.0, checkpoint_mb=given)
    built = MigrationModel.build(chosen, ["LM (batch size 5)", "LM (batch size 10)", "A3C"])
    assert built is not None
    np.testing.assert_allclose(built.full_s, [5.0, 100.0, 0.589 * 12 / 10.0])


def test_a_job_type_without_a_checkpoint_size_is_refused_with_the_key_to_give() -> None:
    with pytest.raises(ScenarioError, match=r"migration.checkpoint_mb: no checkpoint size .* 'Bert \(batch size 8\)'"):
        MigrationModel.build(Migration(enabled=True), ["Bert (batch size 8)"])


def test_without_migration_there_is_no_model() -> None:
    assert MigrationModel.build(Migration(), ["Bert"]) is None


def test_only_a_start_on_other_gpus_or_after_a_pause_is_paid_and_less_where_the_job_ran_before() -> None:
    jobs, migration = one_job(), model(fixed_s=100.0, warm_discount=0.75)
    assert in_round(jobs, migration, K80) == 0.0  # the first start of all
    assert in_round(jobs, migration, K80) == 0.0  # stays
    assert in_round(jobs, migration, V100, moved=True) == 100.0
    assert in_round(jobs, migration, V100) == 0.0
    assert in_round(jobs, migration, V100, moved=True) == 25.0  # other GPUs of the same type
    assert in_round(jobs, migration, -1) == 0.0
    assert in_round(jobs, migration, K80) == 25.0  # resumes where it was once before


def test_what_a_round_cannot_hold_is_paid_in_the_next_and_a_new_start_forgets_it() -> None:
    jobs, migration = one_job(), model(fixed_s=900.0)
    in_round(jobs, migration, K80)
    assert [in_round(jobs, migration, V100, moved=first) for first in (True, False, False, False)] == [360, 360, 180, 0]
    assert in_round(jobs, migration, K80, moved=True) == 360.0  # of 450, warm
    assert in_round(jobs, migration, V100, moved=True) == 360.0
    assert in_round(jobs, migration, V100) == 90.0  # of its own 450; the 90 of the start before are gone


def test_a_start_stands_back_by_its_cost_up_to_eightfold_and_a_job_in_place_never() -> None:
    jobs = one_job()
    np.testing.assert_array_equal(model(patience=5.0).favour(jobs, 360.0), [[1.0, 1.0]])  # its first start is free
    in_round(jobs, model(), K80)
    np.testing.assert_allclose(model(36.0, patience=5.0).favour(jobs, 360.0), [[1.0, np.exp(-0.5)]])
    np.testing.assert_allclose(model(900.0, patience=5.0).favour(jobs, 360.0), [[1.0, 0.125]])
    np.testing.assert_array_equal(model(900.0, patience=0.0).favour(jobs, 360.0), [[1.0, 1.0]])


# -- progress ----------------------------------------------------------------------------------------------------

SHARED = [Job(steps=72_000), Job(steps=72_000)]  # an hour each on a v100, taking turns


def shared(folder: Path, preset: str = "corrected", **keys: object) -> Run:
    migration = {f"migration.{key}": value for key, value in keys.items()}
    given = {"migration.enabled": True, "migration.checkpoint_mb": FREE, "migration.patience": 0.0}
    rules = {"policy.name": "isolated", "timing.preset": preset, "timing.reallocation_interval_s": 0.0}
    return run_trace(folder, SHARED, {"v100": 1}, {**rules, **given, **migration})


@pytest.mark.parametrize("preset", ["corrected", "gavel"])
@pytest.mark.parametrize("fixed_s", [0.0, 60.0, 120.0, 700.0])
def test_the_time_a_run_takes_is_its_work_and_its_migrations(tmp_path: Path, preset: str, fixed_s: float) -> None:
    run = shared(tmp_path, preset, fixed_s=fixed_s)
    summary = run.summary
    assert summary["jobs_completed"] == 2
    assert summary["jobs_failed"] == 0
    assert (summary["migration_s"] > 0.0) == (fixed_s > 0.0)
    assert summary["makespan_s"] == pytest.approx(7200.0 + summary["migration_s"])
    assert summary["utilization"] == pytest.approx(1.0)  # GPUs are held while a job moves
    assert sum(run.table("rounds")["migration_s"]) == pytest.approx(summary["migration_s"])
    assert sum(line.get("migration_s", 0.0) for line in run.lines("TELEMETRY")) == pytest.approx(summary["migration_s"])


def test_a_job_whose_whole_round_goes_into_its_move_holds_its_gpus_and_has_not_failed(tmp_path: Path) -> None:
    run = shared(tmp_path, fixed_s=500.0, warm_discount=0.0, patience=5.0)
    paid_s = run.table("rounds")["migration_s"]
    whole = [index for index, seconds in enumerate(paid_s) if seconds == 360.0]
    assert whole
    for index in whole:
        assert paid_s[index + 1] == 140.0
        assert run.table("rounds")["utilization"][index] == 1.0
    assert run.summary["jobs_failed"] == 0
    assert run.summary["makespan_s"] == pytest.approx(7200.0 + run.summary["migration_s"])


def test_each_resumption_takes_the_warm_part_of_the_cost_from_the_round(tmp_path: Path) -> None:
    run = shared(tmp_path, fixed_s=120.0, warm_discount=0.5)
    assert set(run.table("rounds")["migration_s"]) == {0.0, 60.0}
    assert run.summary["migration_s"] == 60.0 * run.summary["migrations"]
    gang = run_trace(
        tmp_path / "gang",
        [Job(144_000, scale_factor=2), Job(144_000, scale_factor=2)],
        {"v100": 2},
        {"policy.name": "isolated", "migration.enabled": True, "migration.checkpoint_mb": FREE},
    ).summary
    assert gang["migration_gpu_s"] == 2.0 * gang["migration_s"] > 0.0


def test_without_migration_its_other_keys_change_nothing(tmp_path: Path) -> None:
    plain = run_trace(tmp_path / "a", SHARED, {"v100": 1}, {"policy.name": "isolated"})
    off = shared(tmp_path / "b", enabled=False, fixed_s=500.0, weight=9.0)
    for table in ("jobs", "placements"):
        assert (plain.out / f"{table}.parquet").read_bytes() == (off.out / f"{table}.parquet").read_bytes()
    assert set(off.table("rounds")["migration_s"]) == {0.0}
    assert not any("migration_s" in line for line in off.lines("TELEMETRY"))


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_the_dearer_a_start_the_fewer_there_are(seed: int) -> None:
    starts = []
    for fixed_s in (0.0, 15.0, 45.0, 90.0, 180.0, 360.0):
        scenario = load_scenario(
            "toy",
            {
                "seed": seed,
                "cluster.gpus": "v100=4,p100=4,k80=4",
                "workload.jobs": 24,
                "workload.rate_per_hour": 0.0,
                "policy.canonical": True,
                "timing.preset": "corrected",
                "migration.enabled": True,
                "migration.fixed_s": fixed_s,
                "stop.rounds": 40,
                "output.check_invariants": True,
            },
        )
        starts.append(simulate(scenario, None).summary["migrations"])
    assert starts == sorted(starts, reverse=True)
    assert starts[0] > 2 * starts[-1]


# -- the objective -----------------------------------------------------------------------------------------------


def stated(policy: str, options: PolicyOptions, **moving: np.ndarray) -> AllocationProblem:
    """Return the problem that the policy states for two jobs that can run and one that cannot."""
    view = ClusterView(
        now_s=0.0,
        worker_types=("k80", "v100"),
        capacity=np.array([1.0, 1.0]),
        job_id=np.arange(3),
        scale_factor=np.ones(3),
        priority_weight=np.ones(3),
        throughput=np.array([[1.0, 2.0], [0.0, 0.0], [1.0, 3.0]]),
        steps_remaining=np.full(3, 1e3),
        since_arrival_s=np.zeros(3),
        **moving,
    )
    problems: list[AllocationProblem] = []

    def solve(problem: AllocationProblem) -> Solution:
        problem.validate()
        problems.append(problem)
        x = np.zeros((problem.jobs, problem.types))
        return Solution("none", Status.OPTIMAL, x, 0.0, None, None, 0.0, 0.0, 0, None)

    registry.policy(policy, options).allocate(view, solve, None)
    (problem,) = problems
    return problem


MOVING = {
    "previous": np.array([[0.5, 0.5], [0.0, 0.0], [0.0, 0.25]]),
    "migration_s": np.array([[45.0, 90.0], [7.0, 7.0], [0.0, 0.0]]),
}


@pytest.mark.parametrize("policy", ["max_min_fairness", "max_min_fairness_perf"])
def test_a_max_min_policy_pays_for_leaving_the_allocation_in_force(policy: str) -> None:
    problem = stated(policy, PolicyOptions(move_weight=2.0 / 360.0), **MOVING)
    assert problem.family == "max_min_switching"
    np.testing.assert_array_equal(problem.previous, [[0.5, 0.5], [0.0, 0.25]])
    np.testing.assert_allclose(problem.move_cost, [[0.125, 0.25], [0.0, 0.0]])  # 2 / 360 * 45 s / 2 jobs


@pytest.mark.parametrize("policy", ["max_min_fairness", "max_min_fairness_perf"])
def test_the_problem_is_plain_where_moving_is_free_or_weighs_nothing(policy: str) -> None:
    assert stated(policy, PolicyOptions(), **MOVING).family == "max_min"
    assert stated(policy, PolicyOptions(move_weight=2.0 / 360.0)).family == "max_min"
