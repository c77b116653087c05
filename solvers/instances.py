"""Random problem instances with chosen difficulties, for tests and benchmarks of every backend.

An instance is a function of its seed, its size and its traits alone, so that a failure is reproduced from the three.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import replace
from enum import StrEnum
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.problems import Floats


class Trait(StrEnum):
    """What makes an instance hard, or just special; any of them may be combined."""

    ZEROS = "zeros"  # a third of the pairs cannot run
    STUCK = "stuck"  # one job cannot run anywhere: the least effective throughput is 0
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
    CANONICAL = "canonical"  # the mean effective throughput counts with weight 1e-3
    SWITCHING = "switching"  # leaving a previous allocation costs, by job
    SWITCHING_BY_PAIR = "switching_by_pair"  # the same by job and type, some pairs free and some dear


SWITCHING: Final = frozenset({Trait.SWITCHING, Trait.SWITCHING_BY_PAIR})
"""The traits that make an instance one of the family ``max_min_switching``."""


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
    problem = MaxMinProblem(gain, scale_factor, capacity, allowed, 1e-3 if Trait.CANONICAL in traits else 0.0)
    return _with_switching(rng, problem, traits) if SWITCHING & set(traits) else problem


def _with_switching(rng: np.random.Generator, problem: MaxMinProblem, traits: Collection[Trait]) -> MaxMinProblem:
    """Return the instance with a previous allocation of most jobs, and costs of about a tenth of the optimum.

    The previous allocation is one of the cluster as it is, but ignores what is allowed: a few jobs have to move.
    """
    jobs, types = problem.gain.shape
    if not jobs:
        return replace(problem, previous=np.zeros((0, types)), move_cost=np.zeros((0, types)))
    open_problem = MaxMinProblem(np.ones((jobs, types)), problem.scale_factor, problem.capacity)
    wish = rng.dirichlet(np.full(types, 0.3), size=jobs) * rng.random((jobs, 1))
    wish[rng.random(jobs) < 0.2] = 0.0
    wish[wish < 0.05] = 0.0
    unit = (problem.equal_share_gain or float(problem.gain.max()) or 1.0) / jobs
    shape = (jobs, types) if Trait.SWITCHING_BY_PAIR in traits else (jobs, 1)
    cost = rng.uniform(0.02, 0.3, size=shape) * unit
    if Trait.SWITCHING_BY_PAIR in traits:
        cost *= rng.choice([0.0, 1.0, 30.0], p=[0.2, 0.7, 0.1], size=shape)
    return replace(problem, previous=open_problem.project(wish), move_cost=cost)


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


def sparse_problem(seed: int, jobs: int, types: int, seen: int, share: float = 0.45) -> MaxMinProblem:
    """Return a MaxMin instance of many types, of which each job runs on 1 to ``2 * seen - 1``, drawn at random.

    Types differ in speed and in GPUs, of which there are ``share`` of what all jobs ask for.
    """
    rng = np.random.default_rng([seed, jobs, types, seen])
    speed = np.exp(0.5 * rng.standard_normal(types))
    order = rng.random((jobs, types)).argsort(axis=1)
    count = rng.integers(1, min(2 * seen, types + 1), size=jobs)
    sees = np.zeros((jobs, types), dtype=np.bool_)
    np.put_along_axis(sees, order, np.arange(types) < count[:, None], axis=1)
    rate = np.where(sees, speed * np.exp(0.3 * rng.standard_normal((jobs, types))), 0.0)
    scale_factor = rng.choice([1.0, 2.0, 4.0, 8.0], p=[0.7, 0.1, 0.15, 0.05], size=jobs)
    gain = rate * (scale_factor * count / rate.sum(axis=1))[:, None]
    return MaxMinProblem(gain, scale_factor, rng.dirichlet(np.full(types, 2.0)) * share * scale_factor.sum())


class ChurnedRound(NamedTuple):
    """The plain problem of one round of a busy cluster, and where its jobs were a round before.

    Attributes
    ----------
    problem
        Without a movement cost; see `with_switching`. Its keys are the jobs' ids.
    came_from
        (J,) each job's row in the round before, -1 for one that has just arrived.
    migration
        (J,) what moving a job costs, as a share of the round.
    """

    problem: MaxMinProblem
    came_from: npt.NDArray[np.intp]
    migration: Floats


class Load(StrEnum):
    """What limits the rounds of `churned_rounds`."""

    CONTENDED = "cont"  # capacity: 0.45 GPUs a job, whole GPUs
    NATURAL = "nat"  # at 1,700 jobs the slowest job's own speed: capacities of a large trace's cluster


_FAMILIES: Final = 26  # job families, between which speeds differ; within one by 15 %
_CLUSTERS: Final = {  # GPUs and mean relative speed of each type
    3: (np.array([36.0, 36.0, 36.0]), np.array([0.25, 0.6, 1.0])),
    6: (np.array([4392.0, 842.0, 265.0, 195.0, 312.0, 206.0]), np.array([1.6, 0.7, 0.8, 1.2, 2.5, 1.3])),
    10: (np.array([8.0, 24.0, 32.0, 8.0, 64.0, 64.0, 56.0, 8.0, 40.0, 48.0]), np.linspace(0.4, 2.2, 10)),
}


def churned_rounds(
    seed: int, jobs: int, rounds: int, *, load: Load = Load.CONTENDED, types: int = 6, churn: int = 10
) -> Iterator[ChurnedRound]:
    """Yield consecutive rounds of a cluster with ``jobs`` jobs, of which ``churn`` leave and as many arrive in each.

    Jobs stand in order of arrival, gains are normalised as max-min fairness does. ``types`` is 3, 6 or 10 (those, and
    the GPUs, of the example cluster that comes with DeDe). Synthetic: the shape of a scheduler's rounds at that size,
    not measured throughputs.
    """
    rng = np.random.default_rng([seed, jobs, types])
    gpus, speed = _CLUSTERS[types]
    capacity = gpus.copy()
    if load is Load.CONTENDED:
        capacity *= 0.45 * jobs / gpus.sum()
    elif types == 3:
        capacity *= max(1.0, jobs / 200.0)
    families = np.random.default_rng(7)  # the same ones whatever the seed
    rates = speed * np.exp(0.45 * families.standard_normal((_FAMILIES, types)))
    rates *= np.exp(families.standard_normal((_FAMILIES, 1)))
    impossible = families.random((_FAMILIES, types)) < 0.04
    impossible[:, 0] = False
    rates[impossible] = 0.0

    def arrivals(count: int) -> tuple[Floats, Floats, Floats]:
        rate = rates[rng.integers(_FAMILIES, size=count)] * np.exp(0.15 * rng.standard_normal((count, types)))
        scale_factor = rng.choice([1.0, 2.0, 4.0, 8.0], p=[0.7, 0.1, 0.15, 0.05], size=count)
        if load is Load.NATURAL and types == 6:
            shared = (rng.random(count) < 0.3) & (scale_factor == 1.0)
            scale_factor[shared] = rng.choice([0.1, 0.25, 0.5, 0.75], size=int(shared.sum()))
        gain = rate * (scale_factor / (rate @ (capacity / capacity.sum())))[:, None]
        return gain, scale_factor, rng.uniform(0.02, 0.3, size=count)

    present = arrivals(jobs)
    came_from, keys = np.full(jobs, -1, dtype=np.intp), np.arange(jobs)
    for _ in range(rounds):
        gain, scale_factor, migration = present
        yield ChurnedRound(MaxMinProblem(gain, scale_factor, capacity.copy(), keys=keys), came_from, migration)
        stay = np.sort(rng.permutation(jobs)[churn:])
        gain, scale_factor, migration = (
            np.concatenate((old[stay], new)) for old, new in zip(present, arrivals(jobs - stay.size), strict=True)
        )
        present = gain, scale_factor, migration
        came_from = np.concatenate((stay, np.full(jobs - stay.size, -1, dtype=np.intp)))
        keys = np.concatenate((keys[stay], keys.max(initial=-1) + 1 + np.arange(jobs - stay.size)))


def of_kinds(problem: MaxMinProblem, examples: MaxMinProblem, kinds: int) -> MaxMinProblem:
    """Return the plain problem with each job replaced by one of the first ``kinds`` of ``examples``, by its key."""
    keys = np.arange(problem.jobs) if problem.keys is None else problem.keys
    of = scattered(keys, kinds) % kinds
    return replace(problem, gain=examples.gain[of], scale_factor=examples.scale_factor[of])


def scattered(keys: npt.NDArray[np.int64], salt: int) -> npt.NDArray[np.int64]:
    """Return (J,) whole numbers of at least 0 that look random, always the same for a key and a salt."""
    mixed = (keys + salt).astype(np.uint64) * np.uint64(0x9E3779B97F4A7C15)
    mixed = (mixed ^ (mixed >> np.uint64(31))) * np.uint64(0xBF58476D1CE4E5B9)
    return (mixed >> np.uint64(33)).astype(np.int64)


def with_switching(churned: ChurnedRound, x_before: Floats | None, *, weight: float = 1.0) -> MaxMinProblem:
    """Return the round's problem with the cost of leaving ``x_before`` (J', W), the allocation of the round before.

    The cost is ``weight`` times the job's migration over J, a fifth more on every other type, so that it is one by job
    and type. None stands for a first round, in which nothing is left.
    """
    jobs, types = churned.problem.gain.shape
    previous = np.zeros((jobs, types))
    if x_before is not None:
        stayed = churned.came_from >= 0
        previous[stayed] = x_before[churned.came_from[stayed]]
    dear = np.where(np.arange(types) % 2, 1.2, 1.0)
    cost = churned.migration[:, None] * dear * (weight / jobs)
    return replace(churned.problem, previous=previous, move_cost=cost)
