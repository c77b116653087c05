"""The machines of a scenario: GPUs by type, a built-in inventory of nodes, or a node list in openb CSV form."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.foreign_lists import foreign_nodes
from phasewise.sched.cluster.inventories import INVENTORIES, inventory_names, refusal
from phasewise.sched.cluster.layout import ClusterLayout, ClusterSection, Node
from phasewise.sched.cluster.openb import read_nodes
from phasewise.sched.cluster.requests import Request
from phasewise.sched.errors import ScenarioError
from phasewise.sched.reading.named_rows import checked

Bools = npt.NDArray[np.bool_]


def build_layout(cluster: ClusterSection) -> ClusterLayout:
    """Return where every GPU of a cluster section is.

    Raises
    ------
    ScenarioError
        Where there is no such inventory or file, or no node of it has a GPU.
    TraceError
        Where the file is wrong, with the line of every fault.
    """
    return ClusterLayout.of(listed_nodes(cluster)) if cluster.nodes else ClusterLayout.build(cluster)


def node_count(cluster: ClusterSection) -> int:
    """Return how many nodes a cluster section has, without making any; raises as `build_layout` does."""
    if cluster.nodes:
        return len(read_node_list(cluster.nodes)) * cluster.copies
    return sum(-(-count // cluster.gpus_per_node.get(name, 1)) for name, count in cluster.gpus.items())


def listed_nodes(cluster: ClusterSection) -> list[Node]:
    """Return the nodes of a cluster section that names a list, copies included; raises as `build_layout` does."""
    nodes = read_node_list(cluster.nodes)
    copies = [node._replace(name=f"{node.name}#{copy}") for copy in range(2, cluster.copies + 1) for node in nodes]
    return nodes + copies


def read_node_list(name_or_path: str) -> list[Node]:
    """Return the nodes with GPUs of a built-in inventory or a CSV file; raises as `build_layout` does."""
    if name_or_path in inventory_names():
        return _inventory(INVENTORIES / f"{name_or_path}.csv")
    if fault := refusal(name_or_path, inventory_names(), "node list"):
        raise ScenarioError(fault)
    path = Path(name_or_path)
    found = foreign_nodes(path)
    nodes = read_nodes(path) if found is None else checked(path, found)
    return [node for node in nodes if node.gpus]


def gpus_by_type(nodes: Iterable[Node]) -> dict[str, int]:
    """Return the number of GPUs of each worker type, in alphabetical order."""
    counts: dict[str, int] = {}
    for node in nodes:
        counts[node.worker_type] = counts.get(node.worker_type, 0) + node.gpus
    return dict(sorted(counts.items()))


def types_with_room(layout: ClusterLayout, request: Request) -> Bools:
    """Return (W,) whether a request admits each worker type and some idle node of it has all that is asked for."""
    room = (
        (np.diff(layout.node_start) >= request.gpus)
        & (layout.cpu_milli >= request.cpu_milli)
        & (layout.memory_mib >= request.memory_mib)
    )
    admitted = np.array([request.admits(name) for name in layout.worker_types])
    found: Bools = admitted & (np.bincount(layout.node_type[room], minlength=len(admitted)) > 0)
    return found


def _inventory(path: Path) -> list[Node]:
    """Return the nodes of one of our own tables: a row is a kind of node and how many there are."""
    nodes: list[Node] = []
    counts: dict[str, int] = {}
    with path.open(encoding="utf-8", newline="") as stream:
        for row in csv.DictReader(line for line in stream if not line.startswith("#")):
            name = row["worker_type"]
            figures = (int(row["gpus"]), int(row["cpu_milli"]), int(row["memory_mib"]))
            first = counts.get(name, 0)
            counts[name] = first + int(row["nodes"])
            nodes += [Node(f"{name}-{index}", name, *figures) for index in range(first, counts[name])]
    return nodes
