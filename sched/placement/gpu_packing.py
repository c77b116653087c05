"""Fill GPUs that are partly taken first, then free GPUs of nodes in use, then idle nodes."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.nodes.arrays import Need, NodeArrays
from phasewise.sched.nodes.placement import NodePlacement
from phasewise.sched.registry import PlacementOptions, register_placement

Ints = npt.NDArray[np.int64]

SHARED, OCCUPIED, IDLE = 100, 50, 33  # where the scores of the three cases begin; each case ends where the next begins


class PartlyTakenFirst(NamedTuple):
    """Scores partly taken GPUs above free ones on a node in use, and those above an idle node.

    Within the first case the fuller GPU, within the second the fewer free GPUs and within the third the smaller node
    wins. A task without GPUs scores 0 everywhere. A task that shares a GPU gets the one with the least left.
    """

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        """Return the score of a node."""
        if need.gpus == 0:
            return 0
        size = nodes.size[node]
        if nodes.free[node] == size:
            return int(max(IDLE - size, size))
        if need.milli == WHOLE_MILLI:
            return int(max(OCCUPIED - need.gpus, IDLE))
        least = WHOLE_MILLI
        for device in range(size):
            left = nodes.left[node, device]
            if need.milli <= left < least:
                least = left
        if least == WHOLE_MILLI:
            return OCCUPIED - 1
        return int(max(SHARED - (least * 100 // WHOLE_MILLI) // 10, OCCUPIED))

    def scores(self, nodes: NodeArrays, need: Need, at: Ints) -> Ints:
        """Return the scores of nodes on which the task fits."""
        if need.gpus == 0:
            return np.zeros(len(at), np.int64)
        size = nodes.size[at]
        if need.milli == WHOLE_MILLI:
            in_use = np.full(len(at), max(OCCUPIED - need.gpus, IDLE))
        else:
            left = nodes.left[at]
            least = np.where(left >= need.milli, left, WHOLE_MILLI).min(1)
            in_use = np.maximum(SHARED - (least * 100 // WHOLE_MILLI) // 10, OCCUPIED)
            in_use[least == WHOLE_MILLI] = OCCUPIED - 1
        return np.where(nodes.free[at] == size, np.maximum(IDLE - size, size), in_use)


@register_placement
class GpuPacking(NodePlacement):
    """Partly taken GPUs first, then free GPUs of nodes in use, then idle nodes."""

    name: ClassVar[str] = "gpu_packing"

    def __init__(self, options: PlacementOptions) -> None:
        super().__init__(options, PartlyTakenFirst())
