"""A run that is cut short, again and again and however that comes, ends as if it never had been."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from broken_runs import failed, interrupted, killed, require_the_same, resumed, stopped
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule, run_state_machine_as_test

from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.loading import load_scenario

EVERY = 9  # rounds between two barriers
SMALL = {
    "workload.jobs": 12,
    "workload.rate_per_hour": 9.0,
    "stop.window": "none",
    "cluster.gpus": "v100=3,p100=3,k80=4",
    "output.checkpoint_rounds": EVERY,
    "output.chunk_rounds": 5,  # neither divides the other: chunks end at barriers and between them
    "output.profile_every": 7,
    "output.trace": False,
    "stop.rounds": 90,
}
NODES = {
    "workload.pods": "openb",
    "workload.scale_factors": "single",
    "workload.scale_factor_cap": 0,
    "cluster.gpus": "v100=16,k80=8",
    "cluster.gpus_per_node": "v100=8,k80=8",
}
GANGS = {
    "workload.scale_factors": "gavel",
    "workload.scale_factor_cap": 8,
    "cluster.gpus": "v100=8,k80=8",
    "cluster.gpus_per_node": "v100=2,k80=3",
}
PRICES = {"cluster.gpu_hour_prices": {"v100": 2.5, "p100": 1.5, "k80": 0.5}, "workload.slos": True}
GAVEL = {"timing.preset": "gavel"}
MOVING = {"migration.enabled": True}
BUSY = {"workload.rate_per_hour": 30.0, "stop.rounds": 40}
KINDS: Mapping[str, Mapping[str, object]] = {
    "fifo": {"policy.name": "fifo", "workload.scale_factors": "gavel", "workload.scale_factor_cap": 4},
    "fifo as the original": {"policy.name": "fifo", **GAVEL},
    "isolated as the original": {"policy.name": "isolated", "workload.initial_jobs": 5, **GAVEL},
    "max-min": {"policy.name": "max_min_fairness_perf", "solver.name": "structured", "workload.priorities": True},
    "max-min, whole and near": {"policy.canonical": True, "policy.options.sparse": True, **NODES},
    "max-min as the original, warm": {"policy.name": "max_min_fairness", "solver.name": "highs-warm", **GAVEL},
    "max-min by cached programs": {"solver.name": "cvxpy-dpp:CLARABEL", "stop.rounds": 40},
    "water filling": {"policy.name": "max_min_fairness_water_filling_perf"},
    "finish-time fairness": {"policy.name": "finish_time_fairness_perf"},
    "finish-time fairness as the original": {"policy.name": "finish_time_fairness", **GAVEL},
    "least duration": {"policy.name": "min_total_duration_perf"},
    "largest sum": {"policy.name": "max_sum_throughput_perf", **GAVEL},
    "promised rates": {"policy.name": "max_sum_throughput_normalized_by_cost_perf_SLOs", **PRICES},
    "queues": {"policy.name": "allox", "workload.scale_factors": "single", "workload.scale_factor_cap": 0},
    "moving costs": MOVING,
    "random pairs": {"policy.name": "gandiva", "workload.rate_per_hour": 30.0},
    "random pairs as the original, moving costs": {"policy.name": "gandiva", **GAVEL, **MOVING},
    "pairs on nodes": {"policy.name": "gandiva", "placement.name": "best_fit", **NODES, "workload.rate_per_hour": 90.0},
    "max-min, packed, moving costs": {"policy.name": "max_min_fairness_packed", **BUSY, **MOVING},
    "max-min, packed, as the original": {"policy.name": "max_min_fairness_packed", **BUSY, **GAVEL},
    "water filling, packed": {"policy.name": "max_min_fairness_water_filling_packed", **BUSY},
    "finish-time fairness, packed": {"policy.name": "finish_time_fairness_packed", **BUSY},
    "least duration, packed": {"policy.name": "min_total_duration_packed", **BUSY, **MOVING},
    "first in, first out, packed": {"policy.name": "fifo_packed", "workload.rate_per_hour": 30.0},
    "fgd": {"placement.name": "fgd", **NODES},
    "gangs": {"placement.name": "fgd", **GANGS, **MOVING},
    "gangs in pairs": {"policy.name": "gandiva", "placement.name": "best_fit", **GANGS, "workload.rate_per_hour": 90.0},
    "fgd, moving costs": {"placement.name": "fgd", "policy.name": "fifo_perf", **NODES, **MOVING},
    "best fit as the original": {"placement.name": "best_fit", **NODES, **GAVEL},
    "random nodes": {"placement.name": "random", **NODES, **MOVING},
    "dot product": {"placement.name": "dot_product", "policy.name": "isolated", **NODES},
    "packing": {"placement.name": "gpu_packing", "policy.name": "finish_time_fairness_perf", **NODES},
    "clustering": {"placement.name": "gpu_clustering", **NODES},
}
SCALES: Mapping[str, Mapping[str, object]] = {
    "philly": {"cluster.gpus": "v100=6,p100=6,k80=6", "workload.rate_per_hour": 2.0, "stop.window": "4:14"},
    "alibaba": {"cluster.nodes": "cluster-h", "workload.jobs": 60, "stop.window": "none", "workload.initial_jobs": 20},
}


def scenario_of(kind: str, seed: int) -> Scenario:
    if kind in SCALES:
        output = {key: value for key, value in SMALL.items() if key.startswith("output.")}
        return load_scenario(kind, {**output, **SCALES[kind], "stop.rounds": 60, "seed": seed})
    return load_scenario("toy", {**SMALL, **KINDS[kind], "seed": seed})


class Breaks(RuleBasedStateMachine):
    """A run of one kind: every rule goes on with it, and cuts it short another way."""

    def __init__(self, kind: str, folder: Path) -> None:
        super().__init__()
        self.kind, self.folder = kind, folder
        self.out = folder / "broken"
        shutil.rmtree(self.out, ignore_errors=True)

    @initialize(seed=st.integers(0, 2))
    def begin(self, seed: int) -> None:
        self.scenario = scenario_of(self.kind, seed)
        self.whole = self.folder / f"whole-{seed}"
        if not self.whole.exists():
            resumed(self.scenario, self.whole)

    @rule(rounds=st.integers(1, 40))
    def interrupt(self, rounds: int) -> None:
        interrupted(self.scenario, self.out, rounds)

    @rule(lines=st.integers(1, 150))
    def fail(self, lines: int) -> None:
        failed(self.scenario, self.out, lines)

    @rule(operations=st.integers(0, 180))
    def kill(self, operations: int) -> None:
        killed(self.scenario, self.out, operations)

    @rule(rounds=st.integers(1, 40))
    def stop(self, rounds: int) -> None:
        stopped(self.scenario, self.out, rounds)

    def teardown(self) -> None:
        if hasattr(self, "whole"):
            resumed(self.scenario, self.out)
            require_the_same(self.out, self.whole)


def broken(kind: str, folder: Path, examples: int) -> None:
    """Run a few of the many ways to cut a run of this kind short three times."""
    checked = settings(
        max_examples=examples,
        stateful_step_count=3,
        deadline=None,
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )
    run_state_machine_as_test(lambda: Breaks(kind, folder), settings=checked)


@pytest.mark.thorough
@pytest.mark.parametrize("kind", [*KINDS, *SCALES])
def test_a_run_cut_short_three_times_ends_as_one_that_never_was(kind: str, tmp_path: Path) -> None:
    broken(kind, tmp_path, max(2, settings.default.max_examples // 20))


@pytest.mark.parametrize("kind", ["random nodes", "gangs", "gangs in pairs"])
def test_a_run_of_nodes_cut_short_ends_as_one_that_never_was(kind: str, tmp_path: Path) -> None:
    scenario = scenario_of(kind, 1)
    resumed(scenario, tmp_path / "whole")
    for rounds, cut in ((12, interrupted), (30, killed), (70, failed)):
        cut(scenario, tmp_path / "broken", rounds)
    resumed(scenario, tmp_path / "broken")
    require_the_same(tmp_path / "broken", tmp_path / "whole")
