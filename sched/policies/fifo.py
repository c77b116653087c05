"""First in, first out: each job on a random type that has room, where it stays, or anew on the fastest one."""

from __future__ import annotations

import random
from typing import ClassVar

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.sticky import Served, still_served


@register_policy
class Fifo:
    """Serve jobs in order of id, each on a random worker type with room, where it stays until it completes.

    The queue is strict: where its head has room on no type it can run on, everybody behind it waits. A slot that
    a completed job leaves therefore goes to the head of the queue.

    Notes
    -----
    Each job has its own random stream, derived from the policy's seed and the job's id, so a draw depends neither on
    the order of earlier draws nor on how often the policy ran; the memory is the assignment alone.
    Source: OSDI'20 s4.2 (FIFO, heterogeneity-agnostic); the type is drawn among those with room.
    """

    name: ClassVar[str] = "fifo"
    type_order: ClassVar[TypeOrder] = TypeOrder.SHUFFLED
    needs_positive_priority: ClassVar[bool] = True
    options: ClassVar[type[PolicyOptions]] = PolicyOptions

    def __init__(self, options: PolicyOptions) -> None:
        self._seed = options.seed

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return ones and zeros: the type each served job runs on, and the `Served` of it.

        Raises
        ------
        TypeError
            If ``memory`` is neither None nor what an earlier call returned.
        """
        del solve
        order = np.argsort(view.job_id, kind="stable")
        served = still_served(view.job_id[order], memory, self.name)
        kept = served >= 0
        gpus = view.scale_factor[order]
        free = view.capacity - np.bincount(served[kept], weights=gpus[kept], minlength=view.capacity.size)
        for position in np.flatnonzero(~kept).tolist():
            row = order[position]
            candidates = np.flatnonzero((free >= gpus[position]) & (view.throughput[row] > 0))
            if candidates.size == 0:
                break
            # int, not NumPy's: the seed's text must not depend on NumPy's way of printing
            draw = random.Random(f"fifo {self._seed} {int(view.job_id[row])}")
            served[position] = draw.choice(candidates.tolist())
            free[served[position]] -= gpus[position]
        kept = served >= 0
        x = np.zeros(view.throughput.shape)
        x[order[kept], served[kept]] = 1.0
        return Allocation(x, Served.of(view.job_id[order[kept]], served[kept]))


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
    options: ClassVar[type[PolicyOptions]] = PolicyOptions

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
