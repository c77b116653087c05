"""From a scenario to its stream of jobs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Final

from phasewise.sched.errors import ScenarioError
from phasewise.sched.workload.arrivals import ListedWorkload, Workload
from phasewise.sched.workload.attribution import Rules
from phasewise.sched.workload.gavel_trace import read_trace
from phasewise.sched.workload.generator import HOUR_S, GeneratedWorkload, Recipe
from phasewise.sched.workload.importing import registry
from phasewise.sched.workload.importing.choice import Choice
from phasewise.sched.workload.importing.source import CONVERTED, Head, Source
from phasewise.sched.workload.job_mixes import job_mix
from phasewise.sched.workload.pods import PodMix, read_pod_mix, with_gangs
from phasewise.sched.workload.throughputs import ThroughputTable

if TYPE_CHECKING:
    from phasewise.sched.scenario.config import Scenario
    from phasewise.sched.scenario.config import Workload as WorkloadSection

GAVEL: Final = "gavel"


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
        workload = _traced(scenario, table, worker_types)
    else:
        workload = GeneratedWorkload(recipe(scenario), table, worker_types)
    window = scenario.stop.window
    if window is not None and workload.total is not None and window[1] > workload.total:
        raise ScenarioError(
            f"stop.window is {window[0]}:{window[1]}, but only {workload.total} jobs come; "
            f"allowed: A:B with A < B <= {workload.total}, or none"
        )
    return workload


def _traced(scenario: Scenario, table: ThroughputTable, worker_types: tuple[str, ...]) -> Workload:
    """Return the jobs of a trace: one of Gavel as it stands, any other by way of records."""
    chosen, path = scenario.workload, Path(scenario.workload.trace)
    if _is_imported(scenario):
        from phasewise.sched.workload.importing.importer import import_trace, require_jobs  # noqa: PLC0415  (Arrow)
        from phasewise.sched.workload.recorded_jobs import RecordedJobs  # noqa: PLC0415

        store = import_trace(path, choice_of(chosen))
        return RecordedJobs(require_jobs(store, path), rules_of(scenario), table, worker_types, chosen.jobs)
    throughputs = table.for_types(worker_types)
    known = chosen.reference_type in table.worker_types
    reference = table.for_types((chosen.reference_type,)) if known else None
    return ListedWorkload(read_trace(path, throughputs, chosen.jobs, reference), throughputs)


def _is_imported(scenario: Scenario) -> bool:
    """Return whether a trace is read by way of records: it is none of Gavel's, or something is asked of its records."""
    chosen = scenario.workload
    if chosen.map or chosen.states or chosen.speed or chosen.scale_factor_rule != "linear":
        return True
    if chosen.arrivals != "recorded":
        return True
    if chosen.trace_format:
        return chosen.trace_format != GAVEL
    with Source(Path(chosen.trace)) as source:
        head = source.head
    return head.content.startswith(CONVERTED) or is_foreign(head)


def is_foreign(head: Head) -> bool:
    """Return whether a file that begins so may be of another trace format than Gavel's own."""
    found = [name for name in registry.format_names() if registry.trace_format(name).sniff(head)]
    return bool(found) and found != [GAVEL]


def choice_of(chosen: WorkloadSection) -> Choice:
    """Return how a workload section has its trace read."""
    return Choice(chosen.trace_format, chosen.map, chosen.states)


def rules_of(scenario: Scenario) -> Rules:
    """Return what a scenario assumes of an imported trace."""
    chosen = scenario.workload
    return Rules(chosen.reference_type, chosen.speed, chosen.scale_factor_rule, scenario.seed, chosen.arrivals)


def recipe(scenario: Scenario) -> Recipe:
    """Return what the generator draws from: with a rate and no number of jobs, they never stop coming."""
    chosen = scenario.workload
    mean_gap_s = HOUR_S / chosen.rate_per_hour if chosen.rate_per_hour else 0.0
    endless = mean_gap_s > 0.0 and not chosen.jobs
    mix = job_mix(chosen.pods)
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
        mix=mix,
        pods=pods_of(chosen),
        stretch=mix.stretch if chosen.gangs else {},
    )


def pods_of(chosen: WorkloadSection) -> PodMix:
    """Return what generated jobs ask for, each with how often it comes; empty where no pods are named.

    Raises
    ------
    ScenarioError
        As `read_pod_mix`, and where gangs are asked for of pods that have no counts of them.
    TraceError
        As `read_pod_mix`.
    """
    gangs = job_mix(chosen.pods).gangs
    if chosen.gangs and not gangs:
        raise ScenarioError("workload.gangs is true, which workload.pods = 'spot2026' alone has counts of")
    pods = read_pod_mix(chosen.pods) if chosen.pods else ()
    return with_gangs(pods, gangs) if chosen.gangs else pods
