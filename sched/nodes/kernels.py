"""Keeping count of nodes, compiled: what a task takes, what a release gives back, which nodes were touched.

Without a count of references to arrays, of which `NodeArrays` holds so many that counting them would take ten times as
long as scoring a node. Integers throughout, so the NumPy form in `numpy_form` gives the same bit for bit.
"""

from __future__ import annotations

from phasewise.profiling.jit.kernel import kernel, loop
from phasewise.profiling.jit.layouts import IntVector
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.nodes.arrays import Need, NodeArrays, Requests
from phasewise.sched.nodes.compilable import register_marked
from phasewise.sched.nodes.fragmentation import cpu_rank
from phasewise.sched.nodes.gang_kernels import part_of

register_marked()


@loop
def judge(nodes: NodeArrays, node: int) -> None:
    """Count a node's idle capacity and free GPUs anew, and judge how fragmented it is."""
    tables, kind = nodes.tables, nodes.kind[node]
    rank = cpu_rank(tables.cpu_steps, nodes.cpu_left[node])
    idle, free, useful = 0, 0, 0
    for device in range(nodes.size[node]):
        left = nodes.left[node, device]
        idle += left
        if left == WHOLE_MILLI:
            free += 1
        useful += tables.single[kind, rank, left]
    nodes.idle[node] = idle
    nodes.free[node] = free
    nodes.fragmented[node] = idle * tables.whole - useful - tables.several[kind, rank, free]


@loop
def touch(nodes: NodeArrays, node: int) -> None:
    """Judge a node anew and note that scores of it are out of date."""
    judge(nodes, node)
    clock = nodes.clock[0]
    nodes.log[clock & (len(nodes.log) - 1)] = node
    nodes.touched[node] = clock
    nodes.clock[0] = clock + 1


@kernel(allocates=False)
def judge_all(nodes: NodeArrays) -> None:
    """Judge every node."""
    for node in range(len(nodes.kind)):
        judge(nodes, node)


@loop
def need_of(requests: Requests, request: int) -> Need:
    """Return one of the distinct requests."""
    return Need(requests.cpu[request], requests.memory[request], requests.milli[request], requests.gpus[request])


@loop
def label_of(need: Need) -> int:
    """Return the affinity label of a GPU task: 0 where it shares a GPU, otherwise its number of GPUs."""
    return need.gpus if need.milli == WHOLE_MILLI else 0


@loop
def change_counts(nodes: NodeArrays, need: Need, node: int, sign: int) -> None:
    """Take (1) a task's CPU and memory from a node, or give them back (-1)."""
    nodes.cpu_left[node] -= sign * need.cpu
    nodes.memory_left[node] -= sign * need.memory
    nodes.tasks[node] += sign
    if need.gpus > 0:
        nodes.labels[node, label_of(need)] += sign


@loop
def take(nodes: NodeArrays, need: Need, node: int, device: int, gpu: IntVector) -> None:
    """Put a task on a node; write into ``gpu`` which it got: ``device`` or, of whole ones, the first that are free."""
    first = nodes.first_gpu[node]
    if need.gpus > 0 and need.milli < WHOLE_MILLI:
        nodes.left[node, device] -= need.milli
        gpu[0] = first + device
    else:
        got = 0
        for d in range(nodes.size[node]):
            if got < need.gpus and nodes.left[node, d] == WHOLE_MILLI:
                nodes.left[node, d] = 0
                gpu[got] = first + d
                got += 1
    change_counts(nodes, need, node, 1)
    touch(nodes, node)


@loop
def give_back(nodes: NodeArrays, need: Need, node: int, gpu: IntVector) -> None:
    """Take a task off a node, where it held the GPUs ``gpu``."""
    first = nodes.first_gpu[node]
    for k in range(len(gpu)):
        nodes.left[node, gpu[k] - first] += need.milli
    change_counts(nodes, need, node, -1)
    touch(nodes, node)


@loop
def give_back_all(nodes: NodeArrays, requests: Requests, request: int, gpu: IntVector) -> None:
    """Take a job off all its nodes, where it held the GPUs ``gpu``, those of a node side by side."""
    start = 0
    while start < len(gpu):
        node, end = nodes.gpu_node[gpu[start]], start + 1
        while end < len(gpu) and nodes.gpu_node[gpu[end]] == node:
            end += 1
        part = part_of(requests, request, nodes.kind[node], end - start)
        give_back(nodes, need_of(requests, part), node, gpu[start:end])
        start = end


@kernel(allocates=False)
def release_rows(
    nodes: NodeArrays, requests: Requests, row: IntVector, first: IntVector, gpu: IntVector, request: IntVector
) -> None:
    """Give back what the jobs in ``row`` hold; one that holds nothing is passed over."""
    for k in range(len(row)):
        i = row[k]
        if first[i + 1] > first[i]:
            give_back_all(nodes, requests, request[i], gpu[first[i] : first[i + 1]])


@kernel(allocates=False)
def release_task(nodes: NodeArrays, requests: Requests, request: int, node: int, gpu: IntVector) -> None:
    """Take one task off a node, where it held the GPUs ``gpu``."""
    give_back(nodes, need_of(requests, request), node, gpu)


@kernel(allocates=False)
def totals(nodes: NodeArrays) -> tuple[float, int, int]:
    """Return (fragmented milli, idle milli, occupied nodes) over all nodes."""
    fragmented, idle, occupied = 0.0, 0, 0
    for node in range(len(nodes.kind)):
        fragmented += nodes.fragmented[node]
        idle += nodes.idle[node]
        if nodes.tasks[node] > 0:
            occupied += 1
    return fragmented / nodes.tables.unit, idle, occupied
