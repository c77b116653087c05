"""Who stays where among equal optima: classes of jobs, exchanges between worker types, and what each job gets.

K classes of jobs, W worker types. Idle time stands as type W, and GPUs that nobody has as class K: every exchange is
then a cycle over types. `docs/explanation/structured-solvers.md` derives it.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from phasewise.profiling.jit.kernel import inner, kernel
from phasewise.profiling.jit.layouts import IntMatrix, IntVector, Matrix, Vector

NOTHING: Final = 1e-9  # GPUs that are a rounding error
NEVER: Final = -1e300
IDLE: Final = -10.0
"""What a GPU's worth of idle time earns, where the largest reward is 1: nobody has to idle, so nobody is to."""
STAYS: Final = 1e-11
"""What a GPU that stays is worth, where the largest reward is 1: above all rounding, and below any real difference."""


# -- who may be whole ------------------------------------------------------------------------------------------------


@kernel()
def tally(gain: Matrix, x: Matrix, gains: Vector) -> tuple[float, float]:
    """Write what each job gains (J,); return the least of it, and the sum."""
    least, total = np.inf, 0.0
    for i in range(gain.shape[0]):
        own = 0.0
        for j in range(gain.shape[1]):
            own += gain[i, j] * x[i, j]
        gains[i] = own
        least = min(least, own)
        total += own
    return least, total


@kernel()
def rewards(
    gain: Matrix,
    use: Vector,
    x: Matrix,
    gains: Vector,
    level: float,
    margin: float,
    dust: float,
    unit: float,
) -> tuple[IntVector, Matrix]:
    """Return the jobs (F,) above ``level`` that use all of their time, but for ``dust``, on types that are no slower.

    Above it is who gains more by the part ``margin`` of it.

    And (F, W) what each gains a GPU on these types, in units of ``unit`` and rounded, so that equal jobs are equal; 0
    on the others.
    """
    jobs, types = gain.shape
    rows, reward = np.empty(jobs, np.int64), np.empty((jobs, types))
    count = 0
    for i in range(jobs):
        if gains[i] <= level * (1.0 + margin):
            continue
        time = 0.0
        for j in range(types):
            able = gain[i, j] >= level and gain[i, j] > 0.0
            time += x[i, j] if able else 0.0
            reward[count, j] = np.floor(gain[i, j] / (use[i] * unit) + 0.5) if able else 0.0
        if time > 1.0 - dust:
            rows[count] = i
            count += 1
    return rows[:count].copy(), reward[:count].copy()


# -- exchanges -------------------------------------------------------------------------------------------------------


@kernel()
def start(
    of_row: IntVector,
    row: IntVector,
    reward: Matrix,
    use: Vector,
    home: IntVector,
    capacity: Vector,
    x: Matrix,
    totals: Matrix,
    at_home: Matrix,
) -> IntVector:
    """Write where everybody stays: GPUs of each class by type (K + 1, W + 1), and (K, W) those that were there.

    Those for whom a type has no GPUs any more idle, and so do those who come; ``row`` (F,) are jobs, in the order in
    which they may stay, ``of_row`` their classes, ``reward`` (F, W) as from `rewards`, and ``home`` (J,) the type that
    each was on, -1 for none. Their rows of ``x`` (J, W) are set to 0; the others keep their part of ``capacity`` (W,).
    Return (J,) the type on which each of them may stay, -1 for none.
    """
    classes, types = at_home.shape
    totals[:, :] = 0.0
    at_home[:, :] = 0.0
    totals[classes, :types] = capacity
    placed = np.full(len(use), -1)
    for at in range(len(row)):
        x[row[at], :] = 0.0
        if home[row[at]] >= 0 and reward[at, home[row[at]]] > 0.0:
            placed[row[at]] = home[row[at]]
    for i in range(len(use)):
        for j in range(types):
            totals[classes, j] -= use[i] * x[i, j]
    for j in range(types):
        totals[classes, j] = max(totals[classes, j], 0.0)
    for at in range(len(row)):
        i, k = row[at], of_row[at]
        j, rest = placed[i], use[i]
        if j >= 0:
            kept = min(rest, totals[classes, j])
            at_home[k, j] += rest
            totals[k, j] += kept
            totals[classes, j] -= kept
            rest -= kept
        totals[k, types] += rest
        totals[classes, types] += use[i]  # idle places enough for everybody
    return placed


@inner
def may_leave(totals: Matrix, at_home: Matrix, k: int, j: int) -> tuple[float, float]:
    """Return how many GPUs of a class may leave a type at one price, and what each loses by not staying."""
    if k == at_home.shape[0] or j == at_home.shape[1]:
        return totals[k, j], 0.0
    away = totals[k, j] - at_home[k, j]
    return (away, 0.0) if away > NOTHING else (totals[k, j], STAYS)


@inner
def may_enter(totals: Matrix, at_home: Matrix, k: int, j: int) -> tuple[float, float]:
    """Return how many GPUs of a class may enter a type at one price, and what each gains by being back."""
    if k == at_home.shape[0] or j == at_home.shape[1]:
        return np.inf, 0.0
    back = at_home[k, j] - totals[k, j]
    return (back, STAYS) if back > NOTHING else (np.inf, 0.0)


@inner
def best_exchanges(reward: Matrix, totals: Matrix, at_home: Matrix, gain: Matrix, who: IntMatrix) -> None:
    """Write the best class to go from each type to each other one, and what a GPU gains by it; `NEVER` without any."""
    classes, places = totals.shape
    gain[:, :] = NEVER
    enters = np.empty(places)
    for k in range(classes):
        for to in range(places):
            enters[to] = reward[k, to] + may_enter(totals, at_home, k, to)[1]
        for at in range(places):
            if totals[k, at] <= NOTHING:
                continue
            leaves = reward[k, at] + may_leave(totals, at_home, k, at)[1]
            for to in range(places):
                if enters[to] - leaves > gain[at, to]:
                    gain[at, to] = enters[to] - leaves
                    who[at, to] = k


