"""PhaseTimer: exclusive, additive, and cheap."""

from __future__ import annotations

import json
import subprocess
import sys
import time
import tracemalloc

import pytest

from phasewise.profiling.phases import ACCOUNTS, PHASES, FakeClock, Phase, PhaseTimer, PhaseTotals


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def timer(clock: FakeClock) -> PhaseTimer:
    return PhaseTimer(clock)


def test_nested_phases_are_exclusive_and_add_up(clock: FakeClock, timer: PhaseTimer) -> None:
    with timer.phase("policy"):
        clock.now_s += 1.0
        with timer.phase("solve"):
            clock.now_s += 5.0
    clock.now_s += 0.5
    profile = timer.take()
    assert dict(profile.phases_s) == {"policy": 1.0, "solve": 5.0}
    assert profile.other_s == 0.5
    assert profile.total_s == 6.5


def test_wall_and_cpu_time_are_told_apart(clock: FakeClock, timer: PhaseTimer) -> None:
    with timer.phase(Phase.LP_SOLVE):
        clock.now_s += 2.0
        clock.cpu_s += 0.25
    clock.cpu_s += 1.0
    profile = timer.take()
    assert profile.phases_s == {"lp_solve": 2.0}
    assert profile.phases_cpu_s == {"lp_solve": 0.25}
    assert (profile.other_s, profile.other_cpu_s) == (0.0, 1.0)
    assert profile.total_s == 2.0


def test_a_phase_entered_again_adds_up_and_counts_its_calls(clock: FakeClock, timer: PhaseTimer) -> None:
    for _ in range(3):
        with timer.phase(Phase.ARRIVALS):
            clock.now_s += 1.0
    profile = timer.take()
    assert profile.phases_s == {"arrivals": 3.0}
    assert profile.calls[PHASES.index("arrivals")] == 3
    assert sum(profile.calls) == 3


def test_a_phase_inside_itself_is_counted_once(clock: FakeClock, timer: PhaseTimer) -> None:
    with timer.phase(Phase.POLICY):
        clock.now_s += 1.0
        with timer.phase(Phase.LP_BUILD):
            clock.now_s += 2.0
            with timer.phase(Phase.POLICY):
                clock.now_s += 4.0
        clock.now_s += 8.0
    clock.now_s += 16.0
    profile = timer.take()
    assert profile.phases_s == {"policy": 13.0, "lp_build": 2.0}
    assert profile.other_s == 16.0


def test_a_turn_goes_from_one_phase_to_the_next_and_the_block_ends_the_last(
    clock: FakeClock, timer: PhaseTimer
) -> None:
    with timer.phase(Phase.ARRIVALS):
        clock.now_s += 1.0
        timer.turn(Phase.POLICY)
        clock.now_s += 2.0
        with timer.phase(Phase.LP_SOLVE):
            clock.now_s += 4.0
            timer.turn("mine")
            clock.now_s += 8.0
        clock.now_s += 16.0
    clock.now_s += 32.0
    profile = timer.take()
    assert profile.phases_s == {"arrivals": 1.0, "policy": 18.0, "lp_solve": 4.0, "mine": 8.0}
    assert profile.other_s == 32.0
    assert dict(zip(profile.accounts, profile.entries, strict=True))["mine"] == 1


def test_a_turn_reads_the_clocks_once() -> None:
    class Counting(FakeClock):
        readings = 0

        def wall_ns(self) -> int:
            self.readings += 1
            return super().wall_ns()

    clock = Counting()
    timer = PhaseTimer(clock)
    with timer.phase(Phase.ARRIVALS):
        before = clock.readings
        timer.turn(Phase.POLICY)
        assert clock.readings == before + 1


def test_an_exception_closes_its_phase(clock: FakeClock, timer: PhaseTimer) -> None:
    def fail() -> None:
        with timer.phase(Phase.POLICY), timer.phase(Phase.LP_SOLVE):
            clock.now_s += 1.0
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        fail()
    clock.now_s += 2.0
    profile = timer.take()
    assert profile.phases_s == {"policy": 0.0, "lp_solve": 1.0}
    assert profile.other_s == 2.0


def test_take_starts_anew(clock: FakeClock, timer: PhaseTimer) -> None:
    with timer.phase(Phase.POLICY):
        clock.now_s += 1.0
    timer.take()
    clock.now_s += 3.0
    profile = timer.take()
    assert profile.phases_s == {}
    assert profile.total_s == 3.0


def test_a_phase_open_during_take_is_split_between_the_profiles(clock: FakeClock, timer: PhaseTimer) -> None:
    with timer.phase(Phase.TELEMETRY):
        clock.now_s += 1.0
        first = timer.take()
        clock.now_s += 2.0
    second = timer.take()
    assert first.phases_s == {"telemetry": 1.0}
    assert second.phases_s == {"telemetry": 2.0}
    assert second.calls[PHASES.index("telemetry")] == 0


def test_a_phase_first_named_while_another_is_open_joins_the_profile(clock: FakeClock, timer: PhaseTimer) -> None:
    with timer.phase("outer"):
        timer.take()
        with timer.phase("inner"):
            clock.now_s += 1.0
    profile = timer.take()
    assert profile.accounts == (*ACCOUNTS, "outer", "inner")
    assert profile.phases_s == {"inner": 1.0}


