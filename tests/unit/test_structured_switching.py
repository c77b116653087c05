"""What price sifting with a movement cost promises: the optimum, proven, from round to round, and few jobs moved."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest
from answers import Answers

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers.api import Answer, Status
from phasewise.solvers.backends.structured import Structured
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Load, churned_rounds, with_switching
from phasewise.solvers.problems import Floats
from phasewise.solvers.session import Walk
from phasewise.solvers.structured.states import FREE, SHORT
from phasewise.solvers.structured.switching_kernels import respond
from phasewise.solvers.structured.switching_walk import Edges, Movers

WEIGHTS = np.linspace(0.0, 20.0, 401)  # of a job's gain, among which the best one is looked for


def rounds(load: Load, jobs: int, count: int) -> Iterator[tuple[MaxMinProblem, Answer]]:
    """Yield consecutive rounds, each with the answer of one warm session, which is what is in force in the next."""
    live = Answers(Structured().open({}, PhaseTimer()))
    before: Floats | None = None
    for churned in churned_rounds(11, jobs, count, load=load):
        problem = with_switching(churned, before)
        answer = live.solve(problem)
        assert answer.x is not None
        before = problem.project(answer.x)
        yield problem, answer


@pytest.mark.parametrize("load", list(Load))
def test_consecutive_rounds_are_proven_by_sifting_alone(load: Load) -> None:
    notes = []
    for problem, answer in rounds(load, 400, 8):
        assert answer.status is Status.OPTIMAL
        assert answer.x is not None
        assert answer.duals is not None
        proof = problem.prove(problem.project(answer.x), answer.duals)
        assert proof is not None
        assert proof.gap is not None
        assert proof.gap <= 1.01e-9
        notes.append(answer.note)
    assert sum(note == "sifting" for note in notes[1:]) >= 5


@pytest.mark.thorough
def test_rounds_in_which_many_responses_turn_at_once_take_few_iterations() -> None:
    # Thousands of jobs once were set free in such a round, after 200 iterations: most only have to respond again.
    answers = [answer for _, answer in rounds(Load.NATURAL, 10_000, 14)]
    assert {answer.status for answer in answers} == {Status.OPTIMAL}
    assert max(answer.iterations for answer in answers[1:]) <= 150


def test_the_optimum_is_that_of_the_interior_point() -> None:
    plain = Walk.of("structured", {"mode": "interior_point"}, PhaseTimer())
    for problem, answer in rounds(Load.CONTENDED, 300, 5):
        assert answer.x is not None
        expected = plain.solve(problem).objective
        assert problem.objective(problem.project(answer.x)) == pytest.approx(expected, rel=5e-9)


def test_nobody_who_was_there_is_moved_where_t_cannot_rise() -> None:
    stayed = 0
    for problem, answer in rounds(Load.NATURAL, 400, 4):
        assert answer.x is not None
        assert problem.previous is not None
        stayed = int((np.abs(answer.x - problem.previous).max(axis=1) < 1e-8).sum())
    assert stayed == 390


def worth(movers: Movers, prices: Floats, i: int, weights: Floats) -> Floats:
    """Return (K,) the most that a job can make of its time at each weight: its term of the dual bound."""
    gains, price = weights[:, None] * movers.gain[i], movers.use[i] * prices
    added = np.maximum((gains - price - movers.cost[i]).max(axis=1), 0.0)
    kept = np.maximum(gains - price + movers.cost[i] - added[:, None], 0.0)
    return added + kept @ movers.previous[i]


def exchanged(movers: Movers, edges: Edges, i: int, level: float) -> float:
    """Return how much time a job has exchanged at a level."""
    if edges.up[i] < 0:
        return 0.0
    step = movers.gain[i, edges.up[i]] - (movers.gain[i, edges.down[i]] if edges.down[i] >= 0 else 0.0)
    return (np.clip(level, edges.low[i], edges.high[i]) - edges.low[i]) / step


def test_a_response_is_worth_the_most_that_its_weight_allows() -> None:
    rng = np.random.default_rng(2)
    jobs, types = 300, 4
    previous = rng.dirichlet(np.full(types, 0.4), size=jobs) * rng.random((jobs, 1))
    previous[previous < 0.05] = 0.0
    movers = Movers(
        rng.uniform(0.5, 2.0, (jobs, types)),
        rng.choice([0.5, 1.0, 4.0], jobs),
        np.zeros(jobs),
        previous,
        rng.uniform(0.02, 0.3, (jobs, types)),
    )
    prices, level = rng.uniform(0.3, 1.5, types), 0.6
    kinds, spans = np.zeros((6, jobs), dtype=np.int8), np.zeros((3, jobs))
    edges = Edges(
        kinds[0],
        kinds[1],
        kinds[2],
        kinds[3],
        np.zeros(jobs, np.int64),
        spans[0],
        spans[1],
        kinds[4],
        kinds[5],
        spans[2],
    )
    respond(movers, prices, level, edges, np.zeros(types))
    for i in np.flatnonzero((edges.kind != FREE) & (edges.kind != SHORT)):
        kept = previous[i] * ((edges.keep[i] >> np.arange(types)) & 1)
        x = kept.copy()
        if edges.fill[i] >= 0:
            x[edges.fill[i]] += 1.0 - kept.sum()
        part = exchanged(movers, edges, int(i), level)
        if edges.up[i] >= 0:
            x[edges.up[i]] += part
        if edges.down[i] >= 0:
            x[edges.down[i]] -= part
        assert x.min() >= -1e-12
        assert x.sum() <= 1.0 + 1e-12
        assert movers.gain[i] @ x >= level - 1e-12
        cost = movers.use[i] * prices @ x + movers.cost[i] @ np.abs(x - previous[i]) - movers.cost[i] @ previous[i]
        dual = WEIGHTS * level - worth(movers, prices, int(i), WEIGHTS)
        assert dual.max() <= cost + 1e-9
        best = WEIGHTS[int(np.argmax(dual))]  # concave in the weight: the finest maximum lies beside the coarse one
        near = np.linspace(max(best - 0.05, 0.0), best + 0.05, 101)
        assert (near * level - worth(movers, prices, int(i), near)).max() >= cost - 2e-3
