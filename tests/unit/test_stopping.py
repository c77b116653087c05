"""When a run ends, rule by rule."""

from __future__ import annotations

import pytest

from phasewise.sched.errors import ScenarioError
from phasewise.sched.round.stopping import Moment, StopReason
from phasewise.sched.round.stopping import Stopper as Rules
from phasewise.sched.scenario.config import Stop


class Stopper:
    """The rules of a run with its counts."""

    def __init__(self, stop: Stop, total_jobs: int | None, arrivals_per_s: float | None = None) -> None:
        self.rules = Rules(stop, total_jobs, arrivals_per_s)
        self.departures = self.rules.begin()

    def observe_gone(self, job_id: int) -> None:
        self.rules.observe_gone(self.departures, job_id)

    def observe_round(self, now_s: float, active: int) -> None:
        self.rules.observe_round(self.departures, now_s, active, active)


def decide(
    stopper: Stopper,
    *,
    round_index: int = 0,
    now_s: float = 0.0,
    active: int = 5,
    wall_s: float = 0.0,
) -> StopReason | None:
    moment = Moment(round_index, now_s, active)
    return stopper.rules.decide(stopper.departures, moment, wall_s)


def test_a_run_goes_on_until_all_jobs_are_gone_however_they_went() -> None:
    stopper = Stopper(Stop(), 3)
    stopper.observe_gone(0)
    stopper.observe_gone(2)
    assert decide(stopper) is None
    stopper.observe_gone(1)
    assert decide(stopper) is StopReason.ALL_COMPLETE


def test_a_run_without_jobs_is_over_at_once() -> None:
    assert decide(Stopper(Stop(), 0), active=0) is StopReason.ALL_COMPLETE


def test_a_window_is_complete_when_its_jobs_are_gone_whoever_else_runs() -> None:
    stopper = Stopper(Stop(window=(1, 3)), None)
    stopper.observe_gone(0)
    stopper.observe_gone(3)
    stopper.observe_gone(1)
    assert decide(stopper) is None
    stopper.observe_gone(2)
    assert decide(stopper) is StopReason.WINDOW_COMPLETE


def test_a_window_ends_a_run_before_the_rest_of_its_jobs() -> None:
    stopper = Stopper(Stop(window=(0, 1)), 10)
    stopper.observe_gone(0)
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
    stopper.observe_gone(0)
    assert decide(stopper, round_index=1) is StopReason.ALL_COMPLETE


def test_stragglers_end_a_run_once_nobody_else_is_to_come() -> None:
    stopper = Stopper(Stop(stragglers=2), 5)
    stopper.observe_gone(0)
    stopper.observe_gone(1)
    assert decide(stopper, active=2) is None  # the fifth is still to arrive
    assert decide(stopper, active=3) is None
    stopper.observe_gone(2)
    assert decide(stopper, active=2) is StopReason.STRAGGLERS


def test_stragglers_of_a_window_count_only_its_jobs() -> None:
    stopper = Stopper(Stop(window=(2, 5), stragglers=1), None)
    stopper.observe_gone(2)
    stopper.observe_gone(4)
    assert decide(stopper, active=2) is None  # of jobs 0, 1 and 3 only two have arrived
    assert decide(stopper, active=3) is StopReason.STRAGGLERS


def test_a_window_that_has_not_arrived_has_no_stragglers() -> None:
    assert decide(Stopper(Stop(window=(0, 1), stragglers=3), None), active=0) is None


def growing(share: float, **rules: object) -> Stopper:
    """Return a run in which a share of every ten of 6,000 arrivals has piled up, waiting."""
    chosen = {"stop": Stop(window=(4000, 5000)), "total_jobs": None, "arrivals_per_s": 0.1, **rules}
    stopper = Stopper(**chosen)  # type: ignore[arg-type]
    for arrived in range(0, 6001, 10):
        piled = round(share * arrived)
        stopper.departures.gone = arrived - piled
        stopper.observe_round(10.0 * arrived, piled)
    return stopper


def test_a_run_in_which_jobs_pile_up_is_overloaded() -> None:
    stopper = growing(0.2)
    assert decide(stopper, active=1200) is StopReason.DRIFT
    assert stopper.departures.backlog.share == pytest.approx(0.2, abs=0.01)


def test_a_run_whose_queue_comes_back_to_where_it_was_goes_on() -> None:
    assert decide(growing(0.0), active=0) is None


def test_an_overloaded_run_goes_on_until_its_whole_window_has_arrived() -> None:
    assert decide(growing(0.2, stop=Stop(window=(6000, 6001))), active=1200) is None
    assert decide(growing(0.2, stop=Stop(window=(5999, 6000))), active=1200) is StopReason.DRIFT


def test_drift_ends_nothing_where_no_jobs_keep_coming_at_one_rate() -> None:
    assert decide(growing(0.2, arrivals_per_s=None), active=1200) is None
    assert decide(growing(0.2, total_jobs=6000), active=1200) is None
    assert decide(growing(0.2, total_jobs=6001), active=1200) is StopReason.DRIFT


def test_drift_ends_nothing_where_no_window_waits_or_it_is_switched_off() -> None:
    assert decide(growing(0.2, stop=Stop(sim_time_s=1e9)), active=1200) is None
    assert decide(growing(0.2, stop=Stop(window=(4000, 5000), saturation=False)), active=1200) is None


def test_a_window_that_is_done_is_complete_whatever_piles_up() -> None:
    stopper = growing(0.2)
    stopper.departures.window_left = 0
    assert decide(stopper, active=1200) is StopReason.WINDOW_COMPLETE


def test_a_limit_that_is_reached_goes_before_drift() -> None:
    stopper = growing(0.2, stop=Stop(window=(4000, 5000), rounds=7))
    assert decide(stopper, round_index=6, active=1200) is StopReason.DRIFT
    assert decide(stopper, round_index=7, active=1200) is StopReason.ROUNDS


@pytest.mark.parametrize(
    ("reason", "status"),
    [
        (StopReason.ALL_COMPLETE, "complete"),
        (StopReason.WINDOW_COMPLETE, "complete"),
        (StopReason.DRIFT, "overloaded"),
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
