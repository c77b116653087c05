"""Jobs that completed: what the summary needs of each, in arrays that grow, and the figures made of them."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from phasewise.profiling.artefacts.run_json import JctInterval, Wait
from phasewise.profiling.stats import BATCHES, batch_mean_interval
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.recording.metrics import (
    in_window,
    jain_index,
    jct_statistics,
    percentiles,
    rho_statistics,
    slowdown_statistics,
)
from phasewise.sched.round.outcome import JobRecord

Floats = npt.NDArray[np.float64]
ColumnOf = Callable[[str], Floats]
"""Returns (K,) a column of the jobs that count, by its name. None of them is kept: one at a time is in memory."""

SIZES: Final = ((0.999, "<1"), (1.0, "1"), (2.0, "2"), (4.0, "3-4"), (8.0, "5-8"), (float("inf"), ">8"))
"""Up to how many GPUs a job has which size, by the name of the size."""
BOUND_S: Final = 10.0
"""Of the bounded slowdown: a job that would take less counts as if it took so long."""
_NOT_KNOWN: Final = float("nan")


@dataclass(slots=True)
class Completed:
    """A row a completed job, in the order in which they completed: 60 bytes each. What is not known is NaN."""

    job_id: array[int] = field(default_factory=lambda: array("q"))
    jct_s: array[float] = field(default_factory=lambda: array("d"))
    queued_s: array[float] = field(default_factory=lambda: array("d"))
    rho: array[float] = field(default_factory=lambda: array("d"))
    ideal_s: array[float] = field(default_factory=lambda: array("d"))
    gpus: array[float] = field(default_factory=lambda: array("d"))
    moves: array[int] = field(default_factory=lambda: array("l"))
    restarts: array[int] = field(default_factory=lambda: array("l"))

    def add(self, job: JobRecord, jct_s: float) -> None:
        """Add a job that completed."""
        queued_s, rho = job.queued_s, job.rho
        self.job_id.append(job.job_id)
        self.jct_s.append(jct_s)
        self.queued_s.append(_NOT_KNOWN if queued_s is None else queued_s)
        self.rho.append(_NOT_KNOWN if rho is None else rho)
        self.ideal_s.append(_NOT_KNOWN if job.ideal_s is None else job.ideal_s)
        self.gpus.append(job.scale_factor if job.demand_milli is None else job.demand_milli / WHOLE_MILLI)
        self.moves.append(job.moves)
        self.restarts.append(job.restarts)

    def within(self, window: tuple[int, int] | None) -> ColumnOf:
        """Return what gives columns of the jobs that count, in order of ids: in another, a mean rounds otherwise.

        Each column is put in order when it is asked for. Nobody may add a job meanwhile.
        """
        ids = np.frombuffer(self.job_id, np.int64)
        order = np.argsort(ids)
        if window is not None:
            order = order[in_window(ids[order], window)]
        del ids  # a column that is looked at cannot grow

        def column(name: str) -> Floats:
            values = np.frombuffer(getattr(self, name), getattr(self, name).typecode)[order]
            return values.astype(np.float64, copy=False)

        return column


def figures(column: ColumnOf, *, censored: bool) -> dict[str, Any]:
    """Return what the summary says of completed jobs, by its keys.

    Parameters
    ----------
    column
        As `Completed.within` returns it.
    censored
        Whether jobs that count are missing, so that the mean has no interval: what is missing is not drawn at random.
    """
    jct_s = column("jct_s")
    jct = jct_statistics(jct_s)
    found: dict[str, Any] = {
        "avg_jct_s": jct.avg_s,
        "jct_s_p50": jct.p50_s,
        "jct_s_p95": jct.p95_s,
        "jct_jobs": jct.completed,
        "avg_jct_interval_s": None if censored else _interval(jct_s),
        "slowdown": slowdown_statistics(jct_s, column("ideal_s"), BOUND_S),
    }
    del jct_s  # one column at a time, or a million jobs take as much memory again as the run
    return found | _fairness(column("rho")) | _queues(column("queued_s"), column("gpus")) | _restarts(column)


def _fairness(rho: Floats) -> dict[str, Any]:
    return {"rho": rho_statistics(rho), "jain": jain_index(rho)}


def _queues(queued_s: Floats, gpus: Floats) -> dict[str, Any]:
    p50_s, p95_s = percentiles(queued_s, 50.0, 95.0)
    return {"queue_s_p50": p50_s, "queue_s_p95": p95_s, "queue_by_gpus": _waits(queued_s, gpus)}


def _restarts(column: ColumnOf) -> dict[str, Any]:
    return {"moves_per_job": _mean(column("moves")), "restarts_per_job": _mean(column("restarts"))}


def _interval(jct_s: Floats) -> JctInterval | None:
    """Return the interval of the mean JCT by batch means, None of too few jobs."""
    if jct_s.size < 2 * BATCHES:
        return None
    low_s, _, high_s = batch_mean_interval(jct_s)
    return JctInterval(low=low_s, high=high_s, batches=BATCHES)


def _waits(queued_s: Floats, gpus: Floats) -> dict[str, Wait]:
    """Return the wait of jobs by their number of GPUs; sizes of which there is none are left out."""
    limits = np.array([limit for limit, _ in SIZES])
    size = np.searchsorted(limits, gpus)
    waits = {}
    for index, (_, name) in enumerate(SIZES):
        of_size = queued_s[size == index]
        p50_s, p95_s = percentiles(of_size, 50.0, 95.0)
        if p50_s is not None and p95_s is not None:
            waits[name] = Wait(p50_s=p50_s, p95_s=p95_s, jobs=int(np.count_nonzero(~np.isnan(of_size))))
    return waits


def _mean(values: Floats) -> float | None:
    return float(values.mean()) if values.size else None
