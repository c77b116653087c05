"""Whole runs with our own allocations against those of the original."""

from __future__ import annotations

from typing import Any

import pytest
from oracle import GAVEL, names, read

from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate

pytestmark = pytest.mark.thorough

EXACT = ("isolated", "fifo_perf")
PACKED_EXACT = ("fifo_packed", "gandiva")  # what the original draws is drawn again
FINISH_TIME = ("finish_time_fairness", "finish_time_fairness_perf")
TOTAL_DURATION = ("min_total_duration", "min_total_duration_perf")
MAX_MIN = ("max_min_fairness", "max_min_fairness_perf")
MAX_SUM = ("max_sum_throughput_perf", "max_sum_throughput_normalized_by_cost_perf")
ALLOX = ("allox",)
UNLIKE = "st_single_20_s1--4_2_2--g111--allox"  # at one allocation, the order of columns decides who stands deepest


def cases(policies: tuple[str, ...]) -> list[str]:
    """Return the names of the original's runs of these policies."""
    kept = [name for name in names(GAVEL / "results") if name.split("--")[3] in policies]
    return [name for name in kept if not name.endswith("gcp_slo")]  # whose price tables are not given


def over_time(policies: tuple[str, ...]) -> list[Any]:
    """Return the runs of these policies as parameters, the longest for the night alone."""
    night = pytest.mark.nightly
    return [pytest.param(name, marks=night if name.startswith("po_prio4") else ()) for name in cases(policies)]


def second_opinion(policies: tuple[str, ...]) -> list[Any]:
    """Return the runs of these policies as parameters: two traces by day, all by night."""
    by_day, night = ("st_single_20_s1", "st_multi_30_s2"), pytest.mark.nightly
    return [pytest.param(name, marks=() if name.startswith(by_day) else night) for name in cases(policies)]


def run_case(name: str, solver: str) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return our summary of a case, and the original's result."""
    result = read(GAVEL / "results" / f"{name}.json")
    overrides = {
        "workload.trace": str(GAVEL / "traces" / result["trace"]),
        "cluster.gpus": result["cluster_spec"],
        "cluster.gpus_per_node": result["num_gpus_per_server"],
        "policy.name": result["policy"],
        "solver.name": solver,
        "timing.preset": "gavel",
        "seed": result["seed"],
    }
    if "cost" in result["policy"]:
        (first, *_) = read(GAVEL / "alloc" / f"{name}.json")["cases"]
        overrides["cluster.gpu_hour_prices"] = first["instance_costs"]
    return simulate(load_scenario("philly", overrides), None).summary, result


@pytest.mark.oracle
@pytest.mark.parametrize("name", cases(EXACT))
def test_a_policy_without_a_solver_is_equal_to_the_original(name: str) -> None:
    ours, theirs = run_case(name, "highs-direct")
    assert ours["avg_jct_s"] == pytest.approx(theirs["avg_jct_s"], rel=1e-9)
    assert ours["makespan_s"] == pytest.approx(theirs["makespan_s"], rel=1e-9)
    assert ours["allocations"] == theirs["num_allocations"]


@pytest.mark.oracle
@pytest.mark.parametrize("name", cases(PACKED_EXACT))
def test_a_policy_that_packs_without_a_solver_retraces_the_original_to_the_last_bit(name: str) -> None:
    ours, theirs = run_case(name, "highs-direct")
    assert ours["avg_jct_s"] == theirs["avg_jct_s"]
    assert ours["makespan_s"] == theirs["makespan_s"]
    assert ours["allocations"] == theirs["num_allocations"]
    assert ours["lease_extensions"] == theirs["lease_extensions"]


@pytest.mark.oracle
@pytest.mark.parametrize("name", cases(MAX_MIN))
def test_max_min_fairness_with_ecos_retraces_the_original(name: str) -> None:
    # Far tighter than the 0.5 % that is asked for: same solver, same statement of the problem, same schedule.
    ours, theirs = run_case(name, "ecos")
    assert ours["avg_jct_s"] == pytest.approx(theirs["avg_jct_s"], rel=1e-9)
    assert ours["allocations"] == theirs["num_allocations"]


