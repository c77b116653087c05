"""Place each task where it adds least to the fragmentation of idle GPUs, judged by what typical tasks ask for.

Source: FGD (ATC'23), fragmentation gradient descent.
"""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.nodes.arrays import Need, NodeArrays
from phasewise.sched.nodes.compilable import compilable
from phasewise.sched.nodes.fragmentation import (
    SIGN_BITS,
    class_ordered,
    cpu_rank,
    has_score,
    integer_score,
    on_threshold,
    score_of,
)
from phasewise.sched.nodes.placement import NodePlacement
from phasewise.sched.registry import PlacementOptions, register_placement

Ints = npt.NDArray[np.int64]


@compilable
def gradient(nodes: NodeArrays, need: Need, node: int, device: int) -> int:
    """Return by how much a placement lowers F_n(M) of a node, in fixed point.

    A task that shares a GPU takes of ``device``; where that is -1, of the GPU that is best for it.
    """
    tables, kind, free = nodes.tables, nodes.kind[node], nodes.free[node]
    rank = cpu_rank(tables.cpu_steps, nodes.cpu_left[node] - need.cpu)
    single, several = tables.single[kind, rank], tables.several[kind, rank]
    useful = several[free]
    for d in range(nodes.size[node]):
        useful += single[nodes.left[node, d]]
    if need.gpus != 1 or need.milli == WHOLE_MILLI:
        useful += several[free - need.gpus] - several[free] - need.gpus * single[WHOLE_MILLI]
    else:
        change = -(1 << SIGN_BITS)
        for d in range(nodes.size[node]):
            left = nodes.left[node, d]
            if left < need.milli or (device >= 0 and d != device):
                continue
            now = single[left - need.milli] - single[left]
            if left == WHOLE_MILLI:
                now += several[free - 1] - several[free]
            change = max(change, now)
        useful += change
    idle = nodes.idle[node] - need.gpus * need.milli
    return int(nodes.fragmented[node] - (idle * tables.whole - useful))


def gradients(nodes: NodeArrays, need: Need, at: Ints) -> Ints:
    """Return `gradient` for nodes ``at`` (n,): (n, D) by GPU for a task that shares one, otherwise (n, 1)."""
    tables, left = nodes.tables, nodes.left[at]
    widths, counts = tables.single.shape[2], tables.several.shape[2]
    place = nodes.kind[at] * (len(tables.cpu_steps) + 1)
    place += tables.cpu_steps.searchsorted(nodes.cpu_left[at] - need.cpu, "right")
    single, several = tables.single.reshape(-1), tables.several.reshape(-1)
    index = left + (place * widths)[:, None]
    now = single.take(index)
    free = place * counts + nodes.free[at]
    idle = nodes.idle[at] - need.gpus * need.milli
    rest = nodes.fragmented[at] - idle * tables.whole + now.sum(1)  # less what changes on the GPUs taken
    if need.gpus != 1 or need.milli == WHOLE_MILLI:
        taken = need.gpus * single.take(place * widths + WHOLE_MILLI)
        whole: Ints = (rest + several.take(free - need.gpus) - taken)[:, None]
        return whole
    of_free = several.take(free)
    change: Ints = single.take(index - need.milli) - now
    change += (left == WHOLE_MILLI) * (several.take(free - 1) - of_free)[:, None]
    change += (rest + of_free)[:, None]
    change[left < need.milli] = -(1 << SIGN_BITS)
    return change


@compilable
def literal_score(nodes: NodeArrays, need: Need, node: int, device: int) -> int:
    """Return the score of a placement out of sums in the original's order, rounding included."""
    kind, cpu_left, size = nodes.kind[node], nodes.cpu_left[node], nodes.size[node]
    left = nodes.scratch[:size]
    for d in range(size):
        left[d] = nodes.left[node, d]
    before = class_ordered(nodes.typical, kind, cpu_left, left)
    if device >= 0:
        left[device] -= need.milli
    else:
        wanted = need.gpus
        for d in range(size):
            if wanted > 0 and left[d] == WHOLE_MILLI:
                left[d] = 0
                wanted -= 1
    return score_of(before - class_ordered(nodes.typical, kind, cpu_left - need.cpu, left))


