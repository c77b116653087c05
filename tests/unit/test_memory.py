"""Memory by phase is exclusive and additive like time, and a leak is told from what goes up and down."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import perform

from phasewise.profiling.errors import SampleError
from phasewise.profiling.memory import Held, MemoryTimer, by_phase, columns, held, slope, traced
from phasewise.profiling.phases import ACCOUNTS, FakeClock, Phase, PhaseProfile, PhaseTotals
from phasewise.reports import charts, figures
from phasewise.reports.html import write_report
from phasewise.reports.run_directory import load_run
from phasewise.sched.scenario.loading import load_scenario

STEPS = st.lists(
    st.one_of(st.sampled_from(list(Phase)), st.just("leave"), st.just("take"), st.integers(-1000, 1000)),
    max_size=40,
)


@given(STEPS)
def test_what_phases_add_is_what_the_process_added_whatever_the_nesting(steps: list[object]) -> None:
    state = {"now": 10_000, "peak": 10_000}

    def read() -> Held:
        found = Held(2 * state["now"], state["now"], state["peak"])
        state["peak"] = state["now"]
        return found

    timer, spans = MemoryTimer(FakeClock(), read, rounds=1), []
    for step in steps:
        if isinstance(step, Phase):
            spans.append(timer.phase(step))
            spans[-1].__enter__()
        elif step == "leave":
            if spans:
                spans.pop().__exit__(None, None, None)
        elif step == "take":
            timer.take()
        else:
            state["now"] += step
            state["peak"] = max(state["peak"], state["now"])
    timer.take()
    assert sum(sum(row.allocated) for row in timer.rows()) == state["now"] - 10_000
    assert sum(sum(row.grown) for row in timer.rows()) == 2 * (state["now"] - 10_000)
    assert timer.rows()[-1].traced == state["now"]
    assert all(high >= 0 for row in timer.rows() for high in row.high)


def test_an_inner_phase_is_not_counted_in_the_outer_one_and_a_peak_that_is_gone_is_seen() -> None:
    with traced():
        timer = MemoryTimer()
        timer.take()
        with timer.phase(Phase.POLICY):
            kept = bytearray(1 << 20)
            with timer.phase(Phase.LP_SOLVE):
                passing = bytearray(8 << 20)
                del passing
        timer.take()
    found = by_phase(timer.rows()[1:])
    assert found["policy"]["allocated_mib"] == pytest.approx(1.0, abs=0.05)
    assert found["lp_solve"]["allocated_mib"] == pytest.approx(0.0, abs=0.05)
    assert found["lp_solve"]["high_mib"] == pytest.approx(8.0, abs=0.05)
    assert found["policy"]["high_mib"] == pytest.approx(1.0, abs=0.05)
    assert len(kept) == 1 << 20
    table = columns(timer.rows()[1:])
    assert table["phase_lp_solve_high_mib"][0] == found["lp_solve"]["high_mib"]
    assert len(table) == 2 + 3 * len(ACCOUNTS)


def test_memory_of_a_phase_that_follows_another_is_its_own() -> None:
    with traced():
        timer = MemoryTimer()
        timer.take()
        with timer.phase(Phase.ARRIVALS):
            first = bytearray(1 << 20)
            timer.turn(Phase.TELEMETRY)
            second = bytearray(2 << 20)
        timer.take()
    found = by_phase(timer.rows()[1:])
    assert len(first) + len(second) == 3 << 20
    assert found["arrivals"]["allocated_mib"] == pytest.approx(1.0, abs=0.05)
    assert found["telemetry"]["allocated_mib"] == pytest.approx(2.0, abs=0.05)


def test_without_tracing_resident_memory_alone_is_known() -> None:
    assert held().resident > 1 << 20
    assert held()[1:] == (0, 0)


def test_the_times_are_still_those_of_the_phases() -> None:
    clock = FakeClock()
    timer = MemoryTimer(clock, lambda: Held(0))
    with timer.phase(Phase.POLICY):
        clock.now_s += 2.0
        with timer.phase("of a plug-in"):
            clock.now_s += 1.0
    assert timer.take().phases_s == {"policy": 2.0, "of a plug-in": 1.0}


def sawtooth(rounds: int, leak: float, noise: float, seed: int) -> np.ndarray:
    """Return memory that fills and empties every 32 rounds, with ``leak`` bytes a round on top."""
    rng = np.random.default_rng(seed)
    number = np.arange(rounds)
    return 5e7 + 3000.0 * (number % 32) + leak * number + noise * rng.random(rounds)


def test_a_leak_is_found_and_a_flat_run_is_not_one() -> None:
    false = sum(slope(sawtooth(1000, 0.0, 5000.0, seed)).low > 0.0 for seed in range(200))
    assert false <= 12  # of 200; a one-sided error of 2.5 % makes 5
    leaks = [slope(sawtooth(1000, 100.0, 5000.0, seed)) for seed in range(100)]
    assert all(each.low > 0.0 for each in leaks)
    assert sum(each.low < 100.0 < each.high for each in leaks) >= 88  # of 100; an interval of 95 % makes 95


def test_a_slope_needs_rounds() -> None:
    with pytest.raises(SampleError, match="a slope over 10 stretches needs at least 20 rounds, not 19"):
        slope(np.ones(19))


# -- of a run --------------------------------------------------------------------------------------------------------


def test_without_rows_a_take_tells_what_resident_memory_grew_by() -> None:
    found = iter((Held(100), Held(100), Held(160), Held(150), Held(150), Held(150), Held(155)))
    timer = MemoryTimer(FakeClock(), lambda: next(found), rounds=None)
    with timer.phase(Phase.POLICY), timer.phase(Phase.LP_SOLVE):
        pass
    profile = timer.take()
    grown = dict(zip(ACCOUNTS, profile.grown, strict=True))
    assert (grown["policy"], grown["lp_solve"], grown["other"]) == (60, -10, 0)
    assert timer.take().grown == (5, *[0] * (len(ACCOUNTS) - 1))
    assert timer.rows() == []
    assert sum(call["calls"] for call in totals_of(profile).values()) == 2


def totals_of(profile: PhaseProfile) -> dict[str, dict[str, float]]:
    totals = PhaseTotals()
    totals.add(profile)
    return totals.phases()


@pytest.mark.parametrize("every", [1, 7])
def test_a_run_that_is_asked_to_has_what_each_phase_added(every: int, tmp_path: Path) -> None:
    overrides = {"stop.rounds": 40, "output.trace": False, "output.rounds_every": every}
    run = perform(load_scenario("toy", {**overrides, "output.memory": True}), tmp_path / "with")
    without = perform(load_scenario("toy", overrides), tmp_path / "without")
    names = [figures.memory_column(name) for name in ACCOUNTS]
    table = load_run(run.out).rounds
    added = sum(table.numbers(name).sum() for name in names)
    assert all(np.isfinite(table.numbers(name)).all() for name in names)
    assert added == pytest.approx(table.numbers("rss_mib")[-1] - table.numbers("rss_mib")[0], abs=8.0)
    assert all(np.isnan(load_run(without.out).rounds.numbers(name)).all() for name in names)
    bins = figures.bins_of(len(table), 10)
    chart = charts.memory_by_phase(table, bins, "")
    assert chart is not None
    assert sum(float(series.values[-1]) for series in chart.series) == pytest.approx(added)
    assert charts.memory_by_phase(load_run(without.out).rounds, bins, "") is None
    title = "Resident memory added since the start, by phase"
    assert title in write_report([load_run(run.out)], tmp_path / "with.html").read_text()
    assert title not in write_report([load_run(without.out)], tmp_path / "without.html").read_text()
