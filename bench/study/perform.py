"""One point, done in this process: simulated or filled, its end written down."""

from __future__ import annotations

import shutil
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import msgspec

from phasewise.bench.study.points import Point
from phasewise.bench.study.records import ATTEMPT, Attempt, read_attempt, write_attempt
from phasewise.profiling.environment import peak_rss_mib
from phasewise.profiling.errors import ProfilingError
from phasewise.sched.errors import LimitError, RunFailedError, SchedulingError
from phasewise.sched.version import RULES
from phasewise.solvers.errors import SolverError

if TYPE_CHECKING:
    from phasewise.sched.inflation.experiment import Setting
    from phasewise.sched.simulate import Progress

Interrupted = Callable[[], bool]
Report = Callable[["Progress"], None]

COMMAND: Final = ("phasewise", "study")
STALE: Final = (
    "error.txt",
    "report.html",
    "trace.json.gz",
    "lines.log",
)  # of an earlier attempt, which a new one may not write


def begin(run: Path, point: Point) -> Attempt:
    """Write down that a point is being worked on, and return that attempt; raises `OutputError`."""
    before = read_attempt(run)
    run.mkdir(parents=True, exist_ok=True)
    for name in STALE:
        with suppress(OSError):
            (run / name).unlink()
    limits = point.limits
    attempt = Attempt(
        point=point.name,
        rules=RULES,
        status="running",
        memory_mib=limits.memory_mib or 0.0,
        time_s=limits.cpu_s or 0.0,
        attempts=1 if before is None else before.attempts + 1,
    )
    write_attempt(run, attempt)
    return attempt


def perform(point: Point, run: Path, interrupted: Interrupted, report: Report | None = None) -> Attempt:
    """Do a point and return how that went, which is in its folder, too.

    Raises
    ------
    KeyboardInterrupt
        Where ``interrupted`` says so; what was computed is saved.
    OutputError
        Where not even that can be written.
    """
    began_s, began_cpu_s = time.monotonic(), time.process_time()
    attempt = begin(run, point)

    def ended(status: str, message: str, cause: Any = "") -> Attempt:
        told = msgspec.structs.replace(
            attempt,
            status=status,
            message=message,
            cause=cause,
            cpu_s=time.process_time() - began_cpu_s,
            wall_s=time.monotonic() - began_s,
            peak_rss_mib=peak_rss_mib(),
        )
        write_attempt(run, told)
        return told

    try:
        status, message = (_fill if point.kind == "inflate" else _simulate)(point, run, interrupted, report)
    except KeyboardInterrupt:
        ended("interrupted", "interrupted")
        raise
    except (SchedulingError, SolverError, ProfilingError) as error:
        _forget_old(run, error)
        of_memory = isinstance(error.__cause__, (LimitError, MemoryError))
        return ended("failed", str(error), "memory" if of_memory else "")
    return ended(status, message)


def _forget_old(run: Path, error: Exception) -> None:
    """Remove what an earlier attempt left where this one failed before it began: it says nothing of this one."""
    if not isinstance(error, RunFailedError):
        for entry in [entry for entry in run.iterdir() if entry.name != ATTEMPT]:
            with suppress(OSError):
                shutil.rmtree(entry) if entry.is_dir() else entry.unlink()


def _simulate(point: Point, run: Path, interrupted: Interrupted, report: Report | None) -> tuple[str, str]:
    from phasewise.sched.errors import ResumeError
    from phasewise.sched.scenario.config import Scenario
    from phasewise.sched.simulate import Callbacks, simulate

    scenario = msgspec.convert(point.resolved, Scenario)
    callbacks = Callbacks(progress=report, interrupted=interrupted)
    try:  # from the last checkpoint of an attempt that was cut short
        outcome = simulate(scenario, run, command=COMMAND, callbacks=callbacks, resume=True)
    except ResumeError:  # of other rules or outputs, or damaged
        outcome = simulate(scenario, run, command=COMMAND, callbacks=callbacks)
    return outcome.status, "" if outcome.status == "complete" else outcome.reason


def _fill(point: Point, run: Path, interrupted: Interrupted, report: Report | None) -> tuple[str, str]:
    from phasewise.sched.inflation.experiment import Filling, fill, prepare, prepare_kernels
    from phasewise.sched.inflation.records import write_experiment

    experiment, filling = prepare(setting_of(point)), Filling()
    prepare_kernels(experiment, lambda _: None, interrupted)
    try:
        fill(experiment, filling, interrupted=interrupted)
    except KeyboardInterrupt:
        write_experiment(run, experiment, filling, status="interrupted", command=COMMAND)
        raise
    write_experiment(run, experiment, filling, status="complete", command=COMMAND)
    return "complete", ""


def setting_of(point: Point) -> Setting:
    """Return what a fill is asked to do."""
    from phasewise.sched.inflation.experiment import Setting

    given = dict(point.resolved["setting"])
    order = given.pop("order")
    return Setting(**given | {"pods": Path(given["pods"]), "order": None if order is None else Path(order)})


def prepare_kernels_of(points: Sequence[Point], interrupted: Interrupted) -> None:
    """Have everything compiled that these points take, so that processes beside this one find it."""
    from phasewise.profiling.phases import PhaseTimer
    from phasewise.sched import building, simulate
    from phasewise.sched.inflation import experiment
    from phasewise.sched.scenario.config import Scenario

    for point in points:
        with suppress(SchedulingError, SolverError, ProfilingError):  # the point itself will say so
            if point.kind == "inflate":
                experiment.prepare_kernels(experiment.prepare(setting_of(point)), lambda _: None, interrupted)
            else:
                parts = building.build_parts(msgspec.convert(point.resolved, Scenario), PhaseTimer())
                simulate.prepare_kernels(parts, simulate.Callbacks(interrupted=interrupted))
