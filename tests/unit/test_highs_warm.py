"""`highs-warm` carries its basis from round to round, says why where it cannot, and is right either way."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import strategies as st
from scipy import sparse

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.api import RebuildReason, Solution
from phasewise.solvers.errors import OptionError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Load, Trait, churned_rounds, random_problem, with_switching
from phasewise.solvers.lp import reduced_gains, restrict, to_lp
from phasewise.solvers.problems import Floats
from phasewise.solvers.session import Walk

KINDS = ("plain", "canonical", "switching", "canonical switching")


def stated(kind: str, load: Load, jobs: int, rounds: int, types: int = 3) -> Iterator[MaxMinProblem]:
    """Yield consecutive problems of one kind; what is in force before a round is what highs-direct found."""
    reference = Walk.of("highs-direct", {}, PhaseTimer())
    x: Floats | None = None
    for churned in churned_rounds(3, jobs, rounds, load=load, types=types, churn=3):
        problem = with_switching(churned, x) if "switching" in kind else churned.problem
        if "canonical" in kind:
            problem = replace(problem, linear_weight=1e-3)
        yield problem
        x = reference.solve(problem).x


def rounds_of(pool: MaxMinProblem, rng: np.random.Generator, rounds: int) -> Iterator[MaxMinProblem]:
    """Yield problems of two thirds of the pool's jobs, of which a tenth changes a round, in any order and capacity."""
    jobs = np.sort(rng.permutation(pool.jobs)[: 2 * pool.jobs // 3])
    for _ in range(rounds):
        capacity = pool.capacity * (1.0 if rng.random() < 0.7 else rng.uniform(0.3, 2.0))
        part = {"gain": pool.gain[jobs], "scale_factor": pool.scale_factor[jobs], "keys": jobs}
        stated_now = replace(pool, capacity=capacity, **part)
        if pool.allowed is not None:
            stated_now = replace(stated_now, allowed=pool.allowed[jobs])
        if pool.previous is not None and pool.move_cost is not None:
            stated_now = replace(stated_now, previous=pool.previous[jobs], move_cost=pool.move_cost[jobs])
        yield stated_now
        waiting = np.setdiff1d(np.arange(pool.jobs), jobs)
        change = max(1, jobs.size // 10)
        jobs = rng.permutation(np.concatenate((rng.permutation(jobs)[change:], rng.permutation(waiting)[:change])))


@given(
    seed=st.integers(0, 2**32 - 1),
    shape=st.tuples(st.sampled_from([6, 15, 40]), st.integers(1, 5)),
    traits=st.sets(st.sampled_from(Trait), max_size=4),
)
def test_whatever_the_rounds_bring_the_carried_basis_leads_to_the_optimum(
    seed: int, shape: tuple[int, int], traits: set[Trait]
) -> None:
    note(f"random_problem({seed}, *{shape}, {sorted(traits)})")
    warm = Walk.of("highs-warm", {}, PhaseTimer())
    for problem in rounds_of(random_problem(seed, *shape, traits), np.random.default_rng(seed), 6):
        checked(warm.solve(problem))


@pytest.mark.parametrize("load", list(Load))
@pytest.mark.parametrize("kind", KINDS)
def test_sixty_churned_rounds_on_one_live_session_are_all_certified_and_optimal(kind: str, load: Load) -> None:
    warm, reference = (Walk.of(name, {}, PhaseTimer()) for name in ("highs-warm", "highs-direct"))
    rebuilds = []
    for problem in stated(kind, load, jobs=60, rounds=60):
        solution = warm.solve(problem)
        rebuilds.append(solution.rebuild)
        assert solution.gap is not None
        assert solution.gap <= 1e-9
        assert solution.objective == pytest.approx(reference.solve(problem).objective, rel=1e-9)
    assert rebuilds == [RebuildReason.FIRST] + [None] * 59


def test_a_round_takes_a_tenth_of_the_iterations_of_a_start_from_nothing() -> None:
    warm = Walk.of("highs-warm", {}, PhaseTimer())
    nothing = Walk.of("highs-direct", {"simplex_strategy": 4}, PhaseTimer())
    ours = theirs = 0
    for position, problem in enumerate(stated("plain", Load.CONTENDED, jobs=300, rounds=6)):
        iterations = warm.solve(problem).iterations
        if position:
            ours += iterations
            theirs += nothing.solve(problem).iterations
    assert ours < 0.1 * theirs


def test_the_same_jobs_in_another_order_are_recognised() -> None:
    problem = replace(random_problem(5, 50, 3, {Trait.GANGS, Trait.DUPLICATES, Trait.ZEROS}), keys=np.arange(50))
    warm = Walk.of("highs-warm", {}, PhaseTimer())
    first = warm.solve(problem)
    order = np.random.default_rng(0).permutation(50)
    moved = {"gain": problem.gain[order], "scale_factor": problem.scale_factor[order], "keys": problem.keys[order]}
    again = warm.solve(replace(problem, **moved))
    assert again.rebuild is None
    assert again.iterations == 0
    assert again.objective == pytest.approx(first.objective, rel=1e-12)


def test_a_job_whose_gains_change_is_known_again_and_an_equal_one_is_not_taken_for_it() -> None:
    ids = np.arange(40)
    problem = replace(random_problem(5, 40, 3, {Trait.DUPLICATES}), keys=ids)
    for keys, rebuild in ((ids, None), (ids[::-1].copy(), None), (ids + 100, RebuildReason.CHANGED), (None, "changed")):
        warm = Walk.of("highs-warm", {}, PhaseTimer())
        warm.solve(problem)
        again = checked(warm.solve(replace(problem, gain=problem.gain * 1.01, keys=keys)))
        assert again.rebuild == rebuild


def test_without_keys_rows_are_the_same_by_their_place_if_there_are_as_many() -> None:
    problem = random_problem(5, 40, 3)
    assert rebuild_of("highs-warm", problem, problem, first_jobs(problem, 39)) == ["first", None, "changed"]


def first_jobs(problem: MaxMinProblem, jobs: int) -> MaxMinProblem:
    """Return the problem of its first jobs alone."""
    return replace(problem, gain=problem.gain[:jobs], scale_factor=problem.scale_factor[:jobs])


def test_the_number_of_jobs_may_go_up_and_down() -> None:
    pool = random_problem(8, 400, 3, {Trait.GANGS})
    warm, reference = (Walk.of(name, {}, PhaseTimer()) for name in ("highs-warm", "highs-direct"))
    for jobs in (40, 75, 140, 200, 120, 61, 33, 17, 9, 16, 1, 2):
        first = {"gain": pool.gain[:jobs], "scale_factor": pool.scale_factor[:jobs], "keys": np.arange(jobs)}
        problem = replace(pool, **first)
        solution = warm.solve(problem)
        assert solution.objective == pytest.approx(reference.solve(problem).objective, rel=1e-9)


LARGE = 400  # jobs x 6 types: enough for columns to be left out


@pytest.mark.parametrize("load", list(Load))
@pytest.mark.parametrize("kind", KINDS)
def test_columns_that_are_left_out_do_not_move_the_optimum(kind: str, load: Load) -> None:
    warm, reference = (Walk.of(name, {}, PhaseTimer()) for name in ("highs-warm", "highs-direct"))
    for problem in stated(kind, load, jobs=LARGE, rounds=4, types=6):
        solution = checked(warm.solve(problem))
        assert solution.objective == pytest.approx(reference.solve(problem).objective, rel=1e-9)


@pytest.mark.parametrize("kind", ["plain", "canonical", "switching"])
def test_columns_that_are_missed_join_when_the_capacity_jumps(kind: str) -> None:
    warm, reference = (Walk.of(name, {}, PhaseTimer()) for name in ("highs-warm", "highs-direct"))
    rng = np.random.default_rng(0)
    for problem in stated(kind, Load.CONTENDED, jobs=LARGE, rounds=5, types=6):
        jolted = replace(problem, capacity=problem.capacity * rng.uniform(0.3, 3.0, size=6))
        solution = checked(warm.solve(jolted))
        assert solution.objective == pytest.approx(reference.solve(jolted).objective, rel=1e-9)


def test_a_program_without_some_columns_is_the_whole_one_with_those_at_zero() -> None:
    problem = random_problem(4, 12, 3, {Trait.SWITCHING_BY_PAIR, Trait.CANONICAL, Trait.GANGS})
    whole = to_lp(problem)
    pairs = np.flatnonzero(np.random.default_rng(1).random(36) < 0.6)
    part = restrict(whole, pairs)
    columns = np.concatenate((pairs, np.arange(36, whole.cost.size)))
    dense, expected = (
        sparse.csc_array((lp.value, lp.index, lp.start), shape=(lp.row_upper.size, lp.cost.size)).toarray()
        for lp in (part, whole)
    )
    np.testing.assert_array_equal(dense, expected[:, columns])
    for name in ("cost", "col_lower", "col_upper"):
        np.testing.assert_array_equal(getattr(part, name), getattr(whole, name)[columns])
    values = np.random.default_rng(2).random(columns.size)
    everywhere = np.zeros(whole.cost.size)
    everywhere[columns] = values
    np.testing.assert_array_equal(part.decode(values), whole.decode(everywhere))
    for name, block in part.columns.items():
        there = everywhere[whole.columns[name]]
        np.testing.assert_array_equal(values[block], there[there > 0.0])
    assert part.columns["level"] == slice(pairs.size, pairs.size + 1)
    assert whole.columns["level"] == slice(36, 37)


@given(seed=st.integers(0, 2**32 - 1), shape=st.tuples(st.integers(2, 12), st.integers(1, 4)), data=st.data())
def test_what_a_column_is_worth_less_what_it_costs_is_its_reduced_cost(
    seed: int, shape: tuple[int, int], data: st.DataObject
) -> None:
    traits = data.draw(st.sets(st.sampled_from([Trait.CANONICAL, Trait.SWITCHING, Trait.GANGS, Trait.ZEROS])))
    lp = to_lp(random_problem(seed, *shape, traits))
    row_duals = np.random.default_rng(seed).normal(size=lp.row_upper.size)
    worth, gain = reduced_gains(lp, row_duals)
    matrix = sparse.csc_array((lp.value, lp.index, lp.start), shape=(lp.row_upper.size, lp.cost.size))
    pairs = shape[0] * shape[1]
    np.testing.assert_allclose(gain.ravel(), (lp.cost - matrix.T @ row_duals)[:pairs], rtol=1e-9, atol=1e-9)
    assert worth.shape == gain.shape == shape


def rebuild_of(name: str, *problems: MaxMinProblem) -> list[RebuildReason | None]:
    """Return why the model was built, problem by problem, on one session."""
    solver = Walk.of(name, {}, PhaseTimer())
    return [checked(solver.solve(problem)).rebuild for problem in problems]


def checked(solution: Solution) -> Solution:
    """Return a solution that is as good as it should be."""
    assert solution.gap is not None
    assert solution.gap <= 1e-9
    return solution


def test_every_fresh_start_says_why() -> None:
    three = replace(random_problem(1, 20, 3), keys=np.arange(20))
    other_jobs = replace(random_problem(2, 20, 3), keys=np.arange(20, 40))
    four = random_problem(1, 20, 4)
    switching = random_problem(1, 20, 4, {Trait.SWITCHING})
    assert rebuild_of("highs-warm", three, three, other_jobs, four, switching, switching) == [
        RebuildReason.FIRST,
        None,
        RebuildReason.CHANGED,
        RebuildReason.TYPES,
        RebuildReason.FAMILY,
        None,
    ]


def crowd(seed: int) -> tuple[MaxMinProblem, MaxMinProblem]:
    """Return a problem that needs no iteration, and the same jobs with one GPU left of the type that most are on."""
    ample = random_problem(seed, 60, 2, {Trait.AMPLE})
    roomy = replace(ample, gain=ample.gain * [1.0, 1.5], capacity=np.array([200.0, 200.0]))
    return roomy, replace(roomy, capacity=np.array([200.0, 1.0]))


def test_a_failed_solve_leaves_the_session_usable() -> None:
    limit = {"highs-warm": {"simplex_iteration_limit": 3}}
    solver = Walk.of("highs-warm,highs-direct", limit, PhaseTimer())
    roomy, crowded = crowd(0)
    solver.solve(roomy)
    assert "iteration_limit" in solver.solve(crowded).fallbacks[0].reason
    assert checked(solver.solve(roomy)).rebuild is RebuildReason.FAILED
    assert checked(solver.solve(roomy)).rebuild is None


def test_what_is_kept_is_given_up_where_it_does_not_lead_to_the_optimum() -> None:
    solver = Walk.of("highs-warm", {"simplex_iteration_limit": 20}, PhaseTimer())
    roomy, crowded = crowd(4)
    solver.solve(roomy)
    solution = checked(solver.solve(crowded))
    assert solution.rebuild is RebuildReason.STALLED
    assert solution.iterations > 20  # those of the attempt are counted


def test_the_same_rounds_give_the_same_bytes() -> None:
    problems = list(stated("canonical switching", Load.CONTENDED, jobs=40, rounds=8))
    runs = []
    for _ in range(2):
        solver = Walk.of("highs-warm", {}, PhaseTimer())
        runs.append([solver.solve(problem).x.tobytes() for problem in problems])
    assert runs[0] == runs[1]


def test_a_method_without_a_basis_is_refused_when_the_session_opens() -> None:
    with pytest.raises(OptionError, match=r"highs-warm: option solver='ipm' keeps no basis.*highs-direct"):
        Walk.of("highs-warm", {"solver": "ipm"}, PhaseTimer())
