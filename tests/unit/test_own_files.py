"""Policies, placements and backends out of a Python file, or as objects: found, recorded, refused and blamed."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import phasewise
from phasewise.bench.cli.main import main
from phasewise.bench.study.errors import StudyError
from phasewise.profiling import own_files
from phasewise.profiling.errors import OwnFileError
from phasewise.sched.api import Allocation, ClusterView, TypeOrder
from phasewise.sched.errors import ResumeError, ScenarioError, SchedulingError, UnknownPolicyError
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.registry import placement, policy_names
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.validate import validate_file
from phasewise.solvers import registry as solvers
from phasewise.solvers.api import Answer, Status
from phasewise.solvers.errors import UnknownBackendError

FIRST = '''
"""The job that came first gets one GPU of its best type, and so on."""
import numpy as np
from phasewise.sched.api import Allocation, TypeOrder
from phasewise.sched.registry import register_policy

@register_policy
class First:
    """Whoever came first."""
    name = "first"
    type_order = TypeOrder.FIXED
    needs_positive_priority = False

    def __init__(self, options):
        self.options = options

    def allocate(self, view, solve, memory):
        x, left = np.zeros(view.throughput.shape), view.capacity.copy()
        for row in range(len(x)):
            kind = int(np.argmax(np.where(left > 0, view.throughput[row], 0.0)))
            if left[kind] > 0:
                x[row, kind], left[kind] = 1.0, left[kind] - 1
        return Allocation(x)

class Half:
    name = "half"

class Torn(First):
    def allocate(self, view, solve, memory):
        return view.nonesuch
'''
IDLE = """
from phasewise.solvers.api import Answer, Status

class Idle:
    name, aliases, families, requires = "idle", (), frozenset({"max_min"}), {}
    limits, tolerance = "gives nothing to anybody", 1.0
    def open(self, options, timer):
        if options:
            raise ValueError(f"options {options}")
        return self
    def solve(self, problem, state):
        return Answer(Status.FAILED, None), None

class Half:
    name = "half"
"""
SMALL: Mapping[str, Any] = {
    "workload.jobs": 5, "stop.window": "none", "stop.rounds": 12, "output.trace": False,
}  # fmt: skip
BAD_INPUT, FAILED = 2, 3


@pytest.fixture
def mine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with files of ours, in which we are."""
    (tmp_path / "mine.py").write_text(FIRST)
    (tmp_path / "idle.py").write_text(IDLE)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*words: str) -> int:
    with pytest.raises(SystemExit) as end:
        main(["run", "toy", "-q", "--rounds", "12", *words])
    return int(end.value.code or 0)


# -- names -----------------------------------------------------------------------------------------------------------


def test_a_name_of_a_file_is_told_from_others_and_taken_apart() -> None:
    assert [own_files.is_named(name) for name in ("a.py:B", "./x/a.py:B", "a.py", "C:/a.py:B#0123456789ab")] == [
        True
    ] * 4
    assert [own_files.is_named(name) for name in ("fifo", "cvxpy-dpp:ECOS", "a.pyc:B", "apy:B", "")] == [False] * 5
    assert own_files.unpinned("x/a.py:B#0123456789ab") == "x/a.py:B"
    assert own_files.by_content("x/a.py:B#0123456789ab") == "a.py:B#0123456789ab"
    assert own_files.placed("a.py:B", Path("x")) == os.path.join("x", "a.py:B")  # noqa: PTH118  (a name, not a path)
    assert own_files.unpinned("fifo") == own_files.by_content("fifo") == own_files.placed("fifo", Path("x")) == "fifo"


def test_a_file_is_executed_once_for_each_content_that_it_has(mine: Path) -> None:
    path = mine / "counting.py"
    path.write_text("class A:\n    pass\n")
    first = own_files.load("counting.py:A")
    assert own_files.load("counting.py:A") is first
    before = own_files.pinned("counting.py:A")
    path.write_text("class A:\n    changed = True\n")
    assert own_files.load("counting.py:A").changed  # type: ignore[attr-defined]
    assert own_files.load(before) is first  # what was loaded is still known by its digest
    with pytest.raises(OwnFileError, match=r"counting\.py is not what it was: its digest is \w{12}, and 000000000000"):
        own_files.pinned("counting.py:A#000000000000")


