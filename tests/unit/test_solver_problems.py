"""A malformed problem is refused in one sentence; a well-formed one judges its own answers."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.optimize import linprog

from phasewise.solvers.errors import ProblemError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Load, churned_rounds, with_switching


def problem(**changes: object) -> MaxMinProblem:
    fields: dict[str, object] = {
        "gain": np.array([[2.0, 1.0], [1.0, 3.0], [0.0, 1.0]]),
        "scale_factor": np.array([1.0, 2.0, 0.5]),
        "capacity": np.array([1.0, 2.0]),
    }
    return MaxMinProblem(**{**fields, **changes})  # type: ignore[arg-type]


NAN = np.array([[2.0, 1.0], [1.0, np.nan], [0.0, 1.0]])
NEGATIVE = np.array([[2.0, 1.0], [1.0, 3.0], [-0.5, 1.0]])
STAY = np.array([[0.5, 0.0], [0.25, 0.75], [0.0, 0.0]])


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"gain": NAN}, r"gain\[1, 1\] is nan; expected a finite number of at least 0"),
        ({"gain": NEGATIVE}, r"gain\[2, 0\] is -0.5"),
        ({"gain": np.ones((2, 2))}, r"gain has shape \(2, 2\); expected .*\(3, 2\)"),
        ({"gain": np.ones((3, 2), dtype=np.int64)}, r"gain has dtype int64; expected float64"),
        ({"scale_factor": np.array([1.0, 0.0, 1.0])}, r"scale_factor\[1\] is 0.0; expected a finite number above 0"),
        ({"scale_factor": np.array([1.0, np.inf, 1.0])}, r"scale_factor\[1\] is inf"),
        ({"capacity": np.array([1.0, -1.0])}, r"capacity\[1\] is -1.0"),
        ({"capacity": np.zeros(0)}, r"at least one type"),
        ({"allowed": np.ones((3, 2))}, r"allowed is float64 .* expected bool"),
        ({"linear_weight": -1.0}, r"linear_weight is -1.0"),
        ({"linear_weight": float("nan")}, r"linear_weight is nan"),
        ({"previous": STAY}, r"previous is given without move_cost; expected both"),
        ({"move_cost": STAY}, r"move_cost is given without previous; expected both"),
        ({"previous": STAY[:2], "move_cost": STAY}, r"previous has shape \(2, 2\); expected .*\(3, 2\)"),
        ({"previous": STAY, "move_cost": STAY[0]}, r"move_cost has shape \(2,\); expected .*\(3, 2\) or \(jobs, 1\)"),
        ({"previous": NEGATIVE, "move_cost": STAY}, r"previous\[2, 0\] is -0.5"),
        ({"previous": STAY, "move_cost": NAN}, r"move_cost\[1, 1\] is nan"),
        ({"previous": 1.5 * STAY, "move_cost": STAY}, r"previous\[1\] sums to 1.5; expected at most 1"),
    ],
)
def test_a_malformed_problem_is_refused_naming_the_entry(changes: dict[str, object], message: str) -> None:
    with pytest.raises(ProblemError, match=message):
        problem(**changes).validate()


def test_a_well_formed_problem_passes_even_without_jobs() -> None:
    problem().validate()
    MaxMinProblem(np.zeros((0, 3)), np.zeros(0), np.ones(3)).validate()


def test_the_objective_is_the_least_gain() -> None:
    x = np.array([[0.5, 0.0], [0.0, 0.5], [0.0, 0.75]])
    assert problem().objective(x) == 0.75
    assert problem(linear_weight=0.1).objective(x) == pytest.approx(0.75 + 0.1 * (1.0 + 1.5 + 0.75) / 3)


def test_the_objective_pays_for_every_unit_that_is_moved() -> None:
    x = np.array([[0.5, 0.0], [0.0, 0.5], [0.0, 0.75]])
    by_pair = np.array([[1.0, 2.0], [0.5, 3.0], [7.0, 0.1]])
    moved = np.abs(x - STAY)  # [0, 0], [0.25, 0.25], [0, 0.75]
    switching = problem(previous=STAY, move_cost=by_pair)
    switching.validate()
    assert switching.family == "max_min_switching"
    assert problem().family == "max_min"
    assert switching.objective(x) == pytest.approx(0.75 - (by_pair * moved).sum())
    by_job = problem(previous=STAY, move_cost=by_pair[:, :1])
    by_job.validate()
    assert by_job.objective(x) == pytest.approx(0.75 - (0.5 * 0.5 + 7.0 * 0.75))


def test_the_bound_fills_each_jobs_time_with_the_steepest_piece_first() -> None:
    stated = problem(
        gain=np.array([[4.0, 1.0]]),
        scale_factor=np.ones(1),
        capacity=np.ones(2),
        previous=np.array([[0.25, 0.5]]),
        move_cost=np.array([[1.0, 2.0]]),
    )
    # slopes: type 0 is worth 4 + 1 for 0.25 then 4 - 1; type 1 is worth 1 + 2 for 0.5 then 1 - 2; all left costs 1.25
    assert stated.bound(np.ones(1), np.zeros(2)) == pytest.approx(5 * 0.25 + 3 * 0.75 - 1.25)
    # at a price of 2 for type 0: 3 for 0.25, then 1; type 1 3 for 0.5: x = (0.5, 0.5)
    prices = np.array([2.0, 0.0])
    assert stated.bound(np.ones(1), prices) == pytest.approx(3 * 0.25 + 3 * 0.5 + 1 * 0.25 - 1.25 + 2.0)


@pytest.mark.parametrize(
    ("x", "violation"),
    [
        ([[0.5, 0.5], [0.0, 0.5], [0.0, 0.5]], 0.0),
        ([[0.7, 0.5], [0.0, 0.5], [0.0, 0.5]], 0.2),  # job 0 runs more than all the time
        ([[1.0, 0.0], [0.0, 1.0], [0.0, 1.0]], 0.25),  # 2.5 of 2 GPUs of type 1
        ([[0.5, -0.1], [0.0, 0.0], [0.0, 0.0]], 0.1),
        ([[0.0, 0.0], [0.0, 0.0], [0.3, 0.0]], 0.3),  # job 2 cannot run on type 0
    ],
)
def test_the_violation_is_the_worst_constraint_in_its_own_scale(x: list[list[float]], violation: float) -> None:
    assert problem().violation(np.array(x)) == pytest.approx(violation)


def test_a_type_without_gpus_is_allowed_to_nobody() -> None:
    mask = problem(capacity=np.array([0.0, 2.0]), allowed=np.ones((3, 2), dtype=np.bool_)).allowed_mask
    np.testing.assert_array_equal(mask, [[False, True]] * 3)


def test_the_bound_follows_the_dual_formula_and_needs_no_unit() -> None:
    stated = problem(gain=np.array([[2.0, 1.0], [1.0, 3.0], [0.0, 8.0]]), capacity=np.array([0.2, 0.2]))
    weights, prices = np.array([0.5, 0.4375, 0.0625]), np.array([0.5, 1.0])
    # job 0: max(1 - 0.5, 0.5 - 1); job 1: max(0.4375 - 1, 1.3125 - 2); job 2: max(0 - 0.25, 0.5 - 0.5); GPUs: 0.1 + 0.2
    assert stated.bound(weights, prices) == pytest.approx(0.5 + 0.0 + 0.0 + 0.3)
    assert stated.bound(7.0 * weights, 7.0 * prices) == pytest.approx(0.8)


def test_without_duals_the_bound_is_the_smallest_ceiling() -> None:
    assert problem().bound(np.zeros(3), np.zeros(2)) == 1.0
    assert problem(linear_weight=0.3).bound(np.zeros(3), np.zeros(2)) == pytest.approx(1.0 + 0.3 * 2.0)


@pytest.mark.parametrize("load", list(Load))
@pytest.mark.parametrize("types", [3, 6])
def test_churned_rounds_keep_their_jobs_but_for_the_churn(load: Load, types: int) -> None:
    first, second = churned_rounds(5, 60, 2, load=load, types=types, churn=4)
    assert (first.came_from == -1).all()
    stayed = second.came_from >= 0
    assert stayed.sum() == 56
    assert (np.diff(second.came_from[stayed]) > 0).all()
    np.testing.assert_array_equal(second.problem.gain[stayed], first.problem.gain[second.came_from[stayed]])
    np.testing.assert_array_equal(second.problem.capacity, first.problem.capacity)
    x = first.problem.project(np.full((60, types), 0.3))
    switching = with_switching(second, x)
    switching.validate()
    assert switching.previous is not None
    np.testing.assert_array_equal(switching.previous[stayed], x[second.came_from[stayed]])
    assert not switching.previous[~stayed].any()


@pytest.mark.parametrize("seed", range(40))
def test_the_utilization_ceiling_is_what_a_linear_program_finds(seed: int) -> None:
    rng = np.random.default_rng(seed)
    jobs, types = int(rng.integers(1, 9)), int(rng.integers(1, 5))
    problem = MaxMinProblem(
        gain=np.ones((jobs, types)),
        scale_factor=rng.choice([0.25, 1.0, 2.0, 4.0], jobs),
        capacity=rng.integers(0, 6, types).astype(np.float64),
        allowed=rng.random((jobs, types)) < 0.6,
    )
    weights = np.repeat(problem.scale_factor, types)
    time_rows = np.kron(np.eye(jobs), np.ones(types))
    gpu_rows = np.kron(problem.scale_factor, np.eye(types)).reshape(types, jobs * types)
    most = linprog(
        -weights,
        A_ub=np.vstack([time_rows, gpu_rows]),
        b_ub=np.concatenate([np.ones(jobs), problem.capacity]),
        bounds=[(0.0, float(each)) for each in problem.allowed_mask.ravel()],
    )
    total = problem.capacity.sum()
    expected = -most.fun / total if total else 0.0
    assert problem.utilization_ceiling() == pytest.approx(expected, abs=1e-9)
