"""Mehrotra's predictor-corrector method for programs with few types: O(J W^2) an iteration, no matrix of size J.

`docs/explanation/structured-solvers.md` derives the formulas.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel, loop
from phasewise.profiling.jit.layouts import Vector
from phasewise.solvers.structured.interior_point_kernels import (
    BLOCK,
    CONVERGED,
    OUT_OF_ITERATIONS,
    STALLED,
    Point,
    Program,
    Reduced,
    aim,
    direct,
    factorise,
    reduce_columns,
    reduce_rows,
    solve_reduced,
)
from phasewise.solvers.structured.interior_point_steps import (
    balance,
    clear,
    complementarity,
    longest_steps,
    move,
    reward,
    second_order,
)
from phasewise.solvers.structured.sums import dot, sum_of

_SHARE: Final = 0.7  # of capacity and time that the starting point uses
_STEP: Final = 0.9995  # of the way to the boundary
_FIRST_STEPS: Final = 0.99
_TIME_PRICE: Final = 0.3  # of what the GPUs of a job cost at the start
_LEAST_STEP: Final = 1e-9
_LEAST_CENTRING: Final = 1e-8
_PATIENCE: Final = 2  # iterations that may go into the balance alone: rounding may forbid more of it
_BALANCE: Final = 1e-11  # of the capacity rows and the column of t, relative


@inner
def empty_point(types: int, jobs: int, kept: int) -> Point:
    """Return a point of zeros; ``kept`` is the number of pairs in force."""
    return Point(
        np.zeros((types, jobs)),
        np.zeros((types, jobs)),
        np.zeros(jobs),
        np.zeros(jobs),
        np.zeros(jobs),
        np.zeros(jobs),
        np.zeros(types),
        np.zeros(types),
        np.zeros(kept),
        np.zeros(kept),
        np.zeros(kept),
        np.zeros(kept),
    )


@inner
def empty_reduced(types: int, jobs: int, kept: int) -> Reduced:
    """Return the work space of one run."""
    return Reduced(
        np.zeros((types, jobs)),
        np.zeros((types, jobs)),
        np.zeros((types, jobs)),
        np.zeros(kept),
        np.zeros((types, jobs)),
        np.zeros((types, jobs)),
        np.zeros((types, jobs)),
        np.zeros(jobs),
        np.zeros(jobs, np.int64),
        np.zeros(jobs),
        np.zeros(jobs),
        np.zeros(jobs),
        np.zeros(jobs),
        np.zeros((types, types)),
        np.zeros(types + 1),
        np.zeros((types, jobs)),
        np.zeros(kept),
        np.zeros(jobs),
        np.zeros(jobs),
        np.zeros(types),
        np.zeros(jobs),
        np.zeros(jobs),
        np.zeros(types),
        np.zeros(jobs),
        np.zeros(jobs),
        np.zeros(jobs),
        np.zeros(BLOCK),
        np.zeros(BLOCK),
        np.zeros(max(jobs, types, kept)),
    )


@loop
def start_primal(program: Program, point: Point, unit: float, share: Vector, kept_share: Vector) -> float:
    """Place x inside its bounds by equal shares, set the slacks, and return t, somewhat below the least gain."""
    types, jobs = program.gain.shape
    start_shares(program, unit, share, kept_share)
    for i in range(jobs):
        point.v[i] = 1.0
    for j in range(types):
        point.w[j] = program.capacity[j]
        for i in range(jobs):
            point.y[j, i] = share[j] * program.open[j, i]
            place(program, point, j, i, point.y[j, i])
    for n in range(program.previous.size):
        j, i = program.kept_type[n], program.kept_job[n]
        point.k[n] = kept_share[j] * program.previous[n]
        point.b[n] = program.previous[n] - point.k[n]
        place(program, point, j, i, point.k[n])
    level = 1.2 * unit
    for i in range(jobs):
        level = min(level, point.u[i])
    level = min(0.9 * unit, level - 0.3 * unit)
    for i in range(jobs):
        point.u[i] -= level
    for j in range(types):
        taken = program.capacity[j] - point.w[j]
        least = 0.1 * taken + 0.01 * abs(program.capacity[j]) + 1e-12
        point.w[j] = max(point.w[j] - program.drift[j] * level, least)
    return float(level)


@loop
def place(program: Program, point: Point, j: int, i: int, x: float) -> None:
    """Count a part of x_ij in the slacks of its rows, gains still without t."""
    point.u[i] += program.gain[j, i] * x
    point.v[i] -= x
    point.w[j] -= program.use[i] * x


@loop
def start_shares(program: Program, unit: float, share: Vector, kept_share: Vector) -> None:
    """Return by type (W,) what every open pair starts with, and which part of what is in force is kept at first."""
    types, jobs = program.gain.shape
    kept_share[:] = 0.0
    for n in range(program.previous.size):
        kept_share[program.kept_type[n]] += program.previous[n] * program.use[program.kept_job[n]]
    for j in range(types):
        asked = 1e-300
        for i in range(jobs):
            asked += program.open[j, i] * program.use[i]
        free = program.capacity[j] - program.drift[j] * unit
        room = max(free, 0.02 * program.capacity[j]) if program.capacity[j] > 0.0 else max(free, 0.02 * asked)
        share[j] = _SHARE * min(1.0, room / asked)
        kept_share[j] = 0.5 * _SHARE * min(1.0, room / (kept_share[j] + 1e-300))
    part = (0.5 if program.previous.size > 0 else 1.0) / max(1.0, sum_of(share) / _SHARE)
    for j in range(types):
        share[j] *= part


@loop
def start_dual(program: Program, point: Point) -> None:
    """Set duals that satisfy every column of x: job weights in proportion to GPUs over gain, as at equal prices."""
    types, jobs = program.gain.shape
    total = 0.0
    for i in range(jobs):
        point.lam[i] = program.use[i] / most_gain(program, i)
        total += point.lam[i]
    price = program.level_reward / total
    for j in range(types):
        point.price[j] = price
    for i in range(jobs):
        point.lam[i] *= price
        mu = _TIME_PRICE * price * program.use[i]
        for j in range(types):
            if program.open[j, i] > 0.0:
                mu = max(mu, _TIME_PRICE * price * program.use[i] - reduced_cost(program, point, j, i))
        point.mu[i] = mu
    for j in range(types):
        for i in range(jobs):
            point.z[j, i] = 1.0
            if program.open[j, i] > 0.0:
                point.z[j, i] = reduced_cost(program, point, j, i) + point.mu[i]
    for n in range(program.previous.size):
        j, i = program.kept_type[n], program.kept_job[n]
        net = point.z[j, i] - 2.0 * program.cost[j, i]
        point.zk[n] = max(net, 0.0) + _TIME_PRICE * price * program.use[i] * point.y[j, i] / point.k[n]
        point.zb[n] = point.zk[n] - net


@loop
def most_gain(program: Program, i: int) -> float:
    """Return the gain of job i on its best type, or the largest of all where it has none, or 1."""
    most = 0.0
    for j in range(program.gain.shape[0]):
        most = max(most, program.gain[j, i])
    if most <= 0.0:
        for k in range(program.gain.shape[1]):
            for j in range(program.gain.shape[0]):
                most = max(most, program.gain[j, k])
    return most if most > 0.0 else 1.0


@loop
def reduced_cost(program: Program, point: Point, j: int, i: int) -> float:
    """Return what a unit of the added part of x_ij costs beyond its worth, without the price of time."""
    cost = program.cost[j, i] if program.cost.size > 0 else 0.0
    return float(cost + program.use[i] * point.price[j] - program.gain[j, i] * (point.lam[i] + program.linear[i]))


@loop
def products(program: Program) -> int:
    """Return the number of complementary pairs."""
    types, jobs = program.gain.shape
    count = int(2 * jobs + types + 2 * program.previous.size)
    for j in range(types):
        for i in range(jobs):
            count += int(program.open[j, i] > 0.0)
    return count


@kernel()
def interior_point(
    program: Program, unit: float, tolerance: float, limit: int, least_worth: float
) -> tuple[Point, float, int, int, float]:
    """Return (point, t, iterations, how it ended, relative gap).

    Parameters
    ----------
    program
        What to maximise.
    unit
        About what t will be; 1 for scaled gains.
    tolerance
        Sum of complementary products, relative to the objective, at which to stop.
    limit
        Most iterations.
    least_worth
        What the sum of products is relative to where the objective is less.
    """
    types, jobs = program.gain.shape
    kept = program.previous.size
    point, change, second = (
        empty_point(types, jobs, kept),
        empty_point(types, jobs, kept),
        empty_point(types, jobs, kept),
    )
    reduced = empty_reduced(types, jobs, kept)
    level = start_primal(program, point, unit, np.empty(types), np.empty(types))
    start_dual(program, point)
    count = products(program)
    gap = 1e300
    settled = 0
    for iteration in range(limit):
        off = balance(program, point, reduced, level, unit)
        missing = program.level_reward - sum_of(point.lam) - dot(program.drift, point.price)
        total = complementarity(point, point)
        worth = max(abs(reward(program, point, level)), least_worth) + 1e-300
        gap = total / worth
        if gap <= tolerance and abs(missing) <= _BALANCE * program.level_reward:
            settled += 1
            if off <= _BALANCE or settled > _PATIENCE:
                return point, level, iteration, CONVERGED, gap
        reduce_columns(program, point, reduced)
        reduce_rows(program, point, reduced)
        factorise(reduced.matrix, reduced.coupling)
        floor = 0.1 * tolerance * worth / count
        primal, dual, step = take_step(program, point, reduced, second, change, missing, floor, total, count)
        if not (primal > _LEAST_STEP and dual > _LEAST_STEP):
            return point, level, iteration, STALLED, gap
        part = _FIRST_STEPS if iteration < 4 else _STEP
        primal, dual = min(1.0, part * primal), min(1.0, part * dual)
        move(point, change, primal, dual)
        level += primal * step
    return point, level, limit, OUT_OF_ITERATIONS, gap


@loop
def take_step(
    program: Program,
    point: Point,
    reduced: Reduced,
    second: Point,
    change: Point,
    missing: float,
    floor: float,
    total: float,
    count: int,
) -> tuple[float, float, float]:
    """Fill in the corrected direction; return the longest primal and dual step, and the change of t."""
    clear(second)
    aim(program, point, reduced, second, 0.0)
    level = solve_reduced(reduced, missing, change.price)
    direct(program, point, reduced, second, 0.0, change, level)
    primal, dual = longest_steps(point, change, reduced)
    second_order(change, second)
    falling = complementarity(change, point)
    after = total + primal * falling - dual * (total + falling) + primal * dual * complementarity(change, change)
    centring = max(min(1.0, (max(after, 0.0) / total)) ** 3, _LEAST_CENTRING)
    target = max(centring * total / count, floor)
    aim(program, point, reduced, second, target)
    level = solve_reduced(reduced, missing, change.price)
    direct(program, point, reduced, second, target, change, level)
    primal, dual = longest_steps(point, change, reduced)
    return primal, dual, level
