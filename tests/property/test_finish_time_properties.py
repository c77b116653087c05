"""The least worst finish-time ratio and what proves it, against linear programs of scipy and a bracket."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from finish_times import least_worst_ratio
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import PER_BACKEND

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.families.finish_time import FinishTimeProblem
from phasewise.solvers.finish_time_instances import Age, random_finish_times
from phasewise.solvers.instances import SWITCHING, Trait
from phasewise.solvers.session import Walk

OF_REFERENCE = 1e-8  # relative: what the reference may be off
EXACT = 1e-9
TRAITS = sorted(set(Trait) - SWITCHING - {Trait.CANONICAL})


@cache
def solver_of(backend: str) -> Walk:
    return Walk.of(backend, {}, PhaseTimer())


@st.composite
def instances(draw: st.DrawFn) -> FinishTimeProblem:
    seed = draw(st.integers(0, 2**32 - 1))
    jobs, types = draw(st.sampled_from([1, 2, 3, 5, 8, 12])), draw(st.integers(1, 4))
    traits = draw(st.sets(st.sampled_from(TRAITS), max_size=3))
    ages = draw(st.sets(st.sampled_from(Age), max_size=3))
    note(f"random_finish_times({seed}, {jobs}, {types}, {sorted(traits)}, {sorted(ages)})")
    problem = random_finish_times(seed, jobs, types, traits, ages)
    problem.validate()
    return problem


@hypothesis_settings(max_examples=PER_BACKEND)
@given(problem=instances())
def test_the_ratio_is_the_least_there_is_and_the_prices_prove_it(problem: FinishTimeProblem) -> None:
    best = least_worst_ratio(problem)
    solution = solver_of("structured").solve(problem)
    assert solution.objective == pytest.approx(best, rel=1e-6)
    assert solution.bound is not None
    assert solution.bound <= best * (1 + OF_REFERENCE)
    assert solution.bound <= solution.objective
    assert solution.gap is not None
    assert solution.gap <= EXACT


@pytest.mark.parametrize("backend", ["highs-direct", "highs-warm"])
@hypothesis_settings(max_examples=PER_BACKEND // 4)
@given(problem=instances())
def test_whatever_solves_max_min_solves_it(backend: str, problem: FinishTimeProblem) -> None:
    solution = solver_of(backend).solve(problem)
    assert solution.gap is not None
    assert solution.gap <= EXACT
    assert not solution.less_accurate


@hypothesis_settings(max_examples=PER_BACKEND // 4)
@given(
    problem=instances(),
    prices=st.lists(st.floats(0, 1e6), min_size=4, max_size=4),
    near=st.sampled_from([0.0, 0.3, 1.0, 5.0, 1e9, np.inf]),
)
def test_no_prices_prove_more_than_is_true(problem: FinishTimeProblem, prices: list[float], near: float) -> None:
    best = least_worst_ratio(problem)
    bound = problem.bound(np.array(prices[: problem.types]), near * best)
    assert problem.ceiling <= bound <= best * (1 + OF_REFERENCE)


@given(problem=instances(), unit=st.sampled_from([2.0**-20, 8.0, 2.0**30]))
def test_neither_the_unit_of_time_nor_that_of_work_matters(problem: FinishTimeProblem, unit: float) -> None:
    slower = replace(
        problem,
        throughput=problem.throughput / unit,
        since_arrival=problem.since_arrival * unit,
        isolated=problem.isolated * unit,
    )
    smaller = replace(problem, throughput=problem.throughput * unit, steps_remaining=problem.steps_remaining * unit)
    ratio = solver_of("structured").solve(problem).objective
    for other in (slower, smaller):
        assert solver_of("structured").solve(other).objective == pytest.approx(ratio, rel=1e-8)


@given(problem=instances(), order=st.randoms(use_true_random=False))
def test_the_order_of_jobs_does_not_matter(problem: FinishTimeProblem, order: np.random.Generator) -> None:
    rows = np.arange(problem.rows)
    order.shuffle(rows)
    shuffled = FinishTimeProblem(
        problem.throughput[rows],
        problem.scale_factor[rows],
        problem.capacity,
        problem.steps_remaining[rows],
        problem.since_arrival[rows],
        problem.isolated[rows],
        None if problem.allowed is None else problem.allowed[rows],
    )
    ratios = [solver_of("structured").solve(each).objective for each in (problem, shuffled)]
    assert ratios[0] == pytest.approx(ratios[1], rel=1e-8)
