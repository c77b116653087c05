"""Every backend on instances meant to break it, as sequences of rounds, judged by linear programs made here.

Nothing tame is refused, and nothing that is accepted is wrong: no allocation that scipy's HiGHS finds beats it by more
than the certifier allows, no bound is below what is feasible, and no job can rise on GPUs that nobody uses.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Final

import numpy as np
import numpy.typing as npt
import pytest
from hostile_instances import Hostile, hostile, tame
from scipy.optimize import linprog

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Solution
from phasewise.solvers.certify import GAP_LIMIT, LESSER_GAP_LIMIT
from phasewise.solvers.errors import SolveFailedError
from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.session import Walk

pytestmark = pytest.mark.thorough

Floats = npt.NDArray[np.float64]

CHUNK: Final = 50
IN_CI: Final = 500
NIGHTLY: Final = 10_000
OWN: Final = ("auto", "structured", "highs-direct", "highs-warm", "water-filling", "single-type")
OTHERS: Final = tuple(sorted(set(registry.names()) - set(OWN)))
"""Those that go through CVXPY take ten times as long: each instance is solved by one of them, by turns."""

EXACT: Final = frozenset(name for name in OWN if registry.is_exact(registry.get(name)))
ROUNDING: Final = 1e-9
LEXICOGRAPHIC_JOBS: Final = 12
RISEN: Final = 1e-5
"""What 1e-11 less for all others may buy a small job: 2e-7 was seen, and 2e-5 for 1e-9 less."""


@cache
def solver(name: str) -> Walk:
    """Return the one session of a backend: what it keeps of one instance must not spoil the next."""
    return Walk.of(name, {}, PhaseTimer())


@dataclass(frozen=True)
class Reference:
    """What scipy's HiGHS finds.

    Attributes
    ----------
    value
        The objective at its allocation, made feasible here.
    bound
        What its duals prove.
    measure
        The size of what the objective is made of.
    """

    value: float
    bound: float
    measure: float


def usable(problem: MaxMinProblem) -> Floats:
    allowed = problem.gain > 0.0 if problem.allowed is None else problem.allowed
    return np.where(allowed & (problem.capacity > 0.0), problem.gain, 0.0)


def moved(problem: MaxMinProblem, x: Floats) -> float:
    if problem.previous is None or problem.move_cost is None:
        return 0.0
    return float((np.abs(x - problem.previous) * problem.move_cost).sum())


def objective(problem: MaxMinProblem, x: Floats) -> float:
    gains = (problem.gain * x).sum(axis=1)
    return float(gains.min() + problem.linear_weight * gains.mean() - moved(problem, x))


def fitted(problem: MaxMinProblem, x: Floats) -> Floats:
    """Return ``x`` scaled into its constraints."""
    x = np.maximum(x, 0.0) * _open(problem)
    x = x / np.maximum(x.sum(axis=1), 1.0)[:, None]
    used = problem.scale_factor @ x
    return x * np.where(used > problem.capacity, problem.capacity / np.maximum(used, 1e-300), 1.0)


def _open(problem: MaxMinProblem) -> Floats:
    allowed = problem.gain > 0.0 if problem.allowed is None else problem.allowed
    return (allowed & (problem.capacity > 0.0)).astype(np.float64)


def reference(problem: MaxMinProblem) -> Reference | None:
    """Return the optimum of the program over x, the time added, the time kept and t; None where HiGHS finds none.

    Gains are divided by what t is about, and objective and rows are those of the definition.
    """
    jobs, types = problem.gain.shape
    pairs, gain = jobs * types, usable(problem)
    best = gain.max(axis=1)
    unit = float(gain.max()) if not best.min() > 0.0 else float(best.min())
    unit = unit or 1.0
    matrix, room = _rows(problem, gain, unit)
    previous = np.zeros((jobs, types)) if problem.previous is None else problem.previous
    cost = np.zeros((jobs, types)) if problem.move_cost is None else np.broadcast_to(problem.move_cost, previous.shape)
    reward = problem.linear_weight / jobs * gain / unit
    worth = np.concatenate([(reward - cost / unit).ravel(), (reward + cost / unit).ravel(), [1.0]])
    upper = np.concatenate([_open(problem).ravel(), (previous * _open(problem)).ravel(), [float(best.min()) / unit]])
    result = linprog(
        -worth, matrix, room, bounds=np.column_stack([np.zeros(upper.size), upper]), method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )  # fmt: skip
    if result.x is None:
        return None
    x = fitted(problem, (result.x[:pairs] + result.x[pairs : 2 * pairs]).reshape(jobs, types))
    duals = np.maximum(-result.ineqlin.marginals, 0.0)
    left = np.maximum(worth - matrix.T @ duals, 0.0)
    constant = float((cost * previous).sum())
    bound = float(duals @ room + left @ upper) * unit - constant
    value = objective(problem, x)
    share = np.minimum(1.0, problem.capacity / problem.scale_factor.sum())
    equal = float((gain @ (share / max(1.0, share.sum()))).min())
    least = equal or float(cost.mean(axis=1).sum())  # where nobody may gain anything: what moving everybody costs
    return Reference(value, bound, max(abs(value) + 2.0 * moved(problem, x), least))


def _rows(problem: MaxMinProblem, gain: Floats, unit: float) -> tuple[Floats, Floats]:
    """Return the rows of gains, time and GPUs over the time added, the time kept and t, and their upper limits."""
    jobs, types = gain.shape
    each, kinds = np.arange(jobs), np.arange(types)
    best = gain.max(axis=1)
    row = np.where(best > 0.0, best, np.inf)  # t is 0 where a job has nothing
    size = np.where(problem.capacity > 0.0, problem.capacity, 1.0)
    rows, t = np.zeros((2 * jobs + types, jobs, types)), np.zeros(2 * jobs + types)
    rows[each, each] = -gain / row[:, None]
    rows[jobs + each, each] = 1.0
    rows[2 * jobs + kinds, :, kinds] = problem.scale_factor / size[:, None]
    t[:jobs] = unit / row
    flat = rows.reshape(len(t), -1)
    room = np.concatenate([np.zeros(jobs), np.ones(jobs), problem.capacity / size])
    return np.column_stack([flat, flat, t]), room


def could_reach(problem: MaxMinProblem, x: Floats) -> Floats:
    """Return (J,) each job's level were it alone to get what nobody uses: fastest types first, within its time."""
    gain, idle = usable(problem), np.maximum(problem.capacity - problem.scale_factor @ x, 0.0)
    reach = np.zeros(len(gain))
    for job, row in enumerate(gain):
        left = 1.0
        for kind in np.argsort(-row):
            used = min(left, float(x[job, kind] + idle[kind] / problem.scale_factor[job]))
            reach[job] += used * row[kind]
            left -= used
    return reach


