"""A limit of time is called one, through whichever binding the solver is reached."""

from __future__ import annotations

import sys

import numpy as np
import pytest

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Status
from phasewise.solvers.families.max_min import MaxMinProblem


def problem(jobs: int) -> MaxMinProblem:
    rng = np.random.default_rng(0)
    return MaxMinProblem(rng.uniform(1.0, 10.0, (jobs, 3)), np.ones(jobs), np.array([36.0, 36.0, 36.0]))


@pytest.mark.parametrize(
    ("backend", "options", "jobs"),
    [
        ("cvxpy-fresh:CLARABEL", {"time_limit": 1e-4}, 1000),
        ("cvxpy-fresh:HIGHS", {"time_limit": 1e-4}, 1000),
        ("cvxpy-dpp:CLARABEL", {"time_limit": 1e-5}, 60),
        ("highs-direct", {"time_limit": 1e-5}, 1000),
    ],
)
def test_a_solver_that_runs_out_of_time_says_so(backend: str, options: dict[str, float], jobs: int) -> None:
    answer, _ = registry.get(backend).open(options, PhaseTimer()).solve(problem(jobs), None)
    assert answer.status is Status.TIME_LIMIT


def test_a_first_order_solver_that_runs_out_of_time_has_a_rough_answer_and_says_so() -> None:
    answer, _ = registry.get("scs").open({"time_limit_secs": 1e-3}, PhaseTimer()).solve(problem(1000), None)
    assert answer.status is Status.INACCURATE
    assert "time limit" in answer.note


def test_another_limit_is_not_called_one_of_time() -> None:
    answer, _ = registry.get("clarabel").open({"max_iter": 2}, PhaseTimer()).solve(problem(200), None)
    assert answer.status is Status.ITERATION_LIMIT
    assert "time" not in answer.note


def test_the_advice_for_ecos_is_one_that_works(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "version_info", (3, 12, 1, "final", 0))
    assert registry.advice(("ecos",)) == "pip install ecos"
    monkeypatch.setattr(sys, "version_info", (3, 13, 0, "final", 0))
    advice = registry.advice(("ecos",))
    assert "pip install" not in advice
    assert "no wheel for Python 3.13" in advice
    assert "Python 3.12" in advice
    assert registry.advice(("scs",)) == "pip install scs"
    assert registry.advice(()) == ""
