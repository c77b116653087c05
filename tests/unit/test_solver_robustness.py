"""A backend that fails, in every way it can, in the middle of whole runs: the chain goes on, or the run is saved.

The tests of the chain alone are in `test_solver_chain`; here each failure strikes at a late call of a run.
"""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from pathlib import Path

import native_library
import numpy as np
import pyarrow.parquet as pq
import pytest
from small_runs import Run, perform

from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.building import build_parts
from phasewise.sched.errors import DefectError, RunFailedError, ScenarioError
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import Callbacks, simulate
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, SolverSession, State, Status
from phasewise.solvers.errors import ProblemError, UnknownBackendError
from phasewise.solvers.families.lexicographic import LEXICOGRAPHIC
from phasewise.solvers.families.max_min import MAX_MIN, MAX_MIN_SWITCHING, MaxMinProblem
from phasewise.solvers.instances import Trait, random_problem
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.proofs import Duals
from phasewise.solvers.session import Walk

SOUND = "highs-direct"
FIRST_FAILURE = 2  # calls of the policy that go well before
Behaviour = Callable[[AllocationProblem, SolverSession], object]


class NativeLibraryError(Exception):
    """What a binding might define; nothing in the project knows it."""


class PanicError(BaseException):
    """A panic of Rust comes out of pyo3 like this: not even an `Exception`."""


