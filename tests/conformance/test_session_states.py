"""What a problem leaves to the next is a value: every backend, whatever its session did in between."""

from __future__ import annotations

import dataclasses
from dataclasses import replace
from enum import Enum

import numpy as np
import pytest
from answers import Answers

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, SolverSession, State
from phasewise.solvers.families.finish_time import FINISH_TIME
from phasewise.solvers.families.lexicographic import LEXICOGRAPHIC, LexicographicProblem
from phasewise.solvers.families.max_min import MAX_MIN, MAX_MIN_SWITCHING
from phasewise.solvers.finish_time_instances import finish_time_rounds
from phasewise.solvers.instances import churned_rounds, with_switching
from phasewise.solvers.packed_instances import PackedTrait, packed_rounds, random_table
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Walk, open_solver

WARM = [("cvxpy-dpp:SCS", {"warm_start": True}), ("cvxpy-dpp:HIGHS", {"warm_start": True})]
BACKENDS = [*((name, {}) for name in registry.names()), *WARM]
NATIVE = ("highs-warm", "structured", "auto")  # these have ways of their own for many jobs


def sequence(backend: str, seed: int, jobs: int, rounds: int = 4, types: int = 3) -> list[AllocationProblem]:
    """Return consecutive rounds of all the families that a backend takes; in every other one moving costs."""
    families = registry.get(backend).families
    stated: list[AllocationProblem] = []
    if not families & {MAX_MIN, LEXICOGRAPHIC}:
        table = random_table(np.random.default_rng(seed), 6, types, {PackedTrait.WIDE})
        return [
            each if turn % 2 else replace(each, linear_weight=1e-3)
            for turn, each in enumerate(
                packed_rounds(seed, table, jobs, rounds, churn=2, capacity=np.full(types, 1.0 + jobs // 6))
            )
        ]
    before = None
    timed = finish_time_rounds(seed, jobs, rounds, types=types, churn=2) if FINISH_TIME in families else None
    for turn, churned in enumerate(churned_rounds(seed, jobs, rounds, types=types, churn=2)):
        plain = churned.problem
        if MAX_MIN not in families:
            stated.append(LexicographicProblem(plain.gain, plain.scale_factor, plain.capacity, keys=plain.keys))
        elif turn % 2 and MAX_MIN_SWITCHING in families:
            stated.append(with_switching(churned, before))
        else:
            stated.append(replace(plain, linear_weight=1e-3 * (seed % 2)))
        before = plain.project(np.full(plain.gain.shape, 0.5 / types))
        if timed is not None and turn >= rounds - 2:  # two families by turns, and one twice in a row
            stated[-1] = next(timed)
    return stated


def opened(backend: str, options: dict[str, object]) -> SolverSession:
    return registry.get(backend).open(options, PhaseTimer())


def content(answer: Answer) -> tuple[object, ...]:
    """Return what must be the same, to the last bit; whether a model was at hand is the session's own matter."""
    names = [] if answer.duals is None else [each.name for each in dataclasses.fields(answer.duals)]
    arrays = [answer.x, answer.members, *(getattr(answer.duals, name) for name in names)]
    said = answer.status, answer.iterations, answer.solved_by
    return *said, *(None if each is None else each.tobytes() for each in arrays)


@pytest.mark.parametrize(("backend", "options"), BACKENDS, ids=str)
def test_two_sequences_on_one_session_are_as_on_two(backend: str, options: dict[str, object]) -> None:
    first, second = sequence(backend, 1, 9), sequence(backend, 2, 14)  # a program for the second would serve the first
    alone = [content(Answers(opened(backend, options)).solve(problem)) for problem in (first[0], second[0])]
    apart = [Answers(opened(backend, options)) for _ in range(2)]
    shared = opened(backend, options)
    together = [Answers(shared), Answers(shared)]
    for turn, pair in enumerate(zip(first, second, strict=True)):
        expected = [content(own.solve(problem)) for own, problem in zip(apart, pair, strict=True)]
        assert [content(own.solve(problem)) for own, problem in zip(together, pair, strict=True)] == expected
        assert turn or expected == alone


@pytest.mark.parametrize("backend", NATIVE)
def test_so_are_two_of_many_jobs(backend: str) -> None:
    first, second = sequence(backend, 1, 400, 3, 6), sequence(backend, 2, 350, 3, 6)
    apart = [Answers(opened(backend, {})) for _ in range(2)]
    shared = opened(backend, {})
    together = [Answers(shared), Answers(shared)]
    for pair in zip(first, second, strict=True):
        expected = [content(own.solve(problem)) for own, problem in zip(apart, pair, strict=True)]
        assert [content(own.solve(problem)) for own, problem in zip(together, pair, strict=True)] == expected


@pytest.mark.parametrize(("backend", "options"), BACKENDS, ids=str)
def test_a_state_can_be_taken_up_again(backend: str, options: dict[str, object]) -> None:
    problems, session = sequence(backend, 3, 10), opened(backend, options)
    states: list[State] = [None]
    answers = []
    for problem in problems:
        answer, state = session.solve(problem, states[-1])
        answers.append(content(answer))
        states.append(state)
    for turn in (2, 0, 3, 1):
        again, _ = session.solve(problems[turn], states[turn])
        assert content(again) == answers[turn]


@pytest.mark.parametrize(("backend", "options"), BACKENDS, ids=str)
def test_a_foreign_state_is_a_cold_start(backend: str, options: dict[str, object]) -> None:
    problems, session = sequence(backend, 4, 10, 3), opened(backend, options)
    expected, _ = opened(backend, options).solve(problems[1], None)
    Answers(session).solve(problems[0])
    for foreign in (None, "what somebody else left", (1.0, 2.0), {"a": 1}):
        answer, _ = session.solve(problems[1], foreign)
        assert content(answer) == content(expected)
        assert answer.rebuild == expected.rebuild  # a run that was taken up again writes what one without a stop wrote


def plain_values(state: object) -> bool:
    """Return whether a state is made of arrays, numbers, text, tuples and frozen records alone."""
    if isinstance(state, tuple):
        return all(map(plain_values, state))
    if dataclasses.is_dataclass(state) and type(state).__dataclass_params__.frozen:  # type: ignore[attr-defined]
        return all(plain_values(getattr(state, each.name)) for each in dataclasses.fields(state))
    if isinstance(state, np.ndarray):
        return state.dtype.kind in "biuf"
    return state is None or isinstance(state, (bool, int, float, str, Enum))


@pytest.mark.parametrize(("backend", "options"), BACKENDS, ids=str)
def test_a_state_is_made_of_plain_values(backend: str, options: dict[str, object]) -> None:
    answers = Answers(opened(backend, options))
    for problem in sequence(backend, 5, 10):
        answers.solve(problem)
        assert plain_values(answers.state), answers.state


def test_a_chain_hands_each_link_its_own_state() -> None:
    options = {"highs-warm": {"simplex_iteration_limit": 1}, "structured": {}}
    problems = [each.problem for each in churned_rounds(1, 100, 4, churn=2)]
    chain = open_solver("highs-warm,structured", options, PhaseTimer())
    state: State = None
    notes = []
    for problem in problems:
        solved = chain.solve(problem, state)
        state = solved.state
        notes.append((solved.solution.backend, solved.solution.rebuild))
    assert [name for name, _ in notes] == ["structured"] * 4
    assert [rebuild is None for _, rebuild in notes] == [False, True, True, True]
    assert chain.solve(problems[1], None).solution.rebuild is not None


def test_a_walk_that_forgets_starts_cold() -> None:
    problems = [each.problem for each in churned_rounds(1, 60, 3, types=3, churn=2)]
    walk = Walk.of("highs-warm", {}, PhaseTimer())
    rebuilds = [walk.solve(problem).rebuild for problem in problems]
    walk.state = None
    assert [each is None for each in rebuilds] == [False, True, True]
    assert walk.solve(problems[-1]).rebuild == "first"
