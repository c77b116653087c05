"""Jobs drawn as the original draws them, so that a seed gives the same jobs.

Of a run's random streams (`phasewise.sched.streams`), one draws the jobs, one the gaps between arrivals, and one, where
jobs are promised durations, how many times the drawn one each is promised. For each
job, in this order: scale factor (drawn even where it is then ignored), duration, job type (again while the job needs
several GPUs and the type runs on one only), priority weight (only with priorities); then the gap to the next job.
Source: OSDI'20 s7.1 and the published simulator.

With pods, the number that would become the scale factor picks one of their specifications instead, by its count; the
rest stays as it is. A job that shares a GPU is of a type that runs on one GPU, and has that type's speed.
"""

from __future__ import annotations

import math
import random
from bisect import bisect_right
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import accumulate
from typing import Any, Final, NamedTuple

import numpy as np

from phasewise.sched.cluster.requests import WHOLE_MILLI, Request, TaskDistribution, typical
from phasewise.sched.errors import ScenarioError
from phasewise.sched.streams import Streams
from phasewise.sched.workload.arrivals import Arrival, Position
from phasewise.sched.workload.job_mixes import MINUTE_S, ORIGINAL, JobMix
from phasewise.sched.workload.owners import Owners
from phasewise.sched.workload.throughputs import ThroughputTable, ThroughputView

HOUR_S = 3600.0
HIGH_WEIGHT: Final = 5.0
"""Priority weight of jobs of high priority; that of the others is 1."""


def _sized(family: str, sizes: tuple[int, ...]) -> tuple[str, ...]:
    return tuple(f"{family} (batch size {size})" for size in sizes)


DISTRIBUTED = (
    *_sized("ResNet-18", (16, 32, 64, 128, 256)),
    *_sized("ResNet-50", (16, 32, 64, 128)),
    *_sized("Transformer", (16, 32, 64, 128, 256)),
    *_sized("LM", (5, 10, 20, 40, 80)),
)
SINGLE_GPU = (*_sized("Recommendation", (512, 1024, 2048, 4096, 8192)), "A3C", "CycleGAN")
JOB_TYPES = (*DISTRIBUTED, *SINGLE_GPU)  # the order of the draw

SLOS = ((0.33, 1.2), (0.67, 2.0), (1.0, 10.0))  # the original's: up to which draw, times the duration

SCALE_FACTORS = ((1, 70), (2, 10), (4, 15), (8, 5))  # and their probabilities, percent


@dataclass(frozen=True, slots=True)
class Recipe:
    """What the generator draws from.

    Attributes
    ----------
    seed
        The scenario's seed, for the jobs that are active at time 0.
    jobs
        Number of generated jobs (besides the initial ones), or None: they never stop.
    mean_gap_s
        Mean time between arrivals, seconds; 0 puts all jobs at time 0.
    initial_jobs
        Jobs that are active at time 0, before the generated ones.
    at_once
        How many of the generated jobs, besides ``jobs``, come at time 0.
    multi_gpu
        Whether the drawn scale factor counts.
    scale_factor_cap
        Upper limit of the drawn scale factor; 0 means none.
    priorities
        Whether some jobs get priority weight 5: one in five, or as many as ``mix`` says.
    slos
        Whether each job is promised a duration.
    reference_type
        Worker type whose throughput turns a duration into steps.
    mix
        How long jobs take, and how many are of high priority.
    pods
        What jobs ask for on a node, each with its frequency; then the scale factor is not drawn. Empty: whole GPUs.
    stretch
        By what a drawn duration is multiplied for a job of so many GPUs; 1 where a number is not named.
    """

    seed: int
    jobs: int | None
    mean_gap_s: float
    initial_jobs: int = 0
    at_once: int = 0
    multi_gpu: bool = False
    scale_factor_cap: int = 0
    priorities: bool = False
    slos: bool = False
    reference_type: str = "v100"
    mix: JobMix = ORIGINAL
    pods: tuple[tuple[Request, int], ...] = ()
    stretch: Mapping[int, float] = field(default_factory=dict)

    def limited(self, drawn: int) -> int:
        """Return the scale factor that counts, for the one drawn."""
        if not self.multi_gpu:
            return 1
        return min(drawn, self.scale_factor_cap) if self.scale_factor_cap else drawn


class Demand(NamedTuple):
    """What a job asks for: GPUs (a row of the throughput table), its scale factor, and its request where it has one."""

    gpus: int
    scale_factor: float
    request: Request | None = None


