"""The linear program of packing, over kinds: how much of which kinds of pairs, and what part each class has in it.

Variables, all at least 0: time alone (class c, type j), the *slices* (kinds a <= b, type j), each the total time of
pairs of these kinds, and, where a kind has several classes, the *shares* (class c, kind b, type j), the time that jobs
of class c spend beside jobs of kind b. Where moving costs, what stays where it was, see
`phasewise.solvers.packing.staying`. And t, the level::

    max  t + linear term - movement cost
    s.t. mean gain of each class - t >= 0            C gain rows
         mean time of each class <= 1                C time rows
         GPUs of each type <= N_j                    W capacity rows
         time kept <= time on its type               a row for each class and type with time that can stay
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

from phasewise.solvers.lp import INFINITE, Int32s, LinearProgram
from phasewise.solvers.packing.codes import Codes, mixed
from phasewise.solvers.packing.crowd import Bools, Crowd, Floats, Ints
from phasewise.solvers.packing.staying import Staying
from phasewise.solvers.proofs import Duals

_LEAST_ROW_SCALE: Final = 1e-6
_MOST_ROW_SCALE: Final = 1e6
_ALONE, _SLICE, _SHARE, _LEVEL, _GAIN, _TIME, _CAPACITY, _SUM, _HALF, _KEPT, _STAYS = range(11)  # what a code is of


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
        The arrays, with blocks alone, slices, shares, kept and level.
    alone
        (class, the same class, type) of each column of time alone.
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


class Entries:
    """The matrix, entry by entry; rows and columns are added block by block."""

    def __init__(self) -> None:
        self.parts: list[tuple[Ints, Ints, Floats]] = []

    def add(self, row: Ints, column: Ints, value: Floats) -> None:
        """Add entries: three arrays of one length."""
        self.parts.append((row, column, value))

    def by_columns(self, columns: int) -> tuple[Int32s, Int32s, Floats]:
        """Return all entries by columns: start (n + 1,), row and value."""
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
    return _Writer(crowd, capacity, goal, names, shares).written(halves)


class _Writer:
    """Writes one program down: columns first, then what each has in which row.

    Parameters
    ----------
    crowd, capacity, goal, known
        As `program` takes them, the last one as ``names``.
    shares
        (C, K, W) which shares there are.
    """

    def __init__(self, crowd: Crowd, capacity: Floats, goal: Goal, known: tuple[Ints, Ints], shares: Bools) -> None:
        self.crowd, self.capacity, self.goal = crowd, capacity, goal
        self.scale = _gain_scale(crowd, capacity, goal)
        self.row_scale = (crowd.most / self.scale).clip(_LEAST_ROW_SCALE, _MOST_ROW_SCALE)
        self.gpus = np.where(capacity > 0.0, capacity, 1.0)
        self.kind_name = known[0]
        plain = crowd.single[crowd.kind]
        self.class_name = np.where(plain, -1 - known[0][crowd.kind], known[1])  # equal jobs go by their kind
        self.staying = Staying(crowd, crowd.classes / self.scale)
        owner, on = np.nonzero((crowd.gain > 0.0) | crowd.stays)
        self.alone = Triples(owner, owner, on)
        sliced = slices_of(crowd, shares)
        self.slices = Triples.where(sliced)
        both = (sliced | sliced.transpose(1, 0, 2))[crowd.kind]  # a share without its slice would be time for nothing
        self.shares = Triples.where(shares & both & ~plain[:, None, None])
        kept = self.staying.owner
        ends = np.cumsum([0, *(each.kind.size for each in (self.alone, self.slices, self.shares)), kept.size, 1])
        names = ("alone", "slices", "shares", "kept", "level")
        self.column = dict(zip(names, map(slice, ends[:-1], ends[1:]), strict=True))
        self.number = np.arange(ends[-1])
        self.cost = np.zeros(ends[-1])
        self.unit = np.concatenate((
            crowd.size[self.alone.first], self._most_time(self.slices), crowd.size[self.shares.first],
            crowd.size[kept], [1.0],
        ))  # fmt: skip
        self.entries = Entries()
        first = 2 * crowd.classes + capacity.size
        self.stays = slice(first, first + kept.size)
        self.rows = self.stays.stop

    def written(self, halves: Bools) -> Program:
        """Return the program, with the rows of ``halves`` (C, W)."""
        crowd, alone, shares = self.crowd, self.alone, self.shares
        gain = crowd.gain[alone.first, alone.kind]
        self._job_entries(alone.first, alone.kind, self.number[self.column["alone"]], 1.0, gain)
        gain = crowd.factor[shares.first] * crowd.rate[crowd.kind[shares.first], shares.second, shares.kind]
        self._job_entries(shares.first, shares.kind, self.number[self.column["shares"]], 1.0, gain)
        self._gpu_entries("alone", alone.kind, crowd.use[alone.first])
        self._gpu_entries("slices", self.slices.kind, crowd.use[crowd.first[self.slices.first]])
        self._slice_entries()
        self._kept_entries()
        sums = self._sum_rows()
        halved = self._half_rows(halves)
        rising = np.flatnonzero(self.goal.rising)
        level = self.column["level"].start
        self.entries.add(rising, np.full(rising.size, level), -1.0 / self.row_scale[rising])
        self.cost[level] = crowd.classes
        return Program(
            self._lp(sums.kind.size, halved.kind.size),
            alone,
            self.slices,
            shares,
            self._column_codes(),
            self._row_codes(sums, halved),
            self.unit,
            self.goal.linear / crowd.of_job.size,
        )

    def _most_time(self, slices: Triples) -> Floats:
        """Return the most time that teams of each slice can have: the jobs of the smaller kind, or half of one kind."""
        jobs = self.crowd.jobs_of_kind
        most = np.minimum(jobs[slices.first], jobs[slices.second])
        return np.where(slices.first == slices.second, 0.5 * most, most)

    def _job_entries(self, owner: Ints, on: Ints, column: Ints, time: Floats | float, gain: Floats) -> None:
        """Enter ``time`` of each ``owner``'s jobs on a type, with a ``gain`` a unit of it in gain row and objective."""
        if (price := self.staying.price(owner, on)) is not None:
            self.cost -= np.bincount(column, price * time, self.cost.size)
            there, row = self.staying.entries(owner, on)
            self.entries.add(self.stays.start + row, column[there], (time * np.ones(owner.size))[there])
        scaled = gain * time / self.scale
        self.entries.add(owner, column, scaled / self.row_scale[owner])
        self.entries.add(self.crowd.classes + owner, column, time * np.ones(owner.size))
        if self.goal.linear:
            weight = self.goal.linear * self.crowd.classes / self.crowd.of_job.size
            self.cost += np.bincount(column, weight * self.crowd.size[owner] * scaled, self.cost.size)

    def _gpu_entries(self, block: str, on: Ints, use: Floats) -> None:
        """Enter the GPUs of a block's columns in the capacity rows."""
        column = self.column[block]
        gpus = use * self.unit[column] / self.gpus[on]
        self.entries.add(2 * self.crowd.classes + on, self.number[column], gpus)

    def _sides(self) -> tuple[tuple[Ints, Ints, Ints], tuple[Ints, Ints, Ints]]:
        """Return (slice, own kind, other kind) of either side of the slices; within a kind there is one side."""
        slices = self.slices
        every, between = np.arange(slices.kind.size), np.flatnonzero(slices.first != slices.second)
        return (every, slices.first, slices.second), (between, slices.second[between], slices.first[between])

    def _slice_entries(self) -> None:
        """Enter each slice as time and gain of the kinds of equal jobs."""
        crowd, column = self.crowd, self.column["slices"]
        for place, own, other in self._sides():
            plain = crowd.single[own]
            owner, mine, theirs = crowd.first[own[plain]], own[plain], other[plain]
            of_kind = place[plain]
            time = self.unit[column][of_kind] * np.where(mine == theirs, 2.0, 1.0) / crowd.size[owner]
            on = self.slices.kind[of_kind]
            rate = crowd.rate[mine, theirs, on]
            self._job_entries(owner, on, self.number[column][of_kind], time, crowd.factor[owner] * rate)

    def _kept_entries(self) -> None:
        """Enter what stays where it was: no more than there is, and what it saves."""
        column = self.column["kept"]
        self.entries.add(self._numbered(self.stays), self.number[column], -np.ones(column.stop - column.start))
        self.cost[column] = self.staying.saved

    @staticmethod
    def _numbered(rows: slice) -> Ints:
        return np.arange(rows.start, rows.stop)

    def _sum_rows(self) -> Triples:
        """Enter that shares add up to their slice; return these rows, (kind, partner, type)."""
        crowd, shares, column = self.crowd, self.shares, self.column["slices"]
        parted = [np.flatnonzero(~crowd.single[own]) for _, own, _ in self._sides()]
        sides = [tuple(part[keep] for part in side) for side, keep in zip(self._sides(), parted, strict=True)]
        summed = np.zeros(crowd.rate.shape, dtype=np.bool_)
        for place, own, other in sides:
            summed[own, other, self.slices.kind[place]] = True
        rows = Triples.where(summed)
        number = np.zeros(summed.shape, dtype=np.intp)
        number[summed] = self.rows + np.arange(rows.kind.size)
        self.rows += rows.kind.size
        for place, own, other in sides:
            row = number[own, other, self.slices.kind[place]]
            self.entries.add(row, self.number[column][place], np.where(own == other, -2.0, -1.0))
        row = number[crowd.kind[shares.first], shares.second, shares.kind]
        mine = self.column["shares"]
        self.entries.add(row, self.number[mine], self.unit[mine] / self._slice_unit(shares))
        return rows

    def _slice_unit(self, shares: Triples) -> Floats:
        """Return the unit of the slice that each share is a part of."""
        return self._most_time(Triples(self.crowd.kind[shares.first], shares.second, shares.kind))

    def _half_rows(self, halves: Bools) -> Triples:
        """Enter that the share of one job in pairs of its own kind is at most the slice; return these rows."""
        crowd, shares, slices = self.crowd, self.shares, self.slices
        own = np.flatnonzero((shares.second == crowd.kind[shares.first]) & halves[shares.first, shares.kind])
        rows = Triples(*(part[own] for part in shares))
        place = np.full(crowd.rate.shape, -1, dtype=np.intp)
        place[slices.first, slices.second, slices.kind] = self.number[self.column["slices"]]
        column = self.column["shares"]
        row = self.rows + np.arange(own.size)
        self.rows += own.size
        self.entries.add(row, self.number[column][own], self.unit[column][own] / self._slice_unit(rows))
        self.entries.add(row, place[rows.second, rows.second, rows.kind], np.full(own.size, -1.0))
        return rows

    def _lp(self, sums: int, halved: int) -> LinearProgram:
        """Return the arrays."""
        classes, types, columns = self.crowd.classes, self.capacity.size, self.cost.size
        kept = self.column["kept"]
        ends = np.cumsum([0, classes, classes, types, kept.stop - kept.start, sums, halved])
        names = ("gain", "time", "capacity", "stays", "sums", "halves")
        rows = dict(zip(names, map(slice, ends[:-1], ends[1:]), strict=True))
        lower, upper = np.full(self.rows, -INFINITE), np.full(self.rows, INFINITE)
        lower[rows["gain"]] = self.goal.floor / (self.scale * self.row_scale)
        upper[rows["time"]] = 1.0
        upper[rows["capacity"]] = self.capacity / self.gpus
        lower[rows["stays"]] = 0.0
        most = np.full(columns, INFINITE)
        most[kept] = self.staying.most
        lower[rows["sums"]] = upper[rows["sums"]] = upper[rows["halves"]] = 0.0
        start, index, value = self.entries.by_columns(columns)
        return LinearProgram(
            self.cost,
            np.zeros(columns),
            most,
            lower,
            upper,
            start,
            index,
            value,
            np.zeros(columns, dtype=np.int32),
            (self.crowd.of_job.size, types),
            self.column,
            rows,
            {},
            self._to_duals(),
            self.scale,
        )

    def _to_duals(self) -> Callable[[Mapping[str, Floats]], Duals]:
        """Return what makes duals by job, of an objective with t once, of those of the scaled rows."""
        crowd, unit = self.crowd, self.scale / self.crowd.classes
        row_scale, gpus, staying = self.row_scale, self.gpus, self.staying

        def to_duals(rows: Mapping[str, Floats]) -> Duals:
            weight = rows["gain"] / (-crowd.classes * row_scale * crowd.size)
            time = rows["time"] * (unit / crowd.size)
            kept = np.zeros(crowd.gain.shape)
            kept[staying.owner, staying.on] = rows["stays"] * (-unit / crowd.size[staying.owner])
            by_job = None if crowd.moving is None else kept[crowd.of_job]
            return Duals(rows["capacity"] * unit / gpus, weight[crowd.of_job], time[crowd.of_job], kept=by_job)

        return to_duals

    def _column_codes(self) -> Codes:
        """Return the codes of the columns."""
        kind, own, alone, slices, shares = self.kind_name, self.class_name, self.alone, self.slices, self.shares
        return np.concatenate((
            mixed(_ALONE, own[alone.first], alone.kind),
            mixed(_SLICE, kind[slices.first], kind[slices.second], slices.kind),
            mixed(_SHARE, own[shares.first], kind[shares.second], shares.kind),
            mixed(_KEPT, own[self.staying.owner], self.staying.on),
            mixed(np.array([_LEVEL])),
        ))  # fmt: skip

    def _row_codes(self, sums: Triples, halved: Triples) -> Codes:
        """Return the codes of the rows."""
        kind, own = self.kind_name, self.class_name
        return np.concatenate((
            mixed(_GAIN, own),
            mixed(_TIME, own),
            mixed(_CAPACITY, np.arange(self.capacity.size)),
            mixed(_STAYS, own[self.staying.owner], self.staying.on),
            mixed(_SUM, kind[sums.first], kind[sums.second], sums.kind),
            mixed(_HALF, own[halved.first], halved.kind),
        ))  # fmt: skip


def _gain_scale(crowd: Crowd, capacity: Floats, goal: Goal) -> float:
    """Return a gain that the level is near: the least under equal shares of each type, or else the largest of all."""
    share = np.minimum(1.0, capacity / float(crowd.size @ crowd.use))
    share /= max(1.0, float(share.sum()))
    least = float((crowd.gain @ share)[goal.rising].min(initial=np.inf))
    return least if 0.0 < least < np.inf else float(crowd.most.max(initial=0.0)) or 1.0