def test_figures_come_in_the_fixed_order_of_the_phases(clock: FakeClock, timer: PhaseTimer) -> None:
    with timer.phase("extra"):
        clock.now_s += 7.0
    with timer.phase(Phase.EXIT_CHECKS):
        clock.now_s += 1.0
        clock.cpu_s += 0.5
    profile = timer.take()
    assert profile.wall_s == (0, 0, 0, 0, 0, 0, 0, 0, 1.0)
    assert profile.cpu_s == (0, 0, 0, 0, 0, 0, 0, 0, 0.5)
    assert profile.calls == (0, 0, 0, 0, 0, 0, 0, 0, 1)


def test_the_names_of_the_phases_are_those_of_the_contract() -> None:
    assert PHASES == (
        "arrivals",
        "policy",
        "lp_build",
        "lp_solve",
        "priorities",
        "worker_assignment",
        "event_completion",
        "telemetry",
        "exit_checks",
    )


def test_json_of_a_real_profile_adds_up_exactly() -> None:
    timer = PhaseTimer()
    for phase in Phase:
        with timer.phase(phase):
            time.sleep(0.0001)
    profile = timer.take()
    figures = json.loads(
        json.dumps({"total_s": profile.total_s, "phases_s": profile.phases_s, "other_s": profile.other_s})
    )
    assert sum(figures["phases_s"].values()) + figures["other_s"] == figures["total_s"]
    assert figures["total_s"] == pytest.approx(sum(profile.wall_ns) / 1e9, abs=1e-15)


def test_the_system_clock_tells_waiting_from_working() -> None:
    timer = PhaseTimer()
    with timer.phase("waiting"):
        time.sleep(0.05)
    with timer.phase("working"):
        until = time.process_time() + 0.05
        while time.process_time() < until:
            pass
    profile = timer.take()
    assert profile.phases_s["waiting"] >= 0.05
    assert profile.phases_cpu_s["waiting"] < 0.04
    assert profile.phases_cpu_s["working"] >= 0.05


def test_rounds_of_phases_keep_no_memory() -> None:
    timer = PhaseTimer()

    def rounds(number: int) -> None:
        for _ in range(number):
            for phase in PHASES:
                with timer.phase(phase):
                    pass
            timer.take()

    rounds(100)
    tracemalloc.start()
    try:
        before = tracemalloc.get_traced_memory()[0]
        rounds(2000)
        grown = tracemalloc.get_traced_memory()[0] - before
    finally:
        tracemalloc.stop()
    assert grown < 1000  # bytes


@pytest.mark.alone
def test_a_round_of_nine_phases_costs_at_most_three_times_what_its_clock_readings_cost() -> None:
    timer = PhaseTimer()

    def round_of_phases() -> None:
        for phase in PHASES:
            with timer.phase(phase):
                pass
        timer.take()

    def clock_readings() -> None:
        for _ in range(19):
            time.perf_counter_ns()
            time.process_time_ns()

    def cost_s(call: object) -> float:
        start = time.process_time()
        for _ in range(300):
            call()  # type: ignore[operator]
        return time.process_time() - start

    # The least of interleaved samples: what else goes on here can only add. About 1.9 on an idle machine.
    samples = [(cost_s(round_of_phases), cost_s(clock_readings)) for _ in range(30)]
    assert min(ours for ours, _ in samples) < 3.0 * min(clocks for _, clocks in samples)


def test_timing_phases_imports_neither_numpy_nor_pyarrow() -> None:
    code = (
        "import sys, phasewise.profiling.phases;"
        "import phasewise.profiling.artefacts.lines, phasewise.profiling.artefacts.sinks;"
        "print([name for name in ('numpy', 'pyarrow', 'scipy', 'numba', 'cvxpy') if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-P", "-c", code], capture_output=True, check=True, text=True)
    assert done.stdout.strip() == "[]"


def test_totals_add_profiles_and_share_out_the_whole(clock: FakeClock, timer: PhaseTimer) -> None:
    totals = PhaseTotals()
    for _ in range(2):
        with timer.phase(Phase.POLICY):
            clock.now_s += 3.0
            clock.cpu_s += 2.0
        clock.now_s += 1.0
        totals.add(timer.take())
    assert totals.phases() == {
        "policy": {"wall_s": 6.0, "cpu_s": 4.0, "calls": 2, "share": 0.75},
        "other": {"wall_s": 2.0, "cpu_s": 0.0, "calls": 0, "share": 0.25},
    }
    assert (totals.wall_s, totals.cpu_s, totals.coverage) == (8.0, 4.0, 0.75)


def test_totals_of_timers_with_different_names_are_matched_by_name() -> None:
    totals = PhaseTotals()
    for names in (("a", "b"), ("b", "c"), ("a",)):
        clock = FakeClock()
        timer = PhaseTimer(clock)
        for name in names:
            with timer.phase(name):
                clock.now_s += 1.0
        totals.add(timer.take())
    assert totals.profile.phases_s == {"a": 2.0, "b": 2.0, "c": 1.0}


def test_totals_taken_start_anew(clock: FakeClock, timer: PhaseTimer) -> None:
    totals = PhaseTotals()
    clock.now_s += 1.0
    totals.add(timer.take())
    assert totals.take().total_s == 1.0
    assert totals.profile.total_s == 0.0


def test_totals_of_nothing_are_zero() -> None:
    totals = PhaseTotals()
    assert totals.coverage == 0.0
    assert totals.phases() == {"other": {"wall_s": 0.0, "cpu_s": 0.0, "calls": 0, "share": 0.0}}
