"""What a rule of placement on nodes is, and what rules share.

A rule is a named tuple: its fields are its parameters, its methods say how nodes are scored. Compiled code calls
`score`, `device` and `pick` for one node at a time, compiled from these very methods; the NumPy form calls `scores` for
many nodes at once. A method that is compiled may use numbers, arrays that exist, and functions marked `compilable`.
"""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.nodes.arrays import INFEASIBLE, Need, NodeArrays
from phasewise.sched.nodes.compilable import compilable

Ints = npt.NDArray[np.int64]
Scores = npt.NDArray[np.int16]


class NodeRule(Protocol):
    """Scores nodes for a task: the highest integer wins, ties go to the lowest rank. A named tuple.

    Beside `score` and `scores`, a rule may have

    ``device(self, nodes, need, node, score) -> int``
        which GPU of the chosen node a task that shares one gets; `tightest` where the rule says nothing;
    ``pick(self, nodes, row, low, high) -> int``
        which of the nodes low to high is chosen by their scores, -1 where none; `best` where the rule says nothing.

    and of these two forms of its own for NumPy, ``device_numpy`` and ``pick_numpy``.
    """

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        """Return the score, 0 to 32,767, of a node on which the task fits."""
        ...

    def scores(self, nodes: NodeArrays, need: Need, at: Ints) -> Ints:
        """Return the scores of the nodes ``at`` (n,), on all of which the task fits."""
        ...


# Compiled as well: plain loops.


@compilable
def fits(nodes: NodeArrays, need: Need, node: int, most_tasks: int) -> bool:
    """Return whether a task fits on a node, whatever its worker type."""
    if nodes.cpu_left[node] < need.cpu or nodes.memory_left[node] < need.memory or nodes.tasks[node] >= most_tasks:
        return False
    if need.gpus == 0:
        return True
    if need.milli == WHOLE_MILLI:
        return bool(nodes.free[node] >= need.gpus)
    for device in range(nodes.size[node]):
        if nodes.left[node, device] >= need.milli:
            return True
    return False


@compilable
def tightest(rule: NodeRule, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
    """Return the GPU of a node with the least left that is enough, the first of those."""
    found, least = -1, WHOLE_MILLI + 1
    for device in range(nodes.size[node]):
        left = nodes.left[node, device]
        if need.milli <= left < least:
            found, least = device, left
    return found


@compilable
def first_fitting(nodes: NodeArrays, need: Need, node: int) -> int:
    """Return the first GPU of a node on which there is enough left."""
    for device in range(nodes.size[node]):
        if nodes.left[node, device] >= need.milli:
            return device
    return -1


@compilable
def best(rule: NodeRule, nodes: NodeArrays, row: Scores, low: int, high: int) -> int:
    """Return the node of low to high with the highest score and among those the lowest rank; -1 where none fits.

    It goes along slices, of which the compiler compares several entries at once: a sixth of the time for 549 nodes.
    """
    scores, ranks = row[low:high], nodes.rank[low:high]
    highest = np.int16(INFEASIBLE)
    for at in range(len(scores)):
        highest = scores[at] if scores[at] > highest else highest
    if highest < 0:
        return -1
    found, least = -1, np.int64(len(nodes.rank))
    for at in range(len(scores)):
        if scores[at] == highest and ranks[at] < least:
            found, least = low + at, ranks[at]
    return found


class FirstFit(NamedTuple):
    """Scores every node alike, so that the lowest rank wins; a task that shares a GPU gets the first with enough left.

    This is what `strided` does where a job has to fit onto a node.
    """

    def score(self, nodes: NodeArrays, need: Need, node: int) -> int:
        """Return 0."""
        return 0

    def scores(self, nodes: NodeArrays, need: Need, at: Ints) -> Ints:
        """Return zeros."""
        return np.zeros(len(at), np.int64)

    def device(self, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
        """Return the first GPU with enough left."""
        return first_fitting(nodes, need, node)
