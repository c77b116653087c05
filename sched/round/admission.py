"""Who may come in, and on which worker types each job can run at all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.gangs import Gang, gpus_a_node, is_gang, types_for_job
from phasewise.sched.cluster.layout import UNLIMITED, ClusterLayout
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


class Chance(NamedTuple):
    """What a kind of job can do here. W worker types.

    Attributes
    ----------
    rates
        (W,) steps/s, 0 where it cannot run.
    best_rate
        The most that it reaches on machines that have room for it; 0 where it can never run.
    """

    rates: Floats
    best_rate: float


class AdmissionGate:
    """Judges arrivals by the machines there are.

    Parameters
    ----------
    spans_nodes
        Whether any job may hold GPUs of several nodes; otherwise one node must have all that it needs, or, where it
        needs more GPUs than a node has, a node for each of its parts.
    """

    def __init__(self, layout: ClusterLayout, throughputs: ThroughputView, *, spans_nodes: bool) -> None:
        self._layout = layout
        self._rates = throughputs.rows
        self._spans_nodes = spans_nodes
        self._fitting: dict[Request, Bools] = {}
        self._chances: dict[tuple[int, Request], Chance] = {}

    def judge(self, arrivals: Sequence[Arrival]) -> Admission:
        """Return who comes in. D13: a job that no pool can ever hold would wait for ever."""
        chances = [self._chance(job.type_index, job.needs) for job in arrivals]
        jobs = [job for job, chance in zip(arrivals, chances, strict=True) if chance.best_rate]
        refused = [
            Refused(job, self._reason(job))
            for job, chance in zip(arrivals, chances, strict=True)
            if not chance.best_rate
        ]
        able = [chance for chance in chances if chance.best_rate]
        rates = np.array([chance.rates for chance in able]).reshape(len(able), self._rates.shape[1])
        least_gpu_s = sum(
            job.scale_factor * job.total_steps / chance.best_rate for job, chance in zip(jobs, able, strict=True)
        )
        return Admission(jobs, rates, refused, least_gpu_s)

    def _chance(self, type_index: int, needs: Request) -> Chance:
        """Return what jobs of a type with these needs can do; there are few kinds, so each is looked at once."""
        known = self._chances.get((type_index, needs))
        if known is None:
            rates = self._rates[type_index]
            usable = np.where(self.fitting(needs), rates, 0.0)
            known = Chance(rates if self._spans_nodes else usable, float(usable.max(initial=0.0, where=usable > 0.0)))
            self._chances[type_index, needs] = known
        return known

    def fitting(self, request: Request) -> Bools:
        """Return (W,) on which worker types a request can ever be met, idle machines given."""
        known = self._fitting.get(request)
        if known is None:
            known = self._fitting[request] = self._judge(request)
        return known

    def _judge(self, request: Request) -> Bools:
        layout = self._layout
        if not self._spans_nodes:
            return types_for_job(layout, request)
        allowed = np.array([request.admits(name) for name in layout.worker_types])
        fitting: Bools = allowed & (layout.capacity * WHOLE_MILLI >= request.demand_milli)
        return fitting

    def _reason(self, job: Arrival) -> str:
        layout, needs, rates = self._layout, job.needs, self._rates[job.type_index]
        if not (rates > 0.0).any():
            return f"has a speed of 0 on every worker type here ({', '.join(layout.worker_types)})"
        usable = [
            (name, kind) for kind, name in enumerate(layout.worker_types) if rates[kind] > 0.0 and needs.admits(name)
        ]
        only = f" ({needs.gpu_spec} only)" if needs.gpu_spec else ""
        if self._spans_nodes:
            pools = ", ".join(f"{name}={layout.capacity[kind]:g}" for name, kind in usable) or "none"
            return f"needs {job.scale_factor:g} GPUs of one type{only}; types that can run it: {pools}"
        if is_gang(needs, layout):
            sizes = gpus_a_node(layout)
            pools = ", ".join(self._needed(needs, kind) for _, kind in usable if sizes[kind]) or "none"
            return f"needs {_listed(needs)} on several nodes of one type{only}; types that can run it: {pools}"
        largest = ", ".join(f"{name} up to {self._largest(kind)}" for name, kind in usable) or "none"
        return f"needs {_listed(needs)} on one node{only}; types that can run it: {largest}"

    def _needed(self, needs: Request, kind: int) -> str:
        """Return what a gang needs of a type's nodes, and how many there are."""
        layout = self._layout
        gang = Gang.of(needs, int(gpus_a_node(layout)[kind]))
        there = int(np.diff(layout.type_first_node)[kind])
        wanted = f"{gang.wholes} nodes with {_listed(gang.whole)}"
        wanted += f" and one with {_listed(gang.rest)}" if gang.rest else ""
        return f"{layout.worker_types[kind]} ({wanted}; it has {there}, the largest with {self._largest(kind)})"

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
