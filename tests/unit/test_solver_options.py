"""A wrong option or value is one message when the session opens, whatever the native solver would do."""

from __future__ import annotations

import numpy as np
import pytest

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.errors import OptionError, SolverError
from phasewise.solvers.instances import random_problem
from phasewise.solvers.session import Walk

WRONG = [
    ("highs-direct", {"solvr": "ipm"}, r"highs-direct: HiGHS has no option 'solvr' .* did you mean solver"),
    ("highs-direct", {"solver": "magic"}, r"HiGHS rejects option solver='magic'.*simplex"),
    ("highs-direct", {"time_limit": "soon"}, r"time_limit='soon'.*range: \[0, inf\]"),
    ("highs-direct", {"time_limit": [1]}, r"time_limit=\[1\]"),
    ("highs-direct", {"primal_feasibility_tolerance": -1.0}, r"range: \[1e-10, inf\]"),
    ("highs-direct", {"threads": 1.5}, r"threads=1.5"),
    ("highs", {"presolve": True}, r"cvxpy-fresh:HIGHS: HiGHS rejects option presolve=True.*choose"),
    ("highs", {"no_such_option": 1}, r"HiGHS has no option 'no_such_option'"),
    ("ecos", {"abstl": 1e-8}, r"cvxpy-fresh:ECOS: ECOS has no option 'abstl' .* did you mean abstol"),
    ("ecos", {"abstol": "tight"}, r"ECOS rejects option abstol='tight'; it takes a number above 0"),
    ("ecos", {"max_iters": 10.5}, r"max_iters=10.5; it takes a whole number"),
    ("scs", {"eps_abs": None}, r"SCS rejects option eps_abs=None"),
    ("scs", {"epsilon": 1e-6}, r"SCS has no option 'epsilon'"),
    ("scs", {"use_indirect": False, "linear_solver": "qdldl"}, "SCS does not take the options"),
    ("clarabel", {"max_iter": 0}, r"CLARABEL rejects option max_iter=0"),
    ("clarabel", {"tol_gap": 1e-9}, r"CLARABEL has no option 'tol_gap' .*did you mean"),
    ("clarabel", {"direct_solve_method": "magic"}, r"direct_solve_method='magic'; it takes one of auto"),
]


@pytest.mark.parametrize(("spec", "options", "message"), WRONG)
def test_a_wrong_option_fails_when_the_session_opens(spec: str, options: dict[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message) as caught:
        Walk.of(spec, options, PhaseTimer())
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("highs-direct", {"solver": "ipm", "run_crossover": "off"}),
        ("highs-direct", {"simplex_strategy": 1, "presolve": "on"}),
        ("highs", {"solver": "ipm"}),
        ("ecos", {"abstol": 1e-10, "max_iters": 150}),
        ("scs", {"eps_abs": 1e-8, "eps_rel": 1e-8, "alpha": 1.2}),
        ("clarabel", {"tol_gap_rel": 1e-10, "equilibrate_enable": False}),
    ],
)
def test_a_right_option_reaches_the_solver_and_the_answer_stays_certified(
    spec: str, options: dict[str, object]
) -> None:
    solution = Walk.of(spec, options, PhaseTimer()).solve(random_problem(1, 8, 3))
    assert solution.gap is not None
    assert solution.gap < 1e-6


@pytest.mark.parametrize(
    ("spec", "options"),
    [
        ("highs-direct", {"simplex_iteration_limit": 1}),
        ("highs", {"simplex_iteration_limit": 1}),
        ("ecos", {"max_iters": 1}),
        ("scs", {"max_iters": 1}),
        ("clarabel", {"max_iter": 1}),
    ],
)
def test_options_change_what_the_solver_does_and_its_failure_is_a_message(
    spec: str, options: dict[str, object], capfd: pytest.CaptureFixture[str]
) -> None:
    solver = Walk.of(spec, options, PhaseTimer())
    with pytest.raises(SolverError, match=r"20 jobs x 3 worker types: .*options \{"):
        solver.solve(random_problem(3, 20, 3))
    assert capfd.readouterr() == ("", "")


def test_sessions_with_different_numbers_of_highs_threads_do_not_disturb_each_other() -> None:
    stated = random_problem(5, 10, 3)
    solvers = [
        Walk.of("highs-direct", {"threads": 2}, PhaseTimer()),
        Walk.of("highs-direct", {}, PhaseTimer()),
        Walk.of("highs", {"threads": 2}, PhaseTimer()),
    ]
    objectives = [solver.solve(stated).objective for _ in range(2) for solver in solvers]
    np.testing.assert_allclose(objectives, objectives[0], rtol=1e-9)


@pytest.mark.alone  # of wall time: a busy machine may spend it on something else
def test_a_time_limit_holds_for_each_solve_and_not_for_the_session() -> None:
    limit_s = 0.2
    stated = random_problem(8, 60, 3)
    timer = PhaseTimer()
    solver = Walk.of("highs-direct", {"time_limit": limit_s}, timer)
    spent_s = 0.0
    while spent_s < 1.5 * limit_s:
        assert solver.solve(stated).gap is not None
        spent_s += timer.take().phases_s["lp_solve"]
