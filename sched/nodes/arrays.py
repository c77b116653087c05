"""The arrays that placements on nodes work on: what is left, what is asked for, and scores that are still good.

They are named tuples because compiled code takes those as they are. The arrays are changed in place, by the kernels in
`kernels` or the NumPy form in `numpy_form`, and belong to one `NodeState`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np

from phasewise.profiling.jit.layouts import FlagMatrix, IntMatrix, IntVector, ShortMatrix
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.requests import WHOLE_MILLI, TaskDistribution
from phasewise.sched.nodes.compilable import compilable
from phasewise.sched.nodes.fragmentation import Tables, Typical, build_tables

TASKS_A_NODE: Final = 1001  # the original's limit of pods on a node
CPU_SCALE: Final = 128_000  # milli-CPU of the largest node of the original, by which scores measure CPU
GPU_SCALE: Final = 8 * WHOLE_MILLI  # milli-GPU of its largest node
INFEASIBLE: Final = -1


class NodeArrays(NamedTuple):
    """What is left on every node. G GPUs, N nodes, D GPUs on the largest node, W worker types; int64.

    Attributes
    ----------
    left
        (N, D) thousandths left of each GPU, 0 where a node has no such GPU.
    cpu_left, memory_left
        (N,) milli-CPU and MiB.
    tasks
        (N,) tasks on the node.
    labels
        (N, D + 1) GPU tasks on the node by affinity label: at k those of k whole GPUs, at 0 those that share one.
    idle
        (N,) sum of ``left``.
    free
        (N,) GPUs of which nothing is taken.
    fragmented
        (N,) F_n(M), milli times `Tables.unit`.
    scratch
        (D,) room to try things out.
    stream
        (2,) the random stream of rules that draw.
    log, touched, clock
        (L,) the nodes touched last, a ring; (N,) when each was touched last; (1,) how often any was.
    size, kind, rank
        (N,) GPUs, worker type, and rank among nodes of equal scores: the lower wins.
    first_gpu, gpu_node
        (N + 1,) and (G,) as in the layout.
    cpu_scale, gpu_scale
        By which scores measure CPU and GPUs: those of the original's largest node, or of this cluster's if larger.
    tables, typical
        By what fragmentation is judged.
    """

    left: IntMatrix
    cpu_left: IntVector
    memory_left: IntVector
    tasks: IntVector
    labels: IntMatrix
    idle: IntVector
    free: IntVector
    fragmented: IntVector
    scratch: IntVector
    stream: IntVector
    log: IntVector
    touched: IntVector
    clock: IntVector
    size: IntVector
    kind: IntVector
    rank: IntVector
    first_gpu: IntVector
    gpu_node: IntVector
    cpu_scale: float
    gpu_scale: float
    tables: Tables
    typical: Typical

    @classmethod
    def idle_nodes(
        cls, layout: ClusterLayout, tasks: TaskDistribution, rank: IntVector, stream: IntVector
    ) -> NodeArrays:
        """Return the arrays of a cluster on which nothing runs; fragmentation is still to be judged."""
        size = np.diff(layout.node_start)
        nodes, most = layout.nodes, int(size.max(initial=1))
        left = np.where(np.arange(most) < size[:, None], WHOLE_MILLI, 0).astype(np.int64)
        counts = np.zeros((4, nodes), np.int64)
        return cls(
            left=left,
            cpu_left=layout.cpu_milli.copy(),
            memory_left=layout.memory_mib.copy(),
            tasks=counts[0],
            labels=np.zeros((nodes, most + 1), np.int64),
            idle=counts[1],
            free=counts[2],
            fragmented=counts[3],
            scratch=np.zeros(most, np.int64),
            stream=stream,
            log=np.zeros(1 << max(nodes - 1, 1).bit_length(), np.int64),
            touched=np.full(nodes, -1),
            clock=np.zeros(1, np.int64),
            size=size,
            kind=layout.node_type,
            rank=rank,
            first_gpu=layout.node_start,
            gpu_node=layout.gpu_node,
            cpu_scale=float(max(CPU_SCALE, layout.cpu_milli.max(initial=0))),
            gpu_scale=float(max(GPU_SCALE, most * WHOLE_MILLI)),
            tables=build_tables(tasks, layout.worker_types, most),
            typical=Typical.of(tasks, layout.worker_types),
        )


class Need(NamedTuple):
    """What one task asks of its node; as `phasewise.sched.cluster.requests.Request`."""

    cpu: int
    memory: int
    milli: int
    gpus: int


class Requests(NamedTuple):
    """The distinct requests of a run. Q requests, W worker types."""

    cpu: IntVector  # (Q,) milli
    memory: IntVector  # (Q,) MiB
    milli: IntVector  # (Q,) thousandths of each GPU
    gpus: IntVector  # (Q,)
    admitted: FlagMatrix  # (Q, W) whether it may run on each type
    whole: IntMatrix  # (Q, W) which request a gang makes of each node of a type that it fills; -1 where it is no gang
    rest: IntMatrix  # (Q, W) which it makes of one node more, -1 where nothing remains

    def need(self, index: int) -> Need:
        """Return one of them."""
        return Need(int(self.cpu[index]), int(self.memory[index]), int(self.milli[index]), int(self.gpus[index]))

    def part(self, index: int, kind: int, held: int) -> int:
        """Return the request of what a job has on a node of a type where it holds so many GPUs."""
        whole = int(self.whole[index, kind])
        if whole < 0:
            return index
        return whole if self.gpus[whole] == held else int(self.rest[index, kind])


class ScoreRows(NamedTuple):
    """Scores of one rule, kept by distinct request and range of nodes. S rows, N nodes.

    Most tasks are placed on one worker type: then only its nodes are scored. A row belongs to what `row_key` makes of
    request and range, and is good but for the nodes that were touched since ``seen``.
    """

    score: ShortMatrix  # (S, N); -1 where the request does not fit
    owner: IntVector  # (S,) key of request and range, -1 where there is none yet
    seen: IntVector  # (S,) clock at which the row was good

    @classmethod
    def empty(cls, rows: int, nodes: int) -> ScoreRows:
        """Return rows that belong to no request."""
        return cls(np.empty((rows, nodes), np.int16), np.full(rows, -1), np.zeros(rows, np.int64))


def joined(
    columns: Sequence[Sequence[int]],
    admitted: Sequence[Sequence[bool]],
    parts: Sequence[tuple[Sequence[int], Sequence[int]]],
    types: int,
) -> Requests:
    """Return the arrays of requests given as (CPU, memory, GPU milli, GPUs), by which types admit each, and its parts.

    The parts are, for each type, the indices of the requests `Requests.whole` and `Requests.rest`.
    """
    figures = np.array(columns, np.int64).reshape(-1, 4)
    cpu, memory, milli, gpus = np.ascontiguousarray(figures.T)
    whole, rest = np.ascontiguousarray(np.array(parts, np.int64).reshape(-1, 2, types).transpose(1, 0, 2))
    return Requests(cpu, memory, milli, gpus, np.array(admitted, np.bool_).reshape(-1, types), whole, rest)


@compilable
def row_slot(nodes: NodeArrays, rows: int, request: int, low: int, high: int) -> int:
    """Return which of so many rows has the scores of a request on the nodes low to high."""
    part = 0 if high - low == len(nodes.kind) or low >= high else 1 + nodes.kind[low]
    return int((request * (1 + nodes.typical.admitted.shape[1]) + part) % rows)


@compilable
def row_key(nodes: NodeArrays, request: int, low: int, high: int) -> int:
    """Return what tells a request and a range of nodes from all others."""
    span = len(nodes.kind) + 1
    return int((request * span + low) * span + high)
