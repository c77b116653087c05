"""What holds for every problem and every x: projection, bound, LP form."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
from hypothesis import given
from hypothesis import strategies as st
from scipy import sparse

from phasewise.solvers.crash import starting_point
from phasewise.solvers.instances import Trait, random_problem
from phasewise.solvers.lp import to_lp
from phasewise.solvers.problems import MaxMinProblem

PROBLEMS = st.builds(
    random_problem,
    st.integers(0, 2**32 - 1),
    st.integers(1, 20),
    st.integers(1, 5),
    st.sets(st.sampled_from(Trait), max_size=4),
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
    assert problem.objective(x) <= bound * (1.0 + 1e-12)


@given(problem=PROBLEMS, seed=SEEDS)
def test_the_lp_says_what_the_problem_says(problem: MaxMinProblem, seed: int) -> None:
    lp = to_lp(problem)
    rows, columns = lp.row_lower.size, lp.cost.size
    matrix = sparse.csc_array((lp.value, lp.index, lp.start), shape=(rows, columns)).toarray()
    x = problem.project(any_x(problem, seed))
    gains = (problem.gain * x).sum(axis=1)
    z = np.append(x.ravel(), gains.min() / lp.gain_scale)
    activity = matrix @ z
    slack = 1e-9 * max(1.0, float(np.abs(activity).max()))
    assert (activity <= lp.row_upper + slack).all()
    assert (activity >= lp.row_lower - slack).all()
    assert (z <= lp.col_upper + 1e-12).all()
    assert (z >= lp.col_lower).all()
    np.testing.assert_allclose(lp.cost @ z * lp.gain_scale / problem.jobs, problem.objective(x), rtol=1e-9)


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
