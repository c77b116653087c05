"""Phases that a plug-in names itself: accounts of their own, and never the end of a run."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

import pytest
from small_runs import Run

from phasewise.profiling.phases import ACCOUNTS, MOST_ACCOUNTS, OTHER, FakeClock, Phase, PhaseTimer, PhaseTotals
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate
from phasewise.solvers import registry
from phasewise.solvers.api import Answer, SolverSession, State
from phasewise.solvers.problems import AllocationProblem

LATE = "[bold]late" + "r" * 60  # markup of a terminal's library, and longer than a column
SOUND = "highs-direct"


class NamingSession:
    """Solves by another backend, in phases of its own names."""

    def __init__(self, timer: PhaseTimer, sound: SolverSession, names: Callable[[int], str]) -> None:
        self._timer, self._sound, self._names = timer, sound, names
        self._calls = count()

    def solve(self, problem: AllocationProblem, state: State) -> tuple[Answer, State]:
        with self._timer.phase(self._names(next(self._calls))):
            sum(range(2000))
        return self._sound.solve(problem, state)


class Naming:
    """The backend ``naming``."""

    name = "naming"
    aliases: tuple[str, ...] = ()
    families = frozenset({"max_min"})
    requires: dict[str, str] = {}  # noqa: RUF012
    limits = "names its own phases"
    tolerance = 1e-6

    def __init__(self, names: Callable[[int], str]) -> None:
        self._names = names

    def open(self, options: object, timer: PhaseTimer) -> SolverSession:
        return NamingSession(timer, registry.get(SOUND).open({}, timer), self._names)


def run_of(names: Callable[[int], str], out: Path, **overrides: Any) -> Run:
    chosen = {"solver.name": "naming", "output.trace": True, "stop.window": "none", "stop.rounds": 60}
    with registry.registered(Naming(names)):
        return Run(out, simulate(load_scenario("toy", {**chosen, **overrides}), out).status)


def mine_then_late(call: int) -> str:
    return "mine" if call < 4 else LATE


@pytest.mark.parametrize("chunk_rounds", [1, 7, 512])
@pytest.mark.parametrize("profile_every", [1, 9])
def test_every_account_adds_up_whatever_it_is_called(chunk_rounds: int, profile_every: int, tmp_path: Path) -> None:
    run = run_of(
        mine_then_late,
        tmp_path / "out",
        **{"output.chunk_rounds": chunk_rounds, "output.profile_every": profile_every},
    )
    phases = run.summary["phases"]
    assert list(phases)[-3:] == ["mine", LATE, OTHER]
    assert phases["mine"]["calls"] == 4
    assert phases[LATE]["calls"] > 0
    assert sum(phase["share"] for phase in phases.values()) == pytest.approx(1.0)
    *lines, final = run.lines("PROFILE")
    for line in (*lines, final):
        assert sum(line["phases_s"].values()) + line["other_s"] == line["total_s"]
        assert line["other_s"] >= 0.0
    for name in ("mine", LATE):
        assert phases[name]["wall_s"] > 0.0
        assert final["phases_s"][name] == phases[name]["wall_s"]
        if profile_every == 1:
            told = sum(line["phases_s"].get(name, 0.0) for line in lines)
            assert told == pytest.approx(phases[name]["wall_s"], rel=1e-9)
    rounds = run.table("rounds")
    assert [name for name in rounds if "mine" in name or "late" in name] == []
    beside = sum(phases[name]["wall_s"] for name in ("mine", LATE, OTHER))
    assert sum(rounds["other_s"]) == pytest.approx(beside, rel=1e-9)
    for clock in ("", "cpu_"):
        assert sum(rounds[f"phase_lp_solve_{clock}s"]) == pytest.approx(phases["lp_solve"][f"{clock or 'wall_'}s"])


def test_the_report_the_table_and_a_comparison_show_such_a_phase(tmp_path: Path, phasewise: Callable) -> None:
    run_of(mine_then_late, tmp_path / "named")
    run_of(lambda _: Phase.LP_BUILD, tmp_path / "plain")
    compared = phasewise("compare", tmp_path / "plain", tmp_path / "named")
    assert (compared.code, compared.err) == (0, "")
    assert "mine" in compared.out
    assert "[bold]late" in compared.out
    assert phasewise("report", tmp_path / "plain", tmp_path / "named", "--out", tmp_path / "both.html").code == 0
    page = (tmp_path / "both.html").read_text()
    assert LATE in page
    assert phasewise("view", tmp_path / "named", "--out", tmp_path / "view.html").code == 0
    with registry.registered(Naming(mine_then_late)):
        shown = phasewise(
            "run", "toy", "-q", "--solver", "naming", "--rounds", 60, "--set", "stop.window=none",
            "--out", tmp_path / "again",
        )  # fmt: skip
    assert (shown.code, shown.err) == (0, "")
    (row,) = [line for line in shown.out.splitlines() if line.startswith("[bold]late")]
    assert len(row.rstrip()) <= 120


@pytest.mark.parametrize("name", [OTHER, "", "a\nb", "\udc80", "\x1b[31m", "policy"])
def test_no_name_of_a_phase_ends_a_run(name: str, tmp_path: Path, phasewise: Callable) -> None:
    run = run_of(lambda _: name, tmp_path / "out")
    assert run.summary["rounds"] == 60
    assert sum(phase["share"] for phase in run.summary["phases"].values()) == pytest.approx(1.0)
    assert phasewise("report", tmp_path / "out").code == 0


def test_a_name_made_anew_each_time_does_not_grow_without_end() -> None:
    clock = FakeClock()
    timer = PhaseTimer(clock)
    for index in range(1000):
        with timer.phase(f"call {index}"):
            clock.now_s += 1.0
    profile = timer.take()
    assert len(profile.accounts) == MOST_ACCOUNTS
    assert profile.total_s == 1000.0
    assert profile.other_s == 1000.0 - (MOST_ACCOUNTS - len(ACCOUNTS))


def test_a_phase_called_other_is_the_time_outside_all_phases() -> None:
    clock = FakeClock()
    timer, totals = PhaseTimer(clock), PhaseTotals()
    with timer.phase("policy"):
        clock.now_s += 1.0
        with timer.phase(OTHER):
            clock.now_s += 2.0
    totals.add(timer.take())
    assert {name: phase["wall_s"] for name, phase in totals.phases().items()} == {"policy": 1.0, OTHER: 2.0}
