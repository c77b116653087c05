"""The loop: one round after another, each a list of phases.

A round goes `arrivals -> policy -> priorities -> worker assignment -> event completion`; where jobs progress by the
allocation itself (`phasewise.sched.round.ideal`), nothing is chosen and placed. It is a function of a state
and of the parts (`step`). What happened is told to the recorder afterwards, and the stopper says whether there is
another round (`Simulation`). The rules that differ between the original simulator and the corrected one are asked of
`phasewise.sched.round.rules.Timing`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.sched import invariants
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.round import completion, ideal, phases
from phasewise.sched.round.outcome import JobRecord, News, RoundOutcome
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.state import SimulationState
from phasewise.sched.round.stopping import Moment, StopReason
from phasewise.sched.round.tree import written

Report = Callable[[RoundOutcome], None]
Limit = Callable[[], StopReason | None]
Turn = Callable[[str], None]
"""`PhaseTimer.turn`: from one phase straight to the next."""


def step(state: SimulationState, parts: Parts, timer: PhaseTimer, news: News | None = None) -> RoundOutcome:
    """Advance ``state`` by one round, in place, and return what happened.

    The same state and parts give the same outcome; `phasewise.sched.round.tree.copied` makes a state to try it on.

    Parameters
    ----------
    timer
        Accounts where the time goes; decides nothing.
    news
        Filled in with what the round begins with, for those who want to know of it should the round fail.

    Raises
    ------
    SchedulingError, SolverError
        Where the round cannot be run; the state is then somewhere within it.
    """
    news = news_of(state) if news is None else news
    with timer.phase(Phase.ARRIVALS):
        return _advance(state, parts, timer.turn, news)


def _advance(state: SimulationState, parts: Parts, turn: Turn, news: News) -> RoundOutcome:
    """Go through the phases of a round, of which the first is open: each ``turn`` opens the next in its place."""
    phases.admit(state, parts, news)
    _check(state, parts)
    turn(Phase.POLICY)  # lp_build and lp_solve nest in here and are subtracted
    phases.allocate(state, parts, news)
    _check(state, parts)
    outcome = (_progress if parts.timing.ideal else _run)(state, parts, turn, news)
    if outcome.barrier:
        state.warm = None
    return outcome


def _run(state: SimulationState, parts: Parts, turn: Turn, news: News) -> RoundOutcome:
    """Choose and place jobs for a round, and run them in it."""
    turn(Phase.PRIORITIES)
    priority = phases.prioritise(state, parts)
    turn(Phase.WORKER_ASSIGNMENT)
    assignment = phases.assign(state, parts, priority)
    _check(state, parts)
    turn(Phase.EVENT_COMPLETION)
    outcome = completion.advance(state, parts, assignment, news)
    _check(state, parts)
    return outcome


def _progress(state: SimulationState, parts: Parts, turn: Turn, news: News) -> RoundOutcome:
    """Let all jobs progress by the allocation itself until something changes."""
    turn(Phase.EVENT_COMPLETION)
    outcome = ideal.advance(state, parts, news)
    _check(state, parts)
    return outcome


def final_call(state: SimulationState, parts: Parts, timer: PhaseTimer, news: News) -> None:
    """Ask the policy once more, as the original does before it notices that all is done."""
    with timer.phase(Phase.ARRIVALS):
        phases.admit(state, parts, news)
    with timer.phase(Phase.POLICY):
        phases.allocate(state, parts, news)


def news_of(state: SimulationState) -> News:
    """Return an empty account of what the next round begins with."""
    return News(state.round_index, state.clocks.now_s)


def _check(state: SimulationState, parts: Parts) -> None:
    if parts.check_invariants:
        invariants.check(state, parts)


@dataclass(slots=True)
class Simulation:
    """A run: a state, stepped until a rule ends it, and those who are told of every round.

    Attributes
    ----------
    report
        Called with every round's outcome once it is recorded.
    limit
        Asked after every round whether the run has taken all that it may take; decides nothing within it.
    resumed
        Whether rounds were run before, by another process: the run may be over before the next one.
    """

    state: SimulationState
    parts: Parts
    recorder: Recorder
    timer: PhaseTimer
    report: Report | None = None
    limit: Limit = lambda: None
    resumed: bool = False

    def run(self, wall_s: Callable[[], float], interrupted: Callable[[], bool]) -> StopReason:
        """Run until a rule ends it; return which. ``wall_s`` says how long the run took so far (for that limit).

        Raises
        ------
        KeyboardInterrupt
            After a round at whose end ``interrupted`` says so: between two rounds every record is whole.
        """
        reason = self._decide(wall_s()) if self.resumed else None
        while reason is None:
            reason = self.step(wall_s) or self.limit()
            if reason is None and interrupted():
                raise KeyboardInterrupt
        if self.parts.timing.final_call and reason.status == "complete":
            news = news_of(self.state)
            try:
                final_call(self.state, self.parts, self.timer, news)
            finally:
                self.recorder.begun(news)
            self.recorder.took(self.timer.take())
        return reason

    def step(self, wall_s: Callable[[], float]) -> StopReason | None:
        """Run one round, have it recorded, and return why the run ends with it, None where it goes on."""
        state, recorder, phase, turn = self.state, self.recorder, self.timer.phase, self.timer.turn
        news = news_of(state)
        with phase(Phase.ARRIVALS):
            try:
                outcome = _advance(state, self.parts, turn, news)
            except BaseException:
                recorder.begun(news)  # jobs that came are part of the run, though their round has no end
                raise
            turn(Phase.TELEMETRY)
            recorder.round(outcome)
            if self.report is not None:
                self.report(outcome)
            turn(Phase.EXIT_CHECKS)
            reason = self._decide(wall_s())
        recorder.took(self.timer.take())
        if outcome.barrier:
            with phase(Phase.TELEMETRY):  # counts to the round that follows
                recorder.barrier(state.round_index, written(state))
        return reason

    def _decide(self, wall_s: float) -> StopReason | None:
        state = self.state
        moment = Moment(state.round_index, state.clocks.now_s, len(state.jobs))
        return self.parts.stopper.decide(state.departures, moment, wall_s)

    def active_jobs(self) -> tuple[JobRecord, ...]:
        """Return a record of every job that is still active."""
        return completion.active_jobs(self.state, self.parts)
