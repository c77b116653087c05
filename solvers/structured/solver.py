"""The structured solvers behind one call: classes of equal jobs, price sifting, the interior point, in this order."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final, Protocol

import numpy as np

from phasewise.profiling.jit.kernel import Wanted, wanted
from phasewise.profiling.jit.layouts import laid_out
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.problems import Bools, Floats
from phasewise.solvers.proofs import Duals
from phasewise.solvers.structured import sifting, switching_kernels
from phasewise.solvers.structured.classes import Classes, equal_jobs, group
from phasewise.solvers.structured.cold_start import MANY_JOBS, SiftStart, rough_start, sampled_start
from phasewise.solvers.structured.core import (
    EVERYWHERE,
    NONE,
    Core,
    Indices,
    feasible,
    handed_on,
    program_of,
    proven_gap,
    sifted,
)
from phasewise.solvers.structured.interior_point import interior_point
from phasewise.solvers.structured.outcome import Outcome
from phasewise.solvers.structured.sifting import Optimum, Prices
from phasewise.solvers.structured.sifting_kernels import JobGains, with_gain
from phasewise.solvers.structured.sparse_interior_point import is_sparse, pairs_of, sparse_interior_point, spread
from phasewise.solvers.structured.switching_walk import MOST_TYPES

_DUST: Final = 1e-10  # what an interior point leaves of nothing; too little to be worth keeping
_FEW_JOBS: Final = 64
"""Up to here the interior point alone is as quick as sifting."""
_FINE: Final = (0.1, 0.5, 0.01)  # of the tolerance: what the interior point aims at where it has the last word


def kernels(*, switching: bool) -> list[Wanted]:
    """Return the kernels that solving takes, those of a movement cost among them where there is one."""
    used = (interior_point, with_gain, group, *sifting.KERNELS, *(switching_kernels.KERNELS if switching else ()))
    return [each for function in used for each in wanted(function)]


@dataclass(frozen=True, slots=True)
class Stated:
    """A problem with types without GPUs, jobs without a type, and repetitions of equal jobs taken out.

    Attributes
    ----------
    problem
        As it was stated.
    jobs
        Gains, GPUs and rewards of the J' rows that are left, over the W' types that are left.
    capacity
        (W',) GPUs.
    previous, cost
        (J', W') movement cost, or both of shape (0, 0).
    open
        (J', W') where x may be above 0; of shape (0, 0) where that is where gains are.
    everyone_runs
        Whether each job that is left gains something somewhere.
    kinds, rows
        Which types and which jobs are left; None for all.
    classes
        Which of those jobs are equal; None where each stands for itself.
    """

    problem: MaxMinProblem
    jobs: JobGains
    capacity: Floats
    previous: Floats
    cost: Floats
    open: Bools
    everyone_runs: bool
    kinds: Indices | None
    rows: Indices | None
    classes: Classes | None

    def expand(self, x: Floats) -> Floats:
        """Return (J, W) time fractions of the stated problem from those of the rows and types that are left."""
        if self.classes is not None:
            x = x.take(self.classes.of_job, axis=0)  # a fifth of the time of x[of_job]
        if self.kinds is not None:
            wide = np.zeros((x.shape[0], self.problem.types))
            wide[:, self.kinds] = x
            x = wide
        if self.rows is not None:
            tall = np.zeros((self.problem.jobs, self.problem.types))
            tall[self.rows] = x
            x = tall
        return x

    def solve(self, solver: StructuredSolver, last: Prices | None) -> Outcome:
        """Return the optimum with whatever gap could be proven, from the prices that the last problem left."""
        return solver.solve(self, last)

    def duals(self, weights: Floats, prices: Floats) -> Duals:
        """Return the duals of the stated problem, for an objective with t once, from those of what is left of it."""
        if self.classes is not None:
            weights = (weights / self.classes.size).take(self.classes.of_job)
        if self.rows is not None:
            tall = np.zeros(self.problem.jobs)
            tall[self.rows] = weights
            weights = tall
        if self.kinds is not None:
            wide = np.zeros(self.problem.types)
            wide[self.kinds] = prices
            prices = wide
        return Duals(capacity=prices / self.level_reward, gain=weights / self.level_reward)

    @property
    def merges_many(self) -> bool:
        """Whether classes stand for so many jobs, moving being free, that what can be is done for classes alone."""
        free = not self.cost.size and self.rows is None
        return free and self.classes is not None and self.problem.jobs >= MANY_JOBS

    @property
    def core(self) -> Core:
        """The rows and types that are left, without what they stand for."""
        return Core(self.jobs, self.capacity, self.previous, self.cost, self.open, self.level_reward)

    @property
    def level_reward(self) -> float:
        """The number of jobs that are left: the whole objective is multiplied by it."""
        return float(self.problem.jobs if self.rows is None else self.rows.size)


def state(problem: MaxMinProblem) -> Stated:
    """Return ``problem`` as the solvers take it."""
    gain, capacity, use = laid_out(problem.usable_gain), laid_out(problem.capacity), laid_out(problem.scale_factor)
    allowed, previous, cost = _switching(problem, gain)
    kinds = rows = None
    if not capacity.all():
        kinds = np.flatnonzero(capacity)
        gain, capacity = np.ascontiguousarray(gain[:, kinds]), capacity[kinds]
        if cost.size:
            allowed = np.ascontiguousarray(allowed[:, kinds])
            previous, cost = np.ascontiguousarray(previous[:, kinds]), np.ascontiguousarray(cost[:, kinds])
    runnable = with_gain(gain)
    if not cost.size and not problem.linear_weight and runnable < use.size:
        rows = np.flatnonzero(gain.any(axis=1))
        gain, use = gain[rows], use[rows]
    jobs = JobGains(gain, use, np.full(use.size, problem.linear_weight))
    everyone_runs = bool(use.size) and runnable == use.size
    classes = _equal(jobs, allowed, previous, cost)
    if classes is not None:
        one, size = classes.example, classes.size
        jobs = JobGains(gain.take(one, axis=0), use[one] * size, jobs.linear[one] * size)
        if cost.size:
            allowed, previous, cost = allowed[one], previous[one], cost[one] * size[:, None]
    return Stated(problem, jobs, capacity, previous, cost, allowed, everyone_runs, kinds, rows, classes)


def _switching(problem: MaxMinProblem, gain: Floats) -> tuple[Bools, Floats, Floats]:
    """Return where x may usefully be above 0, what is worth keeping, and the cost of moves times the number of jobs.

    Without a movement cost all three are of shape (0, 0).
    """
    switching = problem.switching
    if switching is None:
        return EVERYWHERE, NONE, NONE
    allowed = problem.allowed_mask
    kept = (switching.previous > _DUST) & (switching.cost > 0.0) & allowed
    useful = kept | (allowed & (gain > 0.0))
    previous, cost = switching.previous * kept, switching.cost * problem.jobs
    cost *= useful
    return laid_out(useful), laid_out(previous), laid_out(cost)


def _equal(jobs: JobGains, allowed: Bools, previous: Floats, cost: Floats) -> Classes | None:
    """Return which jobs are equal, None where counting them as one does not pay."""
    parts: tuple[Floats, ...] = (jobs.gain, jobs.use[:, None])
    if cost.size:
        parts += (allowed.astype(np.float64), previous, cost)
    return equal_jobs(parts)


@dataclass(frozen=True, slots=True)
class StructuredSolver:
    """Solves one problem after another, each from t and the prices that the last one left; keeps nothing itself.

    Attributes
    ----------
    tolerance
        Largest relative gap that is good enough.
    iteration_limit
        Most iterations of one interior-point run.
    remembers, sifts
        Whether the last prices are used, and whether sifting is.
    """

    tolerance: float
    iteration_limit: int
    remembers: bool = True
    sifts: bool = True

    def solve(self, stated: Stated, last: Prices | None) -> Outcome:
        """Return the optimum of ``stated``, with whatever gap could be proven, from the ``last`` prices or none."""
        if not stated.everyone_runs and not stated.jobs.gain.any() and not stated.open.any():
            return _idle(stated.problem)
        tried: list[str] = []
        spent = 0
        if self.sifts and siftable(stated):
            for start in self._starts(stated, last, tried):
                spent += start.iterations
                found = sifted(stated.core, start.prices, 0.5 * self.tolerance)
                tried.append("sifting")
                if found is not None:
                    return _sifted(stated, start.prices, found, spent, tried)
        return self._by_interior_point(stated, spent, tried)

    def _starts(self, stated: Stated, last: Prices | None, tried: list[str]) -> Iterator[SiftStart]:
        """Yield where to sift from: the last prices, those of samples of many jobs, then of a rough interior point."""
        core = stated.core
        if last is not None and self.remembers and last.capacity.size == core.capacity.size:
            yield SiftStart(Prices(last.capacity * core.level_reward, last.level), 0)
        if core.jobs.use.size >= MANY_JOBS:
            tried.append("samples")
            start = sampled_start(core, self.iteration_limit)
            if start is not None:
                yield start
        tried.append("interior point to 1e-5")
        start = rough_start(core, unit_of(stated), self.iteration_limit)
        if start is not None:
            yield start

    def _by_interior_point(self, stated: Stated, spent: int, tried: list[str]) -> Outcome:
        """Return the best of up to three full runs of the interior point, judged by the problem's own bound.

        Where the first one is not proven, rounding stopped it: another last step often lands better.
        """
        runs: list[Outcome] = []
        for fine in _FINE:
            tried.append("interior point")
            runs.append(self._one_run(stated, fine * self.tolerance, spent, tried))
            spent = runs[-1].iterations
            if runs[-1].gap <= self.tolerance:
                return runs[-1]
        best = min(runs, key=lambda run: run.gap)
        return replace(best, iterations=spent, way=", ".join(tried))

    def _one_run(self, stated: Stated, aim: float, spent: int, tried: list[str]) -> Outcome:
        """Return the outcome of one run of the interior point down to a gap of ``aim``."""
        if is_sparse(stated.core):
            return self._one_sparse_run(stated, aim, spent, tried)
        program, problem = program_of(stated.core), stated.problem
        point, level, iterations, _, _ = interior_point(
            program, unit_of(stated), aim, self.iteration_limit, least_worth(stated)
        )
        x = np.ascontiguousarray(point.y.T)
        duals = stated.duals(point.lam, point.price)
        if stated.merges_many:
            x = feasible(stated.core, x)
            gap = proven_gap(stated.core, x, point.lam, point.price)
            x = stated.expand(x)
        else:
            if point.k.size:
                x[program.kept_job, program.kept_type] += point.k
            x = problem.project(stated.expand(x))
            gap = _proven(problem, x, duals)
        left = Prices(point.price / stated.level_reward, level) if gap <= self.tolerance else None
        return Outcome(x, duals, gap, spent + iterations, ", ".join(tried), True, left)

    def _one_sparse_run(self, stated: Stated, aim: float, spent: int, tried: list[str]) -> Outcome:
        """Return the outcome of one run down to a gap of ``aim`` where each job sees few of many types."""
        pairs = pairs_of(stated.core)
        point, iterations = sparse_interior_point(pairs, aim, self.iteration_limit)
        x = stated.problem.project(stated.expand(spread(pairs, point.y)))
        duals = stated.duals(point.lam, point.price)
        gap = _proven(stated.problem, x, duals)
        return Outcome(x, duals, gap, spent + iterations, ", ".join(tried), True)


def _sifted(stated: Stated, start: Prices, found: Optimum, spent: int, tried: list[str]) -> Outcome:
    """Return the outcome of a sifting run from ``start``, with prices for the next."""
    duals = stated.duals(found.weights, found.prices.capacity)
    left = Prices(handed_on(stated.core, start, found) / stated.level_reward, found.prices.level)
    x, iterations = stated.expand(found.x), spent + found.iterations
    return Outcome(x, duals, found.gap, iterations, ", ".join(tried), len(tried) > 1, left)


def _idle(problem: MaxMinProblem) -> Outcome:
    """Return the outcome where no job gains anything anywhere."""
    x = np.zeros((problem.rows, problem.types))
    duals = Duals(capacity=np.zeros(problem.types), gain=np.zeros(problem.rows))
    return Outcome(x, duals, _proven(problem, x, duals), 0, "nothing to solve", False)


def _proven(problem: MaxMinProblem, x: Floats, duals: Duals) -> float:
    """Return the gap that the duals prove at ``x``, infinite where something is not finite."""
    proof = problem.prove(x, duals)
    gap = np.inf if proof is None or proof.gap is None else proof.gap
    return gap if np.isfinite(gap) else np.inf


def siftable(stated: Stated) -> bool:
    """Return whether sifting knows this kind of problem and gains anything: many jobs, t above 0."""
    return stated.jobs.use.size > _FEW_JOBS and stated.everyone_runs and stated.capacity.size <= MOST_TYPES


def unit_of(stated: Stated) -> float:
    """Return about what t will be: the least gain under equal shares, or where that is 0, what the objective is."""
    problem = stated.problem
    whole = stated.rows is None and not stated.merges_many
    equal = problem.equal_share_gain if whole else stated.core.equal_share_gain
    return equal or float(stated.jobs.gain.max()) * (problem.linear_weight or 1.0) or 1.0


def least_worth(stated: Stated) -> float:
    """Return what a gap is relative to where the objective's terms cancel: nothing without a movement cost."""
    problem = stated.problem
    return problem.magnitude(problem.previous) * stated.level_reward if problem.previous is not None else 0.0


class Statement(Protocol):
    """A problem as a family's builder states it, see `phasewise.solvers.forms.tables.STRUCTURED`."""

    def solve(self, solver: StructuredSolver, last: Prices | None) -> Outcome:
        """Return the optimum, with whatever gap could be proven, from what the last problem left."""
        ...
