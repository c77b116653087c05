"""Bugs planted in backends, policies and placements: each ends the run with one message that says whose it is."""

from __future__ import annotations

import inspect
import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import click
import native_library
import numpy as np
import pytest
import small_lists
from answers import Answers
from small_runs import Run

from phasewise.bench.cli.boundary import guarded
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry as parts
from phasewise.sched.api import Allocation
from phasewise.sched.nodes.placement import NodePlacement
from phasewise.sched.placement.best_fit import LeastRemaining
from phasewise.sched.placement.strided import Strided
from phasewise.sched.policies.max_min_fairness import MaxMinFairnessPerf
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, SolverSession, State
from phasewise.solvers.backends.auto import AutoSession, MeasuredPoint
from phasewise.solvers.instances import random_problem
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Walk

SOUND = "highs-direct"
GOOD_CALLS = 2
ROUNDS = ("--rounds", 60, "--set", "output.trace=false")


def asks_for_an_attribute_that_is_not_there() -> object:
    return SOUND.no_such_attribute  # type: ignore[attr-defined]


def adds_a_number_to_text() -> object:
    return SOUND + 1  # type: ignore[operator]


def looks_for_a_key_that_is_not_there() -> object:
    return {"a": 1}["b"]


def goes_past_the_end_of_a_list() -> object:
    return [1, 2][len(SOUND)]


def reshapes_wrongly() -> object:
    return np.reshape(np.zeros(6), (4, 2))  # raised in NumPy's lines, but nobody else's fault


def divides_by_nothing() -> object:
    return 1 // 0


def runs_into_itself() -> object:
    return runs_into_itself()


def asks_for_the_end() -> object:
    sys.exit(0)


MAX_MIN_ALONE = registry.Scope(frozenset({"max_min"}), pairs=False)
BUGS: Mapping[str, tuple[Callable[[], object], str]] = {
    "AttributeError": (asks_for_an_attribute_that_is_not_there, "AttributeError: 'str' object has no attribute"),
    "TypeError": (adds_a_number_to_text, "TypeError: can only concatenate str"),
    "KeyError": (looks_for_a_key_that_is_not_there, "KeyError: 'b'"),
    "IndexError": (goes_past_the_end_of_a_list, "IndexError: list index out of range"),
    "ValueError": (reshapes_wrongly, "ValueError: cannot reshape array of size 6 into shape (4,2)"),
    "ZeroDivisionError": (divides_by_nothing, "ZeroDivisionError"),
    "RecursionError": (runs_into_itself, "RecursionError"),
    "SystemExit": (asks_for_the_end, "SystemExit: 0"),
}


