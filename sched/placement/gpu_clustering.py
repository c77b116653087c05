"""Place each task beside tasks of its own kind: those that share a GPU, or those of as many GPUs."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.nodes.arrays import Need, NodeArrays
from phasewise.sched.nodes.placement import NodePlacement
from phasewise.sched.registry import PlacementOptions, register_placement

Ints = npt.NDArray[np.int64]

ALONE, AMONG_OTHERS, NO_GPU_TASK = (
    75,
    50,
    25,
)  # what a node's tasks add: only such ones, such ones too, none of any kind
FULLNESS = 25  # what a node adds of which everything is taken


class OwnKindFirst(NamedTuple):
    """Scores nodes that run tasks of the same label only above those that run some, and those above idle nodes.

    The label is the number of whole GPUs, or that one is shared. Among equals the node with less left wins. A task
    without GPUs scores 0 everywhere. A task that shares a GPU gets the one with the least left.
    """

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        """Return the score of a node."""
        if need.gpus == 0:
            return 0
        label = need.gpus if need.milli == WHOLE_MILLI else 0
        every = 0
        for k in range(nodes.labels.shape[1]):
            every += nodes.labels[node, k]
        own = nodes.labels[node, label]
        scale = int(nodes.gpu_scale)
        score = FULLNESS * (scale - nodes.idle[node]) // scale
        if every == 0:
            return int(score + NO_GPU_TASK)
        if own == 0:
            return int(score)
        return int(score + (ALONE if own == every else AMONG_OTHERS))

    def scores(self, nodes: NodeArrays, need: Need, at: Ints) -> Ints:
        """Return the scores of nodes on which the task fits."""
        if need.gpus == 0:
            return np.zeros(len(at), np.int64)
        labels, scale = nodes.labels[at], int(nodes.gpu_scale)
        every, own = labels.sum(1), labels[:, need.gpus if need.milli == WHOLE_MILLI else 0]
        added = np.where(own == every, ALONE, AMONG_OTHERS) * (own > 0) + NO_GPU_TASK * (every == 0)
        return np.asarray(FULLNESS * (scale - nodes.idle[at]) // scale + added)


@register_placement
class GpuClustering(NodePlacement):
    """Nodes that run jobs of the same width, or that share GPUs as well, first."""

    name: ClassVar[str] = "gpu_clustering"

    def __init__(self, options: PlacementOptions) -> None:
        super().__init__(options, OwnKindFirst())
