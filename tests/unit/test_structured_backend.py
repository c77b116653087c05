"""What the structured backend promises beside its answers: options, honesty, and no cost where it is not used."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.api import Status
from phasewise.solvers.backends.structured import Structured
from phasewise.solvers.errors import OptionError, SolveFailedError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.finish_time_instances import finish_time_rounds
from phasewise.solvers.instances import Load, random_problem
from phasewise.solvers.session import Walk


@pytest.mark.parametrize(
    ("option", "value"),
    [("mode", "fast"), ("tolerance", 1.0), ("tolerance", "tight"), ("max_iterations", 0), ("threads", 2)],
)
def test_a_wrong_option_is_refused_when_the_session_opens(option: str, value: object) -> None:
    with pytest.raises(OptionError, match=option):
        Structured().open({option: value}, PhaseTimer())


def test_an_answer_that_is_not_proven_says_so() -> None:
    live = Structured().open({"max_iterations": 3}, PhaseTimer())
    answer, _ = live.solve(random_problem(1, 30, 4))
    assert answer.status is not Status.OPTIMAL
    assert "interior point" in answer.note


def test_rounds_that_a_single_job_holds_stay_warm() -> None:
    # GPUs are worth nothing in them. Prices of nothing, handed on, once had most jobs crowd on one type: 44 iterations.
    walk, warm = Walk.of("structured", {}, PhaseTimer()), []
    for timed in finish_time_rounds(1, 4000, 8, load=Load.CONTENDED, types=6, churn=10):
        gain = timed.throughput / timed.steps_remaining[:, None]
        warm.append(walk.solve(MaxMinProblem(gain, timed.scale_factor, timed.capacity)))
    assert max(solution.gap or 0.0 for solution in warm) <= 1e-9
    assert max(solution.iterations for solution in warm[1:]) <= 25


def test_a_chain_goes_on_where_nothing_is_proven() -> None:
    problem = random_problem(1, 30, 4)
    options = {"structured": {"max_iterations": 2}, "highs-direct": {}}
    solution = Walk.of("structured,highs-direct", options, PhaseTimer()).solve(problem)
    assert solution.backend == "highs-direct"
    assert [failed.backend for failed in solution.fallbacks] == ["structured"]
    with pytest.raises(SolveFailedError, match="structured"):
        Walk.of("structured", {"max_iterations": 2}, PhaseTimer()).solve(problem)


def test_jobs_that_can_run_nowhere_do_not_keep_the_others_from_running() -> None:
    problem = MaxMinProblem(np.array([[1.0, 2.0], [0.0, 0.0], [3.0, 1.0]]), np.ones(3), np.array([1.0, 1.0]))
    answer, _ = Structured().open({}, PhaseTimer()).solve(problem)
    assert answer.status is Status.OPTIMAL
    assert answer.x is not None
    np.testing.assert_allclose(answer.x, [[0.0, 1.0], [0.0, 0.0], [1.0, 0.0]], atol=0.4)
    assert answer.x[[0, 2]].sum(axis=1).min() > 0.5


def test_listing_the_backend_does_not_load_its_compiler(tmp_path: Path) -> None:
    script = "import sys, phasewise.solvers.backends.structured; print('numba' in sys.modules)"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=tmp_path)
    assert said.stdout.strip() == "False"
