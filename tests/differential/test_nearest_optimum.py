"""The sparse optimum nearest to where jobs were: as good as the answer it replaces, and none nearer by scipy."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import PER_BACKEND
from scipy.optimize import linprog

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.session import Walk
from phasewise.solvers.structured.nearest import nearest_optimum

GPUS = np.array([0.25, 0.5, 1.0, 2.0, 4.0])


@cache
def solver() -> Walk:
    return Walk.of("structured", {"mode": "cold"}, PhaseTimer())


def instance(seed: int, jobs: int, types: int, load: float) -> MaxMinProblem:
    """Return a canonical problem of few kinds of jobs, some of which run on some types only; of two types one speed."""
    rng = np.random.default_rng(seed)
    rates = rng.integers(1, 12, (4, types)) / 7.0
    rates[:, types // 2] = rates[:, 0]
    gpus, kind = rng.choice(GPUS, jobs), rng.integers(0, len(rates), jobs)
    gain = rates[kind] * gpus[:, None]
    barred = rng.random((jobs, types)) < 0.1
    barred[np.arange(jobs), rng.integers(0, types, jobs)] = False
    capacity = np.ceil(rng.dirichlet(np.ones(types)) * gpus.sum() / load)
    gain[barred] = 0.0
    return MaxMinProblem(gain, gpus, capacity, gain > 0.0, 1e-3, keys=np.arange(jobs, dtype=np.int64) + 7)


def chosen(problem: MaxMinProblem, home: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the certified answer and the one that is to replace it."""
    x = solver().solve(problem).x
    return x, nearest_optimum(problem, x, home)


def above(problem: MaxMinProblem, x: np.ndarray) -> np.ndarray:
    """Return which jobs are above the least gain and use all of their time on types no slower than that."""
    gains, level = problem.gains(x), problem.gains(x).min()
    able = problem.usable_gain >= level
    return (gains > level * 1.02) & ((x * able).sum(axis=1) > 0.99)


