"""Rounds of sums of values and of jobs in queues, of a busy cluster: for tests and benchmarks.

They are those of `phasewise.solvers.instances.churned_rounds`, whose gains become values and rates.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np

from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.families.moving_sum import MovingSumProblem
from phasewise.solvers.families.transport import TransportProblem
from phasewise.solvers.instances import ChurnedRound
from phasewise.solvers.problems import Floats

PRICES: Final = (1.0, 2.0, 3.0, 1.5, 2.2, 3.3)
"""Of a GPU of each of up to six types."""

_AGEING: Final = 1.001  # of a promise from round to round: the time that is left for it shrinks


def sum_rounds(rounds: Iterable[ChurnedRound], promised: float = 0.0) -> Iterator[MaxSumProblem]:
    """Yield a problem for each of consecutive ``rounds``.

    Half of the jobs are promised up to ``promised`` of their best rate; without it nobody is. Promises that cannot be
    kept are given up.
    """
    from phasewise.solvers.promises import kept  # compiled

    rng = np.random.default_rng(5)
    part: Floats = np.zeros(0)
    for churned in rounds:
        rate, came_from = churned.problem.gain, churned.came_from
        jobs, types = rate.shape
        fresh = np.where(rng.random(jobs) < 0.5, rng.uniform(0.0, promised, jobs), 0.0)
        part = np.where(came_from >= 0, part[came_from] * _AGEING, fresh) if part.size else fresh
        rates = (rate, part * rate.max(axis=1)) if promised else (None, None)
        value = rate / np.array(PRICES[:types])
        problem = MaxSumProblem(value, churned.problem.scale_factor, churned.problem.capacity, *rates)
        yield kept(problem).problem if promised else problem


def moving_sum_rounds(rounds: Iterable[ChurnedRound]) -> Iterator[MovingSumProblem]:
    """Yield a problem for each of ``rounds``, in which each job has an equal share in force but for those that came.

    A move costs the part of a round that it takes, times what the job would make in it.
    """
    churned_ones = list(rounds)
    for churned, still in zip(churned_ones, sum_rounds(churned_ones), strict=True):
        share = (still.capacity / still.scale_factor.sum()).clip(max=1.0 / still.types)
        previous = still.allowed_mask * share
        previous[churned.came_from < 0] = 0.0
        yield MovingSumProblem(
            **still.stated(), previous=previous, move_cost=churned.migration[:, None] * still.usable_value
        )


def queue_rounds(rounds: Iterable[ChurnedRound], free: tuple[int, ...]) -> Iterator[TransportProblem]:
    """Yield a problem for each of ``rounds``: jobs of half an hour to a week, ``free`` GPUs of each type."""
    rng = np.random.default_rng(5)
    for churned in rounds:
        steps = 60.0 * 10.0 ** rng.uniform(1.5, 4.0, (churned.problem.rows, 1))
        rate = churned.problem.gain / churned.problem.scale_factor[:, None]
        duration = np.divide(steps, rate, out=np.zeros(rate.shape), where=rate > 0.0)
        yield TransportProblem(duration, np.ones(len(rate)), np.array(free, dtype=np.float64), rate > 0.0)
