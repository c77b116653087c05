"""Generated instances: consecutive rounds of a busy cluster in every problem family, as functions of a seed.

Their numbers have 16 significant bits. What a processor or a BLAS rounds otherwise than another does is far below, so
that a seed gives the same bytes everywhere, which the digest in the manifest holds it to. A rule here that changes what
a seed gives is another `VERSION`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

import numpy as np

from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.families.packed import PackedMaxMinProblem
from phasewise.solvers.families.packed_finish_time import PackedFinishTimeProblem
from phasewise.solvers.families.packed_moving import PackedMovingProblem
from phasewise.solvers.finish_time_instances import finish_time_rounds
from phasewise.solvers.instances import ChurnedRound, Load, churned_rounds
from phasewise.solvers.packed_instances import lexicographic, packed_rounds, random_table
from phasewise.solvers.problems import AllocationProblem, Floats
from phasewise.solvers.sum_instances import moving_sum_rounds, queue_rounds, sum_rounds

VERSION: Final = 1

BITS: Final = 16
"""Significant ones of every number."""

PROMISED: Final = 0.3  # of its best rate, at most; with half of the jobs promised something, all of it can be kept
GPUS_A_JOB: Final = 0.4  # where jobs share in pairs
ROUND_S: Final = 360.0


@dataclass(frozen=True, slots=True)
class Size:
    """How large an instance is.

    Attributes
    ----------
    seed
        Of every random stream.
    jobs
        In each round.
    problems
        Rounds.
    types
        Worker types, 3 or 6.
    load
        What limits the rounds, where jobs do not share.
    """

    seed: int
    jobs: int
    problems: int
    types: int = 6
    load: Load = Load.CONTENDED

    @property
    def churn(self) -> int:
        """Jobs that leave between two rounds, as many as come: a hundredth, 10 at most and 1 at least."""
        return max(1, min(10, self.jobs // 100))

    def rounds(self) -> Iterator[ChurnedRound]:
        """Yield the plain rounds that most families are made from."""
        return churned_rounds(self.seed, self.jobs, self.problems, load=self.load, types=self.types, churn=self.churn)


def _plain(size: Size) -> Iterator[AllocationProblem]:
    return (churned.problem for churned in size.rounds())


def _canonical(size: Size) -> Iterator[AllocationProblem]:
    return (replace(churned.problem, linear_weight=1e-3) for churned in size.rounds())


def _switching(size: Size) -> Iterator[AllocationProblem]:
    """Yield rounds in which each job that stays has on few types what it was given when it came.

    No solver's answers: then the instance would be of that solver.
    """
    rng = np.random.default_rng([size.seed, size.jobs, 2])
    wish: Floats = np.zeros((0, size.types))
    for churned in size.rounds():
        problem, came_from = churned.problem, churned.came_from
        fresh = rng.dirichlet(np.full(size.types, 0.3), size=problem.rows) * rng.random((problem.rows, 1))
        fresh[fresh < 0.05] = 0.0
        stays = came_from >= 0
        held = np.where(stays[:, None], wish[came_from], 0.0) if wish.size else fresh
        wish = np.where(stays[:, None], held, fresh) if wish.size else fresh
        dear = np.where(np.arange(size.types) % 2, 1.2, 1.0)
        cost = churned.migration[:, None] * dear / problem.rows
        yield replace(problem, previous=problem.project(held), move_cost=cost)


def _levels(size: Size) -> Iterator[LexicographicProblem]:
    for churned in size.rounds():
        problem = churned.problem
        yield LexicographicProblem(problem.gain, problem.scale_factor, problem.capacity, keys=problem.keys)


def _confined_levels(size: Size) -> Iterator[AllocationProblem]:
    """Yield the same rounds where three jobs of ten may run on one type alone: types are not equally sought after.

    So there are several levels, and an answer that sees to the least one only is short of the optimum.
    """
    rng = np.random.default_rng([size.seed, size.jobs, 5])
    ids = size.jobs + size.problems * size.churn
    confined, only = rng.random(ids) < 0.3, rng.integers(size.types, size=ids)
    for problem in _levels(size):
        keys = np.asarray(problem.keys)
        own = np.where(problem.gain[np.arange(keys.size), only[keys]] > 0.0, only[keys], 0)  # all run on the first
        elsewhere = confined[keys][:, None] & (np.arange(size.types) != own[:, None])
        yield replace(problem, allowed=(problem.gain > 0.0) & ~elsewhere)


def _finish_times(size: Size) -> Iterator[AllocationProblem]:
    return finish_time_rounds(size.seed, size.jobs, size.problems, load=size.load, types=size.types, churn=size.churn)


def _queues(size: Size) -> Iterator[AllocationProblem]:
    return queue_rounds(size.rounds(), (max(1, size.jobs // 50),) * size.types)


def _packed(size: Size) -> Iterator[PackedMaxMinProblem]:
    """Yield rounds of jobs of 26 kinds, of which pairs may share."""
    rng = np.random.default_rng([size.seed, size.types, 3])
    table = random_table(rng, 26, size.types, ())
    capacity = np.round(rng.dirichlet(np.full(size.types, 3.0)) * GPUS_A_JOB * size.jobs).clip(min=1.0)
    return packed_rounds(size.seed, table, size.jobs, size.problems, churn=size.churn, capacity=capacity)


def _packed_switching(size: Size) -> Iterator[PackedMovingProblem]:
    """Yield the same rounds in which each job that stays has on few types what it was given when it came.

    Moving costs a job at most a tenth of a job's equal share of the objective, more on every other type.
    """
    rng = np.random.default_rng([size.seed, size.jobs, 6])
    ids = size.jobs + size.problems * size.churn
    wish = rng.dirichlet(np.full(size.types, 0.3), size=ids) * rng.random((ids, 1))
    wish[wish < 0.05] = 0.0
    price, dear = rng.uniform(0.0, 0.1, ids), np.where(np.arange(size.types) % 2, 1.2, 1.0)
    before: frozenset[int] = frozenset()
    for packed in _packed(size):
        keys = np.asarray(packed.keys)
        stays = np.isin(keys, list(before))
        held = np.where(stays[:, None] & packed.allowed_mask, wish[keys], 0.0)
        busy = held.T @ packed.scale_factor
        held *= np.minimum(1.0, packed.capacity / np.maximum(busy, 1e-9))  # what was in force fitted
        cost = price[keys][:, None] * dear / packed.rows
        yield PackedMovingProblem(**packed.stated(), previous=held, move_cost=cost)
        before = frozenset(keys.tolist())


def _packed_finish_times(size: Size) -> Iterator[AllocationProblem]:
    """Yield the same rounds with jobs of a tenth of an hour to a hundred, each a round older than the round before."""
    rng = np.random.default_rng([size.seed, size.jobs, 4])
    ids = size.jobs + size.problems * size.churn
    alone_s, since_s = 3600.0 * 10.0 ** rng.uniform(-1.0, 2.0, ids), 3600.0 * 10.0 ** rng.uniform(-2.0, 2.0, ids)
    slowed = rng.uniform(0.3, 1.0, ids)
    for number, packed in enumerate(_packed(size)):
        keys = np.asarray(packed.keys)
        throughput = packed.gain / packed.factor[:, None]
        age_s = since_s[keys] + number * ROUND_S
        steps = alone_s[keys] * 0.98**number * throughput.max(axis=1)
        isolated_s = age_s * slowed[keys] + steps / throughput.mean(axis=1) / GPUS_A_JOB
        yield PackedFinishTimeProblem(
            throughput, packed.kind, packed.rate, packed.scale_factor, packed.capacity, steps, age_s, isolated_s,
            keys=keys,
        )  # fmt: skip


GENERATORS: Final[Mapping[str, Callable[[Size], Iterable[AllocationProblem]]]] = {
    "max_min": _plain,
    "max_min_canonical": _canonical,
    "max_min_switching": _switching,
    "lexicographic": _levels,
    "lexicographic_confined": _confined_levels,
    "finish_time": _finish_times,
    "max_sum": lambda size: sum_rounds(size.rounds()),
    "max_sum_slo": lambda size: sum_rounds(size.rounds(), promised=PROMISED),
    "max_sum_switching": lambda size: moving_sum_rounds(size.rounds()),
    "transport": _queues,
    "max_min_packed": _packed,
    "lexicographic_packed": lambda size: map(lexicographic, _packed(size)),
    "finish_time_packed": _packed_finish_times,
    "max_min_packed_switching": _packed_switching,
}
"""By the names that the manifest has for them."""


def generated(generator: str, size: Size) -> Iterator[AllocationProblem]:
    """Yield the problems of a seed and a size, every number cut to `BITS` bits.

    Parameters
    ----------
    generator
        One of `GENERATORS`.
    """
    return cut(GENERATORS[generator](size))


def cut(problems: Iterable[AllocationProblem]) -> Iterator[AllocationProblem]:
    """Yield ``problems`` with every number of their arrays cut to `BITS` significant bits."""
    for problem in problems:
        yield type(problem)(**{name: _cut(name, value) for name, value in problem.stated().items()})


_DOWN: Final = frozenset({"previous", "promised"})
"""What has to fit, and must not grow."""

_ROOM: Final = 1.0 - 2.0 ** (1 - BITS)  # for what everything else may have lost


def _cut(name: str, value: Any) -> Any:
    """Return floating-point arrays with `BITS` significant bits, and anything else as it is."""
    if not isinstance(value, np.ndarray) or value.dtype != np.float64:
        return value
    mantissa, exponent = np.frexp(value * _ROOM**2 if name in _DOWN else value)
    whole = np.floor if name in _DOWN else np.rint
    return np.ldexp(whole(np.ldexp(mantissa, BITS)), exponent - BITS)
