"""What one job does in price sifting with a movement cost: its walk along exchanges of time, and what that is worth.

`docs/explanation/structured-solvers.md` derives the formulas. Rows of jobs, (J, W), are passed whole with an index.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.profiling.jit.kernel import loop
from phasewise.profiling.jit.layouts import ByteVector, IntVector, Matrix, Vector
from phasewise.solvers.structured.states import CONSTANT, DROP, REPLACE, RETURN, SHORT, START, SWAP

MOST_TYPES: Final = 62
"""A set of types is one whole number, bit by bit."""

_SOME: Final = 1e-3  # of a job's time: what is worth exchanging


class Movers(NamedTuple):
    """The jobs of a program with a movement cost.

    ``gain`` (J, W), 0 where not open; ``use`` and ``linear`` (J,), GPUs and reward for a unit of gain; ``previous``
    (J, W), what may be kept; ``cost`` (J, W), what a unit of change costs.
    """

    gain: Matrix
    use: Vector
    linear: Vector
    previous: Matrix
    cost: Matrix


class Edges(NamedTuple):
    """Each job's response (J,): where its walk starts, as time kept and filled, and along which exchange it leads.

    ``kind`` is one of the above. ``keep`` is the set of types whose kept time it has in full, bit by bit; ``fill`` the
    type that the rest of its time is added on, or -1. ``up`` grows as t does and ``down`` gives way, -1 for none.
    ``low`` and ``high`` are the levels between which the exchange leads. ``reach`` is how far prices would have to move
    before the job moved time at an unchanged level, from the type ``source`` to ``target``, -1 for any.
    """

    kind: ByteVector
    fill: ByteVector
    up: ByteVector
    down: ByteVector
    keep: IntVector
    low: Vector
    high: Vector
    source: ByteVector
    target: ByteVector
    reach: Vector


@loop
def added_price(movers: Movers, prices: Vector, i: int, j: int) -> float:
    """Return what a unit of added time costs."""
    return float(movers.use[i] * prices[j] + movers.cost[i, j])


@loop
def kept_price(movers: Movers, prices: Vector, i: int, j: int) -> float:
    """Return what a unit of kept time costs, less what it saves."""
    return float(movers.use[i] * prices[j] - movers.cost[i, j])


@loop
def best_added(movers: Movers, prices: Vector, i: int, weight: float) -> tuple[int, float]:
    """Return the type on which added time is worth most at a weight, and that worth; -1 and 0 where none is."""
    best, worth = -1, 0.0
    for j in range(prices.size):
        if movers.gain[i, j] > 0.0:
            value = weight * movers.gain[i, j] - added_price(movers, prices, i, j)
            if value > worth:
                best, worth = j, value
    return best, worth


@loop
def next_event(movers: Movers, prices: Vector, i: int, keep: int, fill: int) -> tuple[int, int, int, float]:
    """Return (kind, up, down, weight) of what changes first as job i's weight grows; SHORT where nothing does.

    It is a type whose kept or added time becomes worth as much as time that is left over or, where time is filled, as
    time added on ``fill``; or a slower type whose kept time does not any more.
    """
    kind, up, down, least, scale = SHORT, -1, -1, 1.0, 0.0
    filled, price = 0.0, 0.0
    if fill >= 0:
        filled, price = movers.gain[i, fill], added_price(movers, prices, i, fill)
    for j in range(prices.size):
        more = movers.gain[i, j] - filled
        in_keep = (keep >> j) & 1
        if more == 0.0 or (more < 0.0 and not in_keep):
            continue
        returns = movers.previous[i, j] > 0.0 and not in_keep
        dearer = kept_price(movers, prices, i, j) if returns or more < 0.0 else added_price(movers, prices, i, j)
        dearer = dearer - price if more > 0.0 else price - dearer
        if dearer * scale < least * abs(more):  # weights are quotients, compared crosswise
            kind, least, scale = event_kind(fill, returns, more), dearer, abs(more)
            up, down = (j, fill) if more > 0.0 else (fill, j)
    return kind, up, down, least / scale


@loop
def event_kind(fill: int, returns: bool, more: float) -> int:
    """Return the kind of an exchange that begins, by where time comes from and what it does to the gain."""
    if fill < 0:
        return RETURN if returns else START
    if more < 0.0:
        return DROP
    return REPLACE if returns else SWAP


@loop
def unweighted(movers: Movers, prices: Vector, i: int) -> tuple[int, int, float, float]:
    """Return (keep, fill, time that is not kept, gain) of what job i does without regard to t."""
    weight = movers.linear[i]
    fill, worth = best_added(movers, prices, i, weight)
    keep, left, gain = 0, 1.0, 0.0
    for j in range(prices.size):
        kept = weight * movers.gain[i, j] - kept_price(movers, prices, i, j)
        if movers.previous[i, j] > 0.0 and kept >= worth:
            keep |= 1 << j
            left -= movers.previous[i, j]
            gain += movers.gain[i, j] * movers.previous[i, j]
    left = max(left, 0.0)
    if fill >= 0:
        gain += movers.gain[i, fill] * left
    return keep, fill, left, gain


@loop
def walk(movers: Movers, prices: Vector, level: float, i: int) -> tuple[int, int, int, int, int, float, float, float]:
    """Return (kind, up, down, keep, fill, low, high, weight) of job i's best response to prices and a level."""
    weight = movers.linear[i]
    keep, fill, left, low = unweighted(movers, prices, i)
    if low >= level:
        return CONSTANT, -1, -1, keep, fill, -np.inf, low, weight
    while True:
        kind, up, down, at = next_event(movers, prices, i, keep, fill)
        weight = max(weight, at)
        if kind == SHORT:
            return SHORT, -1, -1, keep, fill, low, low, weight
        step, length = movers.gain[i, up], left
        if down >= 0:
            step -= movers.gain[i, down]
        if kind in (RETURN, REPLACE):
            length = movers.previous[i, up]
        elif kind == DROP:
            length = movers.previous[i, down]
        high = low + length * step
        if high >= level:
            return kind, up, down, keep, fill, low, high, weight
        low = high
        if kind in (RETURN, REPLACE):
            keep |= 1 << up
            left = max(left - length, 0.0)
        elif kind == DROP:
            keep &= ~(1 << down)
            left += length
        else:
            fill = up


