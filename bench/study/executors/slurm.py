"""Points as tasks of a SLURM cluster, submitted by submitit: arrays of tasks that do several points each.

What became of a point is read from its own files. That a task is gone is read from the queue, which every cluster has;
its accounting is asked nothing.
"""

from __future__ import annotations

import math
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Final

import msgspec
from submitit import AutoExecutor
from submitit.core.utils import FailedSubmissionError
from submitit.helpers import Checkpointable, DelayedSubmission

from phasewise.bench.study.costs import Costs
from phasewise.bench.study.errors import StudyError
from phasewise.bench.study.executors.api import Callbacks
from phasewise.bench.study.executors.local import LocalExecutor
from phasewise.bench.study.folder import ENDS, StudyFolder
from phasewise.bench.study.points import Point
from phasewise.bench.study.records import Attempt, read_attempt, write_attempt
from phasewise.sched.version import RULES

LOOK_S: Final = 2.0  # between two looks at the queue and the files
TASKS: Final = 64  # at once, where --workers does not say
TASK_S: Final = 600.0  # CPU time that is worth a task of its own
MOST_TRIES: Final = 3  # of a point whose task is killed
MORE: Final = 2.0  # times the memory, or the time, of the try before
TIMEOUT_MIN: Final = 240  # of a task, where [slurm] does not say
TIMEOUTS: Final = 3  # at which a task is put back into the queue; then it gets more time
ARRAY: Final = re.compile(r"MaxArraySize\s*=\s*(\d+)")


class Task(Checkpointable):  # type: ignore[misc]  # submitit has no types
    """What a task does: its points, one after another, those that are done already left out."""

    def __init__(self, folder: Path, points: list[Point]) -> None:
        self.folder = folder
        self.points = points

    def __call__(self) -> None:
        """Do what is missing; a task that was put back into the queue goes on from its files."""
        folder = StudyFolder(self.folder)
        left = [point for point in self.points if not folder.state(point).done]
        self.executor = LocalExecutor(1, folder.path / "slurm" / f"worker-{left[0].name if left else 'none'}.log")
        self.executor.perform(left, folder.run_path, Costs(), Callbacks())

    def checkpoint(self) -> DelayedSubmission:
        """Have the point that is running saved, before the time is up, and return what is to be done later."""
        self.executor.stop()
        return DelayedSubmission(Task(self.folder, self.points))


@dataclass(slots=True)
class _Submitted:
    """A task in the queue."""

    name: str
    points: list[Point]
    before: dict[str, int]  # attempts at each of them before


@dataclass(slots=True)
class SlurmExecutor:
    """Does points as tasks of a SLURM cluster.

    Attributes
    ----------
    folder
        The study's, which must be shared by the nodes.
    parameters
        For submitit's `AutoExecutor`, verbatim: ``timeout_min``, ``mem_gb``, ``slurm_partition`` and so on.
    workers
        Tasks at once; None for `TASKS`.
    """

    folder: StudyFolder
    parameters: Mapping[str, Any]
    workers: int | None = None
    tasks: list[_Submitted] = field(default_factory=list)

    def perform(self, points: Sequence[Point], run_path: Callable[[str], Path], costs: Costs, tell: Callbacks) -> None:
        """Do all points: see `phasewise.bench.study.executors.api.Executor`."""
        left, tries, parameters = list(points), 1, dict(self.parameters)
        try:
            while left:
                self._submit(left, parameters, costs)
                tell.say(f"{len(left)} points in {len(self.tasks)} tasks are in the queue")
                killed = self._watch(run_path, costs, tell)
                if tries == MOST_TRIES or not killed:
                    for point in killed:
                        tell.ended(point, _give_up(run_path(point.name), point, tries))
                    return
                tries += 1
                left, parameters = [_with_more(point) for point in killed], _more(parameters)
                tell.say(f"{len(left)} points whose tasks were killed are tried again with more memory and time")
        finally:
            self._cancel()

    def _submit(self, points: Sequence[Point], parameters: Mapping[str, Any], costs: Costs) -> None:
        """Put points into the queue: arrays as large as the cluster allows."""
        batches = batches_of(points, costs, self.workers or TASKS)
        executor = self._executor(parameters)
        for first in range(0, len(batches), size := _array_size()):
            some = batches[first : first + size]
            try:
                jobs = executor.submit_array([Task(self.folder.path.absolute(), batch) for batch in some])
            except (FailedSubmissionError, subprocess.CalledProcessError, OSError) as error:
                raise StudyError(f"SLURM takes no tasks: {_last_line(error)}") from error
            for job, batch in zip(jobs, some, strict=True):
                before = {point.name: self._attempts(point) for point in batch}
                self.tasks.append(_Submitted(job.job_id, batch, before))

    def _executor(self, parameters: Mapping[str, Any]) -> AutoExecutor:
        try:
            executor = AutoExecutor(
                self.folder.path.absolute() / "slurm",
                cluster="slurm",
                slurm_max_num_timeout=TIMEOUTS,
                slurm_python=f"{sys.executable} -P",
            )
            given = {"timeout_min": TIMEOUT_MIN, "slurm_array_parallelism": self.workers or TASKS, **parameters}
            executor.update_parameters(**given)
        except RuntimeError as error:
            raise StudyError(f"--executor slurm: {error}; allowed: on a machine with SLURM's commands") from error
        except (ValueError, TypeError, AssertionError, NameError) as error:
            raise StudyError(f"slurm: {error}") from error
        return executor

    def _attempts(self, point: Point) -> int:
        attempt = read_attempt(self.folder.run_path(point.name))
        return 0 if attempt is None else attempt.attempts

    def _watch(self, run_path: Callable[[str], Path], costs: Costs, tell: Callbacks) -> list[Point]:
        """Wait for the end of all tasks, and return the points that were killed with theirs."""
        told, killed = _Told(run_path, costs, tell), list[Point]()
        missing: set[str] = set()
        while self.tasks:
            time.sleep(LOOK_S)
            queue = _queue()
            for task in list(self.tasks):
                told.look(task)
                if queue is None or task.name in queue:
                    continue
                if task.name not in missing:  # its last files may still be on their way
                    missing.add(task.name)
                    continue
                self.tasks.remove(task)
                killed += told.end(task)
            tell.advanced(None, None)
            if tell.interrupted():
                raise KeyboardInterrupt
        return killed

    def _cancel(self) -> None:
        """Take what is left out of the queue; a process that does a point notices, and saves it."""
        names = [task.name for task in self.tasks]
        self.tasks.clear()
        for first in range(0, len(names), 100):
            subprocess.run(["scancel", *names[first : first + 100]], check=False, capture_output=True)


