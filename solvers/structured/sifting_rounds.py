"""A round of price sifting in one compiled call: solves the small program over the free jobs, judges the others."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from phasewise.profiling.jit.kernel import kernel, loop
from phasewise.profiling.jit.layouts import IntVector, Matrix, Vector
from phasewise.solvers.structured.interior_point import interior_point
from phasewise.solvers.structured.interior_point_kernels import Point, Program
from phasewise.solvers.structured.sifting_kernels import (
    JobGains,
    Responses,
    audit,
    fit_columns,
    fit_free,
    fixed_use,
    gains,
    write_fixed,
)
from phasewise.solvers.structured.states import FREE
from phasewise.solvers.structured.sums import dot

_ITERATIONS = 60
_INNER_TOLERANCE = 2e-10
_UNREGRETTED = 0.1  # of a job's share of the tolerance


class Terms(NamedTuple):
    """What is asked for: (W,) GPUs, reward for a unit of t, about what t is, and the largest relative gap."""

    capacity: Vector
    level_reward: float
    unit: float
    tolerance: float


class Work(NamedTuple):
    """What a round writes: (J, W) time fractions, and figures by job (J,) and by type (W,).

    The GPUs that fixed jobs take are ``base + slope * t``.
    """

    x: Matrix
    weights: Vector
    regret: Vector
    prices: Vector
    base: Vector
    slope: Vector


class RoundResult(NamedTuple):
    """How a round went.

    Attributes
    ----------
    gap
        Of the small program, relative.
    level, iterations
        Its t, and how long it took.
    bound, value
        Proven by the duals, and reached at x; minus infinity where a response has become impossible.
    flagged, limit
        How many fixed jobs have a regret above the limit.
    regret_share
        Sum of regrets, relative to the bound; infinite where a response has become impossible.
    """

    gap: float
    level: float
    iterations: int
    bound: float
    value: float
    flagged: int
    limit: float
    regret_share: float


@kernel()
def solve_free(
    jobs: JobGains, terms: Terms, responses: Responses, work: Work
) -> tuple[float, float, int, float, float, int, float, float]:
    """Solve the small program over the free jobs and judge the fixed ones; return a `RoundResult`."""
    count, types = jobs.gain.shape
    free = np.empty(count, np.int64)
    free = free[: list_free(responses, free)]
    _, reward_slope = fixed_use(jobs, responses, work.base, work.slope)
    none, pairs = np.zeros((0, 0)), np.zeros(0, np.int64)
    by_job, by_pair = np.empty((2, free.size)), np.empty((2, types, free.size))
    program = Program(
        by_pair[0], by_pair[1], by_job[0], by_job[1], terms.capacity - work.base, work.slope,
        terms.level_reward + reward_slope, none, pairs, pairs, np.zeros(0),
    )  # fmt: skip
    fill_program(jobs, free, program)
    point, level, iterations, _, gap = interior_point(program, terms.unit, _INNER_TOLERANCE, _ITERATIONS, 0.0)
    take_over(point, free, work)
    bound, value, flagged, limit, regret_share = judge(jobs, terms, responses, work, free, level)
    return gap, level, iterations, bound, value, flagged, limit, regret_share


@loop
def list_free(responses: Responses, free: IntVector) -> int:
    """Write which jobs are free, and return how many."""
    count = 0
    for i in range(responses.state.size):
        if responses.state[i] == FREE:
            free[count] = i
            count += 1
    return count


@loop
def fill_program(jobs: JobGains, free: IntVector, program: Program) -> None:
    """Write the rows of free jobs, laid out by type."""
    for n in range(free.size):
        i = free[n]
        program.use[n] = jobs.use[i]
        program.linear[n] = jobs.linear[i]
        for j in range(program.capacity.size):
            program.gain[j, n] = jobs.gain[i, j]
            program.open[j, n] = 1.0 if jobs.gain[i, j] > 0.0 else 0.0


@loop
def take_over(point: Point, free: IntVector, work: Work) -> None:
    """Write the small program's prices, and the weights and time fractions of free jobs."""
    for j in range(work.prices.size):
        work.prices[j] = point.price[j]
    for n in range(free.size):
        work.weights[free[n]] = point.lam[n]
        for j in range(work.prices.size):
            work.x[free[n], j] = point.y[j, n]


@loop
def judge(
    jobs: JobGains, terms: Terms, responses: Responses, work: Work, free: IntVector, level: float
) -> tuple[float, float, int, float, float]:
    """Return (bound, value, how many regret more than the limit, that limit, share of regrets); see `RoundResult`."""
    job_terms, total, regrets = audit(jobs, work.prices, level, responses, work.weights, work.regret)
    bound = (job_terms + dot(work.prices, terms.capacity)) * max(1.0, terms.level_reward / total)
    limit = _UNREGRETTED * terms.tolerance * abs(bound) / jobs.use.size
    flagged, most = 0, 0.0
    for i in range(jobs.use.size):
        flagged += int(work.regret[i] > limit)
        most = max(most, work.regret[i])
    if most == np.inf:
        return bound, -np.inf, flagged, limit, np.inf
    used = work.base
    used[:] = 0.0
    least, rewards = write_fixed(jobs, responses, level, work.x, used)
    least_free, rewards_free = fit_free(jobs, free, work.x, used)
    least, rewards = min(least, least_free), rewards + rewards_free
    if fit_columns(terms.capacity, work.x, used):
        least, rewards = gains(jobs, work.x)
    return bound, terms.level_reward * least + rewards, flagged, limit, regrets / abs(bound)
