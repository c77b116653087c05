"""Which GPUs a run's cluster has, the idle ones included, as its run directory tells."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import msgspec
import numpy as np
import numpy.typing as npt

from phasewise.reports.errors import RunDirectoryError
from phasewise.reports.run_directory import Run

Ints = npt.NDArray[np.int64]

_UNKNOWN = "type not recorded"


_Nodes = Annotated[int, msgspec.Meta(ge=1, le=1 << 24)]
_Gpus = Annotated[int, msgspec.Meta(ge=0, le=1 << 16)]


class _Layout(msgspec.Struct, frozen=True):
    """`layout` of `run.json`: types in the order of their nodes, and GPUs of each node as (nodes in a row, GPUs)."""

    worker_types: list[str]
    nodes_per_type: list[_Nodes]
    gpus_per_node: list[tuple[_Nodes, _Gpus]]


@dataclass(frozen=True, slots=True)
class ClusterShape:
    """The nodes of a cluster in the order in which `placements.parquet` numbers them.

    Attributes
    ----------
    worker_types
        (W,) names.
    nodes_per_type
        (W,) nodes of each type; the nodes of a type are neighbours.
    gpus_per_node
        (N,) int64, GPUs of each node.
    note
        What is not known about the cluster; empty where nothing is missing.
    """

    worker_types: Sequence[str]
    nodes_per_type: Sequence[int]
    gpus_per_node: Ints
    note: str = ""

    @property
    def gpus(self) -> int:
        """Return the number of GPUs."""
        return int(self.gpus_per_node.sum())

    def gpu_of(self, node: Ints, gpu: Ints, table: Path) -> Ints:
        """Return (R,) the GPU's number over the whole cluster for rows of ``table``.

        Raises
        ------
        RunDirectoryError
            Where a row names a node or a GPU that the cluster does not have.
        """
        nodes = len(self.gpus_per_node)
        wrong = (node < 0) | (node >= nodes)
        if wrong.any():
            raise RunDirectoryError(
                f"{table}: node {int(node[wrong][0])}; this run's cluster has nodes 0 to {nodes - 1}"
            )
        wrong = (gpu < 0) | (gpu >= self.gpus_per_node[node])
        if wrong.any():
            at, has = int(node[wrong][0]), int(self.gpus_per_node[node[wrong][0]])
            raise RunDirectoryError(f"{table}: GPU {int(gpu[wrong][0])} of node {at}, which has GPUs 0 to {has - 1}")
        first = np.concatenate(([0], np.cumsum(self.gpus_per_node)))
        return np.asarray(first[node] + gpu)


def cluster_shape(run: Run, node: Ints, gpu: Ints) -> ClusterShape:
    """Return the shape of the cluster of ``run``.

    `run.json` has it as ``layout``. Without one, the scenario's GPUs by type say the same. Of a node list that was not
    recorded, only nodes and GPUs that some job once held are known, from ``node`` and ``gpu``, both (R,).

    Raises
    ------
    RunDirectoryError
        Where the layout or the cluster section is broken.
    """
    if run.layout:
        return _recorded(run)
    cluster = run.section("cluster")
    if not cluster.get("nodes") and cluster.get("gpus"):
        return _from_counts(run, cluster)
    return _from_use(node, gpu)


def _recorded(run: Run) -> ClusterShape:
    file = run.path / "run.json"
    try:
        layout = msgspec.convert(run.layout, _Layout)
    except msgspec.ValidationError as error:
        raise RunDirectoryError(f"{file}: broken layout of the cluster: {error}") from error
    repeats, gpus = np.array(layout.gpus_per_node, np.int64).reshape(-1, 2).T
    sizes = np.repeat(gpus, repeats)
    named = len(layout.worker_types) == len(layout.nodes_per_type)
    if not named or sum(layout.nodes_per_type) != len(sizes) or not sizes.any():
        raise RunDirectoryError(
            f"{file}: broken layout of the cluster: {len(layout.worker_types)} worker types, "
            f"{sum(layout.nodes_per_type)} nodes by type, {len(sizes)} nodes with {int(sizes.sum())} GPUs; "
            "each node needs a type, and one of them a GPU"
        )
    return ClusterShape(layout.worker_types, layout.nodes_per_type, sizes)


def _from_counts(run: Run, cluster: Mapping[str, Any]) -> ClusterShape:
    """Return nodes of equal size by type, alphabetical; what does not fill a node makes a smaller last one."""
    counts, sizes = cluster["gpus"], cluster.get("gpus_per_node") or {}
    try:
        counts = {str(name): int(count) for name, count in sorted(counts.items()) if int(count) > 0}
        per_node = {name: max(1, int(sizes.get(name, 1))) for name in counts}
    except (TypeError, ValueError, AttributeError) as error:
        raise RunDirectoryError(
            f"{run.path / 'run.json'}: scenario.cluster.gpus is {counts!r}; GPUs by worker type are expected"
        ) from error
    nodes: list[int] = []
    per_type = []
    for name, count in counts.items():
        full, rest = divmod(count, per_node[name])
        nodes += [per_node[name]] * full + [rest] * (rest > 0)
        per_type.append(full + (rest > 0))
    return ClusterShape(list(counts), per_type, np.array(nodes, np.int64))


def _from_use(node: Ints, gpu: Ints) -> ClusterShape:
    sizes = np.ones(int(node.max(initial=0)) + 1, np.int64)
    np.maximum.at(sizes, node, gpu + 1)
    note = (
        "The run directory does not say which nodes the cluster has. Only nodes that some job used are shown, without "
        "their worker types; GPUs that were never used may be missing."
    )
    return ClusterShape([_UNKNOWN], [len(sizes)], sizes, note)
