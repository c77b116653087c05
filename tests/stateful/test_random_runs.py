"""Random clusters, workloads, rules and policies: whatever is run, the books balance when it ends.

Each run checks the invariants after every phase; what is checked here is what the run directory says.
"""

from __future__ import annotations

from collections import Counter
from itertools import pairwise
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import Job, Run, node_sizes, perform, run_trace

from phasewise.sched.registry import policy_options
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.workload.throughputs import ThroughputTable

PLACEMENTS = ("strided", "fgd", "random")
POLICIES = ("isolated", "fifo", "fifo_perf", "max_min_fairness", "max_min_fairness_perf")
GAVEL_TYPES, OTHER_TYPES = ("k80", "p100", "v100"), ("a100", "h100-sxm", "t4", "v100")
SLACK = 1.0 - 1e-9
Rates = dict[tuple[str, int], dict[str, float]]
fewer = settings(max_examples=settings.default.max_examples * 5 // 8)  # a run takes a tenth of a second or more


@st.composite
def choices(draw: st.DrawFn) -> dict[str, object]:
    """Return overrides that a random run shares, whatever its jobs come from."""
    preset = draw(st.sampled_from(["gavel", "corrected"]))
    types = GAVEL_TYPES if preset == "gavel" else OTHER_TYPES
    gpus = {name: draw(st.integers(0, 7)) for name in types}
    gpus = {name: count for name, count in gpus.items() if count} or {types[-1]: 1}
    policy, canonical = draw(st.sampled_from(POLICIES)), draw(st.booleans())
    chosen: dict[str, object] = {
        "timing.preset": preset,
        "cluster.gpus": gpus,
        "cluster.gpus_per_node": {name: draw(st.integers(1, 5)) for name in gpus},
        "policy.name": policy,
        "policy.canonical": canonical and "canonical" in policy_options(policy),
        "placement.name": draw(st.sampled_from(PLACEMENTS)),
        "timing.round_s": draw(st.sampled_from([360.0, 600.0, 37.5])),
        "output.chunk_rounds": draw(st.sampled_from([1, 2, 7, 512])),
        "seed": draw(st.integers(0, 2**20)),
    }
    if draw(st.booleans()):
        chosen["timing.reallocation_interval_s"] = draw(st.sampled_from([0.0, 500.0, 5000.0]))
    chosen["stop.rounds"] = draw(st.sampled_from([1, 5, 60, 150]))
    return chosen


@st.composite
def traced_runs(draw: st.DrawFn) -> tuple[dict[str, object], Rates, list[Job]]:
    """Return overrides, a throughput table with zeros, and a trace that may hold jobs that never fit."""
    chosen = draw(choices())
    rng = np.random.default_rng(int(str(chosen["seed"])))
    rates: Rates = {}
    for job_type in ("A", "B", "C"):
        for factor in (1, 2, 3, 4):
            rates[job_type, factor] = {
                name: float(rng.choice([0.0, 0.001, 0.7, 1.0, 12.5, 333.3]))
                if rng.random() < 0.8
                else rng.uniform(0, 99)
                for name in (*GAVEL_TYPES, *OTHER_TYPES)
            }
    jobs, arrival_s = [], 0.0
    gap_s = draw(st.sampled_from([0.0, 50.0, 700.0, 30_000.0]))
    for _ in range(draw(st.integers(1, 25))):
        kind = str(rng.choice(["A", "B", "C"])), int(rng.choice([1, 1, 1, 2, 3, 4]))
        rate = max(*rates[kind].values(), 0.001)
        steps = rate * float(rng.choice([0.01, 100.0, 1000.0, 20_000.0])) * rng.uniform(0.5, 1.5)
        steps = max(1.0, np.floor(steps)) if rng.random() < 0.5 else steps
        jobs.append(Job(float(steps), arrival_s, kind[1], float(rng.choice([1, 5])), kind[0]))
        arrival_s += float(rng.exponential(gap_s)) if gap_s else 0.0
    return chosen, rates, jobs


@pytest.mark.thorough
@fewer
@given(traced_runs())
def test_the_books_of_a_traced_run_balance(
    tmp_path_factory: pytest.TempPathFactory, drawn: tuple[dict[str, object], Rates, list[Job]]
) -> None:
    chosen, rates, jobs = drawn
    run = run_trace(tmp_path_factory.mktemp("run"), jobs, dict(chosen["cluster.gpus"]), chosen, rates)
    assert_books_balance(run)
    best = {
        index: max(rates[job.job_type, job.scale_factor][name] for name in dict(chosen["cluster.gpus"]))
        for index, job in enumerate(jobs)
    }
    assert_no_job_is_faster_than_its_best_type(run, best)
    if run.status == "complete":
        assert set(run.jobs) == set(range(len(jobs)))


@fewer
@given(choices(), st.sampled_from([0.0, 0.5, 6.0, 60.0]), st.booleans(), st.booleans(), st.integers(0, 6))
def test_the_books_of_a_generated_run_balance(
    tmp_path_factory: pytest.TempPathFactory,
    chosen: dict[str, object],
    rate_per_hour: float,
    multi_gpu: bool,
    priorities: bool,
    initial_jobs: int,
) -> None:
    gpus = {name: count for name, count in dict(chosen["cluster.gpus"]).items() if name in GAVEL_TYPES} or {"v100": 2}
    generated = {
        "workload.jobs": 20,
        "workload.rate_per_hour": rate_per_hour,
        "workload.scale_factors": "gavel" if multi_gpu else "single",
        "workload.scale_factor_cap": 4,
        "workload.priorities": priorities,
        "workload.initial_jobs": initial_jobs,
        "output.check_invariants": True,
        "output.trace": False,
    }
    per_node = {name: size for name, size in dict(chosen["cluster.gpus_per_node"]).items() if name in gpus}
    cluster = {"cluster.gpus": gpus, "cluster.gpus_per_node": per_node}
    run = perform(load_scenario("toy", {**chosen, **generated, **cluster}), tmp_path_factory.mktemp("run") / "out")
    assert_books_balance(run)
    table = ThroughputTable.builtin().for_types(tuple(sorted(gpus)))
    best = {id_: float(table.row(job["job_type"], int(job["scale_factor"])).max()) for id_, job in run.jobs.items()}
    assert_no_job_is_faster_than_its_best_type(run, best)


# -- the books -------------------------------------------------------------------------------------------------------


def assert_books_balance(run: Run) -> None:
    scenario, summary = run.record["scenario"], run.summary
    assert run.status == run.record["status"]
    assert run.status in ("complete", "stopped", "overloaded")
    assert run.status == "complete" or summary["rounds"] == scenario["stop"]["rounds"]
    assert_jobs_are_conserved(run.jobs, summary, run.status)
    cluster = scenario["cluster"]
    sizes = node_sizes(cluster["gpus"], cluster["gpus_per_node"])
    grid = run.grid(sizes)
    type_of_gpu = [name for name, count in sorted(cluster["gpus"].items()) for _ in range(count)]
    assert_rounds_agree_with_placements(run.table("rounds"), grid, run.jobs, type_of_gpu)
    assert_placements_add_up(run, grid)


def assert_jobs_are_conserved(jobs: dict[int, dict[str, Any]], summary: dict[str, Any], status: str) -> None:
    by_status = Counter(job["status"] for job in jobs.values())
    assert by_status.keys() <= {"complete", "failed", "refused", "active"}
    assert (by_status["complete"], by_status["failed"], by_status["refused"]) == (
        summary["jobs_completed"],
        summary["jobs_failed"],
        summary["jobs_refused"],
    )
    assert summary["jobs_arrived"] == len(jobs)
    assert set(jobs) == set(range(len(jobs))), "every job that arrived has one row"
    if status == "complete":
        assert by_status["active"] == 0
    for job in jobs.values():
        assert (job["completion_s"] is not None) == (job["status"] == "complete")
        assert job["status"] != "refused" or (job["rounds_run"], job["moves"]) == (0, 0)


def assert_rounds_agree_with_placements(
    rounds: dict[str, list[Any]], grid: np.ndarray, jobs: dict[int, dict[str, Any]], type_of_gpu: list[str]
) -> None:
    assert rounds["round"] == list(range(len(grid)))
    assert (np.diff(rounds["sim_time_s"]) >= 0).all()
    assert (np.diff(rounds["completed"]) >= 0).all()
    for index, cells in enumerate(grid.tolist()):
        held = Counter(cells)
        del held[-1]
        assert rounds["running"][index] == len(held)
        assert rounds["running"][index] + rounds["queued"][index] == rounds["active"][index]
        for id_, gpus in held.items():
            assert gpus == jobs[id_]["scale_factor"], "a running job holds as many GPUs as it needs"
            assert len({type_of_gpu[gpu] for gpu, each in enumerate(cells) if each == id_}) == 1, "all of one type"
        assert 0.0 <= rounds["utilization"][index] <= 1.0 + 1e-9


def assert_placements_add_up(run: Run, grid: np.ndarray) -> None:
    """Check rounds run, moves and leases of every job against who held what."""
    moves = Counter[int]()
    kept = 0
    for before, now in pairwise(grid):
        for id_ in set(before.tolist()) & set(now.tolist()) - {-1}:
            same = ((before == id_) == (now == id_)).all()
            kept += bool(same)
            moves[id_] += not same
    assert run.summary["moves"] == moves.total() == sum(run.table("rounds")["moves"])
    assert run.summary["lease_extensions"] == kept
    for id_, job in run.jobs.items():
        assert job["moves"] == moves[id_]
        assert job["rounds_run"] == (grid == id_).any(axis=1).sum()


def assert_no_job_is_faster_than_its_best_type(run: Run, best: dict[int, float]) -> None:
    makespan_s = run.summary["makespan_s"]
    for id_, job in run.jobs.items():
        if job["status"] == "complete":
            assert job["jct_s"] == job["completion_s"] - job["arrival_s"]
            rounding_s = 1e-9 * job["completion_s"]
            assert job["jct_s"] >= job["total_steps"] / best[id_] * SLACK - rounding_s
            assert job["completion_s"] <= makespan_s
            assert job["rounds_run"] > 0
