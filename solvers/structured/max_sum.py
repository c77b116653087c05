"""The largest sum of values, with rates that jobs need where they have them: exact, by descent in the types' prices.

    maximise sum_ij v_ij x_ij   with   sum_j x_ij <= 1,  sum_i s_i x_ij <= N_j,  x >= 0,  sum_j T_ij x_ij >= q_i

`docs/explanation/structured-solvers.md` derives the method. Every answer comes with duals that prove it, and rates that
cannot all be had with duals that prove that.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final, NamedTuple

import numpy as np

from phasewise.profiling.jit.layouts import IntVector, Matrix, Vector
from phasewise.solvers.structured import max_sum_kernels, price_descent
from phasewise.solvers.structured.classes import Classes, equal_jobs, group
from phasewise.solvers.structured.max_sum_kernels import sum_of_values, weigh, worth_of_time, write_shares
from phasewise.solvers.structured.mixes import JobValues, Mixes
from phasewise.solvers.structured.price_descent import OPTIMAL, SPENT, UNBOUNDED, descend
from phasewise.solvers.structured.price_search import Nearby, State, Turns
from phasewise.solvers.structured.price_vertex import Basis

KERNELS: Final = (group, *price_descent.KERNELS, *max_sum_kernels.KERNELS)

_STEPS_PER_TYPE: Final = 100
_MOST_STEPS: Final = 1000
_SAMPLED: Final = 8  # a start from nothing first solves for every eighth job
_FEW_JOBS: Final = 256
_NUDGES: Final = (0.0, 1e-12, 1e-11, 1e-10)  # of a value: apart by this much, ties upon ties come in some order
_REACHED: Final = 1.0 - 1e-12


@dataclass(frozen=True, slots=True)
class Program:
    """What is asked for.

    Attributes
    ----------
    value
        (J, W) v_ij, finite, of all of a job's time on a type; minus infinity where the job may not run.
    rate
        (J, W) T_ij >= 0, finite.
    need
        (J,) q_i >= 0, the least rate; 0 for none.
    use
        (J,) s_i > 0, GPUs.
    capacity
        (W,) N_j >= 0, GPUs.
    """

    value: Matrix
    rate: Matrix
    need: Vector
    use: Vector
    capacity: Vector

    @property
    def jobs(self) -> JobValues:
        """The rows, as compiled code takes them."""
        return JobValues(self.value, self.rate, self.need, self.use)

    @property
    def fastest(self) -> Vector:
        """(J,) the largest rate of each job where it may run."""
        fastest: Vector = np.where(self.value > -np.inf, self.rate, 0.0).max(axis=1, initial=0.0)
        return fastest

    def bound(self, prices: Vector, weights: Vector) -> float:
        """Return what (W,) prices and (J,) weights of needed rates, all at least 0, prove: no answer is worth more."""
        paid = float(prices @ self.capacity) - float(weights @ self.need)
        return worth_of_time(self.jobs, prices, weights, 1.0) + paid

    def excess(self, prices: Vector, weights: Vector) -> float:
        """Return by how much (W,) prices and (J,) weights prove that the rates cannot all be had; not, if 0 or less."""
        asked = float(weights @ self.need)
        return asked - float(prices @ self.capacity) - worth_of_time(self.jobs, prices, weights, 0.0)


@dataclass(frozen=True, slots=True)
class Best:
    """An answer with the duals that prove it.

    Attributes
    ----------
    x
        (J, W) feasible time fractions, at a vertex: at most W jobs are split otherwise than their own best mix is.
    prices, weights
        (W,) of a GPU and (J,) of a unit of needed rate.
    value, bound
        What ``x`` is worth and what the duals prove.
    steps
        From vertex to vertex.
    """

    x: Matrix
    prices: Vector
    weights: Vector
    value: float
    bound: float
    steps: int


@dataclass(frozen=True, slots=True)
class OutOfReach:
    """A proof that the needed rates cannot all be had: see `Program.excess`, which is above 0 for these duals.

    Attributes
    ----------
    prices, weights
        (W,) and (J,).
    at
        (W,) the last prices before they rose without end: a place to go on from.
    steps
        From vertex to vertex.
    """

    prices: Vector
    weights: Vector
    at: Vector
    steps: int


class _Run(NamedTuple):
    """A descent that has ended."""

    ended: int
    steps: int
    mixes: Mixes
    state: State


def maximise(program: Program, start: Vector | None = None) -> Best | OutOfReach | None:
    """Return the largest sum of values, or a proof that the needed rates cannot all be had; None where rounding won.

    Parameters
    ----------
    program
        What is asked for.
    start
        (W,) prices of a program much like this one; None to start from nothing.
    """
    slow = program.need * _REACHED > program.fastest
    if slow.any():
        return OutOfReach(np.zeros_like(program.capacity), slow.astype(np.float64), np.zeros_like(program.capacity), 0)
    whole, classes = _merged(program)
    if start is None:
        start = _sampled(whole)
    spent = 0
    for nudge in _NUDGES:
        run = _descended(_nudged(whole, nudge), start)
        spent += run.steps
        if run.ended == OPTIMAL:
            return _best(program, whole, classes, run, spent)
        if run.ended == UNBOUNDED:
            found = _out_of_reach(program, whole, classes, run, spent)
            if found is not None:
                return found
    return None


def _merged(program: Program) -> tuple[Program, Classes | None]:
    """Return the program with equal jobs as one, where that pays, and which jobs are equal."""
    classes = equal_jobs((program.value, program.rate, program.need[:, None], program.use[:, None]))
    if classes is None:
        return program, None
    one, size = classes.example, classes.size
    value, use = program.value[one] * size[:, None], program.use[one] * size
    return Program(value, program.rate[one], program.need[one], use, program.capacity), classes


def _sampled(program: Program) -> Vector:
    """Return prices to start from: those of every eighth job with as many GPUs a job, found likewise; else 0."""
    count = program.use.size
    nothing = np.zeros_like(program.capacity)
    if count < _FEW_JOBS:
        return nothing
    part = slice(None, None, _SAMPLED)
    use = program.use[part]
    capacity = program.capacity * (use.sum() / program.use.sum())
    sample = Program(
        np.ascontiguousarray(program.value[part]),
        np.ascontiguousarray(program.rate[part]),
        np.ascontiguousarray(program.need[part]),
        np.ascontiguousarray(use),
        capacity,
    )
    run = _descended(sample, _sampled(sample))
    return run.state.prices if run.ended in (OPTIMAL, UNBOUNDED) else nothing


def _nudged(program: Program, nudge: float) -> Program:
    """Return the program with values moved apart by up to this part of them, always by the same random numbers."""
    if not nudge:
        return program
    measure = np.where(program.value > -np.inf, np.abs(program.value), 0.0).max(axis=1, initial=0.0)
    measure[measure == 0.0] = measure.max(initial=0.0) or 1.0
    apart = np.random.default_rng(0).random(program.value.shape) * (nudge * measure)[:, None]
    return replace(program, value=program.value + apart)


def _descended(program: Program, start: Vector) -> _Run:
    """Return where a descent from (W,) prices ends."""
    count, types = program.value.shape
    mixes = Mixes(np.empty(count, np.int8), np.empty(count, np.int8))
    square, row, by_job = np.empty((2, types, types)), np.empty((9, types)), np.empty((3, count))
    places, spots, listed = np.empty((2, types), np.int64), np.empty(types, np.int8), np.empty((2, count), np.int64)
    basis = Basis(
        spots, places[0], places[1], square[0], row[0], row[1], square[1], row[2], row[3], np.empty(count, np.int8)
    )
    turns = Turns(by_job[0], np.empty(count, np.int8), by_job[1], listed[0])
    nearby = Nearby(listed[1], np.zeros(1, np.int64), row[4], np.zeros(1), by_job[2], row[5])
    state = State(row[6], row[7], row[8], basis, turns, nearby)
    state.prices[:] = start
    limit = _MOST_STEPS + _STEPS_PER_TYPE * types
    if not count:
        return _Run(SPENT, 0, mixes, state)
    ended, steps = descend(program.jobs, program.capacity, mixes, state, limit)
    return _Run(ended, steps, mixes, state)


def _best(program: Program, whole: Program, classes: Classes | None, run: _Run, spent: int) -> Best:
    """Return the answer that a descent has ended at."""
    x, weights, prices = np.empty_like(whole.value), np.empty_like(whole.need), run.state.prices
    write_shares(whole.jobs, run.mixes, run.state.basis, whole.capacity, x)
    weigh(whole.jobs, run.mixes, prices, weights, 1.0)
    if classes is not None:
        x, weights = x[classes.of_job], (weights / classes.size)[classes.of_job]
    value = sum_of_values(program.jobs, x)
    return Best(x, prices, weights, value, program.bound(prices, weights), spent)


def _out_of_reach(
    program: Program, whole: Program, classes: Classes | None, run: _Run, spent: int
) -> OutOfReach | None:
    """Return the proof that a descent without end gives, None where it is none but for rounding."""
    prices, weights = np.maximum(run.state.direction, 0.0), np.empty_like(whole.need)
    weigh(whole.jobs, run.mixes, prices, weights, 0.0)
    if classes is not None:
        weights = (weights / classes.size)[classes.of_job]
    if not program.excess(prices, weights) > 0.0:
        return None
    return OutOfReach(prices, weights, run.state.prices, spent)


@dataclass(frozen=True, slots=True)
class Dropped:
    """Which needs were given up, in order, so that the rest can be met, and the program without them.

    Attributes
    ----------
    alone
        Jobs whose need is more than they can have by themselves.
    together
        Jobs whose need went because all needs together could not be met, in the order in which they went.
    program
        With 0 for the needs that went.
    best
        Its answer; None where rounding won.
    """

    alone: IntVector
    together: IntVector
    program: Program
    best: Best | None


def within_reach(program: Program, start: Vector | None = None) -> Dropped:
    """Return the program without the needs that stand in the way of the others, and its answer.

    First go those that a job could not have met by itself. Then, for as long as duals prove that the rest cannot be
    met together, the one with the largest l_i q_i of that proof goes, of equals the first. To drop as few as possible
    would be an integer program; this is a heuristic.
    """
    need = np.where(program.need * _REACHED > program.fastest, 0.0, program.need)
    alone = np.flatnonzero(need != program.need)
    left, gone = replace(program, need=need), list[int]()
    while True:
        found = maximise(left, start)
        if not isinstance(found, OutOfReach):
            return Dropped(alone, np.array(gone, dtype=np.int64), left, found)
        start = found.at
        while left.excess(found.prices, found.weights) > 0.0:
            out = int(np.argmax(found.weights * left.need))
            need = left.need.copy()
            need[out] = 0.0
            found.weights[out] = 0.0
            left = replace(left, need=need)
            gone.append(out)
