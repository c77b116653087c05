"""The loops of price sifting: each job's best response to prices, and what it shows about the optimum.

Arrays are laid out by job, (J, W), as problems state them. Every job is in one of four states (see `respond`);
`docs/explanation/structured-solvers.md` derives the formulas.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.profiling.jit.kernel import kernel, loop
from phasewise.profiling.jit.layouts import ByteVector, IntVector, Matrix, Vector
from phasewise.solvers.structured.states import ABOVE, FREE, PAIR, SHORT, SINGLE
from phasewise.solvers.structured.sums import sum_of

_LEVEL_WEIGHT: Final = 20.0  # a relative distance in t counts this many times a relative distance in prices
_TINY: Final = 1e-300


class JobGains(NamedTuple):
    """What the jobs of a program are: (J, W) gains, 0 where not open; (J,) GPUs and reward for a unit of gain."""

    gain: Matrix
    use: Vector
    linear: Vector


class Responses(NamedTuple):
    """The state of each job: (J,) which of the four, its first and second type, and how far from another one.

    In the nearest other one it would run less on the type that it ``leaves`` and more on the one that it ``enters``;
    -1 is being idle.
    """

    state: ByteVector
    first: ByteVector
    second: ByteVector
    leaves: ByteVector
    enters: ByteVector
    margin: Vector


@kernel(allocates=False)
def with_gain(gain: Matrix) -> int:
    """Return how many rows of ``gain`` (J, W) have an entry above 0."""
    count = 0
    for i in range(gain.shape[0]):
        for j in range(gain.shape[1]):
            if gain[i, j] > 0.0:
                count += 1
                break
    return count


@loop
def best_alone(jobs: JobGains, prices: Vector, i: int) -> int:
    """Return the type that pays most for a whole job without regard to t, -1 where none pays."""
    best, worth = -1, 0.0
    for j in range(prices.size):
        pays = jobs.linear[i] * jobs.gain[i, j] - jobs.use[i] * prices[j]
        better = (jobs.gain[i, j] > 0.0) & (pays > worth)
        best, worth = (j, pays) if better else (best, worth)
    return best


@loop
def cheapest(jobs: JobGains, prices: Vector, i: int) -> int:
    """Return the type on which a unit of gain costs least, -1 where there is none; fractions are compared crosswise."""
    best, price, gain = -1, 1.0, 0.0
    for j in range(prices.size):
        other = jobs.gain[i, j]
        better = prices[j] * gain < price * other
        best, price, gain = (j, prices[j], other) if better else (best, price, gain)
    return best


@loop
def next_on_hull(jobs: JobGains, prices: Vector, i: int, start: int) -> int:
    """Return the faster type with the least extra price for each unit of extra gain, -1 where there is none."""
    best, extra, more = -1, 1.0, 0.0
    for j in range(prices.size):
        step, dearer = jobs.gain[i, j] - jobs.gain[i, start], prices[j] - prices[start]
        better = (step > 0.0) & (dearer * more < extra * step)
        best, extra, more = (j, dearer, step) if better else (best, extra, more)
    return best


@loop
def choose(jobs: JobGains, prices: Vector, level: float, i: int) -> tuple[int, int, int]:
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


@loop
def time_price(jobs: JobGains, prices: Vector, i: int, first: int, weight: float) -> float:
    """Return what a unit of time on a type is worth beyond its price, at a job weight."""
    return float((jobs.linear[i] + weight) * jobs.gain[i, first] - jobs.use[i] * prices[first])


@loop
def closeness(jobs: JobGains, prices: Vector, i: int, state: int, first: int, second: int) -> tuple[float, int, int]:
    """Return by how much the price of a GPU would have to change for another response to be as good, and that one.

    The other response is said by the type that job i would leave and the one that it would enter; -1 is being idle.
    """
    weight = weight_of(jobs, prices, i, first, second, state)
    slope = (jobs.linear[i] + weight) / jobs.use[i]
    worth = slope * jobs.gain[i, first] - prices[first]
    other, enters = -np.inf if state == SINGLE else 0.0, -1
    for j in range(prices.size):
        pays = slope * jobs.gain[i, j] - prices[j]
        nearer = (j != first) & (j != second) & (jobs.gain[i, j] > 0.0) & (pays > other)
        other, enters = (pays, j) if nearer else (other, enters)
    margin, leaves = worth - other, first
    if state != ABOVE and jobs.linear[i] > 0.0:  # below a weight of 0 all of its time pays by itself
        more = jobs.gain[i, first] - (jobs.gain[i, second] if state == PAIR else 0.0)
        if weight * more < margin * jobs.use[i]:
            margin, leaves, enters = weight * more / jobs.use[i], second, first
    return float(margin), leaves, enters


@loop
def room(jobs: JobGains, level: float, i: int, state: int, first: int, second: int) -> float:
    """Return how far t may move before job i's response becomes impossible."""
    above = jobs.gain[i, first] - level
    return float(min(above, level - jobs.gain[i, second]) if state == PAIR else above)