class Demands:
    """What jobs may ask for, and how often each demand comes."""

    def __init__(self, recipe: Recipe) -> None:
        self._recipe = recipe
        self._pods = [Demand(request.gpus, request.demand_milli / WHOLE_MILLI, request) for request, _ in recipe.pods]
        self._below = list(accumulate(count for _, count in recipe.pods))
        stretch = recipe.stretch
        self._running = list(accumulate(count * stretch.get(pod.gpus, 1.0) for pod, count in recipe.pods))

    def running(self, drawn: float) -> Demand:
        """Return the demand of a job found running: those of long durations are found more often."""
        if not self._recipe.stretch:
            return self.at(drawn)
        return self._pods[bisect_right(self._running, drawn * self._running[-1])]

    def at(self, drawn: float) -> Demand:
        """Return the demand for a number drawn uniformly from [0, 1)."""
        if self._pods:
            return self._pods[bisect_right(self._below, drawn * self._below[-1])]
        factor = self._recipe.limited(_scale_factor(drawn))
        return Demand(factor, float(factor))

    def requests(self) -> list[Request]:
        """Return every request that may be made."""
        return [request for request, _ in self._recipe.pods] or [Request(0, WHOLE_MILLI, gpus) for gpus in self.gpus()]

    def gpus(self) -> list[int]:
        """Return every number of GPUs that may be asked for, ascending."""
        if self._pods:
            return sorted({demand.gpus for demand in self._pods})
        return sorted({self._recipe.limited(factor) for factor, _ in SCALE_FACTORS})

    def typical(self) -> TaskDistribution:
        """Return the typical requests."""
        if self._recipe.pods:
            return typical((request, float(count)) for request, count in self._recipe.pods)
        limited = self._recipe.limited
        return typical((Request(0, WHOLE_MILLI, limited(factor)), float(share)) for factor, share in SCALE_FACTORS)


@dataclass(frozen=True, slots=True)
class Sort:
    """A kind of job: its type at a scale factor, with its row in the table and its speed on the reference type."""

    job_type: str
    scale_factor: int
    row: int
    reference_rate: float


class GeneratedWorkload:
    """Jobs drawn as they are asked for; nothing is kept of those given out, so an endless run needs no more memory.

    Raises
    ------
    ScenarioError
        Where the table cannot give every job that may be drawn, or endless jobs would all come at once.
    """

    def __init__(self, recipe: Recipe, table: ThroughputTable, worker_types: tuple[str, ...]) -> None:
        if recipe.jobs is None and not recipe.mean_gap_s > 0.0:
            raise ScenarioError(
                "jobs that never stop need a rate above 0; give workload.rate_per_hour or workload.jobs"
            )
        self._recipe = recipe
        if recipe.stretch:
            table = table.with_factors(DISTRIBUTED, recipe.stretch)
        self.throughputs: ThroughputView = table.for_types(worker_types)
        self._demands = Demands(recipe)
        self._sorts = _sorts(recipe, self._demands.gpus(), table, self.throughputs)
        self._owners = Owners(recipe.seed, recipe.mix.vcs)
        self._initial = _initial(recipe, self._demands, self._sorts)
        self.total: int | None = None if recipe.jobs is None else recipe.initial_jobs + recipe.at_once + recipe.jobs
        self.held: int | None = None
        self.imported: dict[str, Any] | None = None

    def origins(self, job_ids: Sequence[int], weights: Sequence[float]) -> Mapping[str, list[str | None]]:
        """Return virtual cluster and class of the jobs where the mix has them."""
        columns: dict[str, list[str | None]] = {}
        if self._recipe.mix.vcs:
            columns["vc"] = [self._owners.vc(job_id) for job_id in job_ids]
        if self._recipe.mix.classes and self._recipe.priorities:
            high, others = self._recipe.mix.classes
            columns["class"] = [high if weight == HIGH_WEIGHT else others for weight in weights]
        return columns

    @property
    def tasks(self) -> TaskDistribution:
        """Return the typical requests of its jobs."""
        return self._demands.typical()

    def requests(self) -> Iterable[Request]:
        """Return every distinct request that a job may make."""
        return self._demands.requests()

    def next_arrival_s(self, position: Position) -> float | None:
        """Return when the next job comes, seconds, or None where no more come."""
        return None if position.given == self.total else position.next_s

    def until(self, now_s: float, position: Position, streams: Streams) -> list[Arrival]:
        """Return all jobs from ``position`` on that arrive at or before ``now_s``, by id; both others move on."""
        arrivals: list[Arrival] = []
        while position.next_s <= now_s and position.given != self.total:
            arrivals.append(self._draw(position, streams))
        return arrivals

    def _draw(self, position: Position, streams: Streams) -> Arrival:
        job_id, position.given = position.given, position.given + 1
        rng, recipe = streams.jobs, self._recipe
        multiple = _slo(streams.slos) if recipe.slos else None
        if job_id < len(self._initial):
            job, duration_s = self._initial[job_id]
            return job if multiple is None else replace(job, slo=multiple, slo_s=multiple * duration_s)
        demand = self._demands.at(rng.random())
        duration_s = _duration_s(rng, recipe.mix) * recipe.stretch.get(demand.gpus, 1.0)
        job_type = rng.choice(JOB_TYPES)
        while (job_type, demand.gpus) not in self._sorts:  # an undistributed type cannot take several GPUs
            job_type = rng.choice(JOB_TYPES)
        sort = self._sorts[job_type, demand.gpus]
        weight = HIGH_WEIGHT if recipe.priorities and rng.random() <= recipe.mix.high_priority else 1.0
        arrival_s = position.next_s
        if recipe.mean_gap_s and position.given >= recipe.at_once:
            position.next_s += -math.log(1.0 - streams.gaps.random()) * recipe.mean_gap_s
        steps = duration_s * sort.reference_rate
        drawn = Arrival(job_id, job_type, sort.row, demand.scale_factor, weight, steps, arrival_s, demand.request)
        return drawn if multiple is None else replace(drawn, slo=multiple, slo_s=multiple * duration_s)


