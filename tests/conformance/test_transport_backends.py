"""Every backend that takes jobs in queues: random instances, duals that prove no more than is true, tapes."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, note
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from instance_counts import per_backend

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.errors import ProblemError, SolveFailedError
from phasewise.solvers.families.transport import TRANSPORT, TransportProblem
from phasewise.solvers.proofs import Duals
from phasewise.solvers.replay import replay
from phasewise.solvers.session import Walk
from phasewise.solvers.tapes import Tape, TapeWriter

BACKENDS = [name for name in registry.names() if TRANSPORT in registry.get(name).families]


@cache
def walk_of(backend: str) -> Walk:
    return Walk.of(backend, {}, PhaseTimer())


def some_problem(seed: int, jobs: int, types: int, *, ties: bool) -> TransportProblem:
    """Return a random instance: some pairs are not allowed, some types have no free GPUs."""
    rng = np.random.default_rng([seed, jobs, types])
    duration = rng.lognormal(8.0, 1.5, (jobs, 1)) / rng.lognormal(0.0, 0.7, (jobs, types))
    if ties:
        duration = np.ceil(np.log2(duration))
    free = rng.integers(0, rng.choice([2, 3, 10]), types).astype(np.float64)
    return TransportProblem(duration, np.ones(jobs), free, rng.random((jobs, types)) < 0.8)


INSTANCES = st.builds(
    some_problem, st.integers(0, 2**32 - 1), st.sampled_from([1, 2, 5, 12, 25]), st.integers(1, 5), ties=st.booleans()
)


def test_the_backends_that_take_queues() -> None:
    assert BACKENDS == ["auto", "highs-direct", "structured"]


@pytest.mark.parametrize("backend", BACKENDS)
def test_an_instance_is_solved_and_proven(backend: str) -> None:
    @hypothesis_settings(max_examples=per_backend(backend) // 2)
    @given(problem=INSTANCES)
    def solved(problem: TransportProblem) -> None:
        note(str(problem))
        solution = walk_of(backend).solve(problem)
        assert solution.gap is not None
        assert solution.gap <= 1e-9
        np.testing.assert_array_equal(solution.x.sum(axis=1), problem.runs)
        assert set(np.unique(solution.x)) <= {0.0, 1.0}
        starts = problem.starts(solution.x)
        assert (starts.sum(axis=0) == np.minimum(solution.x.sum(axis=0), problem.capacity)).all()
        assert (starts <= solution.x).all()

    solved()


@given(problem=INSTANCES, seed=st.integers(0, 10_000), share=st.floats(0.0, 2.0))
def test_no_places_in_the_transport_bound_it_above_the_optimum(
    problem: TransportProblem, seed: int, share: float
) -> None:
    solution = walk_of("structured").solve(problem)
    places = np.random.default_rng(seed).exponential(share * problem.duration.mean(), problem.rows)
    proof = problem.prove(solution.x, Duals(potential=places))
    assert proof is not None
    assert proof.bound <= solution.objective * (1.0 + 1e-9)


@given(problem=INSTANCES, seed=st.integers(0, 10_000))
def test_the_objective_of_any_partition_is_that_of_the_best_order_in_each_queue(
    problem: TransportProblem, seed: int
) -> None:
    rng = np.random.default_rng(seed)
    x = problem.project(rng.random((problem.rows, problem.types)))
    total = 0.0
    for kind in range(problem.types):
        durations = np.sort(problem.duration[x[:, kind] == 1.0, kind])[::-1]
        for place, duration in enumerate(durations):
            total += (place // int(problem.capacity[kind]) + 1) * duration
    assert problem.objective(x) == pytest.approx(total)
    assert problem.violation(x) == 0.0
    assert problem.objective(x) >= walk_of("structured").solve(problem).objective * (1.0 - 1e-12)


def test_of_equally_deep_jobs_the_first_ones_start() -> None:
    problem = TransportProblem(np.ones((5, 1)), np.ones(5), np.array([2.0]), keys=np.array([9, 4, 7, 5, 8]))
    x = np.ones((5, 1))
    assert problem.queues(x).position.tolist() == [3, 2, 2, 1, 1]
    assert np.flatnonzero(problem.starts(x)).tolist() == [0, 1]  # the deepest, and of those at 2 the smallest key


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"scale_factor": np.array([1.0, 2.0])}, r"scale_factor\[1\] is 2; expected 1"),
        ({"capacity": np.array([0.5])}, r"capacity\[0\] is 0.5; expected a whole number"),
        ({"duration": np.zeros((2, 1)), "allowed": np.ones((2, 1), dtype=bool)}, "duration is 0"),
    ],
)
def test_a_malformed_problem_is_refused_with_its_fault(wrong: dict[str, np.ndarray], said: str) -> None:
    fields = {"duration": np.ones((2, 1)), "scale_factor": np.ones(2), "capacity": np.ones(1), **wrong}
    with pytest.raises(ProblemError, match=said):
        TransportProblem(**fields).validate()


def test_a_program_of_too_many_positions_is_left_to_a_solver_of_its_own() -> None:
    problem = TransportProblem(np.ones((1000, 1)), np.ones(1000), np.array([1.0]))
    with pytest.raises(SolveFailedError, match=r"1000 jobs x 1000 positions .* choose structured"):
        Walk.of("highs-direct", {}, PhaseTimer()).solve(problem)
    solution = Walk.of("highs-direct,structured", {}, PhaseTimer()).solve(problem)
    assert solution.objective == pytest.approx(1000 * 1001 / 2)


def test_problems_of_the_family_are_taped_and_replayed(tmp_path: Path) -> None:
    with TapeWriter(tmp_path / "queues.tape", {}) as tape:
        for seed in range(3):
            tape.write(some_problem(seed, 12, 3, ties=True))
    records = replay(list(Tape(tmp_path / "queues.tape")), ["structured", "highs-direct"])
    for record in records:
        assert record.failures == []
        assert max(record.gaps) <= 1e-9
