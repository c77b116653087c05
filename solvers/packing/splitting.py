"""From the time of a kind to that of its jobs, where each needs another speed.

The time of a kind, laid out from the fastest to the slowest, and what is left of it idle, is as long as the kind has
jobs. The neediest job has the piece of length 1 whose mean speed is what it needs, which is taken out, and so on: what
is left does for the others whenever it did for all.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.solvers.lp import INFINITE, LinearProgram
from phasewise.solvers.packing.crowd import Crowd, Floats
from phasewise.solvers.packing.profiles import Profile, ProfileSolver
from phasewise.solvers.packing.program import Entries
from phasewise.solvers.packing.teams import Spread
from phasewise.solvers.proofs import Duals

_DUST: Final = 1e-13  # of a job's time
_OVER: Final = 1e-12  # of a slice: by how much one job has more than half of it
_SHORT: Final = 1e-12  # of what a job needs


def spread(crowd: Crowd, profile: Profile, solver: ProfileSolver) -> Spread | None:
    """Return what every class has, None where somebody would be his own partner."""
    kinds, types = profile.alone.shape
    one, other, on = profile.slices
    beside, speed = np.zeros((kinds, kinds + 1, types)), np.zeros((kinds, kinds + 1, types))
    beside[one, other, on] += profile.total
    beside[other, one, on] += profile.total
    beside[:, kinds] = profile.alone  # the last one: beside nobody
    first = crowd.first
    speed[:, :kinds], speed[:, kinds] = crowd.rate, crowd.gain[first] / crowd.factor[first, None]
    has = np.zeros((crowd.classes, kinds + 1, types))
    for kind, (begin, end) in enumerate(zip(first.tolist(), [*first[1:].tolist(), crowd.classes], strict=True)):
        length, fast = beside[kind].ravel(), speed[kind].ravel()
        used = np.flatnonzero(length > _DUST)
        used = used[np.argsort(-fast[used], kind="stable")]
        order = begin + np.argsort(-profile.need[begin:end], kind="stable")
        size, need = crowd.size[order], profile.need[order]
        parts = _parts(length[used], fast[used], size, need)
        most = np.where(used // types == kind, 0.5 * length[used], np.inf)
        if (parts > most * (1.0 + _OVER) + _OVER)[size == 1.0].any():
            apart = _parted(solver, length[used], fast[used], size, need, most)
            if apart is None:
                return None
            parts = apart
        has.reshape(crowd.classes, -1)[order[:, None], used] = parts
    return Spread(has[:, kinds], profile.slices, profile.total, has[:, :kinds])


def _parted(
    solver: ProfileSolver, length: Floats, speed: Floats, size: Floats, need: Floats, most: Floats
) -> Floats | None:
    """Return (C, Q) as `_parts`, where one job has at most ``most`` (Q,) at each speed; None where that cannot be."""
    classes, count = size.size, length.size
    owner, at = (each.ravel() for each in np.indices((classes, count)))
    column = np.arange(owner.size)
    entries = Entries()
    entries.add(owner, column, np.ones(column.size))
    entries.add(classes + owner, column, speed[at] / (need * size)[owner])
    entries.add(classes + np.arange(classes), np.full(classes, column.size), -np.ones(classes))
    entries.add(2 * classes + at, column, 1.0 / length[at])
    start, index, value = entries.by_columns(column.size + 1)
    lower = np.concatenate((np.full(classes, -INFINITE), np.zeros(classes), np.ones(count)))
    upper = np.concatenate((size, np.full(classes, INFINITE), np.ones(count)))
    cost = np.append(np.zeros(column.size), 1.0)
    room = np.append(np.where(size[owner] == 1.0, most[at], INFINITE), 1.0)
    lp = LinearProgram(
        cost, np.zeros(cost.size), room, lower, upper, start, index, value, np.zeros(cost.size, dtype=np.int32),
        (classes, count), {}, {}, {}, lambda _: Duals(),
    )  # fmt: skip
    outcome = solver.outcome(lp)
    if outcome.columns is None or outcome.columns[-1] < 1.0 - _SHORT:
        return None
    parts: Floats = np.maximum(outcome.columns[:-1], 0.0).reshape(classes, count) / size[:, None]
    return parts


def _parts(length: Floats, speed: Floats, size: Floats, need: Floats) -> Floats:
    """Return (C, Q) the time of a job of each class at each speed.

    Parameters
    ----------
    length, speed
        (Q,) the time that there is, from the fastest on.
    size, need
        (C,) jobs of each class, and the mean speed that each needs, the neediest first.
    """
    idle = max(0.0, float(size.sum() - length.sum()))
    ends = zip([*length.tolist(), idle], [*speed.tolist(), 0.0], range(speed.size + 1), strict=True)
    pieces = [list(each) for each in ends]
    found = np.zeros((size.size, speed.size + 1))
    for row, (jobs, wanted) in enumerate(zip(size.tolist(), need.tolist(), strict=True)):
        for place, time in _taken(pieces, jobs, wanted * jobs):
            found[row, place] += time / jobs
        pieces = [piece for piece in pieces if piece[0] > 0.0]
    return found[:, :-1]


def _taken(pieces: list[list[float]], long: float, wanted: float) -> list[tuple[int, float]]:
    """Take the piece ``long`` out whose speed times time is ``wanted``, or the last one that is more; return it.

    Parameters
    ----------
    pieces
        Length, speed and place of each, from the fastest on; what is taken is taken from the length.
    """
    last, room, gained = 0, long, 0.0
    while last < len(pieces) - 1 and pieces[last][0] < room:
        room -= pieces[last][0]
        gained += pieces[last][0] * pieces[last][1]
        last += 1
    gained += room * pieces[last][1]
    first, begin, end = 0, 0.0, room  # the window: from `begin` within piece `first` to `end` within piece `last`
    while gained > wanted:
        step, fall = min(pieces[first][0] - begin, pieces[last][0] - end), pieces[first][1] - pieces[last][1]
        enough = step * fall >= gained - wanted
        step = (gained - wanted) / fall if enough else step
        begin, end, gained = begin + step, end + step, gained - step * fall
        if enough:
            break
        if begin >= pieces[first][0]:
            first, begin = first + 1, 0.0
        if end >= pieces[last][0]:
            if last == len(pieces) - 1:
                break
            last, end = last + 1, 0.0
    taken = []
    for place in range(first, last + 1):
        piece = pieces[place]
        time = (end if place == last else piece[0]) - (begin if place == first else 0.0)
        taken.append((int(piece[2]), time))
        piece[0] -= time
    return taken
