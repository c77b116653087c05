"""The engine against a plain simulator of the original's rules, written from their description with dicts and lists."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_runs import Job, node_sizes, run_trace

from phasewise.sched.workload.throughputs import ThroughputTable

PREFERRED = ["v100", "p100", "k80"]
TYPES = ("k80", "p100", "v100")
ROUND_S = 360.0
ByType = dict[str, float]


@dataclass
class Active:
    """A job in the system."""

    id: int
    total: float
    scale: int
    arrival_s: float
    speed: ByType
    done: float = 0.0
    failures: int = 0
    time_s: ByType = field(default_factory=dict)
    deficit_s: ByType = field(default_factory=dict)


@dataclass
class Task:
    """What a job does in a round."""

    gpus: list[int]
    type: str
    steps: float
    finish_s: float


def isolated(jobs: dict[int, Active], count: dict[str, int]) -> dict[int, ByType]:
    x = {}
    for job in jobs.values():
        row = {name: count[name] / len(jobs) / job.scale for name in count}
        whole = 0.0
        for share in row.values():
            whole += share
        x[job.id] = {name: share / max(1.0, whole) for name, share in row.items()}
    return x


def fifo_perf(jobs: dict[int, Active], count: dict[str, int]) -> dict[int, ByType]:
    free = dict(count)
    x = {job: dict.fromkeys(count, 0.0) for job in jobs}
    for job in jobs.values():
        candidates = [name for name in count if free[name] >= job.scale]
        if not candidates:
            break
        best = candidates[0]
        for name in candidates:
            if job.speed[name] > job.speed[best]:
                best = name
        if job.speed[best] > 0:
            x[job.id][best] = 1.0
            free[best] -= job.scale
    return x


class PlainSimulator:
    """The original's loop: one iteration a round, no arrays."""

    def __init__(
        self,
        waiting: list[Active],
        count: dict[str, int],
        policy: Callable[[dict[int, Active], dict[str, int]], dict[int, ByType]],
        seed: int,
    ) -> None:
        self.waiting, self.count, self.policy = list(waiting), count, policy
        self.fifo = policy is fifo_perf
        self.rng = random.Random(seed + 5)
        self.first_gpu, gpus = {}, 0
        for name, size in count.items():
            self.first_gpu[name] = gpus
            gpus += size
        self.busy_s = [0.0] * gpus
        self.jobs: dict[int, Active] = {}
        self.running: dict[int, Task] = {}
        self.x: dict[int, ByType] = {}
        self.worker_time_s = dict.fromkeys(count, 0.0)
        self.now_s = self.round_start_s = self.last_reset_s = 0.0
        self.round_end_s: float | None = None
        self.due = False
        self.jct_s: dict[int, float | None] = {}
        self.round_times: list[float] = []
        self.grid: list[list[int]] = []
        self.allocations = self.extensions = self.opportunities = 0

    def run(self) -> None:
        total = len(self.waiting)
        while len(self.jct_s) < total:
            if not self.waiting and not self.running:
                self.last_reset_s = 0.0
            self.advance_time()
            self.complete()
            while self.waiting and self.waiting[0].arrival_s <= self.now_s:
                job = self.waiting.pop(0)
                job.time_s = dict.fromkeys(self.count, ROUND_S / 2)
                job.deficit_s = dict.fromkeys(self.count, 0.0)
                self.jobs[job.id] = job
                self.due = True
            if self.due and (self.now_s - self.last_reset_s >= 1920 or self.last_reset_s == 0):
                self.allocate()
            self.launch(self.place(self.choose()))

    def advance_time(self) -> None:
        if self.running:
            self.now_s = max(task.finish_s for task in self.running.values())
            if self.round_end_s is not None:
                self.round_start_s = self.round_end_s
            self.round_end_s = self.now_s
        elif self.waiting:
            self.now_s = self.waiting[0].arrival_s

    def complete(self) -> None:
        for id_, task in sorted(self.running.items(), key=lambda item: (-item[1].finish_s, item[0])):
            job = self.jobs[id_]
            elapsed_s = task.finish_s - self.round_start_s
            share = task.steps // job.scale
            parts = [share] * (job.scale - 1) + [task.steps - share * (job.scale - 1)]
            if elapsed_s <= 0 or min(parts) <= 0:
                job.failures += 1
                self.due = True
                if job.failures == 5:
                    self.jct_s[id_] = None
                    del self.jobs[id_]
                continue
            job.failures = 0
            job.done += task.steps
            job.time_s[task.type] += elapsed_s
            self.worker_time_s[task.type] += elapsed_s
            for gpu in task.gpus:
                self.busy_s[gpu] += elapsed_s
            if job.total - job.done <= 0:
                self.jct_s[id_] = task.finish_s - job.arrival_s
                self.due = True
                del self.jobs[id_]

    def allocate(self) -> None:
        since_s = self.now_s - self.last_reset_s
        self.worker_time_s = dict.fromkeys(self.count, 0.0)
        for job in self.jobs.values():
            for name in self.count:
                promised_s = self.x.get(job.id, {}).get(name, 0.0) * since_s
                job.deficit_s[name] += promised_s - (job.time_s[name] - ROUND_S / 2)
                job.time_s[name] = ROUND_S / 2
                self.worker_time_s[name] += ROUND_S / 2
        self.last_reset_s = self.now_s
        self.x = self.policy(self.jobs, self.count)
        self.allocations += 1
        self.due = False

    def priority(self, job: Active, name: str) -> float:
        x = self.x.get(job.id, {}).get(name, 0.0)
        if x == 0.0 or job.speed[name] == 0.0:
            return 0.0
        share = job.time_s[name] / self.worker_time_s[name] if self.worker_time_s[name] else 0.0
        return x * 1e9 if share == 0.0 else x / share

    def choose(self) -> dict[str, list[int]]:
        order = [name for name in PREFERRED if name in self.count]
        if not self.fifo:
            self.rng.shuffle(order)
        chosen: dict[str, list[int]] = {}
        taken: list[int] = []
        for name in order:
            keyed = [
                (self.priority(job, name), job.deficit_s[name], self.x.get(job.id, {}).get(name, 0.0), job)
                for job in self.jobs.values()
            ]
            left, chosen[name] = self.count[name], []
            for priority, _, _, job in sorted(keyed, key=lambda row: row[:3], reverse=True):
                fits = job.scale <= left and job.id not in taken and job.speed[name] > 0
                if fits and (priority > 0 or not self.fifo):
                    chosen[name].append(job.id)
                    taken.append(job.id)
                    left -= job.scale
        return chosen

    def place(self, chosen: dict[str, list[int]]) -> dict[int, tuple[str, list[int]]]:
        placed: dict[int, tuple[str, list[int]]] = {}
        given: list[int] = []
        for name, ids in chosen.items():
            cursor = self.first_gpu[name]
            for scale in sorted({self.jobs[id_].scale for id_ in ids}, reverse=True):
                rest = []
                for id_ in [id_ for id_ in ids if self.jobs[id_].scale == scale and id_ in self.x]:
                    last = self.running.get(id_)
                    if last and last.type == name and not any(gpu in given for gpu in last.gpus):
                        placed[id_] = (name, last.gpus)
                        given += last.gpus
                    else:
                        rest.append(id_)
                for id_ in rest:
                    gpus: list[int] = []
                    while len(gpus) < scale:
                        if cursor not in given:
                            gpus.append(cursor)
                            given.append(cursor)
                        cursor += 1
                    placed[id_] = (name, gpus)
        return placed

    def launch(self, placed: dict[int, tuple[str, list[int]]]) -> None:
        for id_, last in self.running.items():
            if id_ in self.jobs:
                self.opportunities += 1
                self.extensions += id_ in placed and set(placed[id_][1]) == set(last.gpus)
        self.running = {}
        cells = [-1] * len(self.busy_s)
        for id_, (name, gpus) in placed.items():
            job = self.jobs[id_]
            steps = min(float(int(job.speed[name] * ROUND_S)), job.total - job.done)
            self.running[id_] = Task(gpus, name, steps, self.now_s + steps / job.speed[name])
            for gpu in gpus:
                cells[gpu] = id_
        self.round_times.append(self.now_s)
        self.grid.append(cells)


