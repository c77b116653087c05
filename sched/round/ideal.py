"""Jobs that progress by the allocation itself: what rounds approach as they get short.

Between two events (an arrival, a completion, an allocation that is due) every job i makes sum_j T_ij x_ij steps a
second, as if it were on all worker types at once, each for its share of the time. There are no rounds, no GPU is
anybody's, and nothing moves. An interval between two events is told of as a round is. What a round counts at an
instant, an interval has as the mean that X stands for: of m jobs, sum_ij x_ij hold GPUs and the others wait.

Source: OSDI'20 s7.5, Figure 13 (the ideal that round-based scheduling is held against).
"""

from __future__ import annotations

import math

import numpy as np

from phasewise.sched.api import Floats
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.errors import SchedulingError
from phasewise.sched.round import completion
from phasewise.sched.round.outcome import ClusterUse, News, RoundOutcome
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.state import SimulationState

HOUR_S = 3600.0
_SLACK = 1e-6  # relative: allocations are solved, not counted


def advance(state: SimulationState, parts: Parts, news: News) -> RoundOutcome:
    """Let all jobs progress until the next event, credit them, and retire those that are done.

    Raises
    ------
    SchedulingError
        Where X gives away more of a worker type than there is: rounds would see to that, here nothing does.
    StalledError
        Where jobs wait, none progresses, and nothing will ever change that.
    """
    jobs, clocks, start_s = state.jobs, state.clocks, state.clocks.now_s
    _require_capacity(state, parts)
    rate = (jobs.throughput * jobs.x).sum(axis=1)
    done_s = _done_s(state, rate)
    end_s = _next_event_s(state, parts, done_s)
    held = jobs.x.sum(axis=1)
    use, running = _use(state, held), round(float(held.sum()))
    busy_gpu_s = jobs.scale_factor @ jobs.x * (end_s - start_s)
    job_id, gpu_milli, holding = jobs.job_id.copy(), jobs.gpu_milli.copy(), state.holding
    _credit(state, parts, rate, busy_gpu_s, end_s)
    used_gpu_s = tuple(busy_gpu_s.tolist())
    clocks.round_start_s, clocks.round_end_s, clocks.now_s = start_s, end_s, end_s
    gone = np.flatnonzero((done_s <= end_s) | (jobs.steps_done >= jobs.total_steps))
    over = completion.retire(state, parts, gone, ["complete"] * len(gone), [end_s] * len(gone)) if gone.size else ()
    parts.stopper.observe_round(state.departures, end_s, len(jobs), job_id.size - running)
    index, state.round_index = state.round_index, state.round_index + 1
    return RoundOutcome(
        round_index=index,
        start_s=start_s,
        end_s=end_s,
        running=running,
        job_id=job_id,
        holding=holding,
        gpu_milli=gpu_milli,
        use=use,
        busy_gpu_s=used_gpu_s,
        busy_s=state.service.busy_s.copy(),
        utilization=completion.utilization(used_gpu_s, end_s - start_s, parts.layout.gpus),
        moves=0,
        lease_extensions=0,
        lease_opportunities=0,
        news=news,
        over=over,
        drift=state.departures.backlog.drift,
        barrier=parts.checkpoint_rounds > 0 and state.round_index % parts.checkpoint_rounds == 0,
    )


def _require_capacity(state: SimulationState, parts: Parts) -> None:
    x, layout = state.jobs.x, parts.layout
    taken, most = state.jobs.scale_factor @ x, x.sum(axis=1).max(initial=0.0)
    if (taken > layout.capacity * (1.0 + _SLACK)).any() or most > 1.0 + _SLACK:
        raise SchedulingError(
            f"policy {parts.policy.name} gives away more than there is (of {', '.join(layout.worker_types)}: "
            f"{', '.join(f'{gpus:g}' for gpus in taken.tolist())} GPUs; most of a job's time: {most:g}), "
            "which timing.mechanism 'ideal' cannot serve"
        )


def _done_s(state: SimulationState, rate: Floats) -> Floats:
    """Return (J,) when each job will be done at its present rate, simulated seconds; infinite where it is 0."""
    jobs = state.jobs
    left_s = np.full(len(jobs), np.inf)
    np.divide(jobs.total_steps - jobs.steps_done, rate, out=left_s, where=rate > 0.0)
    return state.clocks.now_s + left_s


def _next_event_s(state: SimulationState, parts: Parts, done_s: Floats) -> float:
    """Return when something next changes: a completion, an arrival, or an allocation that had to wait."""
    clocks, arrival_s = state.clocks, parts.workload.next_arrival_s(state.position)
    end_s = min(float(done_s.min(initial=np.inf)), np.inf if arrival_s is None else arrival_s)
    if state.due and clocks.allocated_s is not None:
        end_s = min(end_s, clocks.allocated_s + parts.timing.reallocation_interval_s)
    if math.isfinite(end_s):
        return end_s
    if len(state.jobs):
        raise completion.stalled(state, parts)
    return clocks.now_s


def _credit(state: SimulationState, parts: Parts, rate: Floats, busy_gpu_s: Floats, end_s: float) -> None:
    """Credit the interval to every job and GPU, in place; the GPUs of a type share its time evenly."""
    jobs, layout, lasted_s = state.jobs, parts.layout, end_s - state.clocks.now_s
    runs = rate > 0.0
    jobs.first_start_s[runs & np.isnan(jobs.first_start_s)] = state.clocks.now_s
    jobs.rounds_run += runs
    jobs.steps_done += rate * lasted_s
    on_type_s = jobs.x * lasted_s
    held_s = on_type_s.sum(axis=1)
    jobs.run_s += held_s
    jobs.gpu_s += held_s * jobs.scale_factor
    jobs.job_time_s += on_type_s
    state.service.worker_time_s += on_type_s.sum(axis=0)
    state.service.busy_s += np.repeat(busy_gpu_s / layout.capacity, np.diff(layout.type_start))
    if parts.gpu_hour_price is not None:
        jobs.cost += on_type_s @ parts.gpu_hour_price * jobs.scale_factor / HOUR_S


def _use(state: SimulationState, held: Floats) -> ClusterUse:
    """Return how the machines are used on average, where (J,) ``held`` is the share of its time that each job runs."""
    demand = state.jobs.demand_milli / WHOLE_MILLI
    taken = float(demand @ held)
    return ClusterUse(max(0.0, len(state.service.busy_s) - taken), max(0.0, float(demand.sum()) - taken))
