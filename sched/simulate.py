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

import numpy as np

from phasewise.profiling.artefacts.sinks import NullSink, Sink
from phasewise.profiling.defects import said
from phasewise.profiling.errors import OutputError, ProfilingError
from phasewise.profiling.jit.account import ACCOUNT, Charge
from phasewise.profiling.jit.kernel import Wanted, wanted
from phasewise.profiling.jit.prepare import KernelError, prepare
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched import registry
from phasewise.sched.api import Ints, NodeAccount, Placement, Policy, Ruled, StatesProblems
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.node_lists import build_layout, node_count
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.defects import defect
from phasewise.sched.engine import Report, Simulation
from phasewise.sched.errors import RunFailedError, ScenarioError, SchedulingError
from phasewise.sched.limits import effective_stop, resource_limit
from phasewise.sched.memory import estimate, require_memory
from phasewise.sched.policy_options import PolicyOptions
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.recording.run_tables import write_phase_trace
from phasewise.sched.resuming import Standing, standing
from phasewise.sched.round import kernels, lease_kernels
from phasewise.sched.round.migration import MigrationModel
from phasewise.sched.round.outcome import RoundOutcome
from phasewise.sched.round.parts import Parts, WarmSolve
from phasewise.sched.round.rules import Timing, preferred_types
from phasewise.sched.round.state import begin
from phasewise.sched.round.stopping import Stopper
from phasewise.sched.round.tree import restored
from phasewise.sched.scenario import policy_section
from phasewise.sched.scenario.config import Scenario
from phasewise.sched.scenario.workloads import build_workload
from phasewise.sched.workload.arrivals import Workload
from phasewise.sched.workload.plausibility import doubts
from phasewise.solvers import registry as solvers
from phasewise.solvers.api import State
from phasewise.solvers.errors import SolverError
from phasewise.solvers.families.max_min import MAX_MIN_SWITCHING
from phasewise.solvers.families.moving_sum import MAX_SUM_SWITCHING
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Solved, Solver, open_solver

_MOVING = frozenset({MAX_MIN_SWITCHING, MAX_SUM_SWITCHING})
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
    """

    progress: Callable[[Progress], None] | None = None
    notify: Callable[[str], None] = lambda _: None
    interrupted: Callable[[], bool] = lambda: False
    on_problem: Callable[[AllocationProblem], None] | None = None
    warn: Callable[[str], None] = lambda _: None


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
    before = standing(scenario, out) if resume and out is not None else Standing()
    for note in before.notes:
        callbacks.notify(note)
    for doubt in before.doubts:
        callbacks.warn(doubt)
    if before.over is not None:
        return RunOutcome(before.over["status"], dict(before.over["summary"]), out)
    timer, limit = PhaseTimer(), resource_limit(scenario)
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
    if parts.workload.imported is not None:
        recorder.imported(parts.workload.imported, parts.workload.origins)
        for sentence in parts.workload.imported["assumptions"]:
            callbacks.notify(f"assumed: {sentence}")
    report = None if callbacks.progress is None else _reporter(scenario, parts, recorder, callbacks.progress)
    with ACCOUNT.charged(_late(timer, recorder, callbacks.notify)):
        simulation = Simulation(state, parts, recorder, timer, report, limit, resumed=begun is not None)
        outcome = _run(simulation, recorder, out, callbacks.interrupted)
    limit_s = scenario.stop.sim_time_s
    if outcome.status == "stopped" and limit_s is not None and recorder.totals.now_s >= limit_s:
        callbacks.warn(
            f"stopped at the limit of simulated time, stop.sim_time_s = {limit_s:,.0f} s, with "
            f"{recorder.totals.active:,} jobs active: more comes in than gets done, or --set stop.sim_time_s=... is due"
        )
    if out is not None and scenario.output.trace:
        try:
            write_phase_trace(out)
        except ProfilingError as error:  # the run is done and saved: a picture of it is no reason to call it failed
            callbacks.notify(f"warning: the run is complete, but without its trace of phases: {error}")
    return outcome


def build_parts(scenario: Scenario, timer: PhaseTimer) -> Parts:
    """Return the parts of a simulation; raises as `simulate` does for wrong input."""
    solves = _solves(registry.policy_class(scenario.policy.name))
    require_memory(estimate(scenario, node_count(scenario.cluster), solves=solves))
    layout = build_layout(scenario.cluster)
    timing = Timing.resolve(scenario.timing)
    workload = build_workload(scenario, layout.worker_types)
    if scenario.workload.trace:
        require_memory(estimate(scenario, layout.nodes, solves=solves, jobs=workload.held))
    told = _told(scenario, timing, layout)
    policy = registry.policy(scenario.policy.name, told, policy_section.chosen(scenario))
    solver = open_solver(scenario.solver.name, scenario.solver.kwargs, timer)
    _require_families(policy, solver)
    _require_single_gpus(policy, workload)
    placement = registry.placement(
        scenario.placement.name,
        registry.PlacementOptions(layout, whole_gpus=not (layout.limited or _on_nodes(scenario, workload))),
    )
    return Parts(
        layout=layout,
        timing=timing,
        workload=workload,
        policy=policy,
        solve=solver.solve,
        placement=placement,
        stopper=Stopper(effective_stop(scenario), workload.total, _arrivals_per_s(scenario)),
        seed=scenario.seed,
        type_order=tuple(preferred_types(timing, layout.worker_types, workload.throughputs.mean_rates())),
        check_invariants=scenario.output.check_invariants,
        checkpoint_rounds=scenario.output.checkpoint_rounds,
        migration=MigrationModel.build(scenario.migration, workload.throughputs.names),
        gpu_hour_price=np.array(told.gpu_hour_prices) if told.gpu_hour_prices else None,
        idle_nodes=None if placement.spans_nodes else _idle_nodes(layout, workload),
        kernels=_kernels(policy, solver, placement),
    )


def _arrivals_per_s(scenario: Scenario) -> float | None:
    """Return the rate at which jobs arrive, None where they do not at one, or are served as was recorded.

    A trace has busy days, and a replay of recorded allocations ends where they do.
    """
    chosen = scenario.workload
    if chosen.trace or scenario.policy.name == "recorded":
        return None
    return chosen.rate_per_hour / 3600.0 or None


def _on_nodes(scenario: Scenario, workload: Workload) -> bool:
    """Return whether jobs may share a GPU or run on some types only, so that each has to fit on a node."""
    if not scenario.workload.trace:
        return bool(scenario.workload.pods)
    return any(request.gpu_spec or request.gpu_milli != WHOLE_MILLI for request in workload.requests())


def _told(scenario: Scenario, timing: Timing, layout: ClusterLayout) -> PolicyOptions:
    """Return what the run tells every policy."""
    prices = scenario.cluster.gpu_hour_prices
    return PolicyOptions(
        mask_impossible=timing.mask_impossible,
        reference_speeds=timing.reference_speeds,
        slos_all_or_none=timing.slos_all_or_none,
        gpu_hour_prices=tuple(prices[name] for name in layout.worker_types) if prices else (),
        move_weight=scenario.migration.weight / timing.round_s if scenario.migration.enabled else 0.0,
        seed=scenario.seed,
        worker_types=layout.worker_types,
    )


def _solves(policy: type | object) -> bool:
    """Return whether a policy states problems, as far as it says so."""
    return not isinstance(policy, StatesProblems) or bool(policy.families)


def _idle_nodes(layout: ClusterLayout, workload: Workload) -> Callable[[Ints], NodeAccount]:
    """Return what makes idle nodes, whose fragmentation is judged by what the workload's jobs typically ask for."""
    from phasewise.sched.nodes.state import NodeState  # noqa: PLC0415  (its kernels are of no use where jobs span nodes)

    return lambda stream: NodeState(layout, workload.tasks, stream=stream)


