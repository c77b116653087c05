"""Node lists in the form of the openb traces (Alibaba's cluster-trace-gpu-v2023).

The columns are ``sn,cpu_milli,memory_mib,gpu,model``.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

from phasewise.profiling.names import quoted
from phasewise.sched.cluster.layout import Node
from phasewise.sched.reading.csv_tables import CsvForm
from phasewise.sched.reading.faults import Fault
from phasewise.sched.reading.named_rows import Fields, checked, scan_named

NODE_LIST: Final = CsvForm("node list", ("sn", "cpu_milli", "memory_mib", "gpu", "model"), (), "node")
TYPE_NAME: Final = re.compile(r"[\w.-]+")  # of a worker type: it is part of the names of columns and options
MOST_GPUS: Final = 1024  # of a node: far above what there is, far below what arrays could not hold


def read_nodes(path: Path) -> list[Node]:
    """Return the nodes of a node list, in its order; a node without GPUs has the empty worker type.

    Raises
    ------
    TraceError
        Naming the file and the line of every fault of the whole file (the first 20, then their number).
    """
    return checked(path, scan_nodes(path))


def scan_nodes(path: Path) -> tuple[list[Node], list[Fault]]:
    """Return the nodes of the rows that are right, and every fault of a node list with its line, in order."""
    nodes, faults = scan_named(path, NODE_LIST, "sn", _node)
    if not faults and not any(node.gpus for node in nodes):
        faults.append(Fault(None, "no node has a GPU; allowed: a list of nodes of which some have GPUs"))
    return nodes, faults


def _node(row: dict[str, str]) -> tuple[Node, list[str]]:
    fields = Fields()
    cpu_milli = fields.integer("cpu_milli", row["cpu_milli"], 1)
    memory_mib = fields.integer("memory_mib", row["memory_mib"], 1)
    gpus = fields.integer("gpu", row["gpu"], 0, MOST_GPUS)
    model = row["model"]
    if gpus > 0 and not model:
        fields.told.append(f"model is empty and gpu is {gpus}; a node with GPUs needs their model")
    if gpus == 0 and model:
        fields.told.append(f"model is {model!r} and gpu is 0; allowed: no model where there are no GPUs")
    if "|" in model:
        fields.told.append(f"model is {model!r}; allowed: one name without '|', which separates those of a gpu_spec")
    elif model and not TYPE_NAME.fullmatch(model):
        fields.told.append(
            f"model of node {quoted(row['sn'])} is {quoted(model)}; allowed: letters, digits, '_', '.' and '-'"
        )
    return Node(row["sn"], model, gpus, cpu_milli, memory_mib), fields.told
