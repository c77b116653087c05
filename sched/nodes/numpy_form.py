"""Placing tasks by a rule with NumPy alone: what `rounds` compiles, written for many nodes at once.

It gives the same nodes, GPUs and scores, and serves as the reference of the compiled form. A rule needs no more than
`scores` for it; of `device` and `pick` it may have forms of its own, `device_numpy` and `pick_numpy`.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.nodes.arrays import (
    INFEASIBLE,
    TASKS_A_NODE,
    Need,
    NodeArrays,
    Requests,
    ScoreRows,
    row_key,
    row_slot,
)
from phasewise.sched.nodes.rules import NodeRule

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.int16]


class NumpyBookkeeping:
    """As `phasewise.sched.nodes.compiled.Bookkeeping`."""

    @staticmethod
    def judge_all(nodes: NodeArrays) -> None:
        """Judge every node."""
        for node in range(len(nodes.kind)):
            judge(nodes, node)

    @staticmethod
    def release_rows(nodes: NodeArrays, requests: Requests, row: Ints, first: Ints, gpu: Ints, request: Ints) -> None:
        """Give back what the jobs in ``row`` hold; one that holds nothing is passed over."""
        for i in row:
            held = gpu[first[i] : first[i + 1]]
            if len(held):
                give_back_all(nodes, requests, int(request[i]), held)

    @staticmethod
    def release_task(nodes: NodeArrays, requests: Requests, request: int, node: int, gpu: Ints) -> None:
        """Give back what one task holds."""
        give_back(nodes, requests.need(request), node, gpu)

    @staticmethod
    def exchange(nodes: NodeArrays, requests: Requests, old: int, new: int, node: int) -> None:
        """Let a task on a node ask for something else beside its GPUs."""
        change_counts(nodes, requests.need(old), node, -1)
        change_counts(nodes, requests.need(new), node, 1)
        touch(nodes, node)

    @staticmethod
    def types_with_room(nodes: NodeArrays, requests: Requests, type_first_node: Ints, request: Ints) -> Bools:
        """Return (R, W) on which worker types some node has room for each of the requests (R,) as things stand."""
        distinct, back = np.unique(request, return_inverse=True)
        cpu, memory, milli, gpus = (
            column[distinct][:, None] for column in (requests.cpu, requests.memory, requests.milli, requests.gpus)
        )
        room = np.where(milli == WHOLE_MILLI, nodes.free >= gpus, nodes.left.max(axis=1) >= milli)
        room &= (nodes.cpu_left >= cpu) & (nodes.memory_left >= memory) & (nodes.tasks < TASKS_A_NODE)
        room &= requests.admitted[distinct][:, nodes.kind]
        by_type: Bools = np.logical_or.reduceat(room, type_first_node[:-1], axis=1)
        for row, kind in np.argwhere(requests.whole[distinct] >= 0).tolist():
            low, high = type_first_node[kind], type_first_node[kind + 1]
            by_type[row, kind] = has_room_for_gang(nodes, requests, int(distinct[row]), kind, int(low), int(high))
        return by_type[back]

    @classmethod
    def waiting_with_room(
        cls,
        nodes: NodeArrays,
        requests: Requests,
        type_first_node: Ints,
        request: Ints,
        runs_on: Ints,
        placeable: Bools,
        throughput: Floats,
    ) -> tuple[Ints, Floats]:
        """Return (K,) who of the jobs (J,) waits and finds room where it can run, and (K, W) its speed there."""
        waiting = np.flatnonzero((runs_on < 0) & placeable)
        room = cls.types_with_room(nodes, requests, type_first_node, request[waiting])
        speed = np.where(room, throughput[waiting], 0.0)
        able = speed.any(axis=1)
        return waiting[able], speed[able]

    @staticmethod
    def totals(nodes: NodeArrays) -> tuple[float, int, int]:
        """Return (fragmented milli, idle milli, occupied nodes) over all nodes."""
        fragmented = 0.0
        for node in nodes.fragmented.tolist():  # one after another, as compiled
            fragmented += node
        return fragmented / nodes.tables.unit, int(nodes.idle.sum()), int(np.count_nonzero(nodes.tasks))


class NumpyRounds:
    """As `phasewise.sched.nodes.compiled.CompiledRounds`, for any rule."""

    @staticmethod
    def place_one(
        rule: NodeRule,
        nodes: NodeArrays,
        requests: Requests,
        rows: ScoreRows,
        request: int,
        low: int,
        high: int,
        gpu: Ints,
    ) -> tuple[int, int]:
        """Put one task on one of the nodes low to high; return (node, score), -1 where none; fill in ``gpu``."""
        need = requests.need(request)
        row = refresh(rule, nodes, requests, rows, request, low, high)
        node = _form(rule, "pick", best)(nodes, row, low, high)
        if node < 0:
            return -1, INFEASIBLE
        score, device = int(row[node]), -1
        if need.gpus and need.milli < WHOLE_MILLI:
            device = _form(rule, "device", tightest)(nodes, need, node, score)
        take(nodes, need, node, device, gpu)
        return node, score

    @classmethod
    def place_gang(
        cls,
        rule: NodeRule,
        nodes: NodeArrays,
        requests: Requests,
        rows: ScoreRows,
        request: int,
        kind: int,
        low: int,
        high: int,
        gpu: Ints,
    ) -> bool:
        """Put a gang on the nodes low to high, all of one type; return whether all of it found room."""
        if not has_room_for_gang(nodes, requests, request, kind, low, high):
            return False
        whole, used, asked = int(requests.whole[request, kind]), 0, int(requests.gpus[request])
        while used < asked:
            part = whole if asked - used >= requests.gpus[whole] else int(requests.rest[request, kind])
            if cls.place_one(rule, nodes, requests, rows, part, low, high, gpu[used:])[0] < 0:
                give_back_all(nodes, requests, request, gpu[:used])
                return False
            used += int(requests.gpus[part])
        gpu.sort()
        return True

    @classmethod
    def place_in_order(
        cls, rule: NodeRule, nodes: NodeArrays, requests: Requests, rows: ScoreRows, request: Ints
    ) -> tuple[Ints, Ints, Ints, Ints, Ints, Floats]:
        """Place tasks (E,) one after another on any node; nothing departs."""
        events = len(request)
        node, score, used = np.empty((3, events), np.int64)
        fragmented, first = np.empty(events), np.zeros(events + 1, np.int64)
        gpu = np.empty(requests.gpus[request].sum(), np.int64)
        lost, idle, _ = NumpyBookkeeping.totals(nodes)
        capacity, unit, end = int(nodes.size.sum()) * WHOLE_MILLI, nodes.tables.unit, 0
        before: list[int] = nodes.fragmented.tolist()
        for e, q in enumerate(request.tolist()):
            node[e], score[e] = n, _ = cls.place_one(rule, nodes, requests, rows, q, 0, len(nodes.kind), gpu[end:])
            if n >= 0:
                need = requests.need(q)
                end += need.gpus
                idle -= need.gpus * need.milli
                now = int(nodes.fragmented[n])
                lost += (now - before[n]) / unit
                before[n] = now
            first[e + 1], used[e], fragmented[e] = end, capacity - idle, lost
        return node, first, gpu[:end], score, used, fragmented

    @classmethod
    def place_in_round(
        cls,
        rule: NodeRule,
        nodes: NodeArrays,
        requests: Requests,
        rows: ScoreRows,
        type_first_node: Ints,
        row: Ints,
        worker_type: Ints,
        first: Ints,
        gpu: Ints,
        last_type: Ints,
        request: Ints,
    ) -> tuple[Ints, Ints, Ints]:
        """Place the chosen rows (K,), each on nodes of its type: leases first, then those of most GPUs."""
        wanted = np.full(len(request), -1)
        wanted[row] = worker_type
        held = np.diff(first) > 0
        kept = held & (wanted >= 0) & (wanted == last_type)
        NumpyBookkeeping.release_rows(nodes, requests, np.flatnonzero(held & ~kept), first, gpu, request)
        runs_on = np.where(kept, wanted, -1)
        holds = {i: gpu[first[i] : first[i + 1]] for i in np.flatnonzero(kept).tolist()}
        new = row[~kept[row]]
        for i in new[np.argsort(-requests.gpus[request[new]], kind="stable")].tolist():
            q, kind, given = int(request[i]), int(wanted[i]), np.empty(requests.gpus[request[i]], np.int64)
            low, high = int(type_first_node[kind]), int(type_first_node[kind + 1])
            if requests.whole[q, kind] >= 0:
                placed = cls.place_gang(rule, nodes, requests, rows, q, kind, low, high, given)
            else:
                placed = cls.place_one(rule, nodes, requests, rows, q, low, high, given)[0] >= 0
            if placed:
                runs_on[i], holds[i] = kind, given
        widths = np.zeros(len(request) + 1, np.int64)
        for i, gpus in holds.items():
            widths[i + 1] = len(gpus)
        empty = np.empty(0, np.int64)
        return np.cumsum(widths), np.concatenate([empty, *(holds[i] for i in sorted(holds))]), runs_on


def _form(rule: Any, method: str, default: Any) -> Any:
    """Return the rule's NumPy form of a method, or its plain one, or the default."""
    found = getattr(rule, f"{method}_numpy", None) or getattr(rule, method, None)
    return found or (lambda *arguments: default(rule, *arguments))


