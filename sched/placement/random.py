"""Place each task on a node drawn out of all on which it fits."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.nodes.arrays import Need, NodeArrays
from phasewise.sched.nodes.compilable import compilable
from phasewise.sched.nodes.placement import NodePlacement
from phasewise.sched.registry import PlacementOptions, register_placement

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.int16]

# Two multiplicative generators whose difference has a period of 2.3e18 (L'Ecuyer 1988); integers only, so that the
# compiled and the NumPy form draw the same.
PLACEMENT_STREAM = 5  # apart from the other streams of the same seed
MODULUS = (2_147_483_563, 2_147_483_399)
FACTOR = (40_014, 40_692)


@compilable
def draw(stream: Ints, bound: int) -> int:
    """Return a number from 0 to ``bound`` - 1 and advance the stream (2,)."""
    stream[0] = stream[0] * FACTOR[0] % MODULUS[0]
    stream[1] = stream[1] * FACTOR[1] % MODULUS[1]
    drawn = (stream[0] - stream[1]) % (MODULUS[0] - 1)
    return int(drawn * bound // (MODULUS[0] - 1))


class Drawn(NamedTuple):
    """Scores every node alike and draws one; a task that shares a GPU gets one drawn out of those with enough left."""

    stream: Ints

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
        passed = draw(self.stream, fitting)
        for node in range(low, high):
            if row[node] >= 0:
                if passed == 0:
                    return node
                passed -= 1
        return -1

    def pick_numpy(self, nodes: NodeArrays, row: Scores, low: int, high: int) -> int:
        """Return the same node as `pick`."""
        fitting = np.flatnonzero(row[low:high] >= 0)
        return low + int(fitting[draw(self.stream, len(fitting))]) if len(fitting) else -1

    def device(self, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
        """Return a GPU of the node with enough left."""
        fitting = 0
        for device in range(nodes.size[node]):
            if nodes.left[node, device] >= need.milli:
                fitting += 1
        passed = draw(self.stream, fitting)
        for device in range(nodes.size[node]):
            if nodes.left[node, device] >= need.milli:
                if passed == 0:
                    return device
                passed -= 1
        return -1


@register_placement
class Random(NodePlacement):
    """A node drawn out of those with room, by the scenario's seed."""

    name: ClassVar[str] = "random"

    def __init__(self, options: PlacementOptions) -> None:
        first = np.random.default_rng(np.random.SeedSequence([options.seed, PLACEMENT_STREAM]))
        super().__init__(options, Drawn(first.integers(1, MODULUS[1], 2)))