@dataclass
class FailingSession:
    """Solves well by another backend at first; then behaves as told, at every call or at one alone."""

    behave: Behaviour
    sound: SolverSession
    once: bool
    calls: int = 0

    def solve(self, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        self.calls += 1
        due = self.calls == FIRST_FAILURE + 1 if self.once else self.calls > FIRST_FAILURE
        if due:
            return self.behave(problem, self.sound), None  # type: ignore[return-value]
        return self.sound.solve(problem, state)


@dataclass(frozen=True)
class Failing:
    """The backend ``bad``."""

    behave: Behaviour
    once: bool = False
    name: str = "bad"
    families: frozenset[str] = frozenset({MAX_MIN, MAX_MIN_SWITCHING})
    aliases: tuple[str, ...] = ()
    limits: str = "fails"
    tolerance: float = 1e-6

    @property
    def requires(self) -> Mapping[str, str]:
        return {}

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> SolverSession:
        return FailingSession(self.behave, registry.get(SOUND).open({}, timer), self.once)


def raises(error: BaseException) -> Behaviour:
    """Raise as the library does that the backend calls."""
    return lambda problem, sound: native_library.fail(error)


def has_a_bug(error: BaseException) -> Behaviour:
    """Raise in the backend's own lines."""

    def behave(problem: AllocationProblem, sound: SolverSession) -> Answer:
        raise error

    return behave


def ends(status: Status) -> Behaviour:
    return lambda problem, sound: Answer(status, np.zeros((problem.jobs, problem.types)), note="says the library")


def answers(of: Callable[[AllocationProblem, Answer], object]) -> Behaviour:
    return lambda problem, sound: of(problem, sound.solve(problem, None)[0])


def asks_for_a_pebibyte(problem: AllocationProblem, sound: SolverSession) -> Answer:
    return Answer(Status.OPTIMAL, np.zeros(1 << 47))


def hangs_until_its_limit(problem: AllocationProblem, sound: SolverSession) -> Answer:
    time.sleep(0.005)
    return Answer(Status.TIME_LIMIT, None, note="after 0.005 s")


def half_of_it_with_the_optimums_duals(problem: AllocationProblem, answer: Answer) -> Answer:
    return replace(answer, x=answer.x * 0.5)


def noise(problem: AllocationProblem) -> np.ndarray:
    return np.random.default_rng(0).normal(size=(problem.jobs, problem.types)) * 1e9


# name: (what it does, what the event says of it)
FAILURES: Mapping[str, tuple[Behaviour, str]] = {
    "RuntimeError": (raises(RuntimeError("singular")), "raised RuntimeError: singular"),
    "MemoryError": (raises(MemoryError("no room")), "raised MemoryError: no room"),
    "no memory": (asks_for_a_pebibyte, "MemoryError: Unable to allocate"),
    "OverflowError": (raises(OverflowError("too large")), "raised OverflowError: too large"),
    "a class of the library": (raises(NativeLibraryError("error 17")), "raised NativeLibraryError: error 17"),
    "a panic": (raises(PanicError("index out of bounds")), "raised PanicError: index out of bounds"),
    "NaN": (answers(lambda _, answer: replace(answer, x=answer.x * np.nan)), "x is not finite"),
    "infinity": (answers(lambda _, answer: replace(answer, x=answer.x + np.inf)), "x is not finite"),
    "one NaN": (answers(lambda _, answer: replace(answer, x=np.where(answer.x > 0, answer.x, np.nan))), "not finite"),
    "transposed": (answers(lambda _, answer: replace(answer, x=np.vstack([answer.x] * 2))), "x has shape"),
    "flat": (answers(lambda _, answer: replace(answer, x=answer.x.ravel())), "x has shape"),
    "a scalar": (answers(lambda _, answer: replace(answer, x=np.float64(1.0))), "x is a float64, expected a NumPy"),
    "a list": (answers(lambda _, answer: replace(answer, x=answer.x.tolist())), "x is a list, expected a NumPy"),
    "objects": (answers(lambda _, answer: replace(answer, x=answer.x.astype(object))), "x has dtype object"),
    "complex": (answers(lambda _, answer: replace(answer, x=answer.x + 0j)), "x has dtype complex128"),
    "garbage": (answers(lambda problem, answer: replace(answer, x=noise(problem))), "x violates a constraint"),
    "no x": (answers(lambda _, answer: replace(answer, x=None)), "no x"),
    "no answer": (lambda problem, sound: None, "returned NoneType, not an Answer"),
    "infeasible": (ends(Status.INFEASIBLE), "status infeasible (says the library)"),
    "unbounded": (ends(Status.UNBOUNDED), "status unbounded (says the library)"),
    "iteration limit": (ends(Status.ITERATION_LIMIT), "status iteration_limit (says the library)"),
    "failed": (ends(Status.FAILED), "status failed (says the library)"),
    "time limit": (hangs_until_its_limit, "status time_limit (after 0.005 s)"),
    "poor x, true duals": (answers(half_of_it_with_the_optimums_duals), "is short of the proven bound"),
    "infeasible x, true duals": (answers(lambda _, answer: replace(answer, x=answer.x * 1.01)), "violates"),
    "negative x": (answers(lambda _, answer: replace(answer, x=answer.x - 1e-3)), "violates a constraint"),
}


@pytest.fixture(params=sorted(FAILURES))
def reason(request: pytest.FixtureRequest) -> Iterator[str]:
    """Register ``bad`` with each behaviour; return what is to be said of it."""
    behaviour, words = FAILURES[request.param]
    with registry.registered(Failing(behaviour)):
        yield words


def toy(solver: str, **overrides: object):
    return load_scenario("toy", {"solver.name": solver, "output.trace": False, **overrides})


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return perform(toy(SOUND), tmp_path_factory.mktemp("sound"))


# -- with a second backend in the chain ------------------------------------------------------------------------------


def test_a_run_with_a_chain_completes_and_every_failure_is_an_event(
    reason: str, tmp_path: Path, undisturbed: Run
) -> None:
    run = perform(toy(f"bad,{SOUND}"), tmp_path / "out")
    assert run.status == "complete"
    fallbacks, allocations = run.events("solver_fallback"), run.events("allocation")
    assert {(event["solver"], event["next"]) for event in fallbacks} == {("bad", SOUND)}
    assert [event for event in fallbacks if reason not in event["reason"]] == []
    solved = [event["round"] for event in allocations if event["solves"] and event["jobs"]]
    assert [event["round"] for event in fallbacks] == solved[FIRST_FAILURE:]
    assert run.summary["solver_fallbacks"] == len(fallbacks) > 0
    assert run.summary["jobs_completed"] == undisturbed.summary["jobs_completed"]
    objectives = [event["objective"] for event in allocations]
    assert objectives[: FIRST_FAILURE + 1] == pytest.approx(
        [event["objective"] for event in undisturbed.events("allocation")][: FIRST_FAILURE + 1], rel=1e-9
    )


def test_answers_of_less_accuracy_keep_a_run_going_and_each_is_an_event(tmp_path: Path, undisturbed: Run) -> None:
    short = answers(lambda _, answer: replace(answer, x=answer.x * (1.0 - 3e-5)))
    with registry.registered(Failing(short)):
        run = perform(toy("bad"), tmp_path / "out")
    assert run.status == "complete"
    events, allocations = run.events("solver_less_accurate"), run.events("allocation")
    solved = [event["round"] for event in allocations if event["solves"] and event["jobs"]]
    assert [event["round"] for event in events] == solved[FIRST_FAILURE:]
    assert run.summary["solver_less_accurate"] == len(events) > 0
    assert run.summary["solver_fallbacks"] == 0
    for event in events:
        assert (event["solver"], event["allowed"], event["limit"]) == ("bad", 1e-6, 1e-4)
        assert event["gap"] == pytest.approx(3e-5, rel=1e-3)
    assert undisturbed.summary["solver_less_accurate"] == 0
    assert run.summary["jobs_completed"] == undisturbed.summary["jobs_completed"]


def test_one_failure_in_a_run_is_one_event_and_the_backend_is_used_again(tmp_path: Path) -> None:
    with registry.registered(Failing(raises(RuntimeError("only once")), once=True)):
        run = perform(toy(f"bad,{SOUND}"), tmp_path / "out")
    (event,) = run.events("solver_fallback")
    assert (event["solver"], event["next"], event["reason"]) == ("bad", SOUND, "raised RuntimeError: only once")
    assert run.summary["solver_fallbacks"] == 1
    solvers = [each["solver"] for each in run.events("allocation") if each["solver"] is not None]
    assert solvers[FIRST_FAILURE] == SOUND
    assert set(solvers[:FIRST_FAILURE] + solvers[FIRST_FAILURE + 1 :]) == {"bad"}


def test_a_chain_of_failures_says_who_came_next_each_time(tmp_path: Path) -> None:
    with ExitStack() as stack:
        stack.enter_context(registry.registered(Failing(raises(MemoryError("full")), once=True)))
        stack.enter_context(registry.registered(Failing(ends(Status.FAILED), once=True, name="worse")))
        run = perform(toy(f"bad,worse,{SOUND}"), tmp_path / "out")
    # `worse` is asked first when `bad` fails, and so has its two good calls still to come
    assert [(each["solver"], each["next"]) for each in run.events("solver_fallback")] == [("bad", "worse")]


def test_two_failures_at_one_solve_are_two_events(tmp_path: Path) -> None:
    class Hopeless(Failing):
        def open(self, options: Mapping[str, object], timer: PhaseTimer) -> SolverSession:
            return FailingSession(self.behave, super().open(options, timer), once=False, calls=FIRST_FAILURE)

    with ExitStack() as stack:
        stack.enter_context(registry.registered(Hopeless(raises(MemoryError("full")))))
        stack.enter_context(registry.registered(Hopeless(ends(Status.UNBOUNDED), name="worse")))
        run = perform(toy(f"bad,worse,{SOUND}", **{"stop.rounds": 1}), tmp_path / "out")
    told = [(each["round"], each["solver"], each["next"]) for each in run.events("solver_fallback")]
    assert told == [(0, "bad", "worse"), (0, "worse", SOUND)]
    assert run.summary["solver_fallbacks"] == 2


@pytest.mark.parametrize(
    ("first", "limit", "words"),
    [
        ("highs-direct", {"simplex_iteration_limit": 1}, "status iteration_limit (HiGHS: Iteration limit reached)"),
        ("highs-direct", {"time_limit": 0.0}, "status time_limit (HiGHS: Time limit reached)"),
        ("cvxpy-fresh:CLARABEL", {"max_iter": 1}, "iteration"),
        ("cvxpy-dpp:CLARABEL", {"max_entries": 16}, "max_entries"),
    ],
)
def test_a_real_limit_of_a_solver_is_a_fallback_like_any_other(
    first: str, limit: Mapping[str, object], words: str, tmp_path: Path
) -> None:
    chain = {"solver.name": f"{first},structured", "solver.kwargs": {first: dict(limit)}}
    run = perform(load_scenario("toy", {"output.trace": False, **chain}), tmp_path / "out")
    assert run.status == "complete"
    assert run.events("solver_fallback") != []
    for event in run.events("solver_fallback"):
        assert (event["solver"], event["next"]) == (first, "structured")
        assert words in event["reason"]


LIMITED = """
import resource, sys
import numpy as np
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate
from phasewise.solvers import registry

sound = registry.get("highs-direct")

class Hungry:
    name, aliases, families, requires, limits, tolerance = "hungry", (), frozenset({"max_min"}), {}, "eats", 1e-6
    def open(self, options, timer):
        return self
    def solve(self, problem, state):
        return np.ones(1 << 28).sum()

overrides = {"solver.name": "hungry,highs-direct", "output.trace": False}
simulate(load_scenario("toy", {"output.trace": False, "stop.rounds": 2, "stop.window": "none"}), None)  # all is loaded
with open("/proc/self/statm") as file:
    held = int(file.read().split()[0]) * resource.getpagesize()
resource.setrlimit(resource.RLIMIT_AS, (held + (512 << 20),) * 2)
with registry.registered(Hungry()):
    outcome = simulate(load_scenario("toy", overrides), __import__("pathlib").Path(sys.argv[1]))
print(outcome.status)
"""


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs /proc/self/statm")
def test_a_backend_that_runs_into_the_memory_limit_of_the_process_gives_way(tmp_path: Path) -> None:
    done = subprocess.run(
        [sys.executable, "-P", "-W", "error", "-c", LIMITED, str(tmp_path / "out")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stdout == "complete\n", done.stderr
    fallbacks = Run(tmp_path / "out", "complete").events("solver_fallback")
    assert fallbacks != []
    assert all("MemoryError" in event["reason"] for event in fallbacks)


# -- with nobody to fall back on -------------------------------------------------------------------------------------


def test_a_run_without_a_second_backend_fails_and_keeps_every_round_so_far(reason: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with pytest.raises(RunFailedError, match="the results so far are saved in") as caught:
        simulate(toy("bad"), out)
    assert reason in str(caught.value)
    assert "bad: " in str(caught.value)
    run, failed_in = Run(out, "failed"), caught.value.round_index
    assert failed_in > 0
    assert run.record["status"] == "failed"
    assert run.summary["rounds"] == failed_in
    assert run.table("rounds")["round"] == list(range(failed_in))
    assert len(run.events("schedule_round")) == failed_in
    assert len(run.jobs) == run.summary["jobs_arrived"] > 0
    (end,) = run.events("run_end")
    assert end["status"] == "failed"
    assert reason in end["reason"]


def test_the_command_line_ends_with_three_and_one_message(tmp_path: Path, phasewise: Callable) -> None:
    with registry.registered(Failing(raises(NativeLibraryError("error 17")))):
        said = phasewise("run", "toy", "-q", "--solver", "bad", "--out", tmp_path / "out")
    assert said.code == 3
    (line,) = said.err.strip().splitlines()
    for part in ("the run failed in round", "bad: raised NativeLibraryError: error 17", str(tmp_path / "out")):
        assert part in line
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "failed"
    assert phasewise("report", tmp_path / "out").code == 0


def test_a_chain_of_nothing_but_failures_gives_every_reason(tmp_path: Path, phasewise: Callable) -> None:
    with ExitStack() as stack:
        stack.enter_context(registry.registered(Failing(raises(MemoryError("full")))))
        stack.enter_context(registry.registered(Failing(ends(Status.INFEASIBLE), name="worse", once=False)))
        said = phasewise("run", "toy", "-q", "--solver", "bad,worse", "--out", tmp_path / "out")
    assert said.code == 3
    assert "bad: raised MemoryError: full" in said.err
    assert "worse: status infeasible" in said.err


def test_a_defect_keeps_its_traceback_and_the_run_what_was_computed(tmp_path: Path) -> None:
    with (
        registry.registered(Failing(has_a_bug(AssertionError("not so")))),
        pytest.raises(DefectError, match="solver backend 'bad' raised AssertionError: not so") as caught,
    ):
        simulate(toy(f"bad,{SOUND}"), tmp_path / "out")
    assert caught.value.traceback == tmp_path / "out" / "error.txt"
    assert "AssertionError: not so" in caught.value.traceback.read_text()
    run = Run(tmp_path / "out", "failed")
    assert run.record["status"] == "failed"
    assert run.table("rounds")["round"] == list(range(run.summary["rounds"])) != []
    assert run.events("run_end")[0]["reason"] == "AssertionError: not so"


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)])
def test_a_wish_to_end_is_no_failure_of_the_backend(error: BaseException) -> None:
    with registry.registered(Failing(raises(error))):
        solver = Walk.of(f"bad,{SOUND}", {}, PhaseTimer())
        for _ in range(FIRST_FAILURE):
            solver.solve(random_problem(1, 4, 2))
        with pytest.raises(type(error)):
            solver.solve(random_problem(1, 4, 2))


@pytest.mark.parametrize("error", [ImportError("libsolver.so.3: not found"), OSError("no licence file")])
def test_a_library_that_cannot_be_loaded_is_bad_input(error: Exception, tmp_path: Path, phasewise: Callable) -> None:
    class Unloadable(Failing):
        def open(self, options: Mapping[str, object], timer: PhaseTimer) -> SolverSession:
            raise error

    with registry.registered(Unloadable(raises(error))):
        with pytest.raises(UnknownBackendError, match="'bad' cannot be opened"):
            Walk.of("bad", {}, PhaseTimer())
        said = phasewise("run", "toy", "-q", "--solver", f"bad,{SOUND}", "--out", tmp_path / "out")
    assert said.code == 2
    assert str(error) in said.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("error", [NativeLibraryError("error 17"), PanicError("index out of bounds")])
def test_auto_goes_on_to_another_backend_where_a_library_raises_a_class_of_its_own(
    error: BaseException,
) -> None:
    problem = random_problem(1, 6, 3)
    solver = Walk.of("auto", {}, PhaseTimer())
    picked = solver.solve(problem).backend.removeprefix("auto:")

    class Broken(Failing):
        def open(self, options: Mapping[str, object], timer: PhaseTimer) -> SolverSession:
            native_library.fail(error)

    with registry.registered(Broken(raises(error), name=picked)):
        solution = Walk.of("auto", {}, PhaseTimer()).solve(problem)
    assert solution.backend.startswith("auto:")
    assert solution.backend != f"auto:{picked}"
    ((passed_over, reason),) = [(each.backend, each.reason) for each in solution.fallbacks]
    assert passed_over == f"auto:{picked}"
    assert f"raised {type(error).__name__}: {error}" in reason


# -- lies that only a certifier sees ---------------------------------------------------------------------------------


def unfounded(values: object) -> Behaviour:
    """Answer rightly, but with these for both kinds of duals."""
    return answers(lambda _, answer: replace(answer, duals=Duals(capacity=values, gain=values)))


@pytest.mark.parametrize("values", [np.array([np.nan]), np.ones(3), [1.0], "duals", np.array(["a", "b"])])
def test_duals_that_prove_nothing_do_not_spoil_a_right_answer(values: object) -> None:
    problem = random_problem(3, 8, 2)
    best = Walk.of(SOUND, {}, PhaseTimer()).solve(problem)
    with registry.registered(Failing(unfounded(values))):
        solver = Walk.of("bad", {}, PhaseTimer())
        solution = [solver.solve(problem) for _ in range(FIRST_FAILURE + 1)][-1]
    assert solution.backend == "bad"
    assert solution.bound is None
    assert solution.objective == pytest.approx(best.objective, rel=1e-9)


@pytest.mark.parametrize("seed", range(20))
def test_no_duals_make_a_poor_answer_look_good(seed: int) -> None:
    # weak duality: whatever the duals, the bound is not below the optimum, so half of it is always found out
    rng = np.random.default_rng(seed)
    problem = random_problem(seed, 12, 3, {Trait.CANONICAL} if seed % 2 else ())
    assert Walk.of(SOUND, {}, PhaseTimer()).solve(problem).objective > 0.0

    def poor(problem: AllocationProblem, answer: Answer) -> Answer:
        size = 10.0 ** rng.integers(-6, 6)
        return replace(
            answer,
            x=answer.x * 0.5,
            duals=Duals(rng.random(problem.types) * size, rng.random(problem.jobs) / problem.jobs),
        )

    with registry.registered(Failing(answers(poor))):
        solver = Walk.of(f"bad,{SOUND}", {}, PhaseTimer())
        solution = [solver.solve(problem) for _ in range(FIRST_FAILURE + 1)][-1]
    assert solution.backend == SOUND
    assert "short of the proven bound" in solution.fallbacks[0].reason


# -- what could make a problem infeasible or unbounded ---------------------------------------------------------------

FINE = MaxMinProblem(np.ones((2, 2)), np.ones(2), np.ones(2))


@pytest.mark.parametrize("spoilt", [
    replace(FINE, capacity=np.array([1.0, -1.0])),
    replace(FINE, capacity=np.array([1.0, np.inf])),
    replace(FINE, capacity=np.array([1.0, np.nan])),
    replace(FINE, gain=np.array([[1.0, np.inf], [1.0, 1.0]])),
    replace(FINE, gain=np.array([[1.0, -np.inf], [1.0, 1.0]])),
    replace(FINE, gain=np.array([[1.0, -2.0], [1.0, 1.0]])),
    replace(FINE, gain=np.array([[np.nan, 1.0], [1.0, 1.0]])),
    replace(FINE, scale_factor=np.array([1.0, 0.0])),
    replace(FINE, scale_factor=np.array([1.0, -1.0])),
    replace(FINE, linear_weight=np.inf),
    replace(FINE, linear_weight=-1.0),
    replace(FINE, previous=np.full((2, 2), -0.5), move_cost=np.ones((2, 1))),
    replace(FINE, previous=np.zeros((2, 2)), move_cost=np.full((2, 1), -1.0)),  # moving for ever would pay
    replace(FINE, previous=np.zeros((2, 2)), move_cost=np.full((2, 1), np.inf)),
])  # fmt: skip
def test_what_would_have_no_optimum_is_refused_before_any_backend_sees_it(spoilt: MaxMinProblem) -> None:
    def never(problem: AllocationProblem, sound: SolverSession) -> Answer:
        raise AssertionError("a backend got a malformed problem")

    with registry.registered(Failing(never)):
        solver = Walk.of("bad", {}, PhaseTimer())
        for _ in range(FIRST_FAILURE + 1):
            with pytest.raises(ProblemError, match="expected"):
                solver.solve(spoilt)


@pytest.mark.parametrize("trait", [Trait.NO_CAPACITY, Trait.STUCK, Trait.SCARCE, Trait.HUGE, Trait.TINY])
def test_doing_nothing_is_feasible_and_the_ceiling_bounds_every_well_formed_problem(trait: Trait) -> None:
    problem = random_problem(2, 9, 3, {trait})
    problem.validate()
    nothing = np.zeros((problem.jobs, problem.types))
    assert problem.violation(nothing) == 0.0
    bound = problem.bound(np.zeros(problem.jobs), np.zeros(problem.types))
    assert problem.objective(nothing) <= bound < np.inf


# -- a solver that cannot take what the policy states ----------------------------------------------------------------

PLAIN_ONLY = Failing(ends(Status.FAILED), name="plain-only", families=frozenset({MAX_MIN}))
ABLE = {
    family: [each.name for each in registry.describe() if each.installed and family in each.families]
    for family in (MAX_MIN, MAX_MIN_SWITCHING, LEXICOGRAPHIC)
}
MOVING = ("--set", "migration.enabled=true")
UNSUITED = [
    ("plain-only", "max_min_fairness_perf", MOVING, MAX_MIN_SWITCHING),
    (f"{SOUND},plain-only", "max_min_fairness", MOVING, MAX_MIN_SWITCHING),
    (f"plain-only,{SOUND}", "max_min_fairness_perf", MOVING, MAX_MIN_SWITCHING),
    ("plain-only", "max_min_fairness_water_filling", (), LEXICOGRAPHIC),
    ("cvxpy-fresh:CLARABEL", "max_min_fairness_water_filling_perf", (), LEXICOGRAPHIC),
    ("water-filling", "max_min_fairness_perf", (), MAX_MIN),
    ("water-filling", "max_min_fairness", MOVING, MAX_MIN_SWITCHING),
]


@pytest.mark.parametrize(("solver", "policy", "options", "family"), UNSUITED)
def test_a_solver_without_the_policys_family_is_refused_before_the_run(
    solver: str, policy: str, options: tuple[str, ...], family: str, tmp_path: Path, phasewise: Callable
) -> None:
    with registry.registered(PLAIN_ONLY):
        said = phasewise(
            "run", "toy", "-q", "--solver", solver, "--policy", policy, *options, "--out", tmp_path / "out"
        )
    assert said.code == 2
    (line,) = said.err.strip().splitlines()
    wrong = next(each for each in solver.split(",") if each != SOUND)
    assert f"solver {wrong} does not take problem family {family}, which policy {policy} states" in line
    assert [name for name in ABLE[family] if name not in line] == []
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("solver", "overrides"),
    [
        ("plain-only", {"policy.name": "fifo_perf"}),  # states no problem at all
        ("plain-only", {"migration.enabled": True, "migration.weight": 0.0}),  # moving costs, but not in the objective
        ("plain-only", {}),
        ("water-filling", {"policy.name": "max_min_fairness_water_filling", "migration.enabled": True}),
        (SOUND, {"policy.name": "max_min_fairness_water_filling_perf"}),
        (SOUND, {"migration.enabled": True}),
    ],
)
def test_a_solver_is_refused_for_nothing_but_what_is_stated(solver: str, overrides: dict[str, object]) -> None:
    with registry.registered(PLAIN_ONLY):
        assert build_parts(toy(solver, **overrides), PhaseTimer()).policy is not None


