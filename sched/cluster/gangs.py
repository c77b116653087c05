"""Gangs: jobs of more GPUs than a node has, which take several nodes of one type at once.

A job is a gang where no node of a type that admits it has so many GPUs. On each type it falls into parts: as many nodes
of the type's largest size as it fills, all their GPUs, and one part of the GPUs that remain. CPU and memory go with the
GPUs, rounded up.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.node_lists import types_with_room
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request, TaskDistribution, typical

Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Gang(NamedTuple):
    """What a gang asks for on the nodes of one worker type.

    Attributes
    ----------
    wholes
        How many nodes it fills.
    whole
        What it asks for on each of these.
    rest
        What it asks for on one more node; None where nothing remains.
    """

    wholes: int
    whole: Request
    rest: Request | None

    @classmethod
    def of(cls, request: Request, gpus_a_node: int) -> Gang:
        """Return the parts of a request on nodes of so many GPUs."""
        wholes, remain = divmod(request.gpus, gpus_a_node)
        return cls(wholes, _part(request, gpus_a_node), _part(request, remain) if remain else None)

    @property
    def nodes(self) -> int:
        """On how many nodes it runs."""
        return self.wholes + (self.rest is not None)

    def parts(self) -> list[Request]:
        """Return what it asks for on every node."""
        return [self.whole] * self.wholes + [self.rest] * (self.rest is not None)  # type: ignore[list-item]


def gpus_a_node(layout: ClusterLayout) -> Ints:
    """Return (W,) the GPUs of the largest node of each worker type."""
    return np.maximum.reduceat(np.diff(layout.node_start), layout.type_first_node[:-1])


def is_gang(request: Request, layout: ClusterLayout) -> bool:
    """Return whether a request takes more whole GPUs than any node has of a type that admits it."""
    return request.gpu_milli == WHOLE_MILLI and 0 < _most_on_a_node(request, layout) < request.gpus


def types_for_job(layout: ClusterLayout, request: Request) -> Bools:
    """Return (W,) whether the idle nodes of each worker type have all that a job asks for, on one node or as a gang."""
    if not is_gang(request, layout):
        return types_with_room(layout, request)
    size, found = np.diff(layout.node_start), np.zeros(len(layout.worker_types), np.bool_)
    for kind, most in enumerate(gpus_a_node(layout).tolist()):
        if not most:
            continue
        gang = Gang.of(request, most)
        nodes = slice(int(layout.type_first_node[kind]), int(layout.type_first_node[kind + 1]))
        able = [
            np.count_nonzero(
                (size[nodes] >= part.gpus)
                & (layout.cpu_milli[nodes] >= part.cpu_milli)
                & (layout.memory_mib[nodes] >= part.memory_mib)
            )
            for part in (gang.whole, gang.rest or gang.whole)
        ]
        # Where a whole part fits, so does the rest, which goes onto what the others leave.
        found[kind] = request.admits(layout.worker_types[kind]) and able[0] >= gang.wholes and able[1] >= gang.nodes
    return found


def by_node(tasks: TaskDistribution, layout: ClusterLayout) -> TaskDistribution:
    """Return typical requests as nodes see them: a gang as its parts on the largest nodes of those that admit it."""
    if not any(is_gang(request, layout) for request in tasks.requests):
        return tasks
    counts: list[tuple[Request, float]] = []
    for request, share in zip(tasks.requests, tasks.share.tolist(), strict=True):
        gang = is_gang(request, layout)
        parts = Gang.of(request, _most_on_a_node(request, layout)).parts() if gang else [request]
        counts += [(part, share) for part in parts]
    return typical(counts, popularity=1.0)


def _most_on_a_node(request: Request, layout: ClusterLayout) -> int:
    """Return the GPUs of the largest node of a type that admits a request; 0 where none does, or none has any."""
    sizes = zip(gpus_a_node(layout).tolist(), layout.worker_types, strict=True)
    return max((most for most, name in sizes if request.admits(name)), default=0)


def _part(request: Request, gpus: int) -> Request:
    """Return what so many of a request's GPUs ask for."""
    cpu_milli, memory_mib = (-(-asked * gpus // request.gpus) for asked in (request.cpu_milli, request.memory_mib))
    return request._replace(cpu_milli=cpu_milli, memory_mib=memory_mib, gpus=gpus)
