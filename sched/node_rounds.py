"""Placing tasks by a rule, compiled: one task, many in order, or a round with leases and preemption.

The code is compiled for each rule, from the rule's own methods, and cached on disk: `compiled_for` gives a rule's
functions. A cached function is used only while the sources that it was made from are the same.
"""

from __future__ import annotations

import hashlib
import inspect
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from numba import njit
from numba.extending import overload, register_jitable

from phasewise.sched import fragmentation, kernels, node_arrays, node_kernels, node_rules
from phasewise.sched.compilable import MARKED
from phasewise.sched.kernels import sort_descending
from phasewise.sched.node_arrays import INFEASIBLE, TASKS_A_NODE, Need, NodeArrays, Requests, ScoreRows
from phasewise.sched.node_kernels import allocating, give_back, inner, judge_all, need_of, release_rows, take, totals
from phasewise.sched.node_rules import NodeRule
from phasewise.sched.tasks import WHOLE_MILLI

Ints = npt.NDArray[np.int64]
Floats = npt.NDArray[np.float64]
Bools = npt.NDArray[np.bool_]
Scores = npt.NDArray[np.int16]

WIDTHS = 1001.0  # more than the thousandths of one GPU: a number of GPUs weighs more than any share of one


# -- the rule's part -------------------------------------------------------------------------------------------------


def score_node(rule: NodeRule, nodes: NodeArrays, need: Need, node: int) -> int:
    """Return the rule's score of a node; compiled from its `score`."""
    raise NotImplementedError


def choose_device(rule: NodeRule, nodes: NodeArrays, need: Need, node: int, score: int) -> int:
    """Return the GPU for a task that shares one; compiled from the rule's `device`, or `tightest`."""
    raise NotImplementedError


def pick_node(rule: NodeRule, nodes: NodeArrays, row: Scores, low: int, high: int) -> int:
    """Return the node for a task; compiled from the rule's `pick`, or `best`."""
    raise NotImplementedError


@cache
def _register(function: Callable[..., Any]) -> None:
    register_jitable(_nrt=False)(function)


def _compiled(rule: Any, method: str, default: Callable[..., int] | None = None) -> Any:
    for function in MARKED:  # those of the rule's own module are among them by now
        _register(function)
    return inner(getattr(rule.instance_class, method, default))


@overload(score_node, strict=False)  # type: ignore[untyped-decorator]
def _score_node(rule: Any, nodes: Any, need: Any, node: Any) -> Any:
    score = _compiled(rule, "score")
    return lambda rule, nodes, need, node: score(rule, nodes, need, node)


@overload(choose_device, strict=False)  # type: ignore[untyped-decorator]
def _choose_device(rule: Any, nodes: Any, need: Any, node: Any, score: Any) -> Any:
    device = _compiled(rule, "device", node_rules.tightest)
    return lambda rule, nodes, need, node, score: device(rule, nodes, need, node, score)


@overload(pick_node, strict=False)  # type: ignore[untyped-decorator]
def _pick_node(rule: Any, nodes: Any, row: Any, low: Any, high: Any) -> Any:
    pick = _compiled(rule, "pick", node_rules.best)
    return lambda rule, nodes, row, low, high: pick(rule, nodes, row, low, high)


# -- one task --------------------------------------------------------------------------------------------------------


@inner
def rescore(rule: NodeRule, nodes: NodeArrays, need: Need, admitted: Bools, row: Scores, node: int) -> None:
    """Write the score of one node, -1 where the task does not fit or may not run."""
    score = INFEASIBLE
    if admitted[nodes.kind[node]] and node_rules.fits(nodes, need, node, TASKS_A_NODE):
        score = score_node(rule, nodes, need, node)
    row[node] = score


@inner
def refresh(rule: NodeRule, nodes: NodeArrays, requests: Requests, rows: ScoreRows, request: int, need: Need) -> int:
    """Return which row has the scores of a request; only those of nodes touched since it was last seen are new."""
    slot = request % len(rows.owner)
    row, clock, seen = rows.score[slot], nodes.clock[0], rows.seen[slot]
    admitted = requests.admitted[request]
    if rows.owner[slot] != request or clock - seen > len(nodes.log):
        for node in range(len(row)):
            rescore(rule, nodes, need, admitted, row, node)
    else:
        for tick in range(seen, clock):
            node = nodes.log[tick & (len(nodes.log) - 1)]
            if nodes.touched[node] == tick:  # not touched again later
                rescore(rule, nodes, need, admitted, row, node)
    rows.owner[slot] = request
    rows.seen[slot] = clock
    return slot


