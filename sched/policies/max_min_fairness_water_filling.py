"""Lexicographic max-min fairness that takes all worker types for equally fast."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.registry import PolicyOptions, register_policy
from phasewise.sched.statements import spread, water_filling_problem
from phasewise.solvers.lexicographic import LEXICOGRAPHIC


@register_policy
class MaxMinFairnessWaterFilling:
    """Raise the least time share, then the next, until nobody can get more; types count as equally fast.

    Levels are n_i = s_i/(w_i norm_i) sum_j T_ij x_ij with T = 1, and x_ij = 0 where job i makes no progress
    on type j.

    Notes
    -----
    Source: OSDI'20 s4.3, water filling. The original decides who can still improve by a mixed-integer program, which
    its usual installation lacks; then it stops after the first level without a word (D1). Here the levels are exact.
    """

    name: ClassVar[str] = "max_min_fairness_water_filling"
    type_order: ClassVar[TypeOrder] = TypeOrder.SHUFFLED
    needs_positive_priority: ClassVar[bool] = False
    families: ClassVar[frozenset[str]] = frozenset({LEXICOGRAPHIC})

    def __init__(self, options: PolicyOptions) -> None:
        self._options = options

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation whose sorted levels are lexicographically largest; remembers nothing."""
        del memory
        problem, rows = water_filling_problem(view, np.ones(view.throughput.shape), self._options)
        if not rows.any():
            return Allocation(np.zeros(view.throughput.shape))
        return Allocation(spread(solve(problem).x, rows))
