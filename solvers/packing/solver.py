"""Solves the program of packing, with no more shares than it takes, and makes teams of what comes out.

Where all jobs of every kind are equal, the program is small and solved at once. Otherwise it starts with the shares of
those slices that the program with one class a kind uses, and those of the last problem; what would improve the answer
at its prices is added, until these prices prove that nothing does. The last basis, by the names of what is in it, is
where the next program starts, within a problem and from one problem to the next.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from phasewise.solvers.api import Status
from phasewise.solvers.highs import HighsModel, HighsOutcome
from phasewise.solvers.packing.bases import basic_codes, started
from phasewise.solvers.packing.codes import Codes
from phasewise.solvers.packing.crowd import Bools, Crowd, Floats, Ints, Keys, by_kinds
from phasewise.solvers.packing.program import Goal, Program, program
from phasewise.solvers.packing.worth import Prices, best_partners, offers
from phasewise.solvers.proofs import Duals

MOST_ROUNDS: Final = 60
_IMPROVES: Final = 1e-11  # of the level: what a share must be worth to be looked at
_OVER: Final = 1e-12  # of a slice: by how much one job has more than half of it
_PER_JOB: Final = 2  # shares that a class is given a round, at most


class Left(NamedTuple):
    """What a problem leaves to the next.

    Attributes
    ----------
    basis
        Codes of what was basic: columns and rows.
    shares
        (S, 3) names of class and kind, and the type, of the shares that the last program had.
    """

    basis: Codes
    shares: Keys


class Optimum(NamedTuple):
    """What a goal came to.

    Attributes
    ----------
    status, note
        HiGHS' verdict.
    program, values
        The last program and (n,) the values of its columns; None where there is no optimum.
    duals
        By job, of the goal's objective.
    level
        The least gain of those that count.
    iterations
        Of all programs together.
    left
        What the next problem may start from.
    """

    status: Status
    note: str
    program: Program | None
    values: Floats | None
    duals: Duals
    level: float
    iterations: int
    left: Left | None


class PairSolver:
    """Solves goals over a crowd; owns a HiGHS object.

    Parameters
    ----------
    backend, options
        As `HighsModel` takes them.
    """

    def __init__(self, backend: str, options: dict[str, object]) -> None:
        self._model = HighsModel(backend, options)

    def optimum(
        self, crowd: Crowd, capacity: Floats, goal: Goal, names: tuple[Ints, Ints], left: Left | None
    ) -> Optimum:
        """Return the optimum of a goal.

        Parameters
        ----------
        crowd, capacity, goal, names
            As `program` takes them.
        left
            What another goal left, over the same jobs or over others; None to start from nothing.
        """
        several = crowd.usable & ~crowd.single[crowd.kind, None, None]
        shares = several if not several.any() else several & self._first_shares(crowd, capacity, goal, names, left)
        halves = np.zeros(crowd.gain.shape, dtype=np.bool_)
        basis = None if left is None else left.basis
        iterations = 0
        for _ in range(MOST_ROUNDS):
            solved = program(crowd, capacity, goal, shares, halves, names)
            outcome = self._run(solved, basis)
            iterations += outcome.iterations
            values, row_duals = outcome.columns, outcome.row_duals
            if values is None or row_duals is None:
                break
            basis = basic_codes(self._model, solved.columns, solved.rows)
            halved, added = _wanting(crowd, solved, outcome, halves, several & ~shares)
            if not (halved.any() or added.any()):
                break
            halves, shares = halves | halved, shares | added
        if values is None or row_duals is None:
            return Optimum(outcome.status, outcome.note, None, None, Duals(), 0.0, iterations, None)
        duals, level = solved.lp.duals(row_duals), float(values[-1]) * solved.lp.scale
        start = None if basis is None else Left(basis, _named(shares, names))
        return Optimum(outcome.status, outcome.note, solved, values, duals, level, iterations, start)

    def _first_shares(
        self, crowd: Crowd, capacity: Floats, goal: Goal, names: tuple[Ints, Ints], left: Left | None
    ) -> Bools:
        """Return (C, K, W) the shares to start with: of the slices that kinds use, or those of the last problem."""
        if left is not None and left.shares.size:
            return _known(left.shares, names, crowd.usable.shape)
        merged = by_kinds(crowd)
        plain = Goal(np.ones(merged.classes, dtype=np.bool_), np.zeros(merged.classes), 0.0)
        none = np.zeros(merged.usable.shape, dtype=np.bool_)
        solved = program(merged, capacity, plain, none, none[:, 0], (names[0], names[0]))
        outcome = self._run(solved, None)
        used = np.zeros(crowd.rate.shape, dtype=np.bool_)
        if outcome.columns is not None:
            there = outcome.columns[solved.lp.columns["slices"]] > 0.0
            first, second, kind = (part[there] for part in solved.slices)
            used[first, second, kind] = used[second, first, kind] = True
        return used[crowd.kind]

    def _run(self, solved: Program, basis: Codes | None) -> HighsOutcome:
        self._model.load(solved.lp)
        if basis is not None:
            self._model.start_from(started(solved.lp, solved.columns, solved.rows, basis))
        self._model.run()
        return self._model.outcome()


def _wanting(
    crowd: Crowd, solved: Program, outcome: HighsOutcome, halves: Bools, open_to: Bools
) -> tuple[Bools, Bools]:
    """Return (C, W) who lacks the row that he is not his own partner, or else (C, K, W) which shares are lacking."""
    assert outcome.columns is not None
    assert outcome.row_duals is not None
    halved = _own_partners(crowd, solved, outcome.columns) & ~halves
    if halved.any() or not open_to.any():
        return halved, np.zeros_like(open_to)
    return halved, _improving(crowd, solved, outcome.row_duals, open_to)


def _own_partners(crowd: Crowd, solved: Program, values: Floats) -> Bools:
    """Return (C, W) where one job has more than half of the time of pairs within its kind."""
    time = values * solved.unit
    blocks, shares, slices = solved.lp.columns, solved.shares, solved.slices
    sliced = np.zeros(crowd.rate.shape)
    sliced[slices.first, slices.second, slices.kind] = time[blocks["slices"]]
    owner = shares.first
    whole = sliced[crowd.kind[owner], shares.second, shares.kind]
    inside = (shares.second == crowd.kind[owner]) & (crowd.size[owner] == 1.0)
    over = inside & (time[blocks["shares"]] > whole * (1.0 + _OVER) + _OVER)
    found = np.zeros(crowd.gain.shape, dtype=np.bool_)
    found[owner[over], shares.kind[over]] = True
    return found


def _improving(crowd: Crowd, solved: Program, row_duals: Floats, open_to: Bools) -> Bools:
    """Return (C, K, W) shares that would improve the optimum: of each class its best, and those of the partners."""
    prices = prices_of(crowd, solved.lp.duals(row_duals), solved)
    found = offers(crowd, prices)
    least = _IMPROVES * solved.lp.scale / crowd.of_job.size
    flat = np.where(np.isfinite(found.short), found.short, 0.0).reshape(crowd.classes, -1)
    best = np.argpartition(-flat, _PER_JOB - 1, axis=1)[:, :_PER_JOB] if flat.shape[1] > _PER_JOB else None
    chosen = np.zeros(flat.shape, dtype=np.bool_)
    if best is None:
        chosen[:] = True
    else:
        np.put_along_axis(chosen, best, values=True, axis=1)
    chosen &= flat > least
    own = chosen.reshape(found.short.shape)
    return (own | best_partners(crowd, found, own)) & open_to


def prices_of(crowd: Crowd, duals: Duals, solved: Program) -> Prices:
    """Return the prices by class that ``duals`` by job are, the mean gain's weight included."""
    jobs, types = crowd.of_job.size, crowd.gain.shape[1]
    gain, time, capacity = duals.vector("gain", jobs), duals.vector("time", jobs), duals.vector("capacity", types)
    assert gain is not None
    assert time is not None
    assert capacity is not None
    kept = None if duals.kept is None else duals.kept[crowd.example]
    return Prices(gain[crowd.example] + solved.mean_weight, time[crowd.example], capacity, kept)


def _named(shares: Bools, names: tuple[Ints, Ints]) -> Keys:
    owner, kind, on = np.nonzero(shares)
    return np.column_stack((names[1][owner], names[0][kind], on)).astype(np.int64)


def _known(shares: Keys, names: tuple[Ints, Ints], shape: tuple[int, ...]) -> Bools:
    """Return (C, K, W) which of the named ``shares`` there are among these classes and kinds."""
    known = np.zeros(shape, dtype=np.bool_)
    order = np.argsort(names[1])
    owner = np.searchsorted(names[1], shares[:, 0], sorter=order).clip(max=order.size - 1)
    kind = np.searchsorted(names[0], shares[:, 1]).clip(max=names[0].size - 1)
    same = (names[1][order[owner]] == shares[:, 0]) & (names[0][kind] == shares[:, 1]) & (shares[:, 2] < shape[2])
    known[order[owner[same]], kind[same], shares[same, 2]] = True
    return known
