"""Equal jobs as one: J jobs of a few kinds as C classes, and which kinds can share GPUs of which type.

Jobs whose figures all agree are interchangeable, and form a class. What a pair gives depends on the kinds of its two
jobs and on a factor of each. C classes, K kinds that are present, W worker types.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

from phasewise.solvers.families.moving import Switching
from phasewise.solvers.packing.codes import mixed

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Ints = npt.NDArray[np.intp]
Keys = npt.NDArray[np.int64]


@dataclass(frozen=True, eq=False)
class Crowd:
    """Who there is. Classes are in the order of their kinds.

    Attributes
    ----------
    of_job
        (J,) the class of each job.
    example
        (C,) one job of each class, the first.
    size
        (C,) jobs of each class.
    kind
        (C,) the kind of each class, among those that are present, ascending.
    name
        (K,) int64, what the problem calls each kind.
    gain
        (C, W) what a job gains alone, 0 where it may not run.
    open
        (C, W) where a job may run.
    factor
        (C,) what a unit of a pair's rate is worth to a job.
    use
        (C,) GPUs of a job.
    rate
        (K, K, W) the rate of a job of the first kind that shares with one of the second, 0 where they cannot.
    moving
        Of each class the time that a job had on each type, and what a unit more or less of it costs; None where moving
        is free.
    """

    of_job: Ints
    example: Ints
    size: Floats
    kind: Ints
    name: Keys
    gain: Floats
    open: Bools
    factor: Floats
    use: Floats
    rate: Floats
    moving: Switching | None = None

    @property
    def classes(self) -> int:
        """Number of classes C."""
        return self.size.size

    @property
    def kinds(self) -> int:
        """Number of kinds K."""
        return self.name.size

    @cached_property
    def first(self) -> Ints:
        """(K,) the first class of each kind."""
        return np.searchsorted(self.kind, np.arange(self.kinds))

    @cached_property
    def jobs_of_kind(self) -> Floats:
        """(K,) jobs of each kind."""
        total: Floats = np.add.reduceat(self.size, self.first)
        return total

    @cached_property
    def single(self) -> Bools:
        """(K,) whether all jobs of a kind are equal."""
        alone: Bools = np.bincount(self.kind, minlength=self.kinds) == 1
        return alone

    @cached_property
    def shares(self) -> Bools:
        """(K, K, W) whether jobs of two kinds can share, symmetric; one of a kind alone has nobody of its own kind."""
        both = (self.rate > 0.0) & (self.rate > 0.0).transpose(1, 0, 2)
        alone = np.flatnonzero(self.jobs_of_kind < 2.0)
        both[alone, alone] = False
        return both

    @cached_property
    def usable(self) -> Bools:
        """(C, K, W) whether jobs of a class can share with those of a kind: where they may run themselves."""
        return self.shares[self.kind] & self.open[:, None, :]

    @cached_property
    def stays(self) -> Bools:
        """(C, W) where a job can keep time that it had, at a saving."""
        if self.moving is None:
            return np.zeros(self.gain.shape, dtype=np.bool_)
        return self.open & (self.moving.previous > 0.0) & (self.moving.cost > 0.0)

    @cached_property
    def most(self) -> Floats:
        """(C,) what a job gains at most, alone or beside another."""
        beside = np.where(self.usable, self.rate[self.kind], 0.0).max(axis=(1, 2), initial=0.0)
        ceilings: Floats = np.maximum(self.gain.max(axis=1, initial=0.0), self.factor * beside)
        return ceilings

    def mean(self, by_job: Floats) -> Floats:
        """Return (C,) the mean of ``by_job`` (J,) over each class."""
        total = np.bincount(self.of_job, by_job, self.classes)
        mean: Floats = total / self.size
        return mean


def by_kinds(crowd: Crowd) -> Crowd:
    """Return the crowd in which each kind is one class, with what its jobs gain on average: another problem.

    The average is the one that counts where a level is to be reached: harmonic, so that needs add up.
    """
    size, first = crowd.jobs_of_kind, crowd.first
    with np.errstate(divide="ignore"):
        needs = np.add.reduceat(crowd.size[:, None] / crowd.gain, first, axis=0)
        factor = size / np.add.reduceat(crowd.size / crowd.factor, first)
    gain = size[:, None] / needs
    there = gain > 0.0
    return Crowd(
        crowd.kind[crowd.of_job], crowd.example[first], size, np.arange(crowd.kinds), crowd.name, gain, there, factor,
        crowd.use[first], crowd.rate,
    )  # fmt: skip


def crowd_of(
    gain: Floats, open_to: Bools, factor: Floats, use: Floats, kind: Keys, rate: Floats, *others: Floats
) -> Crowd:
    """Return the classes of J jobs.

    Parameters
    ----------
    gain, open_to
        (J, W) what a job gains alone, and where it may run.
    factor, use, kind
        (J,) as in `Crowd`; kinds by what the problem calls them.
    rate
        (K, K, W) by what the problem calls kinds; jobs of unequal ``use`` do not share, whatever it says.
    others
        (J,) each, whatever else must agree in equal jobs.
    """
    name, of_kind = np.unique(kind, return_inverse=True)
    of_job, example = _grouped(np.column_stack((gain, open_to, factor, use, *others)), of_kind)
    present = rate[np.ix_(name, name)].copy()
    width = use[example]
    of_class = of_kind[example]
    by_kind = width[np.searchsorted(of_class, np.arange(name.size))]
    present[by_kind[:, None] != by_kind] = 0.0
    usable = np.where(open_to[example], gain[example], 0.0)
    size = np.bincount(of_job, minlength=example.size).astype(np.float64)
    return Crowd(of_job, example, size, of_class, name, usable, open_to[example], factor[example], width, present)


def _grouped(figures: Floats, of_kind: Ints) -> tuple[Ints, Ints]:
    """Return (J,) the class of each job and (C,) the first job of each, classes by kind and then by that job."""
    code = mixed(of_kind.astype(np.uint64), *(figures + 0.0).T.copy().view(np.uint64))  # + 0.0: no -0.0
    _, example, of_job = np.unique(code, return_index=True, return_inverse=True)
    same = (figures == figures[example[of_job]]).all() and (of_kind == of_kind[example[of_job]]).all()
    if not same:  # two unequal jobs of one code
        whole = np.column_stack((of_kind, figures))
        _, example, of_job = np.unique(whole, axis=0, return_index=True, return_inverse=True)
        of_job = of_job.reshape(-1)
    order = np.lexsort((example, of_kind[example]))
    place = np.empty(order.size, dtype=np.intp)
    place[order] = np.arange(order.size)
    return place[of_job], example[order]
