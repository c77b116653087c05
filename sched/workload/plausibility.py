"""Workloads that can be run and hardly mean what they say: told before a run, as afterwards it looks like a result."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from phasewise.sched.workload.arrivals import Arrival, Workload

DAY_S: Final = 86_400.0
MOST_IDLE_S: Final = 30 * DAY_S
"""A cluster that is idle for longer before the first arrival, and for longer than arrivals last, is no experiment."""

MOST_WORK_S: Final = 365 * DAY_S
"""A job that takes longer on its fastest worker type has too many steps, or the wrong unit."""


def doubts(workload: Workload, worker_types: Sequence[str]) -> list[str]:
    """Return what is hard to believe of a workload that is known beforehand, a sentence each; usually nothing."""
    arrivals: Sequence[Arrival] = getattr(workload, "arrivals", ())
    if not arrivals:
        return []
    return [*_late(arrivals), *_endless(arrivals, workload.throughputs.rows, worker_types)]


def _late(arrivals: Sequence[Arrival]) -> list[str]:
    times_s = [job.arrival_s for job in arrivals]
    first_s, last_s = min(times_s), max(times_s)
    if first_s <= MOST_IDLE_S or first_s <= last_s - first_s:
        return []
    return [
        f"the first job arrives {first_s / DAY_S:,.0f} days after time 0, and all others within "
        f"{(last_s - first_s) / DAY_S:,.1f} days of it; makespan and utilisation count from time 0, so take the first "
        "arrival from all of them (are they Unix times?)"
    ]


def _endless(
    arrivals: Sequence[Arrival], rates: np.ndarray[tuple[int, int], np.dtype[np.float64]], worker_types: Sequence[str]
) -> list[str]:
    best = rates[[job.type_index for job in arrivals]]
    fastest = best.max(axis=1)
    steps = np.array([job.total_steps for job in arrivals])
    with np.errstate(divide="ignore", over="ignore"):
        work_s = np.where(fastest > 0.0, steps / fastest, 0.0)
    endless = np.flatnonzero(work_s > MOST_WORK_S)
    if not endless.size:
        return []
    worst = int(endless[np.argmax(work_s[endless])])
    job = arrivals[worst]
    jobs = "1 job needs" if endless.size == 1 else f"{endless.size:,} jobs need"
    return [
        f"{jobs} more than {MOST_WORK_S / DAY_S:.0f} days of work even on the fastest worker type; job {job.job_id} "
        f"({job.job_type}) has {job.total_steps:g} steps, which take {work_s[worst] / DAY_S:,.0f} days on "
        f"{worker_types[int(best[worst].argmax())]}"
    ]
