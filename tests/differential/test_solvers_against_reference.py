"""Objectives against references: HiGHS' dual simplex at 1e-10, and what the original simulator's solver reached."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.instances import Trait, random_problem
from phasewise.solvers.problems import MaxMinProblem
from phasewise.solvers.session import Solver, open_solver

BACKENDS = registry.names()
TOLERANCE = 1e-6  # relative, of the objective
REFERENCE_OPTIONS = {
    "solver": "simplex",
    "simplex_strategy": 1,  # dual simplex from nothing: another path than the default of highs-direct
    "primal_feasibility_tolerance": 1e-10,
    "dual_feasibility_tolerance": 1e-10,
}


@cache
def solver_of(backend: str) -> Solver:
    return open_solver(backend, {}, PhaseTimer())


@cache
def reference() -> Solver:
    return open_solver("highs-direct", REFERENCE_OPTIONS, PhaseTimer())


PROBLEMS = st.builds(
    random_problem,
    st.integers(0, 2**32 - 1),
    st.sampled_from([1, 2, 4, 7, 12, 30]),
    st.integers(1, 6),
    st.sets(st.sampled_from(sorted(set(Trait) - {Trait.UNITS})), max_size=4),
)


@given(problem=PROBLEMS)
def test_every_backend_reaches_the_references_objective(problem: MaxMinProblem) -> None:
    best = reference().solve(problem).objective
    for backend in BACKENDS:
        note(backend)
        assert solver_of(backend).solve(problem).objective == pytest.approx(best, rel=TOLERANCE, abs=0.0)


@hypothesis_settings(max_examples=200)
@given(problem=PROBLEMS)
def test_highs_direct_is_exact_from_its_starting_point(problem: MaxMinProblem) -> None:
    best = reference().solve(problem).objective
    assert solver_of("highs-direct").solve(problem).objective == pytest.approx(best, rel=1e-10, abs=0.0)


@given(problem=PROBLEMS, seed=st.integers(0, 1000))
def test_the_order_of_jobs_does_not_move_the_optimum(problem: MaxMinProblem, seed: int) -> None:
    order = np.random.default_rng(seed).permutation(problem.jobs)
    allowed = None if problem.allowed is None else problem.allowed[order]
    permuted = MaxMinProblem(
        problem.gain[order], problem.scale_factor[order], problem.capacity, allowed, problem.linear_weight
    )
    solver = solver_of("highs-direct")
    assert solver.solve(permuted).objective == pytest.approx(solver.solve(problem).objective, rel=1e-9, abs=0.0)


@given(problem=PROBLEMS, factor=st.sampled_from([1e-6, 0.5, 3.0, 1e7]))
def test_the_optimum_scales_with_the_gains(problem: MaxMinProblem, factor: float) -> None:
    scaled = MaxMinProblem(
        problem.gain * factor, problem.scale_factor, problem.capacity, problem.allowed, problem.linear_weight
    )
    solver = solver_of("highs-direct")
    expected = factor * solver.solve(problem).objective
    assert solver.solve(scaled).objective == pytest.approx(expected, rel=1e-9, abs=0.0)


@given(problem=PROBLEMS, kind=st.integers(0, 5), extra=st.floats(0.1, 10.0))
def test_more_gpus_never_lower_the_optimum(problem: MaxMinProblem, kind: int, extra: float) -> None:
    capacity = problem.capacity.copy()
    capacity[kind % problem.types] += extra
    larger = MaxMinProblem(problem.gain, problem.scale_factor, capacity, problem.allowed, problem.linear_weight)
    solver = solver_of("highs-direct")
    least = solver.solve(problem).objective
    assert solver.solve(larger).objective >= least * (1.0 - 1e-9)


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
def recorded(oracle_dir: Path) -> list[tuple[str, MaxMinProblem, MaxMinProblem, float]]:
    """Return (case, masked problem, unmasked problem, true optimum) of every recorded max-min allocation."""
    optimum = {
        (row["case"], row["index"]): row["optimum"] for row in json.loads((oracle_dir / "objectives.json").read_text())
    }
    rows = []
    for path in sorted((oracle_dir / "alloc").glob("*.json")):
        record = json.loads(path.read_text())
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


@pytest.mark.oracle
@pytest.mark.parametrize("backend", BACKENDS)
def test_every_recorded_allocation_is_within_a_millionth_of_the_true_optimum(backend: str, oracle_dir: Path) -> None:
    rows = recorded(oracle_dir)
    assert len(rows) == 56
    for name, masked, unmasked, best in rows:
        for problem in (masked, unmasked):
            solution = solver_of(backend).solve(problem)
            assert solution.objective == pytest.approx(best, rel=TOLERANCE), name
            assert solution.gap is not None
            assert solution.gap <= TOLERANCE, name


@pytest.mark.oracle
@pytest.mark.parametrize("backend", BACKENDS)
def test_synthetic_allocations_reach_the_originals_value(backend: str, oracle_dir: Path) -> None:
    cases = json.loads((oracle_dir / "alloc_synthetic.json").read_text())
    for case in cases:
        for policy in POLICIES:
            problem = stated_by(policy, case, masked=False)
            recorded_answer = case["results"][policy]
            solution = solver_of(backend).solve(problem)
            assert solution.objective == pytest.approx(recorded_answer["solver_value"], rel=TOLERANCE)
            theirs = problem.objective(problem.project(np.array(recorded_answer["x"])))
            assert solution.objective >= theirs * (1.0 - TOLERANCE)
