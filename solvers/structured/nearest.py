"""Among equal optima of a max-min problem, the sparse one nearest to where the jobs were."""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.profiling.jit.kernel import Wanted, wanted
from phasewise.profiling.jit.layouts import laid_out
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.problems import Floats
from phasewise.solvers.short_rows import row_max
from phasewise.solvers.structured.classes import group
from phasewise.solvers.structured.nearest_kernels import (
    IDLE,
    KERNELS,
    NEVER,
    exchange,
    largest,
    rewards,
    share_out,
    start,
    tally,
)

Ints = npt.NDArray[np.int64]

_DUST: Final = 1e-2  # of a job's time: an interior point leaves so much where a vertex has nothing
_UNITS: Final = 1e11  # of the largest gain a GPU: so far gains of equal jobs agree
_SAME: Final = 1e-12  # relative: by so much gains may be less for rounding
_MARGINS: Final = (1e-6, 1e-4, 1e-2)
"""Of the least gain: who gains so little more counts as being at it. Tried in turn: solvers are not exact."""
_PUSHES: Final = 64  # exchanges for each class and type, at most


def kernels() -> list[Wanted]:
    """Return the kernels that `nearest_optimum` takes."""
    return [each for function in (group, *KERNELS) for each in wanted(function)]


def nearest_optimum(problem: MaxMinProblem, x: Floats, home: Ints) -> Floats:
    """Return an allocation with the objective of ``x``, or a better one, in which as many GPUs as can stay.

    Jobs above the least gain that use all of their time are whole on types, but for at most W - 1 of each class of jobs
    with the same gains a GPU. The others keep their rows of ``x``: jobs at the least gain would fall below it, and of
    those that idle, one would run and another wait.

    Parameters
    ----------
    problem
        Without movement cost and teams.
    x
        (J, W) a certified answer to it.
    home
        (J,) the type that each job was on, -1 for none.

    Returns
    -------
    Floats
        (J, W) time fractions; ``x`` itself where nothing better was found.
    """
    gain, use, x = laid_out(problem.usable_gain), laid_out(problem.scale_factor), laid_out(x)
    gains = np.empty(use.size)
    least, total = tally(gain, x, gains)
    most = float((row_max(gain) / use).max())  # a GPU
    for margin in _MARGINS:
        rows, reward = rewards(gain, use, x, gains, least, margin, _DUST, most / _UNITS)
        order = _smallest_first(problem, rows)
        jobs = _Jobs(rows.take(order), reward.take(order, axis=0), gain, use, home)
        found = _arranged(jobs, laid_out(problem.capacity), most, x)
        if found is not None:
            now_least, now_total = tally(gain, found, np.empty(use.size))
            if now_least >= least * (1.0 - _SAME) and now_total >= total * (1.0 - _SAME):
                return found
    return x


def mostly_on(x: Floats) -> Ints:
    """Return the type on which each job (J,) has most of its time in ``x`` (J, W), -1 where it has none."""
    return largest(laid_out(x))


def _smallest_first(problem: MaxMinProblem, rows: Ints) -> Ints:
    """Return the order of the jobs ``rows`` (F,), ascending: those of fewest GPUs first, of these the lowest keys."""
    use, keys = problem.scale_factor.take(rows), problem.keys
    if keys is None or (keys[1:] > keys[:-1]).all():
        return np.argsort(use, kind="stable")
    return np.lexsort((keys[rows], use))


class _Jobs(NamedTuple):
    """Who is to be arranged anew: F of J jobs.

    Attributes
    ----------
    rows
        (F,) which they are, those first that may stay first.
    reward
        (F, W) what each gains a GPU, rounded, so that equal jobs are equal; 0 where it may not be.
    gain, use, home
        Of all jobs, as in `nearest_optimum`.
    """

    rows: Ints
    reward: Floats
    gain: Floats
    use: Floats
    home: Ints


def _arranged(jobs: _Jobs, capacity: Floats, most: float, x: Floats) -> Floats | None:
    """Return ``x`` (J, W) with these jobs arranged anew; None where that took too many exchanges.

    ``most`` is the largest gain a GPU.
    """
    rows, use, types = jobs.rows, jobs.use, capacity.size
    of_row, count, example = group(jobs.reward)
    one = example[:count]
    rate = jobs.gain[rows[one]] / (use[rows[one], None] * most)  # not rounded: equal sums are to be equal
    earned = np.zeros((count + 1, types + 1))  # 0 is also what GPUs earn that nobody has
    earned[:-1, :-1] = np.where(jobs.reward[one] > 0.0, rate, NEVER)
    earned[:-1, -1] = IDLE
    found = x.copy()
    totals, at_home = np.empty((count + 1, types + 1)), np.empty((count, types))
    placed = start(of_row, rows, jobs.reward, use, jobs.home, capacity, found, totals, at_home)
    if exchange(earned, at_home, totals, _PUSHES * (count + types)) < 0:
        return None
    share_out(of_row, rows, use, placed, totals, found)
    return found
