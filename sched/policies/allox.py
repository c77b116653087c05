"""AlloX: jobs of one GPU each in queues, so that their completion times add up to as little as possible."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Ints, Solve, TypeOrder
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.statements import runnable_pairs
from phasewise.solvers.families.transport import TRANSPORT, TransportProblem


class AlloXMemory(NamedTuple):
    """Who is being served where: read-only, in order of job id. Any tuple of the two will do.

    Attributes
    ----------
    job_id
        (K,) int64, ascending.
    worker_type
        (K,) int64, index of the type that serves the job.
    """

    job_id: Ints
    worker_type: Ints


@register_policy
class AlloX:
    """Minimise the sum of completion times: jobs of one GPU queue for the GPUs that are free, and the deepest start.

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
        """Return ones and zeros: the type each served job runs on, and the `AlloXMemory` of it.

        Raises
        ------
        TypeError
            If ``memory`` is neither None nor what an earlier call returned.
        """
        served = self._served(view.job_id, memory)
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
        return Allocation(x, _remembered(view.job_id[running], served[running]))

    def _served(self, job_id: Ints, memory: object) -> Ints:
        """Return (J,) the type that serves each job so far, -1 for those that wait."""
        served = np.full(job_id.size, -1, dtype=np.int64)
        if memory is None:
            return served
        if not isinstance(memory, tuple) or len(memory) != len(AlloXMemory._fields):
            raise TypeError(f"policy allox was given the memory of another policy: {type(memory).__name__}")
        before, worker_type = memory
        _, here, there = np.intersect1d(job_id, before, assume_unique=True, return_indices=True)
        served[here] = worker_type[there]
        return served


def _remembered(job_id: Ints, worker_type: Ints) -> AlloXMemory:
    job_id.flags.writeable = False
    worker_type.flags.writeable = False
    return AlloXMemory(job_id, worker_type)
