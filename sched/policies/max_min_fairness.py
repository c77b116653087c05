"""Max-min fairness, over time shares and over normalised throughputs."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.packed_statements import (
    in_teams,
    nobody_runs,
    packed_max_min_families,
    packed_max_min_problem,
)
from phasewise.sched.policy_options import FairnessOptions, MaxMinOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.statements import believed_throughput, max_min_families, max_min_problem, spread
from phasewise.sched.sticky import Served, still_served

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted


class _MaxMin:
    """The max-min problem of what a variant believes of the throughputs."""

    name: ClassVar[str]
    knows_speeds: ClassVar[bool]
    needs_positive_priority: ClassVar[bool] = False
    options: ClassVar[type[FairnessOptions]] = FairnessOptions

    def __init__(self, options: FairnessOptions) -> None:
        self._options = options
        self._sparse = options.sparse and not options.move_weight
        self.families = max_min_families(options)

    @property
    def kernels(self) -> tuple[Wanted, ...]:
        """The compiled kernels that the choice among equal optima takes."""
        if not self._sparse:
            return ()
        from phasewise.solvers.structured import nearest  # noqa: PLC0415  (as in `allocate`)

        return tuple(nearest.kernels())

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return an optimum of the max-min problem; remembers the `Served` where it chooses among equal optima.

        Raises
        ------
        TypeError
            If ``memory`` is neither None nor what an earlier call returned, and it is to be read.
        """
        believed = believed_throughput(view, knows_speeds=self.knows_speeds)
        problem, rows = max_min_problem(view, believed, self._options)
        if not rows.any():
            return Allocation(np.zeros(view.throughput.shape))
        x = solve(problem).x
        if not self._sparse:
            return Allocation(spread(x, rows))
        from phasewise.solvers.structured import nearest  # noqa: PLC0415  (the compiler: listing must be fast)

        job_id = view.job_id[rows]
        x = nearest.nearest_optimum(problem, x, still_served(job_id, memory, self.name))
        kind = nearest.mostly_on(x)
        return Allocation(spread(x, rows), Served.ordered(job_id[kind >= 0], kind[kind >= 0]))


@register_policy
class MaxMinFairness(_MaxMin):
    """Maximise the least weighted time share, treating all worker types as equally fast.

    max min_i s_i/w_i sum_j x_ij, with x_ij = 0 where job i makes no progress on type j: the policy does not know how
    fast a type is, but it knows where a job can run at all.

    Notes
    -----
    Source: OSDI'20 s4.1, the heterogeneity-agnostic form (T = 1). The original lets x_ij be above 0 on pairs with
    throughput 0, so a job's share may be spent where it stands still.
    """

    name: ClassVar[str] = "max_min_fairness"
    type_order: ClassVar[TypeOrder] = TypeOrder.SHUFFLED
    knows_speeds: ClassVar[bool] = False


@register_policy
class MaxMinFairnessPerf(_MaxMin):
    """Maximise the least weighted throughput, each normalised by the job's throughput under an equal share.

    max min_i s_i/(w_i norm_i) sum_j T_ij x_ij with norm_i = sum_j T_ij N_j / sum_j N_j, and x_ij = 0 where T_ij = 0.

    Notes
    -----
    Source: OSDI'20 s4.1.
    """

    name: ClassVar[str] = "max_min_fairness_perf"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    knows_speeds: ClassVar[bool] = True


@register_policy
class MaxMinFairnessPacked:
    """Maximise the least weighted, normalised throughput of jobs that may share GPUs in pairs.

    As max_min_fairness_perf, where a job's throughput is that over all its time, alone and beside others. Jobs of equal
    scale factor share, where it was measured how fast both are then.

    Notes
    -----
    Source: OSDI'20 s4.3, space sharing. The original lists all pairs, and stops at jobs of different scale factors
    (D10). Here pairs go by kinds, whose optimum is the same.
    """

    name: ClassVar[str] = "max_min_fairness_packed"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    packs: ClassVar[bool] = True
    needs_positive_priority: ClassVar[bool] = False
    options: ClassVar[type[MaxMinOptions]] = MaxMinOptions

    def __init__(self, options: MaxMinOptions) -> None:
        self._options = options
        self.families = packed_max_min_families(options)

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return an optimum, its rows teams; remembers nothing."""
        del memory
        problem, rows = packed_max_min_problem(view, self._options)
        return in_teams(view, rows, solve(problem)) if rows.any() else nobody_runs(view)