def _scale_factor(drawn: float) -> int:
    if 0.7 <= drawn <= 0.8:
        return 2
    if 0.8 < drawn <= 0.95:
        return 4
    return 8 if drawn > 0.95 else 1


def _slo(rng: random.Random) -> float:
    """Return how many times its duration a job may take."""
    drawn = rng.random()
    return next(multiple for below, multiple in SLOS if drawn < below)


def _duration_s(rng: random.Random, mix: JobMix) -> float:
    _, least, largest = mix.piece(rng.random())
    return MINUTE_S * 10 ** rng.uniform(least, largest)


def _sorts(
    recipe: Recipe, factors: list[int], table: ThroughputTable, view: ThroughputView
) -> dict[tuple[str, int], Sort]:
    """Return every kind of job that can be drawn; a table that lacks one fails here, before the first round."""
    if recipe.reference_type not in table.worker_types:
        raise ScenarioError(
            f"workload.reference_type is {recipe.reference_type!r}, which is not in {table.source}; "
            f"allowed: {', '.join(table.worker_types)}"
        )
    reference = table.for_types((recipe.reference_type,))
    sorts: dict[tuple[str, int], Sort] = {}
    for job_type in JOB_TYPES:
        for factor in factors if job_type in DISTRIBUTED else [1]:
            try:
                row, rate = view.index(job_type, factor), float(reference.row(job_type, factor)[0])
            except ValueError as error:
                raise ScenarioError(f"the generator cannot draw its jobs: {error}") from error
            if rate <= 0.0:
                raise ScenarioError(
                    f"workload.reference_type is {recipe.reference_type!r}, on which {job_type!r} with scale factor "
                    f"{factor} cannot run, so its duration gives no steps; choose another reference type"
                )
            sorts[job_type, factor] = Sort(job_type, factor, row, rate)
    return sorts


def _initial(recipe: Recipe, demands: Demands, sorts: dict[tuple[str, int], Sort]) -> list[tuple[Arrival, float]]:
    """Return the jobs that are active at time 0, each with the seconds of work that it has left.

    A job found running at a random moment has a length-biased duration, of which a uniform share is left. They have a
    Generator of their own, the first child of the seed's SeedSequence, so that the jobs generated after them are those
    of the same seed without them.
    """
    rng = np.random.default_rng(np.random.SeedSequence(recipe.seed).spawn(1)[0])
    jobs: list[tuple[Arrival, float]] = []
    for job_id in range(recipe.initial_jobs):
        demand = demands.running(float(rng.random()))
        types = JOB_TYPES if demand.gpus == 1 else DISTRIBUTED
        sort = sorts[types[int(rng.integers(len(types)))], demand.gpus]
        low, high = recipe.mix.running(float(rng.random())).bounds_s
        left_s = float(rng.uniform(low, high)) * (1.0 - float(rng.random()))  # in (0, 1]: some work is left
        left_s *= recipe.stretch.get(demand.gpus, 1.0)
        weight = HIGH_WEIGHT if recipe.priorities and float(rng.random()) <= recipe.mix.high_priority else 1.0
        steps = left_s * sort.reference_rate
        job = Arrival(job_id, sort.job_type, sort.row, demand.scale_factor, weight, steps, 0.0, demand.request)
        jobs.append((job, left_s))
    return jobs
