"""What a policy and a placement are.

A policy states an allocation problem and returns the allocation X; a placement turns chosen jobs into GPUs. Neither
reads a clock, does I/O or knows a solver by name.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, ClassVar, NamedTuple, Protocol, runtime_checkable

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.requests import Request
from phasewise.sched.pair_rates import PairRates as PairRates  # noqa: PLC0414  (policies find it here)
from phasewise.sched.slos import GivenUp
from phasewise.solvers.api import Solution
from phasewise.solvers.problems import AllocationProblem

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Leaf = npt.NDArray[Any] | float | str | None  # what a state is written down as, by name: see `sched.round.tree`

Solve = Callable[[AllocationProblem], Solution]


class TypeOrder(StrEnum):
    """In which order worker types are filled within a round."""

    FIXED = "fixed"  # fastest type first
    SHUFFLED = "shuffled"  # drawn anew every round


@dataclass(frozen=True, slots=True)
class ClusterView:
    """What a policy sees: read-only arrays over the active jobs, in order of arrival.

    Attributes
    ----------
    now_s
        Simulated time, seconds.
    worker_types
        (W,) names, alphabetical.
    capacity
        (W,) GPUs of each type.
    job_id
        (J,) int64.
    scale_factor
        (J,) GPUs each job needs at once.
    priority_weight
        (J,) weight w_i, 1 is normal.
    throughput
        (J, W) steps/s of the whole job on each type, 0 where it cannot run.
    steps_remaining
        (J,) steps to go.
    since_arrival_s
        (J,) seconds since arrival.
    slo_s
        (J,) seconds from its arrival that each job is promised, NaN without a promise; None where nobody has one.
    previous
        (J, W) the allocation in force, rows of 0 for new jobs; None where moving is free.
    migration_s
        (J, W) seconds that starting each job on each type anew would cost, 0 for a job that never ran; None where
        moving is free.
    pairs
        How fast jobs are that share GPUs; None where the policy does not pack.
    """

    now_s: float
    worker_types: tuple[str, ...]
    capacity: Floats
    job_id: Ints
    scale_factor: Floats
    priority_weight: Floats
    throughput: Floats
    steps_remaining: Floats
    since_arrival_s: Floats
    slo_s: Floats | None = None
    previous: Floats | None = None
    migration_s: Floats | None = None
    pairs: PairRates | None = None


@dataclass(frozen=True, slots=True)
class Allocation:
    """A policy's answer.

    Attributes
    ----------
    x
        X (R, W); in the view's row order, with R = J, unless ``members`` says whose the rows are.
    memory
        What the policy remembers for its next call.
    given_up
        The SLOs that it has given up since that changed last; None where it has not.
    members
        (R, 2) int64 job ids: the team of each row, the second -1 in a row of one job; None: the rows are the view's
        jobs. Only a policy that packs may name pairs.
    """

    x: Floats
    memory: object = None
    given_up: GivenUp | None = None
    members: Ints | None = None


class Policy(Protocol):
    """States the problem, returns X. Pure: what it remembers comes in as ``memory`` and goes out in `Allocation`.

    Attributes
    ----------
    name
        The registered name.
    type_order
        Whether worker types are filled in fixed or in shuffled order.
    needs_positive_priority
        Whether only jobs with priority above 0 may run (FIFO policies); otherwise scheduling is work-conserving.
    """

    name: ClassVar[str]

    # Read-only properties, because both a constant of the class and a value found at run time (`recorded`) will do.
    @property
    def type_order(self) -> TypeOrder:
        """Whether worker types are filled in fixed or in shuffled order."""
        ...

    @property
    def needs_positive_priority(self) -> bool:
        """Whether only jobs with priority above 0 may run."""
        ...

    def allocate(self, view: ClusterView, solve: Solve, memory: object) -> Allocation:
        """Return the allocation for the jobs in ``view``; ``memory`` is None in the first call."""
        ...


@runtime_checkable
class StatesProblems(Protocol):
    """A policy, or its class, that says which problems it states; one that does not is not checked beforehand."""

    @property
    def families(self) -> frozenset[str]:
        """The problem families it states with its options: every solver of the run must take them, or none begins."""
        ...


class Holding(NamedTuple):
    """Who holds which GPUs, row by row of the job table. J rows, H holdings.

    Attributes
    ----------
    first
        (J + 1,) int64: row i holds the GPUs ``gpu[first[i]:first[i + 1]]``.
    gpu
        (H,) int64, ascending within a row. Several rows may share a GPU; which part each has says its request.
    """

    first: Ints
    gpu: Ints

    @classmethod
    def nothing(cls, jobs: int) -> Holding:
        """Return what ``jobs`` rows hold that hold nothing."""
        return cls(np.zeros(jobs + 1, np.int64), np.empty(0, np.int64))

    def extended(self, jobs: int) -> Holding:
        """Return the same for ``jobs`` rows, of which those behind the present ones hold nothing."""
        added = np.full(jobs + 1 - len(self.first), len(self.gpu), np.int64)
        return self if not len(added) else Holding(np.concatenate((self.first, added)), self.gpu)

    @property
    def widths(self) -> Ints:
        """(J,) GPUs that each row holds."""
        return self.first[1:] - self.first[:-1]


class Order(NamedTuple):
    """The jobs chosen for this round, in the order in which they were chosen. K chosen jobs, J rows.

    Attributes
    ----------
    row
        (K,) rows of the job table, the types one after another.
    worker_type
        (K,) index of the worker type each is to run on.
    scale_factor
        (J,) GPUs each job of the table needs.
    placeable
        (J,) whether a chosen job may be placed; one that may not leaves its GPUs idle (defect D6).
    """

    row: Ints
    worker_type: Ints
    scale_factor: Floats
    placeable: npt.NDArray[np.bool_]


class NodeView(NamedTuple):
    """The machines as a placement sees them. J rows, all of int64.

    Attributes
    ----------
    layout
        Where every GPU is.
    holding
        What each job held in the last round, or holds so far in this one.
    last_type
        (J,) worker type each job runs on there, -1 where it holds nothing.
    gpus, gpu_milli
        (J,) number of GPUs each job needs, and thousandths of each.
    cpu_milli, memory_mib
        (J,) what it needs besides, on the node on which it runs.
    request
        (J,) index of its request in ``state``.
    state
        What is left on every node, which a placement bound to nodes keeps up; None for one that is not.
    stream
        (2,) the run's random stream for placements, which a placement that draws advances in place.
    """

    layout: ClusterLayout
    holding: Holding
    last_type: Ints
    gpus: Ints
    gpu_milli: Ints
    cpu_milli: Ints
    memory_mib: Ints
    request: Ints
    state: NodeAccount | None
    stream: Ints


class Placed(NamedTuple):
    """Who got which GPUs. J rows.

    Attributes
    ----------
    holding
        What each job holds now.
    worker_type
        (J,) type each job runs on, -1 where it was not chosen or found no room.
    """

    holding: Holding
    worker_type: Ints


class Assignment(NamedTuple):
    """Who runs where in this round. J rows.

    Attributes
    ----------
    holding
        What each job holds.
    worker_type
        (J,) type each job runs on, -1 where it waits.
    moved
        (J,) whether a job that ran in the last round runs on another set of GPUs now.
    moves
        How many those are.
    lease_extensions
        Jobs of the last round that keep exactly their GPUs.
    lease_opportunities
        Jobs of the last round that are still active.
    unplaced
        Jobs chosen by priority for which no node had room.
    starts
        Jobs that start at a cost; 0 where moving is free.
    """

    holding: Holding
    worker_type: Ints
    moved: npt.NDArray[np.bool_]
    moves: int
    lease_extensions: int
    lease_opportunities: int
    unplaced: int = 0
    starts: int = 0


class Placement(Protocol):
    """Turns chosen jobs into GPUs; what it needs of the last round comes in with `NodeView`."""

    name: ClassVar[str]

    @property
    def spans_nodes(self) -> bool:
        """Whether a job may hold GPUs of several nodes. Otherwise its node must have room for all that it needs."""
        ...

    def place(self, order: Order, nodes: NodeView) -> Placed:
        """Return the GPUs of every chosen job that found room.

        Called again in the same round, with what it returned and further jobs in ``order``, where jobs of the first
        call found none: a chosen job that holds GPUs of its type keeps them.
        """
        ...


@runtime_checkable
class Ruled(Protocol):
    """A placement that can place one task at a time: it has a rule that scores nodes."""

    @property
    def rule(self) -> Any:
        """The rule, a `phasewise.sched.nodes.rules.NodeRule`."""
        ...


class Fragmentation(NamedTuple):
    """How the cluster stands.

    Attributes
    ----------
    fragmented_milli
        F_n(M) summed over all nodes, thousandths of a GPU.
    idle_milli
        Thousandths of GPUs that nothing holds.
    occupied_nodes
        Nodes on which something runs.
    """

    fragmented_milli: float
    idle_milli: int
    occupied_nodes: int


class NodeAccount(Protocol):
    """What is left on every node, as rounds and placements see it; `phasewise.sched.nodes.state` has the one there is.

    N nodes, G GPUs, W worker types.
    """

    @property
    def gpu_left(self) -> Ints:
        """(G,) thousandths left of each GPU."""
        ...

    @property
    def cpu_left(self) -> Ints:
        """(N,) milli-CPU left."""
        ...

    @property
    def memory_left(self) -> Ints:
        """(N,) MiB left."""
        ...

    def fragmentation(self) -> Fragmentation:
        """Return how the cluster stands."""
        ...

    def recount(self) -> Fragmentation:
        """Return the same, judged from nothing but what is left."""
        ...

    @property
    def requests(self) -> tuple[Request, ...]:
        """The distinct requests that were registered, by index."""
        ...

    def register(self, request: Request) -> int:
        """Return the index of a request; equal ones share it."""
        ...

    def types_with_room(self, requests: Ints) -> Bools:
        """Return (R, W) on which worker types some node has room for each of the requests (R,) as things stand."""
        ...

    def waiting_with_room(
        self, request: Ints, runs_on: Ints, placeable: Bools, throughput: Floats
    ) -> tuple[Ints, Floats]:
        """Return (K,) who of J jobs waits and finds room where it can run, and (K, W) its speed there."""
        ...

    def place_round(self, rule: Any, order: Order, view: NodeView) -> Placed:
        """Release what is not to run on its type any more, and place what is new by a `NodeRule`."""
        ...

    def exchange(self, gpus: Ints, old: int, new: int) -> bool:
        """Let what holds the whole ``gpus`` by request ``old`` hold them by ``new``; False where there is no room."""
        ...

    def release(self, rows: Ints, holding: Holding, request: Ints) -> None:
        """Give back what jobs hold: those in ``rows``, of the requests ``request`` (J,)."""
        ...

    def written(self) -> dict[str, Leaf]:
        """Return all that tells this account from that of an idle cluster, by name."""
        ...

    def restore(self, leaves: Mapping[str, Leaf]) -> None:
        """Become, from idle, the account that was written down."""
        ...
