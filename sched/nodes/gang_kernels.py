"""Jobs that take several nodes at once, compiled: which part of one a node has, and whether there are nodes for all."""

from __future__ import annotations

from phasewise.profiling.jit.kernel import loop
from phasewise.profiling.jit.layouts import IntVector
from phasewise.sched.nodes.arrays import TASKS_A_NODE, Requests


@loop
def part_of(requests: Requests, request: int, kind: int, held: int) -> int:
    """Return the request of what a job has on a node of a type where it holds so many GPUs; its own where no gang."""
    whole = requests.whole[request, kind]
    if whole < 0:
        return request
    part: int = whole if requests.gpus[whole] == held else requests.rest[request, kind]
    return part


@loop
def has_room_for_gang(
    requests: Requests, request: int, kind: int, low: int, high: int, free: IntVector, cpu_left: IntVector,
    memory_left: IntVector, tasks: IntVector,
) -> bool:  # fmt: skip
    """Return whether the nodes low to high, of one type, have room for all parts of a gang.

    A whole part takes all GPUs of a node, so each goes onto a node of its own, and what remains fits wherever a whole
    part does: counting is enough, whichever nodes a rule chooses.
    """
    if not requests.admitted[request, kind]:
        return False
    whole, rest = requests.whole[request, kind], requests.rest[request, kind]
    wholes = requests.gpus[request] // requests.gpus[whole]
    wanted = wholes + (1 if rest >= 0 else 0)
    least = rest if rest >= 0 else whole
    filled, able = 0, 0
    for node in range(low, high):
        if tasks[node] >= TASKS_A_NODE or free[node] < requests.gpus[least]:
            continue
        if cpu_left[node] < requests.cpu[least] or memory_left[node] < requests.memory[least]:
            continue
        able += 1
        enough = cpu_left[node] >= requests.cpu[whole] and memory_left[node] >= requests.memory[whole]
        if enough and free[node] >= requests.gpus[whole]:
            filled += 1
        if filled >= wholes and able >= wanted:
            return True
    return False


@loop
def sort_gpus(gpu: IntVector) -> None:
    """Sort the GPUs of a gang, ascending, in place: each part is sorted, and they are few."""
    for k in range(1, len(gpu)):
        each, at = gpu[k], k
        while at > 0 and gpu[at - 1] > each:
            gpu[at] = gpu[at - 1]
            at -= 1
        gpu[at] = each