@inner
def rising_cycle(gain: Matrix, best: Vector, before: IntVector) -> int:
    """Return a type on a cycle of exchanges that gains, to be walked back along ``before``; -1 where there is none.

    Bellman and Ford's method from all types at once.
    """
    places = len(best)
    best[:] = 0.0
    last = -1
    for _ in range(places):
        last = -1
        for at in range(places):
            for to in range(places):
                if best[at] + gain[at, to] > best[to] + 0.5 * STAYS / places:
                    best[to] = best[at] + gain[at, to]
                    before[to] = at
                    last = to
        if last < 0:
            return -1
    for _ in range(places):  # what still rises after so many rounds hangs on a cycle
        last = before[last]
    return last


@inner
def push(begin: int, before: IntVector, who: IntMatrix, totals: Matrix, at_home: Matrix) -> None:
    """Exchange along a cycle as many GPUs as every class on it has to give at that price."""
    most, to = np.inf, begin
    while True:
        at = before[to]
        k = who[at, to]
        most = min(most, may_leave(totals, at_home, k, at)[0], may_enter(totals, at_home, k, to)[0])
        to = at
        if to == begin:
            break
    while True:
        at = before[to]
        k = who[at, to]
        totals[k, at] -= most
        totals[k, to] += most
        if totals[k, at] <= NOTHING:
            totals[k, at] = 0.0
        to = at
        if to == begin:
            break


@kernel()
def exchange(reward: Matrix, at_home: Matrix, totals: Matrix, limit: int) -> int:
    """Exchange GPUs between types until no cycle of exchanges gains; return how many it took, -1 beyond ``limit``.

    Parameters
    ----------
    reward
        (K + 1, W + 1) what a GPU of each class earns, at most 1; `NEVER` where the class may not be, `IDLE` for time.
    at_home
        (K, W) GPUs of each class whose jobs were on each type: up to so many stay.
    totals
        (K + 1, W + 1) GPUs of each class by type, written in place: a feasible start.
    limit
        Most exchanges.
    """
    places = totals.shape[1]
    gain, who = np.empty((places, places)), np.zeros((places, places), np.int64)
    best, before = np.empty(places), np.zeros(places, np.int64)
    for count in range(limit):
        best_exchanges(reward, totals, at_home, gain, who)
        begin = rising_cycle(gain, best, before)
        if begin < 0:
            return count
        push(begin, before, who, totals, at_home)
    return -1


# -- what each job gets ----------------------------------------------------------------------------------------------


@inner
def by_class(of_row: IntVector, classes: int) -> tuple[IntVector, IntVector]:
    """Return (first (K + 1,), at): class k has the entries ``at[first[k]:first[k + 1]]``, in their order."""
    first = np.zeros(classes + 1, np.int64)
    for k in of_row:
        first[k + 1] += 1
    for k in range(classes):
        first[k + 1] += first[k]
    at, cursor = np.empty(len(of_row), np.int64), first[:-1].copy()
    for entry in range(len(of_row)):
        at[cursor[of_row[entry]]] = entry
        cursor[of_row[entry]] += 1
    return first, at


@inner
def place_rest(i: int, rest: float, use: Vector, left: Vector, x: Matrix) -> None:
    """Give a job its remaining GPUs: all on one type where that has enough, else piece by piece, largest first."""
    while rest > NOTHING:
        j = int(np.argmax(left))
        part = min(rest, left[j])
        if part <= 0.0:
            return
        if rest - part <= NOTHING:
            part = rest
        x[i, j] += part / use[i]
        left[j] = max(0.0, left[j] - part)
        rest -= part


@kernel()
def share_out(of_row: IntVector, row: IntVector, use: Vector, home: IntVector, totals: Matrix, x: Matrix) -> None:
    """Write the time fractions (J, W) of the jobs of each class: whole on a type, but for at most W - 1 of a class.

    Parameters
    ----------
    of_row, row, use, home
        As in `start`, those of fewest GPUs first.
    totals
        (K + 1, W + 1) GPUs of each class by type.
    x
        (J, W), zeros in the rows of these jobs.

    Notes
    -----
    Those that were on a type stay, those of fewest GPUs first, as far as its GPUs go: so the most stay. The others go
    where there are most. A job in pieces exhausts a type with each but its last one, so there are fewer than W.
    """
    types = x.shape[1]
    first, member = by_class(of_row, totals.shape[0] - 1)
    rest = np.empty(len(row))
    for k in range(len(first) - 1):
        left = totals[k, :types].copy()
        for at in member[first[k] : first[k + 1]]:
            i, kept = row[at], 0.0
            if home[i] >= 0:
                kept = min(use[i], left[home[i]])
                if use[i] - kept <= NOTHING:
                    kept = use[i]
                if kept > NOTHING:
                    x[i, home[i]] = kept / use[i]
                    left[home[i]] = max(0.0, left[home[i]] - kept)
                else:
                    kept = 0.0
            rest[at] = use[i] - kept
        for at in member[first[k] : first[k + 1]][::-1]:
            place_rest(row[at], rest[at], use, left, x)


@kernel()
def largest(x: Matrix) -> IntVector:
    """Return the type on which each job (J,) has most of its time, the first of those; -1 where it has none."""
    kind = np.full(x.shape[0], -1)
    for i in range(x.shape[0]):
        most = 0.0
        for j in range(x.shape[1]):
            if x[i, j] > most:
                most = x[i, j]
                kind[i] = j
    return kind


KERNELS: Final = (tally, rewards, start, exchange, share_out, largest)