def judge(nodes: NodeArrays, node: int) -> None:
    """Count a node's idle capacity and free GPUs anew, and judge how fragmented it is."""
    tables, kind, left = nodes.tables, nodes.kind[node], nodes.left[node]
    rank = tables.cpu_steps.searchsorted(nodes.cpu_left[node], "right")
    idle, free = left.sum(), np.count_nonzero(left == WHOLE_MILLI)
    useful = tables.single[kind, rank].take(left).sum() + tables.several[kind, rank, free]
    nodes.idle[node], nodes.free[node], nodes.fragmented[node] = idle, free, idle * tables.whole - useful


def touch(nodes: NodeArrays, node: int) -> None:
    """Judge a node anew and note that scores of it are out of date."""
    judge(nodes, node)
    clock = int(nodes.clock[0])
    nodes.log[clock & (len(nodes.log) - 1)] = node
    nodes.touched[node] = clock
    nodes.clock[0] = clock + 1


def fitting(nodes: NodeArrays, need: Need, admitted: Bools, at: Ints) -> Bools:
    """Return on which of the nodes ``at`` (n,) a task fits and may run."""
    fits = nodes.cpu_left[at] >= need.cpu
    fits &= nodes.memory_left[at] >= need.memory
    fits &= nodes.tasks[at] < TASKS_A_NODE
    fits &= admitted[nodes.kind[at]]
    if need.gpus:
        fits &= nodes.free[at] >= need.gpus if need.milli == WHOLE_MILLI else nodes.left[at].max(1) >= need.milli
    return fits


