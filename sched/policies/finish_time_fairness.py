"""Finish-time fairness: nobody's time in the system much longer than in isolation."""

from __future__ import annotations

from typing import ClassVar, NamedTuple

import numpy as np

from phasewise.sched.api import Allocation, Bools, ClusterView, Floats, Ints, Solve, TypeOrder
from phasewise.sched.packed_statements import in_teams, nobody_runs, pair_rates
from phasewise.sched.policy_options import PolicyOptions, SpeedOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.statements import even_throughput, isolated_share, possible_pairs, require_reference, spread
from phasewise.solvers.families.finish_time import FINISH_TIME, FinishTimeProblem
from phasewise.solvers.families.packed_finish_time import FINISH_TIME_PACKED, PackedFinishTimeProblem


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
    stated = _stated(view, believed, options, memory)
    if not stated.rows.any():
        return Allocation(np.zeros(view.throughput.shape), stated.remembered)
    rows = stated.rows
    problem = FinishTimeProblem(
        throughput=believed[rows],
        scale_factor=view.scale_factor[rows],
        capacity=view.capacity,
        steps_remaining=view.steps_remaining[rows],
        since_arrival=view.since_arrival_s[rows],
        isolated=stated.isolated_s,
        allowed=stated.allowed,
        keys=view.job_id[rows],
    )
    return Allocation(spread(solve(problem).x, rows), stated.remembered)


class _Stated(NamedTuple):
    """What the problem of a call is made of.

    Attributes
    ----------
    rows
        (J,) which jobs have a row, R of them.
    allowed
        (R, W) where x may be above 0.
    isolated_s
        (R,) seconds in the system in isolation, D_i.
    remembered
        For the next call.
    """

    rows: Bools
    allowed: Bools
    isolated_s: Floats
    remembered: IsolatedTime


def _stated(view: ClusterView, believed: Floats, options: PolicyOptions, memory: object) -> _Stated:
    """Return what the problem is made of, by the throughputs that are believed in."""
    order = np.argsort(view.job_id, kind="stable")
    seconds = _seconds(view.job_id[order], view.steps_remaining[order], memory)
    isolated_s = np.empty(order.size)
    isolated_s[order] = seconds
    rate = (believed * isolated_share(view)).sum(axis=1)
    remembered = _remembered(view.job_id[order], seconds, view.steps_remaining[order], rate[order])
    pairs, rows = possible_pairs(view, options)
    counted = (view.steps_remaining[rows] > 0.0) & (rate[rows] > 0.0)
    rows[rows] = counted
    isolated = isolated_s[rows] + view.steps_remaining[rows] / rate[rows]
    return _Stated(rows, pairs[counted], isolated, remembered)


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


@register_policy
class FinishTimeFairnessPacked:
    """Minimise the worst ratio of time in the system to time in isolation, where jobs may share GPUs in pairs.

    As finish_time_fairness_perf, where a job's throughput is that over all its time, alone and beside others. Isolated
    is what it would have with the m-th part of the cluster, alone.

    Notes
    -----
    Priorities do not enter. Source: OSDI'20 s4.2 and s4.3. The original stops at jobs of different scale factors (D10).
    """

    name: ClassVar[str] = "finish_time_fairness_packed"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    packs: ClassVar[bool] = True
    needs_positive_priority: ClassVar[bool] = False
    options: ClassVar[type[PolicyOptions]] = PolicyOptions
    families: ClassVar[frozenset[str]] = frozenset({FINISH_TIME_PACKED})

    def __init__(self, options: PolicyOptions) -> None:
        self._options = options

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation of the least worst ratio, its rows teams, and the `IsolatedTime`."""
        stated = _stated(view, view.throughput, self._options, memory)
        rows = stated.rows
        if not rows.any():
            return nobody_runs(view, stated.remembered)
        kind, rate = pair_rates(view)
        problem = PackedFinishTimeProblem(
            throughput=view.throughput[rows],
            kind=kind[rows],
            rate=rate,
            scale_factor=view.scale_factor[rows],
            capacity=view.capacity,
            steps_remaining=view.steps_remaining[rows],
            since_arrival=view.since_arrival_s[rows],
            isolated=stated.isolated_s,
            allowed=stated.allowed,
            keys=view.job_id[rows],
        )
        return in_teams(view, rows, solve(problem), stated.remembered)
