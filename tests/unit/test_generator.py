"""The generator: its streams, the initial jobs, and what it refuses to draw."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from readers import Reader

from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.scenario.workloads import build_workload
from phasewise.sched.workload.generator import DISTRIBUTED, JOB_TYPES, GeneratedWorkload, Recipe
from phasewise.sched.workload.throughputs import ThroughputTable

TYPES = ("k80", "p100", "v100")
MEAN_S = 60 * (0.8 * (10**3 - 10**1.5) / (1.5 * math.log(10)) + 0.2 * (10**4 - 10**3) / math.log(10))


def drawn(**changed: object) -> Reader:
    settings: dict[str, object] = {"seed": 0, "jobs": 10, "mean_gap_s": 0.0, **changed}
    recipe = Recipe(**settings)  # type: ignore[arg-type]
    return Reader(GeneratedWorkload(recipe, ThroughputTable.builtin(), TYPES), recipe.seed)


def durations_s(workload: Reader) -> list[float]:
    v100 = ThroughputTable.builtin().for_types(("v100",))
    jobs = workload.until(math.inf)
    return [job.total_steps / float(v100.row(job.job_type, int(job.scale_factor))[0]) for job in jobs]


def test_the_draw_knows_26_job_types_of_which_19_are_distributed() -> None:
    assert len(JOB_TYPES) == len(set(JOB_TYPES)) == 26
    assert len(DISTRIBUTED) == 19
    assert sorted(JOB_TYPES) == ThroughputTable.builtin().for_types(TYPES).job_types()


def test_at_rate_0_all_jobs_come_at_once_and_no_more() -> None:
    workload = drawn(jobs=5)
    assert [job.arrival_s for job in workload.until(0.0)] == [0.0] * 5
    assert (workload.workload.total, workload.next_arrival_s(), workload.until(1e12)) == (5, None, [])


def test_an_endless_workload_gives_what_has_come_and_names_the_next() -> None:
    workload = drawn(jobs=None, mean_gap_s=900.0)
    first = workload.until(1e5)
    assert workload.workload.total is None
    assert first[0].arrival_s == 0.0
    assert [job.job_id for job in first] == list(range(len(first)))
    assert first[-1].arrival_s <= 1e5 < (workload.next_arrival_s() or 0.0)
    assert workload.until(1e5) == []


def test_priorities_do_not_change_what_the_first_job_is() -> None:
    plain, weighted = drawn(jobs=1).until(0.0)[0], drawn(jobs=1, priorities=True).until(0.0)[0]
    assert (plain.job_type, plain.total_steps) == (weighted.job_type, weighted.total_steps)


def test_one_job_in_five_has_priority_weight_5() -> None:
    weights = [job.priority_weight for job in drawn(jobs=4000, priorities=True).until(0.0)]
    assert set(weights) == {1.0, 5.0}
    assert weights.count(5.0) / 4000 == pytest.approx(0.2, abs=0.02)


def test_only_distributed_types_get_several_gpus_and_never_more_than_the_cap() -> None:
    jobs = drawn(jobs=2000, multi_gpu=True, scale_factor_cap=4).until(0.0)
    assert {job.scale_factor for job in jobs} == {1.0, 2.0, 4.0}
    assert all(job.job_type in DISTRIBUTED for job in jobs if job.scale_factor > 1)
    assert sum(job.scale_factor == 1.0 for job in jobs) / 2000 == pytest.approx(0.7, abs=0.03)


def test_durations_have_the_published_mean() -> None:
    durations = durations_s(drawn(jobs=20_000, seed=7))
    assert sum(durations) / 20_000 == pytest.approx(MEAN_S, rel=0.05)
    assert abs(MEAN_S / 3600 - 16.8) < 0.05


def test_initial_jobs_come_first_at_time_0_and_leave_the_generated_ones_as_they_were() -> None:
    with_initial = drawn(jobs=None, mean_gap_s=900.0, initial_jobs=3).until(1e5)
    without = drawn(jobs=None, mean_gap_s=900.0).until(1e5)
    assert [job.job_id for job in with_initial] == list(range(len(with_initial)))
    assert [job.arrival_s for job in with_initial[:3]] == [0.0] * 3
    same = [(job.job_type, job.total_steps, job.arrival_s) for job in without]
    assert [(job.job_type, job.total_steps, job.arrival_s) for job in with_initial[3:]] == same


def test_initial_jobs_have_half_a_length_biased_duration_left() -> None:
    left = durations_s(drawn(jobs=0, initial_jobs=20_000))
    second_moment = 3600 * (0.8 * (10**6 - 10**3) / (3 * math.log(10)) + 0.2 * (10**8 - 10**6) / (2 * math.log(10)))
    assert sum(left) / 20_000 == pytest.approx(second_moment / MEAN_S / 2, rel=0.03)
    assert min(left) > 0.0


def test_jobs_that_fill_the_cluster_are_the_first_of_the_generated_ones_and_all_come_at_time_0() -> None:
    plain, filled = drawn(jobs=12, mean_gap_s=900.0), drawn(jobs=8, at_once=4, mean_gap_s=900.0)
    spread, at_once = plain.until(math.inf), filled.until(math.inf)
    assert len(at_once) == filled.workload.total == 12
    assert [(job.job_type, job.total_steps) for job in at_once] == [(job.job_type, job.total_steps) for job in spread]
    assert [job.arrival_s for job in at_once[:4]] == [0.0] * 4
    gaps = [job.arrival_s for job in spread]
    assert [job.arrival_s for job in at_once[4:]] == pytest.approx(gaps[1:9])  # the same gaps, from the fourth job on


def test_a_filled_cluster_starts_with_as_many_jobs_as_it_has_gpus() -> None:
    scenario = load_scenario("philly", {"workload.filled": True, "cluster.gpus": "v100=3,k80=2"})
    workload = build_workload(scenario, ("k80", "v100"))
    assert workload.total is None
    assert len(Reader(workload, scenario.seed).until(0.0)) == 5
    counted = load_scenario("philly", {"workload.filled": True, "workload.jobs": 42})
    assert build_workload(counted, TYPES).total == 108 + 42


def test_a_cluster_starts_with_whole_jobs_or_with_what_is_left_of_some() -> None:
    with pytest.raises(ScenarioError, match=r"workload\.filled.*beside workload\.initial_jobs 9"):
        load_scenario("philly", {"workload.filled": True, "workload.initial_jobs": 9})


def test_jobs_that_never_stop_need_a_rate() -> None:
    with pytest.raises(ScenarioError, match="need a rate above 0"):
        drawn(jobs=None)


def test_a_reference_type_that_the_table_lacks_names_the_known_ones() -> None:
    with pytest.raises(ScenarioError, match=r"reference_type is 'h100'.*allowed: A10, .*, k80, p100, v100"):
        drawn(reference_type="h100")


def test_a_reference_type_on_which_a_job_cannot_run_is_refused() -> None:
    with pytest.raises(ScenarioError, match=r"'k80', on which 'ResNet-50 \(batch size 128\)' with scale factor 2"):
        drawn(reference_type="k80", multi_gpu=True)


def test_a_cap_without_throughputs_is_refused_before_the_first_job() -> None:
    with pytest.raises(ScenarioError, match="cannot draw its jobs: scale factor is 3 for"):
        drawn(multi_gpu=True, scale_factor_cap=3)


def test_a_table_of_other_worker_types_serves_the_generator(tmp_path: Path) -> None:
    rows = [f"{name},1,{gpu},{rate}\n" for name in JOB_TYPES for gpu, rate in (("a100", 2.0), ("t4", 0.5))]
    path = tmp_path / "speeds.csv"
    path.write_text("job_type,scale_factor,gpu_type,steps_per_second\n" + "".join(rows))
    overrides = {"cluster.gpus": "t4=4,a100=2", "timing.preset": "corrected", "workload.throughputs": str(path)}
    with pytest.raises(ScenarioError, match=r"reference_type is 'v100'.*allowed: a100, t4"):
        build_workload(load_scenario("philly", overrides), ("a100", "t4"))
    scenario = load_scenario("philly", {**overrides, "workload.reference_type": "a100"})
    workload = build_workload(scenario, ("a100", "t4"))
    assert workload.throughputs.rows[Reader(workload).until(0.0)[0].type_index].tolist() == [2.0, 0.5]


def test_jobs_keep_coming_at_a_rate_unless_their_number_is_given() -> None:
    assert build_workload(load_scenario("philly"), TYPES).total is None
    assert build_workload(load_scenario("philly", {"workload.jobs": 50}), TYPES).total == 50
    both = {"workload.jobs": 50, "stop.window": "10:20"}
    assert build_workload(load_scenario("philly", both), TYPES).total == 50
    assert build_workload(load_scenario("philly", {**both, "workload.rate_per_hour": 0}), TYPES).total == 50


def test_a_window_beyond_the_trace_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.trace"
    path.write_text("A3C\tc\td\t-s\t0\t10\t1\t1\t-1\t0\n")
    scenario = load_scenario("philly", {"workload.trace": str(path), "stop.window": "0:2"})
    with pytest.raises(ScenarioError, match=r"stop\.window is 0:2, but only 1 jobs come; allowed: A:B with A < B <= 1"):
        build_workload(scenario, TYPES)
