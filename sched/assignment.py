"""Priorities -> who runs where in this round: choice by priority and placement, until neither finds more to do."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from phasewise.sched import lease_kernels, selection
from phasewise.sched.api import Assignment, Holding, NodeView, Order, Placed, Placement
from phasewise.sched.cluster import ClusterLayout
from phasewise.sched.state import JobTable
from phasewise.sched.tasks import WHOLE_MILLI

if TYPE_CHECKING:
    from phasewise.sched.nodes import NodeState

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Assigner:
    """Chooses jobs and has them placed.

    A choice by numbers of GPUs may not fit onto nodes: idle GPUs may be scattered, or short of CPU. Where a job found
    no room, a further choice is made among the waiting ones, of those for which some node still has room.

    Parameters
    ----------
    positive_only
        Whether jobs of priority 0 wait even where GPUs are free.
    state
        What is left on every node, None where the placement is not bound to nodes.
    """

    def __init__(
        self, layout: ClusterLayout, placement: Placement, state: NodeState | None, *, positive_only: bool
    ) -> None:
        self._layout = layout
        self._placement = placement
        self._state = state
        self._positive_only = positive_only
        self._capacity_milli = layout.capacity * WHOLE_MILLI

    def assign(self, jobs: JobTable, priority: Floats, type_order: Ints, last: Holding) -> Assignment:
        """Return who runs where, given the (J, W) priorities and what each job held in the last round."""
        order = self._select(jobs, priority, type_order, self._capacity_milli, jobs.throughput)
        placed = self._placement.place(order, self._view(jobs, Placed(last, jobs.worker_type)))
        unplaced = 0
        if self._state is not None:
            placed, unplaced = self._fill(jobs, priority, type_order, self._state, order, placed)
        moved = np.empty(len(jobs), np.bool_)
        leases = lease_kernels.count_leases(*last, *placed.holding, moved)
        return Assignment(placed.holding, placed.worker_type, moved, *leases, unplaced)

    def _fill(
        self, jobs: JobTable, priority: Floats, type_order: Ints, state: NodeState, order: Order, placed: Placed
    ) -> tuple[Placed, int]:
        """Return what is placed once others were tried for those without room, and for how many there was none."""
        short = placed.worker_type[order.row] < 0
        if not short.any():
            return placed, 0
        chosen = np.zeros(len(jobs), np.bool_)
        while short.any():
            chosen[order.row] = True
            waiting, kept = np.flatnonzero(placed.worker_type < 0), np.flatnonzero(placed.worker_type >= 0)
            speed = np.zeros_like(jobs.throughput)
            speed[waiting] = np.where(state.types_with_room(jobs.request[waiting]), jobs.throughput[waiting], 0.0)
            if not speed.any():
                break
            used = np.bincount(placed.worker_type[kept], jobs.demand_milli[kept], len(self._capacity_milli))
            more = self._select(jobs, priority, type_order, self._capacity_milli - used, speed)
            order = more._replace(
                row=np.concatenate((kept, more.row)),
                worker_type=np.concatenate((placed.worker_type[kept], more.worker_type)),
            )
            placed = self._placement.place(order, self._view(jobs, placed))
            short = placed.worker_type[order.row] < 0
        return placed, int(np.count_nonzero(chosen & (placed.worker_type < 0)))

    def _select(
        self, jobs: JobTable, priority: Floats, type_order: Ints, capacity_milli: Floats, speed: Floats
    ) -> Order:
        return selection.select(
            jobs, priority, type_order, capacity_milli, selection.Rules(speed, positive_only=self._positive_only)
        )

    def _view(self, jobs: JobTable, placed: Placed) -> NodeView:
        return NodeView(
            self._layout,
            placed.holding,
            placed.worker_type,
            jobs.gpus,
            jobs.gpu_milli,
            jobs.cpu_milli,
            jobs.memory_mib,
            jobs.request,
            self._state,
        )
