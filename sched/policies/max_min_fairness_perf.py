"""Max-min fairness over normalised throughputs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.registry import PolicyOptions, register_policy
from phasewise.sched.statements import max_min_families, max_min_problem, spread


@register_policy
class MaxMinFairnessPerf:
    """Maximise the least weighted throughput, each normalised by the job's throughput under an equal share.

    max min_i s_i/(w_i norm_i) sum_j T_ij x_ij with norm_i = sum_j T_ij N_j / sum_j N_j, and x_ij = 0 where T_ij = 0.

    Notes
    -----
    Source: OSDI'20 s4.1.
    """

    name: ClassVar[str] = "max_min_fairness_perf"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    needs_positive_priority: ClassVar[bool] = False

    def __init__(self, options: PolicyOptions) -> None:
        self._options = options
        self.families = max_min_families(options)

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return an optimum of the max-min problem; remembers nothing."""
        del memory
        problem, rows = max_min_problem(view, view.throughput, self._options)
        if not rows.any():
            return Allocation(np.zeros(view.throughput.shape))
        return Allocation(spread(solve(problem).x, rows))
