"""Many worker types, of which each job sees few: solved pair by pair, proven, and as HiGHS solves them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from answers import Answers
from hypothesis import given, note, settings
from hypothesis import strategies as st

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.api import Answer, Status
from phasewise.solvers.backends.structured import Structured
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import random_problem, sparse_problem
from phasewise.solvers.session import Walk
from phasewise.solvers.structured.solver import state
from phasewise.solvers.structured.sparse_interior_point import is_sparse, pairs_of

EXACT = 1e-9


def proven(problem: MaxMinProblem) -> Answer:
    """Return the answer, asserted to be feasible and optimal by the problem's own proof."""
    answer = Answers(Structured().open({}, PhaseTimer())).solve(problem)
    assert answer.status is Status.OPTIMAL, answer.note
    assert answer.x is not None
    assert answer.duals is not None
    assert problem.violation(answer.x) <= 1e-12
    proof = problem.prove(answer.x, answer.duals)
    assert proof is not None
    assert proof.gap is not None
    assert proof.gap <= EXACT
    return answer


@pytest.mark.thorough
@settings(max_examples=40)
@given(
    seed=st.integers(0, 2**32 - 1),
    jobs=st.sampled_from([1, 2, 7, 40, 150]),
    types=st.sampled_from([63, 80, 120]),
    seen=st.integers(1, 6),
    share=st.sampled_from([0.05, 0.45, 5.0]),
    canonical=st.booleans(),
)
def test_any_instance_of_many_types_is_proven_as_good_as_the_simplex_method(
    seed: int, jobs: int, types: int, seen: int, share: float, canonical: bool
) -> None:
    problem = replace(sparse_problem(seed, jobs, types, seen, share), linear_weight=1e-3 * canonical)
    note(f"sparse_problem({seed}, {jobs}, {types}, {seen}, {share})")
    answer = proven(problem)
    assert answer.x is not None
    exact = {"primal_feasibility_tolerance": 1e-10, "dual_feasibility_tolerance": 1e-10}
    best = Walk.of("highs-direct", exact, PhaseTimer()).solve(problem)
    assert problem.objective(answer.x) == pytest.approx(best.objective, rel=3.0 * EXACT)


def test_the_published_size_is_solved() -> None:
    problem = sparse_problem(1, 2000, 456, 5)
    assert is_sparse(state(problem).core)
    answer = proven(problem)
    assert answer.iterations <= 40


def test_pairs_are_those_with_a_gain_and_meet_within_a_job() -> None:
    core = state(sparse_problem(3, 20, 70, 3)).core
    pairs = pairs_of(core)
    seen = np.count_nonzero(core.jobs.gain, axis=1)
    assert pairs.job.size == seen.sum()
    assert pairs.left.size == (seen * (seen - 1)).sum()
    assert (pairs.job[pairs.left] == pairs.job[pairs.right]).all()
    assert (pairs.left != pairs.right).all()
    assert (pairs.gain == core.jobs.gain[pairs.job, pairs.kind]).all()
    assert pairs.by_job(np.ones(pairs.job.size)).tolist() == seen.tolist()


@pytest.mark.parametrize("case", ["equal rows", "no GPUs", "runs nowhere", "sees all", "integers", "one job"])
def test_special_cases(case: str) -> None:
    problem = sparse_problem(5, 120, 70, 3)
    gain, use, capacity = problem.gain.copy(), problem.scale_factor.copy(), problem.capacity.copy()
    if case == "equal rows":
        gain[:] = gain[np.arange(120) // 4]
        use[:] = use[np.arange(120) // 4]
    elif case == "no GPUs":
        only = gain[0] > 0.0
        capacity[only] = 0.0
    elif case == "runs nowhere":
        gain[17] = 0.0
    elif case == "sees all":
        gain[17] = 1.0
    elif case == "integers":
        gain, use = np.ceil(gain), np.ones(120)
    else:
        gain, use = gain[:1], use[:1]
    answer = proven(MaxMinProblem(gain, use, capacity))
    assert answer.x is not None
    if case in ("no GPUs", "runs nowhere"):
        assert answer.x.max() > 0.0  # others run although t is 0


def test_types_that_everybody_sees_are_no_sparse_problem() -> None:
    assert not is_sparse(state(random_problem(1, 50, 40)).core)
    assert not is_sparse(state(sparse_problem(1, 50, 20, 2)).core)
    proven(random_problem(1, 50, 40))


def test_sifting_goes_on_from_few_pairs_as_well() -> None:
    problem = sparse_problem(2, 400, 45, 3)
    answer = proven(problem)
    assert answer.note == "interior point to 1e-5, sifting"
