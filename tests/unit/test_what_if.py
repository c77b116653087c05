"""What the shares of phases predict is what a run does in which a phase is twice as quick."""

from __future__ import annotations

import time
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from phasewise.bench.series.what_if import Checked, SlowedTimer, checked, compared, dear_rounds
from phasewise.profiling.artefacts.run_columns import ROUNDS
from phasewise.profiling.phases import Phase
from phasewise.profiling.stats import Interval
from phasewise.reports.columns import ColumnTable
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


def test_rounds_take_turns_and_the_other_run_of_a_pair_has_them_the_other_way_round() -> None:
    assert [dear_rounds(0)(number) for number in (0, 4, 5, 9, 10)] == [True, True, False, False, True]
    assert [dear_rounds(1)(number) for number in (0, 4, 5, 9, 10)] == [False, False, True, True, False]


def test_a_phase_is_dear_in_the_rounds_that_are_named() -> None:
    timer = SlowedTimer(Phase.PRIORITIES, lambda number: number == 1)
    timer.take()  # building the parts
    taken = []
    for _ in range(3):
        with timer.phase(Phase.PRIORITIES):
            until_s = time.process_time() + 0.02
            while time.process_time() < until_s:
                pass
        taken.append(timer.take().phases_cpu_s["priorities"])
    assert taken == pytest.approx([0.02, 0.04, 0.02], rel=0.1)


def test_a_slower_machine_during_one_run_of_a_pair_changes_nothing() -> None:
    rounds = 40
    cost_s = 1e-3 * np.linspace(1.0, 1.1, rounds)
    tables = []
    for run, speed in enumerate((1.0, 1.5)):
        own = np.array([2.0 if dear_rounds(run)(number) else 1.0 for number in range(rounds)])
        columns = {"phase_priorities_cpu_s": cost_s * own / speed, "phase_arrivals_cpu_s": 3.0 * cost_s / speed}
        columns |= {name.replace("_cpu_s", "_s"): values for name, values in columns.items()}
        tables.append(ColumnTable(Path("rounds.parquet"), pa.table(columns), ROUNDS))
    found = compared(tables, Phase.PRIORITIES)
    assert found.share.estimate == pytest.approx(2.0 / 5.0)
    assert found.predicted.estimate == pytest.approx(5.0 / 4.0)
    assert found.measured.estimate == pytest.approx(5.0 / 4.0, rel=0.01)


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
