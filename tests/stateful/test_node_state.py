"""Random placing, releasing and preempting on nodes, compiled and with NumPy side by side."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from node_cases import GANGS, GPU_REQUESTS, LAYOUT, TASKS, nothing_placed, order_of, rules, view_of

from phasewise.sched.api import Holding, Placed
from phasewise.sched.cluster.requests import Request
from phasewise.sched.nodes.rules import NodeRule
from phasewise.sched.nodes.state import NodeState

TYPES = len(LAYOUT.worker_types)
few = settings(max_examples=max(10, settings.default.max_examples // 2))


def require_sound(state: NodeState, jobs: list[Request], placed: Placed) -> None:
    """Check what is left against who holds what, from nothing."""
    gpu_left = np.full(LAYOUT.gpus, 1000)
    cpu_left, memory_left, tasks = LAYOUT.cpu_milli.copy(), LAYOUT.memory_mib.copy(), np.zeros(LAYOUT.nodes, int)
    first, gpu = placed.holding
    for row, job in enumerate(jobs):
        held = gpu[first[row] : first[row + 1]]
        assert (len(held) > 0) == (placed.worker_type[row] >= 0)
        if not len(held):
            continue
        assert len(held) == job.gpus
        assert (np.diff(held) > 0).all()
        kind = placed.worker_type[row]
        assert job.admits(LAYOUT.worker_types[kind])
        gpu_left[held] -= job.gpu_milli
        nodes, parts = np.unique(LAYOUT.gpu_node[held], return_counts=True)
        assert (LAYOUT.node_type[nodes] == kind).all()
        if job in GANGS:
            most = max(np.diff(LAYOUT.node_start)[LAYOUT.node_type == kind])
            assert sorted(parts.tolist(), reverse=True)[:-1] == [most] * (len(parts) - 1), "all nodes but one are full"
        else:
            assert len(nodes) == 1, "a job that a node can hold runs on one node"
        for node, share in zip(nodes.tolist(), parts.tolist(), strict=True):
            cpu_left[node] -= math.ceil(job.cpu_milli * share / job.gpus)
            memory_left[node] -= math.ceil(job.memory_mib * share / job.gpus)
            tasks[node] += 1
    assert (gpu_left >= 0).all(), "no GPU gives more than it has"
    assert (cpu_left >= 0).all(), "no CPU is overdrawn"
    assert (memory_left >= 0).all(), "no memory is overdrawn"
    assert state.gpu_left.tolist() == gpu_left.tolist(), "what is released is free, what is placed is not"
    assert state.cpu_left.tolist() == cpu_left.tolist()
    assert state.memory_left.tolist() == memory_left.tolist()
    assert state.tasks.tolist() == tasks.tolist()
    assert state.fragmentation() == state.recount(), "what is kept incrementally is what a recount gives"


class Machine:
    """A few rounds on one state."""

    def __init__(self, rule: NodeRule, compiled: bool) -> None:
        self.rule = rule
        self.state = NodeState(LAYOUT, TASKS, compiled=compiled)
        self.placed = nothing_placed(0)
        self.jobs: list[Request] = []

    def depart(self, rows: list[int]) -> None:
        if not rows:
            return
        view = view_of(self.state, self.jobs, self.placed)
        self.state.release(np.array(rows), self.placed.holding, view.request)
        stay = [row for row in range(len(self.jobs)) if row not in rows]
        first, gpu = self.placed.holding
        held = [gpu[first[row] : first[row + 1]] for row in stay]
        widths = np.concatenate(([0], np.cumsum([len(part) for part in held]))).astype(np.int64)
        self.jobs = [self.jobs[row] for row in stay]
        self.placed = Placed(
            Holding(widths, np.concatenate([np.empty(0, np.int64), *held])), self.placed.worker_type[stay]
        )

    def arrive(self, jobs: list[Request]) -> None:
        self.jobs = self.jobs + jobs
        kinds = np.concatenate((self.placed.worker_type, np.full(len(jobs), -1)))
        self.placed = Placed(self.placed.holding.extended(len(self.jobs)), kinds)

    def run(self, chosen: dict[int, int], unplaceable: tuple[int, ...]) -> None:
        order = order_of(self.jobs, chosen, unplaceable)
        before = self.placed
        view = view_of(self.state, self.jobs, self.placed)
        self.placed = self.state.place_round(self.rule, order, view)
        for row, kind in chosen.items():
            if before.worker_type[row] == kind and row not in unplaceable:
                first, gpu = before.holding
                now_first, now_gpu = self.placed.holding
                kept = now_gpu[now_first[row] : now_first[row + 1]].tolist()
                assert kept == gpu[first[row] : first[row + 1]].tolist(), "who stays on a type keeps its GPUs"
        others = [row for row in range(len(self.jobs)) if row not in chosen or row in unplaceable]
        assert (self.placed.worker_type[others] < 0).all(), "who is not chosen is preempted"


@pytest.mark.parametrize("name", sorted(rules()))
@few
@given(st.data())
def test_what_is_left_follows_from_who_holds_what(name: str, data: st.DataObject) -> None:
    exact = data.draw(st.booleans(), "bit-compatible")
    machines = [Machine(rules(exact)[name], compiled) for compiled in (True, False)]
    for _ in range(data.draw(st.integers(1, 5), "rounds")):
        count = len(machines[0].jobs)
        gone = sorted(data.draw(st.sets(st.integers(0, count - 1), max_size=3), "departs")) if count else []
        new = data.draw(st.lists(st.sampled_from(GPU_REQUESTS + GANGS), max_size=8), "arrives")
        count += len(new) - len(gone)
        kinds = data.draw(st.lists(st.integers(-1, TYPES - 1), min_size=count, max_size=count), "chosen")
        chosen = {row: kind for row, kind in enumerate(kinds) if kind >= 0}
        unplaceable = tuple(row for row in chosen if data.draw(st.integers(0, 9)) == 0)
        for machine in machines:
            machine.depart(gone)
            machine.arrive(new)
            machine.run(chosen, unplaceable)
            require_sound(machine.state, machine.jobs, machine.placed)
        compiled, plain = (machine.placed for machine in machines)
        assert compiled.holding.first.tolist() == plain.holding.first.tolist()
        assert compiled.holding.gpu.tolist() == plain.holding.gpu.tolist()
        assert compiled.worker_type.tolist() == plain.worker_type.tolist()
