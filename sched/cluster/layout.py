"""The machines as arrays: nodes and GPUs in order of worker type (alphabetical), then node, then index within it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

UNLIMITED: Final = 1 << 40  # CPU (milli) and memory (MiB) of nodes whose figures are not given: more than any job asks


class ClusterSection(Protocol):
    """What a scenario says of its machines: GPUs by type, or a list of nodes."""

    @property
    def gpus(self) -> Mapping[str, int]:
        """GPUs by worker type."""
        ...

    @property
    def gpus_per_node(self) -> Mapping[str, int]:
        """GPUs of a node by worker type, 1 where a type is not named."""
        ...

    @property
    def nodes(self) -> str:
        """A built-in inventory or the path of a node list; empty where GPUs are given by type."""
        ...

    @property
    def copies(self) -> int:
        """How often the list counts."""
        ...


class Node(NamedTuple):
    """One machine.

    Attributes
    ----------
    name
        As in the node list; made up where there is none.
    worker_type
        Of all its GPUs.
    gpus
        Number of GPUs.
    cpu_milli, memory_mib
        Thousandths of a core, and MiB; `UNLIMITED` where nothing is known.
    """

    name: str
    worker_type: str
    gpus: int
    cpu_milli: int = UNLIMITED
    memory_mib: int = UNLIMITED


@dataclass(frozen=True, slots=True)
class ClusterLayout:
    """Where every GPU is. G GPUs, N nodes, W worker types.

    Attributes
    ----------
    worker_types
        (W,) names, alphabetical.
    capacity
        (W,) GPUs of each type.
    type_start
        (W + 1,) first GPU of each type; the GPUs of type w are ``type_start[w]:type_start[w + 1]``.
    gpu_node
        (G,) node of each GPU; nodes are numbered over the types in alphabetical order.
    gpu_index
        (G,) index of each GPU within its node.
    node_start
        (N + 1,) first GPU of each node.
    node_type
        (N,) worker type of each node.
    type_first_node
        (W + 1,) first node of each type.
    cpu_milli, memory_mib
        (N,) int64 capacity of each node.
    node_names
        (N,) names.
    """

    worker_types: tuple[str, ...]
    capacity: Floats
    type_start: Ints
    gpu_node: Ints
    gpu_index: Ints
    node_start: Ints
    node_type: Ints
    type_first_node: Ints
    cpu_milli: Ints
    memory_mib: Ints
    node_names: tuple[str, ...]

    @property
    def gpus(self) -> int:
        """Return the number of GPUs."""
        return len(self.gpu_node)

    @property
    def nodes(self) -> int:
        """Return the number of nodes."""
        return len(self.node_type)

    @property
    def limited(self) -> bool:
        """Whether the CPU or the memory of any node is known, so that jobs must fit onto nodes."""
        return bool((self.cpu_milli < UNLIMITED).any() or (self.memory_mib < UNLIMITED).any())

    def description(self) -> dict[str, list[str] | list[int] | list[list[int]]]:
        """Return what `run.json` says of the machines: enough to tell where every GPU is.

        ``gpus_per_node`` is run-length coded: nodes in a row, and the GPUs each of them has.
        """
        sizes = np.diff(self.node_start)
        starts = np.flatnonzero(np.diff(sizes, prepend=-1))
        counts = np.diff(starts, append=self.nodes)
        return {
            "worker_types": list(self.worker_types),
            "nodes_per_type": np.diff(self.type_first_node).tolist(),
            "gpus_per_node": np.column_stack((counts, sizes[starts])).tolist(),
        }

    @classmethod
    def build(cls, cluster: ClusterSection) -> ClusterLayout:
        """Return the layout of a cluster section that gives GPUs by type; types without GPUs are left out.

        A number of GPUs that does not divide into nodes makes a smaller last node: no GPU is lost.
        """
        nodes: list[Node] = []
        for name, count in sorted(cluster.gpus.items()):
            size = cluster.gpus_per_node.get(name, 1)
            sizes = [size] * (count // size) + ([count % size] if count % size else [])
            nodes += [Node(f"{name}-{index}", name, gpus) for index, gpus in enumerate(sizes)]
        return cls.of(nodes)

    @classmethod
    def of(cls, nodes: Sequence[Node]) -> ClusterLayout:
        """Return the layout of a list of nodes: grouped by worker type, otherwise in their order."""
        ordered = sorted(nodes, key=lambda node: node.worker_type)
        names = tuple(sorted({node.worker_type for node in ordered}))
        node_type = np.array([names.index(node.worker_type) for node in ordered], np.int64)
        sizes = np.array([node.gpus for node in ordered], np.int64)
        node_start = np.concatenate(([0], np.cumsum(sizes)))
        gpu_node = np.repeat(np.arange(len(ordered)), sizes)
        first_node = np.searchsorted(node_type, np.arange(len(names) + 1))
        return cls(
            worker_types=names,
            capacity=np.bincount(node_type, sizes, len(names)).astype(np.float64),
            type_start=node_start[first_node],
            gpu_node=gpu_node,
            gpu_index=np.arange(len(gpu_node)) - node_start[gpu_node],
            node_start=node_start,
            node_type=node_type,
            type_first_node=first_node,
            cpu_milli=np.array([node.cpu_milli for node in ordered], np.int64),
            memory_mib=np.array([node.memory_mib for node in ordered], np.int64),
            node_names=tuple(node.name for node in ordered),
        )
