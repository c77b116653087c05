"""What holds for every problem and every x: projection, bound, LP form."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse
from scipy.optimize import linprog

from phasewise.solvers.crash import starting_point
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Trait, random_problem
from phasewise.solvers.lp import to_lp

PROBLEMS = st.builds(
    random_problem,
    st.integers(0, 2**32 - 1),
    st.integers(1, 20),
    st.integers(1, 5),
    st.sets(st.sampled_from(Trait), max_size=4),
)
SWITCHING_PROBLEMS = st.builds(
    random_problem,
    st.integers(0, 2**32 - 1),
    st.integers(1, 8),
    st.integers(1, 5),
    st.sets(st.sampled_from(Trait), max_size=3).map(lambda traits: traits | {Trait.SWITCHING_BY_PAIR}),
)
SEEDS = st.integers(0, 2**32 - 1)


def any_x(problem: MaxMinProblem, seed: int) -> npt.NDArray[np.float64]:
    """Return an x that is often infeasible in every way."""
    rng = np.random.default_rng(seed)
    return rng.normal(0.3, 0.6, size=(problem.jobs, problem.types))


@given(problem=PROBLEMS, seed=SEEDS)
def test_a_projected_x_is_feasible_and_projecting_twice_changes_nothing(problem: MaxMinProblem, seed: int) -> None:
    once = problem.project(any_x(problem, seed))
    assert problem.violation(once) <= 1e-12
    np.testing.assert_allclose(problem.project(once), once, rtol=1e-12, atol=0.0)


@given(problem=PROBLEMS, seed=SEEDS)
def test_violation_is_zero_exactly_where_every_constraint_holds(problem: MaxMinProblem, seed: int) -> None:
    x = any_x(problem, seed)
    holds = (
        (x >= 0).all()
        and (x.sum(axis=1) <= 1).all()
        and (problem.scale_factor @ x <= problem.capacity).all()
        and not x[~problem.allowed_mask].any()
    )
    assert (problem.violation(x) == 0.0) == holds


@given(problem=PROBLEMS, seed=SEEDS)
def test_no_feasible_x_beats_the_bound_of_any_duals(problem: MaxMinProblem, seed: int) -> None:
    rng = np.random.default_rng(seed)
    x = problem.project(any_x(problem, seed))
    weights = rng.exponential(size=problem.jobs) * rng.integers(0, 2, size=problem.jobs)
    prices = rng.exponential(size=problem.types) * rng.choice([0.0, 1.0, 1e-3, 1e3]) * problem.gain.max()
    bound = problem.bound(weights, prices)
    slack = 1e-12 * max(abs(bound), problem.magnitude(x))
    assert problem.objective(x) <= bound + slack


@given(problem=SWITCHING_PROBLEMS, seed=SEEDS)
def test_what_a_job_can_make_of_its_time_is_the_optimum_of_its_own_linear_program(
    problem: MaxMinProblem, seed: int
) -> None:
    assert problem.switching is not None
    rng = np.random.default_rng(seed)
    value = problem.gain * rng.normal(0.0, 1.0, size=problem.gain.shape) / problem.jobs
    switching, allowed = problem.switching, problem.allowed_mask
    one = np.ones((1, problem.types))
    expected = 0.0
    for i in range(problem.jobs):  # x = previous + more - less, per job
        previous, cost = switching.previous[i], switching.cost[i]
        upper = np.where(allowed[i], 1.0, 0.0)
        found = linprog(
            np.concatenate((-value[i], cost)),
            A_ub=np.block(
                [[one, 0.0 * one], [np.eye(problem.types), -np.eye(problem.types)], [-np.eye(problem.types)] * 2]
            ),
            b_ub=np.concatenate(([1.0], previous, -previous)),
            bounds=[(0.0, most) for most in upper] + [(0.0, None)] * problem.types,
        )
        expected -= found.fun
    scale = np.abs(value).sum() + (switching.cost * (1.0 + switching.previous)).sum()
    assert switching.worth(value, allowed) == pytest.approx(expected, rel=0.0, abs=1e-9 * scale)


@given(problem=SWITCHING_PROBLEMS, seed=SEEDS)
def test_a_positive_gap_is_measured_by_what_the_objective_is_made_of(problem: MaxMinProblem, seed: int) -> None:
    x = problem.project(any_x(problem, seed))
    assert problem.magnitude(x) >= abs(problem.objective(x))
    scaled = replace(problem, gain=problem.gain * 8.0, move_cost=problem.move_cost * 8.0)  # type: ignore[operator]
    assert scaled.magnitude(x) == pytest.approx(8.0 * problem.magnitude(x), rel=1e-12)


@given(problem=PROBLEMS, seed=SEEDS)
def test_the_lp_says_what_the_problem_says(problem: MaxMinProblem, seed: int) -> None:
    lp = to_lp(problem)
    rows, columns = lp.row_lower.size, lp.cost.size
    matrix = sparse.csc_array((lp.value, lp.index, lp.start), shape=(rows, columns)).toarray()
    x = problem.project(any_x(problem, seed))
    gains = (problem.gain * x).sum(axis=1)
    z, added = np.empty(columns), x.ravel().copy()
    if problem.switching is not None:
        pairs = lp.pairs["kept"]
        kept = np.minimum(added[pairs], problem.switching.previous.ravel()[pairs])  # as an optimum does
        z[lp.columns["kept"]] = kept
        added[pairs] -= kept
    z[lp.columns["x"]] = added
    z[lp.columns["level"]] = gains.min() / lp.scale
    np.testing.assert_allclose(lp.decode(z), x, rtol=1e-12)
    activity = matrix @ z
    slack = 1e-9 * max(1.0, float(np.abs(activity).max()))
    assert (activity <= lp.row_upper + slack).all()
    assert (activity >= lp.row_lower - slack).all()
    assert (z <= lp.col_upper + 1e-12).all()
    assert (z >= lp.col_lower).all()
    constant = 0.0 if problem.switching is None else problem.switching.paid(np.zeros_like(x))
    assert lp.cost @ z * lp.scale / problem.jobs - constant == pytest.approx(
        problem.objective(x), rel=1e-9, abs=1e-9 * (constant + problem.magnitude(x))
    )


@given(problem=PROBLEMS)
def test_the_starting_point_is_a_feasible_vertex(problem: MaxMinProblem) -> None:
    start = starting_point(problem)
    jobs = np.arange(problem.jobs)
    if start is None:
        assert problem.usable_gain.max(axis=1).min() == 0.0
        return
    gain = problem.usable_gain[jobs, start.kind]
    assert (gain > 0.0).all()
    if start.tight_type >= 0:
        on_it = start.kind == start.tight_type
        level = problem.capacity[start.tight_type] / (problem.scale_factor[on_it] / gain[on_it]).sum()
    else:
        level = gain[start.tight_job]
    x = np.zeros((problem.jobs, problem.types))
    x[jobs, start.kind] = np.where(start.full, 1.0, level / gain)
    assert problem.violation(x) <= 1e-9
    assert (problem.gain * x).sum(axis=1).min() >= level * (1.0 - 1e-12)
