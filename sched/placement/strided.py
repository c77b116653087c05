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

    def __init__(self) -> None:
        # Compiled code is loaded when a placement is made: listing the placements must be fast.
        from phasewise.sched import kernels  # noqa: PLC0415

        self._kernels = kernels

    def place(self, order: Order, nodes: NodeView) -> Assignment:
        """Return the GPUs of every chosen job that may be placed."""
        rows, types = order.row, order.worker_type
        placeable = order.placeable[rows]
        if not placeable.all():
            rows, types = rows[placeable], types[placeable]
        jobs = len(order.scale_factor)
        holder, runs_on, moved = np.empty_like(nodes.holder), np.empty(jobs, np.int64), np.empty(jobs, np.bool_)
        self._kernels.place_strided(
            rows, types, order.scale_factor, nodes.type_start, nodes.holder, nodes.last_type, holder, runs_on
        )
        return Assignment(holder, runs_on, moved, *self._kernels.count_leases(nodes.holder, holder, moved))