# -- runs ------------------------------------------------------------------------------------------------------------


def test_a_policy_of_a_file_runs_and_the_run_says_which_file(mine: Path) -> None:
    assert run("--policy", "./mine.py:First", "--out", "out") == 0
    record = json.loads((mine / "out" / "run.json").read_text())
    pinned = own_files.pinned("./mine.py:First")
    assert record["scenario"]["policy"]["name"] == pinned
    assert record["basis"]["inputs"]["policy.name"].startswith(pinned.rpartition("#")[2])
    assert "first" not in policy_names()  # its decorator puts nothing on the shelf
    found = phasewise.run("toy", overrides={**SMALL, "policy.name": "mine.py:First"})
    assert found.status == "stopped"
    assert found.summary.allocations > 0


def test_a_backend_of_a_file_is_a_link_of_a_chain_with_options_of_its_own(mine: Path) -> None:
    chain = {"solver.name": "idle.py:Idle, highs-direct", "solver.kwargs": {"highs-direct": {}, "idle.py:Idle": {}}}
    found = phasewise.run("toy", overrides={**SMALL, **chain})
    assert found.summary["solver_fallbacks"] == found.summary.lp_solves > 0  # what it gives is proven too little
    problem = phasewise.MaxMin(gain=[[1.0]], scale_factor=[1], capacity=[1])
    assert phasewise.solve(problem, "idle.py:Idle,highs-direct").backend == "highs-direct"


