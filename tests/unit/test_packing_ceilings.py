"""Finish-time fairness of jobs that share, where a job has a worst ratio that nobody can help: what the others have."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from pair_programs import team_program
from shared_finish_times import ratios, solved, stated

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.packed_instances import PackedTrait, random_packed_finish_time
from phasewise.solvers.session import Walk

SOLVERS = ("by-kinds", "highs-direct")


@pytest.mark.parametrize("solver", SOLVERS)
@pytest.mark.parametrize(
    ("rate", "others"),
    [
        (0.0, 2.0),  # two jobs take turns on the other GPU: 100 s of work take 200 s
        (0.8, 1.25),  # they share it at 0.8 steps/s: 125 s
        (0.4, 2.0),  # sharing makes less than taking turns
    ],
)
def test_the_old_one_has_a_gpu_for_itself_and_the_others_make_the_most_of_the_rest(
    solver: str, rate: float, others: float
) -> None:
    problem = stated(rate, 2.0, [1000.0, 0.0, 0.0])
    solution = solved(problem, solver)
    assert solution.objective == pytest.approx(11.0, rel=1e-12)  # (1,000 + 100) / 100
    np.testing.assert_allclose(ratios(problem, solution), [11.0, others, others], rtol=1e-6)


@pytest.mark.parametrize("solver", SOLVERS)
def test_ratios_that_nobody_can_help_may_be_several(solver: str) -> None:
    # 11 and 6 with a GPU each; the third GPU is shared at 0.75 by two whose ratio is then 100 / 0.75 / 100
    problem = stated(0.75, 3.0, [1000.0, 500.0, 0.0, 0.0])
    np.testing.assert_allclose(ratios(problem, solved(problem, solver)), [11.0, 6.0, 4 / 3, 4 / 3], rtol=1e-6)


def test_where_gpus_do_not_suffice_for_all_old_ones_they_share_too() -> None:
    # two of 11 at best on one GPU, at 0.8 each: 10 + 1 / 0.8
    problem = stated(0.8, 1.0, [1000.0, 1000.0])
    np.testing.assert_allclose(ratios(problem, solved(problem)), [11.25, 11.25], rtol=1e-9)


def test_with_gpus_for_all_everybody_has_all_that_he_can_have_round_after_round() -> None:
    walk = Walk.of("by-kinds", {}, PhaseTimer())
    for age in (0.0, 100.0, 200.0):
        problem = stated(0.8, 5.0, [1000.0 + age, 100.0 + age, age])
        found = ratios(problem, walk.solve(problem))
        np.testing.assert_allclose(found, problem.soonest, rtol=1e-9)


def test_a_partner_that_slows_nobody_down_is_no_loss() -> None:
    # beside each other both are as fast as alone: the old one has its ratio, and the others theirs, on one GPU each two
    problem = stated(1.0, 2.0, [1000.0, 0.0, 0.0, 0.0])
    np.testing.assert_allclose(ratios(problem, solved(problem)), [11.0, 1.0, 1.0, 1.0], rtol=1e-6)


@pytest.mark.parametrize("seed", range(12))
def test_no_lower_level_can_be_had_than_the_one_of_those_whom_gpus_hold_back(seed: int) -> None:
    traits = (PackedTrait.WIDE,) if seed % 3 == 0 else ()
    problem = random_packed_finish_time(seed, 9, 3, 3, traits)
    room = np.maximum(problem.capacity, problem.scale_factor[seed % 9])  # the old one finds its GPUs
    problem = replace(problem, capacity=room)
    since = problem.since_arrival.copy()  # one is so old that its ratio at best is far above all others
    since[seed % 9] = 10.0 * solved(problem).objective * problem.isolated[seed % 9]
    problem = replace(problem, since_arrival=since)
    solution = solved(problem)
    found = ratios(problem, solution)
    assert solution.objective == pytest.approx(problem.ceiling, rel=1e-9)
    held_back = found > problem.soonest * (1.0 + 1e-6)
    assert held_back.any()
    level = found[held_back].max()
    assert level < solution.objective
    lower = problem.needs(level * (1.0 - 1e-4))  # no more than is best for each
    assert team_program(problem, 1.0 / lower).max_min() < 1.0
    other = ratios(problem, solved(problem, "highs-direct"))
    assert other[other > problem.soonest * (1.0 + 1e-6)].max() == pytest.approx(level, rel=1e-5)
