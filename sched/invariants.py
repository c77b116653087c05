"""What must hold after every phase; checked in tests and with ``output.check_invariants``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from phasewise.sched.errors import InvariantError

if TYPE_CHECKING:
    from phasewise.sched.engine import Simulation

_SLACK = 1e-6  # relative: allocations are solved, not counted


def check(sim: Simulation) -> None:
    """Raise `InvariantError` naming the first rule that does not hold."""
    _check_jobs(sim)
    _check_gpus(sim)
    _check_clocks(sim)


def _require(holds: bool | np.bool_, rule: str, sim: Simulation) -> None:
    if not holds:
        raise InvariantError(f"round {sim.round_index}, t = {sim.clocks.now_s} s: {rule}")


def _check_jobs(sim: Simulation) -> None:
    jobs = sim.jobs
    _require((np.diff(jobs.job_id) > 0).all(), "active jobs stand in order of arrival, each once", sim)
    _require((jobs.steps_done >= 0.0).all(), "no job has done a negative number of steps", sim)
    _require((jobs.steps_done < jobs.total_steps).all(), "a job that has done its steps is no longer active", sim)
    _require((jobs.arrival_s <= sim.clocks.now_s).all(), "no job is active before its arrival", sim)
    _require(np.isfinite(jobs.job_time_s).all() and (jobs.job_time_s > 0.0).all(), "service is finite, above 0", sim)
    _require((jobs.x >= 0.0).all(), "no allocation is negative", sim)
    _require((jobs.x.sum(axis=1) <= 1.0 + _SLACK).all(), "no job is allocated more than all of its time", sim)


def _check_gpus(sim: Simulation) -> None:
    jobs, holder, layout = sim.jobs, sim.holder, sim.parts.layout
    _require((holder < len(jobs)).all(), "every GPU is held by an active job or by none", sim)
    held = np.flatnonzero(holder >= 0)
    gpus = np.bincount(holder[held], minlength=len(jobs))
    runs = jobs.worker_type >= 0
    # Between arrivals and assignment, jobs still stand where the last round left them: both sides agree at all times.
    _require((gpus[runs] == jobs.scale_factor[runs]).all(), "a running job holds as many GPUs as it needs", sim)
    _require((gpus[~runs] == 0).all(), "a waiting job holds no GPU", sim)
    gpu_type = np.searchsorted(layout.type_start, held, side="right") - 1
    _require((jobs.worker_type[holder[held]] == gpu_type).all(), "all GPUs of a job are of the type it runs on", sim)
    speed = np.take_along_axis(jobs.throughput, np.maximum(jobs.worker_type, 0)[:, None], axis=1)[:, 0]
    _require((speed[runs] > 0.0).all(), "no job runs on a type on which it makes no progress", sim)


def _check_clocks(sim: Simulation) -> None:
    clocks = sim.clocks
    _require(np.isfinite(clocks.now_s) and clocks.now_s >= 0.0, "simulated time is finite and not negative", sim)
    _require(clocks.round_start_s <= clocks.now_s, "a round does not start after now", sim)
    _require((sim.service.busy_s >= 0.0).all(), "no GPU was busy for a negative time", sim)
    if not sim.parts.timing.idle_gap_counts:
        allowed_s = clocks.now_s * (1.0 + _SLACK) + _SLACK
        _require((sim.service.busy_s <= allowed_s).all(), "no GPU was busy for longer than the run has lasted", sim)
