"""Jobs whose kinds differ in speed, and the jobs of a kind in how much they need: a program of kinds alone.

Jobs of a kind have the same speeds here, v_q, beside whomever and alone, and job i needs the mean speed n_i. Let Y_q be
the time that all jobs of a kind together have at speed v_q. By the theorem of Hardy, Littlewood and Polya it can be
split among them, each with time for 1 at most and its n_i, if and only if for every speed v

    sum_i max(n_i - v, 0)  <=  sum_q Y_q max(v_q - v, 0)         and   sum_q Y_q <= jobs of the kind

Either side is a line between two of its kinks, the left one with kinks at the needs, the right one at the speeds: so it
is enough that it holds at the speeds v_q, and at 0. Rows are added as they are violated. That nobody is his own partner
is not a part of it: `phasewise.solvers.packing.splitting`, which splits Y, sees to that.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.solvers.highs import HighsModel, HighsOutcome
from phasewise.solvers.lp import INFINITE, LinearProgram
from phasewise.solvers.packing.bases import basic_codes, started
from phasewise.solvers.packing.codes import Codes, mixed
from phasewise.solvers.packing.crowd import Crowd, Floats, Ints, Keys
from phasewise.solvers.packing.program import Entries, Triples
from phasewise.solvers.proofs import Duals

_SAME: Final = 1e-12  # relative: speeds of two jobs of a kind that differ by rounding alone
_HOLDS: Final = 1e-12  # of what is asked for: by how much a row may be violated
_ALONE, _SLICE, _LEVEL, _TIME, _CAPACITY, _PROFILE = range(20, 26)  # what a code is of


class Rows(NamedTuple):
    """Speeds at which kinds have a row: two arrays of one length.

    Attributes
    ----------
    kind
        (P,) which kind.
    speed
        (P,) steps a unit of time.
    """

    kind: Ints
    speed: Floats


class Left(NamedTuple):
    """What a problem leaves to the next.

    Attributes
    ----------
    basis
        Codes of what was basic.
    name, speed
        (P,) the rows that it had, by the names of their kinds.
    level
        The ratio.
    """

    basis: Codes
    name: Keys
    speed: Floats
    level: float


class Profile(NamedTuple):
    """The optimum: the time of kinds.

    Attributes
    ----------
    level
        The ratio.
    need
        (C,) the mean speed that each class needs for it.
    alone
        (K, W) time alone of all jobs of a kind.
    slices, total
        (kind, kind, type) of the slices, and (S,) the time of each.
    duals
        Of gains in speed, by job.
    programs, iterations
        How many programs it took, and iterations of all of them.
    left
        What the next problem may start from.
    """

    level: float
    need: Floats
    alone: Floats
    slices: Triples
    total: Floats
    duals: Duals
    programs: int
    iterations: int
    left: Left


def has_profiles(crowd: Crowd) -> bool:
    """Return whether jobs of every kind differ in what they need alone, and those of some kind do."""
    if crowd.moving is not None or crowd.single.all() or not (crowd.most > 0.0).all():
        return False
    model = crowd.first[crowd.kind]
    if not (crowd.open == crowd.open[model]).all():
        return False
    speed = crowd.gain / crowd.factor[:, None]
    return bool((np.abs(speed - speed[model]) <= _SAME * speed[model]).all())


class ProfileSolver:
    """Solves problems over kinds; owns a HiGHS object.

    Parameters
    ----------
    backend, options
        As `HighsModel` takes them.
    """

    def __init__(self, backend: str, options: dict[str, object]) -> None:
        self._model = HighsModel(backend, options)

    def run(
        self, lp: LinearProgram, codes: tuple[Codes, Codes], basis: Codes | None
    ) -> tuple[HighsOutcome, Codes | None]:
        """Solve a program from the ``basis`` of another one; return what it came to, and its own."""
        self._model.load(lp)
        if basis is not None:
            self._model.start_from(started(lp, *codes, basis))
        self._model.run()
        return self._model.outcome(), basic_codes(self._model, *codes)

    def outcome(self, lp: LinearProgram) -> HighsOutcome:
        """Return what a program comes to that no other one is like."""
        self._model.load(lp)
        self._model.run()
        return self._model.outcome()


def both(rows: Rows, more: Rows) -> Rows:
    """Return the rows of both, each once."""
    kind, speed = np.append(rows.kind, more.kind), np.append(rows.speed, more.speed)
    order = np.lexsort((speed, kind))
    kind, speed = kind[order], speed[order]
    new = np.append(True, (kind[1:] != kind[:-1]) | (speed[1:] != speed[:-1]))
    return Rows(kind[new], speed[new])


class Kinds:
    """The program of the kinds of a crowd.

    Parameters
    ----------
    crowd, capacity
        As `ProfileSolver.optimum` takes them.
    """

    def __init__(self, crowd: Crowd, capacity: Floats) -> None:
        self.crowd, self.capacity = crowd, capacity
        self.jobs = crowd.jobs_of_kind
        first = crowd.first
        self.alone = Triples.where((crowd.gain[first] > 0.0)[:, None, :])
        usable = crowd.usable[first]
        usable = usable & usable.transpose(1, 0, 2)
        kinds = np.arange(crowd.kinds)
        self.slices = Triples.where(usable & (kinds[:, None] <= kinds)[:, :, None])
        one, other = self.slices.first, self.slices.second
        within = one == other
        most = np.minimum(self.jobs[one], self.jobs[other])
        self.unit = np.concatenate((self.jobs[self.alone.first], np.where(within, 0.5, 1.0) * most))
        self.columns = self.alone.kind.size + one.size
        self._options(first)
        self.asks(1.0 / crowd.factor)

    def asks(self, need: Floats) -> None:
        """Set what each class (C,) needs at a level of 1."""
        self.need = need
        self.order = np.lexsort((-need, self.crowd.kind))  # classes by kind, the neediest first

    def _options(self, first: Ints) -> None:
        """Note who has which speed in which column: the members of a slice one by one."""
        crowd, alone, (one, other, on) = self.crowd, self.alone, self.slices
        slices = alone.kind.size + np.arange(one.size)
        between = np.flatnonzero(one != other)
        model = first[alone.first]
        self.owner = np.concatenate((alone.first, one, other[between]))
        self.column = np.concatenate((np.arange(alone.kind.size), slices, slices[between]))
        self.speed = np.concatenate((
            crowd.gain[model, alone.kind] / crowd.factor[model],
            crowd.rate[one, other, on],
            crowd.rate[other[between], one[between], on[between]],
        ))  # fmt: skip
        twice = np.where(one == other, 2.0, 1.0)  # within a kind both members are its own
        self.times = np.concatenate((np.ones(alone.kind.size), twice, np.ones(between.size)))

    def first_rows(self, left: Left | None) -> Rows:
        """Return the rows to begin with: that all needs are met on the whole, and those of the last problem."""
        kinds = np.arange(self.crowd.kinds)
        rows = Rows(kinds, np.zeros(kinds.size))
        if left is None:
            return rows
        place = np.searchsorted(self.crowd.name, left.name).clip(max=kinds.size - 1)
        known = self.crowd.name[place] == left.name
        return both(rows, Rows(place[known], left.speed[known]))

    def asked(self, rows: Rows) -> Rows:
        """Return those of ``rows`` of whose kind some job needs more than their speed."""
        most = np.maximum.reduceat(self.need, self.crowd.first)
        there = most[rows.kind] > rows.speed
        return Rows(rows.kind[there], rows.speed[there])

    def sums(self, rows: Rows, *of: Floats) -> list[Floats]:
        """Return (P,) sums of each ``of`` (C,) over the jobs of each row's kind that need more than its speed."""
        crowd, order = self.crowd, self.order
        need, ends = -self.need[order], np.append(crowd.first[1:], crowd.classes)
        begin = crowd.first[rows.kind]
        places = zip(begin.tolist(), ends[rows.kind].tolist(), (-rows.speed).tolist(), strict=True)
        end = begin + np.array([np.searchsorted(need[one:other], speed) for one, other, speed in places], dtype=np.intp)
        whole = [np.append(0.0, np.cumsum((crowd.size * each)[order])) for each in of]
        return [each[end] - each[begin] for each in whole]

    def program(self, rows: Rows, rise: Floats) -> LinearProgram:
        """Return the program with ``rows``: what is needed, and the most times ``rise`` (P,) of it more; or less."""
        scale, count = self.sums(rows, self.need, np.ones(self.need.size))
        least = scale - rows.speed * count
        crowd, types = self.crowd, self.capacity.size
        gpus = np.where(self.capacity > 0.0, self.capacity, 1.0)
        entries, used = Entries(), self.times * self.unit[self.column]
        entries.add(self.owner, self.column, used / self.jobs[self.owner])
        on = np.concatenate((self.alone.kind, self.slices.kind))
        use = crowd.use[crowd.first[np.concatenate((self.alone.first, self.slices.first))]]
        entries.add(crowd.kinds + on, np.arange(self.columns), use * self.unit / gpus[on])
        before = crowd.kinds + types
        for place, (kind, speed) in enumerate(zip(rows.kind.tolist(), rows.speed.tolist(), strict=True)):
            own = np.flatnonzero((self.owner == kind) & (self.speed > speed))
            gained = used[own] * (self.speed[own] - speed) / scale[place]
            entries.add(np.full(own.size, before + place), self.column[own], gained)
        entries.add(before + np.arange(scale.size), np.full(scale.size, self.columns), -rise)
        lower, upper = np.full(before + scale.size, -INFINITE), np.full(before + scale.size, INFINITE)
        upper[: crowd.kinds], upper[crowd.kinds : before] = 1.0, self.capacity / gpus
        lower[before:] = least / scale
        start, index, value = entries.by_columns(self.columns + 1)
        cost, most = np.zeros(self.columns + 1), np.full(self.columns + 1, INFINITE)
        cost[-1] = 1.0
        least_of = np.zeros(cost.size)
        least_of[-1] = -INFINITE
        names = {"time": slice(0, crowd.kinds), "capacity": slice(crowd.kinds, before), "profile": slice(before, None)}
        return LinearProgram(
            cost, least_of, most, lower, upper, start, index, value, np.zeros(cost.size, dtype=np.int32),
            (crowd.of_job.size, types), {}, names, {}, lambda _: Duals(),
        )  # fmt: skip

    def codes(self, rows: Rows) -> tuple[Codes, Codes]:
        """Return the codes of the columns, and of the rows, of the program with ``rows``."""
        name = self.crowd.name
        columns = np.concatenate((
            mixed(_ALONE, name[self.alone.first], self.alone.kind),
            mixed(_SLICE, name[self.slices.first], name[self.slices.second], self.slices.kind),
            mixed(np.array([_LEVEL])),
        ))  # fmt: skip
        return columns, np.concatenate((
            mixed(_TIME, name),
            mixed(_CAPACITY, np.arange(self.capacity.size)),
            mixed(_PROFILE, name[rows.kind], rows.speed.view(np.uint64)),
        ))  # fmt: skip

    def violated(self, time: Floats) -> Rows:
        """Return the rows that the ``time`` of the columns violates, of all that there could be."""
        used = self.times * time[self.column]
        there = np.flatnonzero(used > 0.0)
        kinds = np.arange(self.crowd.kinds)
        every = Rows(np.append(kinds, self.owner[there]), np.append(np.zeros(kinds.size), self.speed[there]))
        needed, count = self.sums(every, self.need, np.ones(self.need.size))
        mine = every.kind[:, None] == self.owner[there]
        has = (np.maximum(self.speed[there] - every.speed[:, None], 0.0) * mine) @ used[there]
        lacks = needed - every.speed * count > has + _HOLDS * needed
        return Rows(every.kind[lacks], every.speed[lacks])

    def duals(self, row_duals: Floats, lp: LinearProgram, rows: Rows, price: Floats) -> Duals:
        """Return the duals by job, of gains in speed, where rows of what is needed now have a ``price`` (P,)."""
        crowd = self.crowd
        gpus = np.where(self.capacity > 0.0, self.capacity, 1.0)
        needier = (rows.kind == crowd.kind[:, None]) & (self.need[:, None] > rows.speed)
        weight = needier @ price
        spent = np.maximum(row_duals[lp.rows["time"]], 0.0) / self.jobs
        time = spent[crowd.kind] + needier @ (price * rows.speed)
        capacity = np.maximum(row_duals[lp.rows["capacity"]], 0.0) / gpus
        return Duals(capacity, weight[crowd.of_job], time[crowd.of_job])

    def split(self, time: Floats) -> tuple[Floats, Floats]:
        """Return the ``time`` of the columns as (K, W) time of kinds alone, and (S,) that of slices."""
        alone = np.zeros((self.crowd.kinds, self.capacity.size))
        alone[self.alone.first, self.alone.kind] = time[: self.alone.kind.size]
        return alone, time[self.alone.kind.size :]
