"""`cvxpy-dpp`: one program serves many rounds, what is padded changes nothing, and a rebuild says why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace

import pytest
from answers import Answers

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import RebuildReason, Status
from phasewise.solvers.buckets import slots_for
from phasewise.solvers.errors import OptionError, SolveFailedError
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Load, Trait, churned_rounds, random_problem, with_switching
from phasewise.solvers.problems import Floats
from phasewise.solvers.session import Walk

BACKENDS = [name for name in registry.names() if name.startswith("cvxpy-dpp:")]
EXACT = "cvxpy-dpp:HIGHS"


def first_jobs(problem: MaxMinProblem, jobs: int) -> MaxMinProblem:
    """Return the problem of its first jobs alone."""
    return replace(problem, gain=problem.gain[:jobs], scale_factor=problem.scale_factor[:jobs])


@pytest.mark.thorough
@pytest.mark.parametrize("kind", ["plain", "canonical", "switching"])
@pytest.mark.parametrize("backend", BACKENDS)
def test_sixty_churned_rounds_on_one_live_session_are_certified_and_compiled_once(backend: str, kind: str) -> None:
    solver, reference = Walk.of(backend, {}, PhaseTimer()), Walk.of("highs-direct", {}, PhaseTimer())
    rebuilds, x = [], None
    for churned in churned_rounds(5, 30, 60, load=Load.CONTENDED, types=3, churn=2):
        problem = with_switching(churned, x) if kind == "switching" else churned.problem
        problem = replace(problem, linear_weight=1e-3 if kind == "canonical" else 0.0)
        solution, best = solver.solve(problem), reference.solve(problem)
        x: Floats | None = best.x
        rebuilds.append(solution.rebuild)
        assert solution.gap is not None
        assert solution.objective == pytest.approx(best.objective, rel=registry.get(backend).tolerance)
    assert rebuilds == [RebuildReason.FIRST] + [None] * 59


@pytest.mark.parametrize("traits", [set(), {Trait.CANONICAL, Trait.ZEROS}, {Trait.MASKED, Trait.NO_CAPACITY}])
def test_empty_slots_do_not_change_the_optimum(traits: set[Trait]) -> None:
    solver, reference = Walk.of(EXACT, {}, PhaseTimer()), Walk.of("highs-direct", {}, PhaseTimer())
    pool = replace(random_problem(7, 24, 3, traits), allowed=None)
    for jobs in (24, 23, 17, 12, 13, 24):
        problem = first_jobs(pool, jobs)
        assert solver.solve(problem).objective == pytest.approx(reference.solve(problem).objective, rel=1e-9)


def test_the_number_of_jobs_crosses_bucket_limits_and_a_size_seen_before_is_a_hit() -> None:
    pool = random_problem(3, 100, 3)
    solver = Walk.of(EXACT, {}, PhaseTimer())
    rebuilds = {}
    for turn, jobs in enumerate((20, 24, 60, 70, 59, 33, 20, 90, 70, 8)):
        rebuilds[turn, jobs] = solver.solve(first_jobs(pool, jobs)).rebuild
    grown = {key for key, reason in rebuilds.items() if reason is RebuildReason.SHAPE}
    assert rebuilds[0, 20] is RebuildReason.FIRST
    assert grown == {(1, 24), (2, 60), (3, 70), (7, 90), (9, 8)}
    assert rebuilds[4, 59] is rebuilds[5, 33] is rebuilds[6, 20] is rebuilds[8, 70] is None


def test_every_rebuild_says_why() -> None:
    solver = Walk.of(EXACT, {}, PhaseTimer())
    problems = [
        random_problem(1, 10, 3),
        random_problem(2, 10, 3),
        random_problem(1, 10, 4),
        random_problem(1, 10, 4, {Trait.SWITCHING}),
        random_problem(1, 10, 4, {Trait.CANONICAL}),
        random_problem(1, 10, 3),
        random_problem(1, 40, 3),
    ]
    assert [solver.solve(problem).rebuild for problem in problems] == [
        RebuildReason.FIRST,
        None,
        RebuildReason.TYPES,
        RebuildReason.FAMILY,
        RebuildReason.FAMILY,
        None,
        RebuildReason.SHAPE,
    ]


def test_a_solve_that_breaks_off_leaves_the_session_usable() -> None:
    session = Answers(registry.get(EXACT).open({}, PhaseTimer()))
    problem = random_problem(1, 10, 3, {Trait.SWITCHING})
    assert problem.previous is not None
    assert session.solve(problem).status is Status.OPTIMAL
    with pytest.raises(ValueError, match="Parameter"):
        session.solve(replace(problem, previous=problem.previous - 1.0))  # what `validate` would have stopped
    again = session.solve(problem)
    assert (again.status, again.rebuild) == (Status.OPTIMAL, RebuildReason.FAILED)
    assert session.solve(problem).rebuild is None


def test_a_solve_without_an_answer_leaves_the_program_in_place() -> None:
    solver = Walk.of("cvxpy-dpp:CLARABEL", {"max_iter": 8}, PhaseTimer())
    easy = random_problem(2, 11, 2, {Trait.AMPLE})
    solver.solve(easy)
    with pytest.raises(SolveFailedError, match="no certified answer"):
        solver.solve(random_problem(2, 12, 2, {Trait.UNITS, Trait.SCARCE}))
    assert solver.solve(easy).rebuild is None


def test_a_problem_above_the_size_guard_is_refused_in_words_that_help() -> None:
    solver = Walk.of(EXACT, {"max_entries": 30}, PhaseTimer())
    assert solver.solve(random_problem(1, 10, 3)).rebuild is RebuildReason.FIRST
    with pytest.raises(
        SolveFailedError, match=r"11 jobs x 3 worker types need 12 slots, 36 entries.*at most 30.*max_entries"
    ):
        solver.solve(random_problem(1, 11, 3))


@pytest.mark.parametrize("entries", [8, 15])
def test_a_guard_that_lets_through_one_type_alone_opens_and_solves_it(entries: int) -> None:
    solver = Walk.of(EXACT, {"max_entries": entries}, PhaseTimer())
    assert solver.solve(random_problem(1, 8, 1)).rebuild is RebuildReason.FIRST
    with pytest.raises(SolveFailedError, match=f"16 entries.*at most {entries}"):
        solver.solve(random_problem(1, 8, 2))


def test_the_next_backend_of_a_chain_solves_what_the_size_guard_refuses() -> None:
    solver = Walk.of(f"{EXACT},highs-direct", {EXACT: {"max_entries": 30}}, PhaseTimer())
    solution = solver.solve(random_problem(1, 40, 3))
    assert solution.backend == "highs-direct"
    assert "max_entries" in solution.fallbacks[0].reason


@pytest.mark.parametrize(
    ("backend", "options", "message"),
    [
        (EXACT, {"max_entries": 0}, r"max_entries=0; it takes a whole number of at least 8"),
        (EXACT, {"max_entries": 7}, r"max_entries=7; it takes a whole number of at least 8"),
        (EXACT, {"max_entries": True}, r"max_entries=True"),
        (EXACT, {"warm_start": "yes"}, r"warm_start='yes'; it takes True or False"),
        ("cvxpy-dpp:ECOS", {"warm_start": True}, r"ECOS cannot; those that can: SCS, HIGHS"),
        ("cvxpy-dpp:SCS", {"epsilon": 1e-6}, r"cvxpy-dpp:SCS: SCS has no option 'epsilon'"),
        (EXACT, {"no_such_option": 1}, r"cvxpy-dpp:HIGHS: HiGHS has no option 'no_such_option'"),
        ("cvxpy-dpp:SCS", {"use_indirect": False, "linear_solver": "qdldl"}, r"SCS does not take the options"),
    ],
)
def test_a_wrong_option_fails_when_the_session_opens(backend: str, options: Mapping[str, object], message: str) -> None:
    with pytest.raises(OptionError, match=message):
        Walk.of(backend, options, PhaseTimer())


def test_a_warm_start_saves_scs_iterations_and_is_off_unless_asked_for() -> None:
    def spent(options: dict[str, object]) -> int:
        """Return the iterations of two series of problems: of one alone, some versions of SCS save nothing."""
        total = 0
        for seed in (5, 6):
            solver = Walk.of("cvxpy-dpp:SCS", options, PhaseTimer())
            rounds = churned_rounds(seed, 30, 8, types=3, churn=1)
            total += sum(solver.solve(churned.problem).iterations for churned in rounds)
        return total

    cold = spent({"warm_start": False})
    assert spent({}) == cold
    assert spent({"warm_start": True}) < 0.9 * cold


@pytest.mark.parametrize("jobs", [*range(1, 40), 100, 1000, 1700, 4001])
def test_a_bucket_holds_the_jobs_and_wastes_at_most_a_quarter(jobs: int) -> None:
    slots = slots_for(jobs)
    assert slots >= jobs
    assert slots <= max(8, 1.25 * jobs)
    assert slots_for(slots) == slots
