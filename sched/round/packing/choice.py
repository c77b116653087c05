"""Priorities -> which jobs and pairs of jobs run in this round, and on which worker type (pure).

Source: OSDI'20 (Gavel) section 5, algorithm 1: as for jobs alone, but that of the rows of which a job is a member only
one runs.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import NamedTuple

import numpy as np

from phasewise.sched.api import Bools, Floats, Ints
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.packing.teams import ALONE, TeamTable
from phasewise.sched.round.selection import own


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


class Turn(NamedTuple):
    """One offer of a worker type: the type, and which rows may take of it ((R,) whether)."""

    worker_type: int
    able: Bools


def by_type(rows: Rows, type_order: Ints, *, positive_only: bool) -> Iterator[Turn]:
    """Offer type after type; where all of positive priority are served, those of priority 0 fill what is left.

    Parameters
    ----------
    type_order
        (W',) worker types in the order in which they are offered.
    positive_only
        Whether rows of priority 0 wait even where GPUs are free.
    """
    for t in type_order.tolist():
        may_run, urgent = rows.speed[:, t] > 0.0, rows.priority[:, t] > 0.0
        yield Turn(t, may_run & urgent)
        if not positive_only:
            yield Turn(t, may_run & ~urgent)


def own_first(rows: Rows, type_order: Ints, *, positive_only: bool) -> Iterator[Turn]:
    """Offer all types to those whose X names them, and then, as `by_type`, what is left to anybody."""
    for t in type_order.tolist():
        yield Turn(t, (rows.speed[:, t] > 0.0) & (rows.priority[:, t] > 0.0) & own(rows.x[:, t]))
    yield from by_type(rows, type_order, positive_only=positive_only)


def choose(rows: Rows, jobs: int, turns: Iterable[Turn], capacity_milli: Floats) -> Chosen:
    """Return the teams chosen for this round.

    Within a turn by (priority, deficit, x) descending; of equals those whose last member came first, and the job alone
    before its pairs.

    Parameters
    ----------
    jobs
        J.
    turns
        Which type is offered to whom, in this order.
    capacity_milli
        (W,) thousandths of GPUs of each type.
    """
    tie = np.maximum(rows.first, rows.second) * (jobs + 1) + np.where(rows.second == ALONE, 0, rows.first + 1)
    free = np.ones(jobs + 1, np.bool_)  # the last stands for no second member
    left = capacity_milli.tolist()
    lead: list[int] = []
    kind: list[int] = []
    for t, may in turns:
        able = np.flatnonzero(may & free[rows.first] & free[rows.second])
        if left[t] <= 0.0 or not able.size:
            continue
        keys = (tie[able], -rows.x[able, t], -rows.deficit_s[able, t], -rows.priority[able, t])
        left[t] = _fill(rows, able[np.lexsort(keys)], left[t], free, lead)
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