@inner
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
    """Put one task on one of the nodes low to high; return (node, score), -1 where there is none; fill in ``gpu``."""
    need = need_of(requests, request)
    row = rows.score[refresh(rule, nodes, requests, rows, request, need)]
    node = pick_node(rule, nodes, row, low, high)
    if node < 0:
        return -1, INFEASIBLE
    score, device = int(row[node]), -1
    if need.gpus > 0 and need.milli < WHOLE_MILLI:
        device = choose_device(rule, nodes, need, node, score)
    take(nodes, need, node, device, gpu)
    return node, score


# -- many tasks ------------------------------------------------------------------------------------------------------


@allocating
def place_in_order(
    rule: NodeRule, nodes: NodeArrays, requests: Requests, rows: ScoreRows, request: Ints
) -> tuple[Ints, Ints, Ints, Ints, Ints, Floats]:
    """Place tasks (E,) one after another on any node; nothing departs.

    Returns (node, first, gpu, score, used milli, fragmented milli), the last two over all nodes after each task.
    """
    events = len(request)
    node, score = np.empty(events, np.int64), np.empty(events, np.int64)
    used, fragmented = np.empty(events, np.int64), np.empty(events)
    first = np.zeros(events + 1, np.int64)
    gpu = np.empty(requests.gpus[request].sum(), np.int64)
    lost, idle, _ = totals(nodes)
    capacity = nodes.size.sum() * WHOLE_MILLI
    before = nodes.fragmented.copy()
    for e in range(events):
        node[e], score[e] = place_one(rule, nodes, requests, rows, request[e], 0, len(nodes.kind), gpu[first[e] :])
        first[e + 1] = first[e]
        n = node[e]
        if n >= 0:
            asked = requests.gpus[request[e]]
            first[e + 1] += asked
            idle -= asked * requests.milli[request[e]]
            lost += (nodes.fragmented[n] - before[n]) / nodes.tables.unit
            before[n] = nodes.fragmented[n]
        used[e] = capacity - idle
        fragmented[e] = lost
    return node, first, gpu[: first[events]], score, used, fragmented


# -- a round ---------------------------------------------------------------------------------------------------------


@allocating
def keep_or_release(
    nodes: NodeArrays, requests: Requests, wanted: Ints, last_type: Ints, first: Ints, gpu: Ints, request: Ints
) -> Ints:
    """Release the jobs that are not wanted on the type they run on; return (J,) the type of those that stay, or -1."""
    jobs = len(wanted)
    runs_on = np.full(jobs, -1)
    gone = np.empty(jobs, np.int64)
    count = 0
    for i in range(jobs):
        if first[i + 1] > first[i]:
            if wanted[i] >= 0 and wanted[i] == last_type[i]:
                runs_on[i] = wanted[i]
            else:
                gone[count] = i
                count += 1
    release_rows(nodes, requests, gone[:count], first, gpu, request)
    return runs_on


@allocating
def widest_first(requests: Requests, row: Ints, runs_on: Ints, request: Ints) -> Ints:
    """Return the rows that do not run yet by (GPUs, share of each) descending, ties in the order given."""
    order = np.empty(len(row), np.int64)
    width = np.empty(len(runs_on))
    count = 0
    for i in row:
        if runs_on[i] < 0:
            order[count] = i
            count += 1
            width[i] = requests.gpus[request[i]] * WIDTHS + requests.milli[request[i]]
    order = order[:count]
    sort_descending(order, width, width, width)
    return order


