"""What the phases of a round do besides where the policy packs: teams come, are given time, are urgent, and go."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from phasewise.sched.api import Allocation, ClusterView, Floats, Ints
from phasewise.sched.errors import SchedulingError
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.packing.teams import ALONE, TeamTable, rows_of


def seen(view: ClusterView, jobs: JobTable, teams: TeamTable) -> ClusterView:
    """Return the view with how fast jobs are in pairs, and with what they have in force in all their teams."""
    pairs = teams.rates.pairs(teams.kinds(jobs), jobs.type_index)
    if view.previous is None:
        return replace(view, pairs=pairs)
    previous = jobs.x.copy()
    for side in (0, 1):
        np.add.at(previous, teams.row[:, side], teams.x)
    previous.flags.writeable = False
    return replace(view, pairs=pairs, previous=previous)


def accept(allocation: Allocation, jobs: JobTable, teams: TeamTable, prior_s: float, name: str) -> None:
    """Make a policy's answer the allocation in force, of jobs and of their teams.

    Raises
    ------
    SchedulingError
        Where a row is of nobody here, a team is listed twice, or its members cannot share their GPUs.
    """
    members = allocation.members
    if members is None:
        jobs.x[:] = allocation.x
        teams.take(jobs, np.empty((0, 2), np.int64), np.empty((0, jobs.x.shape[1])), prior_s)
        return
    rows = np.column_stack([rows_of(members[:, side], jobs.job_id) for side in (0, 1)])
    pair = members[:, 1] != ALONE
    if (rows[:, 0] == ALONE).any() or (rows[pair, 1] == ALONE).any() or (rows[:, 0] == rows[:, 1]).any():
        raise SchedulingError(f"policy {name} returned members that are no active jobs, or a job beside itself")
    pairs = np.sort(rows[pair], axis=1)
    _require_once(rows[~pair, 0], pairs, len(jobs), name)
    alike = (jobs.scale_factor[pairs[:, 0]] == jobs.scale_factor[pairs[:, 1]]).all()
    if not alike:
        raise SchedulingError(f"policy {name} returned a team of different scale factors; expected equal ones")
    jobs.x[:] = 0.0
    jobs.x[rows[~pair, 0]] = allocation.x[~pair]
    teams.take(jobs, pairs, allocation.x[pair], prior_s)


def _require_once(alone: Ints, pairs: Ints, jobs: int, name: str) -> None:
    codes = np.concatenate((alone, jobs + pairs[:, 0] * jobs + pairs[:, 1]))
    if np.unique(codes).size < codes.size:
        raise SchedulingError(f"policy {name} returned a row twice; expected each team once")


def favour(teams: TeamTable, of_jobs: Floats) -> Floats:
    """Return (J + P, W) by what priorities are multiplied: a pair's by the lesser factor of its members."""
    pairs = np.minimum(of_jobs[teams.row[:, 0]], of_jobs[teams.row[:, 1]])
    return np.concatenate((of_jobs, pairs))
