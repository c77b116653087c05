"""Random problems of jobs that share GPUs in pairs, for tests and benchmarks: functions of their seeds alone."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

import numpy as np

from phasewise.solvers.families.packed import PackedMaxMinProblem
from phasewise.solvers.families.packed_finish_time import PackedFinishTimeProblem
from phasewise.solvers.families.packed_lexicographic import PackedLexicographicProblem
from phasewise.solvers.families.packed_moving import PackedMovingProblem
from phasewise.solvers.problems import Bools, Floats
from phasewise.solvers.rows import Keys


class PackedTrait(StrEnum):
    """What makes an instance special; any of them may be combined."""

    DIFFERENT = "different"  # every job has a factor of its own
    WEIGHTS = "weights"  # a fifth of the jobs counts five times
    WIDE = "wide"  # kinds of 1, 2, 4 and 8 GPUs
    ZEROS = "zeros"  # a quarter of the kinds cannot run on some type
    UNMEASURED = "unmeasured"  # half of the pairs cannot share
    MASKED = "masked"  # some jobs may not run where their kind can
    CANONICAL = "canonical"  # the mean gain counts with weight 1e-3
    AMPLE = "ample"  # GPUs for all
    NO_CAPACITY = "no_capacity"  # one type has no GPUs
    NOISY = "noisy"  # a job's gain alone is not its kind's


@dataclass(frozen=True)
class Table:
    """What kinds of jobs there are: K of them on W types.

    Attributes
    ----------
    alone
        (K, W) steps/s of a job alone.
    rate
        (K, K, W) steps/s of a job of the first kind beside one of the second.
    width
        (K,) GPUs.
    """

    alone: Floats
    rate: Floats
    width: Floats


SPEED_SPREAD: Final = 0.7
CROWDED: Final = (0.35, 0.95)  # of its speed a job keeps beside another


def random_table(rng: np.random.Generator, kinds: int, types: int, traits: Collection[PackedTrait]) -> Table:
    """Return kinds of jobs whose speeds are log-normal, and which slow each other down."""
    alone = np.exp(SPEED_SPREAD * rng.standard_normal((kinds, types)))
    alone *= 10.0 ** rng.uniform(-1.0, 1.0, (kinds, 1))
    if PackedTrait.ZEROS in traits:
        alone[rng.random((kinds, types)) < 0.25] = 0.0
        alone[(alone == 0.0).all(axis=1), 0] = 1.0
    width = rng.choice([1.0, 2.0, 4.0, 8.0], size=kinds) if PackedTrait.WIDE in traits else np.ones(kinds)
    rate = alone[:, None, :] * rng.uniform(*CROWDED, (kinds, kinds, types))
    both = (alone[:, None, :] > 0.0) & (alone > 0.0) & (width[:, None] == width)[:, :, None]
    if PackedTrait.UNMEASURED in traits:
        open_to = rng.random((kinds, kinds, types)) < 0.5
        both &= open_to & open_to.transpose(1, 0, 2)
    return Table(alone, np.where(both, rate, 0.0), width)


def of_kinds(
    table: Table, kind: Keys, capacity: Floats, weight: Floats, keys: Keys | None = None
) -> PackedMaxMinProblem:
    """Return max-min fairness of jobs of these kinds: throughput over that under an equal share, times width."""
    norm = table.alone[kind] @ capacity / capacity.sum()
    factor = table.width[kind] / (weight * norm)
    gain = table.alone[kind] * factor[:, None]
    return PackedMaxMinProblem(gain, kind, factor, table.rate, table.width[kind], capacity, keys=keys)


def random_packed(
    seed: int, jobs: int, types: int, kinds: int, traits: Collection[PackedTrait] = ()
) -> PackedMaxMinProblem:
    """Return the max-min instance of this seed, size (J, W), number of kinds and traits."""
    rng = np.random.default_rng([seed, jobs, types, kinds])
    table = random_table(rng, kinds, types, traits)
    kind = rng.integers(kinds, size=jobs)
    capacity = _capacity(rng, types, float(table.width[kind].sum()), traits)
    weight = np.where(rng.random(jobs) < 0.2, 5.0, 1.0) if PackedTrait.WEIGHTS in traits else np.ones(jobs)
    if PackedTrait.DIFFERENT in traits:
        weight = weight * np.exp(rng.standard_normal(jobs))
    plain = of_kinds(table, kind, np.where(capacity > 0.0, capacity, 1.0), weight)
    gain = plain.gain
    if PackedTrait.NOISY in traits:
        gain = gain * rng.uniform(0.8, 1.2, gain.shape)
    allowed: Bools | None = None
    if PackedTrait.MASKED in traits:
        allowed = (gain > 0.0) & (rng.random(gain.shape) < 0.8)
    linear = 1e-3 if PackedTrait.CANONICAL in traits else 0.0
    return PackedMaxMinProblem(
        gain, kind, plain.factor, table.rate, plain.scale_factor, capacity, allowed, linear, np.arange(jobs)
    )


def _capacity(rng: np.random.Generator, types: int, asked: float, traits: Collection[PackedTrait]) -> Floats:
    """Return (W,) GPUs: two fifths of what all jobs ask for, unless a trait says otherwise."""
    share = 2.0 if PackedTrait.AMPLE in traits else 0.4
    capacity = rng.dirichlet(np.full(types, 3.0)) * share * max(1.0, asked)
    if PackedTrait.NO_CAPACITY in traits:
        capacity[0] = 0.0
    return capacity


def lexicographic(problem: PackedMaxMinProblem) -> PackedLexicographicProblem:
    """Return the lexicographic problem over the same gains."""
    return PackedLexicographicProblem(
        problem.gain, problem.kind, problem.factor, problem.rate, problem.scale_factor, problem.capacity,
        problem.allowed, problem.keys,
    )  # fmt: skip


def moving(problem: PackedMaxMinProblem, seed: int, *, dear: float = 1.0) -> PackedMovingProblem:
    """Return the same problem where leaving what is in force costs up to a tenth of a usual gain, times ``dear``.

    A fifth of the jobs is new and has nothing; a quarter moves for free; others have time on one type or on all, which
    need not be one where they may run, nor fit in together.
    """
    rng = np.random.default_rng([seed, problem.rows, problem.types, 2])
    shape = problem.gain.shape
    previous = rng.dirichlet(np.full(problem.types, 0.3), problem.rows) * rng.uniform(0.2, 1.0, (problem.rows, 1))
    previous[previous < 0.02] = 0.0
    previous[rng.random(problem.rows) < 0.2] = 0.0
    cost = rng.uniform(0.0, 0.1, shape) * dear * max(1e-9, float(np.median(problem.gain))) / max(1, problem.rows)
    cost[rng.random(problem.rows) < 0.25] = 0.0
    return PackedMovingProblem(**problem.stated(), previous=previous, move_cost=cost)


def random_packed_finish_time(
    seed: int, jobs: int, types: int, kinds: int, traits: Collection[PackedTrait] = ()
) -> PackedFinishTimeProblem:
    """Return the finish-time instance of this seed, size and traits: jobs of many lengths and ages."""
    plain = random_packed(seed, jobs, types, kinds, traits)
    rng = np.random.default_rng([seed, jobs, types, kinds, 1])
    speed = plain.gain / plain.factor[:, None]
    hours = 10.0 ** rng.uniform(-1.0, 2.0, jobs)
    remaining = hours * 3600.0 * speed.max(axis=1)
    since = 3600.0 * 10.0 ** rng.uniform(-2.0, 2.0, jobs)
    isolated = since * rng.uniform(0.3, 1.0, jobs) + remaining / np.maximum(speed.mean(axis=1), 1e-9) * jobs / 10.0
    return PackedFinishTimeProblem(
        speed, plain.kind, plain.rate, plain.scale_factor, plain.capacity, remaining, since, isolated, plain.allowed,
        plain.keys,
    )  # fmt: skip


def packed_rounds(
    seed: int, table: Table, jobs: int, rounds: int, *, churn: int, capacity: Floats
) -> Iterator[PackedMaxMinProblem]:
    """Yield max-min problems of a busy cluster, between two of which ``churn`` jobs leave and as many come."""
    rng = np.random.default_rng([seed, jobs, churn])
    kind = rng.integers(len(table.alone), size=jobs)
    keys = np.arange(jobs)
    for _ in range(rounds):
        yield of_kinds(table, kind, capacity, np.ones(jobs), keys)
        stays = np.sort(rng.permutation(jobs)[churn:])
        kind = np.concatenate((kind[stays], rng.integers(len(table.alone), size=churn)))
        keys = np.concatenate((keys[stays], keys[-1] + 1 + np.arange(churn)))
