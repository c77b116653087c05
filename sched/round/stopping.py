"""When a run ends: pure rules over simulated quantities.

Wall time is one limit among them, handed in by the caller; it ends a run and never decides anything within it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from phasewise.profiling.artefacts.run_json import Status
from phasewise.sched.errors import ScenarioError
from phasewise.sched.round.backlog import Backlog, Census
from phasewise.sched.scenario.config import Stop


class StopReason(StrEnum):
    """Why a run ended."""

    ALL_COMPLETE = "all_complete"
    WINDOW_COMPLETE = "window_complete"
    STRAGGLERS = "stragglers"
    ROUNDS = "rounds"
    SIM_TIME = "sim_time"
    WALL_TIME = "wall_time"
    CPU_TIME = "cpu_time"
    DRIFT = "drift"

    @property
    def status(self) -> Status:
        """The run's status in its summary: ``complete``, ``overloaded`` or ``stopped``."""
        if self in {StopReason.ALL_COMPLETE, StopReason.WINDOW_COMPLETE}:
            return "complete"
        return "overloaded" if self is StopReason.DRIFT else "stopped"


@dataclass(slots=True)
class Departures:
    """Who is gone and who piles up: a few counts, whatever the length of the run and of the window.

    Attributes
    ----------
    window_left
        Jobs of the window that are not gone, None without a window.
    gone
        Jobs that completed, failed or were refused.
    backlog
        How active jobs grew with arrivals.
    """

    window_left: int | None
    gone: int = 0
    backlog: Backlog = field(default_factory=Backlog)


class Moment(NamedTuple):
    """Where a run stands between two rounds.

    Attributes
    ----------
    round_index
        Rounds run so far.
    now_s
        Simulated time, seconds.
    active
        Jobs that have arrived and are not gone.
    """

    round_index: int
    now_s: float
    active: int


class Stopper:
    """Counts jobs as gone and says, before each round, whether the run is over; the counts are the caller's.

    Parameters
    ----------
    stop
        The scenario's limits.
    total_jobs
        How many jobs will ever arrive, with the ids 0 to total_jobs - 1 in order of arrival; None means no end of them.
    arrivals_per_s
        The rate of arrivals, where there is one, so that drift tells of overload and not of a busy day in a trace.

    Raises
    ------
    ScenarioError
        If a limit is out of range, the window has jobs that never arrive, or nothing would ever end the run.
    """

    def __init__(self, stop: Stop, total_jobs: int | None, arrivals_per_s: float | None = None) -> None:
        _check(stop, total_jobs)
        self._stop = stop
        self._total = total_jobs
        self._arrivals_per_s = arrivals_per_s

    def begin(self) -> Departures:
        """Return that nobody is gone."""
        return Departures(None if self._stop.window is None else self._stop.window[1] - self._stop.window[0])

    def observe_gone(self, departures: Departures, job_id: int) -> None:
        """Count a job, once, as gone: completed, failed, or refused at admission."""
        departures.gone += 1
        if self._stop.window is not None and departures.window_left is not None:
            departures.window_left -= self._stop.window[0] <= job_id < self._stop.window[1]

    def observe_round(self, departures: Departures, now_s: float, active: int, waiting: int) -> None:
        """Take note of how many jobs are active at the end of a round, and how many of them wait."""
        census = Census(now_s, departures.gone + active, active, waiting)
        departures.backlog.observe(census, self._arrivals_per_s)

    def decide(self, departures: Departures, moment: Moment, wall_s: float) -> StopReason | None:
        """Return why the run ends before this round, or None where it goes on.

        Completion goes before the limits, so a run that completes at a limit is complete, and the limits before drift,
        so a run that is stopped where it was told to is stopped.

        Parameters
        ----------
        wall_s
            Wall seconds since the run began.
        """
        if departures.window_left is not None:
            if not departures.window_left:
                return StopReason.WINDOW_COMPLETE
        elif departures.gone == self._total:
            return StopReason.ALL_COMPLETE
        if self._stop.stragglers and self._only_stragglers(departures, moment.active):
            return StopReason.STRAGGLERS
        limit = self._limit(moment.round_index, moment.now_s, wall_s)
        if limit is None and departures.backlog.overloaded and self._may_end(departures.gone + moment.active):
            return StopReason.DRIFT
        return limit

    def _may_end(self, arrived: int) -> bool:
        """Return whether drift may end the run: all jobs of the window have arrived, and others will.

        The mean is theirs: at their present age they bound it from below. Where nobody else comes, they will be served.
        """
        window, total = self._stop.window, self._total
        if window is None or self._arrivals_per_s is None or not self._stop.saturation:
            return False
        return arrived >= window[1] and (total is None or arrived < total)

    def _only_stragglers(self, departures: Departures, active: int) -> bool:
        """Return whether all jobs that count have arrived and few of them are left."""
        arrived = departures.gone + active  # ids are given in order of arrival
        if departures.window_left is not None and self._stop.window is not None:
            return departures.window_left <= self._stop.stragglers and arrived >= self._stop.window[1]
        return arrived == self._total and active <= self._stop.stragglers

    def _limit(self, round_index: int, now_s: float, wall_s: float) -> StopReason | None:
        stop = self._stop
        if stop.rounds is not None and round_index >= stop.rounds:
            return StopReason.ROUNDS
        if stop.sim_time_s is not None and now_s >= stop.sim_time_s:
            return StopReason.SIM_TIME
        if stop.wall_s is not None and wall_s >= stop.wall_s:
            return StopReason.WALL_TIME
        return None


def _check(stop: Stop, total_jobs: int | None) -> None:
    if stop.window is not None:
        first, end = stop.window
        if not 0 <= first < end:
            raise ScenarioError(f"stop.window is {first}:{end}; allowed is A:B with 0 <= A < B")
        if total_jobs is not None and end > total_jobs:
            raise ScenarioError(
                f"stop.window is {first}:{end}, but only {total_jobs} jobs will arrive; allowed is B <= {total_jobs}"
            )
    for key, limit in (("rounds", stop.rounds), ("sim_time_s", stop.sim_time_s), ("wall_s", stop.wall_s)):
        if limit is not None and not limit >= 0:
            raise ScenarioError(f"stop.{key} is {limit}; allowed is 0 or more")
    if stop.stragglers < 0:
        raise ScenarioError(f"stop.stragglers is {stop.stragglers}; allowed is 0 or more")
    limits = (total_jobs, stop.window, stop.rounds, stop.sim_time_s, stop.wall_s)
    if all(limit is None for limit in limits):
        raise ScenarioError(
            "the run would never end: jobs arrive without end;"
            " set workload.jobs, stop.window, stop.rounds, stop.sim_time_s or stop.wall_s"
        )
