"""What must hold between the values of a scenario before it can run; each fault names its key and what is allowed.

Policy, placement and solver names are judged by their registries, worker and job types by the throughput table.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import msgspec

from phasewise.profiling.inputs import input_fault
from phasewise.sched.errors import SchedulingError
from phasewise.sched.scenario.config import LARGEST, Cluster, Scenario
from phasewise.sched.scenario.schema import Told, written

LEAST_RATE = 1e-6  # jobs an hour: one in a century
GAVEL_TYPES = ("v100", "p100", "k80")


def consistency_faults(scenario: Scenario) -> list[Told]:
    """Return what is wrong with a scenario whose every single value is of its type and within its bounds."""
    cluster = scenario.cluster
    told = list(_node_list(cluster) if cluster.nodes else _counts(cluster))
    if not told:
        told += _fitting(scenario)
        told += _prices(cluster)
    return [*told, *_files(scenario), *_jobs(scenario), *_draws(scenario), *_imports(scenario), *_ideal(scenario)]


def listed_gpus(cluster: Cluster) -> dict[str, int]:
    """Return the GPUs of each worker type in the node list of a cluster section.

    Raises
    ------
    ScenarioError, TraceError
        Where there is no such list, or the file is wrong.
    """
    from phasewise.sched.cluster.node_lists import gpus_by_type, read_node_list  # noqa: PLC0415  (imports NumPy)

    return {name: gpus * cluster.copies for name, gpus in gpus_by_type(read_node_list(cluster.nodes)).items()}


def _node_list(cluster: Cluster) -> Iterator[Told]:
    try:
        listed = listed_gpus(cluster)
    except SchedulingError as error:
        yield "cluster.nodes", str(error)
        return
    if cluster.gpus_per_node or (cluster.gpus and cluster.gpus != listed):
        extra = "gpus_per_node" if cluster.gpus_per_node else "gpus"
        yield (
            f"cluster.{extra}",
            f"got {written(getattr(cluster, extra))} beside cluster.nodes {written(cluster.nodes)}; "
            "allowed: GPUs by type, or a list of nodes",
        )
    if sum(listed.values()) > LARGEST:
        most = LARGEST * cluster.copies // sum(listed.values())
        yield "cluster.copies", f"got {cluster.copies}: {sum(listed.values()):,} GPUs; allowed: 1 to {most}"


def _counts(cluster: Cluster) -> Iterator[Told]:
    gpus, per_node = cluster.gpus, cluster.gpus_per_node
    if cluster.copies != 1:
        yield "cluster.copies", f"got {cluster.copies} without cluster.nodes; allowed: 1, or a list of nodes to copy"
    if not sum(gpus.values()):
        yield (
            "cluster.gpus",
            f"{written(gpus)} gives 0 GPUs in all; allowed: at least one GPU, for example v100=36,p100=36",
        )
    if sum(gpus.values()) > LARGEST:
        yield "cluster.gpus", f"gives {sum(gpus.values()):,} GPUs in all; allowed: at most {LARGEST:,}"
    for name in gpus:
        if not re.fullmatch(r"[\w.-]+", name):
            yield "cluster.gpus", f"got the worker type {name!r}; allowed: letters, digits, '_', '.' and '-'"
    if strangers := [name for name in per_node if name not in gpus]:
        yield (
            "cluster.gpus_per_node",
            f"names {', '.join(strangers)}, which the cluster does not have; allowed: {', '.join(gpus)}",
        )


def _prices(cluster: Cluster) -> Iterator[Told]:
    """Say which worker types have no price, or which prices no worker type."""
    gpus = listed_gpus(cluster) if cluster.nodes else cluster.gpus
    present = [name for name, count in gpus.items() if count]
    prices = cluster.gpu_hour_prices
    if prices and (without := [name for name in present if name not in prices]):
        yield "cluster.gpu_hour_prices", f"has no price of {', '.join(without)}; allowed: one of every type, or none"
    if strangers := [name for name in prices if name not in gpus]:
        yield (
            "cluster.gpu_hour_prices",
            f"names {', '.join(strangers)}, which the cluster does not have; allowed: {', '.join(present)}",
        )


def _fitting(scenario: Scenario) -> Iterator[Told]:
    """Say what of the workload the machines cannot take; they are known to be right."""
    cluster, pods = scenario.cluster, scenario.workload.pods
    gpus = listed_gpus(cluster) if cluster.nodes else cluster.gpus
    if scenario.timing.preset == "gavel" and (others := [name for name in gpus if name not in GAVEL_TYPES]):
        yield (
            "cluster.nodes" if cluster.nodes else "cluster.gpus",
            f"names {', '.join(others)}, but timing preset 'gavel' schedules {', '.join(GAVEL_TYPES)} only; "
            "use --timing corrected",
        )
    if scenario.workload.gangs and not pods:
        yield "workload.gangs", "is true, which workload.pods = 'spot2026' alone has counts of; name it, or set false"
    if pods and not scenario.workload.trace:
        from phasewise.sched.cluster.node_lists import build_layout  # noqa: PLC0415  (imports NumPy)
        from phasewise.sched.scenario.workloads import pods_of  # noqa: PLC0415
        from phasewise.sched.workload.pods import gangs_without_room, misfits, read_pod_mix  # noqa: PLC0415

        try:
            layout = build_layout(msgspec.structs.replace(cluster, copies=1))
            unfit = misfits(read_pod_mix(pods), layout)
            wide = gangs_without_room(pods_of(scenario.workload), layout) if scenario.workload.gangs else ""
        except SchedulingError as error:
            yield "workload.pods", str(error)
        else:
            if unfit:
                yield "workload.pods", unfit + ("" if cluster.nodes else "; cluster.gpus_per_node gives larger ones")
            elif wide:
                yield "workload.gangs", f"is true, but {wide}; set it to false, or take a larger cluster"


def _files(scenario: Scenario) -> Iterator[Told]:
    files = (
        ("workload.trace", scenario.workload.trace),
        ("workload.throughputs", scenario.workload.throughputs),
        ("workload.co_throughputs", scenario.workload.co_throughputs),
        ("recorded.allocations", scenario.recorded.allocations),
    )
    for key, name in files:
        if name and (found := input_fault(Path(name))):
            yield key, f"the file {name!r} {found}; allowed: the path of a file that can be read"
    if scenario.policy.name == "recorded" and not scenario.recorded.allocations:
        yield "recorded.allocations", "is empty; policy 'recorded' needs the allocations to replay (--allocations FILE)"


def _jobs(scenario: Scenario) -> Iterator[Told]:
    workload, stop = scenario.workload, scenario.stop
    if stop.window is not None and stop.window[0] >= stop.window[1]:
        yield "stop.window", f"got {stop.window[0]}:{stop.window[1]}; allowed: A:B with A < B, or none"
    if workload.trace:
        return
    initial = _filling(scenario.cluster) if workload.filled else workload.initial_jobs
    coming = initial + workload.jobs
    if 0.0 < workload.rate_per_hour < LEAST_RATE:
        yield "workload.rate_per_hour", f"got {workload.rate_per_hour:g}; allowed: 0, or at least {LEAST_RATE:g} jobs/h"
    if workload.rate_per_hour > 0.0 and stop.window is not None and workload.jobs > 0 and coming < stop.window[1]:
        yield (
            "workload.jobs",
            f"got {workload.jobs}: only {coming} jobs come, and window {stop.window[0]}:{stop.window[1]} needs "
            f"{stop.window[1]}; allowed: at least {stop.window[1] - initial}, or 0 for no end of them",
        )
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


def _filling(cluster: Cluster) -> int:
    """Return how many jobs fill a cluster: as many as it has GPUs; 0 where its node list is wrong, which is told."""
    try:
        return sum((listed_gpus(cluster) if cluster.nodes else cluster.gpus).values())
    except SchedulingError:
        return 0


def _draws(scenario: Scenario) -> Iterator[Told]:
    """Say which keys of the generator contradict each other."""
    workload = scenario.workload
    if workload.filled and workload.initial_jobs and not workload.trace:
        yield (
            "workload.filled",
            f"got true beside workload.initial_jobs {workload.initial_jobs}; allowed: the one or the other, as a "
            "cluster starts either with whole jobs or with what is left of some",
        )
    if not workload.pods or workload.trace:
        return
    for key, value, default in (
        ("scale_factors", workload.scale_factors, "single"),
        ("scale_factor_cap", workload.scale_factor_cap, 0),
    ):
        if value != default:
            yield (
                f"workload.{key}",
                f"got {written(value)} beside workload.pods {written(workload.pods)}, which gives each job its GPUs; "
                f"allowed: {written(default)}, or no pods",
            )


def _imports(scenario: Scenario) -> Iterator[Told]:
    """Say which keys of a trace are given where there is none."""
    workload = scenario.workload
    if workload.trace:
        return
    for key, default in (
        ("trace_format", ""),
        ("map", {}),
        ("states", ()),
        ("speed", {}),
        ("scale_factor_rule", "linear"),
        ("arrivals", "recorded"),
    ):
        if (value := getattr(workload, key)) != default:
            yield (
                f"workload.{key}",
                f"got {written(value)} without a trace; it is for one: give workload.trace (--trace FILE)",
            )


def _ideal(scenario: Scenario) -> Iterator[Told]:
    """Say what of a scenario has no meaning where there are no rounds and nobody holds a GPU."""
    if scenario.timing.mechanism != "ideal":
        return
    chosen: tuple[tuple[str, object, object, str], ...] = (
        ("timing.preset", scenario.timing.preset, "corrected", "the other's rules are those of rounds"),
        ("migration.enabled", scenario.migration.enabled, False, "nothing moves"),
        ("placement.name", scenario.placement.name, "strided", "nothing is placed"),
        ("cluster.nodes", scenario.cluster.nodes, "", "nothing is placed on nodes: give cluster.gpus"),
        ("workload.pods", scenario.workload.pods, "", "nothing is placed on nodes"),
    )
    for key, value, allowed, why in chosen:
        if value != allowed:
            yield key, f"got {written(value)} beside timing.mechanism 'ideal'; allowed: {written(allowed)}, as {why}"
    if scenario.policy.name == "recorded":
        yield (
            "policy.name",
            "got \"recorded\" beside timing.mechanism 'ideal'; allowed: others, as a record is of rounds",
        )
