"""The loops of water filling that go over all jobs: prices that crowd nobody, and what a price vector says."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel
from phasewise.profiling.jit.layouts import Cube, IntMatrix, Matrix, Vector
from phasewise.solvers.hull_kernels import affordable, ascending, segment_of, trace
from phasewise.solvers.hulls import ROUNDING

TURNS = 40
STEP = 0.7  # what a crowding of twice the mean adds to the logarithm of a price, in the first turn
FADE = 0.7
PATIENCE = 3  # turns without a bound that is lower by WORTHWHILE
WORTHWHILE = 1e-3


class FillingJobs(NamedTuple):
    """The classes that are not settled, K rows.

    Attributes
    ----------
    usable, order
        (K, W) gains on the types still open to each, and these types in ascending order of gain.
    scale_factor, members, gpus
        (K,) GPUs of one job, how many equal jobs, and their product.
    waiting
        (K,) 1 for a class whose level is still to rise, 0 for one that is frozen.
    level
        (K,) the level of a frozen one, 0 for the others.
    """

    usable: Matrix
    order: IntMatrix
    scale_factor: Vector
    members: Vector
    gpus: Vector
    waiting: Vector
    level: Vector


class Stock(NamedTuple):
    """What there is of each type.

    Attributes
    ----------
    capacity
        (W,) GPUs.
    settled
        (W,) GPUs that go to settled classes.
    open
        (W,) 1 for a type that no stage has filled for good, else 0.
    """

    capacity: Vector
    settled: Vector
    open: Vector


def jobs_of(usable: Matrix, scale_factor: Vector, members: Vector, waiting: Vector, level: Vector) -> FillingJobs:
    """Return the classes with what follows from ``usable`` (K, W), ``scale_factor`` and ``members`` (K,)."""
    usable = np.ascontiguousarray(usable)
    return FillingJobs(usable, ascending(usable), scale_factor, members, members * scale_factor, waiting, level)


class Hull(NamedTuple):
    """Room for the hulls of all classes, as `phasewise.solvers.hull_kernels.trace` fills them in."""

    kinds: IntMatrix
    corners: Cube


@kernel()
def room_for(jobs: FillingJobs) -> Hull:
    """Return room for the hulls of all classes."""
    classes, types = jobs.usable.shape
    return Hull(np.empty((classes, types + 1), np.int64), np.empty((3, classes, types + 1)))


@kernel()
def level_at(jobs: FillingJobs, stock: Stock, prices: Vector, hull: Hull, guess: float) -> float:
    """Return t(p), the level that the waiting classes can afford; fills in ``hull``."""
    trace(jobs.usable, jobs.order, jobs.scale_factor, prices, hull.kinds, hull.corners)
    levels, costs, slopes = hull.corners[0], hull.corners[1], hull.corners[2]
    worth, budget = 0.0, 0.0
    for kind in range(prices.size):
        worth += prices[kind] * stock.capacity[kind]
        budget += prices[kind] * (stock.capacity[kind] - stock.settled[kind])
    for job in range(jobs.level.size):
        need = jobs.level[job]
        if need > 0.0:
            at = segment_of(levels, slopes, job, need)
            budget -= jobs.members[job] * (costs[job, at] + slopes[job, at] * (need - levels[job, at]))
    limits = (max(budget, 0.0) + ROUNDING * worth, guess)
    return affordable(levels, costs, slopes, jobs.members * jobs.waiting, limits)


@inner
def usage(jobs: FillingJobs, stock: Stock, hull: Hull, level: float) -> Vector:
    """Return (W,) the GPUs in use where every class takes its cheapest mix for ``level``, the frozen for theirs."""
    used = stock.settled.copy()
    levels, slopes, kinds = hull.corners[0], hull.corners[2], hull.kinds
    for job in range(jobs.level.size):
        need = min(level, levels[job, -1]) if jobs.waiting[job] > 0.0 else jobs.level[job]
        if need <= 0.0:
            continue
        at = segment_of(levels, slopes, job, need)
        low, high = levels[job, at], levels[job, at + 1]
        share = (need - low) / (high - low)
        used[kinds[job, at + 1]] += jobs.gpus[job] * share
        if at > 0:
            used[kinds[job, at]] += jobs.gpus[job] * (1.0 - share)
    return used


@kernel()
def descend(jobs: FillingJobs, stock: Stock, worth: Vector, level: float) -> tuple[float, Vector, bool]:
    """Return a level near the one sought, never below, the worth (W,) that proves it, and whether one was found.

    The prices of crowded types are raised a few times; each price vector is a bound by itself. The types that were
    filled in earlier stages are full: a crowding of 1 is theirs, the others' is to be equal.
    """
    size = np.maximum(stock.capacity, 1e-300)
    hull = room_for(jobs)
    best, found, since = worth, False, 0
    for turn in range(TURNS):
        bound = level_at(jobs, stock, worth / size, hull, level)
        since = 0 if bound < level * (1.0 - WORTHWHILE) else since + 1
        if bound < level:
            level, best, found = bound, worth, True
        if since >= PATIENCE:
            break
        used = usage(jobs, stock, hull, level) / size
        fresh = worth * stock.open
        mean = (used * fresh).sum() / max(fresh.sum(), 1e-300)
        if mean < 1e-9:
            break
        crowding = np.where(stock.open > 0.0, used / mean, used)
        worth = worth * np.exp(STEP / (1 + turn) ** FADE * np.minimum(np.maximum(crowding - 1.0, -2.0), 2.0))
        worth = worth / max(worth.sum(), 1e-300)
    return level, best, found


@kernel()
def choices(jobs: FillingJobs, prices: Vector, need: Vector) -> tuple[Matrix, Vector]:
    """Return (K, W) each class's cheapest mix for ``need`` (K,), and (K,) how near another choice comes to it.

    That is by how much time on another type costs more than the mix, relative to it; infinite where there is none.
    """
    classes, types = jobs.usable.shape
    hull = room_for(jobs)
    trace(jobs.usable, jobs.order, jobs.scale_factor, prices, hull.kinds, hull.corners)
    levels, costs, slopes = hull.corners[0], hull.corners[1], hull.corners[2]
    x, margin = np.zeros((classes, types)), np.full(classes, np.inf)
    for job in range(classes):
        at = segment_of(levels, slopes, job, need[job]) if slopes[job, 0] < np.inf else 0
        low, high = levels[job, at], levels[job, at + 1]
        share = (need[job] - low) / (high - low) if high > low else 0.0
        first, second = hull.kinds[job, at], hull.kinds[job, at + 1]
        if second >= 0:
            x[job, second] = share
        if first >= 0:
            x[job, first] = 1.0 - share
        slope = slopes[job, at] if slopes[job, at] < np.inf else 0.0
        for kind in range(types):
            if kind in (first, second) or jobs.usable[job, kind] <= 0.0:
                continue
            line = costs[job, at] + slope * (jobs.usable[job, kind] - low)
            offered = jobs.scale_factor[job] * prices[kind]
            margin[job] = min(margin[job], (offered - line) / max(offered, abs(line), 1e-300))
    return x, margin


@kernel()
def appraise(
    jobs: FillingJobs, stock: Stock, prices: Vector, x: Matrix, need: Vector, level: float
) -> tuple[float, Vector]:
    """Return t(p), and (K,) how much more than it must each class pays for ``need`` (K,) by its mix ``x`` (K, W)."""
    hull = room_for(jobs)
    bound = level_at(jobs, stock, prices, hull, level)
    levels, costs, slopes = hull.corners[0], hull.corners[1], hull.corners[2]
    excess = np.zeros(need.size)
    for job in range(need.size):
        paid = 0.0
        for kind in range(prices.size):
            paid += x[job, kind] * prices[kind]
        least = 0.0
        if need[job] > 0.0:
            at = segment_of(levels, slopes, job, need[job])
            least = costs[job, at] + slopes[job, at] * (need[job] - levels[job, at])
        excess[job] = (paid * jobs.scale_factor[job] - least) * jobs.members[job]
    return bound, excess


KERNELS: Final = (room_for, level_at, descend, choices, appraise)
