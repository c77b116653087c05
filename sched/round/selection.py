"""Priorities -> which jobs run in this round, and on which worker type (pure).

Source: OSDI'20 (Gavel) section 5, algorithm 1, with the original simulator's backfilling and order of ties.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import Order
from phasewise.sched.round import selection_kernels
from phasewise.sched.round.jobs import JobTable

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


OWN = 0.01
"""Share of its time from which on a type is a job's own: an interior point leaves up to this where a vertex has 0."""


def own(x: Floats) -> npt.NDArray[np.bool_]:
    """Return where an allocation gives a job a type of its own, in the shape of ``x``."""
    return x >= OWN


class Rules(NamedTuple):
    """Who may be chosen at all.

    Attributes
    ----------
    speed
        (J, W) above 0 where a job may be chosen for a worker type; the throughputs, unless some are out of question.
    positive_only
        Leave jobs of priority 0 waiting even where GPUs are free (FIFO policies).
    among
        (R,) rows of the only jobs that may be chosen, ascending; ``speed`` is theirs then, (R, W). None for all.
    """

    speed: Floats
    positive_only: bool
    among: Ints | None = None


def select(jobs: JobTable, priority: Floats, type_order: Ints, capacity_milli: Floats, rules: Rules) -> Order:
    """Return the jobs chosen for this round.

    Parameters
    ----------
    priority
        (J, W) from `phasewise.sched.round.priorities.compute`.
    type_order
        (W',) worker types in the order in which they are filled.
    capacity_milli
        (W,) thousandths of GPUs of each type.
    """
    among = np.arange(len(priority)) if rules.among is None else rules.among
    rows, types = np.empty(len(among), np.int64), np.empty(len(among), np.int64)
    chosen = selection_kernels.select_jobs(
        type_order,
        among,
        priority,
        jobs.deficit_s,
        jobs.x,
        rules.speed,
        jobs.demand_milli,
        capacity_milli,
        rules.positive_only,
        rows,
        types,
    )
    return Order(rows[:chosen], types[:chosen], jobs.scale_factor, jobs.placeable)
