"""Finish-time fairness: nobody's time in the system much longer than in isolation."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Floats, Ints, Solve, TypeOrder
from phasewise.sched.policy_options import PolicyOptions, SpeedOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.statements import even_throughput, isolated_share, possible_pairs, require_reference, spread
from phasewise.solvers.families.finish_time import FINISH_TIME, FinishTimeProblem


class IsolatedTime(NamedTuple):
    """What each job would have had so far in isolation: read-only, in order of job id. Any tuple of the four will do.

    Attributes
    ----------
    job_id
        (K,) int64, ascending.
    seconds
        (K,) C, seconds accumulated until the last call.
    steps
        (K,) steps remaining at the last call.
    rate
        (K,) steps/s in isolation at the last call.
    """

    job_id: Ints
    seconds: Floats
    steps: Floats
    rate: Floats

    def until(self, job_id: Ints, steps: Floats) -> Floats:
        """Return (J,) C of the jobs ``job_id``, ascending, that have ``steps`` (J,) left now; 0 for new ones.

        What was done since the last call would have taken so long in isolation: C += (r_before - r_now) / rate.
        """
        seconds = np.zeros(job_id.size)
        _, here, there = np.intersect1d(job_id, self.job_id, assume_unique=True, return_indices=True)
        done, rate = self.steps[there] - steps[here], self.rate[there]
        seconds[here] = self.seconds[there] + np.divide(done, rate, out=np.zeros(done.size), where=rate > 0.0)
        return seconds


def _allocate(view: ClusterView, believed: Floats, options: PolicyOptions, solve: Solve, memory: object) -> Allocation:
    """Return the allocation of the least worst ratio, by the throughputs that are believed in, and the `IsolatedTime`.

    A job that can run nowhere, or has no steps left, has no row; its time in isolation is kept all the same.
    """
    order = np.argsort(view.job_id, kind="stable")
    seconds = _seconds(view.job_id[order], view.steps_remaining[order], memory)
    isolated_s = np.empty(order.size)
    isolated_s[order] = seconds
    rate = (believed * isolated_share(view)).sum(axis=1)
    remembered = _remembered(view.job_id[order], seconds, view.steps_remaining[order], rate[order])
    pairs, rows = possible_pairs(view, options)
    counted = (view.steps_remaining[rows] > 0.0) & (rate[rows] > 0.0)
    pairs = pairs[counted]
    rows[rows] = counted
    if not rows.any():
        return Allocation(np.zeros(view.throughput.shape), remembered)
    steps = view.steps_remaining[rows]
    problem = FinishTimeProblem(
        throughput=believed[rows],
        scale_factor=view.scale_factor[rows],
        capacity=view.capacity,
        steps_remaining=steps,
        since_arrival=view.since_arrival_s[rows],
        isolated=isolated_s[rows] + steps / rate[rows],
        allowed=pairs,
        keys=view.job_id[rows],
    )
    return Allocation(spread(solve(problem).x, rows), remembered)


def _seconds(job_id: Ints, steps: Floats, memory: object) -> Floats:
    """Return (J,) the seconds in isolation of the jobs ``job_id``, ascending."""
    if memory is None:
        return np.zeros(job_id.size)
    if not isinstance(memory, tuple) or len(memory) != len(IsolatedTime._fields):
        raise TypeError(f"finish-time fairness was given the memory of another policy: {type(memory).__name__}")
    return IsolatedTime(*memory).until(job_id, steps)


def _remembered(job_id: Ints, seconds: Floats, steps: Floats, rate: Floats) -> IsolatedTime:
    for array in (job_id, seconds, steps, rate):
        array.flags.writeable = False
    return IsolatedTime(job_id, seconds, steps, rate)


@register_policy
class FinishTimeFairness:
    """Minimise the worst ratio of time in the system to time in isolation, treating all worker types as equally fast.

    min max_i (t_i + r_i / sum_j T_i x_ij) / (C_i + r_i / iso_i), where T_i is the job's mean speed over the types on
    which it can run, iso_i its speed with the m-th part of the cluster, and C_i what it did so far took in isolation.

    Notes
    -----
    Priorities do not enter. Source: OSDI'20 s4.2, after Themis. The original takes a job's speed on a V100 for that on
    every type, and even on those on which it cannot run (D2).
    """

    name: ClassVar[str] = "finish_time_fairness"
    type_order: ClassVar[TypeOrder] = TypeOrder.SHUFFLED
    needs_positive_priority: ClassVar[bool] = False
    options: ClassVar[type[SpeedOptions]] = SpeedOptions
    families: ClassVar[frozenset[str]] = frozenset({FINISH_TIME})

    def __init__(self, options: SpeedOptions) -> None:
        require_reference(options)
        self._options = options

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation of the least worst ratio, and the `IsolatedTime`."""
        return _allocate(view, even_throughput(view, self._options), self._options, solve, memory)


@register_policy
class FinishTimeFairnessPerf:
    """Minimise the worst ratio of a job's time in the system to its time in isolation.

    min max_i (t_i + r_i / sum_j T_ij x_ij) / (C_i + r_i / iso_i), where iso_i is the job's speed with the m-th part of
    the cluster, and C_i what it did so far took in isolation.

    Notes
    -----
    Priorities do not enter. Source: OSDI'20 s4.2, after Themis.
    """

    name: ClassVar[str] = "finish_time_fairness_perf"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    needs_positive_priority: ClassVar[bool] = False
    options: ClassVar[type[PolicyOptions]] = PolicyOptions
    families: ClassVar[frozenset[str]] = frozenset({FINISH_TIME})

    def __init__(self, options: PolicyOptions) -> None:
        self._options = options

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation of the least worst ratio, and the `IsolatedTime`."""
        return _allocate(view, view.throughput, self._options, solve, memory)
