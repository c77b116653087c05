"""A run that loses memory is told from one that does not, on a real run."""

from __future__ import annotations

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from click.testing import CliRunner

from phasewise.bench.series.memory import command
from phasewise.profiling.phases import ACCOUNTS, OTHER

pytestmark = pytest.mark.thorough

STEADY = [
    "philly", "--rounds", "500", "--warm-up", "300", "--set", "workload.initial_jobs=30", "--set",
    "workload.rate_per_hour=0.1", "--set", "output.lines=none",
]  # fmt: skip


def test_a_planted_leak_is_found_and_a_steady_run_keeps_nothing(tmp_path: Path) -> None:
    said = CliRunner().invoke(command, [*STEADY, "--out", str(tmp_path / "memory.parquet")], standalone_mode=False)
    assert said.return_value == 0, said.output
    assert "no leak: 1024 bytes a round are allowed" in said.output
    table = pq.read_table(tmp_path / "memory.parquet")
    assert table.num_rows == 500
    phases = [name if name == OTHER else f"phase_{name}" for name in ACCOUNTS]
    assert table.column_names[:3] == ["round", "rss_mib", "traced_mib"]
    assert {f"{name}_high_mib" for name in phases} <= set(table.column_names)
    planted = CliRunner().invoke(command, [*STEADY, "--plant", "4096"], standalone_mode=False)
    assert planted.return_value == 1, planted.output
    assert "leaks: 1024 bytes a round are allowed" in planted.output
