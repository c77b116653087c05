"""Problems on which a solver once lied, failed or never ended: what is true of each is a test."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace

import numpy as np
import pytest

from phasewise.profiling.phases import PhaseTimer
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, Solution, SolverSession, State, Status
from phasewise.solvers.backends.auto import FURTHER, AutoSession, MeasuredPoint
from phasewise.solvers.certify import Judge, Rejection, Verdict
from phasewise.solvers.errors import ProblemError, SolveFailedError
from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import Trait, random_problem
from phasewise.solvers.problems import AllocationProblem, Floats, Traits
from phasewise.solvers.session import Walk

EXACT = ("auto", "structured", "highs-direct", "highs-warm")


def solved(name: str, problem: AllocationProblem) -> Solution:
    return Walk.of(name, {}, PhaseTimer()).solve(problem)


# -- a job with a weight a hundred thousand times another's ----------------------------------------------------------


def one_of_great_weight(jobs: int, weight: float, seed: int) -> MaxMinProblem:
    gain = np.exp(0.3 * np.random.default_rng(seed).standard_normal((jobs, 1)))
    gain[0] /= weight
    return MaxMinProblem(gain, np.ones(jobs), np.array([0.5 * jobs]), None, 1e-3)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(("jobs", "weight"), [(66, 1e5), (70, 1e5), (70, 1e6)])
def test_no_answer_called_optimal_has_negative_time(jobs: int, weight: float, seed: int) -> None:
    problem = one_of_great_weight(jobs, weight, seed)
    answer, _ = registry.get("structured").open({}, PhaseTimer()).solve(problem, None)
    assert answer.x is not None
    assert problem.violation(answer.x) <= 1e-9
    best = solved("highs-direct", problem).objective
    for name in ("auto", "structured"):
        solution = solved(name, problem)
        assert solution.gap is not None
        assert solution.gap <= 1e-9
        assert solution.objective == pytest.approx(best, rel=1e-9)


# -- ties, and ties but for rounding ---------------------------------------------------------------------------------

LEXICOGRAPHIC = ("water-filling", "highs-direct", "auto")


@pytest.mark.parametrize("name", LEXICOGRAPHIC)
def test_ties_up_to_rounding_are_filled_where_demand_is_all_there_is(name: str) -> None:
    gain = 1.0 + np.array([[1.469e-12, 2.125e-13], [1.317e-13, -6.059e-13], [-7.305e-13, 1.372e-12]])
    allowed = np.array([[True, True], [True, True], [True, False]])
    problem = LexicographicProblem(gain, np.ones(3), np.full(2, 2.000000000002), allowed)
    solution = solved(name, problem)
    assert solution.gap is not None
    assert solution.gap <= 1e-9
    np.testing.assert_allclose(problem.levels(solution.x), 1.0, rtol=1e-9)


@pytest.mark.parametrize("apart", [0.0, 1e-16, 1e-14, 1e-12, 1e-10, 1e-8])
def test_any_near_ties_are_filled_and_certified(apart: float) -> None:
    rng = np.random.default_rng(0)
    filler = Walk.of("water-filling", {}, PhaseTimer())
    for _ in range(60):
        jobs, types = int(rng.integers(2, 12)), int(rng.integers(2, 5))
        gain = 1.0 + apart * rng.standard_normal((jobs, types))
        solution = filler.solve(LexicographicProblem(gain, np.ones(jobs), np.full(types, jobs / types)))
        assert solution.gap is not None
        assert solution.gap <= 1e-7


def test_a_type_with_next_to_no_gpus_has_a_price_like_any_other() -> None:
    # 8 % more than there is was handed out of every other type: the price of the small one counted as rounding
    gain = np.array([0.352, 0.539, 0.43, 0.783, 0.971, 2.218])
    open_to_all = np.arange(90) % 2 == 0
    allowed = open_to_all[:, None] | (np.arange(6) == 0)
    capacity = np.array([4.744, 6.1e-9, 16.49, 32.49, 2.813, 19.86])
    problem = LexicographicProblem(np.tile(gain, (90, 1)), np.full(90, 3.0), capacity, allowed)
    solution = solved("water-filling", problem)
    levels = problem.levels(solution.x)
    assert problem.scale_factor @ solution.x == pytest.approx(capacity, rel=1e-5)
    assert np.ptp(levels[open_to_all]) <= 1e-9


# -- a movement cost ------------------------------------------------------------------------------------------------


def mostly_without_gains(seed: int) -> MaxMinProblem:
    """Return jobs that gain something on one type or two, all with a little time everywhere that is dear to leave."""
    rng = np.random.default_rng(seed)
    jobs, types = int(rng.choice([70, 100, 200])), 8
    gain = np.exp(0.6 * rng.standard_normal((jobs, types))) * (rng.random((jobs, types)) < 0.03)
    gain[np.arange(jobs), rng.integers(0, types, jobs)] = np.exp(0.6 * rng.standard_normal(jobs))
    capacity = rng.dirichlet(np.full(types, 2.0)) * 0.02 * jobs
    previous = rng.dirichlet(np.ones(types), jobs)
    previous *= np.minimum(1.0, capacity / previous.sum(axis=0))
    unit = float((gain @ np.minimum(1.0, capacity / jobs)).min()) / jobs
    cost = rng.uniform(0.02, 0.3, (jobs, 1)) * unit * 10.0 ** rng.uniform(0.0, 3.0)
    return MaxMinProblem(gain, np.ones(jobs), capacity, np.ones((jobs, types), np.bool_), 1.0, previous, cost)


@pytest.mark.parametrize("seed", [63, 109, 388, 707])
def test_a_level_that_falls_to_nothing_is_answered(seed: int) -> None:
    problem = mostly_without_gains(seed)
    solution = solved("structured", problem)
    assert solution.gap is not None
    assert solution.gap <= 1e-6
    best = solved("highs-direct", problem).objective
    assert solution.objective == pytest.approx(best, abs=1e-6 * problem.magnitude(solution.x))


@pytest.mark.parametrize("name", EXACT)
def test_a_row_in_force_that_is_over_by_a_tolerance_is_certified(name: str) -> None:
    problem = random_problem(4, 12, 3, {Trait.SWITCHING})
    assert problem.previous is not None
    previous = np.random.default_rng(1).dirichlet(np.ones(3), 12) * (1.0 + 9e-7)
    over = replace(problem, previous=previous, move_cost=np.full((12, 1), 100.0))
    assert over.previous is not None
    assert over.previous.sum(axis=1).max() <= 1.0 + 1e-15
    over.validate()
    assert solved(name, over).gap == pytest.approx(0.0, abs=1e-9)


def test_a_row_in_force_that_is_over_by_more_is_refused() -> None:
    problem = random_problem(4, 12, 3, {Trait.SWITCHING})
    over = replace(problem, previous=np.full((12, 3), (1.0 + 2e-6) / 3.0))
    with pytest.raises(ProblemError, match=r"previous\[0\] sums to 1.000002"):
        over.validate()


def dear_moves() -> MaxMinProblem:
    """Return jobs of which one gains a millionth of the others, and moves that cost a million times its gain."""
    gain = np.array([
        [0.864, 1.325, 0.572], [0.874, 1.3, 0.62], [0.17, 0.27, 0.1215], [2.158, 3.566, 4.504],
        [2.296, 3.649, 1.642], [1.175e-6, 3.082e-6, 6.535e-6], [1.8, 7.754, 9.168],
    ])  # fmt: skip
    previous = np.array([
        [8e-13, 1.0 - 2e-12, 8e-13], [8e-13, 1.0 - 2e-12, 8e-13], [2.4e-10, 1.0 - 5e-10, 1.6e-10],
        [0.261, 0.168, 0.112], [0.284, 0.197, 0.0734], [0.0, 0.0, 0.0], [0.0, 0.0, 0.0],
    ])  # fmt: skip
    cost = np.full((7, 1), 3.968)
    cost[5:] = 0.0
    scale_factor = np.array([1.0, 1.0, 1.0, 1.0, 1.0, 2.0, 4.0])
    return MaxMinProblem(gain, scale_factor, np.array([16.0, 8.0, 1.0]), None, 0.0, previous, cost)


@pytest.mark.parametrize("name", ["auto", "highs-direct", "highs-warm"])
def test_a_solvers_dust_is_put_back_where_moving_it_would_cost(name: str) -> None:
    problem = dear_moves()
    solution = solved(name, problem)
    assert solution.gap is not None
    assert solution.gap <= 1e-6
    assert not solution.less_accurate


def test_dust_is_nothing_to_mend_where_moving_is_free() -> None:
    problem = random_problem(1, 5, 3)
    assert problem.mended(np.zeros((5, 3))) is None


def test_mending_moves_nothing_by_more_than_dust() -> None:
    problem = dear_moves()
    assert problem.previous is not None
    x = problem.previous + 1e-10
    x[5, 1] += 0.3
    mended = problem.mended(x)
    assert mended is not None
    np.testing.assert_allclose(mended, x, atol=1e-8)
    np.testing.assert_array_equal(mended[:5], problem.previous[:5])


# -- few GPUs beside many --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("times", [1e-6, 1e-3, 1e3, 1e6])
def test_the_interior_point_is_exact_whatever_one_types_share_of_the_gpus(times: float) -> None:
    stated = random_problem(5, 16, 3, {Trait.CANONICAL})
    capacity = stated.capacity * np.array([1.0, 1.0, times])
    problem = replace(stated, capacity=capacity)
    solution = solved("structured", problem)
    assert solution.gap is not None
    assert solution.gap <= 1e-8
    assert solution.objective == pytest.approx(solved("highs-direct", problem).objective, rel=1e-7)


# -- auto, and who may call himself certified ------------------------------------------------------------------------

SMALL = Traits("max_min", linear=False, gangs=False, rows=10, types=3)


@dataclass
class Scripted:
    """A backend whose answer is that of another one, its time fractions times a factor."""

    name: str
    status: Status = Status.OPTIMAL
    times: float = 1.0
    aliases: tuple[str, ...] = ()
    families: frozenset[str] = frozenset({"max_min"})
    limits: str = "for tests"
    tolerance: float = 1.0
    asked: int = 0

    @property
    def requires(self) -> Mapping[str, str]:
        return {}

    def open(self, options: object, timer: PhaseTimer) -> SolverSession:
        return self

    def solve(self, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        self.asked += 1
        answer, _ = registry.get("highs-direct").open({}, PhaseTimer()).solve(problem, state)
        assert answer.x is not None
        return replace(answer, x=answer.x * self.times, status=self.status), None


def asked(*backends: Scripted) -> tuple[Solution | Rejection, list[int]]:
    """Return what `auto` makes of a problem for which these backends are measured, in this order."""
    table = (MeasuredPoint(SMALL, {each.name: float(n + 1) for n, each in enumerate(backends)}),)
    problem = MaxMinProblem(np.exp(np.random.default_rng(0).standard_normal((10, 3))), np.ones(10), np.ones(3))
    session = AutoSession(PhaseTimer(), table)
    return session.pick(problem, Judge(problem, "auto"))[0], [each.asked for each in backends]


@pytest.fixture
def scripted(request: pytest.FixtureRequest) -> Iterator[list[Scripted]]:
    """Register backends, each with its status and the factor of its answers."""
    backends = [Scripted(f"scripted-{n}", *each) for n, each in enumerate(request.param)]
    with ExitStack() as stack:
        for backend in backends:
            stack.enter_context(registry.registered(backend))
        yield backends


@pytest.mark.parametrize("scripted", [[(Status.OPTIMAL, -1.0), ()], [(Status.OPTIMAL, 1.1), ()]], indirect=True)
def test_a_lie_of_the_pick_is_found_out_and_the_next_one_asked(scripted: list[Scripted]) -> None:
    verdict, times = asked(*scripted)
    assert isinstance(verdict, Solution)
    assert verdict.backend == "auto:scripted-1"
    assert times == [1, 1]


@pytest.mark.parametrize("scripted", [[(Status.INACCURATE, 1.0 - 1e-7), ()]], indirect=True)
def test_an_answer_that_the_certifier_takes_ends_the_asking(scripted: list[Scripted]) -> None:
    verdict, times = asked(*scripted)
    assert isinstance(verdict, Solution)
    assert verdict.backend == "auto:scripted-0"
    assert times == [1, 0]


SHORT = (Status.OPTIMAL, 1.0 - 3e-5)


@pytest.mark.parametrize("scripted", [[SHORT] * (FURTHER + 3)], indirect=True)
def test_once_something_stands_at_need_few_others_are_asked(scripted: list[Scripted]) -> None:
    verdict, times = asked(*scripted)
    assert isinstance(verdict, Rejection)
    assert verdict.lesser is not None
    assert verdict.lesser.less_accurate
    assert times == [1] * (FURTHER + 1) + [0] * 2
    assert verdict.reason.count("short of the proven bound") == FURTHER + 1


class Counted(MaxMinProblem):
    """A problem that counts how often an answer to it is judged."""

    judged: list[int] = []  # noqa: RUF012

    def violation(self, x: Floats) -> float:
        self.judged.append(1)
        return MaxMinProblem.violation(self, x)


def test_an_answer_that_auto_passes_on_is_judged_once() -> None:
    stated = random_problem(2, 20, 3)
    solver = Walk.of("auto", {}, PhaseTimer())
    Counted.judged.clear()
    solution = solver.solve(Counted(stated.gain, stated.scale_factor, stated.capacity))
    assert solution.backend.startswith("auto:")
    assert len(Counted.judged) == 1


class Forger(Scripted):
    """A backend that hands over a solution of its own making."""

    def pick(self, problem: AllocationProblem, judge: Judge, state: State) -> tuple[Verdict, State]:
        x = np.full((problem.jobs, problem.types), 9.0)
        made = Solution(self.name, Status.OPTIMAL, x, 9.0, 9.0, 0.0, 0.0, 1.0, 0, None)
        return Rejection("hardly", made) if self.times else made, None


@pytest.mark.parametrize("times", [0.0, 1.0])
def test_no_backend_certifies_itself(times: float) -> None:
    with (
        registry.registered(Forger("forger", times=times)),
        pytest.raises(SolveFailedError, match=r"hardly|no certifier has made"),
    ):
        solved("forger", random_problem(1, 4, 2))


# -- less accuracy rather than no answer -----------------------------------------------------------------------------


@pytest.mark.parametrize("scripted", [[SHORT, (Status.OPTIMAL, 1.0 - 1e-5), (Status.FAILED, 1.0)]], indirect=True)
def test_where_every_link_falls_short_the_best_stands_and_is_marked(scripted: list[Scripted]) -> None:
    solution = solved(",".join(each.name for each in scripted), random_problem(1, 8, 3))
    assert solution.backend == "scripted-1"
    assert solution.less_accurate
    assert solution.status is Status.INACCURATE
    assert solution.gap == pytest.approx(1e-5, rel=1e-3)
    assert [each.backend for each in solution.fallbacks] == ["scripted-0", "scripted-2"]


@pytest.mark.parametrize("scripted", [[SHORT, ()]], indirect=True)
def test_an_accurate_answer_goes_before_a_lesser_one(scripted: list[Scripted]) -> None:
    solution = solved("scripted-0,scripted-1", random_problem(1, 8, 3))
    assert (solution.backend, solution.less_accurate) == ("scripted-1", False)


@pytest.mark.parametrize("scripted", [[(Status.OPTIMAL, 1.0 - 2e-4)]], indirect=True)
def test_beyond_the_lesser_limit_nothing_stands(scripted: list[Scripted]) -> None:
    with pytest.raises(SolveFailedError, match="short of the proven bound"):
        solved("scripted-0", random_problem(1, 8, 3))
