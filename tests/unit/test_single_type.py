"""The single-type heuristic: how a type is filled, when a job stays, and what it says it gives up."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Solution, Status
from phasewise.solvers.backends.single_type import water_level
from phasewise.solvers.errors import OptionError
from phasewise.solvers.families.max_min import MAX_MIN, MaxMinProblem
from phasewise.solvers.instances import Load, Trait, churned_rounds, random_problem
from phasewise.solvers.problems import Floats
from phasewise.solvers.session import Walk

HEURISTICS = [
    name
    for name in registry.names()
    if MAX_MIN in registry.get(name).families and not registry.is_exact(registry.get(name))
]


def solved(problem: MaxMinProblem, backend: str = "single-type") -> Solution:
    return Walk.of(backend, {}, PhaseTimer()).solve(problem)


def level_by_bisection(gain: Floats, scale_factor: Floats, capacity: float) -> float:
    """Return the water level by halving an interval."""
    low, high = 0.0, float(gain.max())
    for _ in range(200):
        middle = 0.5 * (low + high)
        fits = float((scale_factor * np.minimum(1.0, middle / gain)).sum()) <= capacity
        low, high = (middle, high) if fits else (low, middle)
    return low


@given(
    gains=st.lists(st.sampled_from([0.1, 0.5, 1.0, 1.0, 2.0, 7.0]), min_size=1, max_size=12),
    share=st.floats(0.0, 0.999),
    seed=st.integers(0, 1000),
)
def test_the_water_level_is_the_largest_that_fits(gains: list[float], share: float, seed: int) -> None:
    gain = np.array(gains)
    scale_factor = np.random.default_rng(seed).choice([0.25, 1.0, 4.0], gain.size)
    capacity = share * float(scale_factor.sum())
    expected = level_by_bisection(gain, scale_factor, capacity)
    assert water_level(gain, scale_factor, capacity) == pytest.approx(expected, rel=1e-9, abs=1e-12)


def test_where_all_fit_there_is_no_level() -> None:
    assert water_level(np.array([1.0, 2.0]), np.ones(2), 2.0) == np.inf


def test_jobs_of_one_type_get_the_same_level_as_far_as_their_gain_allows() -> None:
    gain = np.array([[0.5], [2.0], [4.0]])
    solution = solved(MaxMinProblem(gain, np.ones(3), np.array([1.75])))
    levels = (gain * solution.x).sum(axis=1)
    np.testing.assert_allclose(levels, [0.5, 1.0, 1.0])
    np.testing.assert_allclose(solution.x[:, 0], [1.0, 0.5, 0.25])
    assert solution.objective == solution.bound == 0.5


def test_every_job_has_one_type() -> None:
    solution = solved(random_problem(3, 60, 4, {Trait.GANGS}))
    assert ((solution.x > 0.0).sum(axis=1) <= 1).all()


@pytest.mark.parametrize(("lost", "moves"), [(0.15, False), (0.05, True)])
def test_a_job_moves_only_for_more_than_the_move_loses(lost: float, moves: bool) -> None:
    gain = np.array([[1.0, 1.1]])  # the other type offers 10 % more
    here = np.array([[1.0, 0.0]])
    problem = MaxMinProblem(gain, np.ones(1), np.ones(2), previous=here, move_cost=np.full((1, 2), lost))
    np.testing.assert_array_equal(solved(problem).x, [[0.0, 1.0]] if moves else here)


@pytest.mark.parametrize("backend", HEURISTICS)
@given(seed=st.integers(0, 2**32 - 1), jobs=st.integers(1, 30), types=st.integers(1, 5),
       traits=st.sets(st.sampled_from(Trait), max_size=3))  # fmt: skip
def test_a_heuristic_is_feasible_never_better_than_the_optimum_and_its_bound_holds(
    backend: str, seed: int, jobs: int, types: int, traits: set[Trait]
) -> None:
    note(f"random_problem({seed}, {jobs}, {types}, {sorted(traits)})")
    problem = random_problem(seed, jobs, types, traits)
    solution = solved(problem, backend)
    best = solved(problem, "highs-direct").objective
    slack = 1e-7 * max(abs(best), problem.magnitude(solution.x))
    assert problem.violation(solution.x) <= 1e-12
    assert solution.objective <= best + slack
    assert solution.bound is not None
    assert solution.bound >= best - slack
    assert solution.gap is not None


def test_at_scale_it_gives_up_little_and_says_how_much() -> None:
    for load, least in ((Load.CONTENDED, 0.9), (Load.NATURAL, 0.999)):
        problem = next(iter(churned_rounds(1, 400, 1, load=load))).problem
        solution, best = solved(problem), solved(problem, "highs-direct")
        assert solution.status is Status.INACCURATE
        assert solution.objective >= least * best.objective
        assert solution.gap is not None
        assert 1.0 - solution.objective / best.objective <= solution.gap + 1e-12
        assert solution.gap <= 0.15


def test_it_takes_no_options() -> None:
    with pytest.raises(OptionError, match="takes no options"):
        registry.get("single-type").open({"turns": 3}, PhaseTimer())


def test_it_answers_to_its_earlier_name() -> None:
    assert registry.get("waterfill") is registry.get("single-type")
