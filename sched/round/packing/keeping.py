"""Which GPUs a team goes on with, and what the nodes know of it before the others are placed."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from phasewise.sched.api import Bools, Holding, Ints, NodeAccount, NodeView, Placed
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.requests import Request
from phasewise.sched.round.assignment import Ground
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.packing.choice import Chosen
from phasewise.sched.round.packing.teams import ALONE, TeamTable


@dataclass(slots=True)
class Crews:
    """The chosen teams, by row of the table of jobs. J rows.

    Attributes
    ----------
    mate
        (J,) the second member of the team that a row leads, `ALONE` where it leads none of two.
    wanted
        (J,) the worker type for which the team that a row leads was chosen, -1 for all other rows.
    placeable
        (J,) whether what a row leads, or the job alone, may be placed.
    """

    mate: Ints
    wanted: Ints
    placeable: Bools

    @classmethod
    def of(cls, chosen: Chosen, jobs: JobTable, placeable: Bools) -> Crews:
        """Return the chosen teams; a team may be placed where both members ``placeable`` (J,) may."""
        mate, wanted = np.full(len(jobs), ALONE), np.full(len(jobs), ALONE)
        mate[chosen.lead], wanted[chosen.lead] = chosen.mate, chosen.worker_type
        both = placeable & ((mate == ALONE) | placeable[mate])
        return cls(mate, wanted, both)

    def dissolve(self, leads: Ints, view: NodeView, jobs: JobTable) -> None:
        """Have the teams of ``leads`` be no teams any more: their members ask for what they need alone."""
        self.mate[leads] = ALONE
        for of_view, own in ((view.request, jobs.request), (view.cpu_milli, jobs.cpu_milli)):
            of_view[leads] = own[leads]
        view.memory_mib[leads] = jobs.memory_mib[leads]

    def waits(self, worker_type: Ints) -> Bools:
        """Return (J,) which jobs may be placed and are in no team that runs on a type in ``worker_type`` (J,)."""
        runs = worker_type >= 0
        runs[self.mate[runs & (self.mate != ALONE)]] = True
        waits: Bools = self.placeable & ~runs
        return waits

    def spread(self, placed: Placed) -> tuple[Holding, Ints, Ints]:
        """Return what each job holds, its worker type (J,) and its partner's row (J,), given what the leads do."""
        mate, source = np.full(len(self.mate), ALONE), np.arange(len(self.mate))
        leads = np.flatnonzero((placed.worker_type >= 0) & (self.mate != ALONE))
        others = self.mate[leads]
        mate[leads], mate[others], source[others] = others, leads, leads
        return gathered(placed.holding, source), placed.worker_type[source], mate


def gathered(holding: Holding, source: Ints) -> Holding:
    """Return the holding of which row i holds what row ``source[i]`` (J,) does in ``holding``; -1: nothing."""
    widths = np.where(source >= 0, holding.widths[source], 0) if len(source) else source
    first = np.zeros(len(source) + 1, np.int64)
    np.cumsum(widths, out=first[1:])
    at = np.repeat(holding.first[source] - first[:-1], widths) + np.arange(first[-1])
    return Holding(first, holding.gpu[at])


def kept_view(
    crews: Crews, jobs: JobTable, teams: TeamTable, ground: Ground, layout: ClusterLayout, *, as_one: bool
) -> NodeView:
    """Return what a placement sees: teams in the rows of their leads, each with the GPUs that it goes on with.

    What nobody goes on with is given back to the nodes, and what a team with another partner goes on with is known to
    them by what both members need.
    """
    source = _claims(crews, jobs, teams, ground.last, as_one=as_one)
    leads = np.flatnonzero(crews.mate != ALONE)
    mates = crews.mate[leads]
    cpu, memory, request = jobs.cpu_milli.copy(), jobs.memory_mib.copy(), jobs.request.copy()
    cpu[leads] += jobs.cpu_milli[mates]
    memory[leads] += jobs.memory_mib[mates]
    if ground.nodes is not None:
        request[leads] = [
            _register(ground.nodes, *pair)
            for pair in zip(jobs.request[leads].tolist(), jobs.request[mates].tolist(), strict=True)
        ]
        source = _settled(source, request, teams, jobs, ground)
    last_type = np.where(source >= 0, crews.wanted, -1)
    holding = gathered(ground.last, source)
    return NodeView(
        layout, holding, last_type, jobs.gpus, jobs.gpu_milli, cpu, memory, request, ground.nodes, ground.stream
    )


def _claims(crews: Crews, jobs: JobTable, teams: TeamTable, last: Holding, *, as_one: bool) -> Ints:
    """Return (J,) whose GPUs of the last round each lead goes on with, as a row; -1 for none.

    The first member's, where it ran on the type, or else the second's. Of two teams into which one has parted, the
    first in the order of rows goes on.
    """
    rows = np.arange(len(jobs))
    source = np.full(len(jobs), ALONE)
    able = (crews.wanted >= 0) & crews.placeable
    holds = last.widths > 0
    if as_one:
        partner = np.where(crews.mate == ALONE, ALONE, jobs.job_id[crews.mate])
        same = able & holds & (teams.partner == partner) & (jobs.worker_type == crews.wanted)
        source[same] = rows[same]
        return source
    before = teams.partner_rows(jobs.job_id)
    team = np.where((before != ALONE) & (before < rows), before, rows)
    claimed = np.zeros(len(jobs), np.bool_)
    for lead in np.flatnonzero(able).tolist():
        for member in (lead, int(crews.mate[lead])):
            if member == ALONE or not holds[member] or jobs.worker_type[member] != crews.wanted[lead]:
                continue
            if not claimed[team[member]]:
                claimed[team[member]] = True
                source[lead] = member
                break
    return source


def _register(nodes: NodeAccount, first: int, second: int) -> int:
    """Return the index of what two jobs need together."""
    one, other = nodes.requests[first], nodes.requests[second]
    specs = [set(each.gpu_spec.split("|")) for each in (one, other) if each.gpu_spec]
    spec = "|".join(sorted(set.intersection(*specs))) if specs else ""
    return nodes.register(
        Request(one.cpu_milli + other.cpu_milli, one.gpu_milli, one.gpus, spec, one.memory_mib + other.memory_mib)
    )


def _settled(
    source: Ints,
    request: Ints,
    teams: TeamTable,
    jobs: JobTable,
    ground: Ground,
) -> Ints:
    """Return ``source`` without those for whose new team the node has no room; tell the nodes of all the others."""
    nodes = ground.nodes
    if nodes is None:
        return source
    before = teams.partner_rows(jobs.job_id)
    rows, last = np.arange(len(jobs)), ground.last
    team = np.where((before != ALONE) & (before < rows), before, rows)
    goes_on = np.zeros(len(jobs), np.bool_)
    goes_on[team[source[source >= 0]]] = True
    held = (last.widths > 0) & (team == rows)
    nodes.release(np.flatnonzero(held & ~goes_on), last, teams.account)
    changed = np.flatnonzero(source >= 0)
    changed = changed[teams.account[source[changed]] != request[changed]]
    for lead in changed.tolist():
        row = team[source[lead]]
        gpus = last.gpu[last.first[row] : last.first[row + 1]]
        if not nodes.exchange(gpus, int(teams.account[row]), int(request[lead])):
            nodes.release(np.array([row]), last, teams.account)
            source[lead] = ALONE
    return source
