"""Requests for GPUs, CPU and memory, and the distribution of typical ones.

Source: FGD (ATC'23): fragmentation is judged by a distribution M of tasks, made from the most frequent requests.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

WHOLE_MILLI: Final = 1000  # a whole GPU, in thousandths
POPULARITY: Final = 0.95  # share of all requests that the typical ones cover at least, as in the original


class Request(NamedTuple):
    """What a job (or pod) needs on one node.

    Attributes
    ----------
    cpu_milli
        CPU, thousandths of a core.
    gpu_milli
        Thousandths of each of its GPUs: 1000 unless it shares one GPU; 0 where it needs none.
    gpus
        Number of GPUs: 1 where it shares one.
    gpu_spec
        Worker types on which it may run, as ``"A|B"``; empty means any.
    memory_mib
        Memory, MiB.
    """

    cpu_milli: int
    gpu_milli: int
    gpus: int
    gpu_spec: str = ""
    memory_mib: int = 0

    @property
    def demand_milli(self) -> int:
        """Thousandths of a GPU in all."""
        return self.gpu_milli * self.gpus

    def admits(self, worker_type: str) -> bool:
        """Return whether it may run on a worker type."""
        return not self.gpu_spec or worker_type in self.gpu_spec.split("|")


@dataclass(frozen=True, slots=True)
class TaskDistribution:
    """The typical requests M and how frequent each is.

    Attributes
    ----------
    requests
        M typical requests, without their memory, the most frequent first.
    share
        (M,) float64, sums to 1.
    """

    requests: tuple[Request, ...]
    share: Floats


def typical(counts: Iterable[tuple[Request, float]], popularity: float = POPULARITY) -> TaskDistribution:
    """Return the most frequent requests that together cover at least ``popularity`` of all, renormalised.

    Parameters
    ----------
    counts
        Requests, each with how often it occurs (or any weight); equal ones are added up, memory does not count.

    Notes
    -----
    Ties go to the larger request by (CPU, GPU milli, GPUs, specification). The shares are divided by all first and by
    the part that is kept after that, which in floating point is not the same as dividing by the kept count: the
    original does so, and its choices at ties of scores follow from the last bit.
    """
    weight: dict[Request, float] = {}
    for request, count in counts:
        key = request._replace(memory_mib=0)
        weight[key] = weight.get(key, 0.0) + count
    ordered = sorted(weight, key=lambda request: (weight[request], request[:4]), reverse=True)
    total = sum(weight.values())
    kept: list[Request] = []
    covered = 0.0
    for request in ordered:
        kept.append(request)
        covered += weight[request]
        if covered >= popularity * total:
            break
    # The last bit of each share counts: the original divides twice.
    return TaskDistribution(tuple(kept), np.array([weight[request] / total / (covered / total) for request in kept]))
