"""Priorities -> which jobs and pairs of jobs run in this round, and on which worker type (pure).

Source: OSDI'20 (Gavel) section 5, algorithm 1: as for jobs alone, but that of the rows of which a job is a member only
one runs.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phasewise.sched.api import Bools, Floats, Ints
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.packing.teams import ALONE, TeamTable


class Chosen(NamedTuple):
    """Who is to run. K teams, in the order in which they were chosen.

    Attributes
    ----------
    lead, mate
        (K,) rows of the members, ascending; the second `ALONE` where there is one.
    worker_type
        (K,) the type each team is to run on.
    """

    lead: Ints
    mate: Ints
    worker_type: Ints


class Rows(NamedTuple):
    """All that may be chosen: jobs, then pairs. R = J + P rows.

    Attributes
    ----------
    first, second
        (R,) rows of the members, the second `ALONE` in a row of one job.
    priority, deficit_s, x, speed
        (R, W) the keys, and above 0 where a row may be chosen for a type.
    demand_milli
        (R,) thousandths of a GPU.
    """

    first: Ints
    second: Ints
    priority: Floats
    deficit_s: Floats
    x: Floats
    speed: Floats
    demand_milli: Floats

    @classmethod
    def of(cls, jobs: JobTable, teams: TeamTable, priority: Floats) -> Rows:
        """Return the rows of ``jobs`` and of ``teams``, with their priorities (R, W)."""
        alone, pairs = len(jobs), teams.row
        speed = teams.speed
        if not teams.every_pair:
            speed = np.where(priority[alone:] > 0.0, speed, 0.0)
        return cls(
            np.concatenate((np.arange(alone), pairs[:, 0])),
            np.concatenate((np.full(alone, ALONE), pairs[:, 1])),
            priority,
            np.concatenate((jobs.deficit_s, teams.deficit_s)),
            np.concatenate((jobs.x, teams.x)),
            np.concatenate((jobs.throughput, speed)),
            np.concatenate((jobs.demand_milli, jobs.demand_milli[pairs[:, 0]])),
        )


def choose(rows: Rows, jobs: int, type_order: Ints, capacity_milli: Floats, *, positive_only: bool) -> Chosen:
    """Return the teams chosen for this round.

    Within a type by (priority, deficit, x) descending; of equals those whose last member came first, and the job alone
    before its pairs. Where all of positive priority are served, those of priority 0 fill what is left.

    Parameters
    ----------
    jobs
        J.
    type_order
        (W',) worker types in the order in which they are filled.
    capacity_milli
        (W,) thousandths of GPUs of each type.
    positive_only
        Whether rows of priority 0 wait even where GPUs are free.
    """
    tie = np.maximum(rows.first, rows.second) * (jobs + 1) + np.where(rows.second == ALONE, 0, rows.first + 1)
    free = np.ones(jobs + 1, np.bool_)  # the last stands for no second member
    lead: list[int] = []
    kind: list[int] = []
    for t in type_order.tolist():
        left = float(capacity_milli[t])
        may_run, urgent = rows.speed[:, t] > 0.0, rows.priority[:, t] > 0.0
        for group in (urgent,) if positive_only else (urgent, ~urgent):
            able = np.flatnonzero(may_run & group & free[rows.first] & free[rows.second])
            if left <= 0.0 or not able.size:
                continue
            keys = (tie[able], -rows.x[able, t], -rows.deficit_s[able, t], -rows.priority[able, t])
            left = _fill(rows, able[np.lexsort(keys)], left, free, lead)
            kind += [t] * (len(lead) - len(kind))
    taken = np.array(lead, np.int64)
    return Chosen(rows.first[taken], rows.second[taken], np.array(kind, np.int64))


def _fill(rows: Rows, able: Ints, left: float, free: Bools, taken: list[int]) -> float:
    """Take rows of ``able`` in order while they fit into ``left`` and their members are free; return what is left."""
    members = zip(
        able.tolist(), rows.first[able].tolist(), rows.second[able].tolist(), rows.demand_milli[able], strict=True
    )
    for row, first, second, demand in members:
        if demand > left or not (free[first] and free[second]):
            continue
        taken.append(row)
        free[first] = False
        if second != ALONE:
            free[second] = False
        left -= demand
        if left <= 0.0:
            break
    return left