@loop
def closeness(movers: Movers, prices: Vector, i: int, fill: int, keep: int, up: int, down: int, weight: float) -> float:
    """Return by how much a column's price would have to change for job i to use it otherwise."""
    _, worth = best_added(movers, prices, i, weight)
    least = np.inf
    for j in range(prices.size):
        gain = movers.gain[i, j]
        value = weight * gain - movers.use[i] * prices[j]
        if gain > 0.0 and j != fill and j != up and j != down:
            least = min(least, worth - value + movers.cost[i, j])
        if movers.previous[i, j] > 0.0 and j != down and (j != up or (keep >> j) & 1):
            least = min(least, abs(value + movers.cost[i, j] - worth))
    if up < 0 and fill >= 0:
        least = min(least, worth)
    return least


@loop
def cheapest_exchange(movers: Movers, prices: Vector, i: int, keep: int, weight: float) -> tuple[int, int, float]:
    """Return (source, target, price a GPU) of the exchange of kept for added time, at one gain, that costs least."""
    source, target, least = -1, -1, np.inf
    _, worth = best_added(movers, prices, i, weight)
    for k in range(prices.size):
        if movers.previous[i, k] < _SOME or not (keep >> k) & 1 or movers.gain[i, k] <= 0.0:
            continue
        leaving = (weight * movers.gain[i, k] - kept_price(movers, prices, i, k) - worth) / movers.gain[i, k]
        for j in range(prices.size):
            gain = movers.gain[i, j]
            if j != k and gain > 0.0:
                entering = (worth + added_price(movers, prices, i, j) - weight * gain) / gain
                price = (leaving + entering) * min(gain, movers.gain[i, k])
                if price < least:
                    source, target, least = k, j, price
    return source, target, least / movers.use[i]


