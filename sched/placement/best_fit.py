"""Place each task where least CPU and GPU capacity remains."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.nodes.arrays import Need, NodeArrays
from phasewise.sched.nodes.placement import NodePlacement
from phasewise.sched.registry import PlacementOptions, register_placement

Ints = npt.NDArray[np.int64]


class LeastRemaining(NamedTuple):
    """Scores by 100 less half the share of CPU and half the share of GPU capacity that remain, truncated.

    Shares are those of the largest node; a task that shares a GPU gets the one with the least left.
    """

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        """Return the score of a node."""
        cpu = (nodes.cpu_left[node] - need.cpu) / nodes.cpu_scale
        gpu = (nodes.idle[node] - need.gpus * need.milli) / nodes.gpu_scale
        return int(100.0 * (1.0 - (0.5 * cpu + 0.5 * gpu)))

    def scores(self, nodes: NodeArrays, need: Need, at: Ints) -> Ints:
        """Return the scores of nodes on which the task fits."""
        cpu = (nodes.cpu_left[at] - need.cpu) / nodes.cpu_scale
        gpu = (nodes.idle[at] - need.gpus * need.milli) / nodes.gpu_scale
        return np.asarray(100.0 * (1.0 - (0.5 * cpu + 0.5 * gpu))).astype(np.int64)


@register_placement
class BestFit(NodePlacement):
    """The node on which the least CPU and GPU capacity remains."""

    name: ClassVar[str] = "best_fit"

    def __init__(self, options: PlacementOptions) -> None:
        super().__init__(options, LeastRemaining())