def whole(problem: MaxMinProblem, x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return which of the jobs above the least gain ``y`` gives all of their time, as it does not where some idle."""
    return above(problem, x) & (y.sum(axis=1) > 1.0 - 1e-6)


def staying(problem: MaxMinProblem, y: np.ndarray, home: np.ndarray, rows: np.ndarray) -> float:
    there = rows[home[rows] >= 0]
    return float((problem.scale_factor[there] * y[there, home[there]]).sum())


def most_staying(problem: MaxMinProblem, y: np.ndarray, home: np.ndarray, rows: np.ndarray, level: float) -> float:
    """Return the most GPUs of ``rows`` that can stay where all others keep theirs and no gain is lost."""
    gain, use = problem.usable_gain[rows], problem.scale_factor[rows]
    types = problem.types
    stays = np.zeros((rows.size, types))
    at_home = home[rows] >= 0
    stays[np.flatnonzero(at_home), home[rows][at_home]] = use[at_home]
    others = np.ones(problem.jobs, np.bool_)
    others[rows] = False
    left = problem.capacity - problem.scale_factor[others] @ y[others]
    columns = np.arange(rows.size * types).reshape(rows.size, types)
    upper = np.zeros((types + 1, rows.size * types))
    for j in range(types):
        upper[j, columns[:, j]] = use
    upper[types, columns] = -gain
    time = np.kron(np.eye(rows.size), np.ones(types))
    bounds = [(0.0, 1.0 if each >= level and each > 0.0 else 0.0) for each in gain.ravel()]
    gains = float((gain * y[rows]).sum())
    found = linprog(
        -stays.ravel(),
        A_ub=np.concatenate((upper, time, -time)),
        b_ub=np.concatenate(
            (left + 1e-9, [-gains * (1.0 - 1e-11)], np.ones(rows.size), np.full(rows.size, 1e-6 - 1.0))
        ),
        bounds=bounds,
    )
    assert found.status == 0, found.message
    return -float(found.fun)


@hypothesis_settings(max_examples=PER_BACKEND)
@given(
    seed=st.integers(0, 2**32 - 1),
    jobs=st.sampled_from([1, 3, 12, 40, 90]),
    types=st.integers(1, 6),
    load=st.sampled_from([0.3, 0.7, 1.2]),
)
def test_it_is_as_good_and_sparse_and_none_is_nearer(seed: int, jobs: int, types: int, load: float) -> None:
    problem = instance(seed, jobs, types, load)
    home = np.random.default_rng(seed + 1).integers(-1, types, jobs)
    x, y = chosen(problem, home)
    note(f"instance({seed}, {jobs}, {types}, {load})")
    assert problem.violation(y) <= 1e-9
    assert problem.objective(y) >= problem.objective(x) * (1.0 - 1e-12)
    assert problem.objective(y) <= problem.objective(x) * (1.0 + 2e-9)  # what is proven of x
    rows = np.flatnonzero(whole(problem, x, y))
    level = float(problem.gains(x).min())
    kinds = np.round(
        np.where(problem.usable_gain >= level, problem.usable_gain, 0.0)[rows] / problem.scale_factor[rows, None], 9
    )
    for kind in np.unique(kinds, axis=0):
        own = rows[(kinds == kind).all(axis=1)]
        assert np.count_nonzero((y[own] > 0.0).sum(axis=1) > 1) <= types - 1
    if rows.size and y is not x:
        best = most_staying(problem, y, home, rows, level)
        assert staying(problem, y, home, rows) >= best - 1e-5 * max(1.0, best)


def test_where_nothing_happens_nobody_moves() -> None:
    problem = instance(3, 90, 5, 0.7)
    _, first = chosen(problem, np.full(90, -1))
    home = first.argmax(axis=1)
    _, again = chosen(problem, home)
    assert again is not first
    np.testing.assert_array_equal(again.argmax(axis=1), home)


def test_it_does_not_depend_on_the_order_of_jobs() -> None:
    problem = instance(4, 60, 4, 0.7)
    home = np.random.default_rng(4).integers(-1, 4, 60)
    x = solver().solve(problem).x
    way = np.random.default_rng(5).permutation(60)
    assert problem.keys is not None
    assert problem.allowed is not None
    turned = replace(
        problem,
        gain=problem.gain[way],
        scale_factor=problem.scale_factor[way],
        allowed=problem.allowed[way],
        keys=problem.keys[way],
    )
    np.testing.assert_allclose(
        nearest_optimum(turned, x[way], home[way]), nearest_optimum(problem, x, home)[way], atol=1e-9
    )


def test_one_that_leaves_does_not_make_the_others_move() -> None:
    gain = np.concatenate((np.repeat([[3.0, 1.0]], 8, axis=0), [[0.5, 0.5]]))  # the last one is the least, anywhere
    problem = MaxMinProblem(gain, np.ones(9), np.array([3.0, 6.0]), gain > 0.0, 1e-3)
    home = np.array([0, 0, -1, 1, 1, 1, 1, 1, 1])  # a third one left the faster type, a new one came
    x, y = chosen(problem, home)
    np.testing.assert_allclose(x[:8], np.repeat([[0.375, 0.625]], 8, axis=0), atol=1e-6)
    np.testing.assert_allclose(y[np.arange(8), np.where(home < 0, 0, home)[:8]], 1.0, atol=1e-6)


def test_a_job_at_the_least_gain_keeps_its_row() -> None:
    gain = np.array([[4.0, 1.0], [4.0, 1.0], [40.0, 30.0]])
    problem = MaxMinProblem(gain, np.ones(3), np.array([1.0, 2.0]), gain > 0.0, 1e-3)
    x, y = chosen(problem, np.array([0, 1, 1]))
    np.testing.assert_array_equal(
        y[:2], x[:2]
    )  # equal jobs, at the least gain: either alone on the slow type falls below
    np.testing.assert_allclose(x[:2], 0.5, atol=1e-6)
    np.testing.assert_allclose(y[2], [0.0, 1.0], atol=1e-9)


@pytest.mark.parametrize("home", [[-1, -1], [1, 1]])
def test_jobs_that_cannot_gain_anything_are_left_alone(home: list[int]) -> None:
    gain = np.array([[0.0, 0.0], [2.0, 1.0]])
    problem = MaxMinProblem(gain, np.ones(2), np.array([1.0, 1.0]), np.ones((2, 2), np.bool_), 1e-3)
    _, y = chosen(problem, np.array(home))
    np.testing.assert_allclose(problem.gains(y), [0.0, 2.0])
