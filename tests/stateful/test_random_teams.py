"""Random runs whose policies pack: whatever shares with whom, the books balance."""

from __future__ import annotations

from collections import defaultdict
from itertools import product
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small_runs import Job, Run, perform, throughputs_file, trace_file

from phasewise.sched import registry
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.workload.co_throughputs import COLUMNS

TYPES = ("k80", "p100", "v100")
KINDS = ("A", "B", "C")
PACKING = [name for name in registry.policy_names() if getattr(registry.policy_class(name), "packs", None) is True]
fewer = settings(max_examples=settings.default.max_examples // 4)  # a run takes a tenth of a second or more


def pairs_file(folder: Path, rates: dict[tuple[str, int], dict[str, float]], rng: np.random.Generator) -> str:
    """Write random co-throughputs of all pairs; a fifth of them cannot share."""
    lines = [",".join(COLUMNS)]
    for first, second, factor, worker_type in product(KINDS, KINDS, (1, 2), TYPES):
        own = rates[first, factor][worker_type], rates[second, factor][worker_type]
        if first <= second and all(own) and rng.random() < 0.8:
            kept = rng.uniform(0.2, 1.0, 2).tolist()
            kept = [kept[0], kept[0]] if first == second else kept
            lines.append(f"{first},{factor},{second},{factor},{worker_type},{own[0] * kept[0]!r},{own[1] * kept[1]!r}")
    path = folder / "pairs.csv"
    path.write_text("\n".join(lines) + "\n")
    return str(path)


@st.composite
def drawn_runs(draw: st.DrawFn) -> dict[str, object]:
    """Return overrides of a run that packs."""
    gpus = {name: draw(st.integers(1, 5)) for name in TYPES}
    return {
        "policy.name": draw(st.sampled_from(PACKING)),
        "timing.preset": draw(st.sampled_from(["gavel", "corrected"])),
        "placement.name": draw(st.sampled_from(["strided", "strided", "best_fit", "fgd", "random"])),
        "migration.enabled": draw(st.booleans()),
        "migration.checkpoint_mb": {"A": 10.0, "B": 5000.0, "C": 60_000.0},
        "cluster.gpus": gpus,
        "cluster.gpus_per_node": dict.fromkeys(gpus, draw(st.integers(2, 4))),
        "output.chunk_rounds": draw(st.sampled_from([1, 7, 512])),
        "output.checkpoint_rounds": draw(st.sampled_from([0, 5])),
        "stop.rounds": draw(st.sampled_from([5, 40, 120])),
        "solver.name": draw(st.sampled_from(["highs-direct", "auto"])),
        "seed": draw(st.integers(0, 2**20)),
    }


def jobs_and_rates(rng: np.random.Generator) -> tuple[list[Job], dict[tuple[str, int], dict[str, float]]]:
    rates = {
        (kind, factor): {name: 0.0 if rng.random() < 0.1 else float(rng.uniform(0.5, 20.0)) for name in TYPES}
        for kind, factor in product(KINDS, (1, 2))
    }
    jobs, arrival_s = [], 0.0
    for _ in range(int(rng.integers(2, 25))):
        kind, factor = str(rng.choice(KINDS)), int(rng.choice([1, 1, 2]))
        steps = max(1.0, np.floor(rng.uniform(0.1, 20.0) * 360.0 * max(rates[kind, factor].values())))
        jobs.append(Job(steps, arrival_s, factor, float(rng.choice([1, 5])), kind))
        arrival_s += float(rng.exponential(200.0))
    return jobs, rates


@pytest.mark.thorough
@fewer
@given(drawn_runs())
def test_the_books_of_a_run_that_packs_balance(
    tmp_path_factory: pytest.TempPathFactory, chosen: dict[str, object]
) -> None:
    folder = tmp_path_factory.mktemp("run")
    rng = np.random.default_rng(int(str(chosen["seed"])))
    jobs, rates = jobs_and_rates(rng)
    files = {
        "workload.trace": trace_file(folder, jobs),
        "workload.throughputs": throughputs_file(folder, rates),
        "workload.co_throughputs": pairs_file(folder, rates, rng),
        "output.trace": False,
        "output.check_invariants": True,
    }
    run = perform(load_scenario("toy", {**files, **chosen}), folder / "out")
    assert run.status in ("complete", "stopped")
    assert_who_shares_is_told_right(run)
    assert_no_job_is_faster_than_alone_on_its_best_type(run, jobs, rates)


def assert_who_shares_is_told_right(run: Run) -> None:
    """Check stays against rounds: GPUs are whole or halved, a half has another, and both members have the same GPUs."""
    rounds, held = run.table("rounds"), run.table("placements")
    by_round: dict[int, dict[tuple[int, int], list[tuple[int, int]]]] = defaultdict(lambda: defaultdict(list))
    columns = ("job_id", "node", "gpu", "share_milli", "start_round", "end_round")
    for job, node, gpu, share, start, end in zip(*(held[name] for name in columns), strict=True):
        for index in range(start, end):
            by_round[index][node, gpu].append((job, share))
    run_rounds: dict[int, int] = defaultdict(int)
    for index, running in enumerate(rounds["running"]):
        gpus = defaultdict(set)
        for place, holders in by_round[index].items():
            assert [share for _, share in holders] in ([1000], [500, 500])
            for job, _ in holders:
                gpus[job].add(place)
        teams = {tuple(sorted(job for job, _ in holders)) for holders in by_round[index].values() if len(holders) > 1}
        assert all(gpus[first] == gpus[second] for first, second in teams)
        assert len(gpus) == running
        assert len(teams) == rounds["teams"][index]
        for job, places in gpus.items():
            assert len(places) == run.jobs[job]["scale_factor"]
            run_rounds[job] += 1
        assert 0.0 <= rounds["utilization"][index] <= 1.0 + 1e-9
    assert all(job["rounds_run"] == run_rounds[id_] for id_, job in run.jobs.items())
    held_s = sum(job["gpu_s"] for job in run.jobs.values())
    offered_s = sum(run.record["scenario"]["cluster"]["gpus"].values()) * run.summary["makespan_s"]
    assert held_s <= offered_s * (1.0 + 1e-9)


def assert_no_job_is_faster_than_alone_on_its_best_type(
    run: Run, jobs: list[Job], rates: dict[tuple[str, int], dict[str, float]]
) -> None:
    for id_, job in run.jobs.items():
        if job["status"] == "complete":
            best = max(rates[jobs[id_].job_type, jobs[id_].scale_factor].values())
            assert job["jct_s"] >= job["total_steps"] / best * (1.0 - 1e-9) - 1e-9 * job["completion_s"]
