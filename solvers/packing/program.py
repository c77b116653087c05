"""The linear program of packing, over kinds: how much of which kinds of pairs, and what part each class has in it.

Variables, all at least 0: time alone (class c, type j), the *slices* (kinds a <= b, type j), each the total time of
pairs of these kinds, and, where a kind has several classes, the *shares* (class c, kind b, type j), the time that jobs
of class c spend beside jobs of kind b. And t, the level::

    max  t + linear term
    s.t. mean gain of each class - t >= 0            C gain rows
         mean time of each class <= 1                C time rows
         GPUs of each type <= N_j                    W capacity rows
         shares of (a, b, j) = its slice             a row for each kind of several classes, and its partner and type;
                                                     of pairs within a kind the shares make twice the slice
         share of one job <= its slice               within a kind nobody is his own partner: where one would be
         0 <= all columns

Where all jobs of a kind are equal, its part of a slice is the slice: there is no share, and no row. Shares that add up
to a slice on both sides can always be split into pairs (`phasewise.solvers.packing.teams`), so this is the program over
all pairs of jobs, with a column for each kind of partner in place of each partner.

Columns are scaled to mean time of a job, rows to their largest gain, gains to a level near 1.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np

from phasewise.solvers.lp import INFINITE, LinearProgram
from phasewise.solvers.packing.codes import Codes, mixed
from phasewise.solvers.packing.crowd import Bools, Crowd, Floats, Ints
from phasewise.solvers.proofs import Duals

_LEAST_ROW_SCALE: Final = 1e-6
_MOST_ROW_SCALE: Final = 1e6
_ALONE, _SLICE, _SHARE, _LEVEL, _GAIN, _TIME, _CAPACITY, _SUM, _HALF = range(9)  # what a code is of


class Goal(NamedTuple):
    """What is to be maximised.

    Attributes
    ----------
    rising
        (C,) whether a class counts in the least gain.
    floor
        (C,) what it must gain in any case, 0 for those that count.
    linear
        Weight of the mean gain of all jobs.
    """

    rising: Bools
    floor: Floats
    linear: float


class Triples(NamedTuple):
    """Some (first, second, type), each a column or a row: three arrays of one length."""

    first: Ints
    second: Ints
    kind: Ints

    @classmethod
    def where(cls, mask: Bools) -> Triples:
        """Return the places at which ``mask`` (., ., W) is true."""
        return cls(*np.nonzero(mask))


@dataclass(frozen=True, eq=False)
class Program:
    """A linear program of packing, and what its columns are.

    Attributes
    ----------
    lp
        The arrays, with blocks alone, slices, shares and level.
    alone
        (class, class, type) of each column of time alone.
    slices
        (kind, kind, type) of each slice.
    shares
        (class, kind, type) of each share.
    columns, rows
        (n,) and (m,) codes by which they are known again in the next program.
    unit
        (n,) what a column's value is multiplied by to be time of all its jobs, or of all its teams.
    mean_weight
        What a job's gain counts in the mean.
    """

    lp: LinearProgram
    alone: Triples
    slices: Triples
    shares: Triples
    columns: Codes
    rows: Codes
    unit: Floats
    mean_weight: float


class _Entries:
    """The matrix, entry by entry; rows and columns are added block by block."""

    def __init__(self) -> None:
        self.parts: list[tuple[Ints, Ints, Floats]] = []

    def add(self, row: Ints, column: Ints, value: Floats) -> None:
        self.parts.append((row, column, value))

    def by_columns(self, columns: int) -> tuple[Ints, Ints, Floats]:
        row, column, value = (np.concatenate([part[k] for part in self.parts]) for k in range(3))
        order = np.argsort(column, kind="stable")
        start = np.zeros(columns + 1, dtype=np.int32)
        np.cumsum(np.bincount(column, minlength=columns), out=start[1:])
        return start, row[order].astype(np.int32), value[order]


def slices_of(crowd: Crowd, shares: Bools) -> Bools:
    """Return (K, K, W) which slices there are, first kind <= second, with the shares (C, K, W) that there are.

    A kind of equal jobs has its part in every slice; another one only where some class has a share.
    """
    has = np.logical_or.reduceat(np.where(crowd.single[crowd.kind, None, None], crowd.usable, shares), crowd.first)
    both: Bools = has & has.transpose(1, 0, 2)
    return both & (np.arange(crowd.kinds)[:, None] <= np.arange(crowd.kinds))[:, :, None]


def program(
    crowd: Crowd, capacity: Floats, goal: Goal, shares: Bools, halves: Bools, names: tuple[Ints, Ints]
) -> Program:
    """Return the program with some of the shares.

    Parameters
    ----------
    crowd
        Who there is.
    capacity
        (W,) GPUs of each type.
    goal
        What is to be maximised.
    shares
        (C, K, W) which shares there are, of kinds of several classes.
    halves
        (C, W) which classes of one job get the row that no job is its own partner.
    names
        (K,) and (C,) by which kinds and classes are known again.
    """
    return _Writer(crowd, capacity, goal, names).written(shares, halves)


class _Writer:
    """Writes one program down."""

    def __init__(self, crowd: Crowd, capacity: Floats, goal: Goal, names: tuple[Ints, Ints]) -> None:
        self.crowd, self.capacity, self.goal = crowd, capacity, goal
        self.kind_name, self.class_name = names
        self.scale = _gain_scale(crowd, capacity, goal)
        self.row_scale = (crowd.most / self.scale).clip(_LEAST_ROW_SCALE, _MOST_ROW_SCALE)
        self.entries = _Entries()
        self.gpus = np.where(capacity > 0.0, capacity, 1.0)

    def written(self, shares: Bools, halves: Bools) -> Program:
        crowd = self.crowd
        alone = Triples(*(lambda c, j: (c, c, j))(*np.nonzero(crowd.gain > 0.0)))
        listed = Triples.where(shares & ~crowd.single[crowd.kind, None, None])
        slices = Triples.where(slices_of(crowd, shares))
        sizes = [alone.kind.size, slices.kind.size, listed.kind.size, 1]
        begin = np.concatenate(([0], np.cumsum(sizes)))
        self.classes = crowd.classes
        self.cost = np.zeros(begin[-1])
        unit = np.ones(begin[-1])
        unit[: begin[1]] = crowd.size[alone.first]
        unit[begin[1] : begin[2]] = self._most_time(slices)
        unit[begin[2] : begin[3]] = crowd.size[listed.first]
        column = np.arange(begin[-1])
        self._time_of(alone.first, column[: begin[1]], np.ones(sizes[0]), crowd.gain[alone.first, alone.kind])
        rate = crowd.rate[crowd.kind[listed.first], listed.second, listed.kind]
        self._time_of(listed.first, column[begin[2] : begin[3]], np.ones(sizes[2]), crowd.factor[listed.first] * rate)
        self._gpus_of(alone.kind, column[: begin[1]], crowd.use[alone.first] * unit[: begin[1]])
        use = crowd.use[crowd.first[slices.first]]
        self._gpus_of(slices.kind, column[begin[1] : begin[2]], use * unit[begin[1] : begin[2]])
        sums = self._parts(slices, listed, column[begin[1] : begin[3]], unit[begin[1] : begin[3]])
        halved = self._halves(halves, slices, listed, column[begin[1] : begin[3]], unit[begin[1] : begin[3]])
        rising = np.flatnonzero(self.goal.rising)
        self.entries.add(rising, np.full(rising.size, begin[3]), -1.0 / self.row_scale[rising])
        self.cost[begin[3]] = crowd.classes
        self.rows = 2 * crowd.classes + capacity_rows(self.capacity)
        blocks = dict(zip(("alone", "slices", "shares", "level"), map(slice, begin[:-1], begin[1:]), strict=True))
        lp = self._lp(blocks, sums.kind.size, halved.kind.size)
        columns, rows = self._columns(alone, slices, listed), self._rows(sums, halved)
        mean_weight = self.goal.linear / crowd.of_job.size
        return Program(lp, alone, slices, listed, columns, rows, unit, mean_weight)

    def _most_time(self, slices: Triples) -> Floats:
        """Return the most time that teams of each slice can have: the jobs of the smaller kind, or half of one kind."""
        jobs = self.crowd.jobs_of_kind
        most = np.minimum(jobs[slices.first], jobs[slices.second])
        return np.where(slices.first == slices.second, 0.5 * most, most)

    def _time_of(self, owner: Ints, column: Ints, time: Floats, gain: Floats) -> None:
        """Enter ``time`` of a job of each ``owner`` in its time row, and ``gain`` in its gain row and the objective."""
        scaled = gain * time / self.scale
        self.entries.add(owner, column, scaled / self.row_scale[owner])
        self.entries.add(self.classes + owner, column, time)
        if self.goal.linear:
            weight = self.goal.linear * self.classes / self.crowd.size.sum()
            self.cost += np.bincount(column, weight * self.crowd.size[owner] * scaled, self.cost.size)

    def _gpus_of(self, kind: Ints, column: Ints, gpus: Floats) -> None:
        """Enter GPUs in the capacity rows."""
        self.entries.add(2 * self.classes + kind, column, gpus / self.gpus[kind])

    def _parts(self, slices: Triples, shares: Triples, column: Ints, unit: Floats) -> Triples:
        """Enter who has which part of each slice; return the rows of sums, (kind, partner, type)."""
        crowd, count = self.crowd, slices.kind.size
        within = slices.first == slices.second
        summed = np.zeros(crowd.rate.shape, dtype=np.bool_)
        sides = ((slices.first, slices.second, np.ones(count, dtype=np.bool_)), (slices.second, slices.first, ~within))
        for own, other, there in sides:
            plain = np.flatnonzero(there & crowd.single[own])
            owner = crowd.first[own[plain]]
            time = unit[plain] * np.where(within[plain], 2.0, 1.0) / crowd.size[owner]
            rate = crowd.rate[own[plain], other[plain], slices.kind[plain]]
            self._time_of(owner, column[plain], time, crowd.factor[owner] * rate)
            parted = there & ~crowd.single[own]
            summed[own[parted], other[parted], slices.kind[parted]] = True
        rows = Triples.where(summed)
        number = np.full(summed.shape, -1, dtype=np.intp)
        number[summed] = 2 * crowd.classes + capacity_rows(self.capacity) + np.arange(rows.kind.size)
        for own, other, there in sides:
            parted = np.flatnonzero(there & ~crowd.single[own])
            row = number[own[parted], other[parted], slices.kind[parted]]
            self.entries.add(row, column[parted], np.where(within[parted], -2.0, -1.0))
        row = number[crowd.kind[shares.first], shares.second, shares.kind]
        inside = row >= 0  # a share without its slice may not be
        self.entries.add(row[inside], column[count:][inside], unit[count:][inside] / self._per_slice(shares)[inside])
        return rows

    def _per_slice(self, shares: Triples) -> Floats:
        """Return the unit of the slice that each share is a part of."""
        return self._most_time(Triples(self.crowd.kind[shares.first], shares.second, shares.kind))

    def _halves(self, halves: Bools, slices: Triples, shares: Triples, column: Ints, unit: Floats) -> Triples:
        """Enter that the share of one job in pairs of its own kind is at most the slice; return these rows."""
        crowd, count = self.crowd, slices.kind.size
        own = (shares.second == crowd.kind[shares.first]) & halves[shares.first, shares.kind]
        rows = Triples(shares.first[own], shares.second[own], shares.kind[own])
        place = np.full(crowd.rate.shape, -1, dtype=np.intp)
        place[slices.first, slices.second, slices.kind] = column[:count]
        sliced = place[rows.second, rows.second, rows.kind]
        self.first_half = 2 * crowd.classes + capacity_rows(self.capacity)
        self._half_rows = (column[count:][own], unit[count:][own] / self._per_slice(rows), sliced)
        return rows

    def _lp(self, blocks: Mapping[str, slice], sums: int, halved: int) -> LinearProgram:
        crowd, classes, types = self.crowd, self.classes, self.capacity.size
        first = 2 * classes + types + sums
        if halved:
            own, value, sliced = self._half_rows
            row = first + np.arange(halved)
            self.entries.add(row, own, value)
            self.entries.add(row, sliced, np.full(halved, -1.0))
        start, index, value = self.entries.by_columns(self.cost.size)
        rows = first + halved
        lower, upper = np.full(rows, -INFINITE), np.full(rows, INFINITE)
        lower[:classes] = self.goal.floor / (self.scale * self.row_scale)
        upper[classes : 2 * classes] = 1.0
        upper[2 * classes : 2 * classes + types] = self.capacity / self.gpus
        lower[2 * classes + types : first] = upper[2 * classes + types :] = 0.0
        names = ("gain", "time", "capacity", "sums", "halves")
        ends = np.cumsum([0, classes, classes, types, sums, halved])
        return LinearProgram(
            self.cost,
            np.zeros(self.cost.size),
            np.full(self.cost.size, INFINITE),
            lower,
            upper,
            start,
            index,
            value,
            np.zeros(self.cost.size, dtype=np.int32),
            (crowd.of_job.size, types),
            blocks,
            dict(zip(names, map(slice, ends[:-1], ends[1:]), strict=True)),
            {},
            self._to_duals(),
            self.scale,
        )

    def _to_duals(self) -> Callable[[Mapping[str, Floats]], Duals]:
        """Return what makes duals by job, of an objective with t once, of those of the scaled rows."""
        crowd, unit = self.crowd, self.scale / self.classes
        row_scale, gpus = self.row_scale, self.gpus

        def to_duals(rows: Mapping[str, Floats]) -> Duals:
            weight = rows["gain"] / (-self.classes * row_scale * crowd.size)
            time = rows["time"] * (unit / crowd.size)
            return Duals(rows["capacity"] * unit / gpus, weight[crowd.of_job], time[crowd.of_job])

        return to_duals

    def _columns(self, alone: Triples, slices: Triples, shares: Triples) -> Codes:
        """Return the codes of the columns: a kind of equal jobs goes by its own name."""
        kind, own = self.kind_name, self._own_names()
        return np.concatenate((
            mixed(_ALONE, own[alone.first], alone.kind),
            mixed(_SLICE, kind[slices.first], kind[slices.second], slices.kind),
            mixed(_SHARE, own[shares.first], kind[shares.second], shares.kind),
            mixed(np.array([_LEVEL])),
        ))  # fmt: skip

    def _rows(self, sums: Triples, halved: Triples) -> Codes:
        kind, own = self.kind_name, self._own_names()
        return np.concatenate((
            mixed(_GAIN, own),
            mixed(_TIME, own),
            mixed(_CAPACITY, np.arange(self.capacity.size)),
            mixed(_SUM, kind[sums.first], kind[sums.second], sums.kind),
            mixed(_HALF, own[halved.first], halved.kind),
        ))  # fmt: skip

    def _own_names(self) -> Ints:
        """Return (C,) what each class is known by: its kind, where that has no other, else its own name."""
        crowd = self.crowd
        plain = crowd.single[crowd.kind]
        return np.where(plain, -1 - self.kind_name[crowd.kind], self.class_name)


def capacity_rows(capacity: Floats) -> int:
    """Return how many capacity rows there are."""
    return capacity.size


def _gain_scale(crowd: Crowd, capacity: Floats, goal: Goal) -> float:
    """Return a gain that the level is near: the least under equal shares of each type, or else the largest of all."""
    share = np.minimum(1.0, capacity / float(crowd.size @ crowd.use))
    share /= max(1.0, float(share.sum()))
    least = float((crowd.gain @ share)[goal.rising].min(initial=np.inf))
    return least if 0.0 < least < np.inf else float(crowd.most.max(initial=0.0)) or 1.0
