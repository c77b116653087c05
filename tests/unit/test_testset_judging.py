"""What an answer is worth is decided by what it is, not by what its backend says of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from phasewise.bench.testset.judging import RANKS, Judgement, Reached, judged, tolerance_class
from phasewise.bench.testset.manifest import Instance, load
from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, Status
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.proofs import Duals
from phasewise.solvers.tapes import Tape

INSTANCE = load().named("small/max_min")


def first(instance: Instance) -> AllocationProblem:
    return next(iter(Tape(instance.tape)))


def optimal(problem: AllocationProblem) -> Answer:
    answer, _ = registry.get("highs-direct").open({}, PhaseTimer()).solve(problem, None)
    return answer


@pytest.fixture(scope="module")
def solved() -> tuple[AllocationProblem, Answer]:
    problem = first(INSTANCE)
    return problem, optimal(problem)


def verdict(problem: AllocationProblem, answer: object, *, exact: bool = True) -> Judgement:
    return judged(INSTANCE, 0, problem, answer, exact=exact)


def test_an_optimal_answer_reaches_the_tightest_class_with_and_without_duals(solved) -> None:
    problem, answer = solved
    for each in (answer, replace(answer, duals=None), replace(answer, status=Status.INACCURATE, duals=None)):
        found = verdict(problem, each)
        assert found.reached is Reached.NINTH
        assert found.objective == pytest.approx(INSTANCE.objective[0], rel=1e-9)


def test_an_answer_short_of_the_optimum_is_told_by_how_much_whatever_it_claims(solved) -> None:
    problem, answer = solved
    assert answer.x is not None
    for short, reached in ((1e-8, Reached.SIXTH), (1e-4, Reached.THIRD), (0.5, Reached.WRONG)):
        found = verdict(problem, Answer(Status.OPTIMAL, answer.x * (1.0 - short)))
        assert found.reached is reached
        assert found.gap == pytest.approx(short, rel=1e-3)


def test_duals_that_prove_nothing_do_not_help_a_bad_answer(solved) -> None:
    problem, answer = solved
    assert answer.x is not None
    lies = Duals(capacity=np.zeros(problem.types), gain=np.full(problem.rows, 1e9))
    assert verdict(problem, Answer(Status.OPTIMAL, answer.x * 0.5, lies)).reached is Reached.WRONG


def test_an_answer_out_of_its_constraints_is_wrong_however_good_it_looks(solved) -> None:
    problem, answer = solved
    assert answer.x is not None
    found = verdict(problem, Answer(Status.OPTIMAL, answer.x * 1.1))
    assert found.reached is Reached.WRONG
    assert found.violation == pytest.approx(0.1, rel=0.5)


def test_a_heuristic_is_not_wrong_for_being_short_but_for_breaking_constraints(solved) -> None:
    problem, answer = solved
    assert answer.x is not None
    assert verdict(problem, Answer(Status.OPTIMAL, answer.x * 0.8), exact=False).reached is Reached.HEURISTIC
    assert verdict(problem, Answer(Status.OPTIMAL, answer.x * 1.5), exact=False).reached is Reached.WRONG


@pytest.mark.parametrize(
    "answer",
    [
        "text",
        None,
        Answer(Status.FAILED, None, note="gave up"),
        Answer(Status.OPTIMAL, None),
        Answer(Status.INFEASIBLE, None),
        Answer(Status.TIME_LIMIT, np.zeros((1, 1))),
    ],
)
def test_what_is_no_answer_failed_and_says_why(solved, answer: object) -> None:
    found = verdict(solved[0], answer)
    assert found.reached is Reached.FAILED
    assert found.message
    assert found.objective is None


@pytest.mark.parametrize("x", [np.zeros((2, 2)), np.full((37, 3), np.nan)])
def test_an_answer_of_another_shape_or_without_numbers_is_wrong(solved, x: np.ndarray) -> None:
    assert verdict(solved[0], Answer(Status.OPTIMAL, x)).reached is Reached.WRONG


@pytest.mark.parametrize("name", ["small/lexicographic_confined", "small/lexicographic_packed"])
def test_levels_are_judged_by_the_certificates_of_the_manifest_where_an_answer_brings_none(name: str) -> None:
    instance = load().named(name)
    problem = first(instance)
    assert judged(instance, 0, problem, replace(optimal(problem), duals=None), exact=True).reached is Reached.NINTH


def test_every_level_counts_where_levels_are_what_is_asked_for() -> None:
    """The least level alone is optimal in an answer that takes from all others what they have above it."""
    instance = load().named("small/lexicographic_confined")
    index = max(range(instance.problems), key=lambda each: len(instance.stages[each]["stages"]))
    problem = list(Tape(instance.tape))[index]
    answer = optimal(problem)
    assert answer.x is not None
    levels = np.einsum("ij,ij->i", problem.usable_gain, answer.x)  # type: ignore[attr-defined]
    least = answer.x * (levels.min() / levels)[:, None]
    found = judged(instance, index, problem, Answer(Status.OPTIMAL, least), exact=True)
    assert found.objective == pytest.approx(instance.objective[index], rel=1e-9)
    assert found.reached is Reached.WRONG


@given(st.floats(0.0, 1.0), st.floats(0.0, 1.0), st.booleans())
def test_classes_are_by_the_worse_of_gap_and_violation(gap: float, violation: float, exact: bool) -> None:
    found = tolerance_class(gap, violation, exact=exact)
    assert found is tolerance_class(violation, gap, exact=exact) or not exact
    if found in {Reached.NINTH, Reached.SIXTH, Reached.THIRD}:
        assert max(gap, violation) <= float(found)
    else:
        assert max(gap, violation) > 1e-3
    assert RANKS[tolerance_class(gap / 2, violation / 2, exact=exact)] <= RANKS[found]
