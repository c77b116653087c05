"""Who may come in, and on which worker types each job can run at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.layout import UNLIMITED, ClusterLayout
from phasewise.sched.cluster.node_lists import types_with_room
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request
from phasewise.sched.round.outcome import Refused
from phasewise.sched.workload.arrivals import Arrival
from phasewise.sched.workload.throughputs import ThroughputView

Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]


class Admission(NamedTuple):
    """Jobs to admit with their (K, W) throughputs, 0 where a job cannot run, and jobs to refuse.

    ``least_gpu_s`` are the GPU-seconds that those to admit take, each on its best worker type.
    """

    jobs: list[Arrival]
    throughput: Floats
    refused: list[Refused]
    least_gpu_s: float


class AdmissionGate:
    """Judges arrivals by the machines there are.

    Parameters
    ----------
    spans_nodes
        Whether a job may hold GPUs of several nodes; otherwise one node must have all that it needs.
    """

    def __init__(self, layout: ClusterLayout, throughputs: ThroughputView, *, spans_nodes: bool) -> None:
        self._layout = layout
        self._rates = throughputs.rows
        self._spans_nodes = spans_nodes
        self._fitting: dict[Request, Bools] = {}

    def judge(self, arrivals: Sequence[Arrival]) -> Admission:
        """Return who comes in. D13: a job that no pool can ever hold would wait for ever."""
        rates = self._rates[[job.type_index for job in arrivals]]
        fits = np.array([self.fitting(job.needs) for job in arrivals])
        able = ((rates > 0.0) & fits).any(axis=1)
        refused = [
            Refused(arrivals[row], self._reason(arrivals[row], rates[row])) for row in np.flatnonzero(~able).tolist()
        ]
        usable = np.where(fits, rates, 0.0)
        if not self._spans_nodes:
            rates = usable
        if refused:
            arrivals, rates = [arrivals[row] for row in np.flatnonzero(able).tolist()], rates[able]
        best = usable[able].max(axis=1, initial=0.0).tolist()
        least_gpu_s = sum(job.scale_factor * job.total_steps / rate for job, rate in zip(arrivals, best, strict=True))
        return Admission(list(arrivals), rates, refused, least_gpu_s)

    def fitting(self, request: Request) -> Bools:
        """Return (W,) on which worker types a request can ever be met, idle machines given."""
        known = self._fitting.get(request)
        if known is None:
            known = self._fitting[request] = self._judge(request)
        return known

    def _judge(self, request: Request) -> Bools:
        layout = self._layout
        if not self._spans_nodes:
            return types_with_room(layout, request)
        allowed = np.array([request.admits(name) for name in layout.worker_types])
        fitting: Bools = allowed & (layout.capacity * WHOLE_MILLI >= request.demand_milli)
        return fitting

    def _reason(self, job: Arrival, rates: Floats) -> str:
        layout, needs = self._layout, job.needs
        if not (rates > 0.0).any():
            return f"has a speed of 0 on every worker type here ({', '.join(layout.worker_types)})"
        usable = [
            (name, kind) for kind, name in enumerate(layout.worker_types) if rates[kind] > 0.0 and needs.admits(name)
        ]
        only = f" ({needs.gpu_spec} only)" if needs.gpu_spec else ""
        if self._spans_nodes:
            pools = ", ".join(f"{name}={layout.capacity[kind]:g}" for name, kind in usable) or "none"
            return f"needs {job.scale_factor:g} GPUs of one type{only}; types that can run it: {pools}"
        largest = ", ".join(f"{name} up to {self._largest(kind)}" for name, kind in usable) or "none"
        return f"needs {_listed(needs)} on one node{only}; types that can run it: {largest}"

    def _largest(self, kind: int) -> str:
        """Return what the largest node of a type has."""
        layout = self._layout
        nodes = slice(int(layout.type_first_node[kind]), int(layout.type_first_node[kind + 1]))
        cpu, memory = int(layout.cpu_milli[nodes].max()), int(layout.memory_mib[nodes].max())
        return _listed(Request(cpu, WHOLE_MILLI, int(np.diff(layout.node_start)[nodes].max()), memory_mib=memory))


def _listed(needs: Request) -> str:
    """Return a request in words: GPUs, and CPU and memory where they are limited."""
    words = [f"{needs.demand_milli / WHOLE_MILLI:g} GPUs"]
    if 0 < needs.cpu_milli < UNLIMITED:
        words.append(f"{needs.cpu_milli / 1000:g} cores")
    if 0 < needs.memory_mib < UNLIMITED:
        words.append(f"{needs.memory_mib} MiB")
    return ", ".join(words)
