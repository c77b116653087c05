"""Finish-time fairness of jobs that share by a few max-min problems: Newton's method on the dual.

As for jobs alone (`phasewise.solvers.finish_time_newton`): at a ratio the problem is one of max-min, whose optimum is 1
at the best ratio; each answer gives the ratio that it achieves, and by its duals one that is out of reach.

Where a job decides the worst ratio that nobody can help, the search goes on below it. Who could not have a ratio even
at best has all it can have, alone, and the ratio is sought that the others can have then: the *level*. So ratios are as
small as they can be one after another, the worst first, down to the level, where GPUs decide.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Final, NamedTuple

import numpy as np

from phasewise.solvers.api import Answer, Found, Status
from phasewise.solvers.families.packed import OverTeams, PackedMaxMinProblem
from phasewise.solvers.families.packed_finish_time import PackedFinishTimeProblem, PackedStep
from phasewise.solvers.problems import Floats
from phasewise.solvers.proofs import Duals, relative_gap
from phasewise.solvers.rows import NOBODY, Keys

MOST_PROBLEMS: Final = 20
_USABLE: Final = frozenset({Status.OPTIMAL, Status.INACCURATE})
_STILL: Final = 1.0 + 1e-15  # a bound that moves by less than this does not move
_NEXT_TO_NOTHING: Final = 1e-7  # of a job's time
_BEYOND: Final = 1.0 + 1e-12  # by how much the next ratio is more than the bound: all can have it then
_LEVEL: Final = 1e-6  # to what a level below a ratio that nobody can help is sought
BEFORE: Final = (
    0.998  # of a level that is thought to be near: below a level duals always say something of it, above it not always
)
_BACK: Final = 0.01  # how far a ratio is lowered at first, of which duals say only that one job can have no better
_AT_BEST: Final = 1.0 + 1e-9  # a ratio that is as good as the job's best one


class _Reached(NamedTuple):
    """What an answer comes to, brought within the constraints: the worst ratio, and the worst that GPUs decide."""

    ratio: float
    level: float


def packed_finish_time_answer(
    problem: PackedFinishTimeProblem, last: float | None, tolerance: float
) -> Generator[PackedMaxMinProblem, Answer, Found]:
    """Yield the max-min problems to solve, each time sent its answer; return what they come to, and the level.

    Parameters
    ----------
    last
        The ratio to begin with, if one is known: the level of this problem, or a little less than that of one much like
        it, or 0 where all have what is best for them.
    tolerance
        Largest relative gap that is good enough.
    """
    below, certain = problem.ceiling, 0.0
    ratio, back = below if last is None else last, _BACK
    best, reached, proof = Answer(Status.FAILED, None), _Reached(np.inf, np.inf), Duals()
    iterations = solved = 0
    note = ""
    while solved < MOST_PROBLEMS and problem.waits.any():
        step = problem.at(ratio * _BEYOND)
        answer = (yield step.problem) if step.problem.rows else _nobody(problem)
        solved += 1
        iterations += answer.iterations
        if answer.status not in _USABLE or answer.x is None:
            best, note = best if best.x is not None else answer, answer.note
            break
        whole = _topped_up(problem, _whole(problem, step, answer), ratio * _BEYOND)
        found = _reached(problem, whole)
        if _better(found, reached, below * (1.0 + tolerance)):
            reached, best = found, whole
        duals = _duals(problem, step, answer.duals or Duals(), ratio * _BEYOND)
        if (lower := problem.bound(duals)) >= below:
            below, proof = lower, duals
        level = problem.affordable(duals, step.held)
        moved = level > certain * _STILL
        certain = max(certain, level)
        proven = relative_gap(below, reached.ratio) <= tolerance
        if (proven and relative_gap(certain, reached.level) <= _LEVEL) or (not moved and ratio <= certain):
            break
        if certain:
            ratio = certain
        else:
            ratio, back = max(0.0, min(ratio, reached.level) * (1.0 - back)), 4.0 * back
    if not problem.waits.any():
        reached, best = _Reached(below, below), Answer(Status.OPTIMAL, np.zeros((problem.rows, problem.types)))
    note = f"{solved} max-min problems" + (f"; {note}" if note else "")
    final = replace(best, duals=proof, iterations=iterations, note=note)
    return Found(final, certain * BEFORE, relative_gap(below, reached.ratio))


def found_at_once(
    problem: PackedFinishTimeProblem, answer: Answer, weights: Duals, ratio: float, tolerance: float
) -> Found | None:
    """Return what an answer for all that wait comes to, and the level; None where that is not proven.

    Parameters
    ----------
    answer
        Of `PackedFinishTimeProblem.all_at` ``ratio``.
    weights
        Its duals, of throughputs, by job of the whole problem.
    tolerance
        Largest relative gap that is good enough.
    """
    whole = _topped_up(problem, _whole(problem, problem.all_at(ratio), answer), ratio)
    reached = _reached(problem, whole)
    below, proof = problem.ceiling, Duals()
    if relative_gap(below, reached.ratio) > tolerance:
        below, proof = problem.bound(weights), weights
    certain = problem.affordable(weights, np.zeros(problem.rows, dtype=np.bool_))
    gap = relative_gap(below, reached.ratio)
    if gap > tolerance or relative_gap(certain, reached.level) > _LEVEL:
        return None
    return Found(replace(whole, duals=proof), certain * BEFORE, gap)


def _nobody(problem: PackedFinishTimeProblem) -> Answer:
    """Return the answer to a problem of no jobs."""
    return Answer(Status.OPTIMAL, np.zeros((0, problem.types)))


def _better(found: _Reached, before: _Reached, enough: float) -> bool:
    """Return whether an answer is better than another: by its worst ratio, and where both have ``enough`` by level."""
    if found.ratio <= enough and before.ratio <= enough:
        return found.level < before.level
    return found.ratio < before.ratio


def _whole(problem: PackedFinishTimeProblem, step: PackedStep, answer: Answer) -> Answer:
    """Return the answer to a step, within its GPUs, with a row for each job that is not part of it."""
    rows = np.flatnonzero(step.rows)
    members: Keys = np.column_stack((np.arange(rows.size), np.full(rows.size, NOBODY)))
    if answer.members is not None:
        members = answer.members
    named = np.where(members == NOBODY, NOBODY, rows[members]) if rows.size else members
    others = np.flatnonzero(~step.rows)
    assert answer.x is not None
    used = problem.scale_factor[named[:, 0]] @ answer.x
    most = step.problem.capacity  # else those who have all they can would lose by it
    fits = np.divide(most, used, out=np.ones(used.size), where=used > most)
    return replace(
        answer,
        members=np.concatenate((named, np.column_stack((others, np.full(others.size, NOBODY))))),
        x=np.concatenate((answer.x * fits, step.fixed[others])),
    )


def _topped_up(problem: PackedFinishTimeProblem, answer: Answer, ratio: float) -> Answer:
    """Return an answer with what those have for ``ratio`` who need next to nothing for it, and lack even that.

    To a solver's tolerance a billionth of a job's time is nothing, and nothing is an infinite ratio. Each gets its need
    alone, on the type that is fastest for it; that all others lose by it is less than a tolerance as well.
    """
    assert answer.members is not None
    assert answer.x is not None
    stated = problem.over(answer.members)
    assert isinstance(stated, OverTeams)
    speed = np.where(problem.allowed_mask, problem.throughput, 0.0)
    needs, most = problem.needs(ratio), speed.max(axis=1)
    time = np.divide(needs, most, out=np.full(most.size, np.inf), where=problem.waits)
    alone = np.flatnonzero(answer.members[:, 1] == NOBODY)
    row = np.full(problem.rows, NOBODY)
    row[answer.members[alone, 0]] = alone
    lacks = (stated.gains(answer.x) < needs) & (time <= _NEXT_TO_NOTHING) & (row != NOBODY)
    x = answer.x.copy()
    x[row[lacks], speed[lacks].argmax(axis=1)] += time[lacks]
    return replace(answer, x=x)


def _reached(problem: PackedFinishTimeProblem, answer: Answer) -> _Reached:
    """Return what an answer comes to once it is brought within the constraints."""
    assert answer.members is not None
    assert answer.x is not None
    stated = problem.over(answer.members)
    assert isinstance(stated, OverTeams)
    gains: Floats = stated.gains(stated.packed(answer.x))
    ratios = problem.ratios(gains)
    level = ratios[ratios > problem.soonest * _AT_BEST].max(initial=0.0)
    return _Reached(problem.value(gains), float(level))


def _duals(problem: PackedFinishTimeProblem, step: PackedStep, duals: Duals, ratio: float) -> Duals:
    """Return the duals of the max-min problem at ``ratio`` as weights of throughputs, 0 for those not part of it."""
    count = step.problem.rows
    gain, time = duals.vector("gain", count), duals.vector("time", count)
    if gain is None:
        return Duals()
    weight, price = np.zeros(problem.rows), np.zeros(problem.rows)
    weight[step.rows] = gain / problem.needs(ratio)[step.rows]
    price[step.rows] = 0.0 if time is None else time
    return Duals(capacity=duals.capacity, gain=weight, time=price)