def test_the_families_that_a_policy_names_are_those_it_states(tmp_path: Path) -> None:
    for policy in ("max_min_fairness", "max_min_fairness_water_filling", "max_min_fairness_perf"):
        for moving in (False, True):
            stated: set[str] = set()
            overrides = {"policy.name": policy, "migration.enabled": moving}
            parts = build_parts(toy(SOUND, **overrides), PhaseTimer())
            states_families(toy(SOUND, **overrides), stated)
            assert stated == set(parts.policy.families)


def states_families(scenario: object, into: set[str]) -> None:
    """Run a scenario and collect the families of the problems it states."""
    simulate(scenario, None, callbacks=Callbacks(on_problem=lambda problem: into.add(problem.family)))


def test_the_refusal_is_an_error_of_the_scenario_and_touches_no_folder(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match="choose a solver that does"):
        simulate(toy("water-filling"), tmp_path / "out")
    assert not (tmp_path / "out").exists()


# -- iterations and warm starts --------------------------------------------------------------------------------------

ITERATING = [
    name
    for name in registry.names()
    if registry.is_exact(registry.get(name)) and MAX_MIN in registry.get(name).families
]


@pytest.mark.parametrize("solver", ITERATING)
def test_every_iterating_backend_reports_its_iterations_into_the_rounds(solver: str, tmp_path: Path) -> None:
    overrides = {"stop.rounds": 40, "cluster.gpus": {"k80": 1, "p100": 1, "v100": 1}, "workload.scale_factor_cap": 1}
    run = perform(toy(solver, **overrides), tmp_path / "out")
    rounds = pq.read_table(tmp_path / "out" / "rounds.parquet").to_pydict()
    assert sum(rounds["lp_iterations"]) > 0
    assert [n for n, solves in zip(rounds["lp_iterations"], rounds["lp_solved"], strict=True) if n and not solves] == []
    assert sum(line["iterations"] for line in run.lines("PROFILE")) == sum(rounds["lp_iterations"])
