"""Fill GPUs one after another: the original simulator's placement, with lease extension."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from phasewise.sched.api import Assignment, NodeView, Order
from phasewise.sched.registry import register_placement


@register_placement
class Strided:
    """Widest jobs first; a job keeps its GPUs where it can, the rest fill the GPUs in order.

    The name is the original's; the rule is a sequential first fit in which a job may span nodes.
    """

    name: ClassVar[str] = "strided"

    def place(self, order: Order, nodes: NodeView) -> Assignment:
        """Return the GPUs of every chosen job that may be placed."""
        # Compiled code is loaded when it is used: listing the placements must be fast.
        from phasewise.sched import kernels  # noqa: PLC0415

        rows, types = order.row, order.worker_type
        placeable = order.placeable[rows]
        if not placeable.all():
            rows, types = rows[placeable], types[placeable]
        jobs = len(order.scale_factor)
        holder = np.full(len(nodes.holder), -1, np.int64)
        runs_on = np.full(jobs, -1, np.int64)
        kernels.place_strided(
            rows, types, order.scale_factor, nodes.type_start, nodes.holder, nodes.last_type, holder, runs_on
        )
        moved = np.empty(jobs, np.bool_)
        extensions, opportunities = kernels.count_leases(nodes.holder, holder, moved)
        return Assignment(holder, runs_on, moved, extensions, opportunities)
