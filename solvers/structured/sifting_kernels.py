"""The loops of price sifting: each job's best response to prices, and what it shows about the optimum.

Arrays are laid out by job, (J, W), as problems state them. Every job is in one of four states (see `respond`);
`docs/explanation/structured-solvers.md` derives the formulas.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.solvers.structured.compiled import kernel

Floats = npt.NDArray[np.float64]
Bytes = npt.NDArray[np.int8]
Bools = npt.NDArray[np.bool_]

ABOVE: Final = 0
"""Runs all the time on its first type, because that pays by itself; gains more than t."""
SINGLE: Final = 1
"""Runs on its first type for as long as t takes."""
PAIR: Final = 2
"""Runs all the time, on its first and its second type in the proportion that gives t."""
SHORT: Final = 3
"""Cannot reach t: runs all the time on its best type."""
FREE: Final = 4
"""Is left to the small program."""

_LEVEL_WEIGHT: Final = 20.0  # a relative distance in t counts this many times a relative distance in prices
_TINY: Final = 1e-300


class Jobs(NamedTuple):
    """What the jobs of a program are: (J, W) gains, 0 where not open; (J,) GPUs and reward for a unit of gain."""

    gain: Floats
    use: Floats
    linear: Floats


class Responses(NamedTuple):
    """The state of each job: (J,) which of the four, its first and second type, and how far from another one."""

    state: Bytes
    first: Bytes
    second: Bytes
    margin: Floats


@kernel
def with_gain(gain: Floats) -> int:
    """Return how many rows of ``gain`` (J, W) have an entry above 0."""
    count = 0
    for i in range(gain.shape[0]):
        for j in range(gain.shape[1]):
            if gain[i, j] > 0.0:
                count += 1
                break
    return count


@kernel
def best_alone(jobs: Jobs, prices: Floats, i: int) -> int:
    """Return the type that pays most for a whole job without regard to t, -1 where none pays."""
    best, worth = -1, 0.0
    for j in range(prices.size):
        if jobs.gain[i, j] > 0.0:
            pays = jobs.linear[i] * jobs.gain[i, j] - jobs.use[i] * prices[j]
            if pays > worth:
                best, worth = j, pays
    return best


@kernel
def cheapest(jobs: Jobs, prices: Floats, i: int) -> int:
    """Return the type on which a unit of gain costs least, -1 where there is none; fractions are compared crosswise."""
    best, price, gain = -1, 1.0, 0.0
    for j in range(prices.size):
        if prices[j] * gain < price * jobs.gain[i, j]:
            best, price, gain = j, prices[j], jobs.gain[i, j]
    return best


@kernel
def next_on_hull(jobs: Jobs, prices: Floats, i: int, start: int) -> int:
    """Return the faster type with the least extra price for each unit of extra gain, -1 where there is none."""
    best, extra, more = -1, 1.0, 0.0
    for j in range(prices.size):
        step = jobs.gain[i, j] - jobs.gain[i, start]
        if step > 0.0 and (prices[j] - prices[start]) * more < extra * step:
            best, extra, more = j, prices[j] - prices[start], step
    return best


@kernel
def choose(jobs: Jobs, prices: Floats, level: float, i: int) -> tuple[int, int, int]:
    """Return (state, first type, second type) of job i's best response."""
    first = -1
    if jobs.linear[i] > 0.0:
        first = best_alone(jobs, prices, i)
        if first >= 0 and jobs.gain[i, first] >= level:
            return ABOVE, first, -1
    if first < 0:
        first = cheapest(jobs, prices, i)
        if first < 0:
            return SHORT, -1, -1
        if jobs.gain[i, first] >= level:
            return SINGLE, first, -1
    while True:
        second = first
        first = next_on_hull(jobs, prices, i, second)
        if first < 0:
            return SHORT, second, -1
        if jobs.gain[i, first] >= level:
            return PAIR, first, second


@kernel
def time_price(jobs: Jobs, prices: Floats, i: int, first: int, weight: float) -> float:
    """Return what a unit of time on a type is worth beyond its price, at a job weight."""
    return float((jobs.linear[i] + weight) * jobs.gain[i, first] - jobs.use[i] * prices[first])


@kernel
def closeness(jobs: Jobs, prices: Floats, i: int, state: int, first: int, second: int) -> float:
    """Return by how much the price of a GPU would have to change for another type to be as good."""
    weight = weight_of(jobs, prices, i, first, second, state)
    slope = (jobs.linear[i] + weight) / jobs.use[i]
    worth = slope * jobs.gain[i, first] - prices[first]
    other = -np.inf if state == SINGLE else 0.0
    for j in range(prices.size):
        pays = slope * jobs.gain[i, j] - prices[j]
        rival = j != first and j != second and jobs.gain[i, j] > 0.0
        other = pays if rival and pays > other else other
    return float(worth - other)


@kernel
def room(jobs: Jobs, level: float, i: int, state: int, first: int, second: int) -> float:
    """Return how far t may move before job i's response becomes impossible."""
    above = jobs.gain[i, first] - level
    return float(min(above, level - jobs.gain[i, second]) if state == PAIR else above)


@kernel
def respond(jobs: Jobs, prices: Floats, level: float, responses: Responses) -> None:
    """Write every job's best response to ``prices`` (W,) and ``level``.

    A job maximises reward minus the price of its GPUs, subject to its time and to a gain of at least ``level``: it is
    ABOVE, SINGLE or PAIR, or SHORT where it cannot reach the level.
    """
    by_price, by_level = prices.size / (prices.sum() + _TINY), _LEVEL_WEIGHT / (abs(level) + _TINY)
    for i in range(jobs.use.size):
        state, first, second = choose(jobs, prices, level, i)
        responses.state[i] = state
        responses.first[i] = first
        responses.second[i] = second
        margin = -1.0
        if state != SHORT:
            margin = by_price * closeness(jobs, prices, i, state, first, second)
            margin = min(margin, by_level * room(jobs, level, i, state, first, second))
        responses.margin[i] = margin


