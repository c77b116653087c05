"""The largest sum of values as a linear program, built without a Python loop.

Over columns x_11 .. x_JW (row by row of x), with values divided by their mean over jobs of the best type, and each
promise by the job's fastest type::

    max  sum_ij v_ij x_ij
    s.t. sum_j x_ij <= 1                  J time rows
         sum_i s_i x_ij <= N_j            W capacity rows
         sum_j T_ij x_ij >= q_i           a row for each promise
         0 <= x_ij <= 1, or <= 0 where not allowed
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.forms.tables import LP
from phasewise.solvers.lp import INFINITE, Int32s, LinearProgram
from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.proofs import Duals


@LP.register(MaxSumProblem)
def to_lp(problem: MaxSumProblem) -> LinearProgram:
    """Return the problem as a linear program with the columns x and the rows time, capacity and slo."""
    jobs, types = problem.rows, problem.types
    asks = np.flatnonzero(problem.need > 0.0)
    fastest = problem.rate[asks].max(axis=1)
    fastest[fastest == 0.0] = 1.0  # a promise that is out of reach altogether
    start, index, value = _matrix(problem, asks, fastest)
    scale = value_scale(problem)
    rows = jobs + types + asks.size
    lower, upper = (
        np.full(rows, -INFINITE),
        np.concatenate((np.ones(jobs), problem.capacity, np.full(asks.size, INFINITE))),
    )
    lower[jobs + types :] = problem.need[asks] / fastest

    def to_duals(of_rows: Mapping[str, Floats]) -> Duals:
        slo = np.zeros(jobs)
        slo[asks] = -of_rows["slo"] / fastest
        return Duals(capacity=of_rows["capacity"] * scale, time=of_rows["time"] * scale, slo=slo * scale)

    return LinearProgram(
        problem.usable_value.ravel() / scale,
        np.zeros(jobs * types),
        problem.allowed_mask.ravel().astype(np.float64),
        lower,
        upper,
        start,
        index,
        value,
        np.zeros(jobs * types, dtype=np.int32),
        (jobs, types),
        {"x": slice(0, jobs * types)},
        {"time": slice(0, jobs), "capacity": slice(jobs, jobs + types), "slo": slice(jobs + types, rows)},
        {"x": None},
        to_duals,
        scale,
    )


def _matrix(problem: MaxSumProblem, asks: Ints, fastest: Floats) -> tuple[Int32s, Int32s, Floats]:
    """Return the matrix by columns; ``asks`` (Q,) are the jobs with a promise, ``fastest`` (Q,) their largest rates."""
    jobs, types = problem.rows, problem.types
    entries = np.full(jobs, 2)
    entries[asks] = 3
    start = np.zeros(jobs * types + 1, dtype=np.int32)
    np.cumsum(np.repeat(entries, types), out=start[1:])
    first = start[:-1].reshape(jobs, types)
    index, value = np.empty(start[-1], dtype=np.int32), np.empty(start[-1])
    index[first], value[first] = np.arange(jobs)[:, None], 1.0
    index[first + 1], value[first + 1] = jobs + np.arange(types), problem.scale_factor[:, None]
    index[first[asks] + 2] = jobs + types + np.arange(asks.size)[:, None]
    value[first[asks] + 2] = problem.rate[asks] / fastest[:, None]
    return start, index, value


def value_scale(problem: MaxSumProblem) -> float:
    """Return what values are divided by: the mean over jobs of the best type's, 1 where nothing is worth anything."""
    return float(problem.usable_value.max(axis=1).mean()) or 1.0
