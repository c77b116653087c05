"""Every job gets its 1/m share of every worker type."""

from __future__ import annotations

from typing import ClassVar

from phasewise.sched.api import Allocation, ClusterView, Solve, TypeOrder
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.registry import register_policy
from phasewise.sched.statements import isolated_share


@register_policy
class Isolated:
    """Give each of m jobs a 1/m share of every worker type, as if the cluster were partitioned; needs no solver.

    x_ij = N_j / m / s_i, each row divided by max(1, its sum).

    Notes
    -----
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
        return Allocation(isolated_share(view))