# -- random workloads ----------------------------------------------------------------------------------------------


@st.composite
def workloads(draw: st.DrawFn) -> tuple[dict[str, int], dict[str, int], list[Job], int]:
    """Return GPUs, GPUs per node, jobs of which each fits somewhere, and a seed."""
    gpus = {name: draw(st.integers(0, 5)) for name in TYPES}
    gpus = {name: count for name, count in gpus.items() if count} or {"v100": 1}
    per_node = {name: draw(st.integers(1, 4)) for name in gpus}
    seed = draw(st.integers(0, 10_000))
    gap_s = draw(st.sampled_from([0.0, 100.0, 900.0, 4000.0, 40_000.0]))
    rng = np.random.default_rng(seed)
    view = ThroughputTable.builtin().for_types(TYPES)
    runnable = [
        (name, factor)
        for name in view.job_types()
        for factor in (1, 2, 4)
        if any(gpus.get(kind, 0) >= factor and speed_of(name, factor)[kind] > 0 for kind in TYPES)
    ]
    jobs, arrival_s = [], 0.0
    for _ in range(draw(st.integers(1, 14))):
        name, factor = runnable[rng.integers(len(runnable))]
        fastest = max(speed_of(name, factor).values())
        steps = max(1, int(fastest * rng.choice([5.0, 400.0, 2000.0, 9000.0]) * rng.random()))
        jobs.append(Job(steps, arrival_s, factor, float(rng.choice([1, 5])), name))
        arrival_s += float(rng.exponential(gap_s)) if rng.random() < 0.8 else 0.0
    return gpus, per_node, jobs, seed


