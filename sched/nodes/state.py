"""What is left on every node, and placing tasks there: the state behind all placements that keep a job on one node."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.api import Fragmentation, Holding, Leaf, NodeView, Order, Placed
from phasewise.sched.cluster.gangs import Gang, gpus_a_node, is_gang
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.requests import Request, TaskDistribution
from phasewise.sched.nodes.arrays import NodeArrays, Requests, ScoreRows, joined
from phasewise.sched.nodes.numpy_form import NumpyBookkeeping, NumpyRounds
from phasewise.sched.nodes.rules import NodeRule
from phasewise.sched.streams import placement_stream

if TYPE_CHECKING:
    from phasewise.profiling.jit.kernel import Wanted
    from phasewise.sched.nodes.compiled_form import Bookkeeping, CompiledRounds

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]

# The arrays of `NodeArrays` that change, but for the stream, which belongs to the run's (`phasewise.sched.streams`).
KEPT: Final = (
    *("left", "cpu_left", "memory_left", "tasks", "labels", "idle", "free", "fragmented"),
    *("log", "touched", "clock"),
)
JUDGED: Final = ("idle", "free", "fragmented")  # the arrays of `NodeArrays` that follow from the others
ROW_BYTES: Final = 64 << 20  # score rows kept at most; beyond that, requests take turns in them


class Spot(NamedTuple):
    """Where a task was placed: the node, its GPUs (numbered as in the layout, ascending) and the node's score."""

    node: int
    gpus: tuple[int, ...]
    score: int


class Filled(NamedTuple):
    """What became of tasks placed one after another. E tasks.

    Attributes
    ----------
    node
        (E,) node of each; -1 where there was none.
    first, gpu
        (E + 1,) and (H,): task e got the GPUs ``gpu[first[e]:first[e + 1]]``, ascending.
    score
        (E,) score of the node when it was chosen, -1 where there was none.
    used_milli
        (E,) thousandths of GPUs in use after each.
    fragmented_milli
        (E,) fragmentation of the cluster after each, thousandths of a GPU.
    """

    node: Ints
    first: Ints
    gpu: Ints
    score: Ints
    used_milli: Ints
    fragmented_milli: Floats