@pytest.mark.oracle
@pytest.mark.parametrize("name", second_opinion(MAX_MIN))
def test_max_min_fairness_with_clarabel_is_within_half_a_per_cent(name: str) -> None:
    ours, theirs = run_case(name, "clarabel")
    assert ours["avg_jct_s"] == pytest.approx(theirs["avg_jct_s"], rel=5e-3)


@pytest.mark.oracle
@pytest.mark.parametrize("name", second_opinion(MAX_MIN))
def test_max_min_fairness_at_a_vertex_is_within_five_per_cent(name: str) -> None:
    ours, theirs = run_case(name, "highs-direct")
    assert ours["avg_jct_s"] == pytest.approx(theirs["avg_jct_s"], rel=5e-2)


@pytest.mark.oracle
@pytest.mark.parametrize("name", over_time(FINISH_TIME))
def test_finish_time_fairness_with_ecos_is_within_half_a_per_cent(name: str) -> None:
    ours, theirs = run_case(name, "ecos")
    assert ours["avg_jct_s"] == pytest.approx(theirs["avg_jct_s"], rel=5e-3)


@pytest.mark.oracle
@pytest.mark.parametrize("name", over_time(TOTAL_DURATION))
def test_the_makespan_of_least_total_duration_is_within_the_originals_bisection(name: str) -> None:
    ours, theirs = run_case(name, "highs-direct")
    assert ours["makespan_s"] == pytest.approx(theirs["makespan_s"], rel=5e-2)


@pytest.mark.oracle
@pytest.mark.parametrize("name", cases(MAX_SUM))
def test_the_largest_sum_with_ecos_retraces_the_original(name: str) -> None:
    ours, theirs = run_case(name, "ecos")
    assert ours["avg_jct_s"] == pytest.approx(theirs["avg_jct_s"], rel=1e-9)
    assert ours["allocations"] == theirs["num_allocations"]


@pytest.mark.oracle
@pytest.mark.parametrize("name", cases(MAX_SUM))
def test_the_largest_sum_at_a_vertex_is_within_five_per_cent(name: str) -> None:
    ours, theirs = run_case(name, "structured")
    assert ours["avg_jct_s"] == pytest.approx(theirs["avg_jct_s"], rel=5e-2)


@pytest.mark.oracle
@pytest.mark.parametrize("name", cases(ALLOX))
def test_allox_retraces_the_original_where_no_tie_decides(name: str) -> None:
    ours, theirs = run_case(name, "structured")
    assert ours["avg_jct_s"] == pytest.approx(theirs["avg_jct_s"], rel=5e-3 if name == UNLIKE else 1e-9)


@pytest.mark.parametrize(
    ("policy", "published_s"),
    [("max_min_fairness_perf", 57171.41), ("max_min_fairness", 73063.45)],
)
def test_the_50_job_check_of_the_publication_holds(policy: str, published_s: float) -> None:
    # 50 generated jobs at once on 36 GPUs of each type, seed 0. The agnostic problem is degenerate, and the original
    # itself gives 73057.50 on another machine: a tenth of a per cent covers all six solvers tried with it.
    overrides = {
        "workload.jobs": 50, "workload.rate_per_hour": 0, "policy.name": policy, "solver.name": "ecos", "seed": 0,
        "cluster.gpus": "v100=36,p100=36,k80=36", "timing.preset": "gavel",
    }  # fmt: skip
    summary = simulate(load_scenario("philly", overrides), None).summary
    assert summary["jobs_completed"] == 50
    assert summary["avg_jct_s"] == pytest.approx(published_s, rel=1e-3 if policy == "max_min_fairness" else 1e-6)
