"""Place each task on a node drawn out of all on which it fits."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.nodes.arrays import Need, NodeArrays
from phasewise.sched.nodes.compilable import compilable
from phasewise.sched.nodes.placement import NodePlacement
from phasewise.sched.registry import PlacementOptions, register_placement
from phasewise.sched.streams import FACTOR, MODULUS

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.int16]


@compilable
def draw(stream: Ints, bound: int) -> int:
    """Return a number from 0 to ``bound`` - 1 and advance the stream (2,)."""
    stream[0] = stream[0] * FACTOR[0] % MODULUS[0]
    stream[1] = stream[1] * FACTOR[1] % MODULUS[1]
    drawn = (stream[0] - stream[1]) % (MODULUS[0] - 1)
    return int(drawn * bound // (MODULUS[0] - 1))


class Drawn(NamedTuple):
    """Scores every node alike and draws one; a task that shares a GPU gets one drawn out of those with enough left."""

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        """Return 0."""
        return 0

    def scores(self, nodes: NodeArrays, need: Need, at: Ints) -> Ints:
        """Return zeros."""
        return np.zeros(len(at), np.int64)

    def pick(self, nodes: NodeArrays, row: Scores, low: int, high: int) -> int:
        """Return a node on which the task fits, -1 where there is none; the rank has no part in it."""
        fitting = 0
        for node in range(low, high):
            if row[node] >= 0:
                fitting += 1
        if fitting == 0:
            return -1
        passed = draw(nodes.stream, fitting)
        for node in range(low, high):
            if row[node] >= 0:
                if passed == 0:
                    return node
                passed -= 1
        return -1

    def pick_numpy(self, nodes: NodeArrays, row: Scores, low: int, high: int) -> int:
        """Return the same node as `pick`."""
        fitting = np.flatnonzero(row[low:high] >= 0)
        return low + int(fitting[draw(nodes.stream, len(fitting))]) if len(fitting) else -1

    def device(self, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
        """Return a GPU of the node with enough left."""
        fitting = 0
        for device in range(nodes.size[node]):
            if nodes.left[node, device] >= need.milli:
                fitting += 1
        passed = draw(nodes.stream, fitting)
        for device in range(nodes.size[node]):
            if nodes.left[node, device] >= need.milli:
                if passed == 0:
                    return device
                passed -= 1
        return -1


@register_placement
class Random(NodePlacement):
    """A node drawn out of those with room, by the scenario's seed.

    The stream is the run's (`phasewise.sched.streams`): the rule itself remembers nothing.
    """

    name: ClassVar[str] = "random"

    def __init__(self, options: PlacementOptions) -> None:
        super().__init__(options, Drawn())
