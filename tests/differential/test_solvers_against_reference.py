"""Objectives against references: HiGHS' dual simplex at 1e-10, and what the original simulator's solver reached."""

from __future__ import annotations

from dataclasses import replace
from functools import cache

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import AGAINST_REFERENCE, PER_BACKEND
from oracle import GAVEL, names, read

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Solution, SolverSession
from phasewise.solvers.families.max_min import MAX_MIN, MaxMinProblem
from phasewise.solvers.instances import Trait, random_problem
from phasewise.solvers.session import Walk

BACKENDS = tuple(
    name
    for name in registry.names()
    if MAX_MIN in registry.get(name).families and registry.is_exact(registry.get(name))
)
DUALS_OF = ("highs-direct", "structured")  # a vertex's, and where many are optimal an interior point's
TOLERANCE = 1e-6  # relative, of the objective
REFERENCE_OPTIONS = {
    "solver": "simplex",
    "simplex_strategy": 1,  # dual simplex from nothing: another path than the default of highs-direct
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
}


@cache
def solver_of(backend: str) -> Walk:
    return Walk.of(backend, {}, PhaseTimer())


@cache
def session_of(backend: str) -> SolverSession:
    return registry.get(backend).open({}, PhaseTimer())


@cache
def reference() -> Walk:
    return Walk.of("highs-direct", REFERENCE_OPTIONS, PhaseTimer())


PROBLEMS = st.builds(
    random_problem,
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 4, 7, 12, 30]),
    st.integers(1, 6),
    st.sets(st.sampled_from(sorted(set(Trait) - {Trait.UNITS})), max_size=4),
)


def nearly(problem: MaxMinProblem, best: Solution, relative: float) -> object:
    """Return what an objective is compared with: ``best``, relative to the terms of the objective where they cancel."""
    slack = relative * max(abs(best.objective), problem.magnitude(best.x))
    return pytest.approx(best.objective, rel=0.0, abs=slack)


@hypothesis_settings(max_examples=AGAINST_REFERENCE)
@given(problem=PROBLEMS, seed=st.integers(0, 1000))
def test_no_bound_is_below_the_true_optimum(problem: MaxMinProblem, seed: int) -> None:
    # With it, a small gap is a proof: what a certificate says of any backend's answer needs no second opinion.
    rng = np.random.default_rng(seed)
    best = reference().solve(problem)
    slack = 1e-9 * max(abs(best.objective), problem.magnitude(best.x))
    for backend in DUALS_OF:
        answer, _ = session_of(backend).solve(problem, None)
        assert answer.duals is not None
        weights, prices = answer.duals.vector("gain", problem.jobs), answer.duals.vector("capacity", problem.types)
        assert weights is not None
        assert prices is not None
        for spread in (0.0, 1e-6, 1e-2, 1.0):  # of the duals: a bound must hold for any, and is sharpest near these
            off = rng.lognormal(0.0, spread, problem.jobs), rng.lognormal(0.0, spread, problem.types)
            bound = problem.bound(weights * off[0], prices * off[1])
            assert bound >= best.objective - slack, (backend, spread)
        assert problem.bound(weights * rng.integers(0, 2, problem.jobs), prices) >= best.objective - slack, backend


@pytest.mark.nightly  # a certificate proves each answer, and the test above what a certificate proves
@hypothesis_settings(max_examples=AGAINST_REFERENCE)
@given(problem=PROBLEMS)
def test_every_backend_reaches_the_references_objective(problem: MaxMinProblem) -> None:
    best = reference().solve(problem)
    for backend in BACKENDS:
        if problem.family in registry.get(backend).families:
            note(backend)
            assert solver_of(backend).solve(problem).objective == nearly(problem, best, TOLERANCE)


@hypothesis_settings(max_examples=PER_BACKEND)
@given(problem=PROBLEMS)
def test_highs_direct_is_exact_from_its_starting_point(problem: MaxMinProblem) -> None:
    best = reference().solve(problem)
    assert solver_of("highs-direct").solve(problem).objective == nearly(problem, best, 1e-10)


@given(problem=PROBLEMS, seed=st.integers(0, 1000))
def test_the_order_of_jobs_does_not_move_the_optimum(problem: MaxMinProblem, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(problem.jobs)
    rows = ("gain", "scale_factor", "allowed", "previous", "move_cost")
    stated = {name: getattr(problem, name) for name in rows}
    permuted = replace(problem, **{name: rows[order] for name, rows in stated.items() if rows is not None})
    solver = solver_of("highs-direct")
    assert solver.solve(permuted).objective == nearly(problem, solver.solve(problem), 1e-9)


@given(problem=PROBLEMS, factor=st.sampled_from([1e-6, 0.5, 3.0, 1e7]))
def test_the_optimum_scales_with_the_gains_and_the_costs_of_moving(problem: MaxMinProblem, factor: float) -> None:
    move_cost = None if problem.move_cost is None else problem.move_cost * factor
    scaled = replace(problem, gain=problem.gain * factor, move_cost=move_cost)
    solver = solver_of("highs-direct")
    best = solver.solve(problem)
    slack = 1e-9 * max(abs(best.objective), problem.magnitude(best.x))
    assert solver.solve(scaled).objective / factor == pytest.approx(best.objective, rel=0.0, abs=slack)


@given(problem=PROBLEMS, kind=st.integers(0, 5), extra=st.floats(0.1, 10.0))
def test_more_gpus_never_lower_the_optimum(problem: MaxMinProblem, kind: int, extra: float) -> None:
    capacity = problem.capacity.copy()
    capacity[kind % problem.types] += extra
    larger = replace(problem, capacity=capacity)
    solver = solver_of("highs-direct")
    best = solver.solve(problem)
    slack = 1e-9 * max(abs(best.objective), problem.magnitude(best.x))
    assert solver.solve(larger).objective >= best.objective - slack


SWITCH = Trait.SWITCHING_BY_PAIR
SWITCHING_PROBLEMS = st.builds(
    random_problem,
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 4, 7, 12, 30]),
    st.integers(1, 6),
    st.sets(st.sampled_from(sorted(set(Trait) - {Trait.UNITS})), max_size=3).map(lambda traits: traits | {SWITCH}),
)


