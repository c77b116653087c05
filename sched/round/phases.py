"""The phases of a round up to its launch, one function each: arrivals, policy, priorities, worker assignment.

Each takes the state, which it changes in place, and the parts; what is to be told of it goes into the round's `News`.
The last phase is in `phasewise.sched.round.completion`; `phasewise.sched.engine.step` calls them in order.
"""

from __future__ import annotations

import numpy as np

from phasewise.sched.api import Allocation, Assignment, ClusterView, Floats, TypeOrder
from phasewise.sched.errors import SchedulingError
from phasewise.sched.round import isolation, priorities
from phasewise.sched.round.assignment import Ground
from phasewise.sched.round.outcome import AllocationRecord, LastArrival, News
from phasewise.sched.round.parts import Parts
from phasewise.sched.round.state import SimulationState
from phasewise.solvers.api import Solution
from phasewise.solvers.problems import AllocationProblem

# -- arrivals ------------------------------------------------------------------------------------------------------


def admit(state: SimulationState, parts: Parts, news: News) -> None:
    """Let the jobs in whose time has come, and refuse those that can never run here."""
    workload, position = parts.workload, state.position
    next_s = workload.next_arrival_s(position)
    if next_s is None or next_s > state.clocks.now_s:
        return
    admission = parts.gate.judge(workload.until(state.clocks.now_s, position, state.streams))
    news.refused, news.arrived, news.offered_gpu_s = admission.refused, admission.jobs, admission.least_gpu_s
    for job, _ in admission.refused:
        parts.stopper.observe_gone(state.departures, job.job_id)
    if admission.jobs:
        nodes = state.nodes
        isolation.settle(state.jobs, parts.layout.gpus)
        requests = [-1 if nodes is None else nodes.register(job.needs) for job in admission.jobs]
        state.jobs.admit(admission.jobs, admission.throughput, parts.timing.prior_s, requests)
        state.holding = state.holding.extended(len(state.jobs))
        state.due = True
    if workload.next_arrival_s(position) is None:
        news.last_arrival = LastArrival(state.clocks.now_s, float(state.service.busy_s.mean()))


# -- policy --------------------------------------------------------------------------------------------------------


def allocate(state: SimulationState, parts: Parts, news: News) -> None:
    """Ask the policy, where something happened since it last ran and enough time has passed."""
    clocks, timing, jobs = state.clocks, parts.timing, state.jobs
    since_s = clocks.now_s - (clocks.allocated_s or 0.0)
    waits = clocks.allocated_s is not None and since_s < timing.reallocation_interval_s
    if not state.due or (waits and not state.at_once):
        return
    _settle_account(state, parts, since_s)
    view = jobs.view(clocks.now_s, None if parts.migration is None else parts.migration.start_s(jobs))
    solutions: list[Solution] = []

    def solve(problem: AllocationProblem) -> Solution:
        solved = parts.solve(problem, state.warm)
        state.warm, solution = solved.state, solved.solution
        solutions.append(solution)
        return solution

    allocation = parts.policy.allocate(view, solve, state.memory)
    _require_valid(allocation, view, parts.policy.name)
    state.memory = allocation.memory
    jobs.x[:] = allocation.x
    jobs.has_allocation[:] = 1
    state.due = state.at_once = False
    clocks.allocated_s = timing.instant(clocks.now_s)
    news.allocation = AllocationRecord(len(jobs), tuple(solutions), allocation.given_up)


def _settle_account(state: SimulationState, parts: Parts, since_s: float) -> None:
    """Book what the allocation in force promised; where the account closes, also what was received, and reopen."""
    jobs, clocks, timing = state.jobs, state.clocks, parts.timing
    promised_s = jobs.x * since_s
    opened_s = clocks.account_opened_s
    if opened_s is not None and clocks.now_s - opened_s < timing.account_interval_s:
        jobs.deficit_s += promised_s
        return
    jobs.deficit_s += promised_s - (jobs.job_time_s - timing.prior_s)
    jobs.job_time_s[:] = timing.prior_s
    state.service.worker_time_s[:] = timing.prior_s * len(jobs)
    clocks.account_opened_s = timing.instant(clocks.now_s)


def _require_valid(allocation: Allocation, view: ClusterView, name: str) -> None:
    if not isinstance(allocation, Allocation) or not isinstance(allocation.x, np.ndarray):
        kind = type(getattr(allocation, "x", allocation)).__name__  # a plug-in's code is not type-checked here
        raise SchedulingError(f"policy {name} returned a {kind}; expected an Allocation with an array x")
    if allocation.x.dtype.kind not in "fiu":
        raise SchedulingError(f"policy {name} returned an X of {allocation.x.dtype}; expected numbers")
    x = allocation.x
    if x.shape != view.throughput.shape:
        raise SchedulingError(f"policy {name} returned X of shape {x.shape}; expected {view.throughput.shape}")
    if not np.isfinite(x).all() or (x < 0.0).any():
        raise SchedulingError(f"policy {name} returned an X with entries that are negative or not finite")


# -- priorities and worker assignment ------------------------------------------------------------------------------


def prioritise(state: SimulationState, parts: Parts) -> Floats:
    """Return (J, W) how urgent each job is on each worker type."""
    jobs, service = state.jobs, state.service
    if not parts.timing.departed_time_counts:
        service.worker_time_s = priorities.present_worker_time(jobs.job_time_s)
    priority = priorities.compute(jobs.x, jobs.throughput, jobs.job_time_s, service.worker_time_s)
    migration = parts.migration
    return priority if migration is None else priority * migration.favour(jobs, parts.timing.round_s)


def assign(state: SimulationState, parts: Parts, priority: Floats) -> Assignment:
    """Choose jobs by their priorities (J, W), have them placed, and return who runs where."""
    jobs, types = state.jobs, list(parts.type_order)
    if parts.policy.type_order is TypeOrder.SHUFFLED:
        state.streams.types.shuffle(types)
    ground = Ground(state.holding, state.nodes, state.streams.placement)
    assignment = parts.assigner.assign(jobs, priority, np.array(types, np.int64), ground)
    if parts.migration is not None:
        assignment = assignment._replace(starts=parts.migration.begin(jobs, assignment))
    jobs.restarts += (jobs.worker_type < 0) & (assignment.worker_type >= 0) & (jobs.rounds_run > 0)
    jobs.worker_type[:] = assignment.worker_type
    if assignment.moves:
        jobs.moves += assignment.moved
    state.holding = assignment.holding
    return assignment
