"""What a vertex of the sum of values says: time fractions, prices of the rates that are needed, and what they prove."""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import kernel, loop
from phasewise.profiling.jit.layouts import Matrix, Vector
from phasewise.solvers.structured.mixes import NONE, JobValues, Mixes, at, exchange, rate_at, share_of
from phasewise.solvers.structured.price_vertex import TIE, Basis


@loop
def add_time(x: Matrix, i: int, point: int, much: float) -> None:
    """Add to the time (J, W) of job i on a type; a point that is no type takes none."""
    if 0 <= point < x.shape[1]:
        x[i, point] += much


@kernel(allocates=False)
def write_shares(jobs: JobValues, mixes: Mixes, basis: Basis, capacity: Vector, x: Matrix) -> None:
    """Write the time fractions (J, W) at a vertex, fitted to bounds, time and GPUs by no more than rounding."""
    types = capacity.size
    x[:] = 0.0
    for i in range(jobs.use.size):
        share = share_of(jobs, i, mixes.upper[i], mixes.lower[i])
        add_time(x, i, mixes.upper[i], share)
        add_time(x, i, mixes.lower[i], 1.0 - share)
    for k in range(types):
        if basis.kind[k] == TIE:
            i, point, much = basis.job[k], basis.point[k], basis.amount[k] / basis.norm[k]
            up, down = exchange(jobs, mixes, i, point)
            add_time(x, i, point, much)
            add_time(x, i, mixes.upper[i], up * much)
            add_time(x, i, mixes.lower[i], down * much)
    for k in range(types):
        if basis.kind[k] == TIE:
            fit_row(x, basis.job[k])
    for j in range(types):
        used = 0.0
        for i in range(jobs.use.size):
            used += jobs.use[i] * x[i, j]
        if used > capacity[j]:
            for i in range(jobs.use.size):
                x[i, j] *= capacity[j] / used


@loop
def fit_row(x: Matrix, i: int) -> None:
    """Clip a row of time fractions at 0 and scale it to at most all of the job's time."""
    time = 0.0
    for j in range(x.shape[1]):
        x[i, j] = max(x[i, j], 0.0)
        time += x[i, j]
    for j in range(x.shape[1]):
        x[i, j] /= max(time, 1.0)


@kernel(allocates=False)
def weigh(jobs: JobValues, mixes: Mixes, prices: Vector, weights: Vector, valued: float) -> None:
    """Write what a unit of each job's needed rate costs (J,): 0 where its mix runs as fast for its own sake.

    ``valued`` is 1, or 0 to leave the values of time out of it: what remains proves that rates cannot all be had.
    """
    types = prices.size
    for i in range(jobs.use.size):
        upper, lower, weights[i] = mixes.upper[i], mixes.lower[i], 0.0
        if lower == NONE:
            continue
        loss = jobs.use[i] * (at(prices, upper) - at(prices, lower))
        if upper < types:
            loss -= valued * jobs.value[i, upper]
        if lower < types:
            loss += valued * jobs.value[i, lower]
        weights[i] = max(0.0, loss / (rate_at(jobs, i, upper) - rate_at(jobs, i, lower)))


@kernel(allocates=False)
def worth_of_time(jobs: JobValues, prices: Vector, weights: Vector, valued: float) -> float:
    """Return sum_i max(0, max_j (v_ij + l_i T_ij - s_i p_j)), the jobs' part of the dual bound; ``valued`` as above."""
    total = 0.0
    for i in range(jobs.use.size):
        best = 0.0
        for j in range(prices.size):
            value = jobs.value[i, j]
            if value > -np.inf:
                best = max(best, valued * value + weights[i] * jobs.rate[i, j] - jobs.use[i] * prices[j])
        total += best
    return total


@kernel(allocates=False)
def sum_of_values(jobs: JobValues, x: Matrix) -> float:
    """Return sum_ij v_ij x_ij."""
    total = 0.0
    for i in range(x.shape[0]):
        for j in range(x.shape[1]):
            if x[i, j] > 0.0:
                total += jobs.value[i, j] * x[i, j]
    return total


KERNELS: Final = (write_shares, weigh, worth_of_time, sum_of_values)
