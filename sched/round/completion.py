"""The last phase of a round: micro-tasks are launched and credited, jobs complete, time goes on."""

from __future__ import annotations

import numpy as np

from phasewise.sched.api import Assignment, Floats, Holding, Ints
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import StalledError
from phasewise.sched.round import lease_kernels, progress
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
    jobs.rounds_run += assignment.worker_type >= 0
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
    over = _records(state, parts, landing.completed, "complete", flight.finish_s)
    over += _records(state, parts, dropped, "failed")
    if not over:
        return ()
    for record in over:
        if record.completion_s is not None:
            parts.stopper.observe_completion(state.departures, record.job_id, record.completion_s)
        else:
            parts.stopper.observe_gone(state.departures, record.job_id)
    gone = np.concatenate((landing.completed, dropped))
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
    if not len(rows):
        return ()
    jobs, names = state.jobs, parts.workload.throughputs.names
    done_s: list[float | None] = [None] * len(rows) if finish_s is None else finish_s[rows].tolist()
    end_s = [state.clocks.now_s] * len(rows) if status == "failed" else done_s
    demand_milli = jobs.demand_milli[rows].astype(np.int64).tolist()
    ideal_s = (jobs.total_steps[rows] / jobs.throughput[rows].max(axis=1)).tolist()
    asked = (jobs.job_id, jobs.type_index, jobs.arrival_s, jobs.scale_factor, jobs.priority_weight, jobs.total_steps)
    columns = (*asked, jobs.rounds_run, jobs.moves, jobs.cpu_milli, jobs.memory_mib)
    listed = zip(*(column[rows].tolist() for column in columns), strict=True)
    return tuple(
        JobRecord(
            job_id, names[index], arrival_s, scale, weight, steps, done, status, rounds_run, moves,
            left, demand, cpu_milli, memory_mib, ideal,
        )
        for (job_id, index, arrival_s, scale, weight, steps, rounds_run, moves, cpu_milli, memory_mib),
            done, left, demand, ideal in zip(listed, done_s, end_s, demand_milli, ideal_s, strict=True)
    )  # fmt: skip


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
