"""Single phases of the loop, each alone, on what real rounds gave them.

A simulation runs once, and before each phase of a round its state is copied; a walk calls one phase with all of these,
in order: with copies of its own where the phase changes what it reads.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from phasewise.bench.subjects.api import Case, require
from phasewise.bench.subjects.loops import LOOPS, Loop
from phasewise.bench.suite_tapes import Scale
from phasewise.profiling.artefacts.sinks import NullSink
from phasewise.profiling.phases import PhaseTimer
from phasewise.sched.api import Assignment, Holding
from phasewise.sched.engine import Simulation, news_of
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.round import completion, phases
from phasewise.sched.round.outcome import RoundOutcome
from phasewise.sched.round.state import SimulationState
from phasewise.sched.round.tree import copied

Walk = Callable[[], list[Any]]
PHASES: Final = ("priorities", "worker_assignment", "event_completion", "telemetry")


@dataclass(slots=True)
class Seen:
    """What the phases of one round were given, and what they made of it.

    Attributes
    ----------
    allocated, prioritised, assigned
        The state after the phases of policy, priorities and worker assignment.
    """

    allocated: SimulationState
    priority: Any
    prioritised: SimulationState
    assignment: Assignment
    assigned: SimulationState
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
        """Run a round phase by phase, as `phasewise.sched.engine.step` does, and copy the state in between."""
        state, parts, news = simulation.state, simulation.parts, news_of(simulation.state)
        phases.admit(state, parts, news)
        phases.allocate(state, parts, news)
        allocated = copied(state, parts)
        priority = phases.prioritise(state, parts)
        prioritised = copied(state, parts)
        assignment = phases.assign(state, parts, priority)
        assigned = copied(state, parts)
        outcome = completion.advance(state, parts, assignment, news)
        return Seen(allocated, priority, prioritised, assignment, assigned, outcome)


@dataclass
class PhaseSubject:
    """One phase alone."""

    phase: str
    rounds: Rounds

    def prepare(self) -> Walk:
        """Return the walk of the phase over all rounds."""
        walk: Walk = getattr(self, f"_{self.phase}")()
        return walk

    def _copies(self, states: Iterable[SimulationState]) -> list[SimulationState]:
        """Return states that a walk may change."""
        return [copied(state, self.rounds.parts) for state in states]

    def _priorities(self) -> Walk:
        # The phase computes all that it writes anew, so that a walk leaves what the next one needs; `check` would tell.
        # Copies would take more than a hundred times as long as the walk.
        parts, states = self.rounds.parts, [seen.allocated for seen in self.rounds.seen]
        return lambda: [phases.prioritise(state, parts) for state in states]

    def _worker_assignment(self) -> Walk:
        parts, seen = self.rounds.parts, self.rounds.seen
        states = self._copies(each.prioritised for each in seen)
        # The account of nodes goes on from round to round, as in a run, with the scores that are still good.
        nodes = states[0].nodes
        if nodes is not None:
            for request in seen[-1].prioritised.nodes.requests:  # type: ignore[union-attr]  # all rounds have them
                nodes.register(request)
        for state in states:
            state.nodes = nodes
        over = [self._leaving(before, after) for before, after in zip([None, *seen], seen)]  # noqa: B905

        def walk() -> list[Assignment]:
            done = []
            for state, each, gone in zip(states, seen, over, strict=True):
                if nodes is not None and gone is not None:
                    nodes.release(*gone)
                done.append(phases.assign(state, parts, each.priority))
            return done

        return walk

    @staticmethod
    def _leaving(before: Seen | None, after: Seen) -> tuple[Any, Holding, Any] | None:
        """Return which rows left between two rounds, with what they held and asked for."""
        if before is None:
            return None
        gone = np.flatnonzero(~np.isin(before.prioritised.jobs.job_id, after.prioritised.jobs.job_id))
        return gone, before.assignment.holding, before.prioritised.jobs.request

    def _event_completion(self) -> Walk:
        parts, seen = self.rounds.parts, self.rounds.seen
        states = self._copies(each.assigned for each in seen)

        def walk() -> list[Any]:
            given = zip(states, seen, strict=True)
            return [completion.advance(state, parts, each.assignment, each.outcome.news) for state, each in given]

        return walk

    def _telemetry(self) -> Walk:
        recorder = Recorder(self.rounds.loop.scenario(), self.rounds.parts.layout, None, NullSink())
        timer = PhaseTimer()

        def walk() -> list[Any]:
            for seen in self.rounds.seen:
                recorder.round(seen.outcome)
                recorder.took(timer.take())
            return [recorder.totals]

        return walk

    def check(self, answer: list[Any]) -> None:
        """Check the answer against what the loop itself did in these rounds."""
        seen = self.rounds.seen
        if self.phase == "priorities":
            same = all((mine == each.priority).all() for mine, each in zip(answer, seen, strict=True))
            require(same, "priorities differ from those of the run")
        elif self.phase == "worker_assignment":
            pairs = [(mine.holding, each.assignment.holding) for mine, each in zip(answer, seen, strict=True)]
            same = all(np.array_equal(a, b) for mine, run in pairs for a, b in zip(mine, run, strict=True))
            require(same, "GPUs differ from those of the run")
        elif self.phase == "event_completion":
            same = all(mine.over == each.outcome.over for mine, each in zip(answer, seen, strict=True))
            require(same, "completions differ from those of the run")
        else:
            require(answer[0].rounds == len(seen), "not every round was recorded")

    def counters(self, answer: list[Any]) -> Mapping[str, float]:
        """Return how many jobs passed through the phase."""
        jobs = sum(len(each.assigned.jobs) for each in self.rounds.seen)
        return {"jobs": jobs, "moves": sum(each.assignment.moves for each in self.rounds.seen)}

    def sizes(self, answer: list[Any]) -> Mapping[str, float]:
        """Return the pairs of job and type that were usable, over all rounds."""
        return {"nonzeros": sum(int((each.assigned.jobs.throughput > 0.0).sum()) for each in self.rounds.seen)}


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
