"""Where the structured solvers start from with many jobs and nothing known: prices of samples, then of all jobs."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import numpy as np
import pytest
from answers import Answers

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.api import Status
from phasewise.solvers.backends.structured import Structured
from phasewise.solvers.certify import certify
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Load, Trait, churned_rounds, of_kinds, random_problem
from phasewise.solvers.session import Walk
from phasewise.solvers.structured.cold_start import MANY_JOBS, sampled_start
from phasewise.solvers.structured.core import sifted
from phasewise.solvers.structured.solver import state

EXACT = 1e-9
JOBS = MANY_JOBS + 104  # a sample does not divide it


def cold(problem: MaxMinProblem) -> str:
    """Assert that a cold answer is proven, the same each time and that of the interior point; return how it came."""
    answers = [Answers(Structured().open({"mode": mode}, PhaseTimer())) for mode in ("cold", "cold", "interior_point")]
    first, again, reference = (each.solve(problem) for each in answers)
    assert first.status is Status.OPTIMAL, first.note
    assert first.x.tobytes() == again.x.tobytes()
    assert problem.violation(first.x) <= 1e-12
    solution = certify(problem, first, "structured")
    assert getattr(solution, "gap", None) is not None, solution
    assert solution.gap <= EXACT
    best = problem.objective(reference.x)
    assert abs(problem.objective(first.x) - best) <= 2.0 * EXACT * abs(best)
    return first.note


@pytest.mark.parametrize("load", list(Load))
@pytest.mark.parametrize("linear_weight", [0.0, 1e-3])
def test_many_jobs_start_from_the_prices_of_samples(load: Load, linear_weight: float) -> None:
    churned = next(iter(churned_rounds(3, JOBS, 1, load=load, types=3)))
    note = cold(replace(churned.problem, linear_weight=linear_weight))
    assert note == "samples, sifting"


@pytest.mark.parametrize("load", list(Load))
@pytest.mark.parametrize("linear_weight", [0.0, 1e-3])
@pytest.mark.parametrize("kinds", [1, 26])
def test_many_jobs_of_few_kinds_are_solved_as_kinds(kinds: int, load: Load, linear_weight: float) -> None:
    plain = next(iter(churned_rounds(3, JOBS, 1, load=load, types=3))).problem
    note = cold(of_kinds(replace(plain, linear_weight=linear_weight), plain, kinds))
    assert note == "interior point"


def test_kinds_of_which_one_runs_nowhere_or_on_a_type_without_gpus() -> None:
    plain = next(iter(churned_rounds(3, JOBS, 1, types=3))).problem
    few = of_kinds(plain, plain, 5)
    assert cold(replace(few, capacity=few.capacity * [1.0, 0.0, 1.0])) == "interior point"
    stuck = np.where((few.gain == few.gain[0]).all(axis=1)[:, None], 0.0, few.gain)
    answer = Answers(Structured().open({}, PhaseTimer())).solve(replace(few, gain=stuck))
    assert answer.status is Status.OPTIMAL


@pytest.mark.parametrize(
    "traits",
    [
        {Trait.TIES},
        {Trait.ZEROS, Trait.GANGS},
        {Trait.ZEROS, Trait.STUCK, Trait.FRACTIONAL},
        {Trait.SCARCE, Trait.UNITS},
        {Trait.AMPLE, Trait.CANONICAL},
        {Trait.NO_CAPACITY, Trait.MASKED},
    ],
)
@pytest.mark.thorough
def test_degenerate_instances_of_many_jobs_are_proven(traits: Collection[Trait]) -> None:
    cold(random_problem(11, JOBS, 4, traits))


@pytest.mark.thorough
def test_a_cold_start_agrees_with_the_simplex_method() -> None:
    problem = next(iter(churned_rounds(5, JOBS, 1, types=3))).problem
    own = Walk.of("structured", {}, PhaseTimer()).solve(problem)
    exact = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    simplex = Walk.of("highs-direct", exact, PhaseTimer()).solve(problem)
    assert own.objective == pytest.approx(simplex.objective, rel=2.0 * EXACT)


def test_a_sample_has_the_job_that_holds_the_level() -> None:
    # GPUs for everybody: one slow job alone decides on t, and prices without it would be of another kind.
    churned = next(iter(churned_rounds(2, JOBS, 1, load=Load.NATURAL, types=6)))
    gain = churned.problem.gain.copy()
    gain[777] = 1e-3 * gain.max(axis=1).min() * (gain[777] > 0.0)
    problem = replace(churned.problem, gain=gain, capacity=churned.problem.capacity * 100.0)
    core = state(problem).core
    start = sampled_start(core, 80)
    assert start is not None
    assert start.prices.level == pytest.approx(gain[777].max(), rel=1e-4)


@pytest.mark.parametrize("order", ["mixed", "every eighth", "in blocks"])
def test_samples_do_not_depend_on_how_jobs_are_ordered(order: str) -> None:
    # Two sorts of jobs: a sample at even steps would have all of one of them, or none.
    rng = np.random.default_rng(0)
    sort = {
        "mixed": rng.permutation(np.arange(2000) % 8 == 0),
        "every eighth": np.arange(2000) % 8 == 0,
        "in blocks": np.arange(2000) < 250,
    }[order]
    gain = np.where(sort[:, None], [4.0, 1.0], [1.0, 3.0]) * np.exp(0.2 * rng.standard_normal((2000, 2)))
    core = state(MaxMinProblem(gain, np.ones(2000), np.array([150.0, 500.0]))).core
    start = sampled_start(core, 80)
    assert start is not None
    assert start.iterations <= 150
    found = sifted(core, start.prices, 0.5 * EXACT)
    assert found is not None
    assert found.gap <= EXACT


def test_fewer_jobs_start_as_before() -> None:
    answer = Answers(Structured().open({}, PhaseTimer())).solve(random_problem(1, 300, 3))
    assert answer.note == "interior point to 1e-5, sifting"
