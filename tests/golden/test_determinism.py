"""Same seed, scenario and backend: the same bytes, whatever the hash seed; another seed, another run."""

from __future__ import annotations

import itertools
import json
import os
import subprocess
import sys
from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pytest

from phasewise.profiling.artefacts.tables import read_table

pytestmark = pytest.mark.thorough

RUN = """
import json, sys
from pathlib import Path
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate
for name, seed, scenario, overrides in json.loads(sys.argv[1]):
    simulate(load_scenario(scenario, {**overrides, "seed": seed}), Path(sys.argv[2]) / name / str(seed))
"""
SEEDS = (3, 4)

CROWDED = {"workload.jobs": 30, "workload.initial_jobs": 5, "timing.preset": "corrected", "stop.rounds": 150}
BUSY = {"workload.initial_jobs": 130, "workload.rate_per_hour": 15.0, "timing.preset": "corrected", "stop.rounds": 40}
CASES = {
    "gavel, LP": (
        "toy",
        {
            "timing.preset": "gavel",
            "policy.name": "max_min_fairness_perf",
            "workload.jobs": 30,
            "workload.priorities": True,
            "stop.rounds": 150,
        },
    ),
    "corrected, LP": ("toy", {**CROWDED, "policy.name": "max_min_fairness", "solver.name": "highs-direct"}),
    "corrected, drawing policy": (
        "toy",
        {"timing.preset": "corrected", "policy.name": "fifo", "workload.jobs": 30},
    ),
    "auto": ("philly", {**BUSY, "solver.name": "auto"}),
    "structured": ("philly", {**BUSY, "solver.name": "structured"}),
    "water filling": (
        "toy",
        {**CROWDED, "policy.name": "max_min_fairness_water_filling_perf", "policy.canonical": False},
    ),
    "finish-time fairness": ("philly", {**BUSY, "policy.name": "finish_time_fairness_perf", "solver.name": "auto"}),
    "migration, structured": ("toy", {**CROWDED, "migration.enabled": True, "solver.name": "structured"}),
    "migration, auto": ("philly", {**BUSY, "migration.enabled": True, "solver.name": "auto"}),
    "shared GPUs on nodes, fgd": ("cluster-h", {"stop.rounds": 40}),
    "shared GPUs on nodes, random": ("cluster-h", {"stop.rounds": 40, "placement.name": "random"}),
    "shared GPUs on nodes, migration": ("cluster-h", {"stop.rounds": 40, "migration.enabled": True}),
}


def run(runs: Iterable[tuple[str, int]], out: Path, hash_seed: str) -> None:
    """Run cases with seeds, one after another in a process of their own."""
    listed = json.dumps([(case, seed, *CASES[case]) for case, seed in runs])
    command = [sys.executable, "-P", "-c", RUN, listed, str(out)]
    subprocess.run(command, check=True, env={**os.environ, "PYTHONHASHSEED": hash_seed}, capture_output=True)


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Return every case with both seeds, twice: what a process did before, and its hash seed, must not show."""
    runs = list(itertools.product(CASES, SEEDS))
    first, again = tmp_path_factory.mktemp("first"), tmp_path_factory.mktemp("again")
    run(runs, first, "1")
    run(reversed(runs), again, "2")
    return first, again


def event_lines(out: Path) -> list[bytes]:
    return [line for line in (out / "lines.log").read_bytes().splitlines() if line.startswith(b"EVENT ")]


def simulated_columns(out: Path) -> pa.Table:
    """Return `rounds.parquet` without what was measured on this machine."""
    table = read_table(out / "rounds.parquet")
    measured = [name for name in table.column_names if name.startswith(("phase_", "other_")) or name == "rss_mib"]
    assert len(measured) == 3 * 9 + 3 + 1  # wall, CPU and memory of nine phases and the rest, and all memory
    return table.drop_columns(measured)


@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_same_bytes_under_any_hash_seed_and_after_any_other_run(
    case: str, folders: tuple[Path, Path]
) -> None:
    for seed in SEEDS:
        first, again = (folder / case / str(seed) for folder in folders)
        assert event_lines(first) == event_lines(again)
        assert len(event_lines(first)) > 60
        for name in ("jobs.parquet", "placements.parquet"):
            assert (first / name).read_bytes() == (again / name).read_bytes(), name
        assert simulated_columns(first).equals(simulated_columns(again))
    first, other = (folders[0] / case / str(seed) for seed in SEEDS)
    for name in ("jobs.parquet", "placements.parquet"):
        assert (first / name).read_bytes() != (other / name).read_bytes(), name
    assert event_lines(first)[1:] != event_lines(other)[1:], "another seed is another run"


@pytest.mark.parametrize("case", [name for name, (_, chosen) in CASES.items() if "solver.name" in chosen])
def test_a_case_of_a_solver_asks_that_solver_for_more_than_a_few_allocations(
    case: str, folders: tuple[Path, Path]
) -> None:
    summary = json.loads((folders[0] / case / str(SEEDS[0]) / "run.json").read_text())["summary"]
    assert summary["lp_solves"] >= 20
    assert summary["moves"] > 0
