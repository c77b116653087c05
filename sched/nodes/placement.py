"""What placements that keep a job on one node have in common: all but their rule."""

from __future__ import annotations

from typing import ClassVar

from phasewise.sched.api import NodeView, Order, Placed
from phasewise.sched.nodes.rules import NodeRule
from phasewise.sched.registry import PlacementOptions


class NodePlacement:
    """Places the jobs of most GPUs first, each on the node of its type that the rule scores highest.

    A job that runs on the type chosen for it keeps its GPUs.

    Attributes
    ----------
    rule
        Scores nodes; a named tuple.
    """

    spans_nodes: ClassVar[bool] = False

    def __init__(self, options: PlacementOptions, rule: NodeRule) -> None:
        self.rule = rule
        self._compiled = options.compiled

    def place(self, order: Order, nodes: NodeView) -> Placed:
        """Return the GPUs of every chosen job that may be placed and for which there is room.

        The state in ``nodes`` is changed: pass the holdings and types that come back, should there be another call in
        the same round.
        """
        if nodes.state is None:
            raise ValueError(f"{type(self).__name__} needs the state of the nodes")
        return nodes.state.place_round(self.rule, order, nodes)
