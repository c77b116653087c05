"""Whether nodes have room for a request, or for all of a gang, compiled: the question that is asked of all who wait."""

from __future__ import annotations

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel, loop
from phasewise.profiling.jit.layouts import FlagMatrix, FlagVector, IntMatrix, IntVector, Matrix
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.nodes.arrays import TASKS_A_NODE, Requests
from phasewise.sched.nodes.gang_kernels import has_room_for_gang

UNKNOWN, FULL, ROOM = 0, 1, 2


@inner
def largest_left(left: IntMatrix) -> IntVector:
    """Return (N,) what is left of the GPU of each node of which most is left."""
    most = np.zeros(left.shape[0], np.int64)
    for node in range(left.shape[0]):
        for device in range(left.shape[1]):
            most[node] = max(most[node], left[node, device])
    return most


@loop
def has_room(
    requests: Requests, q: int, kind: int, low: int, high: int, most: IntVector, free: IntVector,
    cpu_left: IntVector, memory_left: IntVector, tasks: IntVector,
) -> bool:  # fmt: skip
    """Return whether the nodes low to high, of one type, have room for a request; ``most`` is from `largest_left`.

    Along slices and to their end, so that the compiler looks at several nodes at once: where many wait, few find room.
    """
    if requests.whole[q, kind] >= 0:
        return has_room_for_gang(requests, q, kind, low, high, free, cpu_left, memory_left, tasks)
    whole = requests.milli[q] == WHOLE_MILLI
    gpus, wanted = (free if whole else most)[low:high], requests.gpus[q] if whole else requests.milli[q]
    cpu, memory, count = cpu_left[low:high], memory_left[low:high], tasks[low:high]
    wanted_cpu, wanted_memory = requests.cpu[q], requests.memory[q]
    found = 0
    for at in range(len(gpus)):
        fits = (gpus[at] >= wanted) & (cpu[at] >= wanted_cpu) & (memory[at] >= wanted_memory)
        found |= int(fits & (count[at] < TASKS_A_NODE))
    return found > 0


@kernel()
def types_with_room(
    requests: Requests,
    request: IntVector,
    type_first_node: IntVector,
    left: IntMatrix,
    free: IntVector,
    cpu_left: IntVector,
    memory_left: IntVector,
    tasks: IntVector,
) -> FlagMatrix:
    """Return (R, W) on which worker types some node has room for each of the requests (R,) as things stand.

    The nodes of a type are looked through once for equal requests, up to the first that has room.
    """
    types = len(type_first_node) - 1
    known = np.zeros((len(requests.cpu), types), np.int8)
    room = np.zeros((len(request), types), np.bool_)
    most = largest_left(left)
    for row in range(len(request)):
        q = request[row]
        for t in range(types):
            if known[q, t] == UNKNOWN:
                low, high = type_first_node[t], type_first_node[t + 1]
                found = requests.admitted[q, t] and has_room(
                    requests, q, t, low, high, most, free, cpu_left, memory_left, tasks
                )
                known[q, t] = ROOM if found else FULL
            room[row, t] = known[q, t] == ROOM
    return room


@kernel()
def waiting_with_room(
    requests: Requests,
    request: IntVector,
    runs_on: IntVector,
    placeable: FlagVector,
    throughput: Matrix,
    type_first_node: IntVector,
    left: IntMatrix,
    free: IntVector,
    cpu_left: IntVector,
    memory_left: IntVector,
    tasks: IntVector,
) -> tuple[IntVector, Matrix]:
    """Return (K,) who of the jobs (J,) waits, may be placed, and finds room where it can run; (K, W) its speed there.

    The speed is 0 on types without room. ``runs_on`` (J,) is -1 for those who wait. As `types_with_room`, but that
    nothing is written down of the many for whom there is no room.
    """
    jobs, types = throughput.shape
    unknown = np.ones(len(requests.cpu), np.bool_)
    room, anywhere = np.zeros((len(requests.cpu), types), np.bool_), np.zeros(len(requests.cpu), np.bool_)
    most, rows = largest_left(left), np.empty(jobs, np.int64)
    count = 0
    for i in range(jobs):
        if runs_on[i] >= 0 or not placeable[i]:
            continue
        q = request[i]
        if unknown[q]:
            unknown[q] = False
            for t in range(types):
                low, high = type_first_node[t], type_first_node[t + 1]
                room[q, t] = requests.admitted[q, t] and has_room(
                    requests, q, t, low, high, most, free, cpu_left, memory_left, tasks
                )
                anywhere[q] = anywhere[q] or room[q, t]
        if anywhere[q]:
            rows[count] = i
            count += 1
    speed = np.zeros((count, types))
    found = 0
    for i in rows[:count]:
        able = False
        for t in range(types):
            speed[found, t] = throughput[i, t] if room[request[i], t] else 0.0
            able = able or speed[found, t] > 0.0
        rows[found] = i
        found += able
    return rows[:found].copy(), speed[:found].copy()