@kernel(allocates=False)
def respond(jobs: JobGains, prices: Vector, level: float, responses: Responses) -> None:
    """Write every job's best response to ``prices`` (W,) and ``level``.

    A job maximises reward minus the price of its GPUs, subject to its time and to a gain of at least ``level``: it is
    ABOVE, SINGLE or PAIR, or SHORT where it cannot reach the level.
    """
    by_price, by_level = prices.size / (sum_of(prices) + _TINY), _LEVEL_WEIGHT / (abs(level) + _TINY)
    for i in range(jobs.use.size):
        state, first, second = choose(jobs, prices, level, i)
        responses.state[i] = state
        responses.first[i] = first
        responses.second[i] = second
        margin, leaves, enters = -1.0, -1, -1
        if state != SHORT:
            margin, leaves, enters = closeness(jobs, prices, i, state, first, second)
            margin = min(by_price * margin, by_level * room(jobs, level, i, state, first, second))
        responses.margin[i] = margin
        responses.leaves[i] = leaves
        responses.enters[i] = enters


@kernel(allocates=False)
def set_free(jobs: JobGains, responses: Responses, level: float, order: IntVector, size: int, lacking: Matrix) -> None:
    """Set the first ``size`` jobs of ``order`` free, of the rest those that a type still lacks, and all that are SHORT.

    Parameters
    ----------
    order
        Jobs, the nearest to another response first.
    lacking
        (2, W) GPUs of jobs that might leave each type, and of those that might enter it, that should be free; used up.
    """
    for n in range(order.size):
        i = order[n]
        leaves, enters, moves = responses.leaves[i], responses.enters[i], jobs.use[i]
        if responses.state[i] == SHORT:
            moves = 0.0
        elif responses.state[i] == SINGLE or leaves < 0 or enters < 0:
            part = level / jobs.gain[i, responses.first[i]]
            moves *= part if leaves >= 0 and enters >= 0 else 1.0 - part
        wanted = n < size
        if leaves >= 0:
            wanted = wanted or lacking[0, leaves] > 0.0
            lacking[0, leaves] -= moves
        if enters >= 0:
            wanted = wanted or lacking[1, enters] > 0.0
            lacking[1, enters] -= moves
        if wanted:
            responses.state[i] = FREE
    for i in range(jobs.use.size):
        if responses.state[i] == SHORT:
            responses.state[i] = FREE


@kernel(allocates=False)
def fixed_use(jobs: JobGains, responses: Responses, base: Vector, slope: Vector) -> tuple[float, float]:
    """Write the GPUs that fixed jobs take as ``base + slope * t`` (W,), and return their reward likewise."""
    base[:] = 0.0
    slope[:] = 0.0
    base_reward = 0.0
    reward_slope = 0.0
    for i in range(jobs.use.size):
        state = responses.state[i]
        if state in (FREE, SHORT):
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


