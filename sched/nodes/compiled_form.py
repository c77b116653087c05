"""The compiled form of placing by a rule: what `numpy_form` does, by the kernels of `kernels` and `rounds`."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from phasewise.profiling.jit.kernel import Wanted, wanted
from phasewise.sched.cluster.requests import WHOLE_MILLI
from phasewise.sched.nodes import kernels, room_kernels, rounds, team_kernels
from phasewise.sched.nodes.arrays import NodeArrays, Requests, ScoreRows
from phasewise.sched.nodes.rules import NodeRule

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]
Bools = npt.NDArray[np.bool_]


class Bookkeeping(NamedTuple):
    """Compiled functions that no rule has a part in."""

    judge_all: Callable[..., None] = kernels.judge_all
    release_rows: Callable[..., None] = kernels.release_rows
    release_task: Callable[..., None] = kernels.release_task
    totals: Callable[..., tuple[float, int, int]] = kernels.totals
    exchange: Callable[..., None] = team_kernels.exchange

    @staticmethod
    def types_with_room(nodes: NodeArrays, requests: Requests, type_first_node: Ints, request: Ints) -> Bools:
        """Return (R, W) on which worker types some node has room for each of the requests (R,) as things stand."""
        left = (nodes.left, nodes.free, nodes.cpu_left, nodes.memory_left, nodes.tasks)
        room: Bools = room_kernels.types_with_room(requests, request, type_first_node, *left)
        return room

    @staticmethod
    def waiting_with_room(
        nodes: NodeArrays,
        requests: Requests,
        type_first_node: Ints,
        request: Ints,
        runs_on: Ints,
        placeable: Bools,
        throughput: Floats,
    ) -> tuple[Ints, Floats]:
        """Return (K,) who of the jobs (J,) waits and finds room where it can run, and (K, W) its speed there."""
        left = (nodes.left, nodes.free, nodes.cpu_left, nodes.memory_left, nodes.tasks)
        jobs = (request, runs_on, placeable, throughput)
        found: tuple[Ints, Floats] = room_kernels.waiting_with_room(requests, *jobs, type_first_node, *left)
        return found


class CompiledRounds:
    """Places tasks by a rule, compiled; what `phasewise.sched.nodes.numpy_form.NumpyRounds` does."""

    place_one = staticmethod(rounds.place_one)

    def place_in_order(
        self, rule: NodeRule, nodes: NodeArrays, requests: Requests, rows: ScoreRows, request: Ints
    ) -> tuple[Ints, Ints, Ints, Ints, Ints, Floats]:
        """Place tasks (E,) one after another on any node; nothing departs."""
        lost, idle, _ = kernels.totals(nodes)
        start = (float(lost), int(nodes.size.sum()) * WHOLE_MILLI - int(idle))
        node, score, used = np.empty((3, len(request)), np.int64)
        fragmented, first = np.empty(len(request)), np.zeros(len(request) + 1, np.int64)
        gpu = np.empty(requests.gpus[request].sum(), np.int64)
        before = nodes.fragmented.copy()
        rounds.place_in_order(
            rule, nodes, requests, rows, request, before, start, first, gpu, node, score, used, fragmented
        )
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
        runs_on, wanted, gone, order = rounds.plan_round(requests, row, worker_type, first, last_type, request)
        if len(gone):
            kernels.release_rows(nodes, requests, gone, first, gpu, request)
        given, given_first = np.empty(requests.gpus[request[order]].sum(), np.int64), np.full(len(request), -1)
        if len(order):
            rounds.place_in_round(
                rule, nodes, requests, rows, type_first_node, request, order, wanted, runs_on, given_first, given
            )
        return *rounds.held_now(requests, runs_on, first, gpu, request, given_first, given), runs_on


def kernels_of_rounds(rule: NodeRule, *, teams: bool = False) -> list[Wanted]:
    """Return the kernels that a simulation needs which places by a rule, jobs alone or ``teams`` as well."""
    plain: list[Callable[..., object]] = [
        *(kernels.judge_all, kernels.release_rows, kernels.totals, rounds.plan_round, rounds.held_now),
        *((room_kernels.types_with_room, team_kernels.exchange) if teams else (room_kernels.waiting_with_room,)),
    ]
    return [each for function in plain for each in wanted(function)] + wanted(rounds.place_in_round, rule)


def kernels_of_filling(rule: NodeRule) -> list[Wanted]:
    """Return the kernels that filling a cluster by a rule needs."""
    plain = (kernels.judge_all, kernels.totals)
    return [each for function in plain for each in wanted(function)] + wanted(rounds.place_in_order, rule)
