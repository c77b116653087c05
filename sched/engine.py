"""The loop: one round after another, each a list of phases.

A round goes `arrivals -> policy -> priorities -> worker assignment -> event completion`; what happened is handed to the
recorder, and the stopper says whether there is another one. The rules that differ between the original simulator and
the corrected one are asked of `phasewise.sched.timing.Timing`.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from phasewise.profiling.phases import Phase, PhaseTimer
from phasewise.sched import invariants, lease_kernels, priorities, progress
from phasewise.sched.admission import Gate
from phasewise.sched.api import Allocation, Assignment, ClusterView, Holding, Placement, Policy, TypeOrder
from phasewise.sched.assignment import Assigner
from phasewise.sched.clocks import Clocks, Service
from phasewise.sched.cluster import ClusterLayout
from phasewise.sched.errors import SchedulingError
from phasewise.sched.migration import MigrationModel, paid
from phasewise.sched.recording.recorder import Recorder
from phasewise.sched.recording.records import NOTHING_PAID, AllocationRecord, ClusterUse, JobRecord, RoundOutcome
from phasewise.sched.state import JobTable
from phasewise.sched.stopping import Stopper, StopReason
from phasewise.sched.tasks import WHOLE_MILLI, Request
from phasewise.sched.timing import MAX_FAILURES, Timing
from phasewise.sched.workload.arrivals import Workload
from phasewise.solvers.api import Solution, State
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Solved

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted
    from phasewise.sched.nodes.state import NodeState

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class StalledError(SchedulingError):
    """Jobs wait, nothing runs, and nothing will ever change that."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a simulation is made of; see `phasewise.sched.simulate` for who builds each.

    Attributes
    ----------
    type_order
        Indices of the worker types, the preferred first.
    type_seed
        Seed of the order's shuffling, for policies that ask for it.
    check_invariants
        Whether the state is checked after every phase.
    migration
        What moving a job costs; None where moving is free.
    nodes
        What is left on every node; None where a job may span nodes.
    kernels
        The compiled kernels that running will take, for whoever runs has them ready before.
    """

    layout: ClusterLayout
    timing: Timing
    workload: Workload
    policy: Policy
    solve: Callable[[AllocationProblem, State], Solved]
    placement: Placement
    stopper: Stopper
    type_order: list[int]
    type_seed: int
    check_invariants: bool = False
    migration: MigrationModel | None = None
    nodes: NodeState | None = None
    kernels: tuple[Wanted, ...] = ()


@dataclass(slots=True)
class Simulation:
    """One run: its state, and the loop that alone writes it."""

    parts: Parts
    recorder: Recorder
    timer: PhaseTimer
    jobs: JobTable = field(init=False)
    clocks: Clocks = field(init=False)
    service: Service = field(init=False)
    holding: Holding = field(init=False)
    round_index: int = field(init=False, default=0)
    _due: bool = field(init=False, default=False)
    _at_once: bool = field(init=False, default=False)
    _memory: object = field(init=False, default=None)
    _solver_state: State = field(init=False, default=None)
    _solutions: list[Solution] = field(init=False, default_factory=list)
    _starts: int = field(init=False, default=0)
    _type_rng: random.Random = field(init=False)
    _gate: Gate = field(init=False)
    _assigner: Assigner = field(init=False)

    def __post_init__(self) -> None:
        layout = self.parts.layout
        self.jobs = JobTable(layout)
        self.clocks = Clocks()
        self.service = Service(np.zeros(len(layout.worker_types)), np.zeros(layout.gpus))
        self.holding = Holding.nothing(0)
        self._gate = Gate(layout, self.parts.workload.throughputs, spans_nodes=self.parts.placement.spans_nodes)
        self._assigner = Assigner(
            layout,
            self.parts.placement,
            self.parts.nodes,
            positive_only=self.parts.policy.needs_positive_priority,
        )
        self._type_rng = random.Random(self.parts.type_seed)

    def run(self, wall_s: Callable[[], float], interrupted: Callable[[], bool]) -> StopReason:
        """Run until a rule ends it; return which. ``wall_s`` says how long the run took so far (for that limit).

        Raises
        ------
        KeyboardInterrupt
            After a round at whose end ``interrupted`` says so: between two rounds every record is whole.
        """
        self.begin()
        while (reason := self.step(wall_s)) is None:
            if interrupted():
                raise KeyboardInterrupt
        if self.parts.timing.final_call and reason.status == "complete":
            self._final_call()
        return reason

    def begin(self) -> None:
        """Go to the first arrival."""
        self._skip_to(self.parts.workload.next_arrival_s() or 0.0)

    def step(self, wall_s: Callable[[], float]) -> StopReason | None:
        """Run one round, have it recorded, and return why the run ends with it, None where it goes on."""
        phase = self.timer.phase
        outcome = self.run_round()
        with phase(Phase.TELEMETRY):
            self.recorder.round(outcome, self.service.busy_s)
        with phase(Phase.EXIT_CHECKS):
            reason = self.parts.stopper.decide(
                self.round_index, self.clocks.now_s, len(self.jobs), self.recorder.utilization, wall_s()
            )
        self.recorder.took(self.timer.take())
        return reason

    def active_jobs(self) -> tuple[JobRecord, ...]:
        """Return a record of every job that is still active."""
        return self._records(np.arange(len(self.jobs)), "active")

    def run_round(self) -> RoundOutcome:
        """Advance by one round and return what happened."""
        phase = self.timer.phase
        with phase(Phase.ARRIVALS):
            self._admit()
        with phase(Phase.POLICY):  # lp_build and lp_solve nest in here and are subtracted
            allocation = self._allocate_if_due()
        with phase(Phase.PRIORITIES):
            priority = self._priorities()
        with phase(Phase.WORKER_ASSIGNMENT):
            assignment = self._assign(priority)
        with phase(Phase.EVENT_COMPLETION):
            return self._advance(assignment, allocation)

    # -- arrivals ------------------------------------------------------------------------------------------------

    def _admit(self) -> None:
        workload = self.parts.workload
        next_s = workload.next_arrival_s()
        if next_s is None or next_s > self.clocks.now_s:
            return
        admission = self._gate.judge(workload.until(self.clocks.now_s))
        for job, reason in admission.refused:
            self.recorder.refused(self.round_index, job, reason)
            self.parts.stopper.observe_gone(job.job_id)
        for job in admission.jobs:
            self.recorder.arrived(self.round_index, job)
        if admission.jobs:
            requests = [self._request_index(job.needs) for job in admission.jobs]
            self.jobs.admit(admission.jobs, admission.throughput, self.parts.timing.prior_s, requests)
            self.holding = self.holding.extended(len(self.jobs))
            self._due = True
        if workload.next_arrival_s() is None:
            self.recorder.last_arrival(self.clocks.now_s, self.service.busy_s)
        self._check()

    def _request_index(self, needs: Request) -> int:
        state = self.parts.nodes
        return -1 if state is None else state.register(needs)

    # -- policy --------------------------------------------------------------------------------------------------

    def _allocate_if_due(self) -> AllocationRecord | None:
        clocks, timing = self.clocks, self.parts.timing
        since_s = clocks.now_s - (clocks.allocated_s or 0.0)
        waits = clocks.allocated_s is not None and since_s < timing.reallocation_interval_s
        if not self._due or (waits and not self._at_once):
            return None
        self._settle_account(since_s)
        migration = self.parts.migration
        view = self.jobs.view(clocks.now_s, None if migration is None else migration.start_s(self.jobs))
        self._solutions.clear()
        allocation = self.parts.policy.allocate(view, self._solve, self._memory)
        self._require_valid(allocation, view)
        self._memory = allocation.memory
        self.jobs.x[:] = allocation.x
        self.jobs.has_allocation[:] = 1
        self._due = self._at_once = False
        clocks.allocated_s = timing.instant(clocks.now_s)
        record = AllocationRecord(len(self.jobs), tuple(self._solutions))
        self.recorder.allocated(self.round_index, clocks.now_s, record)
        self._check()
        return record

    def _solve(self, problem: AllocationProblem) -> Solution:
        solved = self.parts.solve(problem, self._solver_state)
        self._solver_state, solution = solved.state, solved.solution
        self._solutions.append(solution)
        return solution

    def _settle_account(self, since_s: float) -> None:
        """Book what the allocation in force promised; where the account closes, also what was received, and reopen."""
        jobs, clocks, timing = self.jobs, self.clocks, self.parts.timing
        promised_s = jobs.x * since_s
        opened_s = clocks.account_opened_s
        if opened_s is not None and clocks.now_s - opened_s < timing.account_interval_s:
            jobs.deficit_s += promised_s
            return
        jobs.deficit_s += promised_s - (jobs.job_time_s - timing.prior_s)
        jobs.job_time_s[:] = timing.prior_s
        self.service.worker_time_s[:] = timing.prior_s * len(jobs)
        clocks.account_opened_s = timing.instant(clocks.now_s)

    def _require_valid(self, allocation: Allocation, view: ClusterView) -> None:
        name = self.parts.policy.name
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

    # -- priorities and worker assignment ------------------------------------------------------------------------

    def _priorities(self) -> Floats:
        jobs, service = self.jobs, self.service
        if not self.parts.timing.departed_time_counts:
            service.worker_time_s = priorities.present_worker_time(jobs.job_time_s)
        priority = priorities.compute(jobs.x, jobs.throughput, jobs.job_time_s, service.worker_time_s)
        migration = self.parts.migration
        return priority if migration is None else priority * migration.favour(jobs, self.parts.timing.round_s)

    def _assign(self, priority: Floats) -> Assignment:
        parts = self.parts
        types = list(parts.type_order)
        if parts.policy.type_order is TypeOrder.SHUFFLED:
            self._type_rng.shuffle(types)
        assignment = self._assigner.assign(self.jobs, priority, np.array(types, np.int64), self.holding)
        if parts.migration is not None:
            self._starts = parts.migration.begin(self.jobs, assignment)
        self.jobs.worker_type[:] = assignment.worker_type
        if assignment.moves:
            self.jobs.moves += assignment.moved
        self.holding = assignment.holding
        self._check()
        return assignment

    # -- event completion ----------------------------------------------------------------------------------------

    def _advance(self, assignment: Assignment, allocation: AllocationRecord | None) -> RoundOutcome:
        """Launch this round's micro-tasks, move the clock to the end of the last one, and credit them."""
        jobs, clocks, start_s = self.jobs, self.clocks, self.clocks.now_s
        lost_s, cost = None, NOTHING_PAID
        if self.parts.migration is not None:
            lost_s = self.parts.migration.pay(jobs, assignment, self.parts.timing.round_s)
            cost = paid(self._starts, lost_s, jobs.scale_factor)
        flight = progress.launch(jobs, assignment, start_s, self.parts.timing, lost_s)
        if flight.running:
            if clocks.round_end_s is not None:
                clocks.round_start_s = clocks.round_end_s
            clocks.round_end_s = clocks.now_s = flight.latest_s
        landing = progress.settle(jobs, flight, clocks.round_start_s, self.service.worker_time_s, self.parts.timing)
        lease_kernels.credit_gpus(*self.holding, jobs.gpu_milli, landing.executed_s, self.service.busy_s)
        jobs.rounds_run += assignment.worker_type >= 0
        job_id, holding, gpu_milli, use = jobs.job_id.copy(), self.holding, jobs.gpu_milli.copy(), self._use(assignment)
        over = self._retire(landing, flight) if landing.completed.size or landing.failed.size else ()
        if not flight.running:
            self._wait_for_arrival()
        self._check()
        index, self.round_index = self.round_index, self.round_index + 1
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
            moves=assignment.moves,
            lease_extensions=assignment.lease_extensions,
            lease_opportunities=assignment.lease_opportunities,
            allocation=allocation,
            over=over,
            migration=cost,
        )

    def _retire(self, landing: progress.Landing, flight: progress.Flight) -> tuple[JobRecord, ...]:
        """Remove the jobs that completed, and those whose micro-tasks failed too often."""
        self._due = True
        dropped = landing.failed[self.jobs.failures[landing.failed] >= MAX_FAILURES]
        over = self._records(landing.completed, "complete", flight.finish_s) + self._records(dropped, "failed")
        if not over:
            return ()
        for record in over:
            if record.completion_s is not None:
                self.parts.stopper.observe_completion(record.job_id, record.completion_s)
            else:
                self.parts.stopper.observe_gone(record.job_id)
        gone = np.concatenate((landing.completed, dropped))
        if self.parts.nodes is not None:
            self.parts.nodes.release(gone, self.holding, self.jobs.request)
        new_row = self.jobs.remove(gone)
        self.holding = Holding(*lease_kernels.keep_rows(new_row, len(self.jobs), *self.holding))
        return over

    def _use(self, assignment: Assignment) -> ClusterUse:
        """Return how the machines are used."""
        demand_milli, waits = self.jobs.demand_milli, assignment.worker_type < 0
        pending_milli = float(demand_milli[waits].sum())
        held_milli = float(demand_milli.sum()) - pending_milli
        unallocated = self.parts.layout.gpus - held_milli / WHOLE_MILLI
        pending = pending_milli / WHOLE_MILLI
        if self.parts.nodes is None:
            return ClusterUse(unallocated, pending)
        now = self.parts.nodes.fragmentation()
        return ClusterUse(
            unallocated, pending, assignment.unplaced, now.fragmented_milli / WHOLE_MILLI, now.occupied_nodes
        )

    def _records(self, rows: Ints, status: str, finish_s: Floats | None = None) -> tuple[JobRecord, ...]:
        jobs, names = self.jobs, self.parts.workload.throughputs.names
        completion_s: list[float | None] = [None] * len(rows) if finish_s is None else finish_s[rows].tolist()
        asked = (jobs.job_id, jobs.type_index, jobs.arrival_s, jobs.scale_factor, jobs.priority_weight)
        done = (jobs.total_steps, jobs.rounds_run, jobs.moves)
        listed = zip(*(column[rows].tolist() for column in (*asked, *done)), completion_s, strict=True)
        return tuple(
            JobRecord(job_id, names[index], arrival_s, scale, weight, steps, done_s, status, rounds_run, moves)
            for job_id, index, arrival_s, scale, weight, steps, rounds_run, moves, done_s in listed
        )

    # -- idle time and the end -----------------------------------------------------------------------------------

    def _wait_for_arrival(self) -> None:
        """Nothing ran: go to the next arrival; where none comes, let the policy run at once, and give up after that."""
        next_s = self.parts.workload.next_arrival_s()
        if next_s is not None:
            self._skip_to(next_s)
        elif len(self.jobs):
            if not self._due:
                waiting = ", ".join(map(str, self.jobs.job_id[:8]))
                raise StalledError(
                    f"{len(self.jobs)} jobs wait (ids {waiting}{', ...' if len(self.jobs) > 8 else ''}), no job runs "
                    f"and no further one will arrive: policy {self.parts.policy.name} gives them no GPUs they fit on"
                )
            self._at_once = True
            if self.parts.timing.zero_is_never:  # it then settles accounts, too, as if since time 0
                self.clocks.allocated_s = self.clocks.account_opened_s = None

    def _skip_to(self, arrival_s: float) -> None:
        self.clocks.now_s = arrival_s
        if not self.parts.timing.idle_gap_counts:
            self.clocks.round_end_s = arrival_s

    def _final_call(self) -> None:
        """Ask the policy once more, as the original does before it notices that all is done."""
        with self.timer.phase(Phase.ARRIVALS):
            self._admit()
        with self.timer.phase(Phase.POLICY):
            self._allocate_if_due()
        self.recorder.took(self.timer.take())

    def _check(self) -> None:
        if self.parts.check_invariants:
            invariants.check(self)