@given(problem=SWITCHING_PROBLEMS)
def test_a_move_that_is_free_leaves_the_plain_problem(problem: MaxMinProblem) -> None:
    assert problem.move_cost is not None
    solver = solver_of("highs-direct")
    plain = solver.solve(replace(problem, previous=None, move_cost=None))
    free = solver.solve(replace(problem, move_cost=np.zeros_like(problem.move_cost)))
    assert free.objective == pytest.approx(plain.objective, rel=1e-9, abs=0.0)


@given(problem=SWITCHING_PROBLEMS, factor=st.sampled_from([1.1, 3.0, 100.0]))
def test_dearer_moves_never_raise_the_optimum_and_never_move_more(problem: MaxMinProblem, factor: float) -> None:
    assert problem.move_cost is not None
    solver = solver_of("highs-direct")
    cheap = solver.solve(problem)
    dearer = replace(problem, move_cost=problem.move_cost * factor)
    dear = solver.solve(dearer)
    assert problem.switching is not None
    slack = 1e-9 * max(problem.magnitude(cheap.x), dearer.magnitude(dear.x))
    assert dear.objective <= cheap.objective + slack
    assert problem.switching.paid(dear.x) <= problem.switching.paid(cheap.x) + slack / (factor - 1.0)


@given(problem=SWITCHING_PROBLEMS)
def test_the_optimum_is_at_least_as_good_as_staying_and_as_moving_for_nothing(problem: MaxMinProblem) -> None:
    assert problem.previous is not None
    solver = solver_of("highs-direct")
    best = solver.solve(problem)
    plain = solver.solve(replace(problem, previous=None, move_cost=None))
    slack = 1e-9 * problem.magnitude(best.x)
    assert best.objective >= problem.objective(problem.project(problem.previous)) - slack
    assert best.objective >= problem.objective(plain.x) - slack
    assert best.objective <= plain.objective + slack


def stated_by(policy: str, case: dict[str, object], masked: bool) -> MaxMinProblem:
    """Return the max-min problem of one recorded allocation input; ``masked``: nothing where throughput is 0."""
    cluster = dict(case["cluster_spec"])  # type: ignore[call-overload]
    capacity = np.array([cluster[kind] for kind in case["worker_types"]], dtype=np.float64)  # type: ignore[attr-defined]
    throughput = np.array(case["throughputs"], dtype=np.float64)
    scale_factor = np.array(case["scale_factors"], dtype=np.float64)
    weight = np.array(case["priority_weights"], dtype=np.float64)
    aware = policy.endswith("_perf")
    norm = throughput @ capacity / capacity.sum() if aware else np.ones(len(throughput))
    gain = (throughput if aware else np.ones_like(throughput)) * (scale_factor / (weight * norm))[:, None]
    return MaxMinProblem(gain, scale_factor, capacity, throughput > 0.0 if masked else np.ones(gain.shape, np.bool_))


POLICIES = ("max_min_fairness", "max_min_fairness_perf")


@cache
def recorded() -> list[tuple[str, MaxMinProblem, MaxMinProblem, float]]:
    """Return (case, masked problem, unmasked problem, true optimum) of every recorded max-min allocation."""
    optimum = {(row["case"], row["index"]): row["optimum"] for row in read(GAVEL / "objectives.json")}
    rows = []
    for name in names(GAVEL / "alloc"):
        record = read(GAVEL / "alloc" / f"{name}.json")
        if record["policy"] in POLICIES:
            rows += [
                (
                    f"{record['case']}[{case['index']}]",
                    stated_by(record["policy"], case, masked=True),
                    stated_by(record["policy"], case, masked=False),
                    optimum[record["case"], case["index"]],
                )
                for case in record["cases"]
            ]
    return rows


THROUGH_CVXPY = [name for name in BACKENDS if name.startswith("cvxpy-")]
OWN_FIRST = [
    *(name for name in BACKENDS if name not in THROUGH_CVXPY),
    *(pytest.param(name, marks=pytest.mark.thorough) for name in THROUGH_CVXPY),
]


@pytest.mark.oracle
@pytest.mark.parametrize("backend", OWN_FIRST)
def test_every_recorded_allocation_is_within_a_millionth_of_the_true_optimum(backend: str) -> None:
    rows = recorded()
    assert len(rows) == 56
    for name, masked, unmasked, best in rows:
        for problem in (masked, unmasked):
            solution = solver_of(backend).solve(problem)
            assert solution.objective == pytest.approx(best, rel=TOLERANCE), name
            assert solution.gap is not None
            assert solution.gap <= TOLERANCE, name


@pytest.mark.oracle
@pytest.mark.parametrize("backend", OWN_FIRST)
def test_synthetic_allocations_reach_the_originals_value(backend: str) -> None:
    for case in read(GAVEL / "alloc_synthetic.json"):
        for policy in POLICIES:
            problem = stated_by(policy, case, masked=False)
            recorded_answer = case["results"][policy]
            solution = solver_of(backend).solve(problem)
            assert solution.objective == pytest.approx(recorded_answer["solver_value"], rel=TOLERANCE)
            theirs = problem.objective(problem.project(np.array(recorded_answer["x"])))
            assert solution.objective >= theirs * (1.0 - TOLERANCE)