class NodeState:
    """What is left on every node. N nodes, G GPUs.

    Parameters
    ----------
    layout
        The machines.
    tasks
        Typical tasks, by which fragmentation is judged.
    rank
        (N,) which node wins among those of equal scores: the lowest rank. The order of the layout if not given.
    stream
        (2,) the random stream of rules that draw, advanced in place; one of its own if not given.
    compiled
        Whether compiled kernels do the work, or NumPy; both give the same.
    """

    def __init__(
        self,
        layout: ClusterLayout,
        tasks: TaskDistribution,
        *,
        rank: Ints | None = None,
        stream: Ints | None = None,
        compiled: bool = True,
    ) -> None:
        self._layout = layout
        self._bookkeeping, self._rounds = _forms(compiled=compiled)
        ranks = np.arange(layout.nodes) if rank is None else np.ascontiguousarray(rank, np.int64)
        drawn = placement_stream(0) if stream is None else stream
        self._nodes = NodeArrays.idle_nodes(layout, tasks, ranks, drawn)
        NumpyBookkeeping().judge_all(self._nodes)  # the same bits; building a state compiles nothing
        self._index: dict[Request, int] = {}
        self._gpus_a_node: list[int] = gpus_a_node(layout).tolist()
        self._parts: list[tuple[list[int], list[int]]] = []  # of each request on each type, as `Requests` has them
        self._requests = joined([], [], [], len(layout.worker_types))
        self._stale = False
        self._rule: NodeRule | None = None  # the one to which the score rows belong
        self._rows = ScoreRows.empty(0, layout.nodes)

    # -- what is left ------------------------------------------------------------------------------------------------

    @property
    def gpu_left(self) -> Ints:
        """(G,) thousandths left of each GPU."""
        return self._nodes.left[self._layout.gpu_node, self._layout.gpu_index]

    @property
    def cpu_left(self) -> Ints:
        """(N,) milli-CPU left."""
        return self._nodes.cpu_left.copy()

    @property
    def memory_left(self) -> Ints:
        """(N,) MiB left."""
        return self._nodes.memory_left.copy()

    @property
    def tasks(self) -> Ints:
        """(N,) tasks on each node."""
        return self._nodes.tasks.copy()

    def fragmentation(self) -> Fragmentation:
        """Return how the cluster stands; each node was judged when it was last touched."""
        return Fragmentation(*self._bookkeeping.totals(self._nodes))

    # -- requests ----------------------------------------------------------------------------------------------------

    def register(self, request: Request) -> int:
        """Return the index of a request; equal ones share it, and the scores kept for it. A gang's parts get their own.

        The parts are registered behind it, so that the order in which requests are written down brings them back.
        """
        known = self._index.get(request)
        if known is not None:
            return known
        index = self._index[request] = len(self._index)
        types = range(len(self._gpus_a_node))
        whole, rest = [-1 for _ in types], [-1 for _ in types]
        self._parts.append((whole, rest))
        self._stale = True
        if is_gang(request, self._layout):
            for kind, gpus in enumerate(self._gpus_a_node):
                if not gpus:
                    continue
                gang = Gang.of(request, gpus)
                whole[kind] = self.register(gang.whole)
                rest[kind] = -1 if gang.rest is None else self.register(gang.rest)
        return index

    @property
    def requests(self) -> tuple[Request, ...]:
        """The distinct requests that were registered, by index."""
        return tuple(self._index)

    def _known(self) -> Requests:
        if self._stale:
            columns = [(r.cpu_milli, r.memory_mib, r.gpu_milli, r.gpus) for r in self._index]
            names = self._layout.worker_types
            admitted = [[r.admits(name) for name in names] for r in self._index]
            self._requests = joined(columns, admitted, self._parts, len(names))
            self._stale = False
        return self._requests

    def _rows_of(self, rule: NodeRule) -> ScoreRows:
        """Return the score rows, new ones where they are another rule's or too few."""
        wanted = len(self._index) * (1 + len(self._layout.worker_types))  # on each type, and anywhere
        room = max(1, ROW_BYTES // (2 * max(self._layout.nodes, 1)))
        if rule is not self._rule or len(self._rows.owner) < min(wanted, room):
            self._rows = ScoreRows.empty(min(max(2 * wanted, 16), room), self._layout.nodes)
            self._rule = rule
        return self._rows

    def types_with_room(self, requests: Ints) -> Bools:
        """Return (R, W) on which worker types there is room for each of the requests (R,) as things stand."""
        return self._bookkeeping.types_with_room(self._nodes, self._known(), self._layout.type_first_node, requests)

    def waiting_with_room(
        self, request: Ints, runs_on: Ints, placeable: Bools, throughput: Floats
    ) -> tuple[Ints, Floats]:
        """Return who of J jobs waits, may be placed, and finds room on a type where it can run, as things stand.

        (rows (K,), ascending; (K, W) their speed where there is room, 0 elsewhere). ``runs_on`` (J,) is -1 for those
        who wait, ``throughput`` (J, W) 0 where a job cannot run.
        """
        asked = (request, runs_on, placeable, throughput)
        return self._bookkeeping.waiting_with_room(self._nodes, self._known(), self._layout.type_first_node, *asked)

    # -- placing and releasing ---------------------------------------------------------------------------------------

    def place(self, rule: NodeRule, request: int, low: int = 0, high: int | None = None) -> Spot | None:
        """Place one task on one of the nodes ``low`` to ``high`` (all of them if not given), or return None."""
        requests = self._known()
        gpu = np.empty(requests.gpus[request], np.int64)
        high = self._layout.nodes if high is None else high
        rows = self._rows_of(rule)
        node, score = self._rounds.place_one(rule, self._nodes, requests, rows, request, low, high, gpu)
        return None if node < 0 else Spot(int(node), tuple(gpu.tolist()), int(score))

    def place_all(self, rule: NodeRule, requests: Sequence[int] | Ints) -> Filled:
        """Place tasks one after another on any node; nothing departs in between."""
        wanted = np.ascontiguousarray(requests, np.int64)
        return Filled(*self._rounds.place_in_order(rule, self._nodes, self._known(), self._rows_of(rule), wanted))

    def place_round(self, rule: NodeRule, order: Order, view: NodeView) -> Placed:
        """Release what is not to run on its type any more, and place what is new; what stays keeps its GPUs."""
        rows, types = order.row, order.worker_type
        placeable = order.placeable[rows]
        if not placeable.all():
            rows, types = rows[placeable], types[placeable]
        first, gpu, runs_on = self._rounds.place_in_round(
            rule,
            self._nodes,
            self._known(),
            self._rows_of(rule),
            self._layout.type_first_node,
            rows,
            types,
            *view.holding,
            view.last_type,
            view.request,
        )
        return Placed(Holding(first, gpu), runs_on)

    def release(self, rows: Ints, holding: Holding, request: Ints) -> None:
        """Give back what jobs hold: those in ``rows``, of the requests ``request`` (J,)."""
        self._bookkeeping.release_rows(self._nodes, self._known(), rows, *holding, request)

    def release_task(self, request: int, node: int, gpus: Sequence[int] = ()) -> None:
        """Give back what one task holds on a node; one without GPUs has none to name."""
        held = np.array(gpus, np.int64)
        self._bookkeeping.release_task(self._nodes, self._known(), request, node, held)

    def exchange(self, gpus: Ints, old: int, new: int) -> bool:
        """Let a job that holds whole GPUs ask for other CPU and memory; False where one of its nodes has no room."""
        known, changes = self._known(), []
        for node, held in zip(*np.unique(self._layout.gpu_node[gpus], return_counts=True), strict=True):
            kind = int(self._layout.node_type[node])
            before, after = known.part(old, kind, int(held)), known.part(new, kind, int(held))
            cpu = self._nodes.cpu_left[node] + known.cpu[before] - known.cpu[after]
            memory = self._nodes.memory_left[node] + known.memory[before] - known.memory[after]
            if cpu < 0 or memory < 0:
                return False
            changes.append((before, after, int(node)))
        for change in changes:
            self._bookkeeping.exchange(self._nodes, known, *change)
        return True

    def recount(self) -> Fragmentation:
        """Return how the cluster stands, judged from nothing but what is left: what `fragmentation` has to equal."""
        counted = self._nodes._replace(**{name: np.empty_like(getattr(self._nodes, name)) for name in JUDGED})
        self._bookkeeping.judge_all(counted)
        return Fragmentation(*self._bookkeeping.totals(counted))

    # -- writing down ------------------------------------------------------------------------------------------------

    def written(self) -> dict[str, Leaf]:
        """Return all that tells this account from that of an idle cluster, by name.

        The scores kept are not among it: they follow from the rest, and are computed again where they are asked for.
        """
        figures = np.array([request[:3] + request[4:] for request in self._index], np.int64).reshape(-1, 4)
        specs = np.array([request.gpu_spec for request in self._index], np.str_)
        kept: dict[str, Leaf] = {name: getattr(self._nodes, name).copy() for name in KEPT}
        return {**kept, "requests": figures, "request_specs": specs}

    def restore(self, leaves: Mapping[str, Leaf]) -> None:
        """Become, from idle, the account that was written down."""
        for name in KEPT:
            getattr(self._nodes, name)[...] = leaves[name]
        listed = zip(np.asarray(leaves["requests"]).tolist(), np.asarray(leaves["request_specs"]).tolist(), strict=True)
        for (cpu_milli, gpu_milli, gpus, memory_mib), spec in listed:
            self.register(Request(cpu_milli, gpu_milli, gpus, spec, memory_mib))


def kernels_of(rule: NodeRule, *, teams: bool = False) -> list[Wanted]:
    """Return the kernels that a simulation needs which places by a rule, jobs alone or ``teams`` as well."""
    if isinstance(_forms(compiled=True)[1], NumpyRounds):
        return []
    from phasewise.sched.nodes.compiled_form import kernels_of_rounds  # noqa: PLC0415

    return kernels_of_rounds(rule, teams=teams)


def _forms(*, compiled: bool) -> tuple[Bookkeeping | NumpyBookkeeping, CompiledRounds | NumpyRounds]:
    # The compiler is loaded when there are nodes to keep: listing the placements must be fast.
    from phasewise.profiling.jit.kernel import enabled  # noqa: PLC0415

    if not (compiled and enabled()):  # as plain Python, the compiled form would ask for compiled methods of rules
        return NumpyBookkeeping(), NumpyRounds()
    from phasewise.sched.nodes.compiled_form import Bookkeeping, CompiledRounds  # noqa: PLC0415

    return Bookkeeping(), CompiledRounds()
