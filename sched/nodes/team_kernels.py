"""What a team changes on a node, compiled: its partner, and with it the CPU and memory that it asks for."""

from __future__ import annotations

from phasewise.profiling.jit.kernel import kernel
from phasewise.sched.nodes.arrays import NodeArrays, Requests
from phasewise.sched.nodes.compilable import register_marked
from phasewise.sched.nodes.kernels import change_counts, need_of, touch

register_marked()


@kernel(allocates=False)
def exchange(nodes: NodeArrays, requests: Requests, old: int, new: int, node: int) -> None:
    """Let a task on a node, which keeps its GPUs, ask for CPU and memory as another request does."""
    change_counts(nodes, need_of(requests, old), node, -1)
    change_counts(nodes, need_of(requests, new), node, 1)
    touch(nodes, node)