@allocating
def place_in_round(
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
    """Place the chosen rows (K,), each on nodes of its type: leases first, then the widest.

    Rows that hold GPUs and are not chosen, or for another type, are released before anything is placed. Returns
    (first, gpu, worker_type (J,)) of what every row holds now.
    """
    jobs = len(request)
    wanted = np.full(jobs, -1)
    for k in range(len(row)):
        wanted[row[k]] = worker_type[k]
    runs_on = keep_or_release(nodes, requests, wanted, last_type, first, gpu, request)
    order = widest_first(requests, row, runs_on, request)
    given = np.empty(requests.gpus[request[order]].sum(), np.int64)
    given_first = np.full(jobs, -1)  # -1 where a row keeps what it holds
    used = 0
    for i in order:
        t = wanted[i]
        low, high = type_first_node[t], type_first_node[t + 1]
        node, _ = place_one(rule, nodes, requests, rows, request[i], low, high, given[used:])
        if node >= 0:
            runs_on[i] = t
            given_first[i] = used
            used += requests.gpus[request[i]]
    return *held_now(requests, runs_on, first, gpu, request, given_first, given), runs_on


@allocating
def held_now(
    requests: Requests, runs_on: Ints, first: Ints, gpu: Ints, request: Ints, given_first: Ints, given: Ints
) -> tuple[Ints, Ints]:
    """Return (first, gpu) of what running rows hold: what they held, or what was given from ``given_first`` on."""
    jobs = len(request)
    now_first = np.zeros(jobs + 1, np.int64)
    for i in range(jobs):
        now_first[i + 1] = now_first[i] + (requests.gpus[request[i]] if runs_on[i] >= 0 else 0)
    now_gpu = np.empty(now_first[jobs], np.int64)
    for i in range(jobs):
        start, end = now_first[i], now_first[i + 1]
        if given_first[i] >= 0:
            now_gpu[start:end] = given[given_first[i] : given_first[i] + end - start]
        else:
            now_gpu[start:end] = gpu[first[i] : first[i] + end - start]
    return now_first, now_gpu


# -- what Python calls -----------------------------------------------------------------------------------------------


class Bookkeeping(NamedTuple):
    """Compiled functions that no rule has a part in."""

    judge_all: Callable[..., None]
    release_rows: Callable[..., None]
    release_task: Callable[..., None]
    totals: Callable[..., tuple[float, int, int]]


class Rounds(NamedTuple):
    """Compiled functions of one rule."""

    place_one: Callable[..., tuple[int, int]]
    place_in_order: Callable[..., tuple[Ints, Ints, Ints, Ints, Ints, Floats]]
    place_in_round: Callable[..., tuple[Ints, Ints, Ints]]


@inner
def made_from(sources: str) -> None:
    """Make the digest of the sources a part of the caller, and so of the key under which it is cached."""


def _digest(*more: str) -> str:
    modules = (fragmentation, kernels, node_arrays, node_kernels, node_rules)
    files = [*(str(module.__file__) for module in modules), __file__, *more]
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()


entry = njit(cache=True, error_model="numpy")


@cache
def bookkeeping() -> Bookkeeping:
    """Return the functions that no rule has a part in, to be loaded or compiled when first called."""
    for function in MARKED:
        _register(function)
    sources = _digest()

    @entry
    def judge(nodes):  # type: ignore[no-untyped-def]
        made_from(sources)
        judge_all(nodes)

    @entry
    def release(nodes, requests, row, first, gpu, request):  # type: ignore[no-untyped-def]
        made_from(sources)
        release_rows(nodes, requests, row, first, gpu, request)

    @entry
    def release_one(nodes, requests, request, node, gpu):  # type: ignore[no-untyped-def]
        made_from(sources)
        give_back(nodes, need_of(requests, request), node, gpu)

    @entry
    def sums(nodes):  # type: ignore[no-untyped-def]
        made_from(sources)
        return totals(nodes)

    return Bookkeeping(judge, release, release_one, sums)


@cache
def compiled_for(rule: type) -> Rounds:
    """Return the functions of a rule, given by its class, to be loaded or compiled when first called."""
    sources = _digest(inspect.getfile(rule))

    @entry
    def one(rule, nodes, requests, rows, request, low, high, gpu):  # type: ignore[no-untyped-def]
        made_from(sources)
        return place_one(rule, nodes, requests, rows, request, low, high, gpu)

    @entry
    def in_order(rule, nodes, requests, rows, request):  # type: ignore[no-untyped-def]
        made_from(sources)
        return place_in_order(rule, nodes, requests, rows, request)

    @entry
    def in_round(rule, nodes, requests, rows, type_first_node, row, kind, first, gpu, last, request):  # type: ignore[no-untyped-def]
        made_from(sources)
        return place_in_round(rule, nodes, requests, rows, type_first_node, row, kind, first, gpu, last, request)

    return Rounds(one, in_order, in_round)


def prepare(rule: NodeRule, nodes: NodeArrays, notify: Callable[[str], None]) -> None:
    """Load a rule's kernels from their cache, or compile them; say so where they compile, and how long it took."""
    began_s = time.perf_counter()
    requests = node_arrays.joined(
        [(0, 0, 0, 0)], [[False] * nodes.typical.admitted.shape[1]], nodes.typical.admitted.shape[1]
    )
    rows, none = ScoreRows.empty(1, len(nodes.kind)), np.empty(0, np.int64)
    first = np.zeros(1, np.int64)
    common, rounds = bookkeeping(), compiled_for(type(rule))
    common.totals(nodes)
    compiles = _compilations(common.totals)
    if compiles:
        notify("compiling the kernels of placement on nodes, once on this machine ...")
    common.release_rows(nodes, requests, none, first, none, none)
    rounds.place_in_round(rule, nodes, requests, rows, first, none, none, first, none, none, none)
    later = _compilations(rounds.place_in_round)
    if compiles or later:
        notify(f"compiled in {time.perf_counter() - began_s:.1f} s; later runs load the compiled kernels")


def _compilations(function: Any) -> int:
    """Return how often a function had to be compiled rather than loaded."""
    return int(sum(function.stats.cache_misses.values()))
