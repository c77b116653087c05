"""Random problem instances with chosen difficulties, for tests and benchmarks of every backend.

An instance is a function of its seed, its size and its traits alone, so that a failure is reproduced from the three.
"""

from __future__ import annotations

from collections.abc import Collection
from enum import StrEnum

import numpy as np

from phasewise.solvers.problems import Floats, MaxMinProblem


class Trait(StrEnum):
    """What makes an instance hard, or just special; any of them may be combined."""

    ZEROS = "zeros"  # a third of the pairs cannot run
    STUCK = "stuck"  # one job cannot run anywhere: the least gain is 0
    TIES = "ties"  # each job gains the same on every type
    DUPLICATES = "duplicates"  # half of the jobs are equal
    FRACTIONAL = "fractional"  # jobs of a tenth to three quarters of a GPU
    GANGS = "gangs"  # jobs of up to 8 GPUs
    AMPLE = "ample"  # capacity for all: the optimum is one job's ceiling
    SCARCE = "scarce"  # a tenth of the capacity asked for
    NO_CAPACITY = "no_capacity"  # one type has no GPUs
    HUGE = "huge"  # gains of about 1e9
    TINY = "tiny"  # gains of about 1e-9
    UNITS = "units"  # every job in its own unit: gains over six decades
    MASKED = "masked"  # allowed is stated, and differs from gain > 0
    CANONICAL = "canonical"  # the mean gain counts with weight 1e-3


def random_problem(seed: int, jobs: int, types: int, traits: Collection[Trait] = ()) -> MaxMinProblem:
    """Return the MaxMin instance of this seed, size (J, W) and traits.

    Gains are log-normal around 1 per job and type; capacity, where no trait says otherwise, is half of the GPUs that
    all jobs ask for, split unevenly over the types.
    """
    rng = np.random.default_rng([seed, jobs, types])
    scale_factor = _scale_factors(rng, jobs, traits)
    gain = _gains(rng, jobs, types, traits)
    if Trait.DUPLICATES in traits:
        gain[: (jobs + 1) // 2] = gain[0] if jobs else 0.0
        scale_factor[: (jobs + 1) // 2] = scale_factor[0] if jobs else 0.0
    share = 2.0 if Trait.AMPLE in traits else 0.1 if Trait.SCARCE in traits else 0.5
    capacity = rng.dirichlet(np.full(types, 2.0)) * share * max(1.0, float(scale_factor.sum()))
    if Trait.AMPLE in traits:
        capacity[:] = 2.0 * max(1.0, float(scale_factor.sum()))
    if Trait.NO_CAPACITY in traits:
        capacity[0] = 0.0
    allowed = None
    if Trait.MASKED in traits:
        allowed = rng.random((jobs, types)) < 0.7
    return MaxMinProblem(gain, scale_factor, capacity, allowed, 1e-3 if Trait.CANONICAL in traits else 0.0)


def _scale_factors(rng: np.random.Generator, jobs: int, traits: Collection[Trait]) -> Floats:
    """Return (J,) GPUs a job."""
    scale_factor = np.ones(jobs)
    if Trait.GANGS in traits:
        scale_factor = rng.choice([1.0, 2.0, 4.0, 8.0], p=[0.4, 0.2, 0.2, 0.2], size=jobs)
    if Trait.FRACTIONAL in traits:
        fraction = rng.choice([0.1, 0.25, 0.5, 0.75], size=jobs)
        scale_factor = np.where(rng.random(jobs) < 0.6, fraction, scale_factor)
    return scale_factor


def _gains(rng: np.random.Generator, jobs: int, types: int, traits: Collection[Trait]) -> Floats:
    """Return (J, W) gains."""
    gain = np.exp(0.6 * rng.standard_normal((jobs, types)))
    if Trait.TIES in traits:
        gain = np.repeat(gain[:, :1], types, axis=1)
    if Trait.ZEROS in traits:
        gain[rng.random((jobs, types)) < 0.33] = 0.0
    if Trait.STUCK in traits and jobs:
        gain[-1] = 0.0
    if Trait.UNITS in traits:
        gain *= 10.0 ** rng.uniform(-3.0, 3.0, size=(jobs, 1))
    if Trait.HUGE in traits:
        gain *= 1e9
    if Trait.TINY in traits:
        gain *= 1e-9
    return gain
