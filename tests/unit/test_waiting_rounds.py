"""Rounds are recorded some together; nothing that is written, and nothing that is asked, tells so."""

from __future__ import annotations

import pytest
from small_runs import play

from phasewise.profiling.artefacts.sinks import ListSink
from phasewise.profiling.errors import OutputError
from phasewise.profiling.phases import ACCOUNTS, PhaseProfile, PhaseTimer
from phasewise.sched.building import build_parts
from phasewise.sched.engine import Simulation
from phasewise.sched.recording import waiting
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.recording.waiting import BLOCK_NS, BLOCK_ROUNDS, WaitingRounds
from phasewise.sched.round.state import begin
from phasewise.sched.scenario.loading import load_scenario

ROUNDS = 40


def profile_of(wall_ns: int) -> PhaseProfile:
    nothing = (0,) * (len(ACCOUNTS) - 1)
    return PhaseProfile(ACCOUNTS, (wall_ns, *nothing), (wall_ns, *nothing), (0, *nothing))


def toy(sink: ListSink) -> Simulation:
    scenario = load_scenario("toy", {"output.trace": False})
    timer = PhaseTimer()
    parts = build_parts(scenario, timer)
    return Simulation(begin(parts), parts, Recorder(scenario, parts.layout, None, sink), timer)


def lines_of(sim: Simulation, sink: ListSink) -> list[bytes]:
    """Return the lines that are the same in every run: all but PROFILE lines."""
    for _ in range(ROUNDS):
        sim.step(lambda: 0.0)
    sim.recorder.finish("stopped", "the test is over")
    return [line for line in sink.lines if not line.startswith(b"PROFILE")]


def test_the_lines_are_those_of_rounds_recorded_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    together, one_by_one = ListSink(), ListSink()
    ours = lines_of(toy(together), together)
    monkeypatch.setattr(waiting, "BLOCK_ROUNDS", 1)
    assert ours == lines_of(toy(one_by_one), one_by_one)
    assert sum(line.startswith(b"TELEMETRY") for line in ours) == ROUNDS


def test_a_round_waits_and_whoever_asks_for_totals_has_it_all_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "BLOCK_NS", 10**18)
    sink = ListSink()
    sim = toy(sink)
    for _ in range(3):
        sim.step(lambda: 0.0)
    written = len(sink.lines)
    assert sim.recorder.totals.rounds == 3
    assert len(sink.lines) > written


def test_rounds_wait_until_they_are_many_or_long() -> None:
    sim = toy(ListSink())
    outcome = play(sim)
    few = WaitingRounds(3)
    assert [few.add(outcome) for _ in range(3)] == [False, False, True]
    assert len(list(few.taken())) == 3
    many = WaitingRounds(512)
    assert [many.add(outcome) for _ in range(BLOCK_ROUNDS)] == [False] * (BLOCK_ROUNDS - 1) + [True]
    long = WaitingRounds(512)
    assert not long.add(outcome)
    assert long.took(profile_of(BLOCK_NS))
    assert long.add(outcome)
    assert [profile for _, profile in long.taken()] == [profile_of(BLOCK_NS), None]
    assert not long.took(profile_of(1))  # nobody waits any more
    assert not long.add(outcome)  # and the time of those before does not count


class OneFault(ListSink):
    """Refuses one line, of a round among others that wait."""

    def __init__(self) -> None:
        super().__init__()
        self.write = self._write_most

    def _write_most(self, line: bytes) -> None:
        if b'"schedule_round","round":2,' in line:
            raise OutputError("no room for this line")
        self.lines.append(line)


def test_a_line_that_cannot_be_written_loses_no_other_round(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(waiting, "BLOCK_NS", 10**18)
    sink = OneFault()
    sim = toy(sink)
    for _ in range(5):
        sim.step(lambda: 0.0)
    sim.recorder.leave(sim.active_jobs())
    with pytest.raises(OutputError, match="no room"):
        sim.recorder.finish("stopped", "the test is over")
    sim.recorder.abandon("failed", "no room")
    told = [line for line in sink.lines if line.startswith(b"TELEMETRY")]
    assert [f'"round":{index},'.encode() in line for index, line in zip((0, 1, 3, 4), told, strict=True)] == [True] * 4
    assert sim.recorder.totals.rounds == 5
    assert sim.recorder.totals.phases.wall_s > 0.0
