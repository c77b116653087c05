"""From a scenario to a finished run directory: builds the parts, runs the engine, saves what there is.

Everything that can be wrong with the input is found before the run directory is touched. From then on, whatever ends
the run, what was computed is written.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from phasewise.profiling.artefacts.sinks import NullSink, Sink
from phasewise.profiling.defects import said
from phasewise.profiling.errors import OutputError, ProfilingError
from phasewise.profiling.jit.account import ACCOUNT, Charge
from phasewise.profiling.jit.prepare import KernelError, prepare
from phasewise.profiling.memory import MemoryTimer
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.building import build_parts, contradicted
from phasewise.sched.defects import defect
from phasewise.sched.engine import Report, Simulation
from phasewise.sched.errors import RunFailedError, SchedulingError
from phasewise.sched.limits import resource_limit
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.recording.run_tables import write_phase_trace
from phasewise.sched.resuming import Standing, standing
from phasewise.sched.round.outcome import RoundOutcome
from phasewise.sched.round.parts import Parts, WarmSolve
from phasewise.sched.round.state import begin
from phasewise.sched.round.tree import restored
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.workload.arrivals import Workload
from phasewise.sched.workload.plausibility import doubts
from phasewise.solvers.api import State
from phasewise.solvers.errors import SolverError
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Solved

PROGRESS_ROUNDS = 32  # rounds between two reports of progress


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a run is.

    Attributes
    ----------
    completed
        Jobs that are over (completed, failed or refused).
    target
        Jobs whose end ends the run, None where another rule will.
    """

    round_index: int
    sim_time_s: float
    active: int
    completed: int
    target: int | None


@dataclass(frozen=True, slots=True)
class Callbacks:
    """What a run tells, and asks, whoever started it.

    Attributes
    ----------
    progress
        Called every few rounds.
    notify
        Gets a message where the kernels have to be compiled, and where a run is resumed.
    interrupted
        Asked after every round whether to save and end with KeyboardInterrupt. A signal handler that raises by itself
        may strike in the middle of a record, of which the run directory then has a part.
    on_problem
        Gets every problem that the policy states, before it is solved.
    warn
        Gets what is hard to believe of the workload, and doubtful in a run that is resumed, before it.
    timer
        What the phases are charged to, for whoever watches more than their times; None for a plain one.
    """

    progress: Callable[[Progress], None] | None = None
    notify: Callable[[str], None] = lambda _: None
    interrupted: Callable[[], bool] = lambda: False
    on_problem: Callable[[AllocationProblem], None] | None = None
    warn: Callable[[str], None] = lambda _: None
    timer: PhaseTimer | None = None


@dataclass(frozen=True, slots=True)
class RunOutcome:
    """What a run came to: status and summary as in `run.json`, the run directory, and the rule that ended it.

    The rule is "" where the run was over before.
    """

    status: str
    summary: dict[str, Any]
    out: Path | None
    reason: str = ""


def simulate(
    scenario: Scenario,
    out: Path | None,
    *,
    lines: Sink | None = None,
    command: Sequence[str] = (),
    callbacks: Callbacks = Callbacks(),
    resume: bool = False,
) -> RunOutcome:
    """Run a scenario and return what it came to.

    Parameters
    ----------
    out
        The run directory, made where it does not exist; None writes nothing.
    lines
        Gets every line as it is emitted, besides `lines.log`.
    command
        The command line, kept in `run.json`.
    callbacks
        What the run tells and asks its caller.
    resume
        Whether to go on from the last checkpoint of the run in ``out``. Where that run is over, nothing is written and
        what it came to is returned; where it has no checkpoint, or there is none, it begins anew.

    Raises
    ------
    ScenarioError, TraceError, UnknownPolicyError, UnknownPlacementError, SolverError
        Where the input is wrong; nothing was written.
    ResumeError
        Where ``out`` holds another run than this scenario's, or its files are damaged; nothing was written.
    OutputError
        Where the run directory cannot be made.
    RunFailedError
        Where the run had begun; what was computed is saved with status ``failed``.
    DefectError
        Where anything else was raised, at any time: it says by which part, and where the traceback is kept.
    KeyboardInterrupt
        Let through after saving with status ``interrupted``.
    """
    before = _told_standing(scenario, out, callbacks) if resume and out is not None else Standing()
    if before.over is not None:
        return RunOutcome(before.over["status"], dict(before.over["summary"]), out)
    timer, limit = callbacks.timer or _timer(scenario), resource_limit(scenario)
    with _blamed(scenario):
        parts = build_parts(scenario, timer)
    if callbacks.on_problem is not None:
        parts = replace(parts, solve=_watched(parts.solve, callbacks.on_problem))
    for doubt in doubts(parts.workload, parts.layout.worker_types):
        callbacks.warn(doubt)
    begun = before.checkpoint
    with _blamed(scenario):
        compile_s = prepare_kernels(parts, callbacks)
        state = begin(parts) if begun is None else restored(begun.state, parts)
    if out is not None:
        _make(out)
    recorder = Recorder(scenario, parts.layout, out, lines or NullSink(), command, begun)
    recorder.totals.compile_s += compile_s
    _tell_of_import(scenario, parts.workload, recorder, callbacks)
    report = None if callbacks.progress is None else _reporter(scenario, parts, recorder, callbacks.progress)
    with ACCOUNT.charged(_late(timer, recorder, callbacks.notify)):
        simulation = Simulation(state, parts, recorder, timer, report, limit, resumed=begun is not None)
        outcome = _run(simulation, recorder, out, callbacks.interrupted)
    _tell_of_limit(outcome, recorder, callbacks)
    if out is not None and scenario.output.trace:
        _draw_phases(out, parts.layout.worker_types, callbacks)
    return outcome


