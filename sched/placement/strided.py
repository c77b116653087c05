"""Fill GPUs one after another: the original simulator's placement, with lease extension."""

from __future__ import annotations

from typing import ClassVar

from phasewise.sched.api import Holding, NodeView, Order, Placed
from phasewise.sched.nodes.rules import FirstFit
from phasewise.sched.registry import PlacementOptions, register_placement


@register_placement
class Strided:
    """Widest jobs first; a job keeps its GPUs where it can, the rest fill the GPUs in order.

    The name is the original's; the rule is a sequential first fit in which a job may span nodes. Where nodes have
    limits of CPU and memory, or GPUs are shared, a job takes the first node of its type with room for all it needs.
    """

    name: ClassVar[str] = "strided"

    def __init__(self, options: PlacementOptions) -> None:
        # Compiled code is loaded when a placement is made: listing the placements must be fast.
        from phasewise.sched.round import lease_kernels  # noqa: PLC0415

        self._kernels = lease_kernels
        self.spans_nodes = options.whole_gpus
        self.rule = FirstFit()

    def place(self, order: Order, nodes: NodeView) -> Placed:
        """Return the GPUs of every chosen job that may be placed."""
        if nodes.state is not None:
            return nodes.state.place_round(self.rule, order, nodes)
        rows, types = order.row, order.worker_type
        if not order.placeable.all():
            placeable = order.placeable[rows]
            rows, types = rows[placeable], types[placeable]
        first, gpu, runs_on = self._kernels.place_strided(
            rows, types, order.scale_factor, nodes.layout.type_start, *nodes.holding, nodes.last_type
        )
        return Placed(Holding(first, gpu), runs_on)
