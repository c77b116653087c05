"""The last phase of a round: micro-tasks are launched and credited, jobs complete, time goes on."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from phasewise.sched.api import Assignment, Holding, Ints
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import StalledError
from phasewise.sched.round import isolation, lease_kernels, progress
from phasewise.sched.round.migration import paid
from phasewise.sched.round.outcome import (
    NOTHING_PAID,
    ClusterUse,
    JobRecord,
    MigrationPaid,
    News,
    RoundOutcome,
    Sharing,
)
from phasewise.sched.round.packing import parting as packing
from phasewise.sched.round.packing import progress as teamwork
from phasewise.sched.round.packing.progress import Crew
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.rules import MAX_FAILURES
from phasewise.sched.round.state import SimulationState


def advance(state: SimulationState, parts: Parts, assignment: Assignment, news: News) -> RoundOutcome:
    """Launch this round's micro-tasks, move the clock to the end of the last one, and credit them.

    Raises
    ------
    StalledError
        Where jobs wait, nothing runs, and nothing will ever change that.
    """
    jobs, clocks, start_s = state.jobs, state.clocks, state.clocks.now_s
    crew = None if state.teams is None else Crew.of(jobs, state.teams)
    flight, cost = _launch(state, parts, assignment, crew)
    holding, job_id = state.holding, jobs.job_id.copy()
    if crew is None:
        landing, gpu_milli, shared = progress.settle(state, parts, flight), jobs.gpu_milli.copy(), None
    else:
        landing, gpu_milli = teamwork.settle(state, parts, crew, flight), crew.gpu_milli(jobs)
        shared = Sharing.of(crew.gains(jobs))
    use = _use(state, landing, assignment.unplaced)
    over = _retire(state, parts, landing, flight) if landing.completed.size or landing.failed.size else ()
    parts.stopper.observe_round(state.departures, clocks.now_s, len(state.jobs), job_id.size - flight.running)
    if not flight.running:
        _wait_for_arrival(state, parts)
    index, state.round_index = state.round_index, state.round_index + 1
    return RoundOutcome(
        round_index=index,
        start_s=start_s,
        end_s=clocks.now_s,
        running=flight.running,
        job_id=job_id,
        holding=holding,
        gpu_milli=gpu_milli,
        use=use,
        busy_gpu_s=landing.busy_gpu_s,
        busy_s=state.service.busy_s.copy(),
        utilization=utilization(landing.busy_gpu_s, clocks.now_s - start_s, parts.layout.gpus),
        moves=assignment.moves,
        lease_extensions=assignment.lease_extensions,
        lease_opportunities=assignment.lease_opportunities,
        news=news,
        over=over,
        migration=cost,
        drift=state.departures.backlog.drift,
        shared=shared,
        barrier=parts.checkpoint_rounds > 0 and state.round_index % parts.checkpoint_rounds == 0,
    )


def _launch(
    state: SimulationState, parts: Parts, assignment: Assignment, crew: Crew | None
) -> tuple[progress.Flight, MigrationPaid]:
    """Launch the micro-tasks and move the clock to the end of the last one; return them, and what moving costs."""
    jobs, clocks, lost_s, cost = state.jobs, state.clocks, None, NOTHING_PAID
    if parts.migration is not None:
        lost_s = parts.migration.pay(jobs, assignment, parts.timing.round_s)
        width = jobs.scale_factor if crew is None else jobs.scale_factor * crew.share
        cost = paid(assignment.starts, lost_s, width)
    rate = None if crew is None else crew.rate
    flight = progress.launch(jobs, assignment, clocks.now_s, parts.timing, lost_s, rate)
    if flight.running:
        if clocks.round_end_s is not None:
            clocks.round_start_s = clocks.round_end_s
        clocks.round_end_s = clocks.now_s = flight.latest_s
    if crew is not None and parts.timing.teams_as_one:
        flight = teamwork.ends_together(flight, crew)
    return flight, cost


def active_jobs(state: SimulationState, parts: Parts) -> tuple[JobRecord, ...]:
    """Return a record of every job that is still active."""
    account_s = isolation.account_s(state.jobs, parts.layout.gpus).tolist()
    return tuple(
        _record(state, parts, row, "active")._replace(isolated_s=isolated_s) for row, isolated_s in enumerate(account_s)
    )


def utilization(busy_gpu_s: Sequence[float], offered_s: float, gpus: int) -> float:
    """Return the share of the GPU time of a round that jobs used, 0 where no time has passed."""
    return sum(busy_gpu_s) * (1.0 / offered_s) / gpus if offered_s > 0.0 else 0.0


def _retire(
    state: SimulationState, parts: Parts, landing: progress.Landing, flight: progress.Flight
) -> tuple[JobRecord, ...]:
    """Remove the jobs that completed, and those whose micro-tasks failed too often."""
    state.due = True
    dropped = landing.failed[state.jobs.failures[landing.failed] >= MAX_FAILURES]
    gone = np.concatenate((landing.completed, dropped)) if dropped.size else landing.completed
    if not gone.size:
        return ()
    statuses = ["complete"] * len(landing.completed) + ["failed"] * len(dropped)
    return retire(state, parts, gone, statuses, flight.finish_s[gone].tolist())


def retire(
    state: SimulationState, parts: Parts, gone: Ints, statuses: Sequence[str], finish_s: Sequence[float]
) -> tuple[JobRecord, ...]:
    """Remove rows (K,) that are over, each with its status and when it was, seconds; return their records."""
    state.due = True
    isolation.settle(state.jobs, parts.layout.gpus)
    ends = zip(gone.tolist(), statuses, finish_s, strict=True)
    over = tuple(_record(state, parts, row, status, end_s) for row, status, end_s in ends)
    for record in over:
        parts.stopper.observe_gone(state.departures, record.job_id)
    if state.teams is not None:
        packing.part(state, state.teams, gone)
    elif state.nodes is not None:
        state.nodes.release(gone, state.holding, state.jobs.request)
    new_row = state.jobs.remove(gone)
    if state.teams is not None:
        state.teams.remove(new_row)
    state.holding = Holding(*lease_kernels.keep_rows(new_row, len(state.jobs), *state.holding))
    return over


def _use(state: SimulationState, landing: progress.Landing, unplaced: int) -> ClusterUse:
    """Return how the machines are used."""
    unallocated = len(state.service.busy_s) - landing.held_milli / WHOLE_MILLI
    pending = landing.pending_milli / WHOLE_MILLI
    if state.nodes is None:
        return ClusterUse(unallocated, pending)
    now = state.nodes.fragmentation()
    return ClusterUse(unallocated, pending, unplaced, now.fragmented_milli / WHOLE_MILLI, now.occupied_nodes)


def _record(state: SimulationState, parts: Parts, row: int, status: str, end_s: float | None = None) -> JobRecord:
    """Return the record of a row whose account of isolation is settled; ``end_s`` is None where it is not over."""
    job, start_s = state.jobs.row(row), float(state.jobs.first_start_s[row])
    best_rate = _best_rate(job["demand_milli"], state.jobs.throughput[row].tolist(), parts.layout.capacity.tolist())
    return JobRecord(
        job["job_id"],
        parts.workload.throughputs.names[job["type_index"]],
        job["arrival_s"],
        job["scale_factor"],
        job["priority_weight"],
        job["total_steps"],
        end_s if status == "complete" else None,
        status,
        job["rounds_run"],
        job["moves"],
        end_s,
        None if math.isnan(start_s) else start_s,
        job["run_s"],
        job["gpu_s"],
        job["total_steps"] / best_rate,
        job["isolated_s"],
        int(job["demand_milli"]),
        job["cpu_milli"],
        job["memory_mib"],
        None if math.isnan(job["slo_s"]) else job["slo_s"],
        None if parts.gpu_hour_price is None else job["cost"],
        job["restarts"],
    )


def _best_rate(demand_milli: float, rates: list[float], capacity: list[float]) -> float:
    """Return the steps/s of a job on the fastest worker type (W,) that has room for it at all."""
    return max(rate for rate, gpus in zip(rates, capacity, strict=True) if demand_milli <= gpus * WHOLE_MILLI)


def stalled(state: SimulationState, parts: Parts) -> StalledError:
    """Return what to raise where nothing will ever change for the jobs that wait."""
    jobs = state.jobs
    waiting = ", ".join(map(str, jobs.job_id[:8]))
    return StalledError(
        f"{len(jobs)} jobs wait (ids {waiting}{', ...' if len(jobs) > 8 else ''}), no job runs "
        f"and no further one will arrive: policy {parts.policy.name} gives them no GPUs they fit on"
    )


def _wait_for_arrival(state: SimulationState, parts: Parts) -> None:
    """Nothing ran: go to the next arrival; where none comes, let the policy run at once, and give up after that."""
    next_s, jobs = parts.workload.next_arrival_s(state.position), state.jobs
    if next_s is not None:
        state.clocks.skip_to(next_s, parts.timing)
    elif len(jobs):
        if not state.due:
            raise stalled(state, parts)
        state.at_once = True
        if parts.timing.zero_is_never:  # it then settles accounts, too, as if since time 0
            state.clocks.allocated_s = state.clocks.account_opened_s = None
