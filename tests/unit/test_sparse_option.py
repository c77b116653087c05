"""`policy.options.sparse`: of equal optima the one in which most GPUs stay, from round to round."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import numpy as np
import pytest
from small_runs import play, simulation

from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry
from phasewise.sched.api import Allocation, ClusterView
from phasewise.sched.building import UsesKernels
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.sticky import Served
from phasewise.solvers.api import Solution
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Walk

ON = {"canonical": True, "sparse": True}
NAME = "max_min_fairness_perf"


class Solves:
    """Solves, and keeps the last answer."""

    def __init__(self) -> None:
        self.walk = Walk.of("structured", {}, PhaseTimer())
        self.solution: Solution | None = None

    def __call__(self, problem: AllocationProblem) -> Solution:
        self.solution = self.walk.solve(problem)
        return self.solution


def view(job_id: np.ndarray) -> ClusterView:
    """Return nine jobs, of which the one of the highest id is slow everywhere, so that the others are above it."""
    slow = job_id == job_id.max()
    return ClusterView(
        now_s=0.0,
        worker_types=("k80", "v100"),
        capacity=np.array([6.0, 3.0]),
        job_id=job_id,
        scale_factor=np.ones(9),
        priority_weight=np.where(slow, 20.0, 1.0),
        throughput=np.repeat([[1.0, 3.0]], 9, axis=0),
        steps_remaining=np.full(9, 1000.0),
        since_arrival_s=np.zeros(9),
    )


def allocate(
    job_id: np.ndarray, memory: object, chosen: Mapping[str, object], told: PolicyOptions | None = None
) -> tuple[Allocation, Solution]:
    solve = Solves()
    allocation = registry.policy(NAME, told, dict(chosen)).allocate(view(job_id), solve, memory)
    assert solve.solution is not None
    return allocation, solve.solution


def test_without_it_the_answer_is_taken_as_it_is_and_nothing_is_remembered() -> None:
    allocation, solution = allocate(np.arange(9), None, {"canonical": True})
    np.testing.assert_array_equal(allocation.x, solution.x)
    assert allocation.memory is None


def test_with_it_jobs_are_whole_and_stay_where_they_were() -> None:
    first, solution = allocate(np.arange(9), None, ON)
    assert np.count_nonzero(solution.x > 1e-6) > 9
    assert np.count_nonzero(first.x > 1e-9) == 9
    np.testing.assert_allclose(first.x.sum(axis=0), [6.0, 3.0], atol=1e-6)
    assert isinstance(first.memory, Served)
    fast = first.x[:, 1] > 0.5
    job_id = np.append(np.arange(1, 9), 50)  # the first job has left, one of a higher id has come
    second, _ = allocate(job_id, first.memory, ON)
    stayed = second.x[:8, 1] > 0.5
    assert np.count_nonzero(stayed != fast[1:]) <= 1  # who takes the place of the first one


def test_the_order_of_jobs_does_not_matter_to_what_is_remembered() -> None:
    first, _ = allocate(np.arange(9), None, ON)
    backwards, _ = allocate(np.arange(9)[::-1].copy(), None, ON)
    np.testing.assert_allclose(backwards.x[::-1], first.x, atol=1e-9)
    assert backwards.memory is not None
    np.testing.assert_array_equal(np.array(backwards.memory), np.array(first.memory))


def test_where_moving_costs_that_decides() -> None:
    told = PolicyOptions(move_weight=1e-4)
    moving = replace(view(np.arange(9)), previous=np.zeros((9, 2)), migration_s=np.full((9, 2), 90.0))
    policy = registry.policy(NAME, told, dict(ON))
    solve = Solves()
    allocation = policy.allocate(moving, solve, None)
    assert solve.solution is not None
    np.testing.assert_array_equal(allocation.x, solve.solution.x)
    assert allocation.memory is None


def test_the_memory_of_another_policy_is_refused() -> None:
    with pytest.raises(TypeError, match="max_min_fairness_perf was given the memory of another policy"):
        allocate(np.arange(9), (1, 2, 3), ON)


def test_its_kernels_are_made_ready_where_it_is_on() -> None:
    off, on = registry.policy(NAME), registry.policy(NAME, None, dict(ON))
    assert isinstance(off, UsesKernels)
    assert isinstance(on, UsesKernels)
    assert not off.kernels
    assert on.kernels


def test_it_is_on_where_many_optima_are_equal() -> None:
    on = {"alibaba", "alibaba-uniform", "alibaba-busy"}
    for name in (*on, "cluster-h", "toy", "philly"):
        assert load_scenario(name).policy.options.get("sparse", False) is (name in on), name


@pytest.mark.thorough
def test_fewer_jobs_move_at_the_same_utilisation() -> None:
    moves, used = {}, {}
    for sparse in (False, True):
        sim = simulation(load_scenario("alibaba", {"stop.rounds": 25, "policy.options.sparse": sparse}))
        seen = [play(sim) for _ in range(25)]
        moves[sparse] = np.median([outcome.moves for outcome in seen])
        used[sparse] = np.mean([outcome.utilization for outcome in seen])
    assert moves[True] < 0.5 * moves[False]
    assert used[True] == pytest.approx(used[False], rel=0.02)
