"""Points in processes of this machine: limits that hold from outside, processes that die, Ctrl-C."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from small_studies import study

import phasewise
from phasewise.bench.study.definition import Definition, load_definition
from phasewise.bench.study.executors.api import Callbacks
from phasewise.bench.study.executors.local import LocalExecutor
from phasewise.bench.study.folder import State, StudyFolder
from phasewise.bench.study.points import Point
from phasewise.bench.study.study import run_study

pytestmark = pytest.mark.thorough

SHORT = "[set]\nworkload.jobs = 2\n"


def done(
    folder: Path, definition: Definition, workers: int = 1, tell: Callbacks | None = None
) -> tuple[list[State], LocalExecutor]:
    """Return what became of a study's points in processes."""
    executor = LocalExecutor(workers, folder / "workers.log")
    return run_study(definition, StudyFolder(folder), executor, lambda _: tell or Callbacks()), executor


def children() -> list[int]:
    """Return the processes that this one started."""
    found: list[int] = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                parent = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
            except OSError:
                continue
            found += [int(entry.name)] if parent == os.getpid() else []
    return found


def long(folder: Path) -> Definition:
    path = folder / "long.toml"
    path.write_text(
        '[study]\nname = "long"\nscenario = "philly"\n[set]\nstop.window = "100:1200"\n[grid]\nseed = [0, 1]\n'
    )
    return load_definition(path)


def once(act: Callable[[], None]) -> Callable[..., None]:
    """Return a callback that acts the first time it is called."""
    left = [act]

    def called(*_: object) -> None:
        if left:
            left.pop()()

    return called


def test_a_point_that_holds_too_much_memory_is_ended_and_the_others_are_done(tmp_path: Path) -> None:
    text = SHORT + "[grid]\nlimits.memory_mib = [60, 4000]\nseed = [0, 1]\n"
    text += "[[exclude]]\nlimits.memory_mib = 60\nseed = 1\n[[exclude]]\nlimits.memory_mib = 4000\nseed = 0\n"
    (greedy, modest), _ = done(tmp_path / "it", study(tmp_path, text))
    assert (greedy.status, modest.status) == ("failed", "complete")
    assert "limits.memory_mib = 60" in greedy.message
    assert greedy.attempt.cause == "memory"


def test_a_process_that_is_killed_in_its_first_point_fails_that_point_alone(tmp_path: Path) -> None:
    tell = Callbacks(began=once(lambda: [os.kill(pid, signal.SIGKILL) for pid in children()]))
    definition = study(tmp_path, SHORT + "[grid]\nseed = [0, 1]\n")
    states, _ = done(tmp_path / "it", definition, tell=tell)
    assert sorted(state.status for state in states) == ["complete", "failed"]
    (failed,) = [state for state in states if state.status == "failed"]
    assert "killed from outside" in failed.message
    again, _ = done(tmp_path / "it", definition)
    assert [state.status for state in again] == ["complete", "complete"]


def test_a_process_that_dies_after_other_points_gives_its_point_a_fresh_one(tmp_path: Path) -> None:
    began: list[str] = []

    def kill_at_the_second(point: Point) -> None:
        began.append(point.name)
        if len(began) == 2:
            for pid in children():
                os.kill(pid, signal.SIGKILL)

    definition = study(tmp_path, SHORT + "[grid]\nseed = [0, 1]\n")
    states, _ = done(tmp_path / "it", definition, tell=Callbacks(began=kill_at_the_second))
    assert [state.status for state in states] == ["complete", "complete"]
    assert len(began) == 3
    assert began[1] == began[2]


def test_ctrl_c_saves_what_was_computed_and_leaves_no_process(tmp_path: Path) -> None:
    before, asked = set(children()), [False]

    def ask(*_: object) -> None:
        asked[0] = True

    folder = StudyFolder(tmp_path / "it")
    tell = Callbacks(advanced=lambda point, share: ask() if share else None, interrupted=lambda: asked[0])
    with pytest.raises(KeyboardInterrupt):
        done(folder.path, long(tmp_path), tell=tell)
    assert set(children()) <= before
    states = folder.states(folder.points())
    assert sorted(state.status for state in states) == ["interrupted", "missing"]
    (cut,) = [state for state in states if state.status == "interrupted"]
    assert cut.summary["rounds"] > 0
    again, _ = done(folder.path, long(tmp_path), workers=2)
    assert [state.status for state in again] == ["complete", "complete"]


def test_a_limit_of_cpu_time_is_per_point_though_points_share_a_process(tmp_path: Path) -> None:
    text = SHORT + "[grid]\nseed = '0:2'\n[limits]\ncpu_s = 100\n"
    states, _ = done(tmp_path / "it", study(tmp_path, text))
    assert [state.status for state in states] == ["complete"] * 2
    limited, _ = done(tmp_path / "other", study(tmp_path, text.replace("100", "1e-3")))
    assert {(state.status, state.message) for state in limited} == {("stopped", "cpu_time")}


def test_one_process_does_several_points_where_one_is_asked_for(tmp_path: Path) -> None:
    seen: set[int] = set()
    before = set(children())
    tell = Callbacks(began=lambda _: seen.update(set(children()) - before))
    states, _ = done(tmp_path / "it", study(tmp_path, SHORT + '[grid]\nseed = "0:4"\n'), tell=tell)
    assert [state.status for state in states] == ["complete"] * 4
    assert len(seen) == 1


def test_a_program_has_a_study_as_columns(tmp_path: Path) -> None:
    study(tmp_path, SHORT + "[grid]\nseed = [0, 1, 2]\n")
    found = phasewise.study(tmp_path / "small.toml", out=tmp_path / "it", overrides={"seed": "0:2"})
    assert found.done
    assert found.status["counts"] == {"complete": 2}
    assert found.table["seed"].tolist() == [0, 1]
    assert (found.table["avg_jct_s"] > 0.0).all()
    assert (found.run_path(found.table["point"][0]) / "run.json").is_file()
    again = phasewise.study(tmp_path / "it")
    assert again.table["avg_jct_s"].tolist() == found.table["avg_jct_s"].tolist()