def _timer(scenario: Scenario) -> PhaseTimer:
    """Return what measures phases: memory, too, where that is asked for, of which no round is kept."""
    return MemoryTimer(rounds=None) if scenario.output.memory else PhaseTimer()


def _told_standing(scenario: Scenario, out: Path, callbacks: Callbacks) -> Standing:
    """Return where the run in ``out`` stands, having told of it."""
    found = standing(scenario, out)
    for note in found.notes:
        callbacks.notify(note)
    for doubt in found.doubts:
        callbacks.warn(doubt)
    return found


def _tell_of_import(scenario: Scenario, workload: Workload, recorder: Recorder, callbacks: Callbacks) -> None:
    """Tell what was assumed of a trace of other origin, and have it recorded."""
    recorder.owned(workload.origins)
    account = workload.imported
    if account is None:
        return
    _, correction = contradicted(scenario, workload)
    if correction:
        callbacks.warn(correction)
        account = account | {"assumptions": [*account["assumptions"], correction]}
    recorder.imported(account)
    for sentence in account["assumptions"]:
        if sentence != correction:
            callbacks.notify(f"assumed: {sentence}")


def _tell_of_limit(outcome: RunOutcome, recorder: Recorder, callbacks: Callbacks) -> None:
    """Warn where a run ended at its limit of simulated time with jobs left."""
    limit_s = recorder.scenario.stop.sim_time_s
    if outcome.status == "stopped" and limit_s is not None and recorder.totals.now_s >= limit_s:
        callbacks.warn(
            f"stopped at the limit of simulated time, stop.sim_time_s = {limit_s:,.0f} s, with "
            f"{recorder.totals.active:,} jobs active: more work arrives than is "
            "completed, or the limit is too low (--set stop.sim_time_s=...)"
        )


def _draw_phases(out: Path, worker_types: Sequence[str], callbacks: Callbacks) -> None:
    """Write the trace of phases of a run that is done and saved: where that fails, the run has not."""
    try:
        write_phase_trace(out, worker_types)
    except ProfilingError as error:
        callbacks.notify(f"warning: the run is complete, but without its trace of phases: {error}")


def _watched(solve: WarmSolve, on_problem: Callable[[AllocationProblem], None]) -> WarmSolve:
    """Return ``solve``, telling of each problem first."""

    def watched(problem: AllocationProblem, warm: State) -> Solved:
        on_problem(problem)
        return solve(problem, warm)

    return watched


def prepare_kernels(parts: Parts, callbacks: Callbacks = Callbacks()) -> float:
    """Have all that running takes compiled, and return the wall seconds that this took; 0 where it was kept.

    Raises
    ------
    OutputError
        Where what is compiled can be kept nowhere.
    SchedulingError
        Where a rule of placement cannot be compiled.
    """
    try:
        return prepare(parts.kernels, callbacks.notify, callbacks.interrupted)
    except KernelError as error:
        raise SchedulingError(str(error)) from error


def _late(timer: PhaseTimer, recorder: Recorder, notify: Callable[[str], None]) -> Charge:
    """Return what keeps a late compilation out of the phases, adds it to the run's own account, and warns of it."""

    @contextmanager
    def charge(name: str) -> Iterator[None]:
        began_s = time.perf_counter()
        with timer.paused():
            yield
        spent_s = time.perf_counter() - began_s
        recorder.totals.compile_s += spent_s
        notify(f"compiled {name} within the run ({spent_s:.1f} s): not included in any phase, but in peak memory")

    return charge


def _make(out: Path) -> None:
    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"cannot make the run directory {out}: {error.strerror}") from error


def _run(simulation: Simulation, recorder: Recorder, out: Path | None, interrupted: Callable[[], bool]) -> RunOutcome:
    began_s = time.perf_counter()
    simulation.timer.take()  # what building the parts took belongs to no round
    try:
        reason = simulation.run(lambda: time.perf_counter() - began_s, interrupted)
        recorder.leave(simulation.active_jobs())
        summary = recorder.finish(reason.status, str(reason))
    except (SchedulingError, SolverError, OutputError) as error:
        recorder.leave(simulation.active_jobs())
        recorder.abandon("failed", str(error))
        raise RunFailedError(recorder.explained(error), simulation.state.round_index, recorder.place) from error
    except KeyboardInterrupt:
        recorder.leave(simulation.active_jobs())
        recorder.abandon("interrupted", "interrupted")
        raise
    except BaseException as error:  # a defect, of ours or of a plug-in, even where that asks for the end of the process
        with suppress(Exception):  # it may be the recorder itself that is broken
            recorder.leave(simulation.active_jobs())
            recorder.abandon("failed", said(error))
        raise defect(error, recorder.scenario, simulation.state.round_index, recorder.place) from error
    return RunOutcome(reason.status, summary, out, str(reason))


@contextmanager
def _blamed(scenario: Scenario) -> Iterator[None]:
    """Say whose defect it is where building the parts of a run raises what says nothing of wrong input."""
    try:
        yield
    except (SchedulingError, SolverError, ProfilingError, KeyboardInterrupt):
        raise
    except BaseException as error:
        raise defect(error, scenario, None, None) from error


def _reporter(scenario: Scenario, parts: Parts, recorder: Recorder, on_progress: Callable[[Progress], None]) -> Report:
    """Return what reports every few rounds."""
    window = scenario.stop.window
    target = parts.workload.total if window is None else window[1] - window[0]

    def report(outcome: RoundOutcome) -> None:
        if (outcome.round_index + 1) % PROGRESS_ROUNDS:
            return
        totals = recorder.totals
        on_progress(Progress(totals.rounds, totals.now_s, totals.active, totals.done, target))

    return report
