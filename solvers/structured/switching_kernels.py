"""The loops over all jobs of price sifting with a movement cost: responses, who is near another one, and the audit.

Arrays are laid out by job, (J, W). `docs/explanation/structured-solvers.md` derives the formulas.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import kernel, loop
from phasewise.profiling.jit.layouts import IntMatrix, IntVector, Matrix, Vector
from phasewise.solvers.structured.states import CONSTANT, FREE, REPLACE, RETURN, SHORT, START
from phasewise.solvers.structured.switching_walk import (
    Edges,
    Movers,
    add_use,
    change_cost,
    cheapest_exchange,
    closeness,
    edge_weight,
    exchanged,
    own_worth,
    time_left,
    walk,
    worth_at,
)

_NEAR: Final = 1e-2  # of t: an end of an exchange this near is as good as reached
_MUCH: Final = 1e-2  # of a job's GPUs
_BESIDE: Final = 1e-9  # relative: above a level
_DUST: Final = 1e-9  # of a job's time
_SAME: Final = 1e-10  # relative: levels this near to each other count as one


@kernel(allocates=False)
def respond(movers: Movers, prices: Vector, level: float, edges: Edges, used: Vector) -> tuple[float, float, int]:
    """Write every job's best response to ``prices`` (W,) and ``level``, and the GPUs they take there.

    Returns the sum of the weights at which they respond so, by how much it grows in proportion to all prices, and how
    many jobs cannot reach the level.
    """
    used[:] = 0.0
    total, slope, short = 0.0, 0.0, 0
    for i in range(movers.use.size):
        kind, up, down, keep, fill, low, high, weight = walk(movers, prices, level, i)
        edges.kind[i], edges.up[i], edges.down[i] = kind, up, down
        edges.keep[i], edges.fill[i], edges.low[i], edges.high[i] = keep, fill, low, high
        if kind == SHORT:
            edges.kind[i] = FREE
            short += 1
            continue
        if kind in (START, RETURN):
            slope += movers.use[i] * prices[up] / movers.gain[i, up]
        total += weight - movers.linear[i]
        add_use(movers, edges, i, level, used)
    return total, slope, short


@kernel(allocates=False)
def measure_reach(movers: Movers, prices: Vector, level: float, edges: Edges) -> None:
    """Write how far each fixed job is from moving time at an unchanged level, and from where to where."""
    for i in range(movers.use.size):
        kind, up, keep = edges.kind[i], edges.up[i], edges.keep[i]
        weight = edge_weight(movers, edges, prices, i)
        edges.source[i] = edges.target[i] = -1
        edges.reach[i] = np.inf
        if kind == FREE:
            continue
        full = edges.high[i] - level < _NEAR * level
        if kind == CONSTANT or not (full or level - edges.low[i] < _NEAR * level):
            near = closeness(movers, prices, i, edges.fill[i], keep, up, edges.down[i], weight)
            edges.reach[i] = near / movers.use[i]
            continue
        if full and kind in (RETURN, REPLACE):
            keep |= 1 << up
        edges.source[i], edges.target[i], edges.reach[i] = cheapest_exchange(movers, prices, i, keep, weight)


@kernel(allocates=False)
def nearest(edges: Edges, best: Matrix, who: IntMatrix, worst: IntVector) -> None:
    """Write into ``who`` (2 W + 1, q) the jobs of least reach by source, by target, and of those without, or -1.

    ``best`` (2 W + 1, q) and ``worst`` (2 W + 1,) are work space.
    """
    groups, size = best.shape
    types = groups // 2
    best[:] = np.inf
    who[:] = -1
    worst[:] = 0
    for i in range(edges.kind.size):
        reach = edges.reach[i]
        for side in range(2):
            kind = edges.target[i] if side else edges.source[i]
            group = 2 * types if kind < 0 else kind + side * types
            if (side and kind < 0) or not reach < best[group, worst[group]]:
                continue
            best[group, worst[group]] = reach
            who[group, worst[group]] = i
            for n in range(size):
                if best[group, n] > best[group, worst[group]]:
                    worst[group] = n


@kernel(allocates=False)
def answer_again(
    movers: Movers, prices: Vector, level: float, edges: Edges, who: IntVector, before: Vector, after: Vector
) -> int:
    """Let some fixed jobs respond to new prices; free those that would take or give back much. Return how many."""
    freed = 0
    for n in range(who.size):
        i = who[n]
        before[:] = 0.0
        after[:] = 0.0
        add_use(movers, edges, i, level, before)
        kind, up, down, keep, fill, low, high, _ = walk(movers, prices, level, i)
        if kind != SHORT:
            edges.kind[i], edges.up[i], edges.down[i] = kind, up, down
            edges.keep[i], edges.fill[i], edges.low[i], edges.high[i] = keep, fill, low, high
            add_use(movers, edges, i, level, after)
        change = 0.0
        for j in range(before.size):
            change += abs(after[j] - before[j])
        if kind == SHORT or change > _MUCH * movers.use[i]:
            edges.kind[i] = FREE
            freed += 1
    return freed


@kernel(allocates=False)
def fixed_use(movers: Movers, edges: Edges, base: Vector, slope: Vector) -> float:
    """Write the GPUs that fixed jobs take as ``base + slope * t`` (W,); return their reward for a unit of t."""
    base[:] = 0.0
    slope[:] = 0.0
    reward = 0.0
    for i in range(movers.use.size):
        kind = edges.kind[i]
        if kind == FREE:
            continue
        add_use(movers, edges, i, -np.inf, base)
        if kind == CONSTANT:
            continue
        up, down = edges.up[i], edges.down[i]
        _, step = exchanged(movers, edges, i, 0.0)
        part = movers.use[i] / step
        slope[up] += part
        base[up] -= part * edges.low[i]
        if down >= 0:
            slope[down] -= part
            base[down] += part * edges.low[i]
        reward += movers.linear[i] - change_cost(movers, i, kind, up, down) / step
    return reward


@kernel(allocates=False)
def slack_weights(
    movers: Movers, prices: Vector, edges: Edges, level: float, most: float, spread: Vector
) -> tuple[float, int]:
    """Write by how much the weights of the jobs that hold t at ``level`` may grow before their response changes.

    ``most`` stands for no limit. Returns the sum, and how many they are.
    """
    total, count = 0.0, 0
    for i in range(movers.use.size):
        spread[i] = 0.0
        if edges.kind[i] == FREE or edges.high[i] - level > _SAME * abs(level):
            continue
        kind, _, _, _, _, _, _, weight = walk(movers, prices, level * (1.0 + _BESIDE), i)
        own = edge_weight(movers, edges, prices, i)
        spread[i] = max((own + most if kind == SHORT else weight) - own, 0.0)
        total += spread[i]
        count += 1
    return total, count


@kernel(allocates=False)
def audit(
    movers: Movers,
    prices: Vector,
    level: float,
    edges: Edges,
    spread: Vector,
    part: float,
    weights: Vector,
    regret: Vector,
) -> tuple[float, float, float]:
    """Judge fixed jobs at new prices and a new level; return (bound's job terms, sum of weights, sum of regrets).

    ``weights`` (J,) has the free jobs' weights and gets those of the fixed ones: where the exchange neither gains nor
    loses, and ``part`` of ``spread`` (J,) beyond. ``regret`` (J,) gets by how much a fixed job's response falls short
    of its best one, infinity where it has become impossible; 0 for free jobs.
    """
    bound, total, regrets = 0.0, 0.0, 0.0
    for i in range(movers.use.size):
        regret[i] = 0.0
        linear = movers.linear[i]
        if edges.kind[i] == FREE:
            bound += worth_at(movers, prices, i, linear + weights[i])
            total += weights[i]
            continue
        own = edge_weight(movers, edges, prices, i)
        weight = max(own + part * spread[i], linear)
        weights[i] = weight - linear
        worth = worth_at(movers, prices, i, weight)
        bound += worth
        total += weights[i]
        time, step = exchanged(movers, edges, i, level)
        gained = own_worth(movers, edges, prices, i, weight) + time * step * (weight - own)
        beyond = (edges.high[i] if edges.kind[i] == CONSTANT else edges.low[i]) - level
        regret[i] = worth - gained + weights[i] * max(beyond, 0.0)
        regrets += regret[i]
    return bound, total, regrets


@kernel(allocates=False)
def bound_terms(movers: Movers, prices: Vector, weights: Vector) -> float:
    """Return the jobs' terms of the dual bound at weights (J,) and prices (W,)."""
    total = 0.0
    for i in range(movers.use.size):
        total += worth_at(movers, prices, i, movers.linear[i] + weights[i])
    return total


@kernel(allocates=False)
def write_fixed(movers: Movers, edges: Edges, level: float, x: Matrix) -> None:
    """Write the time fractions (J, W) of fixed jobs at ``level``; rows of free jobs stay as they are."""
    for i in range(movers.use.size):
        if edges.kind[i] == FREE:
            continue
        for j in range(x.shape[1]):
            x[i, j] = movers.previous[i, j] if (edges.keep[i] >> j) & 1 else 0.0
        if edges.fill[i] >= 0:
            x[i, edges.fill[i]] += time_left(movers, edges.keep[i], i)
        part, _ = exchanged(movers, edges, i, level)
        if edges.up[i] >= 0:
            x[i, edges.up[i]] += part
        if edges.down[i] >= 0:
            x[i, edges.down[i]] -= part


@kernel(allocates=False)
def fit(movers: Movers, capacity: Vector, edges: Edges, level: float, used: Vector, freely: Vector, x: Matrix) -> None:
    """Give free jobs the level in ``x`` (J, W) and scale it down to time and capacity: by no more than rounding.

    Free jobs give way where that is enough, so that the others keep what they have to the last bit.
    """
    types = capacity.size
    used[:] = 0.0
    freely[:] = 0.0
    for i in range(movers.use.size):
        free = edges.kind[i] == FREE
        if free:
            settle(movers, x, i, level)
        for j in range(types):
            used[j] += movers.use[i] * x[i, j]
            freely[j] += movers.use[i] * x[i, j] if free else 0.0
    for j in range(types):
        over = used[j] - capacity[j]
        if over <= 0.0:
            continue
        alone = over < _SAME * freely[j]
        free_part = 1.0 - over / freely[j] if alone else capacity[j] / used[j]
        fixed_part = 1.0 if alone else capacity[j] / used[j]
        for i in range(movers.use.size):
            x[i, j] *= free_part if edges.kind[i] == FREE else fixed_part


@loop
def settle(movers: Movers, x: Matrix, i: int, level: float) -> None:
    """Bring row i of ``x`` within its bounds, and all of it to where it was if it has hardly moved and that will do.

    Otherwise what rounding leaves of each round would give every job levels of its own at which it turns.
    """
    time, most, before = 0.0, 0.0, 0.0
    for j in range(x.shape[1]):
        x[i, j] = max(x[i, j], 0.0)
        time += x[i, j]
        most = max(most, abs(x[i, j] - movers.previous[i, j]))
        before += movers.gain[i, j] * movers.previous[i, j]
    stays = most < _DUST and before >= level * (1.0 - _SAME)
    for j in range(x.shape[1]):
        x[i, j] = movers.previous[i, j] if stays else x[i, j] / max(time, 1.0)


@kernel(allocates=False)
def value_of(movers: Movers, x: Matrix) -> tuple[float, float, float, float]:
    """Return (least gain, rewards, the movement cost, the cost of leaving everything) at ``x`` (J, W)."""
    least, rewards, paid, kept = np.inf, 0.0, 0.0, 0.0
    for i in range(movers.use.size):
        gain = 0.0
        for j in range(x.shape[1]):
            gain += movers.gain[i, j] * x[i, j]
            paid += movers.cost[i, j] * abs(x[i, j] - movers.previous[i, j])
            kept += movers.cost[i, j] * movers.previous[i, j]
        least = min(least, gain)
        rewards += movers.linear[i] * gain
    return least, rewards, paid, kept


KERNELS: Final = (
    respond,
    measure_reach,
    nearest,
    answer_again,
    fixed_use,
    slack_weights,
    audit,
    bound_terms,
    write_fixed,
    fit,
    value_of,
)
