"""Placing tasks by a rule, as compiled: one task, many in order, or a round; for each rule, from its own methods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba.extending import overload

from phasewise.profiling.jit.kernel import inner, kernel, loop
from phasewise.profiling.jit.layouts import FlagVector, IntVector, ShortVector, Vector
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.nodes import rules
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
from phasewise.sched.nodes.compilable import register_marked
from phasewise.sched.nodes.gang_kernels import has_room_for_gang, sort_gpus
from phasewise.sched.nodes.kernels import give_back_all, need_of, take
from phasewise.sched.nodes.rules import NodeRule
from phasewise.sched.round.kernels import sort_descending

by_rule = kernel(allocates=False, also=(rules.best, rules.tightest), methods=("score", "device", "pick"))
"""Makes a kernel of which the methods of a rule become a part."""


# -- the rule's part -------------------------------------------------------------------------------------------------


def score_node(rule: NodeRule, nodes: NodeArrays, need: Need, node: int) -> int:
    """Return the rule's score of a node; compiled from its `score`."""
    raise NotImplementedError


def choose_device(rule: NodeRule, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
    """Return the GPU for a task that shares one; compiled from the rule's `device`, or `tightest`."""
    raise NotImplementedError


def pick_node(rule: NodeRule, nodes: NodeArrays, row: ShortVector, low: int, high: int) -> int:
    """Return the node for a task; compiled from the rule's `pick`, or `best`."""
    raise NotImplementedError


def _compiled(rule: Any, method: str, default: Callable[..., int] = rules.best) -> Any:
    register_marked()  # those of the rule's own module are among them by now
    written: Callable[..., int] = getattr(rule.instance_class, method, None) or default
    return loop(written)


@overload(score_node, strict=False)  # type: ignore[untyped-decorator]
def _score_node(rule: Any, nodes: Any, need: Any, node: Any) -> Any:
    score = _compiled(rule, "score")
    return lambda rule, nodes, need, node: score(rule, nodes, need, node)


@overload(choose_device, strict=False)  # type: ignore[untyped-decorator]
def _choose_device(rule: Any, nodes: Any, need: Any, node: Any, score: Any) -> Any:
    device = _compiled(rule, "device", rules.tightest)
    return lambda rule, nodes, need, node, score: device(rule, nodes, need, node, score)


@overload(pick_node, strict=False)  # type: ignore[untyped-decorator]
def _pick_node(rule: Any, nodes: Any, row: Any, low: Any, high: Any) -> Any:
    pick = _compiled(rule, "pick", rules.best)
    return lambda rule, nodes, row, low, high: pick(rule, nodes, row, low, high)


# -- one task --------------------------------------------------------------------------------------------------------


@loop
def rescore(rule: NodeRule, nodes: NodeArrays, need: Need, admitted: FlagVector, row: ShortVector, node: int) -> None:
    """Write the score of one node, -1 where the task does not fit or may not run."""
    score = INFEASIBLE
    if admitted[nodes.kind[node]] and rules.fits(nodes, need, node, TASKS_A_NODE):
        score = score_node(rule, nodes, need, node)
    row[node] = score


@loop
def refresh(
    rule: NodeRule, nodes: NodeArrays, requests: Requests, rows: ScoreRows, request: int, low: int, high: int
) -> int:
    """Return which row has the scores of a request on the nodes low to high; only those touched meanwhile are new."""
    slot, key = row_slot(nodes, len(rows.owner), request, low, high), row_key(nodes, request, low, high)
    row, clock, seen = rows.score[slot], nodes.clock[0], rows.seen[slot]
    need, admitted = need_of(requests, request), requests.admitted[request]
    if rows.owner[slot] != key or clock - seen > len(nodes.log):
        for node in range(low, high):
            rescore(rule, nodes, need, admitted, row, node)
    else:
        for tick in range(seen, clock):
            node = nodes.log[tick & (len(nodes.log) - 1)]
            if low <= node < high and nodes.touched[node] == tick:  # not touched again later
                rescore(rule, nodes, need, admitted, row, node)
    rows.owner[slot] = key
    rows.seen[slot] = clock
    return slot


@by_rule
def place_one(
    rule: NodeRule,
    nodes: NodeArrays,
    requests: Requests,
    rows: ScoreRows,
    request: int,
    low: int,
    high: int,
    gpu: IntVector,
) -> tuple[int, int]:
    """Put one task on one of the nodes low to high; return (node, score), -1 where there is none; fill in ``gpu``."""
    need = need_of(requests, request)
    row = rows.score[refresh(rule, nodes, requests, rows, request, low, high)]
    node = pick_node(rule, nodes, row, low, high)
    if node < 0:
        return -1, INFEASIBLE
    score, device = int(row[node]), -1
    if need.gpus > 0 and need.milli < WHOLE_MILLI:
        device = choose_device(rule, nodes, need, node, score)
    take(nodes, need, node, device, gpu)
    return node, score


@inner
def place_job(
    rule: NodeRule,
    nodes: NodeArrays,
    requests: Requests,
    rows: ScoreRows,
    request: int,
    kind: int,
    low: int,
    high: int,
    gpu: IntVector,
) -> bool:
    """Put a job, part by part if it is a gang, on the nodes low to high, all of one type; return whether it found room.

    Fill in ``gpu``, ascending. Nothing changes where there is no room for all of it, but that a rule may have drawn.
    """
    whole, asked, used = requests.whole[request, kind], requests.gpus[request], 0
    if whole >= 0:
        left = (nodes.free, nodes.cpu_left, nodes.memory_left, nodes.tasks)
        if not has_room_for_gang(requests, request, kind, low, high, *left):
            return False
    while True:  # one call of `place_one`, so that it becomes a part of this
        part = request
        if whole >= 0:
            part = whole if asked - used >= requests.gpus[whole] else requests.rest[request, kind]
        node, _ = place_one(rule, nodes, requests, rows, part, low, high, gpu[used:])
        if node < 0:
            break
        used += requests.gpus[part]
        if used >= asked:
            break
    if node < 0:
        if used > 0:  # a rule may turn down nodes that have room
            give_back_all(nodes, requests, request, gpu[:used])
        return False
    if whole >= 0:
        sort_gpus(gpu[:asked])
    return True


# -- many tasks ------------------------------------------------------------------------------------------------------


@by_rule
def place_in_order(
    rule: NodeRule,
    nodes: NodeArrays,
    requests: Requests,
    rows: ScoreRows,
    request: IntVector,
    before: IntVector,
    start: tuple[float, int],
    first: IntVector,
    gpu: IntVector,
    node: IntVector,
    score: IntVector,
    used: IntVector,
    fragmented: Vector,
) -> None:
    """Place tasks (E,) one after another on any node; fill in what became of them (as `nodes.state.Filled`).

    ``before`` (N,) is a copy of how fragmented the nodes are, ``start`` the totals over them: fragmented milli, and
    milli in use.
    """
    lost, taken = start
    for e in range(len(request)):
        node[e], score[e] = place_one(rule, nodes, requests, rows, request[e], 0, len(nodes.kind), gpu[first[e] :])
        first[e + 1] = first[e]
        n = node[e]
        if n >= 0:
            asked = requests.gpus[request[e]]
            first[e + 1] += asked
            taken += asked * requests.milli[request[e]]
            lost += (nodes.fragmented[n] - before[n]) / nodes.tables.unit
            before[n] = nodes.fragmented[n]
        used[e] = taken
        fragmented[e] = lost


# -- a round ---------------------------------------------------------------------------------------------------------


@kernel()
def plan_round(
    requests: Requests,
    row: IntVector,
    worker_type: IntVector,
    first: IntVector,
    last_type: IntVector,
    request: IntVector,
) -> tuple[IntVector, IntVector, IntVector, IntVector]:
    """Return what is to be done for the chosen rows (K,), each on its type.

    (runs_on (J,): the type of jobs that stay where they are, otherwise -1; wanted (J,): the type each is chosen for;
    those that hold GPUs and are to be released; those to be placed, those of most GPUs first, ties in the order of
    choice).
    """
    jobs = len(request)
    wanted, runs_on = np.full(jobs, -1), np.full(jobs, -1)
    gone, order = np.empty(jobs, np.int64), np.empty(len(row), np.int64)
    width = np.empty(jobs)
    for k in range(len(row)):
        wanted[row[k]] = worker_type[k]
    leaving, coming = 0, 0
    for i in range(jobs):
        if first[i + 1] > first[i]:
            if wanted[i] >= 0 and wanted[i] == last_type[i]:
                runs_on[i] = wanted[i]
            else:
                gone[leaving] = i
                leaving += 1
    for k in range(len(row)):
        i = row[k]
        if runs_on[i] < 0:
            order[coming] = i
            coming += 1
            width[i] = requests.gpus[request[i]]
    order = order[:coming]
    sort_descending(order, width, width, width)
    return runs_on, wanted, gone[:leaving], order


@by_rule
def place_in_round(
    rule: NodeRule,
    nodes: NodeArrays,
    requests: Requests,
    rows: ScoreRows,
    type_first_node: IntVector,
    request: IntVector,
    order: IntVector,
    wanted: IntVector,
    runs_on: IntVector,
    given_first: IntVector,
    given: IntVector,
) -> None:
    """Place the rows in ``order``, each on nodes of the type it is wanted on.

    Where one finds room, its type goes into ``runs_on`` (J,) and its GPUs into ``given``, from ``given_first`` (J,) on.
    """
    used = 0
    for k in range(len(order)):
        i = order[k]
        t = wanted[i]
        low, high = type_first_node[t], type_first_node[t + 1]
        if place_job(rule, nodes, requests, rows, request[i], t, low, high, given[used:]):
            runs_on[i] = t
            given_first[i] = used
            used += requests.gpus[request[i]]


@kernel()
def held_now(
    requests: Requests,
    runs_on: IntVector,
    first: IntVector,
    gpu: IntVector,
    request: IntVector,
    given_first: IntVector,
    given: IntVector,
) -> tuple[IntVector, IntVector]:
    """Return (first, gpu) of what running rows hold: what they held, or what was given from ``given_first`` on."""
    jobs = len(request)
    now_first = np.zeros(jobs + 1, np.int64)
    for i in range(jobs):
        now_first[i + 1] = now_first[i] + (requests.gpus[request[i]] if runs_on[i] >= 0 else 0)
    now_gpu = np.empty(now_first[jobs], np.int64)
    for i in range(jobs):
        source, start = (gpu, first[i]) if given_first[i] < 0 else (given, given_first[i])
        for k in range(now_first[i + 1] - now_first[i]):
            now_gpu[now_first[i] + k] = source[start + k]
    return now_first, now_gpu