def rise(problem: MaxMinProblem, job: int, floors: Floats) -> float:
    """Return the highest level of one job while the others have their floors (J,); -inf where none is found."""
    jobs, types = problem.gain.shape
    gain = usable(problem)
    held = np.flatnonzero((floors > 0.0) & (np.arange(jobs) != job))
    levels = np.zeros((held.size, jobs, types))
    levels[np.arange(held.size), held] = gain[held] / floors[held, None]
    time, gpus = np.zeros((jobs, jobs, types)), np.zeros((types, jobs, types))
    time[np.arange(jobs), np.arange(jobs)] = 1.0
    gpus[np.arange(types), :, np.arange(types)] = problem.scale_factor
    rows = np.concatenate([-levels, time, gpus]).reshape(-1, jobs * types)
    aim = np.zeros((jobs, types))
    aim[job] = -gain[job] / gain[job].max()
    result = linprog(
        aim.ravel(), rows, np.concatenate([-np.ones(held.size), np.ones(jobs), problem.capacity]),
        bounds=np.column_stack([np.zeros(jobs * types), (gain > 0.0).ravel()]), method="highs",
        options={"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10},
    )  # fmt: skip
    return -np.inf if result.x is None else -float(result.fun) * float(gain[job].max())


def faults(problem: MaxMinProblem, solution: Solution, best: Reference | None, *, exact: bool) -> list[str]:
    """Return what is wrong with an accepted answer."""
    x, found = solution.x, []
    over = (problem.scale_factor @ x - problem.capacity) / np.maximum(problem.capacity, 1.0)
    closed = float(x[_open(problem) == 0.0].max(initial=0.0))
    off = max(-float(x.min()), float(x.sum(axis=1).max()) - 1.0, float(over.max()), closed)
    if off > ROUNDING:
        found.append(f"violates a constraint by {off:.3g}")
    value = objective(problem, x)
    size = abs(value) + 2.0 * moved(problem, x)
    if abs(value - solution.objective) > ROUNDING * size:
        found.append(f"says {solution.objective!r}, is {value!r}")
    if best is None:
        return found
    measure = max(best.measure, size)
    if exact and value < best.value - 1.1 * (LESSER_GAP_LIMIT if solution.less_accurate else GAP_LIMIT) * measure:
        found.append(f"reaches {value!r}, {best.value!r} can be reached")
    if value > best.bound + GAP_LIMIT * measure:
        found.append(f"reaches {value!r}, no more than {best.bound!r} can be reached")
    if solution.bound is not None and solution.bound < best.value - ROUNDING * measure:
        found.append(f"bound {solution.bound!r} is below {best.value!r}, which can be reached")
    return found


def faults_of_levels(problem: MaxMinProblem, solution: Solution, *, closely: bool) -> list[str]:
    """Return what is wrong with an accepted filling beyond its least level."""
    levels, found = (problem.gain * solution.x).sum(axis=1), []
    claimed = LESSER_GAP_LIMIT if solution.gap is None else solution.gap
    beyond = could_reach(problem, solution.x)
    live = beyond > 0.0
    idle = float((1.0 - levels[live] / beyond[live]).max(initial=0.0))
    if idle > claimed + ROUNDING:
        found.append(f"a job could rise by {idle:.3g} on idle GPUs, {solution.gap} is claimed")
    for job in range(0, len(levels) if closely else 0, 3):
        floors = np.minimum(levels, levels[job]) * (1.0 - 1e-11)
        if live[job] and rise(problem, job, floors) > levels[job] * (1.0 + claimed + RISEN):
            found.append(f"job {job} could rise and nobody at its level or below would fall")
    return found


def least_level(problem: MaxMinProblem | LexicographicProblem) -> MaxMinProblem:
    """Return the max-min problem of which a lexicographic one is the refinement; any other as it is."""
    if isinstance(problem, MaxMinProblem):
        return problem
    return MaxMinProblem(problem.gain, problem.scale_factor, problem.capacity, problem.allowed)


def failures(instance: Hostile) -> list[str]:
    """Return all that is wrong with what the backends make of an instance."""
    found = []
    for index, problem in enumerate(instance.rounds):
        others = (OTHERS[instance.seed % len(OTHERS)],) if OTHERS and not index else ()
        answers = {}
        for name in (*OWN, *others):
            if problem.family not in solver(name).solver.families[name]:
                continue
            try:
                answers[name] = solver(name).solve(problem)
            except SolveFailedError as error:
                if name in EXACT and tame(problem):
                    found.append(f"round {index}: {name} refuses: {error}")
        plain = least_level(problem)
        best = reference(plain) if answers and usable(problem).any() else None
        for name, solution in answers.items():
            wrong = faults(plain, solution, best, exact=registry.is_exact(registry.get(name)))
            if problem.family == "lexicographic":
                few = problem.jobs <= LEXICOGRAPHIC_JOBS and tame(problem)
                wrong += faults_of_levels(problem, solution, closely=few and name == "water-filling")
            found += [f"round {index}: {name} {each}" for each in wrong]
    return [f"{instance}: {each}" for each in found]


def check(first: int) -> None:
    found = [fault for seed in range(first, first + CHUNK) for fault in failures(hostile(seed))]
    assert not found, "\n".join(found)


@pytest.mark.parametrize("first", range(0, IN_CI, CHUNK))
def test_nothing_tame_is_refused_and_nothing_accepted_is_wrong(first: int) -> None:
    check(first)


@pytest.mark.nightly
@pytest.mark.parametrize("first", range(IN_CI, NIGHTLY, CHUNK))
def test_nothing_tame_is_refused_and_nothing_accepted_is_wrong_of_very_many(first: int) -> None:
    check(first)
