"""Max-min fairness that takes all worker types for equally fast."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.registry import PolicyOptions, register_policy
from phasewise.sched.statements import max_min_families, max_min_problem, spread


@register_policy
class MaxMinFairness:
    """Maximise the least weighted time share, taking all worker types for equally fast.

    max min_i s_i/w_i sum_j x_ij, with x_ij = 0 where job i makes no progress on type j: the policy does not know how
    fast a type is, but it knows where a job can run at all.

    Notes
    -----
    Source: OSDI'20 s4.1, the heterogeneity-agnostic form (T = 1). The original lets x_ij be above 0 on pairs with
    throughput 0, so a job's share may be spent where it stands still.
    """

    name: ClassVar[str] = "max_min_fairness"
    type_order: ClassVar[TypeOrder] = TypeOrder.SHUFFLED
    needs_positive_priority: ClassVar[bool] = False

    def __init__(self, options: PolicyOptions) -> None:
        self._options = options
        self.families = max_min_families(options)

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return an optimum of the max-min problem; remembers nothing."""
        del memory
        throughput = np.ones(view.throughput.shape)
        problem, rows = max_min_problem(view, throughput, self._options)
        if not rows.any():
            return Allocation(np.zeros(view.throughput.shape))
        return Allocation(spread(solve(problem).x, rows))
