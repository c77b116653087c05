"""Jobs that ask for what pods ask for: the built-in table, CSV files, the draw, and what is refused."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from readers import Reader

from phasewise.sched.cluster.node_lists import build_layout
from phasewise.sched.cluster.requests import Request
from phasewise.sched.errors import ScenarioError, TraceError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.scenario.workloads import build_workload
from phasewise.sched.workload.arrivals import Arrival, Workload
from phasewise.sched.workload.generator import DISTRIBUTED, GeneratedWorkload, Recipe
from phasewise.sched.workload.pods import read_pod_mix
from phasewise.sched.workload.throughputs import ThroughputTable

TYPES = ("G2", "T4")
HEADER = "name,cpu_milli,memory_mib,num_gpu,gpu_milli,gpu_spec\n"
SHARED, WHOLE, FOUR = Request(4000, 230, 1, "", 1024), Request(8000, 1000, 1, "T4"), Request(9000, 1000, 4)


@pytest.fixture
def pod_list(tmp_path: Path) -> Path:
    path = tmp_path / "pods.csv"
    path.write_text(HEADER + "a,4000,1024,1,230,\nb,8000,0,1,1000,T4\nc,4000,1024,1,230,\nd,500,64,0,0,\n")
    return path


def drawn(mix: tuple[tuple[Request, int], ...], jobs: int, **changed: object) -> Reader:
    return reader_of(Recipe(seed=4, jobs=jobs, mean_gap_s=0.0, pods=mix, **changed))  # type: ignore[arg-type]


def reader_of(recipe: Recipe) -> Reader:
    return Reader(GeneratedWorkload(recipe, ThroughputTable.builtin(), TYPES), recipe.seed)


def jobs_of(workload: Workload, hours: float) -> list[Arrival]:
    return Reader(workload).until(3600.0 * hours)


def test_the_built_in_table_is_the_126_gpu_specifications_of_openb() -> None:
    mix = read_pod_mix("openb")
    assert (len(mix), sum(count for _, count in mix)) == (126, 7064)
    assert mix[0] == (Request(3152, 810, 1, "", 5600), 1047)
    assert [count for _, count in mix] == sorted((count for _, count in mix), reverse=True)
    assert sum(request.demand_milli * count for request, count in mix) == 6_086_800


def test_a_csv_gives_its_distinct_requests_and_pods_without_gpus_are_left_out(pod_list: Path) -> None:
    assert read_pod_mix(str(pod_list)) == ((SHARED, 2), (WHOLE, 1))


def test_a_job_asks_for_all_of_one_specification_and_its_scale_factor_is_its_part_of_gpus() -> None:
    jobs = drawn(((SHARED, 2), (WHOLE, 1), (FOUR, 1)), 4000).until(0.0)
    assert {(job.needs, job.scale_factor) for job in jobs} == {(SHARED, 0.23), (WHOLE, 1.0), (FOUR, 4.0)}
    assert sum(job.needs == SHARED for job in jobs) / 4000 == pytest.approx(0.5, abs=0.03)
    assert all(job.job_type in DISTRIBUTED for job in jobs if job.needs == FOUR)


def test_a_job_that_shares_a_gpu_has_the_speed_of_the_whole_one() -> None:
    reader = drawn(((SHARED, 1),), 50)
    throughputs = reader.workload.throughputs
    for job in reader.until(0.0):
        assert throughputs.rows[job.type_index].tolist() == throughputs.row(job.job_type, 1).tolist()


def test_durations_and_types_are_those_of_the_same_seed_without_pods() -> None:
    plain = reader_of(Recipe(seed=4, jobs=200, mean_gap_s=60.0))
    recipe = Recipe(seed=4, jobs=200, mean_gap_s=60.0, pods=((SHARED, 3), (WHOLE, 1)))
    shared = reader_of(recipe)
    assert [(job.job_type, job.total_steps, job.arrival_s) for job in plain.until(math.inf)] == [
        (job.job_type, job.total_steps, job.arrival_s) for job in shared.until(math.inf)
    ]


def test_initial_jobs_ask_for_pods_too() -> None:
    jobs = drawn(((SHARED, 1), (FOUR, 1)), 0, initial_jobs=400).until(0.0)
    assert len(jobs) == 400
    assert sum(job.needs == FOUR for job in jobs) / 400 == pytest.approx(0.5, abs=0.08)
    assert all(job.job_type in DISTRIBUTED for job in jobs if job.needs == FOUR)


def test_the_jobs_of_alibaba_have_the_demand_of_the_trace() -> None:
    scenario = load_scenario("alibaba")
    jobs = jobs_of(build_workload(scenario, build_layout(scenario.cluster).worker_types), 100)
    assert len(jobs) == pytest.approx(1700 + 6000, rel=0.05)
    assert np.mean([job.scale_factor for job in jobs]) == pytest.approx(6086.8 / 7064, rel=0.03)
    assert np.mean([job.needs.gpu_milli < 1000 for job in jobs]) == pytest.approx(3078 / 7064, abs=0.02)
    assert all(job.scale_factor == job.needs.demand_milli / 1000 for job in jobs)


def test_typical_requests_are_those_of_the_pods_with_gpus() -> None:
    tasks = drawn(((SHARED, 57), (WHOLE, 38), (FOUR, 5)), 1).workload.tasks
    assert tasks.requests == (SHARED._replace(memory_mib=0), WHOLE)
    assert tasks.share.tolist() == pytest.approx([0.6, 0.4])


@pytest.mark.parametrize(
    ("multi_gpu", "cap", "expected"),
    [
        (False, 0, {1: 1.0}),
        (True, 0, {1: 70 / 95, 4: 15 / 95, 2: 10 / 95}),
        (True, 2, {1: 0.7, 2: 0.3}),
    ],
)
def test_typical_requests_of_jobs_without_pods_follow_from_the_scale_factors(
    multi_gpu: bool, cap: int, expected: dict[int, float]
) -> None:
    tasks = drawn((), 1, multi_gpu=multi_gpu, scale_factor_cap=cap).workload.tasks
    assert [request[:3] for request in tasks.requests] == [(0, 1000, gpus) for gpus in expected]
    assert tasks.share.tolist() == pytest.approx(list(expected.values()))


@pytest.mark.parametrize(
    ("overrides", "told"),
    [
        (
            {"workload.pods": "openbb"},
            "workload.pods: 'openbb' is no pod list, did you mean 'openb'?; allowed: openb, spot2026, or",
        ),
        ({"workload.scale_factors": "gavel"}, 'workload.scale_factors: got "gavel" beside workload.pods "openb"'),
        (
            {"workload.scale_factor_cap": 4},
            'workload.scale_factor_cap: got 4 beside workload.pods "openb", which gives',
        ),
        ({"cluster.gpus": "T4=800"}, "75 of 7064 pods fit on no node, for example one of 8 GPUs, 64200 cpu_milli"),
        ({"cluster.gpus": "T4=800"}, "the largest nodes have 1 GPUs; cluster.gpus_per_node gives larger ones"),
    ],
)
def test_a_wrong_choice_of_pods_is_one_message(overrides: dict[str, object], told: str) -> None:
    with pytest.raises(ScenarioError) as caught:
        load_scenario("alibaba", overrides)
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("rows", "told"),
    [
        ("a,1000,64,0,0,\n", "no pod needs a GPU; allowed: a list of pods of which some do"),
        (
            "a,900000,64,1,500,\nb,1,1,1,1000,\n",
            "1 of 2 pods fit on no node, for example one of 0.5 GPUs, 900000 cpu_mi",
        ),
        ("a,1000,64,1,1000,H100\n", "1 of 1 pods can run nowhere, for example gpu_spec 'H100' names no worker type of"),
        (
            "a,1000,64,8,1000,P100|T4\n",
            "fit on no node of P100|T4, for example one of 8 GPUs, 1000 cpu_milli, 64 memory_",
        ),
        ("a,1000,64,8,500,\n", "pods.csv:2: "),
    ],
)
def test_a_wrong_pod_list_is_one_message(pod_list: Path, rows: str, told: str) -> None:
    pod_list.write_text(HEADER + rows)
    with pytest.raises(ScenarioError) as caught:
        load_scenario("alibaba", {"workload.pods": str(pod_list)})
    assert str(caught.value).startswith("workload.pods: ")
    assert told in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_number_of_gpus_without_throughputs_is_refused_before_the_first_job() -> None:
    with pytest.raises(ScenarioError, match="cannot draw its jobs: scale factor is 3 for"):
        drawn(((Request(1, 1000, 3), 1),), 1)


def test_one_odd_pod_among_thousands_is_let_through(pod_list: Path) -> None:
    pod_list.write_text(HEADER + "".join(f"{name},1,1,1,1000,\n" for name in range(1000)) + "odd,1,1,9,1000,\n")
    assert load_scenario("alibaba", {"workload.pods": str(pod_list)}).workload.pods == str(pod_list)


def test_a_trace_takes_the_place_of_pods(tmp_path: Path) -> None:
    trace = tmp_path / "one.trace"
    trace.write_text("A3C\tc\td\t-s\t0\t10\t1\t1\t-1\t0\n")
    scenario = load_scenario("alibaba", {"workload.trace": str(trace), "cluster.gpus": "T4=2"})
    (job,) = Reader(build_workload(scenario, ("T4",))).until(0.0)
    assert job.request is None


def test_reading_a_wrong_list_by_itself_names_the_line(pod_list: Path) -> None:
    pod_list.write_text(HEADER + "a,x,1,1,1000,\n")
    with pytest.raises(TraceError, match=r"pods\.csv:2: cpu_milli is 'x'"):
        read_pod_mix(str(pod_list))