@kernel
def fixed_use(jobs: Jobs, responses: Responses, base: Floats, slope: Floats) -> tuple[float, float]:
    """Write the GPUs that fixed jobs take as ``base + slope * t`` (W,), and return their reward likewise."""
    base[:] = 0.0
    slope[:] = 0.0
    base_reward = 0.0
    reward_slope = 0.0
    for i in range(jobs.use.size):
        state = responses.state[i]
        if state == FREE:
            continue
        first, second, use = responses.first[i], responses.second[i], jobs.use[i]
        if state == ABOVE:
            base[first] += use
            base_reward += jobs.linear[i] * jobs.gain[i, first]
            continue
        reward_slope += jobs.linear[i]
        if state == SINGLE:
            slope[first] += use / jobs.gain[i, first]
        else:
            low = jobs.gain[i, second]
            part = use / (jobs.gain[i, first] - low)
            slope[first] += part
            base[first] -= part * low
            slope[second] -= part
            base[second] += part * low + use
    return base_reward, reward_slope


@kernel
def worth_at(jobs: Jobs, prices: Floats, i: int, weight: float) -> float:
    """Return the most that job i's time is worth at its weight: its term of the dual bound."""
    worth = 0.0
    for j in range(prices.size):
        if jobs.gain[i, j] > 0.0:
            worth = max(worth, time_price(jobs, prices, i, j, weight))
    return worth


@kernel
def weight_of(jobs: Jobs, prices: Floats, i: int, first: int, second: int, state: int) -> float:
    """Return the job weight at which a fixed job's types are equally good, perhaps negative."""
    if state == ABOVE:
        return 0.0
    if state == SINGLE:
        return float(jobs.use[i] * prices[first] / jobs.gain[i, first] - jobs.linear[i])
    more = jobs.gain[i, first] - jobs.gain[i, second]
    return float(jobs.use[i] * (prices[first] - prices[second]) / more - jobs.linear[i])


@kernel
def audit(
    jobs: Jobs, prices: Floats, level: float, responses: Responses, weights: Floats, regret: Floats
) -> tuple[float, float, float]:
    """Judge fixed jobs at new prices and a new level; return (bound's job terms, sum of weights, sum of regrets).

    ``weights`` (J,) has the free jobs' weights and gets those of the fixed ones. ``regret`` (J,) gets by how much a
    fixed job's response falls short of its best one, or infinity where it has become impossible; 0 for free jobs.
    """
    bound = 0.0
    total = 0.0
    regrets = 0.0
    for i in range(jobs.use.size):
        state = responses.state[i]
        regret[i] = 0.0
        if state == FREE:
            bound += worth_at(jobs, prices, i, weights[i])
            total += weights[i]
            continue
        first, second = responses.first[i], responses.second[i]
        weight = weight_of(jobs, prices, i, first, second, state)
        weights[i] = max(weight, 0.0)
        worth = worth_at(jobs, prices, i, weights[i])
        bound += worth
        total += weights[i]
        own = 0.0 if state == SINGLE else time_price(jobs, prices, i, first, weight)
        regret[i] = worth - own + (weights[i] - weight) * level
        regrets += regret[i]
        if jobs.gain[i, first] < level or (state == PAIR and jobs.gain[i, second] > level):
            regret[i] = np.inf
    return bound, total, regrets


@kernel
def write_fixed(jobs: Jobs, responses: Responses, level: float, x: Floats) -> None:
    """Write the time fractions (J, W) of fixed jobs at ``level``; rows of free jobs stay as they are."""
    for i in range(jobs.use.size):
        state = responses.state[i]
        if state == FREE:
            continue
        first, second = responses.first[i], responses.second[i]
        for j in range(x.shape[1]):
            x[i, j] = 0.0
        if state == ABOVE:
            x[i, first] = 1.0
        elif state == SINGLE:
            x[i, first] = min(1.0, level / jobs.gain[i, first])
        else:
            low = jobs.gain[i, second]
            part = min(1.0, max(0.0, (level - low) / (jobs.gain[i, first] - low)))
            x[i, first] = part
            x[i, second] = 1.0 - part


@kernel
def fit(jobs: Jobs, capacity: Floats, x: Floats) -> None:
    """Scale ``x`` (J, W) down to time and capacity in place: by no more than the rounding of the small program."""
    used = np.zeros(capacity.size)
    for i in range(jobs.use.size):
        time = 0.0
        for j in range(capacity.size):
            x[i, j] = max(x[i, j], 0.0) if jobs.gain[i, j] > 0.0 else 0.0
            time += x[i, j]
        if time > 1.0:
            for j in range(capacity.size):
                x[i, j] /= time
        for j in range(capacity.size):
            used[j] += jobs.use[i] * x[i, j]
    for j in range(capacity.size):
        if used[j] > capacity[j]:
            for i in range(jobs.use.size):
                x[i, j] *= capacity[j] / used[j]


@kernel
def gains(jobs: Jobs, x: Floats) -> tuple[float, float]:
    """Return the least gain and the sum of rewards at ``x`` (J, W)."""
    least, total = np.inf, 0.0
    for i in range(jobs.use.size):
        gain = 0.0
        for j in range(x.shape[1]):
            gain += jobs.gain[i, j] * x[i, j]
        least = min(least, gain)
        total += jobs.linear[i] * gain
    return least, total
