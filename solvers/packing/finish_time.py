"""Finish-time fairness of jobs that share by a few max-min problems: Newton's method on the dual.

As for jobs alone (`phasewise.solvers.finish_time_newton`): at a ratio the problem is one of max-min, whose optimum is 1
at the best ratio; each answer gives the ratio that it achieves, and by its duals one that is out of reach.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Final

import numpy as np

from phasewise.solvers.api import Answer, Found, Status
from phasewise.solvers.families.packed import OverTeams, PackedMaxMinProblem
from phasewise.solvers.families.packed_finish_time import PackedFinishTimeProblem
from phasewise.solvers.proofs import Duals, relative_gap
from phasewise.solvers.rows import NOBODY, Keys

MOST_PROBLEMS: Final = 20
_USABLE: Final = frozenset({Status.OPTIMAL, Status.INACCURATE})
_STILL: Final = 1.0 + 1e-15  # a bound that moves by less than this does not move
_NEXT_TO_NOTHING: Final = 1e-7  # of a job's time
_BEYOND: Final = 1.0 + 1e-12  # by how much the next ratio is more than the bound: all can have it then


def packed_finish_time_answer(
    problem: PackedFinishTimeProblem, last: float | None, tolerance: float
) -> Generator[PackedMaxMinProblem, Answer, Found]:
    """Yield the max-min problems to solve, each time sent its answer; return what they come to, and the ratio.

    Parameters
    ----------
    last
        The best ratio of a problem much like this one, if there is one.
    tolerance
        Largest relative gap that is good enough.
    """
    below, above = problem.ceiling, np.inf
    ratio = max(below, last or 0.0)
    best, proof = Answer(Status.FAILED, None), Duals()
    iterations = solved = 0
    note = ""
    while solved < MOST_PROBLEMS and problem.waits.any():
        answer = yield problem.at(ratio * _BEYOND)
        solved += 1
        iterations += answer.iterations
        if answer.status not in _USABLE or answer.x is None:
            best, note = best if best.x is not None else answer, answer.note
            break
        whole = _topped_up(problem, _whole(problem, answer), ratio * _BEYOND)
        achieved = _achieved(problem, whole)
        if achieved < above:
            above, best = achieved, whole
        duals = _duals(problem, answer.duals or Duals(), ratio * _BEYOND)
        lower = problem.bound(duals)
        moved = lower > below * _STILL
        if lower >= below:
            below, proof = lower, duals
        if relative_gap(below, above) <= tolerance or (not moved and ratio <= below):
            break
        ratio = below
    if not problem.waits.any():
        above, best = below, Answer(Status.OPTIMAL, np.zeros((problem.rows, problem.types)))
    note = f"{solved} max-min problems" + (f"; {note}" if note else "")
    final = replace(best, duals=proof, iterations=iterations, note=note)
    return Found(final, below, relative_gap(below, above))


def _whole(problem: PackedFinishTimeProblem, answer: Answer) -> Answer:
    """Return the answer to the problem of those who wait with a row for each of the others."""
    rows = np.flatnonzero(problem.waits)
    members: Keys = np.column_stack((np.arange(rows.size), np.full(rows.size, NOBODY)))
    if answer.members is not None:
        members = answer.members
    named = np.where(members == NOBODY, NOBODY, rows[members])
    idle = np.flatnonzero(~problem.waits)
    assert answer.x is not None
    return replace(
        answer,
        members=np.concatenate((named, np.column_stack((idle, np.full(idle.size, NOBODY))))),
        x=np.concatenate((answer.x, np.zeros((idle.size, problem.types)))),
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


def _achieved(problem: PackedFinishTimeProblem, answer: Answer) -> float:
    """Return the ratio that an answer achieves once it is brought within the constraints."""
    assert answer.members is not None
    assert answer.x is not None
    stated = problem.over(answer.members)
    return stated.objective(stated.packed(answer.x))


def _duals(problem: PackedFinishTimeProblem, duals: Duals, ratio: float) -> Duals:
    """Return the duals of the max-min problem at ``ratio`` as weights of throughputs, 0 for those who do not wait."""
    count = int(problem.waits.sum())
    gain, time = duals.vector("gain", count), duals.vector("time", count)
    if gain is None:
        return Duals()
    weight, price = np.zeros(problem.rows), np.zeros(problem.rows)
    weight[problem.waits] = gain / problem.needs(ratio)[problem.waits]
    price[problem.waits] = 0.0 if time is None else time
    return Duals(capacity=duals.capacity, gain=weight, time=price)