def has_room_for_gang(nodes: NodeArrays, requests: Requests, request: int, kind: int, low: int, high: int) -> bool:
    """Return whether the nodes low to high, of one type, have room for all parts of a gang; see `gang_kernels`."""
    whole, rest = int(requests.whole[request, kind]), int(requests.rest[request, kind])
    wholes, at = int(requests.gpus[request]) // int(requests.gpus[whole]), np.arange(low, high)
    admitted = requests.admitted[request]
    able = [
        np.count_nonzero(fitting(nodes, requests.need(part), admitted, at))
        for part in (whole, rest if rest >= 0 else whole)
    ]
    return bool(able[0] >= wholes and able[1] >= wholes + (rest >= 0))


def refresh(
    rule: NodeRule, nodes: NodeArrays, requests: Requests, rows: ScoreRows, request: int, low: int, high: int
) -> Scores:
    """Return the scores (N,) of a request on the nodes low to high; only those of nodes touched meanwhile are new."""
    need, clock, key = requests.need(request), int(nodes.clock[0]), row_key(nodes, request, low, high)
    slot = row_slot(nodes, len(rows.owner), request, low, high)
    row: Scores = rows.score[slot]
    if rows.owner[slot] != key or clock - rows.seen[slot] > len(nodes.log):
        at = np.arange(low, high)
    else:
        ticks = np.arange(rows.seen[slot], clock)
        at = nodes.log[ticks & (len(nodes.log) - 1)]
        at = at[(nodes.touched[at] == ticks) & (at >= low) & (at < high)]
    if len(at):
        fits = fitting(nodes, need, requests.admitted[request], at)
        row[at] = INFEASIBLE
        at = at[fits]
        row[at] = rule.scores(nodes, need, at)
    rows.owner[slot], rows.seen[slot] = key, clock
    return row


