"""The phases of a round up to its launch, one function each: arrivals, policy, priorities, worker assignment.

Each takes the state, which it changes in place, and the parts; what is to be told of it goes into the round's `News`.
The last phase is in `phasewise.sched.round.completion`; `phasewise.sched.engine.step` calls them in order.
"""

from __future__ import annotations

import numpy as np

from phasewise.sched.api import Allocation, Assignment, ClusterView, Floats, Ints, TypeOrder
from phasewise.sched.errors import SchedulingError
from phasewise.sched.round import isolation, priorities, round_kernels
from phasewise.sched.round.assignment import Ground
from phasewise.sched.round.jobs import JobTable
from phasewise.sched.round.outcome import AllocationRecord, LastArrival, News
from phasewise.sched.round.packing import phases as packing
from phasewise.sched.round.packing.teams import TeamTable
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
        if state.teams is not None:
            state.teams.admit(state.jobs, len(state.jobs) - len(admission.jobs))
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
    if state.teams is not None:
        view = packing.seen(view, jobs, state.teams)
    solutions: list[Solution] = []

    def solve(problem: AllocationProblem) -> Solution:
        solved = parts.solve(problem, state.warm)
        state.warm, solution = solved.state, solved.solution
        solutions.append(solution)
        return solution

    allocation = parts.policy.allocate(view, solve, state.memory)
    _require_valid(allocation, view, parts.policy.name)
    state.memory = allocation.memory
    if state.teams is None:
        jobs.x[:] = allocation.x
    else:
        packing.accept(allocation, jobs, state.teams, timing.prior_s, parts.policy.name)
    jobs.allocated()
    state.due = state.at_once = False
    clocks.allocated_s = timing.instant(clocks.now_s)
    news.allocation = AllocationRecord(len(jobs), tuple(solutions), allocation.given_up)


def _settle_account(state: SimulationState, parts: Parts, since_s: float) -> None:
    """Book what the allocation in force promised; where the account closes, also what was received, and reopen."""
    clocks, timing = state.clocks, parts.timing
    opened_s = clocks.account_opened_s
    stays_open = opened_s is not None and clocks.now_s - opened_s < timing.account_interval_s
    tables: tuple[JobTable | TeamTable, ...] = (state.jobs,) if state.teams is None else (state.jobs, state.teams)
    for table in tables:
        promised_s = table.x * since_s
        if stays_open:
            table.deficit_s += promised_s
            continue
        table.deficit_s += promised_s - (table.job_time_s - timing.prior_s)
        table.job_time_s[:] = timing.prior_s
    if stays_open:
        return
    state.service.worker_time_s[:] = timing.prior_s * sum(map(len, tables))
    clocks.account_opened_s = timing.instant(clocks.now_s)


def _require_valid(allocation: Allocation, view: ClusterView, name: str) -> None:
    if not isinstance(allocation, Allocation) or not isinstance(allocation.x, np.ndarray):
        kind = type(getattr(allocation, "x", allocation)).__name__  # a plug-in's code is not type-checked here
        raise SchedulingError(f"policy {name} returned a {kind}; expected an Allocation with an array x")
    if allocation.x.dtype.kind not in "fiu":
        raise SchedulingError(f"policy {name} returned an X of {allocation.x.dtype}; expected numbers")
    x = allocation.x
    expected = view.throughput.shape
    if allocation.members is not None:
        _require_members(allocation.members, view, name)
        expected = (len(allocation.members), expected[1])
    if x.shape != expected:
        raise SchedulingError(f"policy {name} returned X of shape {x.shape}; expected {expected}")
    if x.size and not (np.minimum.reduce(x, axis=None) >= 0.0 and np.maximum.reduce(x, axis=None) < np.inf):  # nor NaN
        raise SchedulingError(f"policy {name} returned an X with entries that are negative or not finite")


def _require_members(members: Ints, view: ClusterView, name: str) -> None:
    if view.pairs is None:
        raise SchedulingError(f"policy {name} returned members of rows, but its class does not say that it packs")
    if not isinstance(members, np.ndarray) or members.dtype != np.int64 or members.shape[1:] != (2,):
        raise SchedulingError(f"policy {name} returned members that are no (R, 2) array of int64")


# -- priorities and worker assignment ------------------------------------------------------------------------------


def prioritise(state: SimulationState, parts: Parts) -> Floats:
    """Return (J, W) how urgent each job is on each worker type; where the policy packs, (J + P, W), pairs behind."""
    jobs, service, teams = state.jobs, state.service, state.teams
    if not parts.timing.departed_time_counts:
        service.worker_time_s = priorities.present_worker_time(jobs.job_time_s)
        if teams is not None:
            service.worker_time_s += priorities.present_worker_time(teams.job_time_s)
    priority = priorities.compute(jobs.x, jobs.throughput, jobs.job_time_s, service.worker_time_s)
    migration = parts.migration
    if teams is None:
        return priority if migration is None else priority * migration.favour(jobs, parts.timing.round_s)
    of_pairs = priorities.compute(teams.x, teams.speed, teams.job_time_s, service.worker_time_s)
    priority = np.concatenate((priority, of_pairs))
    if migration is None:
        return priority
    return priority * packing.favour(teams, migration.favour(jobs, parts.timing.round_s))


def assign(state: SimulationState, parts: Parts, priority: Floats) -> Assignment:
    """Choose jobs and pairs by their priorities (J + P, W), have them placed, and return who runs where."""
    jobs, types = state.jobs, _type_order(state, parts)
    ground = Ground(state.holding, state.nodes, state.streams.placement)
    if state.teams is None:
        assignment = parts.assigner.assign(jobs, priority, types, ground)
    else:
        assignment = parts.team_assigner.assign(jobs, state.teams, priority, types, ground)
    if parts.migration is not None:
        assignment = assignment._replace(starts=parts.migration.begin(jobs, assignment))
    round_kernels.note_starts(assignment.worker_type, assignment.moved, jobs.ints)
    state.holding = assignment.holding
    return assignment


def _type_order(state: SimulationState, parts: Parts) -> Ints:
    """Return (W',) the worker types in the order in which they are filled in this round."""
    if parts.policy.type_order is not TypeOrder.SHUFFLED:
        return parts.preferred
    order = list(parts.type_order)
    state.streams.types.shuffle(order)
    return np.array(order, np.int64)
