"""What the shares of phases predict is what a run does in which a phase is twice as quick."""

from __future__ import annotations

import time

import pytest

from phasewise.bench.series.what_if import Checked, SlowedTimer, checked
from phasewise.profiling.phases import Phase
from phasewise.profiling.stats import Interval
from phasewise.reports.publication import Figure


def test_a_dear_phase_takes_twice_its_time_and_others_take_their_own() -> None:
    timer = SlowedTimer(Phase.PRIORITIES)
    for phase in (Phase.PRIORITIES, Phase.ARRIVALS):
        with timer.phase(phase):
            until_s = time.process_time() + 0.02
            while time.process_time() < until_s:
                pass
    taken = timer.take().phases_cpu_s
    assert taken["priorities"] == pytest.approx(0.04, rel=0.1)
    assert taken["arrivals"] == pytest.approx(0.02, rel=0.1)


def test_a_dear_phase_is_dear_where_it_is_entered_from_another_phase() -> None:
    timer = SlowedTimer(Phase.PRIORITIES)
    with timer.phase(Phase.ARRIVALS):
        for phase in (Phase.PRIORITIES, Phase.TELEMETRY):
            timer.turn(phase)
            until_s = time.process_time() + 0.02
            while time.process_time() < until_s:
                pass
    taken = timer.take().phases_cpu_s
    assert taken["priorities"] == pytest.approx(0.04, rel=0.1)
    assert taken["telemetry"] == pytest.approx(0.02, rel=0.1)


def test_a_timer_that_slows_nothing_adds_nothing() -> None:
    timer = SlowedTimer(Phase.PRIORITIES, times=1.0)
    with timer.phase(Phase.PRIORITIES):
        until_s = time.process_time() + 0.02
        while time.process_time() < until_s:
            pass
    assert timer.take().phases_cpu_s["priorities"] == pytest.approx(0.02, rel=0.1)


def test_a_what_if_holds_where_the_intervals_meet() -> None:
    share = Figure(0.3, 0.4, 0.5)
    assert Checked(share, Figure(1.1, 1.2, 1.3), Interval(1.25, 1.3, 1.4)).holds
    assert not Checked(share, Figure(1.1, 1.2, 1.3), Interval(1.31, 1.35, 1.4)).holds
    assert not Checked(share, Figure(1.1, 1.2, 1.3), Interval(0.9, 1.0, 1.09)).holds


@pytest.mark.alone
def test_what_shares_predict_is_what_a_run_gains() -> None:
    overrides = {"stop.window": "none", "stop.rounds": 300, "workload.initial_jobs": 100}
    found = checked("philly", overrides, Phase.EVENT_COMPLETION, 3)
    assert found.holds, found
    assert found.predicted.low > 1.01  # a prediction that says something
