"""Every job gets its 1/m share of every worker type."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.registry import register_policy


@register_policy
class Isolated:
    """Give each of m jobs the m-th part of every worker type, as if the cluster were split; no solver.

    x_ij = N_j / m / s_i, each row divided by max(1, its sum).

    Notes
    -----
    The order of the operations is the one whose results equal the original's to the last bit.
    Source: OSDI'20 s4.2 (the isolated baseline).
    """

    name: ClassVar[str] = "isolated"
    type_order: ClassVar[TypeOrder] = TypeOrder.SHUFFLED
    needs_positive_priority: ClassVar[bool] = False
    options: ClassVar[type[PolicyOptions]] = PolicyOptions

    def __init__(self, options: PolicyOptions) -> None:
        del options  # nothing to choose

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the equal split; neither solves nor remembers."""
        del solve, memory
        jobs = view.job_id.size
        if jobs == 0:
            return Allocation(np.zeros((0, view.capacity.size)))
        share = view.capacity / jobs
        x = share[None, :] / view.scale_factor[:, None]
        return Allocation(x / np.maximum(x.sum(axis=1), 1.0)[:, None])
