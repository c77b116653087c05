"""What jobs ask for on a node: joint specifications of GPUs, CPU and memory, and how many pods asked for each.

Source: FGD (ATC'23). Drawn together, they keep the published fragmentation; drawn one by one from their marginals, they
leave 0.3 to 0.5 percentage points less of the cluster unusable.
"""

from __future__ import annotations

import csv
from collections import Counter
from pathlib import Path
from typing import Final

import numpy as np

from phasewise.sched.cluster.gangs import types_for_job
from phasewise.sched.cluster.inventories import POD_TABLES, pod_table_names, refusal
from phasewise.sched.cluster.layout import UNLIMITED, ClusterLayout
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request
from phasewise.sched.errors import ScenarioError
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
    unfit = [(request, count) for request, count in mix if not types_for_job(layout, request).any()]
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
