"""Whether any node has room for a request, compiled: the question that is asked of all who wait."""

from __future__ import annotations

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel
from phasewise.profiling.jit.layouts import FlagMatrix, IntMatrix, IntVector
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.nodes.arrays import TASKS_A_NODE, Requests

UNKNOWN, FULL, ROOM = 0, 1, 2


@inner
def largest_left(left: IntMatrix) -> IntVector:
    """Return (N,) what is left of the GPU of each node of which most is left."""
    most = np.zeros(left.shape[0], np.int64)
    for node in range(left.shape[0]):
        for device in range(left.shape[1]):
            most[node] = max(most[node], left[node, device])
    return most


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
        whole = requests.milli[q] == WHOLE_MILLI
        for t in range(types):
            if known[q, t] == UNKNOWN:
                known[q, t] = FULL
                for node in range(type_first_node[t], type_first_node[t + 1] if requests.admitted[q, t] else 0):
                    enough = free[node] >= requests.gpus[q] if whole else most[node] >= requests.milli[q]
                    fits = cpu_left[node] >= requests.cpu[q] and memory_left[node] >= requests.memory[q]
                    if enough and fits and tasks[node] < TASKS_A_NODE:
                        known[q, t] = ROOM
                        break
            room[row, t] = known[q, t] == ROOM
    return room
