"""The interior point where there are many types, of which each job sees few: it costs what jobs see.

The same method and the same formulas as `interior_point`, without a movement cost, over a list of pairs instead of a
matrix: `docs/explanation/structured-solvers.md` derives them. An iteration takes O(sum of squares of the numbers of
types that jobs see) and a Cholesky factorisation of W x W.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, fields
from typing import Final

import numpy as np
import numpy.typing as npt

from phasewise.solvers.problems import Floats
from phasewise.solvers.structured.core import Core

Indices = npt.NDArray[np.intp]
Aims = Sequence[float | Floats]

_SHARE: Final = 0.7  # of capacity and time that the starting point uses
_TIME_PRICE: Final = 0.3  # of what the GPUs of a job cost at the start
_STEP: Final = 0.9995
_FIRST_STEPS: Final = 0.99
_LEAST_STEP: Final = 1e-9
_LEAST_CENTRING: Final = 1e-8
_BALANCE: Final = 1e-11
_SINGULAR: Final = (0.0, 1e-14, 1e-11, 1e-8)  # added to a diagonal of ones while rounding leaves no Cholesky factor
_MANY_TYPES: Final = 30
_SPARSE: Final = 8  # times as many numbers in a full matrix a job as in those that are added up


@dataclass(frozen=True, eq=False)
class Pairs:
    """The pairs of a job and a type that it sees, in the order of jobs; every job sees one.

    Attributes
    ----------
    job, kind
        (E,) the job and the type of each.
    first
        (J,) where a job's pairs begin.
    gain, use
        (E,) gain and GPUs.
    left, right
        (F,) two pairs of one job, in either order: what joins two types in the system for prices.
    """

    core: Core
    job: Indices
    kind: Indices
    first: Indices
    gain: Floats
    use: Floats
    left: Indices
    right: Indices
    cell: Indices = field(init=False)

    def __post_init__(self) -> None:
        """Note where two pairs of one job meet in a matrix by types."""
        object.__setattr__(self, "cell", self.kind[self.left] * self.core.capacity.size + self.kind[self.right])

    def by_job(self, values: Floats) -> Floats:
        """Return (J,) sums of (E,) values."""
        total: Floats = np.add.reduceat(values, self.first)
        return total

    def by_kind(self, values: Floats) -> Floats:
        """Return (W,) sums of (E,) values."""
        total: Floats = np.bincount(self.kind, values, self.core.capacity.size).astype(np.float64, copy=False)
        return total


@dataclass(eq=False)
class Point:
    """Time fractions, slacks and duals, as `interior_point_kernels.Point` has them, or a change of them."""

    y: Floats
    z: Floats
    u: Floats
    lam: Floats
    v: Floats
    mu: Floats
    w: Floats
    price: Floats
    level: float = 0.0

    def products(self) -> tuple[tuple[Floats, Floats], ...]:
        """Return the complementary ones, primal first."""
        return (self.y, self.z), (self.u, self.lam), (self.v, self.mu), (self.w, self.price)


@dataclass(frozen=True, eq=False)
class _Rows:
    """By how much rows are off: gains and time (J,), GPUs (W,), and the column of t."""

    gain: Floats
    time: Floats
    capacity: Floats
    level: float


@dataclass(frozen=True, eq=False)
class _System:
    """What eliminating time and gain rows leaves, see the derivation: by pair, by job, and a factor of W x W."""

    d: Floats
    off: Floats
    foremost: Indices
    pivot: Floats  # A, of time
    excess: Floats  # E = v / mu
    centre: Floats
    gain_pivot: Floats  # B
    join: Floats  # h
    slack: float  # T
    factor: tuple[Floats, bool]
    scale: Floats


def pairs_of(core: Core) -> Pairs:
    """Return the pairs where gains are above 0."""
    job, kind = np.nonzero(core.jobs.gain)
    seen = np.bincount(job, minlength=core.jobs.use.size)
    first = np.concatenate(([0], np.cumsum(seen)[:-1]))
    many = seen[job]  # each pair meets as many, itself among them
    left = np.repeat(np.arange(job.size), many)
    right = np.arange(left.size) - np.repeat(np.cumsum(many) - many, many) + np.repeat(first[job], many)
    apart = left != right
    return Pairs(core, job, kind, first, core.jobs.gain[job, kind], core.jobs.use[job], left[apart], right[apart])


def is_sparse(core: Core) -> bool:
    """Return whether there are many types, of which each job sees a few, moving is free, and every job sees one."""
    jobs, types = core.jobs.gain.shape
    if types <= _MANY_TYPES or core.cost.size or not jobs:
        return False
    seen = np.count_nonzero(core.jobs.gain, axis=1)
    return bool(seen.all()) and _SPARSE * int((seen**2).sum()) <= jobs * types**2


def _start(pairs: Pairs) -> Point:
    """Return a point that satisfies every row and column: equal shares, and job weights as at equal prices."""
    core, use, linear = pairs.core, pairs.core.jobs.use, pairs.core.jobs.linear
    share = _SHARE * np.minimum(1.0, core.capacity / np.maximum(pairs.by_kind(pairs.use), 1e-300))
    y = share[pairs.kind]
    y /= np.maximum(pairs.by_job(y) / _SHARE, 1.0)[pairs.job]
    gains = pairs.by_job(pairs.gain * y)
    level = 0.5 * float(gains.min())
    lam = use / np.maximum.reduceat(pairs.gain, pairs.first)
    price = core.level_reward / float(lam.sum())
    lam *= price
    reduced = pairs.use * price - pairs.gain * (lam + linear)[pairs.job]
    mu = _TIME_PRICE * price * use + np.maximum(-np.minimum.reduceat(reduced, pairs.first), 0.0)
    w = core.capacity - pairs.by_kind(pairs.use * y)
    prices = np.full(core.capacity.size, price)
    return Point(y, reduced + mu[pairs.job], gains - level, lam, 1.0 - pairs.by_job(y), mu, w, prices, level)


def sparse_interior_point(pairs: Pairs, tolerance: float, limit: int) -> tuple[Point, int]:
    """Return (point, iterations) where complementary products sum to ``tolerance`` of the objective, or it stalls.

    Parameters
    ----------
    pairs
        What to maximise.
    tolerance
        Relative.
    limit
        Most iterations.
    """
    core = pairs.core
    point = _start(pairs)
    count = sum(primal.size for primal, _ in point.products())
    for iteration in range(limit):
        total = sum(float(primal @ dual) for primal, dual in point.products())
        gained = float(core.jobs.linear @ pairs.by_job(pairs.gain * point.y))
        worth = abs(core.level_reward * point.level + gained) + 1e-300
        missing = core.level_reward - float(point.lam.sum())
        if total <= tolerance * worth and abs(missing) <= _BALANCE * core.level_reward:
            return point, iteration
        system = _reduced(pairs, point)
        change = _direction(pairs, point, system, [0.0] * 4, missing, balanced=False)
        primal, dual = _longest(point, change)
        after = sum(
            float((x + primal * dx) @ (s + dual * ds))
            for (x, s), (dx, ds) in zip(point.products(), change.products(), strict=True)
        )
        centring = max(min(1.0, max(after, 0.0) / total) ** 3, _LEAST_CENTRING)
        target = max(centring * total / count, 0.1 * tolerance * worth / count)
        targets = [target - dx * ds for dx, ds in change.products()]
        change = _direction(pairs, point, system, targets, missing, balanced=True)
        primal, dual = _longest(point, change)
        if not min(primal, dual) > _LEAST_STEP:
            return point, iteration
        part = _FIRST_STEPS if iteration < 4 else _STEP
        _move(point, change, min(1.0, part * primal), min(1.0, part * dual))
    return point, limit


def _reduced(pairs: Pairs, point: Point) -> _System:
    """Return the system for prices at a point, factorised."""
    d, use = point.y / point.z, pairs.use
    excess = point.v / point.mu
    largest = np.maximum.reduceat(d, pairs.first)
    places = np.flatnonzero(d == largest[pairs.job])
    foremost = places[np.searchsorted(pairs.job[places], np.arange(excess.size))]
    others = d.copy()
    others[foremost] = 0.0
    rest = excess + pairs.by_job(others)  # the time pivot without its foremost column
    pivot = rest + d[foremost]
    beyond = pairs.gain - pairs.gain[foremost][pairs.job]
    shift = (pairs.by_job(d * beyond) - excess * pairs.gain[foremost]) / pivot
    off = beyond - shift[pairs.job]
    centre = pairs.gain[foremost] + shift
    gain_pivot = point.u / point.lam + excess * centre**2 + pairs.by_job(d * off**2)
    without = pivot[pairs.job] - d
    without[foremost] = rest
    joined = use * d * off
    by_time, by_gain = use * d / np.sqrt(pivot)[pairs.job], joined / np.sqrt(gain_pivot)[pairs.job]
    types = point.price.size
    met = by_time[pairs.left] * by_time[pairs.right] + by_gain[pairs.left] * by_gain[pairs.right]
    join, slack = pairs.by_kind(joined / gain_pivot[pairs.job]), float((1.0 / gain_pivot).sum())
    own = pairs.by_kind(use * use * d * without / pivot[pairs.job] - by_gain**2) + point.w / point.price
    matrix = np.outer(join, join) / slack - np.bincount(pairs.cell, met, types * types).reshape(types, types)
    matrix[np.diag_indices(types)] += own
    factor, scale = _factorised(matrix)
    return _System(d, off, foremost, pivot, excess, centre, gain_pivot, join, slack, factor, scale)


def _factorised(matrix: Floats) -> tuple[tuple[Floats, bool], Floats]:
    """Return the Cholesky factor of a matrix with its diagonal scaled to ones, and the (W,) scale."""
    from scipy.linalg import cho_factor

    scale = 1.0 / np.sqrt(np.maximum(matrix.diagonal(), 1e-300))
    matrix *= scale[:, None] * scale
    for more in _SINGULAR:
        matrix[np.diag_indices(scale.size)] = 1.0 + more
        try:
            return cho_factor(matrix, lower=True, check_finite=False), scale
        except np.linalg.LinAlgError:
            continue
    return (np.eye(scale.size), True), scale


def _direction(pairs: Pairs, point: Point, system: _System, targets: Aims, missing: float, *, balanced: bool) -> Point:
    """Return the Newton step that takes the products towards targets: by pair, of gain, time and capacity.

    What rounding leaves of the rows is a multiple of D, which grows without limit. ``balanced``: it is solved for once
    more, after which rows are as exact as sums are.
    """
    core = pairs.core
    aims = [target / dual - primal for target, (primal, dual) in zip(targets, point.products(), strict=True)]
    gains, times = pairs.by_job(pairs.gain * point.y), pairs.by_job(point.y)
    used = pairs.by_kind(pairs.use * point.y)
    off = _Rows(point.level + point.u - gains, 1.0 - point.v - times, core.capacity - point.w - used, missing)
    change = _solved(pairs, point, system, aims, off)
    if not balanced:
        return change
    gains, times = pairs.by_job(pairs.gain * change.y), pairs.by_job(change.y)
    left = _Rows(
        off.gain - gains + change.level + change.u,
        off.time - times - change.v,
        off.capacity - pairs.by_kind(pairs.use * change.y) - change.w,
        off.level - float(change.lam.sum()),
    )
    _move(change, _solved(pairs, point, system, [np.zeros_like(each) for each in aims], left), 1.0, 1.0)
    return change


def _solved(pairs: Pairs, point: Point, system: _System, aims: Sequence[Floats], off: _Rows) -> Point:
    """Return the change whose columns are ``aims`` at unchanged row duals, and that makes up for what rows are off."""
    from scipy.linalg import cho_solve

    of, d, use = pairs.job, system.d, pairs.core.jobs.use
    aim, aim_u, aim_v, aim_w = aims
    gain_row = off.gain - pairs.by_job(pairs.gain * aim) + aim_u
    time_row = pairs.by_job(aim) + aim_v - off.time
    gain_aim = (gain_row + system.centre * time_row) / system.gain_pivot
    time_aim = time_row / system.pivot
    moved = aim - d * (time_aim[of] - system.off * gain_aim[of])
    row = pairs.by_kind(pairs.use * moved) + aim_w - off.capacity
    left_over = off.level - float(gain_aim.sum())
    row += system.join * (left_over / system.slack)
    price = system.scale * cho_solve(system.factor, system.scale * row, check_finite=False)
    level = (left_over - float(system.join @ price)) / system.slack
    foremost = price[pairs.kind[system.foremost]]
    apart = price[pairs.kind] - foremost[of]
    mean = (pairs.by_job(d * apart) - system.excess * foremost) / system.pivot  # less the foremost's, over all time
    turned = pairs.by_job(d * system.off * apart) + system.centre * system.excess * foremost
    lam = gain_aim + (level + use * turned) / system.gain_pivot
    z = time_aim[of] + pairs.use * (apart - mean[of]) - system.off * lam[of]
    mu = time_aim - use * (mean + foremost) + system.centre * lam
    y, u = aim - d * z, aim_u - point.u / point.lam * lam
    v, w = aim_v - system.excess * mu, aim_w - point.w / point.price * price
    return Point(y, z, u, lam, v, mu, w, price, level)


def _longest(point: Point, change: Point) -> tuple[float, float]:
    """Return how far the primal and the dual change may be followed, 1 at most or where nothing stands in the way."""
    steps = [1.0, 1.0]
    for values, moves in zip(point.products(), change.products(), strict=True):
        for side in range(2):
            falling = moves[side] < 0.0
            if falling.any():
                steps[side] = min(steps[side], float((values[side][falling] / -moves[side][falling]).min()))
    return steps[0], steps[1]


def _move(point: Point, change: Point, primal: float, dual: float) -> None:
    """Follow a change."""
    for each in fields(Point):
        step = dual if each.name in ("z", "lam", "mu", "price") else primal
        setattr(point, each.name, getattr(point, each.name) + step * getattr(change, each.name))


def spread(pairs: Pairs, y: Floats) -> Floats:
    """Return (J, W) time fractions from those of pairs."""
    x = np.zeros(pairs.core.jobs.gain.shape)
    x[pairs.job, pairs.kind] = y
    return x