@dataclass
class BuggySession:
    """Solves well by another backend at first."""

    bug: Callable[[], object]
    sound: SolverSession
    calls: int = 0

    def solve(self, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        self.calls += 1
        if self.calls > GOOD_CALLS:
            self.bug()
        return self.sound.solve(problem, state)


@dataclass(frozen=True)
class Buggy:
    """A backend."""

    bug: Callable[[], object]
    name: str = "buggy"
    families: frozenset[str] = frozenset({"max_min"})
    aliases: tuple[str, ...] = ()
    limits: str = "has a bug"
    tolerance: float = 1e-6

    @property
    def requires(self) -> Mapping[str, str]:
        return {}

    def open(self, options: Mapping[str, object], timer: PhaseTimer) -> SolverSession:
        return BuggySession(self.bug, registry.get(SOUND).open({}, timer))


def buggy_policy(bug: Callable[[], object]) -> Any:
    class BuggyPolicy(MaxMinFairnessPerf):
        """Shares well at first."""

        name = "buggy_policy"
        calls = 0

        def allocate(self, *arguments: Any) -> Any:
            type(self).calls += 1
            if self.calls > GOOD_CALLS:
                bug()
            return super().allocate(*arguments)

    return BuggyPolicy


def buggy_placement(bug: Callable[[], object]) -> Any:
    class BuggyPlacement(Strided):
        """Places well at first."""

        name = "buggy_placement"
        calls = 0

        def place(self, *arguments: Any) -> Any:
            type(self).calls += 1
            if self.calls > GOOD_CALLS:
                bug()
            return super().place(*arguments)

    return BuggyPlacement


@contextmanager
def planted(where: str, bug: Callable[[], object]) -> Iterator[tuple[tuple[str, ...], str]]:
    """Plant a bug; yield the options that choose it and what the part is called."""
    if where == "policy":
        with parts.registered_policy(buggy_policy(bug)):
            yield ("--policy", "buggy_policy"), "policy 'buggy_policy'"
    elif where == "placement":
        with parts.registered_placement(buggy_placement(bug)):
            yield ("--placement", "buggy_placement"), "placement 'buggy_placement'"
    else:
        with registry.registered(Buggy(bug)):
            yield ("--solver", where), "solver backend 'buggy'"


@pytest.mark.parametrize("kind", sorted(BUGS))
@pytest.mark.parametrize("where", ["buggy", f"buggy,{SOUND}", "policy", "placement"])
def test_a_bug_ends_the_run_with_one_message_that_says_whose_and_where(
    where: str, kind: str, tmp_path: Path, phasewise: Callable
) -> None:
    bug, words = BUGS[kind]
    out = tmp_path / "out"
    with planted(where, bug) as (options, part):
        said = phasewise("run", "toy", "-q", *ROUNDS, *options, "--out", out)
    assert said.code == 3
    (line,) = said.err.strip().splitlines()
    first = inspect.getsourcelines(bug)[1]
    assert f"{part} raised {words}" in line
    for wanted in ("the run failed in round ", f"line {first + 1} of ", str(out / "error.txt")):
        assert wanted in line, line
    traceback = (out / "error.txt").read_text()
    assert traceback.startswith("Traceback (most recent call last):")
    assert f"in {bug.__name__}" in traceback
    record = json.loads((out / "run.json").read_text())
    assert record["status"] == "failed"
    assert record["summary"]["rounds"] > 0
    assert phasewise("report", out).code == 0


def raised_by(call: Callable[[], object]) -> str:
    """Return the name of the class that ``call`` raises."""
    try:
        call()
    except (Exception, SystemExit) as error:
        return type(error).__name__
    return "nothing"


@pytest.mark.parametrize("kind", sorted(BUGS))
def test_a_bug_behind_auto_is_not_hidden_by_the_next_backend(kind: str) -> None:
    bug, _ = BUGS[kind]
    problem = random_problem(1, 10, 3)
    table = (MeasuredPoint(problem.traits, {"buggy": 0.1, SOUND: 1.0}),)
    with registry.registered(Buggy(bug)):
        session = Answers(AutoSession(PhaseTimer(), table))
        for _ in range(GOOD_CALLS):
            assert session.solve(problem).solved_by == "buggy"
        assert raised_by(lambda: session.solve(problem)) == kind


def test_a_bug_in_a_built_in_backend_behind_auto_ends_the_run(
    tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    picked = Walk.of("auto", {}, PhaseTimer()).solve(random_problem(1, 4, 3)).backend.removeprefix("auto:")
    module = sys.modules[type(registry.get(picked)).__module__]
    session = type(registry.get(picked).open({}, PhaseTimer()))
    source = "def solve(self, problem, state):\n    return problem.no_such_attribute\n"
    made: dict[str, Any] = {"__name__": module.__name__}
    exec(compile(source, str(module.__file__), "exec"), made)  # as if it stood in the backend's own file
    monkeypatch.setattr(session, "solve", made["solve"])
    said = phasewise("run", "toy", "-q", *ROUNDS, "--solver", "auto", "--out", tmp_path / "out")
    assert said.code == 3
    (line,) = said.err.strip().splitlines()
    assert f"solver backend {picked!r} raised AttributeError" in line
    assert f"line 2 of {module.__file__}, in solve" in line


def test_a_bug_in_the_simulation_is_told_as_one_of_ours(
    tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compute(*_: object) -> object:
        raise KeyError("lost")

    monkeypatch.setattr("phasewise.sched.round.priorities.compute", compute)
    said = phasewise("run", "toy", "-q", *ROUNDS, "--out", tmp_path / "out")
    assert said.code == 3
    (line,) = said.err.strip().splitlines()
    assert "the run failed in round 0: a defect of phasewise: KeyError: 'lost' (line " in line
    assert "phases.py, in prioritise" in line


@pytest.mark.parametrize("error", [EOFError("the pipe ended"), AttributeError("x"), RuntimeError("y")])
def test_an_error_before_the_first_round_says_so_and_leaves_no_folder(
    error: Exception, tmp_path: Path, phasewise: Callable
) -> None:
    class Unmakeable(MaxMinFairnessPerf):
        """Cannot be made."""

        name = "unmakeable"

        def __init__(self, options: object) -> None:
            raise error

    with parts.registered_policy(Unmakeable):  # type: ignore[arg-type]
        said = phasewise("run", "toy", "-q", "--policy", "unmakeable", "--out", tmp_path / "out")
    assert said.code == 3
    (line,) = said.err.strip().splitlines()
    assert f"the run failed before its first round: policy 'unmakeable' raised {type(error).__name__}: {error}" in line
    kept = Path(line.rpartition("traceback: ")[2])
    assert "in __init__" in kept.read_text()
    kept.unlink()
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("where", ["policy", "placement", "buggy"])
def test_an_input_that_ended_is_no_interruption(where: str, tmp_path: Path, phasewise: Callable) -> None:
    def reads_on() -> object:
        raise EOFError("the input ended")

    with planted(where, reads_on) as (options, part):
        said = phasewise("run", "toy", "-q", *ROUNDS, *options, "--out", tmp_path / "out")
    assert said.code == 3
    assert f"{part} raised EOFError: the input ended" in said.err


def told(call: Callable[[], object], capsys: pytest.CaptureFixture[str]) -> tuple[int, str]:
    code = guarded(call)
    return code, capsys.readouterr().err


def test_any_command_turns_a_defect_into_one_message_and_three(capsys: pytest.CaptureFixture[str]) -> None:
    code, said = told(goes_past_the_end_of_a_list, capsys)
    assert code == 3
    (line,) = said.strip().splitlines()
    assert "a defect: IndexError: list index out of range (line " in line
    kept = Path(line.rpartition("traceback: ")[2])
    assert "IndexError" in kept.read_text()
    kept.unlink()


def test_clicks_word_for_an_input_that_ended_is_told_from_an_interruption(capsys: pytest.CaptureFixture[str]) -> None:
    @click.command()
    def asks() -> None:
        raise EOFError("no more")

    @click.command()
    def waits() -> None:
        raise KeyboardInterrupt

    code, said = told(lambda: asks.main([], standalone_mode=False), capsys)
    assert (code, "EOFError: no more" in said, "interrupted" in said) == (3, True, False)
    Path(said.strip().rpartition("traceback: ")[2]).unlink()
    code, said = told(lambda: waits.main([], standalone_mode=False), capsys)
    assert (code, "interrupted" in said) == (130, True)


def test_a_message_that_is_long_or_cannot_be_read_is_still_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    class UnspeakableError(Exception):
        def __str__(self) -> str:
            raise ValueError("never")

    for error in (UnspeakableError(), LookupError("many\nlines\n" * 500)):
        code, said = told(lambda error=error: native_library.fail(error), capsys)
        assert code == 3
        (line,) = said.strip().splitlines()
        assert type(error).__name__ in line
        assert len(line) < 900
        Path(line.rpartition("traceback: ")[2]).unlink()


def test_a_replayed_tape_names_the_solver_and_the_problem(tmp_path: Path, phasewise: Callable) -> None:
    tape = tmp_path / "toy.tape"
    assert phasewise("tape", "toy", "-q", *ROUNDS, "--out", tape).code == 0
    with registry.registered(Buggy(goes_past_the_end_of_a_list)):
        said = phasewise("solve", tape, "--solver", f"buggy,{SOUND}")
    assert said.code == 3
    (line,) = said.err.strip().splitlines()
    assert f"solver buggy,{SOUND} raised in problem {GOOD_CALLS}: IndexError: list index out of range (line " in line
    Path(line.rpartition("traceback: ")[2]).unlink()


def test_a_run_without_a_folder_keeps_its_traceback_elsewhere() -> None:
    scenario = load_scenario("toy", {"policy.name": "buggy_policy", "output.trace": False})
    with (
        parts.registered_policy(buggy_policy(adds_a_number_to_text)),
        pytest.raises(Exception, match=r"policy 'buggy_policy' raised TypeError.*traceback: ") as caught,
    ):
        simulate(scenario, None)
    kept = caught.value.traceback  # type: ignore[attr-defined]
    assert "adds_a_number_to_text" in kept.read_text()
    kept.unlink()


# -- plug-ins of other distributions -----------------------------------------------------------------------------------

TORN = "import no_such_library\n"
EXITING = "import sys\nsys.exit(0)\n"
MISSPELT = "def broken(:\n"


def installed(folder: Path, modules: Mapping[str, str], points: str) -> Mapping[str, str]:
    """Install a distribution in ``folder`` and return the environment that sees it."""
    for name, source in modules.items():
        (folder / f"{name}.py").write_text(source)
    metadata = folder / "thirdparty-1.0.dist-info"
    metadata.mkdir()
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: thirdparty\nVersion: 1.0\n")
    (metadata / "entry_points.txt").write_text(points)
    return {**os.environ, "PYTHONPATH": str(folder)}


COMMANDS = """
import contextlib, io, json, sys
from phasewise.bench.cli.main import main
said = []
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            main(words)
        except SystemExit as end:
            said.append([int(end.code), out.getvalue(), err.getvalue()])
print(json.dumps(said))
"""


def commands(environment: Mapping[str, str], *asked: Sequence[object]) -> list[tuple[int, str, str]]:
    """Return code, output and errors of commands given one after the other to a process of its own."""
    done = subprocess.run(
        [sys.executable, "-P", "-c", COMMANDS, json.dumps([list(map(str, words)) for words in asked])],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return [tuple(each) for each in json.loads(done.stdout.splitlines()[-1])]


def test_what_cannot_be_imported_is_listed_as_broken_and_breaks_nothing_else(tmp_path: Path) -> None:
    each = "torn = torn:Thing\nexiting = exiting:Thing\nmisspelt = misspelt:Thing\n"
    points = "".join(f"[phasewise.{group}]\n{each}" for group in ("policies", "placements", "solvers"))
    environment = installed(tmp_path, {"torn": TORN, "exiting": EXITING, "misspelt": MISSPELT}, points)
    reasons = {"torn": "No module named 'no_such_library'", "exiting": "SystemExit: 0", "misspelt": "SyntaxError"}
    chosen = {"policies": "--policy", "placements": "--placement", "solvers": "--solver"}
    refused, out = tmp_path / "refused", tmp_path / "out"
    asked = [
        words
        for group, option in chosen.items()
        for words in (
            ("list", group, "--json"),
            ("list", group),
            ("run", "toy", "-q", option, "torn", "--out", refused),
        )
    ]
    *said, fine = commands(environment, *asked, ("run", "toy", "-q", *ROUNDS, "--out", out))
    for listed, lines, unusable in zip(said[::3], said[1::3], said[2::3], strict=True):
        assert (listed[0], lines[0], unusable[0]) == (0, 0, 2)
        broken = {each["name"]: each["broken"] for each in json.loads(listed[1]) if each["broken"]}
        assert set(broken) == set(reasons)
        assert [name for name, why in reasons.items() if why not in broken[name]] == []
        assert [line.split()[:2] for line in lines[1].splitlines()[-3:]] == [
            [name, "broken:"] for name in sorted(reasons)
        ]
        (line,) = unusable[2].strip().splitlines()
        assert "'torn' cannot be loaded" in line
        assert reasons["torn"] in line
    assert not refused.exists()
    assert (fine[0], fine[2]) == (0, "")


PLUGIN = '''
from phasewise.sched.policies.max_min_fairness import MaxMinFairnessPerf

class Lottery(MaxMinFairnessPerf):
    """Draw lots."""

    name = "lottery"

    def allocate(self, view, solve, memory):
        from thirdparty.drawing import draw
        return draw(view)
'''
DRAWING = "def draw(view):\n    return view.no_such_column\n"


def test_a_policy_of_a_package_answers_for_all_its_modules(tmp_path: Path) -> None:
    (tmp_path / "thirdparty").mkdir()
    modules = {"thirdparty/__init__": "", "thirdparty/lottery": PLUGIN, "thirdparty/drawing": DRAWING}
    environment = installed(tmp_path, modules, "[phasewise.policies]\nlottery = thirdparty.lottery:Lottery\n")
    ((code, _, said),) = commands(environment, ("run", "toy", "-q", "--policy", "lottery", "--out", tmp_path / "out"))
    assert code == 3
    (line,) = said.strip().splitlines()
    drawing = tmp_path / "thirdparty" / "drawing.py"
    assert "in round 0: policy 'lottery' raised AttributeError: 'ClusterView' object has no attribute" in line
    assert f"(line 2 of {drawing}, in draw); traceback: {tmp_path / 'out' / 'error.txt'}" in line


# -- auto says what it passed over -------------------------------------------------------------------------------------


def test_what_auto_passes_over_is_an_event_and_counted(
    tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    picked = Walk.of("auto", {}, PhaseTimer()).solve(random_problem(1, 4, 3)).backend.removeprefix("auto:")
    session = type(registry.get(picked).open({}, PhaseTimer()))
    monkeypatch.setattr(session, "solve", lambda self, problem, state: native_library.fail(RuntimeError("singular")))
    out = tmp_path / "out"
    assert phasewise("run", "toy", "-q", *ROUNDS, "--solver", "auto", "--out", out).code == 0
    run = Run(out, "stopped")
    events = run.events("solver_fallback")
    assert len(events) == run.summary["solver_fallbacks"] > 0
    assert {event["solver"] for event in events} == {f"auto:{picked}"}
    assert {event["reason"] for event in events} == {"status failed (raised RuntimeError: singular)"}
    nexts = {event["next"] for event in events}
    assert f"auto:{picked}" not in nexts
    assert all(name.startswith("auto:") for name in nexts)


def test_where_all_that_auto_asks_fail_each_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("phasewise.solvers.backends.auto.choices", lambda: {"one": MAX_MIN_ALONE, "two": MAX_MIN_ALONE})
    problem = random_problem(1, 5, 3)
    table = (MeasuredPoint(problem.traits, {"one": 0.1, "two": 0.2}),)
    with ExitStack() as stack:
        for name in ("one", "two"):
            stack.enter_context(registry.registered(Buggy(lambda: native_library.fail(MemoryError("full")), name)))
        session = Answers(AutoSession(PhaseTimer(), table))
        answers = [session.solve(problem) for _ in range(GOOD_CALLS + 1)]
        session.solve(problem)
        last = session.solve(problem)
    assert [answer.status for answer in answers] == ["optimal"] * (GOOD_CALLS + 1)
    assert last.status == "failed"
    assert last.note == "; ".join(f"{name}: status failed (raised MemoryError: full)" for name in ("one", "two"))


# -- filling a cluster -------------------------------------------------------------------------------------------------


class BuggyRule:
    """Scores well at first."""

    def __init__(self, bug: Callable[[], object]) -> None:
        self._bug, self._calls = bug, 0

    def scores(self, nodes: Any, need: Any, at: Any) -> Any:
        self._calls += 1
        if self._calls > 12:
            self._bug()
        return LeastRemaining().scores(nodes, need, at)


@pytest.mark.parametrize("kind", ["KeyError", "SystemExit"])
def test_a_bug_in_a_placement_that_fills_a_cluster_is_told_and_what_happened_saved(
    kind: str, tmp_path: Path, phasewise: Callable
) -> None:
    bug, words = BUGS[kind]

    class BuggyFit(NodePlacement):
        """Chooses badly."""

        name = "buggy_fit"

        def __init__(self, options: Any) -> None:
            super().__init__(options, BuggyRule(bug))  # type: ignore[arg-type]

    nodes, pods = small_lists.write_lists(tmp_path)
    out = tmp_path / "out"
    filled = ("inflate", "--nodes", nodes, "--pods", pods, "--placement", "buggy_fit", "--numpy", "-q", "--out", out)
    with parts.registered_placement(BuggyFit):
        said = phasewise(*filled)
    assert said.code == 3
    line = said.err.strip().splitlines()[-1]
    for wanted in ("the experiment failed after ", f"placement 'buggy_fit' raised {words}", str(out / "error.txt")):
        assert wanted in line
    assert json.loads((out / "run.json").read_text())["status"] == "failed"
    assert f"in {bug.__name__}" in (out / "error.txt").read_text()


# -- what a plug-in returns --------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("returned", "words"),
    [
        (lambda view: None, "returned a NoneType; expected an Allocation"),
        (lambda view: np.zeros(view.throughput.shape), "returned a ndarray; expected an Allocation"),
        (lambda view: Allocation([[0.0]]), "returned a list; expected an Allocation with an array x"),
        (lambda view: Allocation(view.throughput.astype(object)), "returned an X of object; expected numbers"),
        (lambda view: Allocation(np.zeros(3)), "returned X of shape (3,)"),
    ],
)
def test_a_policy_that_returns_something_else_is_told_what_is_expected(
    returned: Callable[[Any], Any], words: str, tmp_path: Path, phasewise: Callable
) -> None:
    class Odd(MaxMinFairnessPerf):
        """Returns something else."""

        name = "odd"

        def allocate(self, view: Any, *_: Any) -> Any:
            return returned(view)

    with parts.registered_policy(Odd):
        said = phasewise("run", "toy", "-q", "--policy", "odd", "--out", tmp_path / "out")
    assert said.code == 3
    assert f"policy odd {words}" in said.err


def test_a_placement_that_returns_something_else_is_told_what_is_expected(tmp_path: Path, phasewise: Callable) -> None:
    class Odd(Strided):
        """Returns something else."""

        name = "odd"

        def place(self, *_: Any) -> Any:
            return [1, 2]

    with parts.registered_placement(Odd):
        said = phasewise("run", "toy", "-q", "--placement", "odd", "--out", tmp_path / "out")
    assert said.code == 3
    assert "placement odd returned a list; expected a Placed" in said.err


def test_a_defect_that_only_a_profiler_brings_out_keeps_its_traceback(tmp_path: Path, phasewise: Callable) -> None:
    calls_of_a_run = []

    class Tired(MaxMinFairnessPerf):
        """Works once."""

        name = "tired"

        def __init__(self, options: Any) -> None:
            super().__init__(options)
            calls_of_a_run.append(0)

        def allocate(self, *arguments: Any) -> Any:
            if len(calls_of_a_run) > 1:
                goes_past_the_end_of_a_list()
            return super().allocate(*arguments)

    out = tmp_path / "out"
    with parts.registered_policy(Tired):
        said = phasewise("profile", "toy", "-q", *ROUNDS, "--policy", "tired", "--out", out)
    assert said.code == 3
    assert "under a profiler, and not without one: IndexError" in said.err
    assert f"traceback: {out / 'error.txt'}" in said.err
    assert "goes_past_the_end_of_a_list" in (out / "error.txt").read_text()
