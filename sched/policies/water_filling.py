"""Lexicographic max-min fairness, over time shares and over normalised throughputs."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.packed_statements import in_teams, nobody_runs, packed_water_filling_problem
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.statements import believed_throughput, spread, water_filling_problem
from phasewise.solvers.families.lexicographic import LEXICOGRAPHIC
from phasewise.solvers.families.packed_lexicographic import LEXICOGRAPHIC_PACKED


class _WaterFilling:
    """The lexicographic problem of what a variant believes of the throughputs.

    Notes
    -----
    Source: OSDI'20 s4.3, water filling. The original decides who can still improve by a mixed-integer program, which
    its usual installation lacks; then it stops after the first level without a word (D1). Here the levels are exact.
    """

    knows_speeds: ClassVar[bool]
    needs_positive_priority: ClassVar[bool] = False
    families: ClassVar[frozenset[str]] = frozenset({LEXICOGRAPHIC})
    options: ClassVar[type[PolicyOptions]] = PolicyOptions

    def __init__(self, options: PolicyOptions) -> None:
        self._options = options

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation whose sorted levels are lexicographically largest; remembers nothing."""
        del memory
        believed = believed_throughput(view, knows_speeds=self.knows_speeds)
        problem, rows = water_filling_problem(view, believed, self._options)
        if not rows.any():
            return Allocation(np.zeros(view.throughput.shape))
        return Allocation(spread(solve(problem).x, rows))


@register_policy
class MaxMinFairnessWaterFilling(_WaterFilling):
    """Raise the least time share, then the next, until no job can get more; types count as equally fast.

    Levels are n_i = s_i/(w_i norm_i) sum_j T_ij x_ij with T = 1, and x_ij = 0 where job i makes no progress
    on type j.
    """

    name: ClassVar[str] = "max_min_fairness_water_filling"
    type_order: ClassVar[TypeOrder] = TypeOrder.SHUFFLED
    knows_speeds: ClassVar[bool] = False


@register_policy
class MaxMinFairnessWaterFillingPerf(_WaterFilling):
    """Raise the least normalised throughput, then the next, until no job can get more.

    Levels are n_i = s_i/(w_i norm_i) sum_j T_ij x_ij with norm_i = sum_j T_ij N_j / sum_j N_j, and x_ij = 0
    where T_ij = 0.
    """

    name: ClassVar[str] = "max_min_fairness_water_filling_perf"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    knows_speeds: ClassVar[bool] = True


@register_policy
class MaxMinFairnessWaterFillingPacked:
    """Raise the least normalised throughput of jobs that may share GPUs in pairs, then the next, and so on.

    Levels are the gains of max_min_fairness_packed.

    Notes
    -----
    Source: OSDI'20 s4.3. As of single jobs, the original stops after the first level without a word (D1), and at jobs
    of different scale factors (D10). Here the levels are exact.
    """

    name: ClassVar[str] = "max_min_fairness_water_filling_packed"
    type_order: ClassVar[TypeOrder] = TypeOrder.FIXED
    packs: ClassVar[bool] = True
    needs_positive_priority: ClassVar[bool] = False
    families: ClassVar[frozenset[str]] = frozenset({LEXICOGRAPHIC_PACKED})
    options: ClassVar[type[PolicyOptions]] = PolicyOptions

    def __init__(self, options: PolicyOptions) -> None:
        self._options = options

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation whose sorted levels are lexicographically largest; remembers nothing."""
        del memory
        problem, rows = packed_water_filling_problem(view, self._options)
        return in_teams(view, rows, solve(problem)) if rows.any() else nobody_runs(view)
