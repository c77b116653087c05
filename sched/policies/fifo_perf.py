"""First in, first out, each job on the fastest type that has room."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.registry import PolicyOptions, register_policy


@register_policy
class FifoPerf:
    """Serve jobs in order of id, each on the fastest worker type with room; rebuilt at every call.

    The first job that fits on no type ends the call. A job whose best type with room has throughput 0 is passed over.
    Of equally fast types the alphabetically first is taken.

    Notes
    -----
    Source: OSDI'20 s4.2 (FIFO, heterogeneity-aware).
    """

    name: ClassVar[str] = "fifo_perf"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    needs_positive_priority: ClassVar[bool] = True

    def __init__(self, options: PolicyOptions) -> None:
        del options  # nothing to choose

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return ones and zeros: the type each served job runs on; neither solves nor remembers."""
        del solve, memory
        x = np.zeros(view.throughput.shape)
        free: list[float] = view.capacity.tolist()
        # Plain lists: a row has a handful of entries, which NumPy would take ten times longer to look at.
        gpus: list[float] = view.scale_factor.tolist()
        throughput: list[list[float]] = view.throughput.tolist()
        for row in np.argsort(view.job_id, kind="stable").tolist():
            candidates = [j for j, room in enumerate(free) if room >= gpus[row]]
            if not candidates:
                break
            best = max(candidates, key=throughput[row].__getitem__)  # the first of equals
            if throughput[row][best] > 0:
                x[row, best] = 1.0
                free[best] -= gpus[row]
        return Allocation(x)