@dataclass(slots=True)
class _Told:
    """What was told of the points of tasks."""

    run_path: Callable[[str], Path]
    costs: Costs
    tell: Callbacks
    began: set[str] = field(default_factory=set)
    ended: set[str] = field(default_factory=set)

    def look(self, task: _Submitted) -> None:
        """Tell what began and what is done."""
        for point in task.points:
            attempt = read_attempt(self.run_path(point.name))
            if attempt is None or attempt.attempts <= task.before[point.name] or point.name in self.ended:
                continue
            if point.name not in self.began:
                self.began.add(point.name)
                self.tell.began(point)
            if attempt.status in ENDS:
                self._end(point, attempt)

    def end(self, task: _Submitted) -> list[Point]:
        """Tell of the points of a task that is gone, and return those that it did not bring to an end."""
        self.look(task)
        killed: list[Point] = []
        for point in [point for point in task.points if point.name not in self.ended]:
            attempt = read_attempt(self.run_path(point.name))
            tried = attempt is not None and attempt.attempts > task.before[point.name]
            if attempt is not None and tried and attempt.status == "failed" and attempt.cause in ("", "cpu"):
                self._end(point, attempt)
            else:
                killed.append(point)
        return killed

    def _end(self, point: Point, attempt: Attempt) -> None:
        self.ended.add(point.name)
        if attempt.cpu_s is not None:
            self.costs.note(point, attempt.cpu_s)
        self.tell.ended(point, attempt)


def batches_of(points: Sequence[Point], costs: Costs, tasks: int) -> list[list[Point]]:
    """Return points in batches that take about the same, the longest first.

    There are as many as fill the tasks that may run at once four times over, or, where it is known what points take,
    as many as are worth a task.
    """
    expected = {point.name: costs.expected_s(point) for point in points}
    known = [each for each in expected.values() if each is not None]
    wanted = 4 * tasks if len(known) < len(points) else max(tasks, math.ceil(sum(known) / TASK_S))
    batches: list[list[Point]] = [[] for _ in range(min(len(points), wanted))]
    loads = [0.0] * len(batches)
    for point in costs.longest_first(points):
        least = loads.index(min(loads))
        batches[least].append(point)
        loads[least] += expected[point.name] or 1.0
    return batches


def _with_more(point: Point) -> Point:
    """Return a point that may take more memory, where that is limited."""
    limits = point.resolved.get("limits", {})
    memory_mib = limits.get("memory_mib")
    if memory_mib is None:
        return point
    wider = {**limits, "memory_mib": math.ceil(MORE * memory_mib)}
    return replace(point, resolved={**point.resolved, "limits": wider})


def _more(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters of tasks that get more memory, where that is limited, and more time."""
    more = {"timeout_min": TIMEOUT_MIN, **parameters}
    return more | {key: math.ceil(MORE * more[key]) for key in ("timeout_min", "mem_gb") if key in more}


def _give_up(run: Path, point: Point, tries: int) -> Attempt:
    """Write down that the tasks of a point were killed again and again, and return that."""
    attempt = read_attempt(run) or Attempt(point=point.name, rules=RULES, status="failed")
    why = f" ({attempt.message})" if attempt.message else ""
    message = (
        f"its task was killed in each of {tries} tries, the last with {MORE ** (tries - 1):g} times the memory{why}"
    )
    run.mkdir(parents=True, exist_ok=True)
    given_up = msgspec.structs.replace(attempt, status="failed", cause="killed", message=message)
    write_attempt(run, given_up)
    return given_up


def _queue() -> set[str] | None:
    """Return the tasks of ours that wait or run, as ``ARRAY_INDEX`` or by their number; None where nobody answers."""
    done = subprocess.run(["squeue", "--me", "-h", "-r", "-o", "%i"], check=False, capture_output=True, text=True)
    return None if done.returncode else set(done.stdout.split())


def _array_size() -> int:
    """Return how many tasks an array may have here."""
    try:
        done = subprocess.run(["scontrol", "show", "config"], check=False, capture_output=True, text=True)
    except OSError as error:
        raise StudyError(f"--executor slurm: cannot run scontrol: {error.strerror}") from error
    found = ARRAY.search(done.stdout)
    if found is None:
        raise StudyError(f"--executor slurm: SLURM does not answer: {done.stderr.strip() or 'no MaxArraySize'}")
    return max(1, int(found[1]) - 1)


def _last_line(error: Exception) -> str:
    return str(error).strip().splitlines()[-1] if str(error).strip() else type(error).__name__
