"""A run that is killed, at whatever moment, leaves files that can be read, and none that is half written."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa
import pytest
from broken_runs import require_the_same

from phasewise.profiling.artefacts.lines import read_lines
from phasewise.profiling.artefacts.tables import parts_folder, read_table

COMMAND = Path(sys.executable).with_name("phasewise")
LONG_RUN = (
    "run",
    "philly",
    "-q",
    "--window",
    "50:5000",
    "--set",
    "output.chunk_rounds=32",
    "--set",
    "output.profile_every=10",
)
TABLES = ("jobs.parquet", "rounds.parquet", "placements.parquet")
FINAL_NAMES = {"run.json", *TABLES, "lines.log", "trace.json.gz"}
PATIENCE_S = 600.0  # a guard against hanging, far beyond what a busy machine needs

pytestmark = pytest.mark.thorough


def started(out: Path, *options: str) -> subprocess.Popen[str]:
    """Start a long run and return once its directory has a first file."""
    process = subprocess.Popen(
        [COMMAND, *LONG_RUN, "--out", out, *options], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    wait_for(process, lambda: out.is_dir() and any(out.iterdir()))
    return process


def wait_for(process: subprocess.Popen[str], reached: object) -> None:
    deadline = time.monotonic() + PATIENCE_S
    while not reached():
        assert process.poll() is None, f"the run ended by itself: {process.stderr.read()}"
        assert time.monotonic() < deadline, "the run does not get so far"
        time.sleep(0.002)


def table_at(path: Path) -> pa.Table | None:
    """Return what is there of a table, None where the run died before its first row."""
    return read_table(path) if path.exists() or any(parts_folder(path).glob("*.parquet")) else None


def rounds_in(out: Path) -> Sequence[int]:
    table = table_at(out / "rounds.parquet")
    return [] if table is None else table["round"].to_pylist()


def assert_readable(out: Path) -> None:
    """Check every file that bears a final name, and that nothing else but parts and hidden temporaries is there."""
    strange = [
        path.name
        for path in out.iterdir()
        if path.name not in {*FINAL_NAMES, "checkpoint"} and not path.name.startswith(".") and path.suffix != ".parts"
    ]
    assert strange == []
    if (out / "run.json").exists():
        assert json.loads((out / "run.json").read_text())["schema"] == 2
    if (out / "lines.log").exists():
        assert all(kind in ("PROFILE", "TELEMETRY", "EVENT") for kind, _ in read_lines(out / "lines.log"))
    for name in TABLES:
        table_at(out / name)
    assert rounds_in(out) == list(range(len(rounds_in(out))))


@pytest.mark.parametrize("seed", range(6))
def test_a_run_killed_at_a_random_moment_leaves_readable_files(seed: int, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(out)
    time.sleep(random.Random(seed).uniform(0.0, 1.5))
    process.kill()
    process.communicate()
    assert_readable(out)


def test_a_run_killed_after_some_chunks_has_kept_their_rounds(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(out)
    wait_for(process, lambda: len(rounds_in(out)) >= 64)
    process.kill()
    process.communicate()
    assert_readable(out)
    assert len(rounds_in(out)) >= 64


@pytest.mark.parametrize("signal_sent", [signal.SIGINT, signal.SIGTERM], ids=lambda number: number.name)
def test_an_interrupted_run_saves_what_it_computed_shows_it_and_says_so(
    signal_sent: signal.Signals, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    process = started(out)
    wait_for(process, lambda: len(rounds_in(out)) >= 32)
    process.send_signal(signal_sent)
    shown, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 130
    assert err == f"phasewise: interrupted: the results so far are saved in {out}\n"
    run = json.loads((out / "run.json").read_text())
    assert run["status"] == "interrupted"
    assert shown.split()[1] == "interrupted"
    assert "share of CPU time" in shown
    assert shown.endswith(f"run directory: {out}\n")
    assert len(rounds_in(out)) == run["summary"]["rounds"] >= 32
    assert FINAL_NAMES - {path.name for path in out.iterdir()} <= {"trace.json.gz"}  # made last, from the tables
    assert_readable(out)


def test_the_place_of_a_killed_run_can_be_used_again(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(out)
    wait_for(process, lambda: len(rounds_in(out)) >= 32)
    process.kill()
    process.communicate()
    command = [COMMAND, "run", "toy", "-q", "--out", out, "--overwrite"]
    subprocess.run(command, check=True, capture_output=True)
    assert {path.name for path in out.iterdir()} == FINAL_NAMES
    assert json.loads((out / "run.json").read_text())["status"] == "complete"


def written_at(path: Path) -> int:
    """Return when a file was last written, 0 where it is not there: a checkpoint is renamed at times."""
    try:
        return path.stat().st_mtime_ns
    except FileNotFoundError:
        return 0


def test_a_run_killed_three_times_and_resumed_ends_as_one_that_never_was(tmp_path: Path) -> None:
    options = ("--rounds", "1500", "--set", "output.checkpoint_rounds=128", "--resume")
    whole, out = tmp_path / "whole", tmp_path / "out"
    command = [COMMAND, *LONG_RUN, *options]
    subprocess.run([*command, "--out", whole], check=True, capture_output=True)
    chance, last = random.Random(7), out / "checkpoint" / "last.npz"
    for _ in range(3):
        before = written_at(last)
        process = subprocess.Popen(
            [*command, "--out", out], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True
        )
        wait_for(process, lambda then=before: written_at(last) > then)
        time.sleep(chance.uniform(0.0, 0.1))
        process.kill()
        process.communicate()
        assert_readable(out)
    subprocess.run([*command, "--out", out], check=True, capture_output=True)
    seams = [each["round"] for each in json.loads((out / "run.json").read_text())["resumed"]]
    assert seams == sorted(set(seams)) != []  # one that was killed before its next checkpoint left none
    require_the_same(out, whole)


def test_a_run_that_goes_on_elsewhere_is_not_resumed(tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = started(out)
    second = subprocess.run([COMMAND, *LONG_RUN, "--out", out, "--resume"], capture_output=True, text=True, check=False)
    process.kill()
    process.communicate()
    assert second.returncode == 2
    assert "is taken: another run" in second.stderr
