"""Studies on a real SLURM: arrays, tasks that are killed, put back into the queue, or run out of time."""

from __future__ import annotations

import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import slurm_cluster
from small_studies import study

from phasewise.bench.study.costs import Costs
from phasewise.bench.study.definition import Definition, load_definition
from phasewise.bench.study.errors import StudyError
from phasewise.bench.study.executors.api import Callbacks
from phasewise.bench.study.executors.slurm import SlurmExecutor, batches_of
from phasewise.bench.study.folder import State, StudyFolder
from phasewise.bench.study.points import Point, points_of
from phasewise.bench.study.records import Attempt
from phasewise.bench.study.study import run_study

# a run of some ten seconds
LONG = '[set]\nstop.window = "1000:2000"\n[grid]\nseed = [0]\n'


@pytest.fixture(scope="module")
def slurm(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    if lacking := slurm_cluster.missing():
        pytest.skip(f"needs {lacking}")
    with slurm_cluster.running(tmp_path_factory.mktemp("slurm")):
        yield


def long(folder: Path) -> Definition:
    path = folder / "long.toml"
    path.write_text(f'[study]\nname = "long"\nscenario = "philly"\n{LONG}')
    return load_definition(path)


def done(
    folder: Path,
    definition: Definition,
    parameters: dict[str, object] | None = None,
    began: Callable[[SlurmExecutor, Point], None] = lambda *_: None,
) -> tuple[list[State], list[str], list[tuple[Point, Attempt]]]:
    """Return the states of a study done on SLURM, what was said meanwhile, and every end that was told."""
    executor = SlurmExecutor(StudyFolder(folder), parameters or {}, 2)
    said: list[str] = []
    ended: list[tuple[Point, Attempt]] = []
    tell = Callbacks(
        began=lambda point: began(executor, point),
        ended=lambda point, attempt: ended.append((point, attempt)),
        say=said.append,
    )
    return run_study(definition, executor.folder, executor, lambda _: tell), said, ended


@pytest.mark.nightly
@pytest.mark.usefixtures("slurm")
def test_points_in_arrays_come_to_their_end_and_are_not_done_again(tmp_path: Path) -> None:
    definition = study(tmp_path, '[set]\nworkload.jobs = 2\n[grid]\nseed = "0:10"\n')
    states, said, ended = done(tmp_path / "it", definition)
    assert [state.status for state in states] == ["complete"] * 10
    assert said == ["10 points in 8 tasks are in the queue"]
    assert sorted(point.name for point, _ in ended) == sorted(state.point.name for state in states)
    again = done(tmp_path / "it", definition)
    assert ([state.status for state in again[0]], again[1:]) == (["complete"] * 10, ([], []))


@pytest.mark.nightly
@pytest.mark.usefixtures("slurm")
def test_a_point_that_needs_more_memory_gets_it(tmp_path: Path) -> None:
    definition = study(tmp_path, "[grid]\nseed = [0]\n[limits]\nmemory_mib = 90\n")
    (state,), said, _ = done(tmp_path / "it", definition, {"mem_gb": 1})
    assert state.status == "complete"
    assert state.attempt.attempts > 1
    assert state.attempt.memory_mib in (180, 360)
    assert any("tried again with more memory" in line for line in said)


@pytest.mark.nightly
@pytest.mark.usefixtures("slurm")
def test_a_point_that_needs_ever_more_memory_is_given_up(tmp_path: Path) -> None:
    definition = study(tmp_path, "[grid]\nseed = [0]\n[limits]\nmemory_mib = 10\n")
    (state,), said, ended = done(tmp_path / "it", definition)
    assert (state.status, state.done, len(ended)) == ("failed", False, 1)
    assert "its task was killed in each of 3 tries" in state.message
    assert "limits.memory_mib = 40" in state.message
    assert sum("tried again" in line for line in said) == 2


@pytest.mark.nightly
@pytest.mark.usefixtures("slurm")
def test_a_task_that_is_killed_is_tried_again(tmp_path: Path) -> None:
    killed: list[str] = []

    def kill(executor: SlurmExecutor, _: Point) -> None:
        if not killed:
            killed.append(executor.tasks[0].name)
            subprocess.run(["scancel", "--signal=KILL", "--full", killed[0]], check=True)

    (state,), said, ended = done(tmp_path / "it", long(tmp_path), began=kill)
    assert (state.status, state.attempt.attempts, len(ended)) == ("complete", 2, 1)
    assert any("tried again" in line for line in said)


@pytest.mark.nightly
@pytest.mark.usefixtures("slurm")
@pytest.mark.parametrize("how", [["scontrol", "requeue"], ["scancel", "--signal=USR2"]])
def test_a_task_that_is_put_back_into_the_queue_goes_on(tmp_path: Path, how: list[str]) -> None:
    sent: list[str] = []

    def disturb(executor: SlurmExecutor, _: Point) -> None:
        if not sent:
            sent.append(executor.tasks[0].name)
            subprocess.run([*how, sent[0]], check=True)

    (state,), said, ended = done(tmp_path / "it", long(tmp_path), began=disturb)
    assert (state.status, state.attempt.attempts, len(ended)) == ("complete", 2, 1)
    assert not any("tried again" in line for line in said), "the same task is to come back"


@pytest.mark.nightly
@pytest.mark.usefixtures("slurm")
def test_an_interruption_takes_the_tasks_out_of_the_queue(tmp_path: Path) -> None:
    folder = StudyFolder(tmp_path / "it")
    executor = SlurmExecutor(folder, {}, 2)
    tell = Callbacks(interrupted=lambda: True)
    with pytest.raises(KeyboardInterrupt):
        run_study(long(tmp_path), folder, executor, lambda _: tell)
    left = subprocess.run(["squeue", "--me", "-h", "-t", "PD,R"], check=True, capture_output=True, text=True)
    assert left.stdout == ""
    (state,), _, _ = done(tmp_path / "it", long(tmp_path))
    assert state.status == "complete"


def test_a_parameter_that_submitit_does_not_have_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("srun", "sbatch"):
        (tmp_path / name).write_text("#!/bin/sh\n")
        (tmp_path / name).chmod(0o755)
    (tmp_path / "scontrol").write_text("#!/bin/sh\necho 'MaxArraySize = 1001'\n")
    (tmp_path / "scontrol").chmod(0o755)
    monkeypatch.setenv("PATH", str(tmp_path), prepend=":")
    (point,) = points_of(study(tmp_path, "[grid]\nseed = [0]\n"))
    executor = SlurmExecutor(StudyFolder(tmp_path / "it"), {"memory": 3})
    with pytest.raises(StudyError, match=r"slurm: .*memory"):
        executor.perform([point], Path, Costs(), Callbacks())


def test_batches_take_about_the_same_and_no_point_is_lost(tmp_path: Path) -> None:
    points = points_of(study(tmp_path, '[grid]\nworkload.rate_per_hour = [1, 2, 4]\nseed = "0:8"\n'))
    costs = Costs()
    assert len(batches_of(points, costs, 2)) == 8
    for point in points[::8]:
        costs.note(point, 600.0 * point.overrides["workload.rate_per_hour"])
    batches = batches_of(points, costs, 2)
    assert sorted(point.name for batch in batches for point in batch) == sorted(point.name for point in points)
    loads = [sum(costs.expected_s(point) or 0.0 for point in batch) for batch in batches]
    assert len(batches) == len(points)  # each is worth a task
    assert sum(loads) == 600.0 * 7 * 8
    few = [sum(costs.expected_s(point) or 0.0 for point in batch) for batch in batches_of(points[:8], costs, 2)]
    assert max(few) - min(few) <= 600.0
