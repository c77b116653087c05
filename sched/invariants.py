"""What must hold after every phase; checked in tests and with ``output.check_invariants``."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import NodeAccount
from phasewise.sched.cluster.gangs import gpus_a_node, is_gang
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import InvariantError
from phasewise.sched.round.packing.teams import ALONE, TeamTable
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.state import SimulationState

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

_SLACK = 1e-6  # relative: allocations are solved, not counted


def check(state: SimulationState, parts: Parts) -> None:
    """Raise `InvariantError` naming the first rule that does not hold."""
    _check_jobs(state)
    _check_gpus(state, parts)
    _check_clocks(state, parts)


def _require(holds: bool | np.bool_, rule: str, state: SimulationState) -> None:
    if not holds:
        raise InvariantError(f"round {state.round_index}, t = {state.clocks.now_s} s: {rule}")


def _check_jobs(state: SimulationState) -> None:
    jobs = state.jobs
    _require((np.diff(jobs.job_id) > 0).all(), "active jobs stand in order of arrival, each once", state)
    _require((jobs.steps_done >= 0.0).all(), "no job has done a negative number of steps", state)
    _require((jobs.steps_done < jobs.total_steps).all(), "a job that has done its steps is no longer active", state)
    _require((jobs.arrival_s <= state.clocks.now_s).all(), "no job is active before its arrival", state)
    _require(np.isfinite(jobs.job_time_s).all() and (jobs.job_time_s > 0.0).all(), "service is finite, above 0", state)
    _require((jobs.x >= 0.0).all(), "no allocation is negative", state)
    given = jobs.x.sum(axis=1)
    if state.teams is not None:
        _check_teams(state, state.teams)
        for side in (0, 1):
            np.add.at(given, state.teams.row[:, side], state.teams.x.sum(axis=1))
    _require((given <= 1.0 + _SLACK).all(), "no job is allocated more than all of its time", state)


def _check_teams(state: SimulationState, teams: TeamTable) -> None:
    """Check the table of teams, and that both members of one stand and hold the same."""
    jobs, holding = state.jobs, state.holding
    first, second = teams.row[:, 0], teams.row[:, 1]
    _require(((first >= 0) & (first < second) & (second < len(jobs))).all(), "a pair is of two active jobs", state)
    _require((np.diff(second * len(jobs) + first) > 0).all(), "pairs stand in order, each once", state)
    _require((jobs.scale_factor[first] == jobs.scale_factor[second]).all(), "a pair needs as many GPUs each", state)
    _require((teams.x >= 0.0).all(), "no allocation of a pair is negative", state)
    _require(
        np.isfinite(teams.job_time_s).all() and (teams.job_time_s >= 0.0).all(), "a pair's service is known", state
    )
    _require(len(teams.partner) == len(teams.account) == len(jobs), "every job has its place among teams", state)
    mate = teams.partner_rows(jobs.job_id)
    both = np.flatnonzero(mate != ALONE)
    _require((mate[mate[both]] == both).all(), "partners are each other's", state)
    _require((jobs.worker_type[both] == jobs.worker_type[mate[both]]).all(), "partners run on the same type", state)
    held = [holding.gpu[holding.first[row] : holding.first[row + 1]].tolist() for row in range(len(jobs))]
    _require(all(held[row] == held[mate[row]] for row in both.tolist()), "partners hold the same GPUs", state)


def _check_gpus(state: SimulationState, parts: Parts) -> None:
    jobs, (first, gpu), layout = state.jobs, state.holding, parts.layout
    _require(len(first) == len(jobs) + 1, "every holding belongs to an active job", state)
    count = np.diff(first)
    runs = jobs.worker_type >= 0
    # Between arrivals and assignment, jobs still stand where the last round left them: both sides agree at all times.
    _require((count[runs] == jobs.gpus[runs]).all(), "a running job holds as many GPUs as it needs", state)
    _require((count[~runs] == 0).all(), "a waiting job holds no GPU", state)
    row = np.repeat(np.arange(len(jobs)), count)
    milli = jobs.gpu_milli
    if state.teams is not None:
        milli = np.where(state.teams.is_shared(jobs.job_id), milli // 2, milli)
    used_milli = np.bincount(gpu, milli[row], layout.gpus).astype(np.float64)
    _require((used_milli <= WHOLE_MILLI).all(), "no GPU is given away more than once", state)
    again = (np.diff(gpu) <= 0) & (row[1:] == row[:-1])
    _require(not again.any(), "a job holds each of its GPUs once", state)
    gpu_type = np.searchsorted(layout.type_start, gpu, side="right") - 1
    _require((jobs.worker_type[row] == gpu_type).all(), "all GPUs of a job are of the type it runs on", state)
    speed = np.take_along_axis(jobs.throughput, np.maximum(jobs.worker_type, 0)[:, None], axis=1)[:, 0]
    _require((speed[runs] > 0.0).all(), "no job runs on a type on which it makes no progress", state)
    if state.nodes is not None:
        _check_nodes(state, state.nodes, parts.layout, row, used_milli)


def _check_nodes(
    state: SimulationState, nodes: NodeAccount, layout: ClusterLayout, row: Ints, used_milli: Floats
) -> None:
    """Check what binds jobs to nodes, and that the account of what is left agrees with who holds what."""
    jobs, held = state.jobs, np.column_stack((row, layout.gpu_node[state.holding.gpu]))
    parts, count = np.unique(held, axis=0, return_counts=True)
    job, on = np.ascontiguousarray(parts.T)
    gang = np.array([is_gang(request, layout) for request in nodes.requests], np.bool_)[jobs.request][job]
    _require((count[~gang] == jobs.gpus[job[~gang]]).all(), "the GPUs of a job that is no gang are on one node", state)
    broken = np.bincount(job[gang & (count < gpus_a_node(layout)[layout.node_type[on]])], minlength=len(jobs))
    _require((broken <= 1).all(), "a gang fills every node that it is on but one", state)
    cpu, memory = (
        np.bincount(on, -(-_of_leads(asked, state)[job] * count // jobs.gpus[job]), layout.nodes)
        for asked in (jobs.cpu_milli, jobs.memory_mib)
    )
    _require((cpu <= layout.cpu_milli).all(), "no node gives away more CPU than it has", state)
    _require((memory <= layout.memory_mib).all(), "no node gives away more memory than it has", state)
    _require((nodes.gpu_left == WHOLE_MILLI - used_milli).all(), "what is left of each GPU is kept right", state)
    _require((nodes.cpu_left == layout.cpu_milli - cpu).all(), "the CPU left on each node is kept right", state)
    _require((nodes.memory_left == layout.memory_mib - memory).all(), "the memory left is kept right", state)
    _require(nodes.fragmentation() == nodes.recount(), "fragmentation is what a recount gives", state)


def _of_leads(asked: Ints, state: SimulationState) -> Ints:
    """Return (J,) what jobs ask for, that of a team in the row of its first member."""
    if state.teams is None:
        return asked
    mate, rows = state.teams.partner_rows(state.jobs.job_id), np.arange(len(asked))
    together = np.where(mate == ALONE, asked, asked + asked[mate])
    leads: Ints = np.where((mate == ALONE) | (rows < mate), together, 0)
    return leads


def _check_clocks(state: SimulationState, parts: Parts) -> None:
    clocks = state.clocks
    _require(np.isfinite(clocks.now_s) and clocks.now_s >= 0.0, "simulated time is finite and not negative", state)
    _require(clocks.round_start_s <= clocks.now_s, "a round does not start after now", state)
    _require((state.service.busy_s >= 0.0).all(), "no GPU was busy for a negative time", state)
    if not parts.timing.idle_gap_counts:
        allowed_s = clocks.now_s * (1.0 + _SLACK) + _SLACK
        _require((state.service.busy_s <= allowed_s).all(), "no GPU was busy for longer than the run has lasted", state)
