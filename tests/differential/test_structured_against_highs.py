"""The structured solvers against HiGHS' dual simplex at 1e-10, on random instances and on rounds of a busy cluster."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from answers import Answers
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import PER_BACKEND

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.api import RebuildReason, Status
from phasewise.solvers.backends.structured import Structured
from phasewise.solvers.certify import certify
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Load, Trait, churned_rounds, random_problem, with_switching
from phasewise.solvers.session import Walk

EXACT = 1e-9  # relative gap
REFERENCE = {
    "solver": "simplex",
    "simplex_strategy": 1,
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
}


@cache
def session(mode: str) -> Answers:
    return Answers(Structured().open({"mode": mode}, PhaseTimer()))


@cache
def reference() -> Walk:
    return Walk.of("highs-direct", REFERENCE, PhaseTimer())


def check(problem: MaxMinProblem, mode: str) -> str:
    """Assert that the answer is proven optimal, and return how it was found."""
    answer = session(mode).solve(problem)
    solution = certify(problem, answer, "structured")
    assert answer.status is Status.OPTIMAL, answer.note
    assert getattr(solution, "gap", None) is not None, solution
    assert solution.gap <= EXACT, answer.note
    assert problem.violation(answer.x) <= 1e-12
    return answer.note


@hypothesis_settings(max_examples=PER_BACKEND)
@given(
    seed=st.integers(0, 2**32 - 1),
    jobs=st.sampled_from([1, 2, 5, 12, 30, 70, 150]),
    types=st.integers(1, 6),
    traits=st.sets(st.sampled_from(Trait), max_size=4),
)
def test_any_instance_is_solved_and_proven_by_either_way(seed: int, jobs: int, types: int, traits: set[Trait]) -> None:
    problem = random_problem(seed, jobs, types, traits)
    note(f"random_problem({seed}, {jobs}, {types}, {sorted(traits)})")
    for mode in ("auto", "interior_point"):
        check(problem, mode)


@hypothesis_settings(max_examples=PER_BACKEND // 4)
@given(
    seed=st.integers(0, 2**32 - 1),
    jobs=st.sampled_from([1, 5, 30, 80]),
    types=st.integers(1, 6),
    traits=st.sets(st.sampled_from(sorted(set(Trait) - {Trait.UNITS})), max_size=4),
)
def test_the_objective_is_that_of_the_simplex_method(seed: int, jobs: int, types: int, traits: set[Trait]) -> None:
    problem = random_problem(seed, jobs, types, traits)
    if not problem.allowed_mask.any():
        return
    best = reference().solve(problem)
    own = certify(problem, session("auto").solve(problem), "structured")
    measure = max(abs(best.objective), problem.magnitude(best.x))
    assert own.objective == pytest.approx(best.objective, rel=0.0, abs=2e-9 * measure)


@pytest.mark.parametrize("load", list(Load))
@pytest.mark.parametrize("linear_weight", [0.0, 1e-3])
@pytest.mark.parametrize("jobs", [100, 1700])
def test_rounds_of_a_busy_cluster_are_sifted(load: Load, linear_weight: float, jobs: int) -> None:
    live = Answers(Structured().open({}, PhaseTimer()))
    sifted = 0
    for churned in churned_rounds(4, jobs, 8, load=load, churn=max(1, jobs // 170)):
        problem = replace(churned.problem, linear_weight=linear_weight)
        answer = live.solve(problem)
        solution = certify(problem, answer, "structured")
        assert solution.gap is not None
        assert solution.gap <= EXACT
        sifted += answer.note == "sifting"
    assert sifted >= 5


@pytest.mark.parametrize("load", list(Load))
@pytest.mark.parametrize("jobs", [50, 400, 4000])
def test_rounds_in_which_moving_costs_are_proven_optimal(load: Load, jobs: int) -> None:
    x = None
    for churned in churned_rounds(4, jobs, 3, load=load, churn=max(1, jobs // 170)):
        problem = with_switching(churned, x)
        check(problem, "auto")
        x = certify(problem, session("auto").solve(problem), "structured").x


def test_equal_jobs_share_alike_and_cost_no_time() -> None:
    kinds = random_problem(3, 40, 4)
    which = np.random.default_rng(3).integers(40, size=2000)
    problem = MaxMinProblem(kinds.gain[which], kinds.scale_factor[which], kinds.capacity * 50.0, None, 1e-3)
    answer = session("auto").solve(problem)
    assert answer.status is Status.OPTIMAL
    assert answer.x is not None
    first = {int(kind): row for kind, row in zip(which[::-1], answer.x[::-1], strict=True)}
    np.testing.assert_array_equal(answer.x, [first[int(kind)] for kind in which])


def test_prices_are_kept_while_the_number_of_types_stays() -> None:
    live = Answers(Structured().open({}, PhaseTimer()))
    rounds = [churned.problem for churned in churned_rounds(1, 200, 3, churn=2)]
    assert [live.solve(problem).rebuild for problem in rounds] == [RebuildReason.FIRST, None, None]
    other = live.solve(random_problem(1, 200, 3))
    assert other.rebuild is not None
    assert other.status is Status.OPTIMAL


def test_a_jump_of_capacity_is_survived_by_a_fresh_start() -> None:
    live = Answers(Structured().open({}, PhaseTimer()))
    problem = next(iter(churned_rounds(1, 300, 1))).problem
    live.solve(problem)
    for factor in (0.01, 30.0, 0.5):
        answer = live.solve(replace(problem, capacity=problem.capacity[::-1] * factor))
        assert answer.status is Status.OPTIMAL
