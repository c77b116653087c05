"""Every backend that takes sums of values, with and without promised rates: random instances, recorded ones, tapes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import per_backend
from oracle import GAVEL, names, read
from sum_programs import random_program, reference

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Infeasible, Solution
from phasewise.solvers.errors import ProblemError, SolveFailedError
from phasewise.solvers.families.max_sum import MAX_SUM, MAX_SUM_SLO, MaxSumProblem
from phasewise.solvers.instances import Trait
from phasewise.solvers.promises import kept
from phasewise.solvers.proofs import Duals
from phasewise.solvers.replay import replay
from phasewise.solvers.session import Walk
from phasewise.solvers.structured.max_sum import Program
from phasewise.solvers.tapes import Tape, TapeWriter

BACKENDS = [name for name in registry.names() if MAX_SUM in registry.get(name).families]
OWN_FIRST = [
    name if not name.startswith("cvxpy-") else pytest.param(name, marks=pytest.mark.thorough) for name in BACKENDS
]
AS_THEY_OCCUR = (Trait.ZEROS, Trait.GANGS, Trait.FRACTIONAL, Trait.SCARCE, Trait.AMPLE, Trait.NO_CAPACITY, Trait.TIES)
PROVES_REFUSALS = ("structured", "highs-direct", "auto")
WITHIN = 1e-6


@cache
def walk_of(backend: str) -> Walk:
    return Walk.of(backend, {}, PhaseTimer())


def problem_of(program: Program) -> MaxSumProblem:
    """Return a program as a problem; promises are left out where there are none."""
    value = np.where(program.value > -np.inf, program.value, 0.0)
    rates = (program.rate, program.need) if program.need.any() else (None, None)
    return MaxSumProblem(value, program.use, program.capacity, *rates)


def some_problem(seed: int, jobs: int, types: int, traits: set[Trait], needed: float) -> MaxSumProblem:
    return problem_of(random_program(seed, jobs, types, traits, needed))


def test_the_backends_that_can_take_sums() -> None:
    exact = {name for name in registry.names() if registry.is_exact(registry.get(name))}
    assert exact - set(BACKENDS) <= {"water-filling", "by-kinds"}
    assert set(BACKENDS) == {name for name in registry.names() if MAX_SUM_SLO in registry.get(name).families}


@pytest.mark.parametrize("backend", OWN_FIRST)
def test_an_instance_is_solved_and_proven_or_its_promises_are_refuted(backend: str) -> None:
    @hypothesis_settings(max_examples=per_backend(backend) // 2)
    @given(
        seed=st.integers(0, 2**32 - 1),
        jobs=st.sampled_from([1, 2, 5, 12, 30]),
        types=st.integers(1, 4),
        traits=st.sets(st.sampled_from(AS_THEY_OCCUR), max_size=2),
        needed=st.sampled_from([0.0, 0.05, 0.3, 1.0]),
    )
    def solved(seed: int, jobs: int, types: int, traits: set[Trait], needed: float) -> None:
        note(f"some_problem({seed}, {jobs}, {types}, {sorted(traits)}, {needed})")
        problem = some_problem(seed, jobs, types, traits, needed)
        if isinstance(walk_of("structured").outcome(problem), Infeasible):
            if backend in PROVES_REFUSALS:
                assert isinstance(walk_of(backend).outcome(problem), Infeasible)
            problem = kept(problem).problem
        solution = walk_of(backend).solve(problem)
        assert solution.gap is not None
        assert solution.gap <= WITHIN
        assert problem.violation(solution.x) <= WITHIN

    solved()


@pytest.mark.oracle
@pytest.mark.parametrize("backend", OWN_FIRST)
def test_recorded_inputs_reach_the_optimum(backend: str) -> None:
    optima = {(each["case"], each["index"]): each["optimum"] for each in read(GAVEL / "objectives.json")}
    solved = 0
    for name in names(GAVEL / "alloc", "*--max_sum_throughput*"):
        for case in read(GAVEL / "alloc" / f"{name}.json")["cases"]:
            value = np.array(case["throughputs"])
            if case["instance_costs"]:
                value /= [case["instance_costs"][kind] for kind in case["worker_types"]]
            capacity = np.array([float(case["cluster_spec"][kind]) for kind in case["worker_types"]])
            problem = MaxSumProblem(value, np.array(case["scale_factors"], dtype=float), capacity)
            assert walk_of(backend).solve(problem).objective == pytest.approx(optima[name, case["index"]], rel=WITHIN)
            solved += 1
    assert solved == 32


@given(
    seed=st.integers(0, 2**32 - 1), jobs=st.sampled_from([1, 5, 30]), types=st.integers(1, 4),
    needed=st.sampled_from([0.0, 0.1, 1.0]),
)  # fmt: skip
def test_no_duals_bound_it_below_the_optimum_nor_refute_what_is_feasible(
    seed: int, jobs: int, types: int, needed: float
) -> None:
    program = random_program(seed, jobs, types, {Trait.GANGS}, needed)
    problem, best = problem_of(program), reference(program).value
    rng = np.random.default_rng(seed)
    prices, weights = rng.exponential(1.0, types), rng.exponential(1.0, jobs)
    duals = Duals(capacity=prices, slo=weights)
    if best is None:
        assert problem.refute(Duals(capacity=prices, slo=np.zeros(jobs))) is None
        return
    assert problem.refute(duals) is None
    proof = problem.prove(np.zeros((jobs, types)), duals)
    assert proof is not None
    assert proof.bound >= best * (1.0 - 1e-9)


def test_duals_of_the_wrong_shape_prove_nothing() -> None:
    problem = some_problem(1, 5, 3, set(), 0.1)
    x = np.zeros((5, 3))
    assert problem.prove(x, Duals()) is None
    assert problem.prove(x, Duals(capacity=np.ones(2), slo=np.ones(5))) is None
    assert problem.prove(x, Duals(capacity=np.full(3, np.nan), slo=np.ones(5))) is None
    assert problem.refute(Duals(capacity=np.ones(3))) is None


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"promised": np.ones(2)}, "given together"),
        ({"throughput": np.ones((3, 2)), "promised": np.ones(3)}, r"throughput has shape \(3, 2\)"),
        ({"throughput": np.ones((2, 2)), "promised": np.ones(3)}, r"promised has shape \(3,\)"),
        ({"throughput": np.ones((2, 2)), "promised": np.array([1.0, -1.0])}, r"promised\[1\] is -1.0"),
        ({"members": np.array([[0, 1], [1, -1]])}, "rows of two jobs"),
    ],
)
def test_a_malformed_problem_is_refused_with_its_fault(wrong: dict[str, np.ndarray], said: str) -> None:
    members = wrong.pop("members", None)
    problem = MaxSumProblem(np.ones((2, 2)), np.ones(2), np.ones(2), **wrong)
    if members is not None:
        object.__setattr__(problem, "members", members)
    with pytest.raises(ProblemError, match=said):
        problem.validate()


def test_a_backend_that_cannot_prove_a_refusal_fails_and_the_chain_goes_on() -> None:
    problem = MaxSumProblem(np.ones((2, 1)), np.ones(2), np.ones(1), np.ones((2, 1)), np.ones(2))
    with pytest.raises(SolveFailedError, match="infeasible"):
        Walk.of("cvxpy-fresh:CLARABEL", {}, PhaseTimer()).outcome(problem)
    outcome = Walk.of("cvxpy-fresh:CLARABEL,structured", {}, PhaseTimer()).outcome(problem)
    assert isinstance(outcome, Infeasible)
    assert outcome.margin == pytest.approx(0.5)
    assert [each.backend for each in outcome.fallbacks] == ["cvxpy-fresh:CLARABEL"]


def test_problems_of_the_family_are_taped_and_replayed(tmp_path: Path) -> None:
    problems = [some_problem(seed, 12, 3, {Trait.GANGS}, 0.1) for seed in range(4)]
    with TapeWriter(tmp_path / "sums.tape", {}) as tape:
        for problem in problems:
            tape.write(problem)
    (structured, direct) = replay(list(Tape(tmp_path / "sums.tape")), ["structured", "highs-direct"])
    assert structured.failures == direct.failures == []
    assert max(*structured.gaps, *direct.gaps) <= 1e-9


def test_rounds_in_a_row_start_from_the_last_prices() -> None:
    walk = Walk.of("structured", {}, PhaseTimer())
    rebuilds = []
    for seed in (1, 1, 1):
        outcome = walk.outcome(some_problem(seed, 300, 4, {Trait.GANGS}, 0.05))
        assert isinstance(outcome, Solution)
        rebuilds.append(outcome.rebuild)
    assert rebuilds[0] is not None
    assert rebuilds[1:] == [None, None]
