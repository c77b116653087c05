"""Least total duration: all jobs that are there done as early as possible."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from phasewise.sched.api import Allocation, Bools, ClusterView, Floats, Solve, TypeOrder
from phasewise.sched.packed_statements import in_teams, nobody_runs, pair_rates
from phasewise.sched.policy_options import PolicyOptions, SpeedOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.statements import even_throughput, possible_pairs, require_reference, spread
from phasewise.solvers.families.max_min import MAX_MIN, MaxMinProblem
from phasewise.solvers.families.packed import MAX_MIN_PACKED, PackedMaxMinProblem


def _allocate(view: ClusterView, believed: Floats, options: PolicyOptions, solve: Solve) -> Allocation:
    """Return the allocation under which the last of the jobs is done first, by the throughputs that are believed in.

    With T = 1 / t, sum_j T_ij x_ij >= r_i / T of all jobs is max-min over the gains T_ij / r_i: one solve.
    A job that can run nowhere, or has no steps left, has no row.
    """
    pairs, rows = _counted(view, believed, options)
    if not rows.any():
        return Allocation(np.zeros(view.throughput.shape))
    gain = believed[rows] / view.steps_remaining[rows, None]
    problem = MaxMinProblem(gain, view.scale_factor[rows], view.capacity, pairs, keys=view.job_id[rows])
    return Allocation(spread(solve(problem).x, rows))


def _counted(view: ClusterView, believed: Floats, options: PolicyOptions) -> tuple[Bools, Bools]:
    """Return where x may be above 0, (R, W), and which R of the J jobs count: those with steps left that can run."""
    pairs, rows = possible_pairs(view, options)
    counted = (view.steps_remaining[rows] > 0.0) & np.any(np.where(pairs, believed[rows], 0.0) > 0.0, axis=1)
    rows[rows] = counted
    return pairs[counted], rows


@register_policy
class MinTotalDuration:
    """Minimise the time until the last of the present jobs is done, treating all worker types as equally fast.

    min T with sum_j T_i x_ij >= r_i / T, where T_i is the job's mean speed over the types on which it can run.

    Notes
    -----
    Source: OSDI'20 s4.2 (makespan). The original takes a job's speed on a V100 for that on every type, and even on
    those on which it cannot run (D2); it bisects, and stops up to 5 % above the optimum (D22).
    """

    name: ClassVar[str] = "min_total_duration"
    type_order: ClassVar[TypeOrder] = TypeOrder.SHUFFLED
    needs_positive_priority: ClassVar[bool] = False
    options: ClassVar[type[SpeedOptions]] = SpeedOptions
    families: ClassVar[frozenset[str]] = frozenset({MAX_MIN})

    def __init__(self, options: SpeedOptions) -> None:
        require_reference(options)
        self._options = options

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation of least total duration; remembers nothing."""
        del memory
        return _allocate(view, even_throughput(view, self._options), self._options, solve)


@register_policy
class MinTotalDurationPerf:
    """Minimise the time until the last of the present jobs is done.

    min T with sum_j T_ij x_ij >= r_i / T.

    Notes
    -----
    Source: OSDI'20 s4.2 (makespan). The original bisects, and stops up to 5 % above the optimum (D22).
    """

    name: ClassVar[str] = "min_total_duration_perf"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    needs_positive_priority: ClassVar[bool] = False
    options: ClassVar[type[PolicyOptions]] = PolicyOptions
    families: ClassVar[frozenset[str]] = frozenset({MAX_MIN})

    def __init__(self, options: PolicyOptions) -> None:
        self._options = options

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation of least total duration; remembers nothing."""
        del memory
        return _allocate(view, view.throughput, self._options, solve)


@register_policy
class MinTotalDurationPacked:
    """Minimise when the last of the present jobs is done, where jobs may share GPUs in pairs.

    min T such that each job's throughput over all its time, alone and beside others, is at least r_i / T.

    Notes
    -----
    Source: OSDI'20 s4.2 (makespan) and s4.3. The original bisects, and stops up to 5 % above the optimum (D22); it
    stops at jobs of different scale factors (D10).
    """

    name: ClassVar[str] = "min_total_duration_packed"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    packs: ClassVar[bool] = True
    needs_positive_priority: ClassVar[bool] = False
    options: ClassVar[type[PolicyOptions]] = PolicyOptions
    families: ClassVar[frozenset[str]] = frozenset({MAX_MIN_PACKED})

    def __init__(self, options: PolicyOptions) -> None:
        self._options = options

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation of least total duration, its rows teams; remembers nothing."""
        del memory
        allowed, rows = _counted(view, view.throughput, self._options)
        if not rows.any():
            return nobody_runs(view)
        kind, rate = pair_rates(view)
        problem = PackedMaxMinProblem(
            gain=view.throughput[rows] / view.steps_remaining[rows, None],
            kind=kind[rows],
            factor=1.0 / view.steps_remaining[rows],
            rate=rate,
            scale_factor=view.scale_factor[rows],
            capacity=view.capacity,
            allowed=allowed,
            keys=view.job_id[rows],
        )
        return in_teams(view, rows, solve(problem))
