"""Which promised rates can be kept: those that stand in the way of the others are given up, by proofs and in order."""

from __future__ import annotations

from dataclasses import replace
from typing import NamedTuple

import numpy as np

from phasewise.profiling.jit.layouts import laid_out
from phasewise.solvers.errors import SolveFailedError
from phasewise.solvers.families.max_sum import MaxSumProblem
from phasewise.solvers.problems import Floats, Ints
from phasewise.solvers.structured.max_sum import Program, within_reach


class Kept(NamedTuple):
    """A problem without the promises that cannot be kept.

    Attributes
    ----------
    problem
        What is left, in which all promises can be kept together.
    alone
        Rows whose promise is more than they could have by themselves.
    together
        Rows whose promise went because all could not be kept together, in the order in which they went.
    prices
        (W,) of a GPU in what is left: a good place to start from next time.
    """

    problem: MaxSumProblem
    alone: Ints
    together: Ints
    prices: Floats


def program_of(problem: MaxSumProblem) -> Program:
    """Return a problem as the structured solver takes it."""
    value = np.where(problem.allowed_mask, problem.value, -np.inf)
    arrays = (value, problem.rate, problem.need, problem.scale_factor, problem.capacity)
    return Program(*(laid_out(array) for array in arrays))


def kept(problem: MaxSumProblem, start: Floats | None = None) -> Kept:
    """Return ``problem`` without the promises that cannot be kept.

    First go those that a job could not have kept by itself. Then, while duals l, p prove that the rest cannot be kept
    together, the one with the largest l_i q_i goes, of equals the first. To give up as few as possible would be an
    integer program; this is a heuristic. Each step rests on a proof, and none on the solver that solves what is left.

    Parameters
    ----------
    start
        (W,) prices of a problem much like this one; None to start from nothing.

    Raises
    ------
    SolveFailedError
        Where rounding leaves it open whether the promises can be kept.
    """
    left = within_reach(program_of(problem), start)
    if left.best is None:
        raise SolveFailedError(f"cannot tell which of the promises of {problem.rows} jobs can be kept")
    promised = left.program.need
    return Kept(replace(problem, promised=promised), left.alone, left.together, left.best.prices)
