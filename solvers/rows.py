"""The rows of a problem: teams of one job or of two, with keys by which they are known again in the next problem."""

from __future__ import annotations

from typing import Final, NamedTuple, cast

import numpy as np
import numpy.typing as npt

from phasewise.solvers.errors import ProblemError

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.intp]
Keys = npt.NDArray[np.int64]

NOBODY: Final = -1
"""Stands in the second column of ``members`` where a row is one job's."""

_PAIR: Final = 2


class Teams(NamedTuple):
    """Who is in which row, where some rows are of two jobs. R rows, J jobs.

    Attributes
    ----------
    job
        (J,) int64, the jobs' ids, ascending.
    first
        (R,) the place in ``job`` of each row's first member.
    pairs
        (P,) the rows of two jobs, ascending.
    second
        (P,) the place in ``job`` of the second member of each of these.
    """

    job: Keys
    first: Ints
    pairs: Ints
    second: Ints

    @classmethod
    def of(cls, members: Keys) -> Teams:
        """Return the teams of ``members`` (R, 2)."""
        pairs = np.flatnonzero(members[:, 1] != NOBODY)
        job, place = np.unique(np.concatenate((members[:, 0], members[pairs, 1])), return_inverse=True)
        place = place.reshape(-1)
        return cls(job, place[: len(members)], pairs, place[len(members) :])

    def sums(self, first: Floats, second: Floats) -> Floats:
        """Return (J,) each job's sum over its rows: of ``first`` (R,) as first member, of ``second`` (P,) as second."""
        count = self.job.size
        total = np.bincount(self.first, first, count) + np.bincount(self.second, second, count)
        return cast("Floats", total)  # NumPy declares integers, whatever the weights

    def spread(self, by_job: Floats) -> Floats:
        """Return (R,) the sum over each row's members of ``by_job`` (J,)."""
        total: Floats = by_job[self.first]
        total[self.pairs] += by_job[self.second]
        return total

    def most(self, by_job: Floats) -> Floats:
        """Return (R,) the largest over each row's members of ``by_job`` (J,)."""
        most: Floats = by_job[self.first]
        most[self.pairs] = np.maximum(most[self.pairs], by_job[self.second])
        return most


def origin(now: Keys, before: Keys) -> Ints:
    """Return (R,) the place in ``before`` of each key in ``now``, -1 where it was not there. Keys are unique."""
    order = np.argsort(before, kind="stable")  # a merge of what is mostly in order
    place = np.searchsorted(before, now, sorter=order)
    place[place == before.size] = 0
    if not before.size:
        return np.full(now.size, NOBODY, dtype=np.intp)
    source: Ints = order[place]
    return np.where(before[source] == now, source, NOBODY)


def known_again(now: Keys | None, rows: int, before: Keys | None, rows_before: int) -> Ints:
    """Return (R,) the place of each of ``rows`` rows among ``rows_before`` earlier ones, -1 for one that is new.

    By their keys. Where neither problem has any, rows are the same by their place if there are as many; where one of
    them has none, nothing is known again.
    """
    if now is not None and before is not None:
        return origin(now, before)
    same = now is None and before is None and rows == rows_before
    return np.arange(rows) if same else np.full(rows, NOBODY, dtype=np.intp)


def check_rows(rows: int, keys: Keys | None, members: Keys | None) -> None:
    """Raise `ProblemError` where keys or members are not what ``rows`` rows can have."""
    if keys is not None:
        if keys.shape != (rows,) or keys.dtype != np.int64:
            raise ProblemError(f"keys are {keys.dtype} of shape {keys.shape}; expected int64 of {(rows,)}")
        if not (keys[1:] > keys[:-1]).all() and np.unique(keys).size < rows:
            raise ProblemError("keys are not unique; expected another one for each row")
    if members is None:
        return
    if members.shape != (rows, _PAIR) or members.dtype != np.int64:
        raise ProblemError(f"members are {members.dtype} of shape {members.shape}; expected int64 of {(rows, _PAIR)}")
    wrong = (members[:, 0] < 0) | (members[:, 1] < NOBODY) | (members[:, 0] == members[:, 1])
    if wrong.any():
        row = int(wrong.argmax())
        raise ProblemError(
            f"members[{row}] are {members[row].tolist()}; expected two different job ids, or one and {NOBODY}"
        )