def speed_of(job_type: str, factor: int) -> ByType:
    view = ThroughputTable.builtin().for_types(TYPES)
    try:
        return dict(zip(TYPES, view.row(job_type, factor).tolist(), strict=True))
    except ValueError:
        return dict.fromkeys(TYPES, 0.0)


@pytest.mark.parametrize("policy", [isolated, fifo_perf], ids=lambda policy: policy.__name__)
def test_the_engine_equals_a_plain_simulator_of_the_original_bit_for_bit(
    policy: Callable[..., dict[int, ByType]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    @given(workloads())
    def equal(workload: tuple[dict[str, int], dict[str, int], list[Job], int]) -> None:
        assert_equal(policy, workload, tmp_path_factory.mktemp("run"))

    equal()


def assert_equal(
    policy: Callable[..., dict[int, ByType]],
    workload: tuple[dict[str, int], dict[str, int], list[Job], int],
    folder: Path,
) -> None:
    gpus, per_node, jobs, seed = workload
    plain = PlainSimulator(
        [
            Active(index, job.steps, job.scale_factor, job.arrival_s, speed_of(job.job_type, job.scale_factor))
            for index, job in enumerate(jobs)
        ],
        dict(sorted(gpus.items())),
        policy,
        seed,
    )
    plain.run()
    ours = run_trace(
        folder,
        jobs,
        gpus,
        {
            "cluster.gpus_per_node": per_node,
            "policy.name": policy.__name__,
            "timing.preset": "gavel",
            "workload.throughputs": "",
            "seed": seed,
        },
    )
    assert {job: row["jct_s"] for job, row in ours.jobs.items()} == plain.jct_s
    assert ours.table("rounds")["sim_time_s"] == plain.round_times[:-1]  # the last call found nothing to schedule
    assert ours.grid(node_sizes(gpus, per_node)).tolist() == plain.grid[:-1]
    summary = ours.summary
    assert summary["makespan_s"] == plain.now_s
    assert summary["allocations"] == plain.allocations
    assert summary["lease_extensions"] == plain.extensions
    assert summary["lease_extension_opportunities"] == plain.opportunities
    assert summary["utilization"] == pytest.approx(np.mean([busy / plain.now_s for busy in plain.busy_s]), rel=1e-12)
