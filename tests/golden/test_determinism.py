"""Same seed, scenario and backend: the same bytes, whatever the hash seed; another seed, another run."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pytest

from phasewise.profiling.tables import read_table

RUN = """
import json, sys
from pathlib import Path
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate
overrides = json.loads(sys.argv[1])
for seed in map(int, sys.argv[3:]):
    simulate(load_scenario("toy", {**overrides, "seed": seed}), Path(sys.argv[2]) / str(seed))
"""

CASES = {
    "gavel, LP": (
        '{"timing.preset": "gavel", "policy.name": "max_min_fairness_perf", "workload.jobs": 30,'
        ' "workload.priorities": true, "stop.rounds": 150}'
    ),
    "corrected, LP": (
        '{"timing.preset": "corrected", "policy.name": "max_min_fairness", "workload.jobs": 30,'
        ' "workload.initial_jobs": 5, "stop.rounds": 150}'
    ),
    "corrected, drawing policy": '{"timing.preset": "corrected", "policy.name": "fifo", "workload.jobs": 30}',
}


def run(overrides: str, out: Path, hash_seed: str, *seeds: int) -> None:
    """Run in a process of its own."""
    environment = {**os.environ, "PYTHONHASHSEED": hash_seed}
    command = [sys.executable, "-P", "-c", RUN, overrides, str(out), *map(str, seeds)]
    subprocess.run(command, check=True, env=environment, capture_output=True)


def event_lines(out: Path) -> list[bytes]:
    return [line for line in (out / "lines.log").read_bytes().splitlines() if line.startswith(b"EVENT ")]


def simulated_columns(out: Path) -> pa.Table:
    """Return `rounds.parquet` without what was measured on this machine."""
    table = read_table(out / "rounds.parquet")
    measured = [name for name in table.column_names if name.startswith(("phase_", "other_")) or name == "rss_mib"]
    assert len(measured) == 2 * 9 + 2 + 1
    return table.drop_columns(measured)


@pytest.mark.parametrize("case", CASES)
def test_the_same_seed_gives_the_same_bytes_under_any_hash_seed(case: str, tmp_path: Path) -> None:
    run(CASES[case], tmp_path / "a", "1", 3, 4)
    run(CASES[case], tmp_path / "b", "2", 3)
    first, again, other = tmp_path / "a" / "3", tmp_path / "b" / "3", tmp_path / "a" / "4"
    assert event_lines(first) == event_lines(again)
    assert len(event_lines(first)) > 60
    for name in ("jobs.parquet", "placements.parquet"):
        assert (first / name).read_bytes() == (again / name).read_bytes(), name
        assert (first / name).read_bytes() != (other / name).read_bytes(), name
    assert simulated_columns(first).equals(simulated_columns(again))
    assert event_lines(first)[1:] != event_lines(other)[1:], "another seed is another run"
