"""What must hold after every phase; checked in tests and with ``output.check_invariants``."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import InvariantError

if TYPE_CHECKING:
    from phasewise.sched.engine import Simulation

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

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
    jobs, (first, gpu), layout = sim.jobs, sim.holding, sim.parts.layout
    _require(len(first) == len(jobs) + 1, "every holding belongs to an active job", sim)
    count = np.diff(first)
    runs = jobs.worker_type >= 0
    # Between arrivals and assignment, jobs still stand where the last round left them: both sides agree at all times.
    _require((count[runs] == jobs.gpus[runs]).all(), "a running job holds as many GPUs as it needs", sim)
    _require((count[~runs] == 0).all(), "a waiting job holds no GPU", sim)
    row = np.repeat(np.arange(len(jobs)), count)
    used_milli = np.bincount(gpu, jobs.gpu_milli[row], layout.gpus).astype(np.float64)
    _require((used_milli <= WHOLE_MILLI).all(), "no GPU is given away more than once", sim)
    again = (np.diff(gpu) <= 0) & (row[1:] == row[:-1])
    _require(not again.any(), "a job holds each of its GPUs once", sim)
    gpu_type = np.searchsorted(layout.type_start, gpu, side="right") - 1
    _require((jobs.worker_type[row] == gpu_type).all(), "all GPUs of a job are of the type it runs on", sim)
    speed = np.take_along_axis(jobs.throughput, np.maximum(jobs.worker_type, 0)[:, None], axis=1)[:, 0]
    _require((speed[runs] > 0.0).all(), "no job runs on a type on which it makes no progress", sim)
    if sim.parts.nodes is not None:
        _check_nodes(sim, row, used_milli)


def _check_nodes(sim: Simulation, row: Ints, used_milli: Floats) -> None:
    """Check what binds jobs to nodes, and that the account of what is left agrees with who holds what."""
    jobs, (first, gpu), layout, state = sim.jobs, sim.holding, sim.parts.layout, sim.parts.nodes
    node = layout.gpu_node[gpu]
    _require((np.diff(node) == 0)[row[1:] == row[:-1]].all(), "a job's GPUs are on one node", sim)
    holds = np.flatnonzero(np.diff(first) > 0)
    on = node[first[holds]]
    cpu = np.bincount(on, jobs.cpu_milli[holds], layout.nodes)
    memory = np.bincount(on, jobs.memory_mib[holds], layout.nodes)
    _require((cpu <= layout.cpu_milli).all(), "no node gives away more CPU than it has", sim)
    _require((memory <= layout.memory_mib).all(), "no node gives away more memory than it has", sim)
    if state is not None:
        _require((state.gpu_left == WHOLE_MILLI - used_milli).all(), "what is left of each GPU is kept right", sim)
        _require((state.cpu_left == layout.cpu_milli - cpu).all(), "the CPU left on each node is kept right", sim)
        _require((state.memory_left == layout.memory_mib - memory).all(), "the memory left is kept right", sim)
        _require(state.fragmentation() == state.recount(), "fragmentation is what a recount gives", sim)


def _check_clocks(sim: Simulation) -> None:
    clocks = sim.clocks
    _require(np.isfinite(clocks.now_s) and clocks.now_s >= 0.0, "simulated time is finite and not negative", sim)
    _require(clocks.round_start_s <= clocks.now_s, "a round does not start after now", sim)
    _require((sim.service.busy_s >= 0.0).all(), "no GPU was busy for a negative time", sim)
    if not sim.parts.timing.idle_gap_counts:
        allowed_s = clocks.now_s * (1.0 + _SLACK) + _SLACK
        _require((sim.service.busy_s <= allowed_s).all(), "no GPU was busy for longer than the run has lasted", sim)
