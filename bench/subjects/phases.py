"""Single phases of the loop, each alone, on what real rounds gave them.

A simulation runs once, and what its phases were called with is kept; a walk calls one phase with all of that, in order.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from phasewise.bench.subjects.api import Case, require
from phasewise.bench.subjects.loops import LOOPS, Loop
from phasewise.bench.suite_tapes import Scale
from phasewise.profiling.artefacts.sinks import NullSink
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.api import Assignment, Holding
from phasewise.sched.engine import Simulation
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.recording.records import RoundOutcome
from phasewise.sched.round import lease_kernels, priorities, progress
from phasewise.sched.round.state import JobTable

Walk = Callable[[], list[Any]]
PHASES: Final = ("priorities", "worker_assignment", "event_completion", "telemetry")


@dataclass(slots=True)
class Seen:
    """What the phases of one round were given.

    Attributes
    ----------
    jobs
        The table as it stood before worker assignment.
    launched
        The table as it stood before event completion.
    assigned
        Priorities, order of types and last holding, as `Assigner.assign` got them.
    """

    jobs: JobTable
    assigned: tuple[Any, ...]
    assignment: Assignment
    launched: JobTable
    worker_time_s: Any
    busy_s: Any
    now_s: float
    round_start_s: float
    outcome: RoundOutcome


class Rounds:
    """The measured rounds of a loop."""

    def __init__(self, loop: Loop) -> None:
        self.loop = loop
        simulation = loop.begun()
        self.parts = simulation.parts
        self.seen = [self._next(simulation) for _ in range(loop.rounds)]

    @staticmethod
    def _next(simulation: Simulation) -> Seen:
        """Run a round with its phases called by hand, as `Simulation.run_round` calls them, and note what they got."""
        notes: dict[str, Any] = {}
        assigner = simulation._assigner  # noqa: SLF001  (the seam between priorities and placement)
        assign, launch = assigner.assign, progress.launch

        def watched_assign(jobs: JobTable, priority: Any, types: Any, last: Holding) -> Assignment:
            notes["jobs"], notes["assigned"] = copy.deepcopy(jobs), (priority.copy(), types, last)
            notes["worker_time_s"] = simulation.service.worker_time_s.copy()
            notes["assignment"] = done = assign(jobs, priority, types, last)
            return done

        def watched_launch(jobs: JobTable, *rest: Any) -> progress.Flight:
            notes["launched"], notes["now_s"] = copy.deepcopy(jobs), simulation.clocks.now_s
            notes["busy_s"] = simulation.service.busy_s.copy()
            return launch(jobs, *rest)

        assigner.assign = watched_assign  # type: ignore[method-assign, assignment]
        progress.launch = watched_launch  # type: ignore[assignment]
        try:
            outcome = simulation.run_round()
        finally:
            assigner.assign = assign  # type: ignore[method-assign]
            progress.launch = launch
        return Seen(outcome=outcome, round_start_s=simulation.clocks.round_start_s, **notes)


@dataclass
class PhaseSubject:
    """One phase alone."""

    phase: str
    rounds: Rounds

    def prepare(self) -> Walk:
        """Return the walk of the phase over all rounds."""
        walk: Walk = getattr(self, f"_{self.phase}")()
        return walk

    def _priorities(self) -> Walk:
        given = [
            (seen.jobs.x, seen.jobs.throughput, seen.jobs.job_time_s, seen.worker_time_s) for seen in self.rounds.seen
        ]
        return lambda: [priorities.compute(*each) for each in given]

    def _worker_assignment(self) -> Walk:
        simulation = self.rounds.loop.begun()  # what is left on the nodes must be as it was
        assigner, nodes = simulation._assigner, simulation.parts.nodes  # noqa: SLF001
        if nodes is not None and self.rounds.parts.nodes is not None:
            for request in self.rounds.parts.nodes.requests:  # in the order in which the run came to know them
                nodes.register(request)
        over = [self._leaving(before, after) for before, after in zip([None, *self.rounds.seen], self.rounds.seen)]  # noqa: B905

        def walk() -> list[Assignment]:
            done = []
            for seen, gone in zip(self.rounds.seen, over, strict=True):
                if nodes is not None and gone is not None:
                    nodes.release(*gone)
                done.append(assigner.assign(seen.jobs, *seen.assigned))
            return done

        return walk

    @staticmethod
    def _leaving(before: Seen | None, after: Seen) -> tuple[Any, Holding, Any] | None:
        """Return which rows left between two rounds, with what they held and asked for."""
        if before is None:
            return None
        gone = np.flatnonzero(~np.isin(before.jobs.job_id, after.jobs.job_id))
        return gone, before.assignment.holding, before.jobs.request

    def _event_completion(self) -> Walk:
        timing = self.rounds.parts.timing
        given = [
            (copy.deepcopy(seen.launched), seen, seen.worker_time_s.copy(), seen.busy_s.copy())
            for seen in self.rounds.seen
        ]

        def walk() -> list[Any]:
            done = []
            for jobs, seen, worker_time_s, busy_s in given:
                flight = progress.launch(jobs, seen.assignment, seen.now_s, timing)
                landing = progress.settle(jobs, flight, seen.round_start_s, worker_time_s, timing)
                holding = seen.assignment.holding
                lease_kernels.credit_gpus(*holding, jobs.gpu_milli, landing.executed_s, busy_s)
                done.append((flight, landing, busy_s))
            return done

        return walk

    def _telemetry(self) -> Walk:
        recorder = Recorder(self.rounds.loop.scenario(), self.rounds.parts.layout, None, NullSink())
        timer = PhaseTimer()

        def walk() -> list[Any]:
            for seen in self.rounds.seen:
                recorder.round(seen.outcome, seen.busy_s)
                recorder.took(timer.take())
            return [recorder.totals]

        return walk

    def check(self, answer: list[Any]) -> None:
        """Check the answer against what the loop itself did in these rounds."""
        seen = self.rounds.seen
        if self.phase == "priorities":
            same = all((mine == each.assigned[0]).all() for mine, each in zip(answer, seen, strict=True))
            require(same, "priorities differ from those of the run")
        elif self.phase == "worker_assignment":
            pairs = [(mine.holding, each.assignment.holding) for mine, each in zip(answer, seen, strict=True)]
            same = all(np.array_equal(a, b) for mine, run in pairs for a, b in zip(mine, run, strict=True))
            require(same, "GPUs differ from those of the run")
        elif self.phase == "event_completion":
            done = [len(landing.completed) for _, landing, _ in answer]
            ran = [sum(job.completion_s is not None for job in each.outcome.over) for each in seen]
            require(done == ran, "completions differ from those of the run")
        else:
            require(answer[0].rounds == len(seen), "not every round was recorded")

    def counters(self, answer: list[Any]) -> Mapping[str, float]:
        """Return how many jobs passed through the phase."""
        jobs = sum(len(each.jobs) for each in self.rounds.seen)
        return {"jobs": jobs, "moves": sum(each.assignment.moves for each in self.rounds.seen)}

    def sizes(self, answer: list[Any]) -> Mapping[str, float]:
        """Return the pairs of job and type that were usable, over all rounds."""
        return {"nonzeros": sum(int((each.jobs.throughput > 0.0).sum()) for each in self.rounds.seen)}


_KEPT: dict[Scale, Rounds] = {}


def rounds_of(scale: Scale) -> Rounds:
    """Return the rounds at a scale; the four phases share one simulation."""
    if scale not in _KEPT:
        _KEPT[scale] = Rounds(LOOPS[scale])
    return _KEPT[scale]


def cases() -> Iterator[Case]:
    """Yield a case a phase and scale."""
    for scale, loop in LOOPS.items():
        for phase in PHASES:
            make = lambda scale=scale, phase=phase: PhaseSubject(phase, rounds_of(scale))  # noqa: E731
            yield Case(f"phases/{scale}/{phase}", loop.rounds, "round", make)
