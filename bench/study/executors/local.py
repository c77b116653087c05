"""Points in processes of this machine: one thread each, several points a process, limits that hold from outside."""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import sys
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import msgspec

from phasewise.bench.study.costs import Costs
from phasewise.bench.study.errors import StudyError
from phasewise.bench.study.executors.api import Callbacks
from phasewise.bench.study.points import Point
from phasewise.bench.study.records import Attempt, Cause, read_attempt, write_attempt
from phasewise.bench.study.worker import Answer, Order
from phasewise.profiling.environment import THREAD_PINS
from phasewise.sched.version import RULES

TICK_S: Final = 0.1  # between two looks at the memory of workers
PATIENCE_S: Final = 60.0  # for a worker that was asked to end, to finish its round and save
MIB: Final = 1 << 20


@dataclass(slots=True)
class _Worker:
    """A process and what it is doing."""

    process: subprocess.Popen[bytes]
    answers: int
    waiting: bytes = b""
    point: Point | None = None
    done: int = 0
    began_s: float = 0.0
    preparing: bool = False
    cause: Cause = ""

    def order(self, order: Order) -> None:
        """Give an order; a worker that is dead already shows by the end of its answers."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.write(msgspec.json.encode(order) + b"\n")
            self.process.stdin.flush()

    def dismiss(self) -> None:
        """Tell that there are no more orders."""
        assert self.process.stdin is not None
        with contextlib.suppress(OSError):
            self.process.stdin.close()

    @property
    def rss_mib(self) -> float:
        """The memory that it holds now, MiB; 0 where the system does not tell."""
        try:
            pages = int(Path(f"/proc/{self.process.pid}/statm").read_bytes().split()[1])
        except (OSError, IndexError, ValueError):
            return 0.0
        return pages * os.sysconf("SC_PAGE_SIZE") / MIB

    def release(self) -> int:
        """Wait for its end, give back what it held of the system, and return its exit status."""
        self.dismiss()
        status = self.process.wait()
        os.close(self.answers)
        return status


@dataclass(slots=True)
class LocalExecutor:
    """Does points in processes of this machine.

    Attributes
    ----------
    workers
        How many at once.
    log
        Takes what the processes write on standard output and error.
    pool
        The processes, while there are any.
    """

    workers: int
    log: Path
    pool: _Pool | None = None

    def stop(self) -> None:
        """Have what is running saved and every process ended, from within a signal's handler if need be."""
        if self.pool is not None:
            self.pool.end_all()

    def perform(self, points: Sequence[Point], run_path: Callable[[str], Path], costs: Costs, tell: Callbacks) -> None:
        """Do all points: see `phasewise.bench.study.executors.api.Executor`."""
        if self.workers < 1:
            raise StudyError(f"--workers {self.workers}; allowed: at least 1")
        self.pool = _Pool(self, run_path, costs, tell)
        with self.pool.open():
            self.pool.work(list(points))


