"""The tapes of the benchmark suite: made once, of real rounds, and never a short one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from phasewise.bench import suite_tapes
from phasewise.bench.suite_tapes import LEAST_PROBLEMS, RECIPES, SUBSTITUTES, Generated, Recipe, Scale, suite_tape
from phasewise.profiling.errors import OutputError
from phasewise.sched.scenario.loading import builtin_names
from phasewise.solvers.errors import TapeError
from phasewise.solvers.rows import known_again
from phasewise.solvers.tapes import Tape

SMALL = {"workload.jobs": 300, "workload.initial_jobs": 8, "stop.rounds": 150}
TOY = Recipe("toy", {**RECIPES[Scale.PHILLY].overrides, **SMALL})


@pytest.fixture(scope="module")
def philly(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return suite_tape(Scale.PHILLY, tmp_path_factory.mktemp("tapes"))


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the tape of Philly scale be one of the toy."""
    monkeypatch.setitem(RECIPES, Scale.PHILLY, TOY)  # type: ignore[misc]


def test_the_tape_of_philly_scale_has_sixty_rounds_in_each_of_which_jobs_come_or_go(philly: Path) -> None:
    tape = Tape(philly)
    assert len(tape) >= LEAST_PROBLEMS >= 60
    assert tape.origin["scenario"] == "philly"
    last = None
    for problem in tape:
        np.testing.assert_array_equal(problem.capacity, [36.0, 36.0, 36.0])
        assert problem.jobs > problem.capacity.sum()  # capacity binds
        jobs = problem.keys
        assert jobs is not None
        if last is not None:
            stayed = int((known_again(jobs, jobs.size, last, last.size) >= 0).sum())
            assert 0.9 * last.size < stayed
            assert stayed < jobs.size or stayed < last.size
        last = jobs


def test_it_is_small(philly: Path) -> None:
    assert philly.stat().st_size < 1_000_000


def test_a_tape_is_made_once_and_again_where_asked(quick: None, tmp_path: Path) -> None:
    path = suite_tape(Scale.PHILLY, tmp_path / "new" / "folder")
    content = path.read_bytes()
    path.write_bytes(b"kept")
    assert suite_tape(Scale.PHILLY, path.parent) == path
    assert path.read_bytes() == b"kept"
    assert suite_tape(Scale.PHILLY, path.parent, again=True) == path
    assert path.read_bytes() == content
    assert list(path.parent.iterdir()) == [path]


def test_another_scenario_is_another_tape(quick: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    first = suite_tape(Scale.PHILLY, tmp_path)
    monkeypatch.setitem(RECIPES, Scale.PHILLY, Recipe("toy", {**TOY.overrides, "seed": 1}))  # type: ignore[misc]
    second = suite_tape(Scale.PHILLY, tmp_path)
    assert first != second
    assert first.read_bytes() != second.read_bytes()


def test_a_tape_that_is_too_short_is_refused_and_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(RECIPES, Scale.PHILLY, Recipe("toy", {**TOY.overrides, "stop.rounds": 9}))  # type: ignore[misc]
    with pytest.raises(TapeError, match=r"the tape of philly has \d+ problems; a suite needs at least 60"):
        suite_tape(Scale.PHILLY, tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_one_message(quick: None, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot write the tape"):
        suite_tape(Scale.PHILLY, tmp_path / "file" / "tapes")


@pytest.mark.parametrize("there", [True, False])
def test_a_scale_without_its_scenario_has_generated_rounds(there: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ["alibaba", "philly"] if there else ["philly"]
    monkeypatch.setattr(suite_tapes, "builtin_names", lambda: names)
    chosen = suite_tapes.recipe(Scale.ALIBABA)
    assert chosen == (RECIPES if there else SUBSTITUTES)[Scale.ALIBABA]


def test_the_recipe_of_every_scenario_that_there_is_is_a_valid_one() -> None:
    for recipe in RECIPES.values():
        if recipe.scenario in builtin_names():
            assert recipe.resolved()["name"] == recipe.scenario


def test_generated_rounds_are_of_the_size_and_the_cluster_that_they_say(tmp_path: Path) -> None:
    substitute = SUBSTITUTES[Scale.ALIBABA]
    assert (substitute.jobs, sum(substitute.capacity)) == (1700, 6210.0)
    assert substitute.rounds >= LEAST_PROBLEMS
    path = tmp_path / "few.tape"
    Generated(50, 4, substitute.capacity, 1e-3).write(path)
    assert Tape(path).origin["generated"]
    for problem in Tape(path):
        assert (problem.jobs, problem.linear_weight) == (50, 1e-3)
        assert tuple(problem.capacity) == substitute.capacity


def test_the_command_says_what_it_made_of_what(quick: None, tmp_path: Path) -> None:
    arguments = ["--out", str(tmp_path), "--scale", "philly"]
    said = CliRunner().invoke(suite_tapes.command, arguments)
    assert said.exit_code == 0, said.output
    (path,) = tmp_path.iterdir()
    assert said.output.startswith(f"philly: {path} (")
    assert "; scenario)" in said.output
