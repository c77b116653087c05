"""AlloX: who starts on the free GPUs, and who keeps the one it has."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from oracle import GAVEL, read, replay

from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry
from phasewise.sched.api import ClusterView
from phasewise.sched.building import build_parts
from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.solvers.session import Walk


def view_of(throughput: Any, capacity: list[float], steps: Any, job_id: Any = None) -> ClusterView:
    jobs = len(throughput)
    return ClusterView(
        now_s=0.0,
        worker_types=("k80", "p100", "v100")[: len(capacity)],
        capacity=np.array(capacity, dtype=np.float64),
        job_id=np.arange(jobs, dtype=np.int64) if job_id is None else np.array(job_id, dtype=np.int64),
        scale_factor=np.ones(jobs),
        priority_weight=np.ones(jobs),
        throughput=np.array(throughput, dtype=np.float64).reshape(jobs, len(capacity)),
        steps_remaining=np.array(steps, dtype=np.float64),
        since_arrival_s=np.zeros(jobs),
    )


def allocate(view: ClusterView, memory: object = None) -> tuple[np.ndarray, object]:
    allocation = registry.policy("allox").allocate(view, Walk.of("structured", {}, PhaseTimer()).solve, memory)
    return allocation.x, allocation.memory


def test_the_shortest_job_starts_and_the_longest_waits_longest() -> None:
    x, _ = allocate(view_of([[1.0]] * 3, [1], [300, 100, 200]))
    assert x[:, 0].tolist() == [0, 1, 0]


def test_a_job_in_service_keeps_its_gpu() -> None:
    _, memory = allocate(view_of([[1.0]] * 2, [1], [300, 200], job_id=[3, 7]))
    x, memory = allocate(view_of([[1.0]] * 3, [1], [300, 200, 1], job_id=[3, 7, 9]), memory)
    assert x[:, 0].tolist() == [0, 1, 0]
    x, _ = allocate(view_of([[1.0]] * 2, [1], [300, 1], job_id=[3, 9]), memory)
    assert x[:, 0].tolist() == [0, 1]


def test_a_slow_gpu_is_used_where_that_is_sooner_than_waiting() -> None:
    x, _ = allocate(view_of([[1, 3], [1, 3]], [1, 1], [300, 300]))
    assert x.sum() == 1  # after the other one's 100 s it would take 100 s more: better than 300 s
    x, _ = allocate(view_of([[2, 3], [2, 3]], [1, 1], [300, 300]))
    assert x.tolist() == [[0, 1], [1, 0]] or x.tolist() == [[1, 0], [0, 1]]


def test_a_job_that_can_run_nowhere_waits_and_is_in_nobody_s_way() -> None:
    x, _ = allocate(view_of([[0, 0], [1, 0], [0, 2]], [1, 1], [10, 10, 10]))
    assert x.tolist() == [[0, 0], [1, 0], [0, 1]]


@pytest.mark.oracle
def test_a_recorded_run_starts_the_jobs_that_the_original_started() -> None:
    name = "po_single_20_s9--4_2_2--g111--allox"
    recorded = read(replay(name))["allocations"]
    for case in read(GAVEL / "alloc" / f"{name}.json")["cases"]:
        ids = [job[0] for job in case["jobs"]]
        last = recorded[case["index"] - 1] if case["index"] else {"jobs": [], "x": []}
        pairs = zip(last["jobs"], last["x"], strict=True)
        served = sorted((job, int(np.argmax(x))) for (job,), x in pairs if max(x) > 0.0 and job in ids)
        memory = tuple(np.array(column, dtype=np.int64) for column in zip(*served, strict=True)) if served else None
        capacity = [case["cluster_spec"][kind] for kind in case["worker_types"]]
        x, _ = allocate(view_of(case["throughputs"], capacity, case["num_steps_remaining"], ids), memory)
        np.testing.assert_array_equal(x, case["x"])


@pytest.mark.parametrize(
    "overrides",
    [
        {"workload.scale_factors": "gavel"},
        {"workload.pods": "openb", "cluster.nodes": "openb", "timing.preset": "corrected"},
    ],
)
def test_a_scenario_with_jobs_of_other_sizes_is_refused_before_the_run(overrides: dict[str, object]) -> None:
    base = "philly" if "workload.scale_factors" in overrides else "alibaba"
    scenario = load_scenario(base, {"policy.name": "allox", **overrides})
    with pytest.raises(ScenarioError, match="policy allox is for jobs of one whole GPU each"):
        build_parts(scenario, PhaseTimer())
