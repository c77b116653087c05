"""The last phase of a round: micro-tasks are launched and credited, jobs complete, time goes on."""

from __future__ import annotations

import math
from itertools import starmap

import numpy as np

from phasewise.sched.api import Assignment, Floats, Holding, Ints
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import StalledError
from phasewise.sched.round import isolation, lease_kernels, progress
from phasewise.sched.round.migration import paid
from phasewise.sched.round.outcome import NOTHING_PAID, ClusterUse, JobRecord, News, RoundOutcome
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
    lost_s, cost = None, NOTHING_PAID
    if parts.migration is not None:
        lost_s = parts.migration.pay(jobs, assignment, parts.timing.round_s)
        cost = paid(assignment.starts, lost_s, jobs.scale_factor)
    flight = progress.launch(jobs, assignment, start_s, parts.timing, lost_s)
    if flight.running:
        if clocks.round_end_s is not None:
            clocks.round_start_s = clocks.round_end_s
        clocks.round_end_s = clocks.now_s = flight.latest_s
    landing = progress.settle(jobs, flight, clocks.round_start_s, state.service.worker_time_s, parts.timing)
    lease_kernels.credit_gpus(*state.holding, jobs.gpu_milli, landing.executed_s, state.service.busy_s)
    progress.book_time(jobs, flight, parts.gpu_hour_price)
    job_id, holding, gpu_milli, use = jobs.job_id.copy(), state.holding, jobs.gpu_milli.copy(), _use(state, assignment)
    over = _retire(state, parts, landing, flight) if landing.completed.size or landing.failed.size else ()
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
        utilization=_utilization(landing.busy_gpu_s, clocks.now_s - start_s, parts.layout.gpus),
        moves=assignment.moves,
        lease_extensions=assignment.lease_extensions,
        lease_opportunities=assignment.lease_opportunities,
        news=news,
        over=over,
        migration=cost,
        barrier=parts.checkpoint_rounds > 0 and state.round_index % parts.checkpoint_rounds == 0,
    )


def active_jobs(state: SimulationState, parts: Parts) -> tuple[JobRecord, ...]:
    """Return a record of every job that is still active."""
    return _records(state, parts, np.arange(len(state.jobs)), "active")


def _utilization(busy_gpu_s: Floats, offered_s: float, gpus: int) -> float:
    """Return the share of the GPU time of a round that jobs used, 0 where no time has passed."""
    return sum(busy_gpu_s.tolist()) * (1.0 / offered_s) / gpus if offered_s > 0.0 else 0.0


def _retire(
    state: SimulationState, parts: Parts, landing: progress.Landing, flight: progress.Flight
) -> tuple[JobRecord, ...]:
    """Remove the jobs that completed, and those whose micro-tasks failed too often."""
    state.due = True
    dropped = landing.failed[state.jobs.failures[landing.failed] >= MAX_FAILURES]
    gone = np.concatenate((landing.completed, dropped))
    if not gone.size:
        return ()
    isolation.settle(state.jobs, parts.layout.gpus)
    over = _records(state, parts, landing.completed, "complete", flight.finish_s)
    over += _records(state, parts, dropped, "failed", flight.finish_s)
    for record in over:
        if record.completion_s is not None:
            parts.stopper.observe_completion(state.departures, record.job_id, record.completion_s)
        else:
            parts.stopper.observe_gone(state.departures, record.job_id)
    if state.nodes is not None:
        state.nodes.release(gone, state.holding, state.jobs.request)
    new_row = state.jobs.remove(gone)
    state.holding = Holding(*lease_kernels.keep_rows(new_row, len(state.jobs), *state.holding))
    return over


def _use(state: SimulationState, assignment: Assignment) -> ClusterUse:
    """Return how the machines are used."""
    demand_milli, waits = state.jobs.demand_milli, assignment.worker_type < 0
    pending_milli = float(demand_milli[waits].sum())
    held_milli = float(demand_milli.sum()) - pending_milli
    unallocated = len(state.service.busy_s) - held_milli / WHOLE_MILLI
    pending = pending_milli / WHOLE_MILLI
    if state.nodes is None:
        return ClusterUse(unallocated, pending)
    now = state.nodes.fragmentation()
    return ClusterUse(unallocated, pending, assignment.unplaced, now.fragmented_milli / WHOLE_MILLI, now.occupied_nodes)


def _records(
    state: SimulationState, parts: Parts, rows: Ints, status: str, finish_s: Floats | None = None
) -> tuple[JobRecord, ...]:
    """Return the records of rows; ``finish_s`` (J,) says when each was over, None where they are not."""
    if not rows.size:
        return ()
    jobs, names, nothing = state.jobs, parts.workload.throughputs.names, [None] * len(rows)
    row = jobs.listed(rows)
    end_s = nothing if finish_s is None else finish_s[rows].tolist()
    best = zip(row["total_steps"], row["demand_milli"], jobs.throughput[rows].tolist(), strict=True)
    room_milli = (parts.layout.capacity * WHOLE_MILLI).tolist()
    listed = zip(
        row["job_id"],
        [names[index] for index in row["type_index"]],
        row["arrival_s"],
        row["scale_factor"],
        row["priority_weight"],
        row["total_steps"],
        end_s if status == "complete" else nothing,
        [status] * len(rows),
        row["rounds_run"],
        row["moves"],
        end_s,
        [None if math.isnan(start_s) else start_s for start_s in row["first_start_s"]],
        row["run_s"],
        row["gpu_s"],
        [steps / _best_rate(demand_milli, rates, room_milli) for steps, demand_milli, rates in best],
        isolation.account_s(jobs, parts.layout.gpus)[rows].tolist(),
        map(int, row["demand_milli"]),
        row["cpu_milli"],
        row["memory_mib"],
        [None if math.isnan(slo_s) else slo_s for slo_s in row["slo_s"]],
        nothing if parts.gpu_hour_price is None else row["cost"],
        strict=True,
    )
    return tuple(starmap(JobRecord, listed))


def _best_rate(demand_milli: float, rates: list[float], room_milli: list[float]) -> float:
    """Return the steps/s of a job on the fastest worker type (W,) that has room for it at all."""
    return max(rate for rate, room in zip(rates, room_milli, strict=True) if demand_milli <= room)


def _wait_for_arrival(state: SimulationState, parts: Parts) -> None:
    """Nothing ran: go to the next arrival; where none comes, let the policy run at once, and give up after that."""
    next_s, jobs = parts.workload.next_arrival_s(state.position), state.jobs
    if next_s is not None:
        state.clocks.skip_to(next_s, parts.timing)
    elif len(jobs):
        if not state.due:
            waiting = ", ".join(map(str, jobs.job_id[:8]))
            raise StalledError(
                f"{len(jobs)} jobs wait (ids {waiting}{', ...' if len(jobs) > 8 else ''}), no job runs "
                f"and no further one will arrive: policy {parts.policy.name} gives them no GPUs they fit on"
            )
        state.at_once = True
        if parts.timing.zero_is_never:  # it then settles accounts, too, as if since time 0
            state.clocks.allocated_s = state.clocks.account_opened_s = None
