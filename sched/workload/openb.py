"""Pod lists in the form of the openb traces (Alibaba's cluster-trace-gpu-v2023).

The columns are ``name,cpu_milli,memory_mib,num_gpu,gpu_milli`` and, where a list has them, ``gpu_spec`` and columns on
times and classes that are not read.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Final, NamedTuple

from phasewise.sched.cluster.openb import MOST_GPUS
from phasewise.sched.cluster.requests import WHOLE_MILLI, Request
from phasewise.sched.reading.csv_tables import CsvForm
from phasewise.sched.reading.faults import Fault
from phasewise.sched.reading.named_rows import Fields, checked, scan_named

POD_LIST: Final = CsvForm(
    "pod list",
    ("name", "cpu_milli", "memory_mib", "num_gpu", "gpu_milli"),
    ("gpu_spec", "qos", "pod_phase", "creation_time", "deletion_time", "scheduled_time"),
    "pod",
)


class Pod(NamedTuple):
    """A pod of a pod list: its name and what it needs on its node."""

    name: str
    request: Request


def read_pods(path: Path) -> list[Pod]:
    """Return the pods of a pod list, in its order; raises as `phasewise.sched.cluster.openb.read_nodes`."""
    return checked(path, scan_pods(path))


def scan_pods(path: Path) -> tuple[list[Pod], list[Fault]]:
    """Return the pods of the rows that are right, and every fault of a pod list with its line, in order."""
    pods, faults = scan_named(path, POD_LIST, "name", _pod)
    if not faults and not any(pod.request.gpus for pod in pods):
        faults.append(Fault(None, "no pod needs a GPU; allowed: a list of pods of which some do"))
    return pods, faults


def _pod(row: dict[str, str]) -> tuple[Pod, list[str]]:
    asked = (row["cpu_milli"], row["memory_mib"], row["num_gpu"], row["gpu_milli"], row.get("gpu_spec", ""))
    request, told = _request(*asked)
    return Pod(row["name"], request), list(told)


@lru_cache(maxsize=4096)  # thousands of pods share a few hundred requests
def _request(cpu: str, memory: str, gpu: str, milli: str, spec: str) -> tuple[Request, tuple[str, ...]]:
    fields = Fields()
    cpu_milli, memory_mib = fields.integer("cpu_milli", cpu), fields.integer("memory_mib", memory)
    gpus = fields.integer("num_gpu", gpu, 0, MOST_GPUS)
    gpu_milli = fields.integer("gpu_milli", milli, 0, WHOLE_MILLI)
    if gpus == 0 and gpu_milli > 0:
        fields.told.append(f"gpu_milli is {gpu_milli} and num_gpu is 0; allowed: 0 where no GPU is asked for")
    if gpus > 0 and gpu_milli == 0:
        fields.told.append(f"gpu_milli is 0 and num_gpu is {gpus}; allowed: 1 to {WHOLE_MILLI}")
    if gpus > 1 and 0 < gpu_milli < WHOLE_MILLI:
        fields.told.append(
            f"gpu_milli is {gpu_milli} and num_gpu is {gpus}; allowed: {WHOLE_MILLI}, since only a single GPU is shared"
        )
    if spec and not all(name.strip() == name != "" for name in spec.split("|")):
        fields.told.append(f"gpu_spec is {spec!r}; allowed: models separated by '|', as T4|P100, or nothing")
    return Request(cpu_milli, gpu_milli, gpus, spec, memory_mib), tuple(fields.told)
