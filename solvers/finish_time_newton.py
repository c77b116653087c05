"""Finish-time fairness by a few max-min problems: Newton's method on the dual.

At a ratio rho the problem is one of max-min (`FinishTimeProblem.at`), whose optimum is 1 at the best ratio. Of each
answer two numbers are taken: the ratio *above* that its x achieves, and the ratio *below* that is proven out of reach
at its prices. The next problem is the one at *below*. Prices change little with rho, and by as much as they are off,
the bound is off by the square: so both meet after one to three problems, and the pair is the certificate.
"""

from __future__ import annotations

from collections.abc import Generator
from dataclasses import replace
from typing import Final

import numpy as np

from phasewise.solvers.api import Answer, Found, Status
from phasewise.solvers.families.finish_time import FinishTimeProblem, Step
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.problems import Floats
from phasewise.solvers.proofs import Duals, relative_gap

MOST_PROBLEMS: Final = 12
_USABLE: Final = frozenset({Status.OPTIMAL, Status.INACCURATE})
_STILL: Final = 1.0 + 1e-15  # a bound that moves by less than this does not move
_BEYOND: Final = 1.0 + 1e-12
"""By how much the next ratio is more than the bound: all can have it then, whatever rounding makes of their needs."""


def first_prices(problem: FinishTimeProblem) -> Floats:
    """Return (W,) prices to start from where nothing is known: how fast jobs are on each type, on average."""
    waits = problem.waits
    relative = problem.usable_throughput[waits] / problem.fastest[waits, None]
    prices: Floats = (problem.scale_factor[waits] @ relative) / problem.scale_factor[waits].sum()
    return prices


def finish_time_answer(
    problem: FinishTimeProblem, prices: Floats | None, tolerance: float
) -> Generator[MaxMinProblem, Answer, Found]:
    """Yield the max-min problems to solve, each time sent its answer; return what they come to, and (W,) its prices.

    Parameters
    ----------
    problem
        Has a job whose ratio depends on what it gets.
    prices
        (W,) those that proved the last answer, if there is one.
    tolerance
        Largest relative gap that is good enough.
    """
    if prices is None or prices.size != problem.types:
        prices = first_prices(problem)
    below, above = problem.bound(prices), np.inf
    hold = below <= problem.ceiling
    best = Answer(Status.FAILED, None)
    iterations = solved = 0
    rebuild, note, proven = None, "", True
    while solved < MOST_PROBLEMS:
        ratio = below * _BEYOND
        step = (_held(problem, prices, ratio) if hold else None) or problem.at(ratio)
        hold = False
        answer = (yield step.problem) if step.problem.rows else _nobody(problem)
        solved += 1
        iterations += answer.iterations
        rebuild = answer.rebuild if solved == 1 else rebuild
        if answer.status not in _USABLE or answer.x is None:
            best, note, proven = best if best.x is not None else answer, answer.note, False
            break
        x = problem.packed(step.whole(answer.x))
        found = (answer.duals or Duals()).vector("capacity", problem.types)
        lower = problem.bound(found, below)
        moved = lower > below * _STILL
        if found is not None and lower >= below:
            below, prices = lower, found
        if not moved and problem.objective(x) > ratio * (1.0 + tolerance):
            x = problem.topped_up(x, ratio, prices)
        achieved = problem.objective(x)
        if best.x is None or achieved < above:
            above, best = achieved, replace(answer, x=x)
        if relative_gap(below, above) <= tolerance or not (moved or step.fixed.any()):
            break
    note = f"{solved} max-min problems" + (f"; {note}" if note else "")
    final = replace(best, duals=Duals(capacity=prices), iterations=iterations, rebuild=rebuild, note=note)
    return Found(final, prices, relative_gap(below, above) if proven else np.inf)


def _held(problem: FinishTimeProblem, prices: Floats, ratio: float) -> Step | None:
    """Return a problem in which those who decide the ceiling have all that they can have, None where there is none.

    That the ceiling is the bound says next to nothing of the others, and a max-min problem at the ceiling has no prices
    to go by. At the ratio that all others can afford it has; where GPUs do not suffice for that, at the ceiling itself.
    """
    return problem.held(problem.affordable(prices)) or problem.held(ratio)


def _nobody(problem: FinishTimeProblem) -> Answer:
    """Return the answer to a problem of no jobs."""
    return Answer(Status.OPTIMAL, np.zeros((0, problem.types)))
