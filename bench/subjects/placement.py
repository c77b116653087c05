"""Placements on the pods of the Alibaba trace, and on a cluster of Philly's size."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from phasewise.bench.subjects.api import Case, require
from phasewise.bench.suite_tapes import Scale
from phasewise.profiling.jit.prepare import prepare
from phasewise.sched import registry
from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.node_lists import build_layout
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request, TaskDistribution, typical
from phasewise.sched.nodes.compiled_form import kernels_of_filling
from phasewise.sched.nodes.state import Filled, NodeState
from phasewise.sched.registry import PlacementOptions
from phasewise.sched.scenario.config import Cluster
from phasewise.sched.streams import placement_stream
from phasewise.sched.workload.pods import read_pod_mix

PLACEMENTS: Final = ("fgd", "best_fit", "dot_product", "gpu_packing", "gpu_clustering", "random")
LEFT_OUT: Final = {"strided": "it fills whole GPUs type by type and knows no nodes, so it cannot place pods"}
CLUSTERS: Final = {
    Scale.PHILLY: Cluster(gpus={"v100": 36, "p100": 36, "k80": 36}, gpus_per_node={"v100": 4, "p100": 4, "k80": 4}),
    Scale.ALIBABA: Cluster(nodes="openb"),
}
LOAD: Final = 1.3  # GPUs asked for over GPUs there are, as in the inflation experiment
SEED: Final = 42


@dataclass
class PlacementSubject:
    """Pods drawn from the specifications of the trace, placed one after another until more has come than fits."""

    placement: str
    layout: ClusterLayout
    tasks: TaskDistribution
    pods: Sequence[Request]

    def prepare(self) -> Callable[[], tuple[NodeState, Filled]]:
        """Return the walk over all pods, on idle nodes."""
        state = NodeState(self.layout, self.tasks, stream=placement_stream(SEED))
        index = np.array([state.register(pod) for pod in self.pods])
        options = PlacementOptions(self.layout, whole_gpus=False)
        rule = registry.placement(self.placement, options).rule  # type: ignore[attr-defined]
        prepare(kernels_of_filling(rule))
        return lambda: (state, state.place_all(rule, index))

    def check(self, answer: tuple[NodeState, Filled]) -> None:
        """Check that nothing is overdrawn, that what was used was asked for, and that the recount agrees."""
        state, filled = answer
        require(bool((state.gpu_left >= 0).all() and (state.cpu_left >= 0).all()), "a node is overdrawn")
        asked = sum(pod.demand_milli for pod, node in zip(self.pods, filled.node.tolist(), strict=True) if node >= 0)
        require(asked == self.layout.gpus * WHOLE_MILLI - int(state.gpu_left.sum()), "GPUs were lost")
        require(state.fragmentation() == state.recount(), "fragmentation differs from its recount")

    def counters(self, answer: tuple[NodeState, Filled]) -> Mapping[str, float]:
        """Return how many pods found a node, and what is in use at the end."""
        _, filled = answer
        return {"placed": int((filled.node >= 0).sum()), "used_milli": int(filled.used_milli[-1])}

    def sizes(self, answer: tuple[NodeState, Filled]) -> Mapping[str, float]:
        """Return how many pods there are, each a job of its own, and on how many GPUs."""
        return {"jobs": len(self.pods), "gpus": self.layout.gpus}


def drawn(layout: ClusterLayout) -> list[Request]:
    """Return pods drawn by the counts of the trace until they ask for `LOAD` times the cluster."""
    counts = read_pod_mix("openb")
    weight = np.array([count for _, count in counts], float)
    share = weight / weight.sum()
    rng = np.random.default_rng(SEED)
    wanted_milli = LOAD * layout.gpus * WHOLE_MILLI
    pods: list[Request] = []
    while wanted_milli > 0.0:
        request = counts[int(rng.choice(len(counts), p=share))][0]
        pods.append(request._replace(gpu_spec=""))
        wanted_milli -= request.demand_milli
    return pods


def subject(scale: Scale, placement: str) -> PlacementSubject:
    """Return the subject of a placement on the cluster of a scale."""
    layout = build_layout(CLUSTERS[scale])
    return PlacementSubject(placement, layout, typical(read_pod_mix("openb")), drawn(layout))


def cases() -> Iterator[Case]:
    """Yield a case a placement and scale."""
    for scale, cluster in CLUSTERS.items():
        pods = len(drawn(build_layout(cluster)))
        for placement in PLACEMENTS:
            make = lambda scale=scale, placement=placement: subject(scale, placement)  # noqa: E731
            yield Case(f"placement/{scale}/{placement}", pods, "pod", make)


def left_out() -> Iterator[tuple[str, str]]:
    """Yield the name that a case would have, and why there is none."""
    for scale in CLUSTERS:
        yield from ((f"placement/{scale}/{placement}", reason) for placement, reason in LEFT_OUT.items())