@compilable
def exact_score(nodes: NodeArrays, need: Need, node: int) -> int:
    """Return the score of a placement on the device that is best for it: no change at all is 50."""
    return integer_score(nodes.tables.thresholds, gradient(nodes, need, node, -1))


@compilable
def first_of_score(nodes: NodeArrays, need: Need, node: int, score: int) -> int:
    """Return the first GPU on which a task that shares one has that score, -1 for none.

    By `gradient`, of which what does not depend on the GPU is added up once.
    """
    tables, kind, free = nodes.tables, nodes.kind[node], nodes.free[node]
    rank = cpu_rank(tables.cpu_steps, nodes.cpu_left[node] - need.cpu)
    single, several = tables.single[kind, rank], tables.several[kind, rank]
    rest = nodes.fragmented[node] - (nodes.idle[node] - need.milli) * tables.whole + several[free]
    for d in range(nodes.size[node]):
        rest += single[nodes.left[node, d]]
    for d in range(nodes.size[node]):
        left = nodes.left[node, d]
        if left < need.milli:
            continue
        lowered = rest + single[left - need.milli] - single[left]
        if left == WHOLE_MILLI:
            lowered += several[free - 1] - several[free]
        if has_score(tables.thresholds, lowered, score):
            return d
    return -1


@compilable
def settled_score(nodes: NodeArrays, need: Need, node: int, device: int) -> int:
    """Return the same, where rounding decides the original's score."""
    lowered = gradient(nodes, need, node, device)
    score = integer_score(nodes.tables.thresholds, lowered)
    return literal_score(nodes, need, node, device) if on_threshold(nodes.tables, score, lowered) else score


class LeastFragmentation(NamedTuple):
    """Scores by 100 x sigmoid of the capacity that a placement makes useful, less that which it makes useless."""

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        """Return the score of a node, by the GPU that is best for the task."""
        return exact_score(nodes, need, node)

    def device(self, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
        """Return the first GPU that has the score of the node."""
        return first_of_score(nodes, need, node, score)

    def scores(self, nodes: NodeArrays, need: Need, at: Ints) -> Ints:
        """Return the scores of nodes on which the task fits."""
        scores: Ints = nodes.tables.thresholds.searchsorted(gradients(nodes, need, at).max(1), "right") - 1
        return scores

    def device_numpy(self, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
        """Return the first GPU that has the score of the node."""
        lowered = gradients(nodes, need, np.array([node]))[0]
        return int((nodes.tables.thresholds.searchsorted(lowered, "right") == score + 1).argmax())


class OriginalRounding(NamedTuple):
    """The same, but that a score which the rounding of sums decides is the original's.

    A rule of its own: what nobody asks for is not compiled.
    """

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        """Return the score of a node, by the GPU that is best for the task."""
        lowered = gradient(nodes, need, node, -1)
        score = integer_score(nodes.tables.thresholds, lowered)
        if not on_threshold(nodes.tables, score, lowered):
            return score
        if need.gpus != 1 or need.milli == WHOLE_MILLI:
            return literal_score(nodes, need, node, -1)
        score = 0
        for device in range(nodes.size[node]):
            if nodes.left[node, device] >= need.milli:
                score = max(score, settled_score(nodes, need, node, device))
        return score

    def device(self, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
        """Return the first GPU that has the score of the node."""
        for device in range(nodes.size[node]):
            if nodes.left[node, device] >= need.milli and settled_score(nodes, need, node, device) == score:
                return device
        return -1

    def scores(self, nodes: NodeArrays, need: Need, at: Ints) -> Ints:
        """Return the scores of nodes on which the task fits."""
        lowered = gradients(nodes, need, at).max(1)
        scores: Ints = nodes.tables.thresholds.searchsorted(lowered, "right") - 1
        for k in np.flatnonzero(on_threshold(nodes.tables, scores, lowered)):
            scores[k] = self.score(nodes, need, int(at[k]))
        return scores

    def device_numpy(self, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
        """Return the first GPU that has the score of the node."""
        return self.device(nodes, need, node, score)


@register_placement
class Fgd(NodePlacement):
    """Least added fragmentation, judged by what typical jobs ask for (FGD)."""

    name: ClassVar[str] = "fgd"

    def __init__(self, options: PlacementOptions) -> None:
        super().__init__(options, OriginalRounding() if options.bit_compatible else LeastFragmentation())
