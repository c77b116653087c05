"""The machines as arrays: GPUs in order of worker type (alphabetical), node and index within the node."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from phasewise.sched.config import Cluster

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


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
    """

    worker_types: tuple[str, ...]
    capacity: Floats
    type_start: Ints
    gpu_node: Ints
    gpu_index: Ints

    @property
    def gpus(self) -> int:
        """Return the number of GPUs."""
        return len(self.gpu_node)

    @classmethod
    def build(cls, cluster: Cluster) -> ClusterLayout:
        """Return the layout of a cluster section; types without GPUs are left out.

        A number of GPUs that does not divide into nodes makes a smaller last node: no GPU is lost.
        """
        names = tuple(sorted(name for name, count in cluster.gpus.items() if count > 0))
        counts = np.array([cluster.gpus[name] for name in names], dtype=np.int64)
        node, index, first_node = [], [], 0
        for name, count in zip(names, counts, strict=True):
            size = cluster.gpus_per_node.get(name, 1)
            within_type = np.arange(count, dtype=np.int64)
            node.append(first_node + within_type // size)
            index.append(within_type % size)
            first_node += -(-int(count) // size)
        return cls(
            worker_types=names,
            capacity=counts.astype(np.float64),
            type_start=np.concatenate(([0], np.cumsum(counts))),
            gpu_node=np.concatenate(node),
            gpu_index=np.concatenate(index),
        )
