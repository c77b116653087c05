"""Place each task where what it asks for and what is left are least alike, measured by their dot product."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.nodes.arrays import Need, NodeArrays
from phasewise.sched.nodes.placement import NodePlacement
from phasewise.sched.registry import PlacementOptions, register_placement

Ints = npt.NDArray[np.int64]


class LeastDotProduct(NamedTuple):
    """Scores by 100 less half the dot product of request and capacity left, CPU and GPU, truncated.

    Both are measured by the largest node; a task that shares a GPU gets the one with the least left.
    """

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        """Return the score of a node."""
        cpu = (nodes.cpu_left[node] / nodes.cpu_scale) * (need.cpu / nodes.cpu_scale)
        gpu = (nodes.idle[node] / nodes.gpu_scale) * ((need.gpus * need.milli) / nodes.gpu_scale)
        return int(100.0 * (1.0 - (cpu + gpu) / 2.0))

    def scores(self, nodes: NodeArrays, need: Need, at: Ints) -> Ints:
        """Return the scores of nodes on which the task fits."""
        cpu = (nodes.cpu_left[at] / nodes.cpu_scale) * (need.cpu / nodes.cpu_scale)
        gpu = (nodes.idle[at] / nodes.gpu_scale) * ((need.gpus * need.milli) / nodes.gpu_scale)
        return np.asarray(100.0 * (1.0 - (cpu + gpu) / 2.0)).astype(np.int64)


@register_placement
class DotProduct(NodePlacement):
    """The node whose capacity left has the smallest dot product with the request."""

    name: ClassVar[str] = "dot_product"

    def __init__(self, options: PlacementOptions) -> None:
        super().__init__(options, LeastDotProduct())
