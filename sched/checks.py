"""What must hold between the values of a scenario before it can run; each fault names its key and what is allowed.

Policy, placement and solver names are judged by their registries, worker and job types by the throughput table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from phasewise.sched.config import Scenario
from phasewise.sched.schema import Told, written

GAVEL_TYPES = ("v100", "p100", "k80")


def consistency_faults(scenario: Scenario) -> list[Told]:
    """Return what is wrong with a scenario whose every single value is of its type and within its bounds."""
    return [*_cluster(scenario), *_files(scenario), *_jobs(scenario)]


def _cluster(scenario: Scenario) -> Iterator[Told]:
    gpus, per_node = scenario.cluster.gpus, scenario.cluster.gpus_per_node
    if not sum(gpus.values()):
        yield (
            "cluster.gpus",
            f"{written(gpus)} gives 0 GPUs in all; allowed: at least one GPU, for example v100=36,p100=36",
        )
    for name in gpus:
        if not re.fullmatch(r"[\w.-]+", name):
            yield "cluster.gpus", f"got the worker type {name!r}; allowed: letters, digits, '_', '.' and '-'"
    if strangers := [name for name in per_node if name not in gpus]:
        yield (
            "cluster.gpus_per_node",
            f"names {', '.join(strangers)}, which the cluster does not have; allowed: {', '.join(gpus)}",
        )
    if scenario.timing.preset == "gavel" and (others := [name for name in gpus if name not in GAVEL_TYPES]):
        yield (
            "cluster.gpus",
            f"names {', '.join(others)}, but timing preset 'gavel' schedules {', '.join(GAVEL_TYPES)} only; "
            "use --timing corrected",
        )


def _files(scenario: Scenario) -> Iterator[Told]:
    files = (
        ("workload.trace", scenario.workload.trace),
        ("workload.throughputs", scenario.workload.throughputs),
        ("recorded.allocations", scenario.recorded.allocations),
    )
    for key, name in files:
        if name and not Path(name).is_file():
            found = "is a folder" if Path(name).is_dir() else "does not exist"
            yield key, f"the file {name!r} {found}; allowed: the path of a file that can be read"
    if scenario.policy.name == "recorded" and not scenario.recorded.allocations:
        yield "recorded.allocations", "is empty; policy 'recorded' needs the allocations to replay (--allocations FILE)"


def _jobs(scenario: Scenario) -> Iterator[Told]:
    workload, stop = scenario.workload, scenario.stop
    if stop.window is not None and stop.window[0] >= stop.window[1]:
        yield "stop.window", f"got {stop.window[0]}:{stop.window[1]}; allowed: A:B with A < B, or none"
    if workload.trace:
        return
    coming = workload.initial_jobs + workload.jobs
    if workload.rate_per_hour == 0.0:
        needed = stop.window[1] if stop.window is not None else 1
        if coming < needed:
            wanted = f"window {stop.window[0]}:{stop.window[1]}" if stop.window is not None else "a run"
            yield (
                "workload.jobs",
                f"got {workload.jobs} at rate 0, where no others come; {wanted} needs at least {needed}: "
                "give workload.jobs (--jobs N) or a rate above 0",
            )
    elif not workload.jobs and stop.window is None and stop.rounds is stop.sim_time_s is stop.wall_s is None:
        yield (
            "workload.jobs",
            "got 0 (no limit), so jobs never stop coming and the run would not end; give workload.jobs (--jobs N), "
            "stop.window (--window A:B), stop.rounds (--rounds N) or stop.sim_time_s",
        )