@loop
def worth_at(jobs: JobGains, prices: Vector, i: int, weight: float) -> float:
    """Return the most that job i's time is worth at its weight: its term of the dual bound."""
    worth = 0.0
    for j in range(prices.size):
        pays = time_price(jobs, prices, i, j, weight)
        worth = pays if (jobs.gain[i, j] > 0.0) & (pays > worth) else worth
    return worth


@loop
def weight_of(jobs: JobGains, prices: Vector, i: int, first: int, second: int, state: int) -> float:
    """Return the job weight at which a fixed job's types are equally good, perhaps negative."""
    if state == ABOVE:
        return 0.0
    if state == SINGLE:
        return float(jobs.use[i] * prices[first] / jobs.gain[i, first] - jobs.linear[i])
    more = jobs.gain[i, first] - jobs.gain[i, second]
    return float(jobs.use[i] * (prices[first] - prices[second]) / more - jobs.linear[i])


@loop
def audit(
    jobs: JobGains, prices: Vector, level: float, responses: Responses, weights: Vector, regret: Vector
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


@loop
def write_fixed(jobs: JobGains, responses: Responses, level: float, x: Matrix, used: Vector) -> tuple[float, float]:
    """Write the time fractions (J, W) of fixed jobs at ``level``; rows of free jobs stay as they are.

    Adds the GPUs they take to ``used`` (W,), and returns the least of their gains and the sum of their rewards.
    """
    least, rewards = np.inf, 0.0
    for i in range(jobs.use.size):
        state = responses.state[i]
        if state == FREE:
            continue
        first, second, part = responses.first[i], responses.second[i], 1.0
        for j in range(x.shape[1]):
            x[i, j] = 0.0
        if state == SINGLE:
            part = min(1.0, max(0.0, level / jobs.gain[i, first]))
        elif state == PAIR:
            low = jobs.gain[i, second]
            part = min(1.0, max(0.0, (level - low) / (jobs.gain[i, first] - low)))
        x[i, first] = part
        used[first] += jobs.use[i] * part
        gain = jobs.gain[i, first] * part
        if state == PAIR:
            x[i, second] = 1.0 - part
            used[second] += jobs.use[i] * (1.0 - part)
            gain += jobs.gain[i, second] * (1.0 - part)
        least = min(least, gain)
        rewards += jobs.linear[i] * gain
    return least, rewards


@loop
def fit_free(jobs: JobGains, free: IntVector, x: Matrix, used: Vector) -> tuple[float, float]:
    """Scale the rows of free jobs down to their time, by no more than rounding; add and return as `write_fixed`."""
    least, rewards = np.inf, 0.0
    for i in free:
        time, gain = 0.0, 0.0
        for j in range(used.size):
            x[i, j] = max(x[i, j], 0.0) if jobs.gain[i, j] > 0.0 else 0.0
            time += x[i, j]
        time = max(time, 1.0)
        for j in range(used.size):
            x[i, j] /= time
            used[j] += jobs.use[i] * x[i, j]
            gain += jobs.gain[i, j] * x[i, j]
        least = min(least, gain)
        rewards += jobs.linear[i] * gain
    return least, rewards


@loop
def fit_columns(capacity: Vector, x: Matrix, used: Vector) -> bool:
    """Scale the columns of ``x`` (J, W) of which more is used than there is, by no more than rounding; say if any."""
    any_over = False
    for j in range(capacity.size):
        if used[j] > capacity[j]:
            any_over = True
            part = capacity[j] / used[j]
            for i in range(x.shape[0]):
                x[i, j] *= part
    return any_over


@loop
def gains(jobs: JobGains, x: Matrix) -> tuple[float, float]:
    """Return the least gain and the sum of rewards at ``x`` (J, W)."""
    least, total = np.inf, 0.0
    for i in range(jobs.use.size):
        gain = 0.0
        for j in range(x.shape[1]):
            gain += jobs.gain[i, j] * x[i, j]
        least = min(least, gain)
        total += jobs.linear[i] * gain
    return least, total
