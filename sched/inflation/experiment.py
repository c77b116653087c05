"""The inflation experiment: pods arrive one after another until nothing fits, and nothing departs.

What a placement leaves unusable shows in how much of the cluster is in use when more has arrived than there is.

Source: FGD (ATC'23), section 6, and its simulator.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np
import numpy.typing as npt

from phasewise.profiling.phases import SystemClock
from phasewise.sched import registry
from phasewise.sched.api import Ruled
from phasewise.sched.cluster.layout import ClusterLayout, Node
from phasewise.sched.cluster.node_lists import read_node_list
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request, TaskDistribution, typical
from phasewise.sched.errors import ScenarioError
from phasewise.sched.inflation.arrival_orders import ArrivalOrder, cut_order, draw_order, read_order
from phasewise.sched.memory import estimate_arrivals, require_memory
from phasewise.sched.streams import placement_stream
from phasewise.sched.workload.openb import Pod
from phasewise.sched.workload.pods import pod_list

if TYPE_CHECKING:
    from phasewise.sched.nodes.rules import NodeRule
    from phasewise.sched.nodes.state import NodeState

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]

DEFAULT_LOAD: Final = 1.3  # GPU demand over the cluster's GPUs, as in the paper
BLOCK: Final = 512  # arrivals between two looks at the interruption


@dataclass(frozen=True, slots=True)
class Setting:
    """What an experiment is asked to do.

    Attributes
    ----------
    nodes
        Path of a node list, or the name of a built-in one.
    pods
        Path of a pod list, or the name of a built-in table.
    placement
        Registered name.
    seed
        Of all draws; with ``order``, its entry.
    order
        File of arrival orders; None draws one.
    load
        GPU demand that arrives, over the cluster's GPUs; None is `DEFAULT_LOAD`, or all that ``order`` holds.
    bit_compatible
        Whether scores are rounded as the original's are, where a rule knows how.
    compiled
        Whether compiled scores are used, or those in NumPy.
    """

    nodes: str
    pods: Path
    placement: str
    seed: int = 42
    order: Path | None = None
    load: float | None = None
    bit_compatible: bool = False
    compiled: bool = True


@dataclass(frozen=True, slots=True)
class Experiment:
    """A setting with its files read. P pods and N nodes, each sorted by name.

    Attributes
    ----------
    setting
        What was asked.
    layout
        The cluster.
    pods
        (P,) the pods.
    order
        Who arrives when, and who wins ties.
    tasks
        The typical requests of all pods, by which fragmentation is judged.
    rule
        How the placement chooses a node.
    """

    setting: Setting
    layout: ClusterLayout
    pods: tuple[Pod, ...]
    order: ArrivalOrder
    tasks: TaskDistribution
    rule: NodeRule

    @property
    def capacity_milli(self) -> int:
        """Thousandths of a GPU in the cluster."""
        return self.layout.gpus * WHOLE_MILLI

    @property
    def arrivals(self) -> int:
        """Return how many pods arrive, clones included."""
        return len(self.order.pod)


@dataclass(slots=True)
class Filling:
    """What happened to the arrivals so far. E of them; GPUs as in `ClusterLayout`.

    Attributes
    ----------
    node
        (E,) node of each, -1 where it found none.
    gpus
        (E,) GPUs of each.
    score
        (E,) the node's score, -1 where it found none.
    used_milli, fragmented_milli
        (E + 1,) state of the cluster before the first arrival, and after each.
    cpu_s
        CPU seconds of placing them, the upkeep of the fragmentation included.
    """

    node: list[int] = field(default_factory=list)
    gpus: list[list[int]] = field(default_factory=list)
    score: list[int] = field(default_factory=list)
    used_milli: list[int] = field(default_factory=lambda: [0])
    fragmented_milli: list[float] = field(default_factory=list)
    cpu_s: float = 0.0

    def __len__(self) -> int:
        return len(self.node)


@dataclass(frozen=True, slots=True)
class FillProgress:
    """How far an experiment has come, for a display."""

    arrived: int
    arrivals: int
    alloc_pct: float


def prepare(setting: Setting) -> Experiment:
    """Return the experiment with its files read.

    Raises
    ------
    TraceError
        Where a file is wrong, with the line of every fault.
    ScenarioError
        Where the load is no number above 0 or cannot be reached, a placement does not choose node by node, or the
        arrivals need more memory than there is.
    UnknownPlacementError
        Where there is no such placement.
    """
    load = setting.load
    if load is not None and not (math.isfinite(load) and load > 0.0):
        raise ScenarioError(f"load is {load:g}; allowed: a finite number above 0, for example {DEFAULT_LOAD}")
    nodes = sorted(read_node_list(setting.nodes))
    pods = tuple(sorted(pod_list(setting.pods)))
    layout = ClusterLayout.of(nodes)
    rule = _rule(setting, layout)
    order = _order(setting, [pod.request for pod in pods], nodes)
    require_memory(estimate_arrivals(len(order.pod), len(nodes)))
    return Experiment(setting, layout, pods, order, typical((pod.request, 1.0) for pod in pods), rule)


def _rule(setting: Setting, layout: ClusterLayout) -> NodeRule:
    options = registry.PlacementOptions(
        layout=layout,
        whole_gpus=False,
        compiled=setting.compiled,
        bit_compatible=setting.bit_compatible,
    )
    placement = registry.placement(setting.placement, options)
    if not isinstance(placement, Ruled):
        raise ScenarioError(f"placement {setting.placement} has no rule that chooses a node for a single pod")
    rule: NodeRule = placement.rule
    return rule


def _order(setting: Setting, requests: Sequence[Request], nodes: Sequence[Node]) -> ArrivalOrder:
    capacity_milli = sum(node.gpus for node in nodes) * WHOLE_MILLI
    if setting.order is None:
        return draw_order(requests, len(nodes), (setting.load or DEFAULT_LOAD) * capacity_milli, setting.seed)
    order = read_order(setting.order, setting.seed, len(requests), len(nodes))
    return order if setting.load is None else cut_order(order, requests, setting.load * capacity_milli)


def prepare_kernels(
    experiment: Experiment,
    notify: Callable[[str], None],
    interrupted: Callable[[], bool] = lambda: False,
) -> float:
    """Have all that placing takes compiled, so that it is not while pods are placed; return the wall seconds it took.

    Parameters
    ----------
    notify
        Gets a message where something is to be compiled.
    interrupted
        Asked now and then whether to stop.

    Raises
    ------
    ScenarioError
        Where the rule of the placement cannot be compiled.
    OutputError
        Where what is compiled can be kept nowhere.
    """
    if not experiment.setting.compiled:
        return 0.0
    # Compiled code: only where pods are placed.
    from phasewise.profiling.jit.prepare import KernelError, prepare  # noqa: PLC0415
    from phasewise.sched.nodes.compiled_form import kernels_of_filling  # noqa: PLC0415

    try:
        return prepare(kernels_of_filling(experiment.rule), notify, interrupted)
    except KernelError as error:
        raise ScenarioError(str(error)) from error


def fill(
    experiment: Experiment,
    filling: Filling,
    *,
    progress: Callable[[FillProgress], None] | None = None,
    interrupted: Callable[[], bool] = lambda: False,
) -> NodeState:
    """Let all pods arrive, and return the state of the nodes after them.

    Parameters
    ----------
    filling
        Takes what happens, as it happens; empty.
    progress
        Called now and then.
    interrupted
        Asked now and then whether to stop.

    Raises
    ------
    KeyboardInterrupt
        Where it was; ``filling`` has what happened until then.
    """
    from phasewise.sched.nodes.state import NodeState  # noqa: PLC0415  compiled code: only where pods are placed

    compiled = experiment.setting.compiled
    state = NodeState(
        experiment.layout,
        experiment.tasks,
        rank=_rank_in_layout(experiment),
        stream=placement_stream(experiment.setting.seed),
        compiled=compiled,
    )
    index = np.array([state.register(pod.request) for pod in experiment.pods], np.int64)
    requests = index[experiment.order.pod]
    filling.fragmented_milli.append(float(state.fragmentation().fragmented_milli))
    for first in range(0, len(requests), BLOCK):
        if interrupted():
            raise KeyboardInterrupt
        _place(state, experiment, requests[first : first + BLOCK], filling)
        if progress is not None:
            alloc_pct = 100.0 * filling.used_milli[-1] / experiment.capacity_milli
            progress(FillProgress(len(filling), len(requests), alloc_pct))
    return state


def _place(state: NodeState, experiment: Experiment, requests: Ints, filling: Filling) -> None:
    began_ns = SystemClock.cpu_ns()
    block = state.place_all(experiment.rule, requests)
    filling.cpu_s += (SystemClock.cpu_ns() - began_ns) / 1e9
    gpu, first = block.gpu.tolist(), block.first.tolist()
    filling.gpus += [gpu[low:high] for low, high in pairwise(first)]
    filling.score += block.score.tolist()
    filling.used_milli += block.used_milli.tolist()
    filling.fragmented_milli += block.fragmented_milli.tolist()
    filling.node += block.node.tolist()  # last: a second Ctrl-C may strike between these, and what has a node counts


def _rank_in_layout(experiment: Experiment) -> Ints:
    """Return (N,) tie ranks in the layout's order of nodes."""
    names = experiment.layout.node_names
    rank = np.empty(len(names), np.int64)
    rank[sorted(range(len(names)), key=names.__getitem__)] = experiment.order.rank
    return rank
