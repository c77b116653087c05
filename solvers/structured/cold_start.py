"""Prices for many jobs of which nothing is known: those of a few, then of eight times as many, up to all of them.

Prices belong to types, and a sample of the jobs, with a share of the GPUs, has nearly those of all. Each sample is
sifted from the prices of the one before; `docs/explanation/structured-solvers.md` says what that costs.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.solvers.problems import Floats
from phasewise.solvers.short_rows import row_max
from phasewise.solvers.structured.core import Core, Indices, handed_on, program_of, sifted
from phasewise.solvers.structured.interior_point import interior_point
from phasewise.solvers.structured.sifting import Prices
from phasewise.solvers.structured.sparse_interior_point import is_sparse, pairs_of, sparse_interior_point

MANY_JOBS: Final = 4096
"""From here on samples are worth their while; below, the interior point over all jobs is as quick."""

ROUGH: Final = 1e-5
"""Gap at which a cold start goes on by sifting."""

_PART: Final = 8  # as many times as many jobs in each sample as in the one before
_FEW_JOBS: Final = 512  # in the first sample, at most
_SAMPLE_GAP: Final = 1e-4  # of a sample: its prices are further off than that from those of all jobs
_SEED: Final = 1


class SiftStart(NamedTuple):
    """Prices to sift from, and the iterations that they took."""

    prices: Prices
    iterations: int


def rough_start(core: Core, unit: float, limit: int) -> SiftStart | None:
    """Return the prices of a rough interior point over all jobs, None where it does not come near the optimum."""
    if is_sparse(core):
        sparse, iterations = sparse_interior_point(pairs_of(core), ROUGH, limit)
        return SiftStart(Prices(sparse.price, sparse.level), iterations)
    point, level, iterations, _, gap = interior_point(program_of(core), unit, ROUGH, limit, 0.0)
    return SiftStart(Prices(point.price, level), iterations) if gap < 1e-2 and level > 0.0 else None


def sampled_start(core: Core, limit: int) -> SiftStart | None:
    """Return prices of all jobs, by ever larger samples; None where one of them cannot be solved.

    Parameters
    ----------
    core
        Each of its jobs gains something somewhere.
    limit
        Most iterations of an interior-point run.
    """
    count = core.jobs.use.size
    if count <= _FEW_JOBS:
        return rough_start(core, core.equal_share_gain or float(core.jobs.gain.max()), limit)
    ceilings = row_max(core.jobs.gain)
    smaller = core.part(_sample(ceilings))
    start = sampled_start(smaller, limit)
    if start is None:
        return None
    prices = Prices(start.prices.capacity, min(start.prices.level, float(ceilings.min())))
    found = sifted(core, prices, _SAMPLE_GAP)
    if found is None:
        return None
    return SiftStart(Prices(handed_on(core, prices, found), found.prices.level), start.iterations + found.iterations)


def _sample(ceilings: Floats) -> Indices:
    """Return an eighth of the rows in order: a random one of each eight, and the one with the least ceiling (J,).

    A job that gains little even on its best type may hold t wherever it is; without it prices would be of another kind.
    """
    blocks = ceilings.size // _PART
    random = np.random.default_rng([_SEED, ceilings.size])
    rows = np.arange(blocks) * _PART + random.integers(0, _PART, size=blocks)
    return np.union1d(rows, ceilings.argmin())
