"""Recorded allocations of the original, replayed: every time and every GPU equal bit for bit."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from oracle import BESIDE, GAVEL, names, read, replays
from oracle import replay as recorded_run

from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import RunOutcome, simulate

pytestmark = pytest.mark.thorough

PACKED = ("_packed", "gandiva")
WITHOUT = ("gen24",)  # their trace and their prices are not there


def replay(recording: Path, trace: Path, result: dict[str, Any], out: Path, **overrides: object) -> RunOutcome:
    """Run the original's allocations through our engine."""
    scenario = load_scenario(
        "philly",
        {
            "workload.trace": str(trace),
            "cluster.gpus": result["cluster_spec"],
            "cluster.gpus_per_node": result["num_gpus_per_server"],
            "policy.name": "recorded",
            "recorded.allocations": str(recording),
            "timing.preset": "gavel",
            "seed": result["seed"],
            "output.trace": False,
            **overrides,
        },
    )
    return simulate(scenario, out)


def assert_equal_to_the_original(
    out: Path, outcome: RunOutcome, result: dict[str, Any], recording: dict[str, Any]
) -> None:
    """Compare completion times, round times, GPUs and counts with what the original did."""
    jct_s = {job["job_id"]: job["jct_s"] for job in pq.read_table(out / "jobs.parquet").to_pylist()}
    assert jct_s == {job["id"]: job["completion_time_s"] for job in result["jobs"]}
    times_s = pq.read_table(out / "rounds.parquet", columns=["sim_time_s"])["sim_time_s"].to_pylist()
    assert times_s == [each["t"] for each in recording["rounds"]][:-1]  # the last call found nothing to schedule
    assert np.array_equal(our_grid(out, len(times_s), result), their_grid(recording, len(times_s), result))
    summary = outcome.summary
    assert summary["makespan_s"] == result["makespan_s"]
    assert summary["avg_jct_s"] == result["avg_jct_s"]
    assert summary["utilization"] == pytest.approx(result["utilization"], rel=1e-12)
    assert summary["allocations"] == result["num_allocations"]
    assert summary["lease_extensions"] == result["lease_extensions"]
    assert summary["lease_extension_opportunities"] == result["lease_extension_opportunities"]


def our_grid(out: Path, rounds: int, result: dict[str, Any]) -> np.ndarray:
    """Return (rounds, G, 2) job ids, ascending, -1 where there is none, from the intervals of `placements.parquet`."""
    sizes = [
        min(size, count - first)
        for name, count in sorted(result["cluster_spec"].items())
        for size in [result["num_gpus_per_server"][name]]
        for first in range(0, count, size)
    ]
    first_gpu = np.concatenate(([0], np.cumsum(sizes)))
    grid = np.full((rounds, first_gpu[-1], 2), -1)
    held = pq.read_table(out / "placements.parquet").to_pydict()
    columns = ("job_id", "node", "gpu", "share_milli", "start_round", "end_round")
    for job, node, gpu, share, start, end in zip(*(held[name] for name in columns), strict=True):
        cell = grid[start:end, first_gpu[node] + gpu]
        assert share in (500, 1000)
        held_by = np.where(cell[:, 0] == -1, 0, 1) if share == 500 else np.zeros(end - start, np.int64)
        assert (cell[np.arange(end - start), held_by] == -1).all(), "a GPU is held by more jobs than have a part of it"
        cell[np.arange(end - start), held_by] = job
        assert share == 500 or (cell[:, 1] == -1).all()
    return np.sort(grid)


def their_grid(recording: dict[str, Any], rounds: int, result: dict[str, Any]) -> np.ndarray:
    """Return (rounds, G, 2) job ids, ascending, -1 where there is none, from the recorded workers of every round."""
    grid = np.full((rounds, sum(result["cluster_spec"].values()), 2), -1)
    for index, each in enumerate(recording["rounds"][:rounds]):
        for team, _, workers in each["assign"]:
            grid[index, workers] = (-1, *team) if len(team) == 1 else sorted(team)
    return grid


@pytest.mark.oracle
def test_the_recorded_runs_are_there() -> None:
    assert len(replays(*PACKED, *WITHOUT)) == (64 if BESIDE.is_dir() else 20)
    assert len(replays(*WITHOUT)) - len(replays(*PACKED, *WITHOUT)) == (8 if BESIDE.is_dir() else 3)
    assert len({name.split("--")[0] for name in names(GAVEL / "replay")}) == len(
        list((GAVEL / "traces").glob("*.trace"))
    )


@pytest.mark.oracle
@pytest.mark.parametrize("name", replays(*WITHOUT))
def test_a_replayed_run_equals_the_original_bit_for_bit(name: str, tmp_path: Path) -> None:
    result = read(GAVEL / "results" / f"{name}.json")
    path = recorded_run(name)
    outcome = replay(path, GAVEL / "traces" / result["trace"], result, tmp_path)
    assert outcome.status == "complete"
    assert_equal_to_the_original(tmp_path, outcome, result, read(path))


@pytest.mark.oracle
@pytest.mark.parametrize("name", ["idle_gap", "multi_gpu_last_step"])
def test_a_defect_of_the_original_is_reproduced_under_its_preset(name: str, tmp_path: Path) -> None:
    folder = GAVEL / "defects"
    result = read(folder / f"{name}.json")
    path = folder / f"{name}.replay.json.gz"
    chosen = {"recorded.policy": "fifo_perf"}
    outcome = replay(path, folder / f"{name}.trace", result, tmp_path, **chosen)
    assert_equal_to_the_original(tmp_path, outcome, result, read(path))


@pytest.mark.oracle
@pytest.mark.parametrize(
    "name",
    [
        "po_prio4_30_s8--6_6_6--g111--max_min_fairness_perf",
        "st_multi2_16_s4--4_2_2--g222--fifo",
        "st_single_20_s1--4_2_2--g111--max_min_fairness_packed",
    ],
)
def test_every_phase_of_a_replayed_run_keeps_the_invariants(name: str, tmp_path: Path) -> None:
    result = read(GAVEL / "results" / f"{name}.json")
    path = recorded_run(name)
    checked = {"output.check_invariants": True}
    assert replay(path, GAVEL / "traces" / result["trace"], result, tmp_path, **checked).status == "complete"
