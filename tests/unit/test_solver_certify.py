"""The certifier believes figures, not claims."""

from __future__ import annotations

import re

import numpy as np
import pytest

from phasewise.solvers.api import Answer, RebuildReason, Solution, Status
from phasewise.solvers.certify import Rejection, certify
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.proofs import Duals

PROBLEM = MaxMinProblem(np.array([[1.0, 2.0], [2.0, 1.0]]), np.ones(2), np.ones(2))
BEST = np.array([[0.0, 1.0], [1.0, 0.0]])  # both jobs at 2
WEIGHTS, PRICES = np.array([0.5, 0.5]), np.array([1.0, 1.0])


def answer(x: object, **changes: object) -> Answer:
    fields: dict[str, object] = {"status": Status.OPTIMAL, "duals": Duals(PRICES, WEIGHTS)}
    return Answer(x=None if x is None else np.array(x, dtype=np.float64), **{**fields, **changes})  # type: ignore[arg-type]


def rejected(candidate: Answer) -> str:
    verdict = certify(PROBLEM, candidate, "stub")
    assert isinstance(verdict, Rejection)
    return verdict.reason


def accepted(candidate: Answer) -> Solution:
    verdict = certify(PROBLEM, candidate, "stub")
    assert isinstance(verdict, Solution)
    return verdict


def test_an_optimal_answer_is_certified_with_its_bound() -> None:
    solution = accepted(answer(BEST, iterations=7, rebuild=RebuildReason.FRESH))
    assert solution.objective == 2.0
    assert solution.bound == pytest.approx(2.0)
    assert solution.gap == pytest.approx(0.0, abs=1e-15)
    assert solution.violation == 0.0
    assert solution.utilization == 1.0
    assert (solution.backend, solution.iterations, solution.rebuild) == ("stub", 7, RebuildReason.FRESH)


def test_a_claim_of_optimality_does_not_help_a_poor_x() -> None:
    assert "short of the proven bound 2 by 0.5" in rejected(answer(0.5 * BEST))


def test_a_perfect_objective_with_an_infeasible_x_is_rejected() -> None:
    assert "violates a constraint by 0.5" in rejected(answer(1.5 * BEST))


def test_a_small_violation_is_projected_away_and_reported() -> None:
    solution = accepted(answer(BEST * (1.0 + 5e-8)))
    assert solution.violation == pytest.approx(5e-8, rel=1e-6)
    assert PROBLEM.violation(solution.x) == 0.0
    assert solution.objective == pytest.approx(2.0)


def test_the_certified_x_is_read_only_and_not_the_backends_own() -> None:
    own = np.array(BEST)
    solution = accepted(Answer(Status.OPTIMAL, own, Duals(PRICES, WEIGHTS)))
    assert own.flags.writeable
    assert not solution.x.flags.writeable
    assert not np.shares_memory(own, solution.x)


def test_an_answer_without_duals_is_judged_by_feasibility_alone() -> None:
    solution = accepted(answer(0.5 * BEST, duals=None))
    assert (solution.bound, solution.gap) == (None, None)


def test_an_inaccurate_answer_counts_if_its_figures_are_good() -> None:
    assert accepted(answer(BEST, status=Status.INACCURATE)).status is Status.INACCURATE


def test_duals_of_garbage_cannot_make_a_bound_wrong() -> None:
    for weights in (np.array([np.nan, 1.0]), np.array([-1.0, -1.0]), np.array([np.inf, 1.0])):
        assert accepted(answer(BEST, duals=Duals(PRICES, weights))).bound == 2.0  # the ceiling, which needs no dual
    assert accepted(answer(BEST, duals=Duals(np.array([-5.0, np.nan]), WEIGHTS))).bound == 2.0


@pytest.mark.parametrize(
    ("candidate", "reason"),
    [
        (answer(BEST, status=Status.ITERATION_LIMIT, note="stopped after 3"), r"iteration_limit \(stopped after 3\)"),
        (answer(BEST, status=Status.INFEASIBLE), "infeasible"),
        (answer(None), "no x"),
        (answer([[np.nan, 1.0], [1.0, 0.0]]), "not finite"),
        (answer([[np.inf, 1.0], [1.0, 0.0]]), "not finite"),
        (answer([[1.0, 0.0]]), r"shape \(1, 2\), expected \(2, 2\)"),
        (answer([0.0, 1.0, 1.0, 0.0]), r"shape \(4,\)"),
        (answer([[-1e9, 1.0], [1.0, 1e9]]), "violates"),
    ],
)
def test_an_unusable_answer_is_rejected_with_the_reason(candidate: Answer, reason: str) -> None:
    assert re.search(reason, rejected(candidate))


def test_the_gap_is_relative_so_that_tiny_gains_are_judged_as_strictly() -> None:
    tiny = MaxMinProblem(PROBLEM.gain * 1e-12, np.ones(2), np.ones(2))
    verdict = certify(tiny, answer(0.5 * BEST, duals=Duals(PRICES * 1e-12, WEIGHTS)), "stub")
    assert isinstance(verdict, Rejection)
