"""Priorities -> which teams run where in this round: choice, the GPUs that a team can keep, and placement.

A team is one request: as many GPUs as either member needs, and the CPU and memory of both. A placement sees it in the
row of its first member, the *lead*, as if it were one job; what comes back holds for both.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phasewise.sched.api import Assignment, Bools, Floats, Holding, Ints, NodeView, Order, Placed, Placement
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import SchedulingError
from phasewise.sched.round import lease_kernels, selection
from phasewise.sched.round.assignment import Ground
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.packing import choice, keeping
from phasewise.sched.round.packing.choice import Chosen, Rows
from phasewise.sched.round.packing.keeping import Crews
from phasewise.sched.round.packing.teams import ALONE, TeamTable


class Site(NamedTuple):
    """What choosing and placing share in a round.

    Attributes
    ----------
    priority
        (J, W) of jobs alone.
    type_order
        (W',) worker types in the order in which they are filled.
    ground
        Where teams are placed.
    """

    priority: Floats
    type_order: Ints
    ground: Ground


class TeamAssigner:
    """Chooses jobs and pairs, and has them placed.

    Parameters
    ----------
    positive_only
        Whether rows of priority 0 wait even where GPUs are free.
    own_types_first
        Whether rows are first offered the types that X gives them, and only then what is left.
    as_one
        Whether a team keeps its GPUs only as the team that it was; otherwise a new team stays where a member ran.
    """

    def __init__(
        self,
        layout: ClusterLayout,
        placement: Placement,
        *,
        positive_only: bool,
        as_one: bool,
        own_types_first: bool = False,
    ) -> None:
        self._layout, self._placement = layout, placement
        self._positive_only, self._as_one = positive_only, as_one
        self._turns = choice.own_first if own_types_first else choice.by_type
        self._capacity_milli = layout.capacity * WHOLE_MILLI

    def assign(
        self, jobs: JobTable, teams: TeamTable, priority: Floats, type_order: Ints, ground: Ground
    ) -> Assignment:
        """Return who runs where, given the (J + P, W) priorities of jobs and pairs; ``teams`` notes who shares."""
        rows = Rows.of(jobs, teams, priority)
        turns = self._turns(rows, type_order, positive_only=self._positive_only)
        chosen = choice.choose(rows, len(jobs), turns, self._capacity_milli)
        placeable = jobs.placeable
        crews = Crews.of(chosen, jobs, placeable)
        view = keeping.kept_view(crews, jobs, teams, ground, self._layout, as_one=self._as_one)
        order = Order(chosen.lead, chosen.worker_type, jobs.scale_factor, crews.placeable)
        placed = self._place(order, view)
        site = Site(priority[: len(jobs)], type_order, ground)
        placed, unplaced = self._fill(jobs, crews, site, chosen, view, placed)
        return self._assigned(jobs, teams, crews, view, ground.last, placed)._replace(unplaced=unplaced)

    def _place(self, order: Order, view: NodeView) -> Placed:
        placed = self._placement.place(order, view)
        if not isinstance(placed, Placed):  # a plug-in's code is not type-checked here
            kind = type(placed).__name__
            raise SchedulingError(f"placement {self._placement.name} returned a {kind}; expected a Placed")
        return placed

    def _fill(
        self, jobs: JobTable, crews: Crews, site: Site, chosen: Chosen, view: NodeView, placed: Placed
    ) -> tuple[Placed, int]:
        """Return what is placed once jobs alone were tried for the teams without room, and for how many there was none.

        A team that no node takes is none: its members are tried alone.
        """
        nodes = site.ground.nodes
        short = _short(chosen.lead, crews, placed)
        if nodes is None or not short.size:
            return placed, 0
        missed, running = np.zeros(len(jobs), np.bool_), -1
        barred = ~crews.placeable[chosen.lead]
        idle = np.bincount(
            chosen.worker_type[barred], jobs.demand_milli[chosen.lead[barred]], len(self._capacity_milli)
        )
        while short.size:
            missed[short] = True
            crews.dissolve(short, view, jobs)
            kept = np.flatnonzero(placed.worker_type >= 0)
            waiting = np.flatnonzero(crews.waits(placed.worker_type))
            speed = np.zeros_like(jobs.throughput)
            speed[waiting] = np.where(nodes.types_with_room(jobs.request[waiting]), jobs.throughput[waiting], 0.0)
            if len(kept) <= running or not speed.any():
                break
            running = len(kept)
            used = np.bincount(placed.worker_type[kept], jobs.demand_milli[kept], len(idle))
            more = selection.select(
                jobs,
                site.priority,
                site.type_order,
                self._capacity_milli - idle - used,
                selection.Rules(speed, positive_only=self._positive_only),
            )
            row = np.concatenate((kept, more.row))
            kind = np.concatenate((placed.worker_type[kept], more.worker_type))
            held = view._replace(holding=placed.holding, last_type=placed.worker_type)
            placed = self._place(Order(row, kind, jobs.scale_factor, crews.placeable), held)
            short = more.row[placed.worker_type[more.row] < 0]
        return placed, int(np.count_nonzero(missed & (placed.worker_type < 0)))

    def _assigned(
        self, jobs: JobTable, teams: TeamTable, crews: Crews, view: NodeView, last: Holding, placed: Placed
    ) -> Assignment:
        """Return the assignment job by job, and note in ``teams`` who shares with whom."""
        now, worker_type, mate = crews.spread(placed)
        moved = np.empty(len(jobs), np.bool_)
        moves, _, _ = lease_kernels.count_leases(*last, *now, moved)
        partner = np.where(mate != ALONE, jobs.job_id[mate], ALONE)
        before = teams.partner_rows(jobs.job_id)
        opportunities = np.count_nonzero(_first_of_team(last, before))
        stays = _first_of_team(now, mate) & (last.widths > 0) & ~moved & (partner == teams.partner)
        runs = worker_type >= 0
        lead = np.where((mate != ALONE) & (mate < np.arange(len(jobs))), mate, np.arange(len(jobs)))
        teams.partner = np.where(runs, partner, ALONE)
        teams.account = np.where(runs, view.request[lead], jobs.request)
        return Assignment(now, worker_type, moved, moves, int(np.count_nonzero(stays)), int(opportunities))


def _first_of_team(holding: Holding, mate: Ints) -> Bools:
    """Return (J,) whether a job holds GPUs and is the first of its team, or alone."""
    first: Bools = (holding.widths > 0) & ((mate == ALONE) | (np.arange(len(mate)) < mate))
    return first


def _short(lead: Ints, crews: Crews, placed: Placed) -> Ints:
    """Return the leads of the chosen teams that may be placed and for which no node had room."""
    rows = lead[crews.placeable[lead]]
    return rows[placed.worker_type[rows] < 0]
