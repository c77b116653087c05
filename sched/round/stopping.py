"""When a run ends: pure rules over simulated quantities.

Wall time is one limit among them, handed in by the caller; it ends a run and never decides anything within it.
"""

from __future__ import annotations

from bisect import insort
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

from phasewise.profiling.artefacts.run_json import Status
from phasewise.sched.errors import ScenarioError
from phasewise.sched.scenario.config import Stop

SATURATION_COMPLETIONS = 100
SATURATION_RATE_PER_HOUR = 0.1
SATURATION_UTILIZATION = 0.99


class StopReason(StrEnum):
    """Why a run ended."""

    ALL_COMPLETE = "all_complete"
    WINDOW_COMPLETE = "window_complete"
    SATURATED = "saturated"
    STRAGGLERS = "stragglers"
    ROUNDS = "rounds"
    SIM_TIME = "sim_time"
    WALL_TIME = "wall_time"
    CPU_TIME = "cpu_time"

    @property
    def status(self) -> Status:
        """The run's status in its summary: ``complete``, ``overloaded`` or ``stopped``."""
        if self in {StopReason.ALL_COMPLETE, StopReason.WINDOW_COMPLETE}:
            return "complete"
        return "overloaded" if self is StopReason.SATURATED else "stopped"


@dataclass(slots=True)
class Departures:
    """Who is gone: a few counts and the last 100 completion times, whatever the length of the run and of the window.

    Attributes
    ----------
    window_left
        Jobs of the window that are not gone, None without a window.
    gone
        Jobs that completed, failed or were refused.
    completion_s
        The last completion times, simulated seconds, ascending: a round reports them in any order.
    """

    window_left: int | None
    gone: int = 0
    completion_s: list[float] = field(default_factory=list)

    @property
    def completions_per_hour(self) -> float | None:
        """The rate over the last 100 completions: 99 intervals over their span; None before there are 100.

        It is infinite where all of them came at once, so it is for comparing and not for writing down.
        """
        times = self.completion_s
        if len(times) < SATURATION_COMPLETIONS:
            return None
        span_s = times[-1] - times[0]
        return (len(times) - 1) / span_s * 3600.0 if span_s > 0 else float("inf")


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
    utilization
        Share of the GPUs in use, 0 to 1, over the span the caller chooses.
    """

    round_index: int
    now_s: float
    active: int
    utilization: float


class Stopper:
    """Counts jobs as gone and says, before each round, whether the run is over; the counts are the caller's.

    Parameters
    ----------
    stop
        The scenario's limits.
    total_jobs
        How many jobs will ever arrive, with the ids 0 to total_jobs - 1 in order of arrival; None means no end of them.

    Raises
    ------
    ScenarioError
        If a limit is out of range, the window has jobs that never arrive, or nothing would ever end the run.
    """

    def __init__(self, stop: Stop, total_jobs: int | None) -> None:
        _check(stop, total_jobs)
        self._stop = stop
        self._total = total_jobs

    def begin(self) -> Departures:
        """Return that nobody is gone."""
        return Departures(None if self._stop.window is None else self._stop.window[1] - self._stop.window[0])

    def observe_completion(self, departures: Departures, job_id: int, time_s: float) -> None:
        """Count a job as complete at the simulated time ``time_s``."""
        insort(departures.completion_s, time_s)
        if len(departures.completion_s) > SATURATION_COMPLETIONS:
            del departures.completion_s[0]
        self.observe_gone(departures, job_id)

    def observe_gone(self, departures: Departures, job_id: int) -> None:
        """Count a job, once, as gone without having completed: failed, or refused at admission."""
        departures.gone += 1
        if self._stop.window is not None and departures.window_left is not None:
            departures.window_left -= self._stop.window[0] <= job_id < self._stop.window[1]

    def decide(self, departures: Departures, moment: Moment, wall_s: float) -> StopReason | None:
        """Return why the run ends before this round, or None where it goes on.

        Completion goes before saturation, and that before the limits, so a run that completes at a limit is complete.

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
        if self._stop.saturation and moment.utilization > SATURATION_UTILIZATION and _is_slow(departures):
            return StopReason.SATURATED
        if self._stop.stragglers and self._only_stragglers(departures, moment.active):
            return StopReason.STRAGGLERS
        return self._limit(moment.round_index, moment.now_s, wall_s)

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


def _is_slow(departures: Departures) -> bool:
    rate = departures.completions_per_hour
    return rate is not None and rate < SATURATION_RATE_PER_HOUR


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
