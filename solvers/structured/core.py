"""What the methods of max-min solve: the jobs and types of a problem that are left, as one record, and parts of it."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.solvers.problems import Bools, Floats
from phasewise.solvers.short_rows import row_max, row_sum
from phasewise.solvers.structured.interior_point_kernels import Program
from phasewise.solvers.structured.sifting import Optimum, Prices, sift
from phasewise.solvers.structured.sifting_kernels import JobGains
from phasewise.solvers.structured.switching import sift_switching
from phasewise.solvers.structured.switching_walk import Movers

Indices = npt.NDArray[np.intp]

NONE: Final = np.zeros((0, 0))
EVERYWHERE: Final = np.zeros((0, 0), dtype=np.bool_)
_NOWHERE: Final = np.zeros(0, dtype=np.intp)
_WORTHLESS: Final = 1e-6  # of the objective: what all GPUs together are worth where they are not scarce


class Core(NamedTuple):
    """Jobs, or classes of equal ones, and GPUs; the objective is ``level_reward * t`` and what the jobs' gains earn.

    Attributes
    ----------
    jobs
        Gains, GPUs and rewards of J rows over W types.
    capacity
        (W,) GPUs.
    previous, cost
        (J, W) movement cost, or both of shape (0, 0).
    open
        (J, W) where x may be above 0; of shape (0, 0) where that is where gains are.
    level_reward
        Reward for a unit of t.
    """

    jobs: JobGains
    capacity: Floats
    previous: Floats
    cost: Floats
    open: Bools
    level_reward: float

    def part(self, rows: Indices) -> Core:
        """Return the problem of some rows, with GPUs and a reward for t in proportion to what they ask for."""
        gain, use, linear = self.jobs
        share = float(use[rows].sum() / use.sum())
        jobs = JobGains(gain[rows], use[rows], linear[rows])
        previous, cost = (each[rows] if each.size else each for each in (self.previous, self.cost))
        allowed = self.open[rows] if self.open.size else self.open
        return Core(jobs, self.capacity * share, previous, cost, allowed, self.level_reward * share)

    @property
    def equal_share_gain(self) -> float:
        """The least gain under equal shares of each type."""
        share = np.minimum(1.0, self.capacity / self.jobs.use.sum())
        return float((self.jobs.gain @ (share / max(1.0, share.sum()))).min())


def feasible(core: Core, x: Floats) -> Floats:
    """Return ``x`` (J, W) without what is negative, and scaled down to time and capacity."""
    near = np.maximum(x, 0.0)
    near /= np.maximum(row_sum(near), 1.0)[:, None]
    used = core.jobs.use @ near
    near *= np.divide(core.capacity, used, out=np.ones_like(used), where=used > core.capacity)
    return near


def proven_gap(core: Core, x: Floats, weights: Floats, prices: Floats) -> float:
    """Return by which part the objective at ``x`` (J, W) may fall short of the optimum, where moving is free.

    The bound by weak duality, from the jobs' ``weights`` (J,) and ``prices`` (W,). Infinite where it is not finite.
    """
    gain, use, linear = core.jobs
    gains = row_sum(gain * x)
    value = core.level_reward * float(gains.min()) + float(linear @ gains)
    worth = np.maximum(row_max(gain * (weights + linear)[:, None] - use[:, None] * prices), 0.0)
    scale = max(1.0, core.level_reward / float(weights.sum()))
    bound = scale * (float(worth.sum()) + float(prices @ core.capacity))
    return abs(bound - value) / bound if np.isfinite(bound) and bound > 0.0 else np.inf


def program_of(core: Core) -> Program:
    """Return the whole problem as a linear program, laid out by type."""
    jobs, previous = core.jobs, core.previous
    kept_type = kept_job = _NOWHERE
    if previous.size:
        kept_type, kept_job = (np.ascontiguousarray(place) for place in np.nonzero(previous.T))
    return Program(
        np.ascontiguousarray(jobs.gain.T),
        np.ascontiguousarray((core.open if core.open.size else jobs.gain > 0.0).T, dtype=np.float64),
        jobs.use,
        jobs.linear,
        core.capacity,
        np.zeros(core.capacity.size),
        core.level_reward,
        np.ascontiguousarray(core.cost.T),
        kept_type,
        kept_job,
        previous[kept_job, kept_type] if previous.size else np.zeros(0),
    )


def sifted(core: Core, start: Prices, tolerance: float) -> Optimum | None:
    """Return what sifting finds, with or without a movement cost; None where prices have moved too far."""
    jobs = core.jobs
    if not core.cost.size:
        return sift(jobs, core.capacity, core.level_reward, start, tolerance)
    if start.level <= 0.0:
        return None
    movers = Movers(jobs.gain, jobs.use, jobs.linear, core.previous, core.cost)
    return sift_switching(movers, core.capacity, core.level_reward, start, tolerance)


def handed_on(core: Core, start: Prices, found: Optimum) -> Floats:
    """Return the (W,) prices that a sifting run from ``start`` leaves to the next.

    Where GPUs are worth nothing, as a single job's ceiling holds t, prices are what an interior point leaves of
    nothing, and so are their proportions, by which jobs choose types: after some such rounds too many jobs crowded on
    one type. Those of the start are kept then, for next to nothing all the same.
    """
    prices, worth = found.prices.capacity, float(found.prices.capacity @ core.capacity)
    at_start = float(start.capacity @ core.capacity)
    if worth <= _WORTHLESS * abs(found.value) and at_start > 0.0:
        return start.capacity * (worth / at_start)
    return prices
