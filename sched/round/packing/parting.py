"""Jobs of teams that are over: what their partners go on with."""

from __future__ import annotations

import numpy as np

from phasewise.sched.api import Ints
from phasewise.sched.round.packing.teams import ALONE, TeamTable
from phasewise.sched.round.state import SimulationState


def part(state: SimulationState, teams: TeamTable, gone: Ints) -> None:
    """Give back what the jobs in ``gone`` hold, before they are removed; a partner that stays keeps its GPUs."""
    nodes, jobs, holding = state.nodes, state.jobs, state.holding
    mate = teams.partner_rows(jobs.job_id)
    goes = np.zeros(len(jobs), np.bool_)
    goes[gone] = True
    left = np.flatnonzero(~goes & (mate != ALONE) & goes[mate])
    if nodes is not None:
        both = goes & (mate != ALONE) & goes[mate]
        alone = goes & (mate == ALONE)
        nodes.release(np.flatnonzero(alone | (both & (np.arange(len(jobs)) < mate))), holding, teams.account)
        for row in left.tolist():
            gpus = holding.gpu[holding.first[row] : holding.first[row + 1]]
            nodes.exchange(gpus, int(teams.account[row]), int(jobs.request[row]))
    teams.account[left] = jobs.request[left]
