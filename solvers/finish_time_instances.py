"""Random finish-time problems with chosen difficulties, and rounds of a busy cluster, for tests and benchmarks.

They are those of `phasewise.solvers.instances`, whose gains become throughputs, with steps, ages and isolated times
added. An instance is a function of its seed, its size and its traits alone.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from enum import StrEnum

import numpy as np

from phasewise.solvers.families.finish_time import FinishTimeProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Load, Trait, churned_rounds, random_problem
from phasewise.solvers.problems import Floats
from phasewise.solvers.rows import Keys

ROUND_S = 360.0


class Age(StrEnum):
    """What is special about the jobs' steps and times; any may be combined."""

    DONE = "done"  # a quarter of the jobs have no steps left
    LATE = "late"  # some jobs have been in the system for long, with next to nothing left to do
    DECADES = "decades"  # steps over twelve decades
    TINY = "tiny"  # one job's isolated time is a millionth of what it was
    FRESH = "fresh"  # all have just arrived


def random_finish_times(
    seed: int, jobs: int, types: int, traits: Collection[Trait] = (), ages: Collection[Age] = ()
) -> FinishTimeProblem:
    """Return the instance of this seed, size (J, W) and traits; those with a movement cost leave it out."""
    base = random_problem(seed, jobs, types, traits)
    rng = np.random.default_rng([seed, jobs, types, 1])
    fastest = base.usable_gain.max(axis=1)
    unit = np.where(fastest > 0.0, fastest, 1.0)
    alone_s = 10.0 ** (rng.uniform(-3.0, 9.0, jobs) if Age.DECADES in ages else rng.uniform(2.0, 6.0, jobs))
    since_s = np.where(rng.random(jobs) < 0.3, 0.0, alone_s * rng.exponential(1.0, jobs))
    if Age.LATE in ages:
        late = rng.random(jobs) < 0.3
        since_s = np.where(late, 1e6, since_s)
        alone_s = np.where(late, 10.0 ** rng.uniform(-4.0, 1.0, jobs), alone_s)
    if Age.FRESH in ages:
        since_s = np.zeros(jobs)
    isolated_s = since_s * rng.uniform(0.3, 1.5, jobs) + alone_s * _slowdown(base)
    if Age.TINY in ages and jobs:
        isolated_s[0] *= 1e-6
    steps = alone_s * unit
    if Age.DONE in ages:
        steps = np.where(rng.random(jobs) < 0.25, 0.0, steps)
    return FinishTimeProblem(base.gain, base.scale_factor, base.capacity, steps, since_s, isolated_s, base.allowed)


def _slowdown(problem: MaxMinProblem) -> Floats:
    """Return (J,) how much longer a job takes on its share of the cluster than on its fastest type for itself."""
    share = np.minimum(1.0, problem.capacity / max(1.0, float(problem.scale_factor.sum())))
    share /= max(1.0, float(share.sum()))
    gain = problem.usable_gain @ share
    fastest: Floats = problem.usable_gain.max(axis=1)
    return np.divide(fastest, gain, out=np.ones(problem.rows), where=gain > 0.0)


def finish_time_rounds(
    seed: int, jobs: int, rounds: int, *, load: Load = Load.CONTENDED, types: int = 6, churn: int = 10
) -> Iterator[FinishTimeProblem]:
    """Yield consecutive rounds of a cluster with ``jobs`` jobs, of which ``churn`` leave and as many arrive in each.

    Those that stay are a round older and have done a part of their work, such that under contention GPUs decide about
    the worst ratio, and not the fastest type of one job. Shapes, speeds and capacities are those of `churned_rounds`.
    """
    rng = np.random.default_rng([seed, jobs, types, 1])
    before: tuple[Floats, Floats, Floats, Keys] | None = None
    for number, churned in enumerate(churned_rounds(seed, jobs, rounds, load=load, types=types, churn=churn)):
        problem, came_from = churned.problem, churned.came_from
        total_s = 10.0 ** rng.uniform(5.0, 6.5, problem.rows)
        done = np.where(number == 0, rng.random(problem.rows), 0.0)
        since_s = done * total_s * rng.uniform(0.2, 0.4, problem.rows)
        keys = np.arange(problem.rows, dtype=np.int64) + number * problem.rows
        stayed = came_from >= 0
        if before is not None:
            old = came_from[stayed]
            total_s[stayed], since_s[stayed], keys[stayed] = before[0][old], before[2][old] + ROUND_S, before[3][old]
            pace = ROUND_S / total_s[stayed] * rng.uniform(1.5, 2.5, old.size)
            done[stayed] = np.minimum(before[1][old] + pace, 0.98)
        before = total_s, done, since_s, keys
        share = (problem.capacity / problem.rows)[None, :] / problem.scale_factor[:, None]
        share /= np.maximum(1.0, share.sum(axis=1))[:, None]
        isolated = (problem.gain * share).sum(axis=1)
        yield FinishTimeProblem(
            problem.gain,
            problem.scale_factor,
            problem.capacity,
            (1.0 - done) * total_s * isolated,
            since_s,
            total_s,
            keys=keys,
        )
