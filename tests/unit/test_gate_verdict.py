"""From samples and counters to a verdict."""

from __future__ import annotations

import numpy as np
import pytest

from phasewise.bench.gate.limits import Band, CounterKind, CounterLimit
from phasewise.bench.gate.verdict import (
    Verdict,
    interval_of,
    judge_counters,
    judge_time,
    judge_time_at_last,
)
from phasewise.profiling.stats import Interval

BAND = Band(low_above=0.03, estimate_above=0.05, undecided_above=0.02, level=0.95, reason="a test")
LIMITS = {
    "rebuilds": CounterLimit(CounterKind.WORK, 0.0, "a test"),
    "iterations": CounterLimit(CounterKind.WORK, 0.01, "a test"),
    "jobs": CounterLimit(CounterKind.INSTANCE, 0.0, "a test"),
}


@pytest.mark.parametrize(
    ("low", "estimate", "high", "first", "last"),
    [
        (0.99, 1.00, 1.01, Verdict.SAME, Verdict.SAME),
        (0.99, 1.019, 1.04, Verdict.SAME, Verdict.SAME),
        (1.01, 1.03, 1.05, Verdict.UNDECIDED, Verdict.SAME),
        (1.035, 1.049, 1.06, Verdict.UNDECIDED, Verdict.SAME),
        (1.031, 1.051, 1.07, Verdict.SLOWER, Verdict.SLOWER),
        (1.029, 1.12, 1.30, Verdict.UNDECIDED, Verdict.UNDECIDED),
        (1.09, 1.10, 1.11, Verdict.SLOWER, Verdict.SLOWER),
        (0.90, 0.91, 0.92, Verdict.FASTER, Verdict.FASTER),
        (0.90, 0.94, 0.99, Verdict.SAME, Verdict.SAME),
    ],
)
def test_a_case_is_slower_only_where_estimate_and_lower_end_are_above_their_limits(
    low: float, estimate: float, high: float, first: Verdict, last: Verdict
) -> None:
    ratio = Interval(low, estimate, high)
    assert judge_time(ratio, BAND) is first
    assert judge_time_at_last(ratio, BAND) is last


def test_the_same_samples_give_the_same_interval() -> None:
    logs = np.random.default_rng(3).normal(0.0, 0.02, (4, 12))
    assert interval_of(logs, 0.95) == interval_of(logs, 0.95)


def test_a_slowdown_that_head_and_base_share_cancels() -> None:
    rng = np.random.default_rng(3)
    busy, head, base = rng.normal(0.0, 0.5, (4, 12)), rng.normal(0.0, 0.005, (4, 12)), rng.normal(0.0, 0.005, (4, 12))
    ratio = interval_of((busy + head) - (busy + base), 0.95)
    assert ratio.low == pytest.approx(1.0, abs=0.01)
    assert ratio.high == pytest.approx(1.0, abs=0.01)


def test_what_processes_differ_by_for_good_widens_the_interval_however_many_samples_each_has() -> None:
    rng = np.random.default_rng(5)
    logs = rng.normal(0.0, 0.02, (4, 1)) + rng.normal(0.0, 0.001, (4, 200))
    ratio = interval_of(logs, 0.95)
    assert ratio.high - ratio.low > 0.02


def test_a_single_disturbed_sample_does_not_move_the_estimate() -> None:
    logs = np.random.default_rng(1).normal(0.0, 0.004, (4, 12))
    calm = interval_of(logs, 0.95).estimate
    logs[2, 7] = 1.5
    assert interval_of(logs, 0.95).estimate == pytest.approx(calm, abs=0.001)


def test_a_slowdown_of_ten_percent_is_slower_in_each_of_thirty_draws_and_none_never_is() -> None:
    rng = np.random.default_rng(11)
    for _ in range(30):
        logs = rng.normal(0.0, 0.008, (4, 1)) + rng.normal(0.0, 0.03, (4, 12))
        assert judge_time(interval_of(logs, 0.95), BAND) in {Verdict.SAME, Verdict.UNDECIDED}
        assert judge_time(interval_of(logs + np.log(1.10), 0.95), BAND) is Verdict.SLOWER


@pytest.mark.parametrize(
    ("name", "base", "head", "verdict"),
    [
        ("rebuilds", 1, 2, Verdict.SLOWER),
        ("rebuilds", 2, 1, Verdict.FASTER),
        ("iterations", 1000, 1010, Verdict.SAME),
        ("iterations", 1000, 1011, Verdict.SLOWER),
        ("iterations", 1000, 980, Verdict.FASTER),
        ("jobs", 500, 501, Verdict.DIFFERENT),
        ("jobs", 500, 499, Verdict.DIFFERENT),
        ("unheard_of", 1, 2, Verdict.DIFFERENT),
        ("unheard_of", 1, 1, Verdict.DIFFERENT),
    ],
)
def test_more_work_is_slower_and_other_work_or_a_counter_without_a_limit_is_not_comparable(
    name: str, base: float, head: float, verdict: Verdict
) -> None:
    (change,) = judge_counters({name: head}, {name: base}, LIMITS)
    assert change == (name, base, head, verdict)


def test_equal_counters_are_no_news() -> None:
    assert judge_counters({"jobs": 5, "rebuilds": 0}, {"jobs": 5, "rebuilds": 0}, LIMITS) == []


@pytest.mark.parametrize(("head", "base"), [({}, {"jobs": 5}), ({"jobs": 5}, {})])
def test_a_counter_that_one_side_lacks_is_not_comparable(head: dict, base: dict) -> None:
    (change,) = judge_counters(head, base, LIMITS)
    assert change.verdict is Verdict.DIFFERENT
