"""The largest sum of values against HiGHS: answers proven by their own duals, and needs that are out of reach."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import PER_BACKEND
from oracle import GAVEL, names, read
from sum_programs import HARD, SIZES, random_program, reference

from phasewise.solvers.instances import Load, Trait, churned_rounds
from phasewise.solvers.structured.max_sum import Best, OutOfReach, Program, maximise, within_reach

EXACT = 1e-9

CASES = st.tuples(
    st.integers(0, 2**32 - 1),
    st.sampled_from(SIZES),
    st.integers(1, 6),
    st.sets(st.sampled_from(HARD), max_size=4),
    st.sampled_from([0.0, 0.0, 0.05, 0.3, 1.0]),
)


def check(program: Program, found: Best) -> None:
    """Assert that an answer is feasible and proven optimal by its own duals."""
    assert (program.use @ found.x <= program.capacity * (1.0 + 1e-12)).all()
    assert found.x.sum(axis=1).max(initial=0.0) <= 1.0 + 1e-12
    assert found.x.min(initial=0.0) >= 0.0
    assert not found.x[program.value == -np.inf].any()
    assert ((program.rate * found.x).sum(axis=1) >= program.need * (1.0 - EXACT)).all()
    assert (found.prices >= 0.0).all()
    assert (found.weights >= 0.0).all()
    runs = found.x > 0.0
    assert found.value == pytest.approx(float((program.value[runs] * found.x[runs]).sum()), rel=1e-12)
    assert found.bound == program.bound(found.prices, found.weights)
    assert abs(found.bound - found.value) <= EXACT * abs(found.bound)


@hypothesis_settings(max_examples=PER_BACKEND)
@given(case=CASES)
def test_any_program_is_answered_and_the_answer_proven(case: tuple[int, int, int, set[Trait], float]) -> None:
    note(f"random_program{case}")
    program = random_program(*case)
    found = maximise(program)
    if isinstance(found, OutOfReach):
        assert program.excess(found.prices, found.weights) > 0.0
    else:
        assert found is not None
        check(program, found)


@hypothesis_settings(max_examples=PER_BACKEND)
@given(case=CASES)
def test_the_answer_is_that_of_a_general_solver(case: tuple[int, int, int, set[Trait], float]) -> None:
    seed, jobs, types, traits, needed = case
    program = random_program(seed, jobs, types, traits - {Trait.UNITS}, needed)
    note(f"random_program{case}")
    best, found = reference(program).value, maximise(program)
    if best is None:
        assert isinstance(found, OutOfReach)
    else:
        assert isinstance(found, Best)
        assert found.value == pytest.approx(best, rel=1e-7, abs=1e-300)


@given(case=CASES, share=st.floats(0.0, 2.0), several=st.booleans())
def test_the_prices_it_starts_from_do_not_change_what_is_found(
    case: tuple[int, int, int, set[Trait], float], share: float, several: bool
) -> None:
    program = random_program(*case)
    best = maximise(program)
    rng = np.random.default_rng(case[0])
    around = best.prices if isinstance(best, Best) else np.ones(case[2])
    start = share * around * (rng.uniform(0.5, 2.0, case[2]) if several else 1.0)
    again = maximise(program, start)
    assert type(again) is type(best)
    if isinstance(again, Best) and isinstance(best, Best):
        check(program, again)
        assert again.value == pytest.approx(best.value, rel=2e-9)


@given(case=CASES)
def test_needs_are_dropped_until_the_others_are_met(case: tuple[int, int, int, set[Trait], float]) -> None:
    seed, jobs, types, traits, _ = case
    program = random_program(seed, jobs, types, traits, 1.0)
    program = replace(program, need=np.where(np.arange(jobs) % 7 == 3, 1.1 * program.fastest + 1.0, program.need))
    left = within_reach(program)
    assert left.best is not None
    check(left.program, left.best)
    gone = [*left.alone, *left.together]
    assert len(set(gone)) == len(gone)
    np.testing.assert_array_equal(left.program.need == program.need, ~np.isin(np.arange(jobs), gone))
    assert not left.program.need[gone].any()
    np.testing.assert_array_equal(left.alone, np.flatnonzero(program.need > program.fastest * (1.0 + EXACT)))


@given(case=CASES)
def test_the_need_that_goes_last_stood_in_the_way(case: tuple[int, int, int, set[Trait], float]) -> None:
    seed, jobs, types, traits, _ = case
    program = random_program(seed, jobs, types, traits, 1.0)
    left = within_reach(program)
    if left.together.size:
        need = left.program.need.copy()
        need[left.together[-1]] = program.need[left.together[-1]]
        assert isinstance(maximise(replace(left.program, need=need)), OutOfReach)


@pytest.mark.parametrize("load", list(Load))
@pytest.mark.parametrize("needed", [0.0, 0.3])
@pytest.mark.parametrize("jobs", [100, 1700])
def test_rounds_of_a_busy_cluster_take_a_few_steps_from_the_last_prices(load: Load, needed: float, jobs: int) -> None:
    rng = np.random.default_rng(jobs)
    part, prices, steps = np.zeros(0), None, []
    for churned in churned_rounds(4, jobs, 12, load=load, churn=max(1, jobs // 170)):
        rate, came_from = churned.problem.gain, churned.came_from
        fresh = rng.uniform(0.0, needed, jobs) * (rng.random(jobs) < 0.5)
        part = np.where(came_from >= 0, part[came_from], fresh) if part.size else fresh
        value = np.where(rate > 0.0, rate / np.array([1.0, 2.0, 3.0, 1.5, 2.2, 3.3]), -np.inf)
        need = part * rate.max(axis=1)
        program = Program(value, rate, need, churned.problem.scale_factor, churned.problem.capacity)
        found = maximise(program, prices)
        assert isinstance(found, Best)
        check(program, found)
        prices = found.prices
        steps.append(found.steps)
    assert np.median(steps[1:]) <= 12


def test_equal_jobs_share_alike() -> None:
    kinds = random_program(3, 40, 4, {Trait.GANGS}, 0.1)
    which = np.random.default_rng(3).integers(40, size=2000)
    rows = (kinds.value[which], kinds.rate[which], kinds.need[which], kinds.use[which])
    program = Program(*rows, kinds.capacity * 50.0)
    found = maximise(program)
    assert isinstance(found, Best)
    check(program, found)
    first = {int(kind): row for kind, row in zip(which[::-1], found.x[::-1], strict=True)}
    np.testing.assert_array_equal(found.x, [first[int(kind)] for kind in which])


def test_needs_of_equal_jobs_that_are_out_of_reach_are_proven_so_for_each_of_them() -> None:
    rate = np.tile([[1.0, 2.0]], (300, 1))
    program = Program(rate, rate, np.full(300, 1.5), np.ones(300), np.array([40.0, 90.0]))
    found = maximise(program)
    assert isinstance(found, OutOfReach)
    assert program.excess(found.prices, found.weights) > 0.0
    left = within_reach(program)
    assert left.together.tolist() == list(range(154))  # 146 of them fit: 40 + 2 * 90 = 1.5 * 146.7


@pytest.mark.oracle
@pytest.mark.parametrize("name", names(GAVEL / "alloc", "*--max_sum_throughput*"))
def test_recorded_problems_reach_the_optimum(name: str) -> None:
    optima = {each["index"]: each["optimum"] for each in read(GAVEL / "objectives.json") if each["case"] == name}
    for case in read(GAVEL / "alloc" / f"{name}.json")["cases"]:
        rate = np.array(case["throughputs"])
        cost = [(case["instance_costs"] or {}).get(kind, 1.0) for kind in case["worker_types"]]
        capacity = np.array([float(case["cluster_spec"][kind]) for kind in case["worker_types"]])
        use, none = np.array(case["scale_factors"], dtype=float), np.zeros(len(rate))
        found = maximise(Program(np.where(rate > 0.0, rate / cost, -np.inf), rate, none, use, capacity))
        assert isinstance(found, Best)
        assert found.value == pytest.approx(optima[case["index"]], rel=1e-8)