@loop
def time_left(movers: Movers, keep: int, i: int) -> float:
    """Return the time of job i that is not kept."""
    left = 1.0
    for j in range(movers.gain.shape[1]):
        if (keep >> j) & 1:
            left -= movers.previous[i, j]
    return max(left, 0.0)


@loop
def exchanged(movers: Movers, edges: Edges, i: int, level: float) -> tuple[float, float]:
    """Return (how much time job i has exchanged at ``level``, what gain a unit of it brings)."""
    up, down = edges.up[i], edges.down[i]
    if up < 0:
        return 0.0, 0.0
    step = movers.gain[i, up] - (movers.gain[i, down] if down >= 0 else 0.0)
    return (min(max(level, edges.low[i]), edges.high[i]) - edges.low[i]) / step, step


@loop
def add_use(movers: Movers, edges: Edges, i: int, level: float, used: Vector) -> None:
    """Add what job i uses at ``level`` to ``used`` (W,)."""
    use = movers.use[i]
    for j in range(used.size):
        if (edges.keep[i] >> j) & 1:
            used[j] += use * movers.previous[i, j]
    if edges.fill[i] >= 0:
        used[edges.fill[i]] += use * time_left(movers, edges.keep[i], i)
    part, _ = exchanged(movers, edges, i, level)
    if edges.up[i] >= 0:
        used[edges.up[i]] += use * part
    if edges.down[i] >= 0:
        used[edges.down[i]] -= use * part


@loop
def change_cost(movers: Movers, i: int, kind: int, up: int, down: int) -> float:
    """Return what a unit of an exchange adds to the movement cost."""
    cost = movers.cost[i, up]
    if kind in (RETURN, REPLACE):
        cost = -cost
    if kind in (SWAP, REPLACE):
        cost -= movers.cost[i, down]
    elif kind == DROP:
        cost += movers.cost[i, down]
    return float(cost)


@loop
def edge_weight(movers: Movers, edges: Edges, prices: Vector, i: int) -> float:
    """Return the weight, the linear one included, at which job i's exchange neither gains nor loses."""
    up, down, kind = edges.up[i], edges.down[i], edges.kind[i]
    if up < 0:
        return float(movers.linear[i])
    price = movers.use[i] * (prices[up] - (prices[down] if down >= 0 else 0.0))
    step = movers.gain[i, up] - (movers.gain[i, down] if down >= 0 else 0.0)
    return float((price + change_cost(movers, i, kind, up, down)) / step)


@loop
def worth_at(movers: Movers, prices: Vector, i: int, weight: float) -> float:
    """Return the most that job i can make of its time at a weight, keeping included: its term of the dual bound."""
    _, best = best_added(movers, prices, i, weight)
    worth = best
    for j in range(prices.size):
        if movers.previous[i, j] > 0.0:
            kept = weight * movers.gain[i, j] - kept_price(movers, prices, i, j) - best
            worth += movers.previous[i, j] * max(kept, 0.0)
    return worth


@loop
def own_worth(movers: Movers, edges: Edges, prices: Vector, i: int, weight: float) -> float:
    """Return what job i's response is worth at a weight where its exchange has not begun."""
    worth, left = 0.0, 1.0
    for j in range(prices.size):
        if (edges.keep[i] >> j) & 1:
            left -= movers.previous[i, j]
            kept = weight * movers.gain[i, j] - kept_price(movers, prices, i, j)
            worth += movers.previous[i, j] * kept
    fill = edges.fill[i]
    if fill >= 0:
        worth += max(left, 0.0) * (weight * movers.gain[i, fill] - added_price(movers, prices, i, fill))
    return worth
