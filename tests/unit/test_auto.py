"""The automatic choice of a backend."""

from __future__ import annotations

import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from answers import Answers

from phasewise.bench.calibrate_auto import NOT_MEASURED, calibrate, render
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.scenario.loading import BUILTIN
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, SolverSession, State, Status
from phasewise.solvers.backends.auto import (
    TABLE,
    AutoSession,
    MeasuredPoint,
    choices,
    load_table,
    ranking,
)
from phasewise.solvers.errors import OptionError
from phasewise.solvers.families.lexicographic import LexicographicProblem
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import random_problem
from phasewise.solvers.problems import AllocationProblem, Traits
from phasewise.solvers.session import Walk

SMALL = Traits("max_min", linear=False, gangs=False, rows=10, types=3)
LARGE = Traits("max_min", linear=False, gangs=False, rows=1000, types=3)


def point(traits: Traits, **cpu_ms: float) -> MeasuredPoint:
    return MeasuredPoint(traits, {name.replace("_", "-"): ms for name, ms in cpu_ms.items()})


class Scripted:
    """A backend for tests that answers nothing, always with the same status."""

    aliases: tuple[str, ...] = ()
    families = frozenset({"max_min"})
    requires: dict[str, str] = {}  # noqa: RUF012
    limits = "for tests"
    tolerance = 1.0
    opened = 0

    def __init__(self, name: str, status: Status = Status.OPTIMAL, *, exact: bool = True) -> None:
        self.name, self._status, self.exact = name, status, exact

    def open(self, options: object, timer: PhaseTimer) -> SolverSession:
        self.opened += 1
        return self

    def solve(self, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        return Answer(self._status, np.zeros((problem.rows, problem.types))), None


def picks(session: Answers, jobs: int, times: int) -> list[str]:
    problem = MaxMinProblem(np.ones((jobs, 3)), np.ones(jobs), np.ones(3))
    return [session.solve(problem).solved_by for _ in range(times)]


def test_the_solution_says_what_was_picked() -> None:
    solution = Walk.of("auto", {}, PhaseTimer()).solve(random_problem(1, 20, 3))
    name, _, picked = solution.backend.partition(":")
    assert name == "auto"
    assert registry.is_exact(registry.get(picked))
    assert solution.gap is not None
    assert solution.gap <= 1e-9


def test_each_family_gets_a_backend_that_takes_it() -> None:
    plain = random_problem(1, 9, 3)
    stated = LexicographicProblem(plain.gain, plain.scale_factor, plain.capacity)
    assert Walk.of("auto", {}, PhaseTimer()).solve(stated).gap == pytest.approx(0.0, abs=1e-9)


def test_the_nearest_point_ranks_and_the_unmeasured_come_last() -> None:
    table = (point(SMALL, highs_direct=1.0, highs_warm=2.0), point(LARGE, highs_direct=9.0, highs_warm=2.0))
    few = Traits("max_min", linear=False, gangs=False, rows=20, types=3)
    many = Traits("max_min", linear=False, gangs=False, rows=700, types=3)
    assert next(iter(ranking(few, table, choices()))) == "highs-direct"
    assert next(iter(ranking(many, table, choices()))) == "highs-warm"
    assert ranking(many, (), choices())  # an empty table still gives an order


def test_heuristics_and_unknown_backends_are_passed_over() -> None:
    table = (point(SMALL, single_type=0.01, no_such_backend=0.001, highs_direct=1.0),)
    assert next(iter(ranking(SMALL, table, choices()))) == "highs-direct"


def test_a_change_of_backend_needs_patience_and_sessions_are_kept() -> None:
    slow, quick = Scripted("slow"), Scripted("quick")
    table = (point(SMALL, slow=1.0, quick=9.0), point(LARGE, slow=9.0, quick=1.0))
    with registry.registered(slow), registry.registered(quick):
        session = Answers(AutoSession(PhaseTimer(), table))
        assert picks(session, 10, 2) == ["slow", "slow"]
        assert picks(session, 1000, 1) == ["slow"]  # once ahead is not enough
        assert picks(session, 10, 1) == ["slow"]
        assert picks(session, 1000, 4) == ["slow", "slow", "quick", "quick"]
        assert picks(session, 10, 3)[-1] == "slow"
    assert (slow.opened, quick.opened) == (1, 1)


def test_a_small_advantage_is_not_worth_a_change() -> None:
    first, second = Scripted("first"), Scripted("second")
    table = (point(SMALL, first=1.0, second=9.0), point(LARGE, first=1.0, second=0.9))
    with registry.registered(first), registry.registered(second):
        session = Answers(AutoSession(PhaseTimer(), table))
        assert picks(session, 10, 1) + picks(session, 1000, 9) == ["first"] * 10


def test_where_the_pick_fails_the_next_one_answers() -> None:
    with registry.registered(Scripted("broken", Status.FAILED)):
        session = Answers(AutoSession(PhaseTimer(), (point(SMALL, broken=0.1, highs_direct=1.0),)))
        assert picks(session, 10, 1) == ["highs-direct"]


def test_where_the_pick_is_inaccurate_the_next_one_answers() -> None:
    with registry.registered(Scripted("rough", Status.INACCURATE)):
        session = Answers(AutoSession(PhaseTimer(), (point(SMALL, rough=0.1, highs_direct=1.0),)))
        assert picks(session, 10, 1) == ["highs-direct"]


def test_an_inaccurate_pick_stands_where_no_other_does_better(monkeypatch: pytest.MonkeyPatch) -> None:
    family = registry.Scope(frozenset({"max_min"}), pairs=False)
    monkeypatch.setattr("phasewise.solvers.backends.auto.choices", lambda: {"rough": family, "failing": family})
    rough, failing = Scripted("rough", Status.INACCURATE), Scripted("failing", Status.FAILED)
    with registry.registered(rough), registry.registered(failing):
        session = Answers(AutoSession(PhaseTimer(), (point(SMALL, rough=0.1, failing=0.2),)))
        assert picks(session, 10, 1) == ["rough"]


def test_a_pick_that_raises_has_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    broken = Scripted("broken")

    def raising(problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        raise MemoryError("no room")

    monkeypatch.setattr(broken, "solve", raising)
    with registry.registered(broken):
        session = Answers(AutoSession(PhaseTimer(), (point(SMALL, broken=0.1, highs_direct=1.0),)))
        assert picks(session, 10, 1) == ["highs-direct"]


def test_the_table_that_ships_is_readable_and_beside_the_backend() -> None:
    assert load_table()
    assert TABLE.is_file()


@pytest.mark.parametrize("content", ["", "[[point]]\nfamily = 1\n", "not toml", "point = 3"])
def test_a_wrong_table_is_one_message_that_says_how_to_make_it_anew(content: str, tmp_path: Path) -> None:
    path = tmp_path / "table.toml"
    path.write_text(content)
    with pytest.raises(OptionError, match="calibrate_auto makes it anew"):
        load_table(path)


def test_options_are_refused_in_words_that_name_the_fix() -> None:
    with pytest.raises(OptionError, match=r"takes no options.*max_iters=3.*--solver NAME"):
        Walk.of("auto", {"max_iters": 3}, PhaseTimer())


def test_a_scenario_whose_options_are_for_another_backend_is_refused_and_mended_as_told(
    phasewise: Callable[..., Any], tmp_path: Path
) -> None:
    text = (BUILTIN / "toy.toml").read_text()
    before, after = 'name = "highs-direct"\n', 'name = "auto"\nkwargs = { presolve = "on" }\n'
    assert text.count(before) == 1
    scenario = tmp_path / "own.toml"
    scenario.write_text(text.replace(before, after))
    said = phasewise("run", scenario, "-q", "--rounds", 2, "--out", tmp_path / "refused")
    assert said.code == 2
    (line,) = said.err.splitlines()
    for part in ("auto: takes no options", "presolve='on'", "--solver-kwargs '{}'", "--solver NAME"):
        assert part in line
    assert not (tmp_path / "refused").exists()
    for number, mended in enumerate((("--solver-kwargs", "{}"), ("--solver", "highs-direct"))):
        assert phasewise("run", scenario, "-q", "--rounds", 2, *mended, "--out", tmp_path / f"out{number}").code == 0


def test_the_table_can_be_measured_anew(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    text = render(calibrate((3,), 2, ("highs-direct", "water-filling")))
    path = tmp_path / "table.toml"
    path.write_text(text)
    points = load_table(path)
    assert {each.traits.family for each in points} == set(registry.families()) - NOT_MEASURED
    assert all(each.cpu_ms for each in points)
    assert "point" in tomllib.loads(text)
    capsys.readouterr()