def test_a_scenario_file_names_files_beside_it(mine: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (mine / "deep").mkdir()
    (mine / "deep" / "own.py").write_text(FIRST)
    (mine / "deep" / "ours.toml").write_text(
        '[cluster]\ngpus = { v100 = 2 }\n[workload]\njobs = 2\n[policy]\nname = "own.py:First"\n'
    )
    scenario = load_scenario("deep/ours.toml")
    assert own_files.unpinned(scenario.policy.name) == str(Path("deep/own.py:First"))
    assert validate_file(Path("deep/ours.toml")) == []
    (mine / "deep" / "own.py").write_text("class Other:\n    pass\n")
    (fault,) = validate_file(Path("deep/ours.toml"))
    assert "has no class 'First'; it has: Other" in fault.message
    (mine / "deep" / "own.py").unlink()
    (fault,) = validate_file(Path("deep/ours.toml"))
    assert (fault.line, "does not exist" in fault.message) == (6, True)


@pytest.mark.parametrize(
    ("option", "name", "said"),
    [
        ("--policy", "nowhere.py:First", "policy.name: nowhere.py does not exist"),
        ("--policy", "mine.py", "'mine.py' names no class of that file; allowed: FILE.py:CLASS"),
        ("--policy", "mine.py:Frist", "mine.py has no class 'Frist'; it has: First, Half, Torn, did you mean 'First'?"),
        ("--policy", "mine.py:np", "np of mine.py is no class, but a module"),
        ("--policy", "mine.py:Half", "Half is no policy: it lacks type_order (TypeOrder.FIXED or TypeOrder.SHUFFLED)"),
        ("--policy", "order.py:A", "policy 'first' has type_order 'up'; allowed: fixed, shuffled"),
        ("--policy", "syntax.py:A", "policy syntax.py:A: syntax.py cannot be loaded: SyntaxError"),
        ("--policy", "raises.py:A", "raises.py cannot be loaded: ZeroDivisionError: division by zero (line 2 of "),
        ("--policy", "leaves.py:A", "leaves.py cannot be loaded: SystemExit: 0 (line 1 of "),
        ("--policy", "beside.py:A", "No module named 'raises'"),
        ("--placement", "mine.py:Half", "placement mine.py:Half: Half is no placement: it lacks place (place(order, "),
        ("--solver", "idle.py:Half", "Half is no solver backend: it lacks aliases (other names of it, () for none)"),
        ("--solver", "highs-direct,idle.py:None_", "idle.py has no class 'None_'; it has: Idle, Half"),
    ],
)
def test_what_is_wrong_with_a_file_is_one_message(
    option: str, name: str, said: str, mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (mine / "syntax.py").write_text("class A(:\n")
    (mine / "order.py").write_text(FIRST + '\nclass A(First):\n    type_order = "up"\n')
    (mine / "raises.py").write_text("class A:\n    b = 1 / 0\n")
    (mine / "leaves.py").write_text("raise SystemExit(0)\n")
    (mine / "beside.py").write_text("import raises\n")
    assert run(option, name, "--out", "out") == BAD_INPUT
    (line,) = capsys.readouterr().err.splitlines()
    assert said in line
    assert not (mine / "out").exists()


def test_what_it_imports_has_to_be_installed_and_that_is_said(mine: Path) -> None:
    (mine / "beside.py").write_text("from mine import First\n")
    with pytest.raises(OwnFileError, match="mine lies beside it, but what it imports has to be installed"):
        own_files.load("beside.py:First")


def test_an_error_while_running_names_the_file_and_the_line(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--policy", "mine.py:Torn", "--out", "out") == FAILED
    said = capsys.readouterr().err
    line = FIRST[: FIRST.index("view.nonesuch")].count("\n") + 1
    assert "in round 0: policy 'mine.py:Torn' raised AttributeError" in said
    assert f"(line {line} of {mine / 'mine.py'}, in allocate)" in said


def test_a_backend_that_raises_is_named_too(mine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert run("--solver", "idle.py:Idle", "--solver-kwargs", '{"a": 1}', "--out", "out") == FAILED
    assert "solver backend 'idle' raised ValueError: options {'a': 1} (line " in capsys.readouterr().err


def test_a_run_goes_on_with_the_same_file_wherever_it_lies_and_with_no_other(mine: Path) -> None:
    asked = {**SMALL, "policy.name": "mine.py:First", "output.checkpoint_rounds": 5}
    phasewise.run("toy", mine / "out", asked)
    (mine / "copy").mkdir()
    (mine / "copy" / "mine.py").write_text(FIRST)
    moved = asked | {"policy.name": "copy/mine.py:First"}
    assert phasewise.run("toy", mine / "out", moved, resume=True).status == "stopped"
    (mine / "mine.py").write_text(FIRST + "\n# another\n")
    with pytest.raises(
        ResumeError, match=r"policy\.name names mine\.py:First, which is another file than it was, by its"
    ):
        phasewise.run("toy", mine / "out", asked, resume=True)


def test_a_fill_takes_a_placement_of_a_file_and_keeps_its_digest(
    mine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    words = ["inflate", "--nodes", "openb", "--pods", "openb", "--placement", "mine.py:Half", "--out", "fill", "-q"]
    with pytest.raises(SystemExit) as end:
        main(words)
    assert end.value.code == BAD_INPUT
    assert "Half is no placement" in capsys.readouterr().err


# -- studies ---------------------------------------------------------------------------------------------------------


def two(folder: Path) -> Path:
    path = folder / "two.toml"
    path.write_text(
        '[study]\nscenario = "toy"\n[grid]\npolicy.name = ["fifo", "mine.py:First"]\n'
        '[set]\nworkload.jobs = 4\nstop.window = "none"\nstop.rounds = 8\n'
    )
    return path


@pytest.mark.thorough
def test_a_study_takes_files_beside_it_and_an_edited_file_is_another_point(
    mine: Path, tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch
) -> None:
    two(mine)
    study = phasewise.study("two.toml", mine / "study")
    assert study.done
    before = list(study.table["point"])
    monkeypatch.chdir(tmp_path_factory.mktemp("elsewhere"))
    again = phasewise.study(mine / "two.toml", mine / "study")  # wherever we are, the same points
    assert list(again.table["point"]) == before
    (mine / "mine.py").write_text(FIRST.replace("np.argmax", "np.argmin"))
    edited = phasewise.study(mine / "two.toml", mine / "study")
    assert edited.done
    assert [new == old for new, old in zip(edited.table["point"], before, strict=True)] == [True, False]


def test_a_study_takes_names_and_no_objects(mine: Path) -> None:
    with pytest.raises(StudyError, match=r"policy\.name: got .*; allowed: a name or FILE\.py:CLASS"):
        phasewise.study(two(mine), mine / "study", overrides={"policy.name": Own})


# -- objects ---------------------------------------------------------------------------------------------------------


class Own:
    name = "own"
    type_order = TypeOrder.FIXED
    needs_positive_priority = False

    def __init__(self, options: PolicyOptions) -> None:
        self.options = options

    def allocate(self, view: ClusterView, solve: object, memory: object) -> Allocation:
        del solve, memory
        return Allocation(np.full(view.throughput.shape, 1.0 / view.throughput.size))


class Nothing:
    name, aliases, families, requires = "nothing", ("nil",), frozenset({"max_min"}), {}
    limits, tolerance = "gives nothing", 1.0

    def open(self, options: object, timer: object) -> Nothing:
        del options, timer
        return self

    def solve(self, problem: object, state: object) -> tuple[Answer, None]:
        del problem, state
        return Answer(Status.FAILED, None), None


def test_a_class_and_its_object_are_the_policy_of_one_run_alone() -> None:
    of_class = phasewise.run("toy", overrides={**SMALL, "policy.name": Own})
    of_object = phasewise.run("toy", overrides={**SMALL, "policy.name": Own(PolicyOptions())})
    assert of_class.scenario["policy"]["name"] == of_object.scenario["policy"]["name"] == "own"
    np.testing.assert_array_equal(of_class.jobs["run_s"], of_object.jobs["run_s"])
    assert "own" not in policy_names()
    with pytest.raises(UnknownPolicyError, match="no policy 'own'"):
        phasewise.run("toy", overrides={**SMALL, "policy.name": "own"})
    with pytest.raises(ScenarioError, match=r"policy\.options\.a: is not an option of policy own; it takes none"):
        phasewise.run("toy", overrides={**SMALL, "policy.name": Own(PolicyOptions()), "policy.options": {"a": 1}})


def test_an_object_stands_in_a_chain_and_is_asked_by_solve() -> None:
    found = phasewise.run("toy", overrides={**SMALL, "solver.name": [Nothing, "highs-direct"]})
    assert found.scenario["solver"]["name"] == "nothing,highs-direct"
    assert found.summary["solver_fallbacks"] == found.summary.lp_solves > 0
    problem = phasewise.MaxMin(gain=[[1.0]], scale_factor=[1], capacity=[1])
    assert phasewise.solve(problem, [Nothing(), "highs-direct"]).objective == pytest.approx(1.0)
    assert "nothing" not in solvers.names(installed=False)


def test_what_is_no_part_of_a_run_is_refused_with_what_it_lacks() -> None:
    for key, error in (
        ("policy.name", SchedulingError),
        ("placement.name", SchedulingError),
        ("solver.name", UnknownBackendError),
    ):
        with pytest.raises(error, match=r"builtins\.object is no .*: it lacks name \(a text\)"):
            phasewise.run("toy", overrides={**SMALL, key: object()})


def test_an_object_does_not_take_the_name_of_another() -> None:
    class Fifo(Own):
        name = "fifo"

    with pytest.raises(SchedulingError, match="policy 'fifo' is registered twice"):
        phasewise.run("toy", overrides={**SMALL, "policy.name": Fifo})

    class Highs(Nothing):
        name = "highs-direct"

    with pytest.raises(UnknownBackendError, match="there is a solver backend 'highs-direct' already"):
        phasewise.solve(phasewise.MaxMin(gain=[[1.0]], scale_factor=[1], capacity=[1]), Highs)


def test_a_placement_that_does_not_say_whether_it_spans_nodes_is_refused(mine: Path) -> None:
    (mine / "where.py").write_text(
        'class Where:\n    name = "where"\n    def __init__(self, options): pass\n    def place(self, *given): pass\n'
    )
    with pytest.raises(SchedulingError, match=r"placement where\.py:Where lacks spans_nodes"):
        placement("where.py:Where", None)  # type: ignore[arg-type]
