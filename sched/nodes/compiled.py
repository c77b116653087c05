"""The compiled form of placing by a rule: compiled when first called, cached on disk by the sources it comes from."""

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

from phasewise.sched.nodes import arrays, fragmentation, kernels, rounds, rules
from phasewise.sched.nodes.arrays import NodeArrays, Requests, ScoreRows
from phasewise.sched.nodes.kernels import give_back, inner, judge_all, need_of, release_rows, totals
from phasewise.sched.nodes.rounds import (
    held_now,
    place_in_order,
    place_in_round,
    place_one,
    plan_round,
    register_marked,
)
from phasewise.sched.nodes.rules import NodeRule
from phasewise.sched.tasks import WHOLE_MILLI

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Bookkeeping(NamedTuple):
    """Compiled functions that no rule has a part in."""

    judge_all: Callable[..., None]
    release_rows: Callable[..., None]
    release_task: Callable[..., None]
    totals: Callable[..., tuple[float, int, int]]


class CompiledRounds:
    """Places tasks by one rule, compiled; what `phasewise.sched.nodes.numpy_form.NumpyRounds` does."""

    def __init__(
        self, one: Callable[..., tuple[int, int]], many: Callable[..., None], rows: Callable[..., None]
    ) -> None:
        self.place_one = one
        self._many = many
        self.place_rows = rows

    def place_in_order(
        self, rule: NodeRule, nodes: NodeArrays, requests: Requests, rows: ScoreRows, request: Ints
    ) -> tuple[Ints, Ints, Ints, Ints, Ints, Floats]:
        """Place tasks (E,) one after another on any node; nothing departs."""
        lost, idle, _ = bookkeeping().totals(nodes)
        start = (lost, int(nodes.size.sum()) * WHOLE_MILLI - idle)
        node, score, used = np.empty((3, len(request)), np.int64)
        fragmented, first = np.empty(len(request)), np.zeros(len(request) + 1, np.int64)
        gpu = np.empty(requests.gpus[request].sum(), np.int64)
        before = nodes.fragmented.copy()
        self._many(rule, nodes, requests, rows, request, before, start, first, gpu, node, score, used, fragmented)
        return node, first, gpu[: first[-1]], score, used, fragmented

    def place_in_round(
        self,
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
        runs_on, wanted, gone, order = plan_round(requests, row, worker_type, first, last_type, request)
        if len(gone):
            bookkeeping().release_rows(nodes, requests, gone, first, gpu, request)
        given, given_first = np.empty(requests.gpus[request[order]].sum(), np.int64), np.full(len(request), -1)
        if len(order):
            self.place_rows(
                rule, nodes, requests, rows, type_first_node, request, order, wanted, runs_on, given_first, given
            )
        return *held_now(requests, runs_on, first, gpu, request, given_first, given), runs_on


@inner
def made_from(sources: str) -> None:
    """Make the digest of the sources a part of the caller, and so of the key under which it is cached."""


def _digest(*more: str) -> str:
    modules = (arrays, fragmentation, kernels, rounds, rules)
    files = [*(str(module.__file__) for module in modules), __file__, *more]
    return hashlib.sha256(b"".join(Path(file).read_bytes() for file in files)).hexdigest()


kept = njit(cache=True, error_model="numpy", _nrt=False)
passing = njit(error_model="numpy", _nrt=False)  # for rules of other packages


@cache
def bookkeeping() -> Bookkeeping:
    """Return the functions that no rule has a part in, to be loaded or compiled when first called."""
    register_marked()
    sources = _digest()

    @kept
    def judge(nodes):  # type: ignore[no-untyped-def]
        made_from(sources)
        judge_all(nodes)

    @kept
    def release(nodes, requests, row, first, gpu, request):  # type: ignore[no-untyped-def]
        made_from(sources)
        release_rows(nodes, requests, row, first, gpu, request)

    @kept
    def release_one(nodes, requests, request, node, gpu):  # type: ignore[no-untyped-def]
        made_from(sources)
        give_back(nodes, need_of(requests, request), node, gpu)

    @kept
    def sums(nodes):  # type: ignore[no-untyped-def]
        made_from(sources)
        return totals(nodes)

    return Bookkeeping(judge, release, release_one, sums)


@cache
def compiled_for(rule: type) -> CompiledRounds:
    """Return the functions of a rule, given by its class, to be loaded or compiled when first called.

    Those of another package's rule are not kept on disk: all that is kept of a function is loaded together, and would
    not load any more where that package is gone.
    """
    sources = _digest(inspect.getfile(rule))
    entry = kept if _is_kept(rule) else passing

    @entry
    def one(rule, nodes, requests, rows, request, low, high, gpu):  # type: ignore[no-untyped-def]
        made_from(sources)
        return place_one(rule, nodes, requests, rows, request, low, high, gpu)

    @entry
    def many(rule, nodes, requests, rows, request, before, start, first, gpu, node, score, used, lost):  # type: ignore[no-untyped-def]
        made_from(sources)
        place_in_order(rule, nodes, requests, rows, request, before, start, first, gpu, node, score, used, lost)

    @entry
    def in_round(rule, nodes, requests, rows, starts, request, order, wanted, runs_on, given_first, given):  # type: ignore[no-untyped-def]
        made_from(sources)
        place_in_round(rule, nodes, requests, rows, starts, request, order, wanted, runs_on, given_first, given)

    return CompiledRounds(one, many, in_round)


def _is_kept(rule: type) -> bool:
    return rule.__module__.partition(".")[0] == "phasewise"


def prepare(rule: NodeRule, nodes: NodeArrays, notify: Callable[[str], None]) -> None:
    """Load a rule's kernels from their cache, or compile them; say so where they compile, and how long it took."""
    began_s = time.perf_counter()
    types = nodes.typical.admitted.shape[1]
    requests, rows = arrays.joined([(0, 0, 0, 0)], [[False] * types], types), ScoreRows.empty(1, len(nodes.kind))
    none, first = np.empty(0, np.int64), np.zeros(1, np.int64)
    common, placing = bookkeeping(), compiled_for(type(rule))
    common.totals(nodes)
    keeps = _is_kept(type(rule))
    compiles = not keeps or _compilations(common.totals) > 0
    if compiles:
        often = "once on this machine" if keeps else "in every run, as the rule is another package's"
        notify(f"compiling the kernels of placement on nodes, {often} ...")
    common.release_rows(nodes, requests, none, first, none, none)
    placing.place_in_round(rule, nodes, requests, rows, first, none, none, first, none, none, none)
    placing.place_rows(rule, nodes, requests, rows, first, none, none, none, none, none, none)
    if compiles or _compilations(placing.place_rows):
        later = "; later runs load the compiled kernels" if keeps else ""
        notify(f"compiled in {time.perf_counter() - began_s:.1f} s{later}")


def _compilations(function: Any) -> int:
    """Return how often a function had to be compiled rather than loaded."""
    return int(sum(function.stats.cache_misses.values()))
