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

from phasewise.solvers.api import Answer, Status
from phasewise.solvers.families.finish_time import FinishTimeProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.problems import Floats
from phasewise.solvers.proofs import Duals, relative_gap
from phasewise.solvers.sequences import Found

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
    best: Answer | None = None
    iterations = solved = 0
    rebuild, note = None, ""
    while solved < MOST_PROBLEMS:
        ratio = below * _BEYOND
        answer = yield problem.at(ratio)
        solved += 1
        iterations += answer.iterations
        rebuild = answer.rebuild if solved == 1 else rebuild
        if answer.status not in _USABLE or answer.x is None:
            best, note = best or answer, answer.note
            break
        found = (answer.duals or Duals()).vector("capacity", problem.types)
        x, achieved = _achieved(problem, answer.x, ratio, prices if found is None else found, tolerance)
        if best is None or achieved < above:
            above, best = achieved, replace(answer, x=x)
        proven = problem.bound(found, above)
        moved = proven > below * _STILL
        if found is not None and proven >= below:
            below, prices = proven, found
        if relative_gap(below, above) <= tolerance or not moved:
            break
    assert best is not None  # as at least one problem was solved
    note = f"{solved} max-min problems" + (f"; {note}" if note else "")
    final = replace(best, duals=Duals(capacity=prices), iterations=iterations, rebuild=rebuild, note=note)
    return Found(final, prices)


def _achieved(
    problem: FinishTimeProblem, answer: Floats, ratio: float, prices: Floats, tolerance: float
) -> tuple[Floats, float]:
    """Return (J, W) time fractions of all jobs from those that matter, and the ratio that they achieve."""
    x = problem.packed(problem.spread(answer))
    achieved = problem.objective(x)
    if achieved > ratio * (1.0 + tolerance):
        topped = problem.topped_up(x, ratio, prices)
        if (reached := problem.objective(topped)) < achieved:
            return topped, reached
    return x, achieved
