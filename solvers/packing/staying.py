"""The movement cost in the program of packing: time that stays where it was, of classes that can keep some.

A job's time on a type is the sum of what it has there alone and beside others, whoever they are: X. Leaving the
allocation in force costs c |X - P|, which is c X - 2 c k + c P with k = min(X, P). So all time on the type costs c, a
column k more of at most P brings back 2 c, and a row more says that k is at most X. Where the job had nothing, P = 0,
there is neither.
"""

from __future__ import annotations

import numpy as np

from phasewise.solvers.packing.crowd import Crowd, Floats, Ints


class Staying:
    """The columns and rows of time kept: S of them, each of a class on a type.

    Parameters
    ----------
    crowd
        Who there is. Without a movement cost S is 0.
    unit
        What the program's objective is multiplied by, beside that of the problem.

    Attributes
    ----------
    owner, on
        (S,) class and type.
    most
        (S,) the time a job can keep.
    saved
        (S,) what a unit of a class' mean time kept is worth in the program's objective.
    """

    def __init__(self, crowd: Crowd, unit: float) -> None:
        self.owner, self.on = np.nonzero(crowd.stays)
        self._place = np.full(crowd.gain.shape, -1, dtype=np.intp)
        self._place[self.owner, self.on] = np.arange(self.owner.size)
        moving = crowd.moving
        if moving is None:
            self._price = None
            self.most = self.saved = np.empty(0)
            return
        self._price = unit * crowd.size[:, None] * moving.cost
        self.most = moving.previous[self.owner, self.on]
        self.saved = 2.0 * self._price[self.owner, self.on]

    def price(self, owner: Ints, on: Ints) -> Floats | None:
        """Return (n,) what a unit of a class' mean time on a type costs; None where moving is free."""
        return None if self._price is None else self._price[owner, on]

    def entries(self, owner: Ints, on: Ints) -> tuple[Ints, Ints]:
        """Return which of (class, type) have a row, and these rows counted from the first."""
        place = self._place[owner, on]
        there = np.flatnonzero(place >= 0)
        return there, place[there]
