"""A fallback chain goes on where a backend does not deliver, and says what happened."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass

import native_library
import numpy as np
import pytest

from phasewise.profiling.phases import FakeClock, Phase, PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, SolverSession, State, Status
from phasewise.solvers.errors import OptionError, ProblemError, SolveFailedError, UnknownBackendError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import random_problem
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.proofs import Duals
from phasewise.solvers.session import Walk

Behaviour = Callable[[AllocationProblem], Answer]
PROBLEM = random_problem(0, 6, 2)


@dataclass
class FakeSession:
    behaviour: Behaviour
    timer: PhaseTimer
    calls: int = 0

    def solve(self, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        self.calls += 1
        with self.timer.phase(Phase.LP_SOLVE):
            return self.behaviour(problem), None


@dataclass(frozen=True)
class Fake:
    """A backend that behaves as told."""

    name: str
    behaviour: Behaviour
    families: frozenset[str] = frozenset({"max_min"})
    aliases: tuple[str, ...] = ()
    limits: str = "a fake"
    tolerance: float = 1e-6

    @property
    def requires(self) -> Mapping[str, str]:
        return {}

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> SolverSession:
        if "wrong" in options:
            raise OptionError(f"{self.name}: no option 'wrong'")
        return FakeSession(self.behaviour, timer)


def raises(error: Exception) -> Behaviour:
    """Raise as the library does that the backend calls."""
    return lambda problem: native_library.fail(error)


def has_a_bug(error: Exception) -> Behaviour:
    """Raise in the backend's own lines."""

    def behave(problem: AllocationProblem) -> Answer:
        raise error

    return behave


def claims(status: Status, value: float) -> Behaviour:
    return lambda problem: Answer(status, np.full((problem.jobs, problem.types), value), note="native words")


def lies(problem: AllocationProblem) -> Answer:
    """Claim that doing nothing is optimal, with duals that prove the contrary."""
    nothing = np.zeros((problem.jobs, problem.types))
    return Answer(Status.OPTIMAL, nothing, Duals(np.zeros(problem.types), np.ones(problem.jobs) / problem.jobs))


FAILURES: list[tuple[str, Behaviour, str]] = [
    ("raising", raises(RuntimeError("the matrix is singular")), "raised RuntimeError: the matrix is singular"),
    ("dividing", raises(ZeroDivisionError("division by zero")), "raised ZeroDivisionError"),
    ("out-of-memory", raises(MemoryError("no room")), "raised MemoryError: no room"),
    ("nan", claims(Status.OPTIMAL, float("nan")), "x is not finite"),
    ("garbage", claims(Status.OPTIMAL, 1e6), "violates a constraint"),
    ("misshapen", lambda problem: Answer(Status.OPTIMAL, np.ones(3)), r"shape \(3,\), expected \(6, 2\)"),
    ("infeasible", claims(Status.INFEASIBLE, 0.0), r"status infeasible \(native words\)"),
    ("unbounded", claims(Status.UNBOUNDED, 0.0), "status unbounded"),
    ("limited", claims(Status.ITERATION_LIMIT, 0.1), "status iteration_limit"),
    ("timed-out", claims(Status.TIME_LIMIT, 0.1), "status time_limit"),
    ("broken", claims(Status.FAILED, 0.1), "status failed"),
    ("silent", lambda problem: Answer(Status.OPTIMAL, None), "no x"),
    ("lying", lies, "short of the proven bound"),
]


@pytest.fixture(autouse=True)
def _fakes() -> Iterator[None]:
    with ExitStack() as stack:
        for name, behaviour, _ in FAILURES:
            stack.enter_context(registry.registered(Fake(name, behaviour)))
        stack.enter_context(registry.registered(Fake("elsewhere", lies, families=frozenset({"max_sum"}))))
        yield


@pytest.mark.parametrize(("name", "behaviour", "reason"), FAILURES, ids=[name for name, _, _ in FAILURES])
def test_the_chain_goes_on_where_a_backend_fails(name: str, behaviour: Behaviour, reason: str) -> None:
    solution = Walk.of(f"{name},highs-direct", {}, PhaseTimer()).solve(PROBLEM)
    assert solution.backend == "highs-direct"
    assert [fallback.backend for fallback in solution.fallbacks] == [name]
    assert re.search(reason, solution.fallbacks[0].reason)