def best(rule: NodeRule, nodes: NodeArrays, row: Scores, low: int, high: int) -> int:
    """Return the node of low to high with the highest score and among those the lowest rank; -1 where none fits."""
    part = row[low:high]
    highest = part.max(initial=INFEASIBLE)
    if highest < 0:
        return -1
    tied = low + (part == highest).nonzero()[0]
    return int(tied[nodes.rank[tied].argmin()])


def tightest(rule: NodeRule, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
    """Return the GPU of a node with the least left that is enough, the first of those."""
    left = nodes.left[node]
    return int(np.where(left >= need.milli, left, WHOLE_MILLI + 1).argmin())


def change_counts(nodes: NodeArrays, need: Need, node: int, sign: int) -> None:
    """Take (1) a task's CPU and memory from a node, or give them back (-1)."""
    nodes.cpu_left[node] -= sign * need.cpu
    nodes.memory_left[node] -= sign * need.memory
    nodes.tasks[node] += sign
    if need.gpus:
        nodes.labels[node, need.gpus if need.milli == WHOLE_MILLI else 0] += sign


def take(nodes: NodeArrays, need: Need, node: int, device: int, gpu: Ints) -> None:
    """Put a task on a node; write into ``gpu`` which it got: ``device`` or, of whole ones, the first that are free."""
    if need.gpus and need.milli < WHOLE_MILLI:
        nodes.left[node, device] -= need.milli
        gpu[0] = nodes.first_gpu[node] + device
    elif need.gpus:
        free = (nodes.left[node] == WHOLE_MILLI).nonzero()[0][: need.gpus]
        nodes.left[node, free] = 0
        gpu[: need.gpus] = nodes.first_gpu[node] + free
    change_counts(nodes, need, node, 1)
    touch(nodes, node)


def give_back(nodes: NodeArrays, need: Need, node: int, gpu: Ints) -> None:
    """Take a task off a node, where it held the GPUs ``gpu``."""
    nodes.left[node, gpu - nodes.first_gpu[node]] += need.milli
    change_counts(nodes, need, node, -1)
    touch(nodes, node)


def give_back_all(nodes: NodeArrays, requests: Requests, request: int, gpu: Ints) -> None:
    """Take a job off all its nodes, where it held the GPUs ``gpu``, those of a node side by side."""
    on = nodes.gpu_node[gpu]
    starts = np.flatnonzero(np.diff(on, prepend=-1)).tolist()
    for start, end in zip(starts, [*starts[1:], len(gpu)], strict=False):
        node = int(on[start])
        part = requests.part(request, int(nodes.kind[node]), end - start)
        give_back(nodes, requests.need(part), node, gpu[start:end])
