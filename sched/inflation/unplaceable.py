"""Pods that no node of the cluster can ever take, however empty: they fail whatever the placement does."""

from __future__ import annotations

from collections.abc import Mapping

from phasewise.sched.cluster.layout import ClusterLayout
from phasewise.sched.cluster.node_lists import types_with_room
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request
from phasewise.sched.inflation.experiment import Experiment


def unplaceable(experiment: Experiment) -> Mapping[int, str]:
    """Return why no node can take a pod, by its index, for each pod of which that is so."""
    verdicts: dict[Request, str] = {}
    found: dict[int, str] = {}
    for index, pod in enumerate(experiment.pods):
        if pod.request not in verdicts:
            verdicts[pod.request] = _verdict(experiment.layout, pod.request)
        if verdicts[pod.request]:
            found[index] = f"pod {pod.name} {verdicts[pod.request]}"
    return found


def arrivals_of(experiment: Experiment, pods: Mapping[int, str], arrived: int | None = None) -> int:
    """Return how many of the first ``arrived`` arrivals (all of them where None) are of ``pods``, clones included."""
    return sum(pod in pods for pod in experiment.order.pod[:arrived].tolist())


def _verdict(layout: ClusterLayout, request: Request) -> str:
    """Return what the pod asks for that no node has; empty where some node has all of it."""
    if types_with_room(layout, request).any():
        return ""
    models = [name for name in layout.worker_types if name]
    if not any(request.admits(name) for name in models):
        return f"asks for gpu_spec {request.gpu_spec}, and the cluster has {', '.join(models) or 'no GPUs'}"
    gpus = f"{request.demand_milli / WHOLE_MILLI:g} GPUs"
    return (
        f"asks for {gpus}, {request.cpu_milli / 1000:g} cores and {request.memory_mib} MiB on one node, which none has"
    )