def test_all_failing_says_every_reason_the_size_and_the_options() -> None:
    solver = Walk.of("nan,raising,limited", {"raising": {"depth": 3}}, PhaseTimer())
    with pytest.raises(SolveFailedError) as caught:
        solver.solve(PROBLEM)
    message = str(caught.value)
    assert "6 jobs x 2 worker types" in message
    for part in ("nan: x is not finite", "raising: raised RuntimeError", "limited: status iteration_limit"):
        assert part in message
    assert "{'depth': 3}" in message


def test_a_solver_goes_on_after_a_failure() -> None:
    moods = iter([raises(ValueError("once")), claims(Status.OPTIMAL, 0.0)])

    def moody(problem: AllocationProblem) -> Answer:
        return next(moods)(problem)

    with registry.registered(Fake("moody", moody)):
        solver = Walk.of("moody", {}, PhaseTimer())
        with pytest.raises(SolveFailedError, match="once"):
            solver.solve(PROBLEM)
        assert solver.solve(PROBLEM).objective == 0.0


def test_the_first_good_answer_ends_the_chain() -> None:
    def never(problem: AllocationProblem) -> Answer:
        raise AssertionError("the chain went on after a certified answer")

    with registry.registered(Fake("never", never)):
        solver = Walk.of("highs-direct,never", {}, PhaseTimer())
        assert solver.solver.name == "highs-direct,never"
        assert solver.solve(PROBLEM).fallbacks == ()


def test_a_family_that_a_backend_does_not_know_is_a_reason_like_any_other() -> None:
    solution = Walk.of("elsewhere,highs-direct", {}, PhaseTimer()).solve(PROBLEM)
    assert "does not solve problem family 'max_min'" in solution.fallbacks[0].reason


def test_a_bug_in_a_backend_is_not_hidden_by_the_chain() -> None:
    with registry.registered(Fake("buggy", has_a_bug(AssertionError("a bug")))):
        solver = Walk.of("buggy,highs-direct", {}, PhaseTimer())
        with pytest.raises(AssertionError, match="a bug"):
            solver.solve(PROBLEM)


def test_phases_are_closed_when_a_backend_raises() -> None:
    timer = PhaseTimer(FakeClock())
    solver = Walk.of("raising,nan", {}, timer)
    with pytest.raises(SolveFailedError):
        solver.solve(PROBLEM)
    with timer.phase(Phase.TELEMETRY):
        pass  # would nest in a phase left open
    assert set(timer.take().phases_s) == {"lp_solve", "telemetry"}


def test_a_malformed_problem_is_the_callers_fault_and_no_backend_sees_it() -> None:
    solver = Walk.of("raising", {}, PhaseTimer())
    with pytest.raises(ProblemError, match="capacity"):
        solver.solve(MaxMinProblem(PROBLEM.gain, PROBLEM.scale_factor, np.array([1.0, -1.0])))


@pytest.mark.parametrize("jobs", [0, 3])
def test_no_jobs_or_no_usable_pair_needs_no_backend(jobs: int) -> None:
    solution = Walk.of("raising", {}, PhaseTimer()).solve(MaxMinProblem(np.zeros((jobs, 2)), np.ones(jobs), np.ones(2)))
    assert solution.x.shape == (jobs, 2)
    assert (solution.objective, solution.gap, solution.violation) == (0.0, 0.0, 0.0)


def test_options_of_a_chain_are_given_by_backend_and_checked_at_once() -> None:
    with pytest.raises(OptionError, match=r"given by backend, as \{\"nan\": \{\}, \"raising\": \{\}\}; got depth=3"):
        Walk.of("nan,raising", {"depth": 3}, PhaseTimer())
    with pytest.raises(OptionError, match="raising: no option 'wrong'"):
        Walk.of("nan,raising", {"raising": {"wrong": 1}}, PhaseTimer())
    with pytest.raises(OptionError, match="no option 'wrong'"):
        Walk.of("nan", {"nan": {"wrong": 1}}, PhaseTimer())


@pytest.mark.parametrize("spec", ["", "highs-direct,", "highs-direct,unheard-of"])
def test_every_part_of_a_chain_must_be_a_known_backend(spec: str) -> None:
    with pytest.raises(UnknownBackendError, match="choose one of"):
        Walk.of(spec, {}, PhaseTimer())


def test_a_chain_does_not_name_a_backend_twice() -> None:
    with pytest.raises(OptionError, match="twice"):
        Walk.of("ecos,cvxpy-fresh:ECOS", {}, PhaseTimer())