@dataclass(slots=True)
class _Pool:
    """The processes of one call, and the points that wait."""

    executor: LocalExecutor
    run_path: Callable[[str], Path]
    costs: Costs
    tell: Callbacks
    workers: list[_Worker] = field(default_factory=list)
    waiting: list[Point] = field(default_factory=list)
    again: deque[Point] = field(default_factory=deque)  # for a fresh process each
    selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector)

    @contextlib.contextmanager
    def open(self) -> Iterator[_Pool]:
        """Yield the pool; at the end, however it comes, no process is left."""
        try:
            yield self
        except BaseException:
            self.end_all()
            raise
        finally:
            for worker in self.workers:
                worker.dismiss()
            for worker in list(self.workers):
                self._forget(worker)
            self.selector.close()
            with contextlib.suppress(OSError):
                if not self.executor.log.stat().st_size:
                    self.executor.log.unlink()

    def work(self, points: list[Point]) -> None:
        """Do all points; the first process compiles what they take before there is a second one."""
        self.waiting = points
        if not points:
            return
        first = self._start()
        first.preparing = True
        first.order(Order(prepare=_kinds_of(points)))
        while any(worker.preparing for worker in self.workers):
            self._look()
        while self.waiting or self.again or any(worker.point is not None for worker in self.workers):
            self._hand_out()
            self._look()

    def _hand_out(self) -> None:
        """Give every idle worker, and as many new ones as there may be, the point that will take longest."""
        for worker in [each for each in self.workers if each.point is None]:
            if self.again and worker.done:  # it wants a fresh process
                self._forget(worker)
            elif self.again or self.waiting:
                self._give(worker)
        while (self.again or self.waiting) and len(self.workers) < self.executor.workers:
            self._give(self._start())

    def _give(self, worker: _Worker) -> None:
        if self.again:
            point = self.again.popleft()
        else:
            point = self.costs.longest_first(self.waiting)[0]
            self.waiting.remove(point)
        worker.point, worker.began_s = point, time.monotonic()
        self.tell.began(point)
        worker.order(Order(point=point, run=str(self.run_path(point.name).absolute())))

    def _start(self) -> _Worker:
        reading, writing = os.pipe()
        pins = dict.fromkeys(THREAD_PINS, "1")
        try:
            with self.executor.log.open("ab") as log:
                process = subprocess.Popen(
                    [sys.executable, "-P", "-m", "phasewise.bench.study.worker", str(writing)],
                    stdin=subprocess.PIPE,
                    stdout=log,
                    stderr=log,
                    pass_fds=[writing],
                    env=os.environ | pins,
                    start_new_session=True,  # Ctrl-C is for us to pass on
                )
        except OSError as error:
            os.close(reading)
            raise StudyError(f"cannot start a process: {error.strerror}") from error
        finally:
            os.close(writing)
        worker = _Worker(process, reading)
        self.workers.append(worker)
        self.selector.register(reading, selectors.EVENT_READ, worker)
        return worker

    def _look(self) -> None:
        """Wait a moment for answers, and look whether limits hold; raises KeyboardInterrupt where one was asked for."""
        for key, _ in self.selector.select(TICK_S):
            worker: _Worker = key.data
            block = os.read(worker.answers, 1 << 16)
            if not block:
                self._died(worker)
                continue
            *lines, worker.waiting = (worker.waiting + block).split(b"\n")
            for line in lines:
                self._take(worker, msgspec.json.decode(line, type=Answer))
        for worker in list(self.workers):
            self._hold_to_memory(worker)
        self.tell.advanced(None, None)
        if self.tell.interrupted():
            raise KeyboardInterrupt

    def _take(self, worker: _Worker, answer: Answer) -> None:
        if answer.prepared:
            worker.preparing = False
        elif answer.attempt is None:
            self.tell.advanced(worker.point, answer.share)
        elif worker.point is not None:
            point, worker.point = worker.point, None
            worker.done += 1
            if answer.attempt.cause == "memory" and worker.done > 1:  # what others left may have been too much
                self.again.append(point)
                return
            self._ended(point, answer.attempt)

    def _ended(self, point: Point, attempt: Attempt) -> None:
        if attempt.cpu_s is not None:
            self.costs.note(point, attempt.cpu_s)
        self.tell.ended(point, attempt)

    def _hold_to_memory(self, worker: _Worker) -> None:
        limit = None if worker.point is None else worker.point.limits.memory_mib
        if limit is not None and not worker.cause and worker.rss_mib > limit:
            worker.cause = "memory"
            worker.process.kill()

    def _died(self, worker: _Worker) -> None:
        """Say of a point whose process is gone that it failed, or try it once more where it may not be to blame."""
        point, cause, done = worker.point, worker.cause, worker.done
        prepared_only = worker.preparing
        status = self._forget(worker)
        if point is None:
            if prepared_only and not self.tell.interrupted():
                raise StudyError(f"a process ended with {_in_words(status)} before its first point; see {self._log}")
            return
        if done:
            self.again.append(point)
            return
        message, cause = self._verdict(point, status, cause)
        run = self.run_path(point.name)
        attempt = read_attempt(run) or Attempt(point=point.name, rules=RULES, status="failed")
        spent_s = time.monotonic() - worker.began_s
        attempt = msgspec.structs.replace(attempt, status="failed", message=message, cause=cause, wall_s=spent_s)
        run.mkdir(parents=True, exist_ok=True)
        write_attempt(run, attempt)
        self._ended(point, attempt)

    def _verdict(self, point: Point, status: int, cause: Cause) -> tuple[str, Cause]:
        """Return why a process that did nothing but this point is gone."""
        limits = point.limits
        if cause == "memory":
            return f"ended: it held more than limits.memory_mib = {limits.memory_mib:,}", "memory"
        if status == -signal.SIGXCPU:
            return f"ended: a round took it far beyond limits.cpu_s = {limits.cpu_s:g}", "cpu"
        if status == -signal.SIGKILL:
            return "killed from outside, perhaps by the system because memory ran out", "killed"
        return f"its process ended with {_in_words(status)}; see {self._log}", ""

    @property
    def _log(self) -> Path:
        return self.executor.log

    def _forget(self, worker: _Worker) -> int:
        if worker in self.workers:
            self.workers.remove(worker)
            self.selector.unregister(worker.answers)
        return worker.release()

    def end_all(self) -> None:
        """Ask every process to save and end, and end those that do not."""
        for worker in self.workers:
            with contextlib.suppress(OSError):
                worker.process.terminate()
            worker.dismiss()
        until_s = time.monotonic() + PATIENCE_S
        for worker in self.workers:
            try:
                worker.process.wait(max(0.0, until_s - time.monotonic()))
            except subprocess.TimeoutExpired:
                worker.process.kill()


def _kinds_of(points: Sequence[Point]) -> list[Point]:
    """Return one point of each kind of compiled code: the same policy, solver, placement and machines."""
    kinds: dict[str, Point] = {}
    for point in points:
        what = {key: point.resolved.get(key) for key in ("policy", "solver", "placement", "timing", "migration")}
        if point.kind == "inflate":
            what = {"placement": point.resolved["setting"]["placement"]}
        kinds.setdefault(msgspec.json.encode(what).decode(), point)
    return list(kinds.values())


def _in_words(status: int) -> str:
    return f"signal {signal.Signals(-status).name}" if status < 0 else f"exit status {status}"
