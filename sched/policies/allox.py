"""AlloX: jobs of one GPU each in queues, so that their completion times add up to as little as possible."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.statements import runnable_pairs
from phasewise.sched.sticky import Served, still_served
from phasewise.solvers.families.transport import TRANSPORT, TransportProblem


@register_policy
class AlloX:
    """Minimise the sum of completion times of single-GPU jobs, by matching them to positions in queues of free GPUs.

    A job in service keeps its GPU until it completes. The others are put into the queues of the free GPUs, each at a
    position k from the end, where it adds k times its duration on that type to the sum of completion times. The job in
    front of each queue, the deepest, starts.

    Notes
    -----
    Of jobs at one position of a type's queues, any may stand before any; here the ones of the smallest ids are deepest.
    In the original the order of a matrix's columns decides (D24). Priorities do not enter. Source: EuroSys'20, AlloX.
    """

    name: ClassVar[str] = "allox"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    needs_positive_priority: ClassVar[bool] = False
    single_gpus_only: ClassVar[bool] = True
    options: ClassVar[type[PolicyOptions]] = PolicyOptions
    families: ClassVar[frozenset[str]] = frozenset({TRANSPORT})

    def __init__(self, options: PolicyOptions) -> None:
        del options  # nothing to choose

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return ones and zeros: the type each served job runs on, and the `Served` of it.

        Raises
        ------
        TypeError
            If ``memory`` is neither None nor what an earlier call returned.
        """
        served = still_served(view.job_id, memory, self.name)
        free = view.capacity - np.bincount(served[served >= 0], minlength=view.capacity.size)
        pairs = runnable_pairs(view.throughput, free)
        waits = np.flatnonzero((served < 0) & pairs.any(axis=1) & (view.steps_remaining > 0.0))
        if waits.size:
            waits = waits[np.argsort(view.job_id[waits], kind="stable")]
            rate = view.throughput[waits]
            duration = np.divide(view.steps_remaining[waits, None], rate, out=np.zeros(rate.shape), where=pairs[waits])
            problem = TransportProblem(duration, np.ones(waits.size), free, pairs[waits], view.job_id[waits])
            starts = problem.starts(solve(problem).x)
            now = starts.any(axis=1)
            served[waits[now]] = starts[now].argmax(axis=1)
        running = np.flatnonzero(served >= 0)
        x = np.zeros(view.throughput.shape)
        x[running, served[running]] = 1.0
        running = running[np.argsort(view.job_id[running], kind="stable")]
        return Allocation(x, Served.of(view.job_id[running], served[running]))
