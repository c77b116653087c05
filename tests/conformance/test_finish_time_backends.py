"""Every backend that takes finish-time problems: on instances as they occur, on recorded ones, on rounds in a row."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import per_backend
from oracle import GAVEL, names, read

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.families.finish_time import FINISH_TIME, FinishTimeProblem
from phasewise.solvers.finish_time_instances import Age, finish_time_rounds, random_finish_times
from phasewise.solvers.instances import Load, Trait
from phasewise.solvers.session import Walk

BACKENDS = [name for name in registry.names() if FINISH_TIME in registry.get(name).families]
OWN_FIRST = [
    name if not name.startswith("cvxpy-") else pytest.param(name, marks=pytest.mark.thorough) for name in BACKENDS
]
AS_THEY_OCCUR = (Trait.ZEROS, Trait.GANGS, Trait.FRACTIONAL, Trait.SCARCE, Trait.AMPLE, Trait.NO_CAPACITY, Trait.MASKED)
WITHIN = 1e-6


@cache
def solver_of(backend: str) -> Walk:
    return Walk.of(backend, {}, PhaseTimer())


def test_all_exact_backends_but_the_lexicographic_ones_take_finish_time_problems() -> None:
    exact = {name for name in registry.names() if registry.is_exact(registry.get(name))}
    assert exact - set(BACKENDS) <= {"water-filling", "by-kinds"}


@pytest.mark.parametrize("backend", OWN_FIRST)
def test_an_instance_as_it_occurs_is_solved_and_proven(backend: str) -> None:
    @hypothesis_settings(max_examples=per_backend(backend) // 4)
    @given(
        seed=st.integers(0, 2**32 - 1),
        jobs=st.sampled_from([1, 2, 5, 12, 30]),
        types=st.integers(1, 4),
        traits=st.sets(st.sampled_from(AS_THEY_OCCUR), max_size=2),
        ages=st.sets(st.sampled_from([Age.DONE, Age.FRESH]), max_size=1),
    )
    def solved(seed: int, jobs: int, types: int, traits: set[Trait], ages: set[Age]) -> None:
        note(f"random_finish_times({seed}, {jobs}, {types}, {sorted(traits)}, {sorted(ages)})")
        solution = solver_of(backend).solve(random_finish_times(seed, jobs, types, traits, ages))
        assert solution.gap is not None
        assert solution.gap <= WITHIN

    solved()


def stated_by(policy: str, case: dict[str, Any]) -> FinishTimeProblem:
    """Return the problem of one recorded input; without knowledge of speeds each type is as fast as a V100."""
    types = case["worker_types"]
    throughput = np.array(case["throughputs"], dtype=np.float64)
    if not policy.endswith("_perf"):
        throughput = np.repeat(throughput[:, [types.index("v100")]], len(types), axis=1)
    scale_factor = np.array(case["scale_factors"], dtype=np.float64)
    capacity = np.array([case["cluster_spec"][kind] for kind in types], dtype=np.float64)
    steps = np.array(case["num_steps_remaining"], dtype=np.float64)
    share = capacity / steps.size / scale_factor[:, None]
    share /= np.maximum(share.sum(axis=1), 1.0)[:, None]
    isolated = np.array(case["cumulative_isolated_time"]) + steps / (throughput * share).sum(axis=1)
    since = np.array(case["times_since_start"], dtype=np.float64)
    return FinishTimeProblem(throughput, scale_factor, capacity, steps, since, isolated, np.ones(share.shape, np.bool_))


@cache
def recorded() -> list[tuple[str, FinishTimeProblem, float]]:
    """Return (case, problem, optimum) of every recorded input."""
    optimum = {(row["case"], row["index"]): row["optimum"] for row in read(GAVEL / "objectives.json")}
    rows = []
    for name in names(GAVEL / "alloc", "*--finish_time_fairness*"):
        if name.endswith("_packed"):
            continue  # of another family, and without a recorded optimum
        record = read(GAVEL / "alloc" / f"{name}.json")
        for case in record["cases"]:
            best = optimum[record["case"], case["index"]]
            rows.append((f"{record['case']}[{case['index']}]", stated_by(record["policy"], case), best))
    return rows


@pytest.mark.oracle
@pytest.mark.parametrize("backend", OWN_FIRST)
def test_every_recorded_allocation_is_within_a_millionth_of_the_true_optimum(backend: str) -> None:
    rows = recorded()
    assert len(rows) == 24
    for name, problem, best in rows:
        solution = solver_of(backend).solve(problem)
        assert solution.objective == pytest.approx(best, rel=WITHIN), name
        assert solution.gap is not None
        assert solution.gap <= WITHIN, name


@pytest.mark.parametrize("load", Load)
@pytest.mark.parametrize("backend", ["structured", "highs-warm", "auto"])
def test_rounds_of_a_busy_cluster_are_proven_one_after_another(backend: str, load: Load) -> None:
    solver = Walk.of(backend, {}, PhaseTimer())
    for problem in finish_time_rounds(3, 150, 8, load=load):
        solution = solver.solve(problem)
        assert solution.gap is not None
        assert solution.gap <= 1e-9
        assert not solution.fallbacks


def test_a_session_that_remembers_prices_goes_through_cluster_that_changes() -> None:
    solver = Walk.of("structured", {}, PhaseTimer())
    for types, traits in ((3, ()), (3, (Trait.NO_CAPACITY,)), (2, ()), (4, (Trait.ZEROS,)), (4, (Trait.NO_CAPACITY,))):
        solution = solver.solve(random_finish_times(types, 80, types, traits))
        assert solution.gap is not None
        assert solution.gap <= 1e-9