def _require_families(policy: Policy, solver: Solver) -> None:
    """Raise `ScenarioError` where a solver of the chain does not take what the policy states.

    Every one must: a link that never can answer is a mistake, and the run would depend on the others unnoticed.
    """
    stated = policy.families if isinstance(policy, StatesProblems) else frozenset()
    for name, taken in solver.families.items():
        for family in sorted(stated - taken):
            able = [each.name for each in solvers.describe() if each.installed and family in each.families]
            cause = ", as migration.enabled makes moving cost" if family in _MOVING else ""
            raise ScenarioError(
                f"solver {name} does not take problem family {family}, which policy {policy.name} states{cause}; "
                f"choose a solver that does: {', '.join(able)}"
            )


def _require_single_gpus(policy: Policy, workload: Workload) -> None:
    """Raise `ScenarioError` where a policy is for jobs of one whole GPU alone, and others may come."""
    if not getattr(policy, "single_gpus_only", False):
        return
    others = [request for request in workload.requests() if (request.gpus, request.gpu_milli) != (1, WHOLE_MILLI)]
    if others:
        gpus = ", ".join(f"{demand:g}" for demand in sorted({each.demand_milli / WHOLE_MILLI for each in others})[:8])
        raise ScenarioError(
            f"policy {policy.name} is for jobs of one whole GPU each, but jobs of {gpus} GPUs may come; choose another "
            "policy, or a workload of such jobs, as the generator's with workload.scale_factors = single and no pods"
        )


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
        notify(f"compiled {name} within the run ({spent_s:.1f} s): kept out of every phase, but not out of peak memory")

    return charge


def _kernels(policy: Policy, solver: Solver, placement: Placement) -> tuple[Wanted, ...]:
    """Return the compiled kernels that the loop, the solver and the placement take."""
    families = policy.families if isinstance(policy, StatesProblems) else frozenset()
    needed = [each for kernel in (*kernels.KERNELS, *lease_kernels.KERNELS) for each in wanted(kernel)]
    needed += solver.kernels(families)
    if not placement.spans_nodes and isinstance(placement, Ruled):
        from phasewise.sched.nodes.state import kernels_of  # noqa: PLC0415  (as in `_idle_nodes`)

        needed += kernels_of(placement.rule)
    return tuple(needed)


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
