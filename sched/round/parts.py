"""What a simulation is made of: rules and models that no round changes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from phasewise.sched.api import Floats, Ints, NodeAccount, Placement, Policy
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.round.admission import AdmissionGate
from phasewise.sched.round.assignment import Assigner
from phasewise.sched.round.migration import MigrationModel
from phasewise.sched.round.packing.assigner import TeamAssigner
from phasewise.sched.round.rules import Timing
from phasewise.sched.round.stopping import Stopper
from phasewise.sched.workload.arrivals import Workload
from phasewise.sched.workload.co_throughputs import CoRates
from phasewise.solvers.api import State
from phasewise.solvers.problems import AllocationProblem
from phasewise.solvers.session import Solved

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted

WarmSolve = Callable[[AllocationProblem, State], Solved]
"""A problem and what the last solve left (None: nothing) -> its certified result, and what the next starts from."""


@dataclass(frozen=True, slots=True)
class Parts:
    """What a simulation is made of; see `phasewise.sched.simulate` for who builds each.

    Nothing here remembers a round: any number of states can be stepped with the same parts. (`AdmissionGate` keeps
    answers that depend on nothing else.)

    Attributes
    ----------
    seed
        Of every random stream.
    type_order
        Indices of the worker types, the preferred first.
    check_invariants
        Whether the state is checked after every phase.
    checkpoint_rounds
        Rounds between two barriers, at which the solvers forget and a checkpoint is written; 0: there is none.
    gpu_hour_price
        (W,) what an hour of a GPU of each worker type costs; None where no prices are given.
    migration
        What moving a job costs; None where moving is free.
    idle_nodes
        Makes the account of an idle cluster's nodes, on the placement's stream; None where a job may span nodes.
    kernels
        The compiled kernels that running will take, for whoever runs has them ready before.
    co_rates
        How fast jobs are that share GPUs; None where the policy does not pack.
    preferred
        ``type_order`` as an array (W',), as the loop takes it.
    gate, assigner, team_assigner
        Who may come in, and who runs where, alone or, where the policy packs, in teams; they follow from the others.
    """

    layout: ClusterLayout
    timing: Timing
    workload: Workload
    policy: Policy
    solve: WarmSolve
    placement: Placement
    stopper: Stopper
    seed: int
    type_order: tuple[int, ...]
    check_invariants: bool = False
    checkpoint_rounds: int = 0
    gpu_hour_price: Floats | None = None
    migration: MigrationModel | None = None
    idle_nodes: Callable[[Ints], NodeAccount] | None = None
    kernels: tuple[Wanted, ...] = ()
    co_rates: CoRates | None = None
    preferred: Ints = field(init=False)
    gate: AdmissionGate = field(init=False)
    assigner: Assigner = field(init=False)
    team_assigner: TeamAssigner = field(init=False)

    def __post_init__(self) -> None:
        gate = AdmissionGate(self.layout, self.workload.throughputs, spans_nodes=self.placement.spans_nodes)
        positive_only, own_types_first = self.policy.needs_positive_priority, self.timing.own_types_first
        assigner = Assigner(self.layout, self.placement, positive_only=positive_only, own_types_first=own_types_first)
        object.__setattr__(self, "preferred", np.array(self.type_order, np.int64))
        object.__setattr__(self, "gate", gate)
        object.__setattr__(self, "assigner", assigner)
        team_assigner = TeamAssigner(
            self.layout,
            self.placement,
            positive_only=positive_only,
            own_types_first=own_types_first,
            as_one=self.timing.teams_as_one,
        )
        object.__setattr__(self, "team_assigner", team_assigner)
