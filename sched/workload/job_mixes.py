"""How long generated jobs take, and how many are of high priority: as in the original, or as a built-in table says."""

from __future__ import annotations

import math
import tomllib
from bisect import bisect_right
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Final, NamedTuple

from phasewise.sched.cluster.inventories import POD_TABLES, pod_table_names

MINUTE_S: Final = 60.0


class Piece(NamedTuple):
    """A part of the jobs, whose durations are log-uniform.

    Attributes
    ----------
    share
        Of all jobs.
    least, largest
        Bounds of the duration, as powers of 10 of a minute.
    """

    share: float
    least: float
    largest: float

    @property
    def bounds_s(self) -> tuple[float, float]:
        """The bounds, seconds."""
        return MINUTE_S * 10**self.least, MINUTE_S * 10**self.largest


class Gangs(NamedTuple):
    """Jobs of more GPUs than a node has.

    Attributes
    ----------
    gpus
        Of each.
    jobs
        How many there are, where ``JobMix`` and its pods count all.
    gpu_hours
        Of all of them.
    """

    gpus: int
    jobs: int
    gpu_hours: float

    @property
    def mean_s(self) -> float:
        """The mean duration, seconds."""
        return self.gpu_hours * 3600.0 / (self.gpus * self.jobs)


@dataclass(frozen=True)
class JobMix:
    """What generated jobs are like besides what they ask for.

    Attributes
    ----------
    pieces
        Their durations.
    high_priority
        Share of jobs with priority weight 5, where there are priorities.
    classes
        Names of the classes of jobs with that weight and of the others; empty where they have none.
    vcs
        Names of virtual clusters, each with how many of the jobs are its; empty where jobs are nobody's.
    gangs
        The jobs of more GPUs than a node has, which come where they are asked for.
    """

    pieces: tuple[Piece, ...]
    high_priority: float
    classes: tuple[str, ...] = ()
    vcs: tuple[tuple[str, int], ...] = ()
    gangs: tuple[Gangs, ...] = ()

    def piece(self, drawn: float) -> Piece:
        """Return the piece of a job for a number drawn uniformly from [0, 1)."""
        return self.pieces[bisect_right(self._below, drawn)]

    def running(self, drawn: float) -> Piece:
        """Return the piece of a job that was found running, for a number drawn uniformly from [0, 1).

        The density of a log-uniform piece is share / (d ln(high/low)), so d times it is constant: length-biased, each
        piece is uniform in d, and has a weight of share (high - low) / ln(high/low).
        """
        return self.pieces[bisect_right(self._below_running, drawn)]

    @cached_property
    def stretch(self) -> dict[int, float]:
        """By what the durations of gangs of so many GPUs are multiplied, which gives them their own mean."""
        return {each.gpus: each.mean_s / self.mean_s() for each in self.gangs}

    @cached_property
    def _below(self) -> list[float]:
        return list(accumulate(piece.share for piece in self.pieces[:-1]))

    @cached_property
    def _below_running(self) -> list[float]:
        weights = [
            piece.share * (high - low) / math.log(high / low)
            for piece, (low, high) in ((piece, piece.bounds_s) for piece in self.pieces)
        ]
        return list(accumulate(weight / sum(weights) for weight in weights[:-1]))

    def mean_s(self) -> float:
        """Return the mean duration, seconds."""
        bounds = ((piece.share, *piece.bounds_s) for piece in self.pieces)
        return sum(share * (high - low) / math.log(high / low) for share, low, high in bounds)


# Durations: 60 * 10**U seconds, with U uniform on one of two pieces.
ORIGINAL: Final = JobMix((Piece(0.8, 1.5, 3.0), Piece(0.2, 3.0, 4.0)), high_priority=0.2)
"""The published generator's (OSDI'20 s7.1)."""


def job_mix(pods: str) -> JobMix:
    """Return the mix that belongs to a built-in table of pods; `ORIGINAL` where it has none, or ``pods`` is a file."""
    path = POD_TABLES / f"{pods}.toml"
    if pods not in pod_table_names() or not path.is_file():
        return ORIGINAL
    told = tomllib.loads(path.read_text(encoding="utf-8"))
    jobs = sum(count for count, _, _ in told["durations"])
    pieces = [
        Piece(count / jobs, math.log10(least_s / MINUTE_S), math.log10(largest_s / MINUTE_S))
        for count, least_s, largest_s in told["durations"]
    ]
    high, of = told["high_priority"]
    vcs = tuple((name, jobs) for name, jobs in told.get("vcs", ()))
    gangs = tuple(Gangs(*figures) for figures in told.get("gangs", ()))
    return JobMix(tuple(pieces), high / of, tuple(told.get("classes", ())), vcs, gangs)
