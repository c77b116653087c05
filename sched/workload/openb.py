"""Node lists and pod lists in the layout of the openb traces (Alibaba's cluster-trace-gpu-v2023).

A node list has the columns ``sn,cpu_milli,memory_mib,gpu,model``, a pod list ``name,cpu_milli,memory_mib,num_gpu,
gpu_milli`` and, where it has them, ``gpu_spec`` and columns on times and classes that are not read.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple, TypeVar

from phasewise.profiling.names import quoted
from phasewise.sched.cluster.layout import Node
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request
from phasewise.sched.errors import TraceError
from phasewise.sched.workload.csv_tables import Layout, scan_rows
from phasewise.sched.workload.faults import Fault, render
from phasewise.sched.workload.fields import integer

NODE_LIST = Layout("node list", ("sn", "cpu_milli", "memory_mib", "gpu", "model"), (), "node")
POD_LIST = Layout(
    "pod list",
    ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli"),
    ("gpu_spec", "qos", "pod_phase", "creation_time", "deletion_time", "scheduled_time"),
    "pod",
)
TYPE_NAME = re.compile(r"[\w.-]+")  # of a worker type: it is part of the names of columns and options
MOST_GPUS = 1024  # of a node, and of a pod: far above what there is, far below what arrays could not hold

Item = TypeVar("Item")


class Pod(NamedTuple):
    """A pod of a pod list: its name and what it needs on its node."""

    name: str
    request: Request


def read_nodes(path: Path) -> list[Node]:
    """Return the nodes of a node list, in its order; a node without GPUs has the empty worker type.

    Raises
    ------
    TraceError
        Naming the file and the line of every fault of the whole file (the first 20, then their number).
    """
    return _checked(path, scan_nodes(path))


def read_pods(path: Path) -> list[Pod]:
    """Return the pods of a pod list, in its order; raises as `read_nodes`."""
    return _checked(path, scan_pods(path))


def scan_nodes(path: Path) -> tuple[list[Node], list[Fault]]:
    """Return the nodes of the rows that are right, and every fault of a node list with its line, in order."""
    nodes, faults = _scan(path, NODE_LIST, "sn", _node)
    if not faults and not any(node.gpus for node in nodes):
        faults.append(Fault(None, "no node has a GPU; allowed: a list of nodes of which some have GPUs"))
    return nodes, faults


def scan_pods(path: Path) -> tuple[list[Pod], list[Fault]]:
    """Return the pods of the rows that are right, and every fault of a pod list with its line, in order."""
    pods, faults = _scan(path, POD_LIST, "name", _pod)
    if not faults and not any(pod.request.gpus for pod in pods):
        faults.append(Fault(None, "no pod needs a GPU; allowed: a list of pods of which some do"))
    return pods, faults


def _checked(path: Path, scanned: tuple[list[Item], list[Fault]]) -> list[Item]:
    items, faults = scanned
    if faults:
        raise TraceError(render(path, faults))
    return items


def _scan(
    path: Path, layout: Layout, key: str, parse: Callable[[dict[str, str]], tuple[Item, list[str]]]
) -> tuple[list[Item], list[Fault]]:
    rows, faults = scan_rows(path, layout)
    items: list[Item] = []
    first: dict[str, int] = {}
    for line, row in rows:
        item, told = parse(row)
        name = row[key]
        if not name:
            told.insert(0, f"{key} is empty; a name is needed")
        elif first.setdefault(name, line) != line:
            told.insert(0, f"{layout.row} {name!r} again; first in line {first[name]}")
        faults.extend(Fault(line, message) for message in told)
        if not told:
            items.append(item)
    faults.sort(key=lambda fault: fault.line or 0)
    return items, faults


class _Fields:
    """Fields of one row, read strictly; what is wrong gathers in ``told``."""

    def __init__(self) -> None:
        self.told: list[str] = []

    def integer(self, name: str, text: str, least: int = 0, most: int | None = None) -> int:
        """Return a field as an integer between two limits, or -1 and a complaint."""
        try:
            return integer(name, text, least=least, most=most)
        except ValueError as error:
            self.told.append(str(error))
            return -1


def _node(row: dict[str, str]) -> tuple[Node, list[str]]:
    fields = _Fields()
    cpu_milli = fields.integer("cpu_milli", row["cpu_milli"], 1)
    memory_mib = fields.integer("memory_mib", row["memory_mib"], 1)
    gpus = fields.integer("gpu", row["gpu"], 0, MOST_GPUS)
    model = row["model"]
    if gpus > 0 and not model:
        fields.told.append(f"model is empty and gpu is {gpus}; a node with GPUs needs their model")
    if gpus == 0 and model:
        fields.told.append(f"model is {model!r} and gpu is 0; allowed: no model where there are no GPUs")
    if "|" in model:
        fields.told.append(f"model is {model!r}; allowed: one name without '|', which separates those of a gpu_spec")
    elif model and not TYPE_NAME.fullmatch(model):
        fields.told.append(
            f"model of node {quoted(row['sn'])} is {quoted(model)}; allowed: letters, digits, '_', '.' and '-'"
        )
    return Node(row["sn"], model, gpus, cpu_milli, memory_mib), fields.told


def _pod(row: dict[str, str]) -> tuple[Pod, list[str]]:
    asked = (row["cpu_milli"], row["memory_mib"], row["num_gpu"], row["gpu_milli"], row.get("gpu_spec", ""))
    request, told = _request(*asked)
    return Pod(row["name"], request), list(told)


@lru_cache(maxsize=4096)  # thousands of pods share a few hundred requests
def _request(cpu: str, memory: str, gpu: str, milli: str, spec: str) -> tuple[Request, tuple[str, ...]]:
    fields = _Fields()
    cpu_milli, memory_mib = fields.integer("cpu_milli", cpu), fields.integer("memory_mib", memory)
    gpus = fields.integer("num_gpu", gpu, 0, MOST_GPUS)
    gpu_milli = fields.integer("gpu_milli", milli, 0, WHOLE_MILLI)
    if gpus == 0 and gpu_milli > 0:
        fields.told.append(f"gpu_milli is {gpu_milli} and num_gpu is 0; allowed: 0 where no GPU is asked for")
    if gpus > 0 and gpu_milli == 0:
        fields.told.append(f"gpu_milli is 0 and num_gpu is {gpus}; allowed: 1 to {WHOLE_MILLI}")
    if gpus > 1 and 0 < gpu_milli < WHOLE_MILLI:
        fields.told.append(
            f"gpu_milli is {gpu_milli} and num_gpu is {gpus}; allowed: {WHOLE_MILLI}, since only a single GPU is shared"
        )
    if spec and not all(name.strip() == name != "" for name in spec.split("|")):
        fields.told.append(f"gpu_spec is {spec!r}; allowed: models separated by '|', as T4|P100, or nothing")
    return Request(cpu_milli, gpu_milli, gpus, spec, memory_mib), tuple(fields.told)
