"""Memory does not grow with a trace: reading one of three times the size, or running it, needs hardly more."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pyarrow.parquet as pq
import pytest
from trace_samples import HELIOS

MOST_MIB = 500.0
MOST_GROWTH_MIB = 60.0  # 16 bytes a record while they are put in order, and what the allocator keeps
START = datetime(2020, 4, 1)

pytestmark = pytest.mark.nightly


def peak_mib(*arguments: object) -> float:
    """Run the command line in a process of its own, and return the most memory that it held."""
    child = subprocess.Popen(
        [sys.executable, "-P", "-m", "phasewise", *map(str, arguments)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    assert child.returncode == 0
    return usage.ru_maxrss / 1024


def helios(path: Path, rows: int) -> Path:
    """Write a job log of so many rows, some of them late."""
    with path.open("w") as file:
        file.write(HELIOS.partition("\n")[0] + "\n")
        for row in range(rows):
            submit = START + timedelta(seconds=row * 5 - (row % 7 == 0) * 3000)
            start, end = submit + timedelta(seconds=30), submit + timedelta(seconds=90 + row % 900)
            words = (row, f"u{row % 900}", f"vc{row % 27}", 1 + row % 4, 4, 1, "COMPLETED", submit, start, end, 60, 30)
            file.write(",".join(map(str, words)) + "\n")
    return path


def philly(path: Path, jobs: int) -> Path:
    """Write a job log of so many jobs, of a few kilobytes each."""

    def texts() -> Iterator[str]:
        for job in range(jobs):
            start = START + timedelta(seconds=job * 60)
            attempts = [
                {"start_time": str(start), "end_time": str(start + timedelta(hours=1)),
                 "detail": [{"ip": f"m{job % 500}", "gpus": ["gpu0"] * 8}]}
            ] * (1 + job % 12)  # fmt: skip
            yield json.dumps(
                {"status": "Pass", "vc": "a", "jobid": f"application_{job}", "user": f"u{job % 300}",
                 "submitted_time": str(start), "attempts": attempts}, indent=4
            )  # fmt: skip

    with path.open("w") as file:
        file.write("[\n")
        for index, text in enumerate(texts()):
            file.write((",\n" if index else "") + text)
        file.write("\n]\n")
    return path


@pytest.mark.parametrize(("write", "rows"), [(helios, 200_000), (philly, 15_000)])
def test_a_trace_of_three_times_the_size_needs_hardly_more_memory(write, rows: int, tmp_path: Path) -> None:
    peaks = [
        peak_mib(
            "trace", "convert", write(tmp_path / f"log{times}", times * rows), "--out", tmp_path / "out.parquet", "-q"
        )
        for times in (1, 3)
    ]
    assert peaks[1] < MOST_MIB
    assert peaks[1] - peaks[0] < MOST_GROWTH_MIB, peaks


def test_memory_stays_flat_while_many_jobs_are_simulated(tmp_path: Path) -> None:
    converted, out = tmp_path / "jobs.parquet", tmp_path / "run"
    peak_mib("trace", "convert", helios(tmp_path / "log", 150_000), "--out", converted, "-q")
    peak = peak_mib(
        "run", "toy", "-q", "--trace", converted, "--policy", "fifo", "--speed", "v100=1", "--cluster", "v100=800",
        "--gpus-per-node", "v100=8", "--set", "output.trace=false", "--out", out,
    )  # fmt: skip
    assert peak < MOST_MIB
    rounds = pq.read_table(out / "rounds.parquet", columns=["completed", "rss_mib"]).to_pylist()
    assert rounds[-1]["completed"] == 150_000
    warm = next(row["rss_mib"] for row in rounds if row["completed"] > 50_000)
    assert rounds[-1]["rss_mib"] - warm < MOST_GROWTH_MIB
