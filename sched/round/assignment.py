"""Priorities -> who runs where in this round: choice by priority and placement, until neither finds more to do."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import Assignment, Holding, NodeAccount, NodeView, Order, Placed, Placement
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import SchedulingError
from phasewise.sched.round import lease_kernels, selection
from phasewise.sched.round.jobs import JobTable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Ground(NamedTuple):
    """Where jobs are placed.

    Attributes
    ----------
    last
        What each job held in the last round.
    nodes
        What is left on every node, None where the placement is not bound to nodes.
    stream
        (2,) the placement's random stream.
    """

    last: Holding
    nodes: NodeAccount | None
    stream: Ints


class Assigner:
    """Chooses jobs and has them placed.

    A choice by numbers of GPUs may not fit onto nodes: idle GPUs may be scattered, or short of CPU. Where a job found
    no room, a further choice is made among the waiting ones, of those for which some node still has room.

    Parameters
    ----------
    positive_only
        Whether jobs of priority 0 wait even where GPUs are free.
    own_types_first
        Whether jobs are first offered the types that X gives them, and only then what is left.
    """

    def __init__(
        self, layout: ClusterLayout, placement: Placement, *, positive_only: bool, own_types_first: bool = False
    ) -> None:
        self._layout = layout
        self._placement = placement
        self._positive_only = positive_only
        self._own_types_first = own_types_first
        self._capacity_milli = layout.capacity * WHOLE_MILLI

    def assign(self, jobs: JobTable, priority: Floats, type_order: Ints, ground: Ground) -> Assignment:
        """Return who runs where, given the (J, W) priorities."""
        order = self._choose(jobs, priority, type_order)
        placed = self._place(order, self._view(jobs, ground, Placed(ground.last, jobs.worker_type)))
        placed, unplaced = self._fill(jobs, priority, type_order, ground, order, placed)
        moved = np.empty(len(jobs), np.bool_)
        leases = lease_kernels.count_leases(*ground.last, *placed.holding, moved)
        return Assignment(placed.holding, placed.worker_type, moved, *leases, unplaced)

    def _choose(self, jobs: JobTable, priority: Floats, type_order: Ints) -> Order:
        """Return who runs on which type, by numbers of GPUs alone."""
        offered_milli, rules = self._capacity_milli, selection.Rules(jobs.throughput, self._positive_only)
        if not self._own_types_first:
            return selection.select(jobs, priority, type_order, offered_milli, rules)
        own_speed = np.where(selection.own(jobs.x), jobs.throughput, 0.0)
        own = selection.select(jobs, priority, type_order, offered_milli, rules._replace(speed=own_speed))
        used = np.bincount(own.worker_type, jobs.demand_milli[own.row], len(offered_milli))
        waiting = np.setdiff1d(np.arange(len(jobs)), own.row, assume_unique=True)
        rules = selection.Rules(jobs.throughput[waiting], self._positive_only, waiting)
        left = selection.select(jobs, priority, type_order, offered_milli - used, rules)
        return left._replace(
            row=np.concatenate((own.row, left.row)),
            worker_type=np.concatenate((own.worker_type, left.worker_type)),
        )

    def _fill(
        self, jobs: JobTable, priority: Floats, type_order: Ints, ground: Ground, order: Order, placed: Placed
    ) -> tuple[Placed, int]:
        """Return what is placed once others were tried for those without room, and for how many there was none.

        It ends where a further choice brought nobody onto a node, so no placement can hold it up.
        """
        nodes = ground.nodes
        if nodes is None or not (short := _short(order, placed)).size:
            return placed, 0
        running = -1
        offered_milli = self._capacity_milli - self._idle_milli(jobs, order)
        missed = np.zeros(len(jobs), np.bool_)
        while short.size:
            missed[short] = True
            kept = np.flatnonzero(placed.worker_type >= 0)
            if len(kept) <= running:
                break
            waiting, speed = nodes.waiting_with_room(jobs.request, placed.worker_type, order.placeable, jobs.throughput)
            if not waiting.size:
                break
            running = len(kept)
            used = np.bincount(placed.worker_type[kept], jobs.demand_milli[kept], len(offered_milli))
            rules = selection.Rules(speed, self._positive_only, waiting)
            more = selection.select(jobs, priority, type_order, offered_milli - used, rules)
            order = more._replace(
                row=np.concatenate((kept, more.row)),
                worker_type=np.concatenate((placed.worker_type[kept], more.worker_type)),
            )
            placed = self._place(order, self._view(jobs, ground, placed))
            short = _short(order, placed)
        return placed, int(np.count_nonzero(missed & (placed.worker_type < 0)))

    def _place(self, order: Order, view: NodeView) -> Placed:
        placed = self._placement.place(order, view)
        if not isinstance(placed, Placed):  # a plug-in's code is not type-checked here
            kind = type(placed).__name__
            raise SchedulingError(f"placement {self._placement.name} returned a {kind}; expected a Placed")
        return placed

    def _idle_milli(self, jobs: JobTable, order: Order) -> Floats:
        """Return (W,) what jobs leave idle that were chosen before they may be placed; nobody else is offered it."""
        barred = np.flatnonzero(~order.placeable[order.row])
        demand_milli = jobs.demand_milli[order.row[barred]]
        return np.bincount(order.worker_type[barred], demand_milli, len(self._capacity_milli)).astype(np.float64)

    def _view(self, jobs: JobTable, ground: Ground, placed: Placed) -> NodeView:
        return NodeView(
            self._layout,
            placed.holding,
            placed.worker_type,
            jobs.gpus,
            jobs.gpu_milli,
            jobs.cpu_milli,
            jobs.memory_mib,
            jobs.request,
            ground.nodes,
            ground.stream,
        )


def _short(order: Order, placed: Placed) -> Ints:
    """Return the rows of the chosen jobs that may be placed and for which no node had room."""
    rows = order.row[order.placeable[order.row]]
    return rows[placed.worker_type[rows] < 0]
