"""When a run ends, rule by rule."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from phasewise.sched.errors import ScenarioError
from phasewise.sched.round.stopping import Moment, StopReason
from phasewise.sched.round.stopping import Stopper as Rules
from phasewise.sched.scenario.config import Stop

HOUR_S = 3600.0


class Stopper:
    """The rules of a run with its counts."""

    def __init__(self, stop: Stop, total_jobs: int | None) -> None:
        self.rules = Rules(stop, total_jobs)
        self.departures = self.rules.begin()

    def observe_completion(self, job_id: int, time_s: float) -> None:
        self.rules.observe_completion(self.departures, job_id, time_s)

    def observe_gone(self, job_id: int) -> None:
        self.rules.observe_gone(self.departures, job_id)

    @property
    def completions_per_hour(self) -> float | None:
        return self.departures.completions_per_hour


def decide(
    stopper: Stopper,
    *,
    round_index: int = 0,
    now_s: float = 0.0,
    active: int = 5,
    utilization: float = 0.5,
    wall_s: float = 0.0,
) -> StopReason | None:
    moment = Moment(round_index, now_s, active, utilization)
    return stopper.rules.decide(stopper.departures, moment, wall_s)


def test_a_run_goes_on_until_all_jobs_are_gone_however_they_went() -> None:
    stopper = Stopper(Stop(), 3)
    stopper.observe_completion(0, 10.0)
    stopper.observe_gone(2)
    assert decide(stopper) is None
    stopper.observe_completion(1, 20.0)
    assert decide(stopper) is StopReason.ALL_COMPLETE


def test_a_run_without_jobs_is_over_at_once() -> None:
    assert decide(Stopper(Stop(), 0), active=0) is StopReason.ALL_COMPLETE


def test_a_window_is_complete_when_its_jobs_are_gone_whoever_else_runs() -> None:
    stopper = Stopper(Stop(window=(1, 3)), None)
    stopper.observe_completion(0, 1.0)
    stopper.observe_completion(3, 1.0)
    stopper.observe_completion(1, 2.0)
    assert decide(stopper) is None
    stopper.observe_gone(2)
    assert decide(stopper) is StopReason.WINDOW_COMPLETE


def test_a_window_ends_a_run_before_the_rest_of_its_jobs() -> None:
    stopper = Stopper(Stop(window=(0, 1)), 10)
    stopper.observe_completion(0, 1.0)
    assert decide(stopper) is StopReason.WINDOW_COMPLETE


@pytest.mark.parametrize(
    ("stop", "at", "reason"),
    [
        (Stop(rounds=7), {"round_index": 7}, StopReason.ROUNDS),
        (Stop(sim_time_s=100.0), {"now_s": 100.0}, StopReason.SIM_TIME),
        (Stop(wall_s=2.0), {"wall_s": 2.5}, StopReason.WALL_TIME),
    ],
)
def test_a_limit_ends_a_run_when_it_is_reached(stop: Stop, at: dict[str, float], reason: StopReason) -> None:
    stopper = Stopper(stop, None)
    assert decide(stopper, round_index=6, now_s=99.0, wall_s=1.9) is None
    assert decide(stopper, **at) is reason  # type: ignore[arg-type]


def test_a_run_that_completes_at_its_limit_is_complete() -> None:
    stopper = Stopper(Stop(rounds=1), 1)
    stopper.observe_completion(0, 1.0)
    assert decide(stopper, round_index=1) is StopReason.ALL_COMPLETE


def test_stragglers_end_a_run_once_nobody_else_is_to_come() -> None:
    stopper = Stopper(Stop(stragglers=2), 5)
    stopper.observe_completion(0, 1.0)
    stopper.observe_completion(1, 1.0)
    assert decide(stopper, active=2) is None  # the fifth is still to arrive
    assert decide(stopper, active=3) is None
    stopper.observe_completion(2, 2.0)
    assert decide(stopper, active=2) is StopReason.STRAGGLERS


def test_stragglers_of_a_window_count_only_its_jobs() -> None:
    stopper = Stopper(Stop(window=(2, 5), stragglers=1), None)
    stopper.observe_completion(2, 1.0)
    stopper.observe_completion(4, 1.0)
    assert decide(stopper, active=2) is None  # of jobs 0, 1 and 3 only two have arrived
    assert decide(stopper, active=3) is StopReason.STRAGGLERS


def test_a_window_that_has_not_arrived_has_no_stragglers() -> None:
    assert decide(Stopper(Stop(window=(0, 1), stragglers=3), None), active=0) is None


def saturating(interval_s: float, count: int = 100, **stop: object) -> Stopper:
    stopper = Stopper(Stop(window=(4000, 5000), **stop), None)  # type: ignore[arg-type]
    for job in range(count):
        stopper.observe_completion(job, job * interval_s)
    return stopper


def test_a_full_cluster_with_hardly_a_completion_is_saturated() -> None:
    assert decide(saturating(10.1 * HOUR_S), utilization=0.995) is StopReason.SATURATED


def test_the_saturation_rate_counts_intervals_not_completions() -> None:
    stopper = saturating(10 * HOUR_S)
    assert stopper.completions_per_hour == pytest.approx(0.1)
    # 100 over the same span would be 0.101 an hour; 99 intervals are just below 0.1.
    assert decide(saturating(10.05 * HOUR_S), utilization=1.0) is StopReason.SATURATED


@pytest.mark.parametrize(
    ("interval_s", "count", "utilization"),
    [(9.9 * HOUR_S, 100, 1.0), (20 * HOUR_S, 99, 1.0), (20 * HOUR_S, 100, 0.99), (0.0, 100, 1.0)],
)
def test_a_run_is_not_saturated_short_of_any_of_the_three_signs(
    interval_s: float, count: int, utilization: float
) -> None:
    assert decide(saturating(interval_s, count), utilization=utilization) is None


def test_saturation_can_be_switched_off() -> None:
    assert decide(saturating(20 * HOUR_S, saturation=False), utilization=1.0) is None


def test_only_the_last_hundred_completions_count() -> None:
    stopper = saturating(1.0, 500)
    for job in range(100):
        stopper.observe_completion(500 + job, 1e6 + job * 20 * HOUR_S)
    assert stopper.completions_per_hour == pytest.approx(0.05)


def test_the_order_of_completions_within_a_round_does_not_matter() -> None:
    times = np.arange(150) * HOUR_S
    backwards = Stopper(Stop(rounds=9), None)
    for start in range(0, 150, 10):
        for time_s in times[start : start + 10][::-1].tolist():
            backwards.observe_completion(0, time_s)
    assert backwards.completions_per_hour == pytest.approx(1.0)


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (StopReason.ALL_COMPLETE, "complete"),
        (StopReason.WINDOW_COMPLETE, "complete"),
        (StopReason.SATURATED, "overloaded"),
        (StopReason.STRAGGLERS, "stopped"),
        (StopReason.ROUNDS, "stopped"),
        (StopReason.SIM_TIME, "stopped"),
        (StopReason.WALL_TIME, "stopped"),
    ],
)
def test_every_reason_has_its_status(reason: StopReason, status: str) -> None:
    assert reason.status == status


@pytest.mark.parametrize(
    ("stop", "jobs", "message"),
    [
        (Stop(window=(5, 5)), None, r"stop\.window is 5:5; allowed is A:B with 0 <= A < B"),
        (Stop(window=(-1, 5)), None, r"stop\.window is -1:5"),
        (Stop(window=(40, 60)), 50, r"stop\.window is 40:60, but only 50 jobs will arrive; allowed is B <= 50"),
        (Stop(rounds=-1), 5, r"stop\.rounds is -1; allowed is 0 or more"),
        (Stop(sim_time_s=float("nan")), 5, r"stop\.sim_time_s is nan"),
        (Stop(wall_s=-0.5), 5, r"stop\.wall_s is -0\.5"),
        (Stop(stragglers=-2), 5, r"stop\.stragglers is -2"),
        (Stop(), None, "the run would never end"),
    ],
)
def test_a_limit_that_cannot_be_is_refused(stop: Stop, jobs: int | None, message: str) -> None:
    with pytest.raises(ScenarioError, match=message):
        Stopper(stop, jobs)


def test_memory_does_not_grow_with_completions() -> None:
    stopper = Stopper(Stop(rounds=9), None)
    for job in range(1000):
        stopper.observe_completion(job, float(job))
    tracemalloc.start()
    for job in range(1000, 20_000):
        stopper.observe_completion(job, float(job))
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 20_000  # bytes: a hundred numbers, not twenty thousand
