"""The dual simplex method in W prices: from any prices to an optimum of the sum of values, an exact line search a step.

The dual of the sum of values, given what all jobs do at prices p, is the convex, piecewise linear function
p . N + sum_i best_i(p). `descend` minimises it from vertex to vertex. A vertex is where W things hold at once: a job is
indifferent about a further point of its time (TIE), a type's price is 0 (SLACK), or, of the prices it starts from, a
price is what it was (PIN). `docs/explanation/structured-solvers.md` derives the method.
"""

from __future__ import annotations

from typing import Final

from phasewise.profiling.jit.kernel import kernel, loop
from phasewise.profiling.jit.layouts import Vector
from phasewise.solvers.structured.mixes import NONE, JobValues, Mixes, best_mix
from phasewise.solvers.structured.price_search import State, count_use, gather_first, search
from phasewise.solvers.structured.price_vertex import (
    PIN,
    SLACK,
    TIE,
    exchange_keys,
    leaving,
    point_along,
    replace,
    settle,
)

OPTIMAL: Final = 0
UNBOUNDED: Final = 1
"""The rates that are needed cannot all be had: prices may rise along the direction for ever."""
STALLED: Final = 2
"""Steps of no length: ties upon ties."""
SINGULAR: Final = 3
"""Rounding made the vertex meaningless."""
SPENT: Final = 4
"""Too many steps."""


_STANDSTILL: Final = 1e-14  # of the largest price


@loop
def pin_all(jobs: JobValues, mixes: Mixes, state: State) -> None:
    """Start at the state's prices: everything is pinned, every job has its best mix."""
    basis, types = state.basis, state.prices.size
    for j in range(types):
        basis.kind[j] = PIN if state.prices[j] > 0.0 else SLACK
        basis.point[j] = j
        basis.job[j] = -1
        basis.right[j] = state.prices[j]
    for i in range(jobs.use.size):
        mixes.upper[i], mixes.lower[i] = best_mix(jobs, state.prices, i)
        basis.ties[i] = 0


@loop
def stands_still(state: State, length: float) -> bool:
    """Return whether prices do not move, to speak of, by going so far along the direction."""
    moved, largest = 0.0, 0.0
    for j in range(state.prices.size):
        moved, largest = max(moved, abs(length * state.direction[j])), max(largest, state.prices[j])
    return moved <= _STANDSTILL * largest


@kernel()
def descend(jobs: JobValues, capacity: Vector, mixes: Mixes, state: State, limit: int) -> tuple[int, int]:
    """Go down from the state's prices to an optimum; return (how it ended, steps).

    Mixes and state then are those of the last vertex, and the direction is the last one.
    """
    basis = state.basis
    pin_all(jobs, mixes, state)
    gather_first(jobs, mixes, state)
    steps, still = 0, 0
    while steps < limit:
        steps += 1
        count_use(jobs, mixes, state)
        if not settle(jobs, mixes, capacity, state.used, basis, state.prices):
            return SINGULAR, steps
        k = leaving(basis)
        if k == NONE:
            swapped = exchange_keys(jobs, mixes, basis)
            if swapped == 0:
                return OPTIMAL, steps
            if swapped < 0:
                return SINGULAR, steps
            continue
        if basis.kind[k] == TIE:
            basis.ties[basis.job[k]] -= 1
        slope = point_along(basis, k, state.direction)
        length, job, point = search(jobs, mixes, state, slope)
        if job == NONE and point == NONE:
            return UNBOUNDED, steps
        still = still + 1 if stands_still(state, length) else 0
        if still > 4 * capacity.size + 8:
            return STALLED, steps
        replace(basis, k, job, point)
    return SPENT, steps


KERNELS: Final = (descend,)
