"""Node lists in the forms of public traces: what each calls a machine, as nodes of this project.

Known by their headers: Alibaba's spot traces of 2026, Microsoft's Philly, Alibaba's PAI traces of 2020 (with or without
the header), Tiresias, and Helios' GPUs by day and virtual cluster. What a list does not say of CPU and memory has no
limit.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Final

from phasewise.profiling.inputs import read_input
from phasewise.profiling.names import quoted
from phasewise.sched.cluster.layout import UNLIMITED, Node
from phasewise.sched.cluster.openb import MOST_GPUS, TYPE_NAME
from phasewise.sched.reading.faults import Fault

Row = Mapping[str, str]
Parse = Callable[[Row, int], list[Node]]

PAI: Final = ("machine", "gpu_type", "cap_cpu", "cap_mem", "cap_gpu")
HELIOS_GPUS: Final = 8  # of every node of the Helios clusters
GPU: Final = "gpu"
"""The worker type where a list names none."""


def foreign_nodes(path: Path) -> tuple[list[Node], list[Fault]] | None:
    """Return the nodes of a list of one of the forms here and every fault with its line; None of any other file."""
    try:
        lines = read_input(path).decode("utf-8").splitlines()
    except (OSError, ValueError):
        return None  # it is for the reader of our own form to say what is wrong
    names = [name.strip() for name in lines[0].split(",")] if lines else []
    if len(names) == len(PAI) and names != list(PAI) and all(re.fullmatch(r"\d+(\.\d+)?", name) for name in names[2:]):
        return _scan([",".join(PAI), *lines], _pai, first=0)
    for columns, parse in _FORMS.items():
        if set(columns) <= set(names):
            return _scan(lines, parse, first=1)
    return None


def _scan(lines: Sequence[str], parse: Parse, first: int) -> tuple[list[Node], list[Fault]]:
    nodes: list[Node] = []
    faults: list[Fault] = []
    for line, row in enumerate(csv.DictReader(lines, skipinitialspace=True), start=first + 1):
        if None in row or None in row.values():
            faults.append(Fault(line, "another number of fields than the header"))
            continue
        try:
            nodes += parse(row, line)
        except ValueError as error:
            faults.append(Fault(line, str(error)))
    if not faults and not any(node.gpus for node in nodes):
        faults.append(Fault(None, "no node has a GPU; allowed: a list of nodes of which some have GPUs"))
    return nodes, faults


def _spot(row: Row, _line: int) -> list[Node]:
    cpus, gpus = _count(row, "cpu_num"), _count(row, "gpu_capacity_num")
    return [_node(row["node_name"], row["gpu_model"], gpus, cpus * 1000)]


def _pai(row: Row, _line: int) -> list[Node]:
    cpu_milli, memory_mib = _count(row, "cap_cpu") * 1000, _count(row, "cap_mem") * 1024
    return [_node(row["machine"], row["gpu_type"], _count(row, "cap_gpu"), cpu_milli, memory_mib)]


def _philly(row: Row, _line: int) -> list[Node]:
    """Return a machine; its type is the memory of its GPUs, which is all that is told of them."""
    gpus = _count(row, "number of GPUs")
    memory = re.sub(r"[^\w.]+", "", row["single GPU mem"])
    return [_node(row["machineId"], f"{GPU}-{memory}" if memory else GPU, gpus)]


def _tiresias(row: Row, line: int) -> list[Node]:
    nodes = _count(row, "num_switch") * _count(row, "num_node_p_switch")
    gpus, cpus = _count(row, "num_gpu_p_node"), _count(row, "num_cpu_p_node")
    return [_node(f"{line}-{index}", GPU, gpus, cpus * 1000) for index in range(nodes)]


def _helios(row: Row, line: int) -> list[Node]:
    """Return the nodes of the first day that is listed, of eight GPUs each; other days are not read."""
    if line > 2:
        return []
    nodes = -(-_count(row, "total") // HELIOS_GPUS)
    return [_node(f"node-{index}", GPU, HELIOS_GPUS) for index in range(nodes)]


_FORMS: Final[Mapping[tuple[str, ...], Parse]] = {
    ("gpu_model", "gpu_capacity_num", "cpu_num", "node_name"): _spot,
    PAI: _pai,
    ("machineId", "number of GPUs", "single GPU mem"): _philly,
    ("num_switch", "num_node_p_switch", "num_gpu_p_node", "num_cpu_p_node"): _tiresias,
    ("date", "total"): _helios,
}


def _count(row: Row, column: str) -> int:
    text = row[column].strip()
    if not re.fullmatch(r"\d{1,9}(\.0*)?", text, re.ASCII):
        raise ValueError(f"{column} is {quoted(text)}; allowed: an integer of at least 0")
    return int(float(text))


def _node(name: str, kind: str, gpus: int, cpu_milli: int = UNLIMITED, memory_mib: int = UNLIMITED) -> Node:
    kind = re.sub(r"[^\w.-]+", "-", kind.strip())
    if gpus > MOST_GPUS:
        raise ValueError(f"a node of {gpus:,} GPUs; allowed: at most {MOST_GPUS:,}")
    if gpus and not TYPE_NAME.fullmatch(kind):
        raise ValueError(f"node {quoted(name)} has {gpus} GPUs and no model; a node with GPUs needs one")
    return Node(name, kind if gpus else "", gpus, cpu_milli or UNLIMITED, memory_mib or UNLIMITED)
