"""From a scenario to its stream of jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from phasewise.sched.errors import ScenarioError
from phasewise.sched.workload.arrivals import ListedWorkload, Workload
from phasewise.sched.workload.gavel_trace import read_trace
from phasewise.sched.workload.generator import HOUR_S, GeneratedWorkload, Recipe
from phasewise.sched.workload.pods import read_pod_mix
from phasewise.sched.workload.throughputs import ThroughputTable

if TYPE_CHECKING:
    from phasewise.sched.scenario.config import Scenario


def build_workload(scenario: Scenario, worker_types: tuple[str, ...]) -> Workload:
    """Return the jobs of a resolved scenario, their throughputs in the order of ``worker_types`` (alphabetical).

    Raises
    ------
    ScenarioError
        Where the table lacks a worker type or a job type, the window holds jobs that never come, or there is no such
        table of pods.
    TraceError
        Where the trace, the throughput table or the pod list is wrong, with the line of every fault.
    """
    chosen = scenario.workload
    table = ThroughputTable.from_csv(Path(chosen.throughputs)) if chosen.throughputs else ThroughputTable.builtin()
    workload: Workload
    if chosen.trace:
        throughputs = table.for_types(worker_types)
        known = chosen.reference_type in table.worker_types
        reference = table.for_types((chosen.reference_type,)) if known else None
        workload = ListedWorkload(read_trace(Path(chosen.trace), throughputs, chosen.jobs, reference), throughputs)
    else:
        workload = GeneratedWorkload(recipe(scenario), table, worker_types)
    window = scenario.stop.window
    if window is not None and workload.total is not None and window[1] > workload.total:
        raise ScenarioError(
            f"stop.window is {window[0]}:{window[1]}, but only {workload.total} jobs come; "
            f"allowed: A:B with A < B <= {workload.total}, or none"
        )
    return workload


def recipe(scenario: Scenario) -> Recipe:
    """Return what the generator draws from: with a rate and no number of jobs, they never stop coming."""
    chosen = scenario.workload
    mean_gap_s = HOUR_S / chosen.rate_per_hour if chosen.rate_per_hour else 0.0
    endless = mean_gap_s > 0.0 and not chosen.jobs
    return Recipe(
        seed=scenario.seed,
        jobs=None if endless else chosen.jobs,
        mean_gap_s=mean_gap_s,
        initial_jobs=chosen.initial_jobs,
        at_once=sum(scenario.cluster.gpus.values()) if chosen.filled else 0,
        multi_gpu=chosen.scale_factors == "gavel",
        scale_factor_cap=chosen.scale_factor_cap,
        priorities=chosen.priorities,
        slos=chosen.slos,
        reference_type=chosen.reference_type,
        pods=read_pod_mix(chosen.pods) if chosen.pods else (),
    )
