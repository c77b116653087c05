"""What jobs ask for on a node: joint specifications of GPUs, CPU and memory, and how many pods asked for each.

Source: FGD (ATC'23). Drawn together, they keep the published fragmentation; drawn one by one from their marginals, they
leave 0.3 to 0.5 percentage points less of the cluster unusable.
"""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np

from phasewise.sched.cluster.gangs import types_for_job
from phasewise.sched.cluster.inventories import POD_TABLES, pod_table_names, refusal
from phasewise.sched.cluster.layout import UNLIMITED, ClusterLayout
from phasewise.sched.cluster.node_lists import types_with_room
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request
from phasewise.sched.errors import ScenarioError
from phasewise.sched.workload.job_mixes import Gangs
from phasewise.sched.workload.openb import Pod, read_pods

PodMix = tuple[tuple[Request, int], ...]

MISFITS: Final = 0.001  # share of pods that may fit nowhere, as a few of a real trace do; more are taken for a mistake


def read_pod_mix(name_or_path: str) -> PodMix:
    """Return the distinct requests of the pods that need GPUs, each with its number of pods, the most frequent first.

    Parameters
    ----------
    name_or_path
        A built-in table, or the path of a pod list in openb CSV form. Pods without GPUs are left out; equal counts
        stand in the order of the file.

    Raises
    ------
    ScenarioError
        Where there is no such table or file, or no pod needs a GPU.
    TraceError
        Where the file is wrong, with the line of every fault.
    """
    counts: Counter[Request] = Counter()
    if name_or_path in pod_table_names():
        counts.update(_table(POD_TABLES / f"{name_or_path}.csv"))
    elif fault := refusal(name_or_path, pod_table_names(), "pod list"):
        raise ScenarioError(fault)
    else:
        counts.update(pod.request for pod in read_pods(Path(name_or_path)))
    mix = tuple((request, count) for request, count in counts.most_common() if request.gpus)
    if not mix:
        raise ScenarioError(f"{name_or_path}: no pod needs a GPU; allowed: a list of pods of which some do")
    return mix


def with_gangs(mix: PodMix, gangs: Sequence[Gangs]) -> PodMix:
    """Return a mix with gangs in it: of those of most GPUs in the mix, each is so much larger, and as many a core.

    Their CPU and memory for a GPU are those of the largest requests, as often as these come.
    """
    most = max(request.gpus for request, _ in mix)
    widest = [(request, count) for request, count in mix if request.gpus == most]
    of = sum(count for _, count in widest)
    more: list[tuple[Request, int]] = []
    for gang in gangs:
        for request, count in widest:
            cpu_milli, memory_mib = (asked * gang.gpus // most for asked in (request.cpu_milli, request.memory_mib))
            wider = request._replace(cpu_milli=cpu_milli, memory_mib=memory_mib, gpus=gang.gpus)
            more.append((wider, round(gang.jobs * count / of)))
    return (*mix, *more)


def pod_list(name_or_path: str | Path) -> list[Pod]:
    """Return the pods of a list, in its order; of a built-in table as many of each specification as it counts.

    Raises
    ------
    TraceError
        As `phasewise.sched.workload.openb.read_pods`.
    """
    if (name := str(name_or_path)) not in pod_table_names():
        return read_pods(Path(name_or_path))
    asked = [request for request, count in _table(POD_TABLES / f"{name}.csv").items() for _ in range(count)]
    return [Pod(f"{name}-{index:05}", request) for index, request in enumerate(asked)]


def misfits(mix: PodMix, layout: ClusterLayout) -> str:
    """Return which pods no idle node can hold, in words; empty where they are at most `MISFITS` of all.

    Jobs drawn from those few are refused when they arrive, as are the jobs of a trace that no machine can hold.
    """
    unfit = [(request, count) for request, count in mix if not types_with_room(layout, request).any()]
    pods, total = sum(count for _, count in unfit), sum(count for _, count in mix)
    if pods <= MISFITS * total:
        return ""
    request, types = unfit[0][0], layout.worker_types
    if not any(request.admits(name) for name in types):
        return (
            f"{pods} of {total} pods can run nowhere, for example gpu_spec {request.gpu_spec!r} names no worker type "
            f"of the cluster; allowed: {', '.join(types)}"
        )
    only = f" of {request.gpu_spec}" if request.gpu_spec else ""
    return (
        f"{pods} of {total} pods fit on no node{only}, for example one of {_in_words(request)}; "
        f"the largest nodes{only} have {_in_words(_largest(layout, request))}"
    )


def gangs_without_room(mix: PodMix, layout: ClusterLayout) -> str:
    """Return for which of a mix with gangs the idle nodes of no type are enough, in words; empty where for few."""
    unfit = [(request, count) for request, count in mix if not types_for_job(layout, request).any()]
    jobs, total = sum(count for _, count in unfit), sum(count for _, count in mix)
    if jobs <= MISFITS * total:
        return ""
    return f"{jobs} of {total} jobs find too few nodes of one type, for example one of {_in_words(unfit[0][0])}"


def _largest(layout: ClusterLayout, request: Request) -> Request:
    """Return the most GPUs, CPU and memory that nodes of the types a request admits have, not all on one node."""
    kinds = [kind for kind, name in enumerate(layout.worker_types) if request.admits(name)]
    nodes = np.isin(layout.node_type, kinds)
    cpu, memory = int(layout.cpu_milli[nodes].max()), int(layout.memory_mib[nodes].max())
    return Request(cpu, WHOLE_MILLI, int(np.diff(layout.node_start)[nodes].max()), memory_mib=memory)


def _in_words(request: Request) -> str:
    words = [f"{request.demand_milli / WHOLE_MILLI:g} GPUs"]
    words += [f"{request.cpu_milli} cpu_milli"] if 0 < request.cpu_milli < UNLIMITED else []
    words += [f"{request.memory_mib} memory_mib"] if 0 < request.memory_mib < UNLIMITED else []
    return ", ".join(words)


def _table(path: Path) -> dict[Request, int]:
    """Return one of our own tables: a row is a specification and how many pods asked for it."""
    with path.open(encoding="utf-8", newline="") as stream:
        rows = csv.DictReader(line for line in stream if not line.startswith("#"))
        return {
            Request(
                int(row["cpu_milli"]), int(row["gpu_milli"]), int(row["gpus"]), memory_mib=int(row["memory_mib"])
            ): int(row["pods"])
            for row in rows
        }
