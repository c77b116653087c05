"""When a run ends: pure rules over simulated quantities.

Wall time is one limit among them, handed in by the caller; it ends a run and never decides anything within it.
"""

from __future__ import annotations

from bisect import insort
from enum import StrEnum

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

    @property
    def status(self) -> Status:
        """The run's status in its summary: ``complete``, ``overloaded`` or ``stopped``."""
        if self in {StopReason.ALL_COMPLETE, StopReason.WINDOW_COMPLETE}:
            return "complete"
        return "overloaded" if self is StopReason.SATURATED else "stopped"


class Stopper:
    """Counts the jobs that are gone and says, before each round, whether the run is over.

    Its memory is a few counts and the last 100 completion times, whatever the length of the run and of the window.

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
        self._window_left = None if stop.window is None else stop.window[1] - stop.window[0]
        self._gone = 0
        self._completion_s: list[float] = []  # the last ones, ascending: a round reports them in any order

    def observe_completion(self, job_id: int, time_s: float) -> None:
        """Count a job as complete at the simulated time ``time_s``."""
        insort(self._completion_s, time_s)
        if len(self._completion_s) > SATURATION_COMPLETIONS:
            del self._completion_s[0]
        self.observe_gone(job_id)

    def observe_gone(self, job_id: int) -> None:
        """Count a job, once, as gone without having completed: failed, or refused at admission."""
        self._gone += 1
        if self._stop.window is not None and self._window_left is not None:
            self._window_left -= self._stop.window[0] <= job_id < self._stop.window[1]

    @property
    def completions_per_hour(self) -> float | None:
        """The rate over the last 100 completions: 99 intervals over their span; None before there are 100.

        It is infinite where all of them came at once, so it is for comparing and not for writing down.
        """
        times = self._completion_s
        if len(times) < SATURATION_COMPLETIONS:
            return None
        span_s = times[-1] - times[0]
        return (len(times) - 1) / span_s * 3600.0 if span_s > 0 else float("inf")

    def decide(
        self, round_index: int, now_s: float, active: int, utilization: float, wall_s: float
    ) -> StopReason | None:
        """Return why the run ends before this round, or None where it goes on.

        Completion goes before saturation, and that before the limits, so a run that completes at a limit is complete.

        Parameters
        ----------
        round_index
            Rounds run so far.
        now_s
            Simulated time, seconds.
        active
            Jobs that have arrived and are not gone.
        utilization
            Share of the GPUs in use, 0 to 1, over the span the caller chooses.
        wall_s
            Wall seconds since the run began.
        """
        if self._window_left is not None:
            if not self._window_left:
                return StopReason.WINDOW_COMPLETE
        elif self._gone == self._total:
            return StopReason.ALL_COMPLETE
        if self._stop.saturation and utilization > SATURATION_UTILIZATION and self._is_slow():
            return StopReason.SATURATED
        if self._stop.stragglers and self._only_stragglers(active):
            return StopReason.STRAGGLERS
        return self._limit(round_index, now_s, wall_s)

    def _is_slow(self) -> bool:
        rate = self.completions_per_hour
        return rate is not None and rate < SATURATION_RATE_PER_HOUR

    def _only_stragglers(self, active: int) -> bool:
        """Return whether all jobs that count have arrived and few of them are left."""
        arrived = self._gone + active  # ids are given in order of arrival
        if self._window_left is not None and self._stop.window is not None:
            return self._window_left <= self._stop.stragglers and arrived >= self._stop.window[1]
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
