"""`phasewise run`: what it writes, what it says where, and what an option changes."""

from __future__ import annotations

import io
import json
import os
import pty
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from phasewise.bench.cli import progress

COMMAND = Path(sys.executable).with_name("phasewise")
FILES = ("run.json", "jobs.parquet", "rounds.parquet", "placements.parquet", "lines.log", "trace.json.gz")


def scenario_of(out: Path) -> dict[str, Any]:
    return json.loads((out / "run.json").read_text())["scenario"]


def test_a_run_leaves_every_file_and_nothing_else(tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise("run", "toy", "--out", tmp_path)
    assert said.code == 0
    assert {path.name for path in tmp_path.iterdir()} == set(FILES)
    assert json.loads((tmp_path / "run.json").read_text())["status"] == "complete"


def test_the_summary_and_the_phase_table_go_to_standard_output(tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise("run", "toy", "--out", tmp_path)
    assert "worker_assignment" in said.out
    assert "lp_solve" in said.out
    assert said.out.splitlines()[-1] == f"run directory: {tmp_path}"
    assert "PROFILE {" not in said.out


def test_without_a_terminal_the_profile_lines_go_to_standard_error(tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise("run", "toy", "--out", tmp_path)
    lines = [line for line in said.err.splitlines() if line.startswith("PROFILE ")]
    assert json.loads(lines[-1].removeprefix("PROFILE "))["final"] is True
    assert not [line for line in said.err.splitlines() if line.startswith(("EVENT ", "TELEMETRY "))]


def test_quiet_says_nothing_on_standard_error_and_writes_every_file_in_full(
    tmp_path: Path, phasewise: Callable
) -> None:
    loud = phasewise("run", "toy", "--out", tmp_path / "loud")
    quiet = phasewise("run", "toy", "-q", "--out", tmp_path / "quiet")
    assert (loud.code, quiet.code, quiet.err) == (0, 0, "")
    assert {path.name for path in (tmp_path / "quiet").iterdir()} == set(FILES)
    kinds = [
        [line.split(" ")[0] for line in (tmp_path / name / "lines.log").read_text().splitlines()]
        for name in ("loud", "quiet")
    ]
    assert kinds[0] == kinds[1]


def test_without_out_each_run_takes_the_next_free_folder(
    tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for number in (1, 2):
        said = phasewise("run", "toy", "-q", "--rounds", 3)
        assert said.out.splitlines()[-1] == f"run directory: runs/toy-{number}"
    assert (tmp_path / "runs" / "toy-2" / "run.json").is_file()


def test_bad_input_takes_no_folder(tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert phasewise("run", "toy", "-q", "--policy", "fair").code == 2
    assert list((tmp_path / "runs").glob("*")) == []


def test_a_run_is_replaced_only_when_asked_and_only_by_a_run_that_begins(tmp_path: Path, phasewise: Callable) -> None:
    out = tmp_path / "out"
    assert phasewise("run", "toy", "-q", "--rounds", 3, "--out", out).code == 0
    refused = phasewise("run", "toy", "-q", "--rounds", 4, "--out", out)
    assert refused.code == 2
    assert "--overwrite" in refused.err
    assert phasewise("run", "toy", "-q", "--rounds", 4, "--policy", "fair", "--overwrite", "--out", out).code == 2
    assert scenario_of(out)["stop"]["rounds"] == 3
    assert phasewise("run", "toy", "-q", "--rounds", 4, "--overwrite", "--out", out).code == 0
    assert scenario_of(out)["stop"]["rounds"] == 4
    assert [path.name for path in tmp_path.iterdir()] == ["out"]


@pytest.mark.parametrize(
    ("options", "section", "key", "value"),
    [
        (["--cluster", "v100=2,k80=3"], "cluster", "gpus", {"v100": 2, "k80": 3}),
        (["--cluster", "v100=4", "--gpus-per-node", "v100=2"], "cluster", "gpus_per_node", {"v100": 2}),
        (["--policy", "fifo"], "policy", "name", "fifo"),
        (
            ["--solver", "highs-direct", "--solver-kwargs", '{"presolve": "off"}'],
            "solver",
            "kwargs",
            {"presolve": "off"},
        ),
        (["--round-s", "120"], "timing", "round_s", 120.0),
        (["--timing", "gavel"], "timing", "preset", "gavel"),
        (["--jobs", "4"], "workload", "jobs", 4),
        (["--rate", "0"], "workload", "rate_per_hour", 0.0),
        (["--window", "1:3"], "stop", "window", [1, 3]),
        (["--window", "none"], "stop", "window", None),
        (["--set", "stop.window=[1, 3]"], "stop", "window", [1, 3]),
        (["--set", "stop.window=none"], "stop", "window", None),
        (["--priorities"], "workload", "priorities", True),
        (["--no-priorities"], "workload", "priorities", False),
        (["--set", "output.profile_every=7"], "output", "profile_every", 7),
        (["--set", "output.debug=true"], "output", "debug", True),
        (["--policy", "fifo", "--set", "policy.name=isolated"], "policy", "name", "isolated"),
        (["--set", 'policy.name="fifo_perf"'], "policy", "name", "fifo_perf"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) and value and str(value[0]).startswith("-") else None,
)
def test_an_option_reaches_the_resolved_scenario(
    options: list[str], section: str, key: str, value: object, tmp_path: Path, phasewise: Callable
) -> None:
    said = phasewise("run", "toy", "-q", "--rounds", 2, "--out", tmp_path, *options)
    assert said.code == 0, said.err
    assert scenario_of(tmp_path)[section][key] == value


def test_rounds_stops_the_run_after_so_many(tmp_path: Path, phasewise: Callable) -> None:
    phasewise("run", "toy", "-q", "--rounds", 5, "--out", tmp_path)
    run = json.loads((tmp_path / "run.json").read_text())
    assert (run["status"], run["summary"]["rounds"]) == ("stopped", 5)


def test_the_command_line_stands_in_the_run(tmp_path: Path) -> None:
    subprocess.run([COMMAND, "run", "toy", "-q", "--rounds", "2", "--out", tmp_path], check=True, capture_output=True)
    command = json.loads((tmp_path / "run.json").read_text())["command"]
    assert command == ["phasewise", "run", "toy", "-q", "--rounds", "2", "--out", str(tmp_path)]


def test_on_a_terminal_a_bar_is_shown_and_no_line(tmp_path: Path) -> None:
    leader, follower = pty.openpty()
    with subprocess.Popen(
        [COMMAND, "run", "toy", "--out", tmp_path / "out"],
        stdout=subprocess.PIPE,
        stderr=follower,
        env={**os.environ, "TERM": "xterm"},
    ) as process:
        os.close(follower)
        shown = b""
        while chunk := _read(leader):
            shown += chunk
        assert process.wait() == 0
    assert b"toy" in shown
    assert b"PROFILE" not in shown


def _read(leader: int) -> bytes:
    """Return what the terminal shows next, nothing once its other end is closed."""
    try:
        return os.read(leader, 1 << 16)
    except OSError:
        return b""


def test_the_pipe_of_a_reader_who_has_seen_enough_is_no_error() -> None:
    with subprocess.Popen([COMMAND, "list", "policies"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as process:
        process.stdout.close()
        assert process.wait() == 0
        assert process.stderr.read() == b""


def moment(round_index: int, target: int | None = 40) -> SimpleNamespace:
    return SimpleNamespace(round_index=round_index, sim_time_s=86_400.0, active=3, completed=10, target=target)


def test_plain_progress_comes_at_most_every_five_seconds(monkeypatch: pytest.MonkeyPatch) -> None:
    now_s = [0.0]
    monkeypatch.setattr(progress, "monotonic", lambda: now_s[0])
    stream = io.StringIO()
    with progress.shown("philly", quiet=False, stream=stream) as report:
        for round_index in range(1, 97):
            now_s[0] += 0.125  # exact in binary: eight rounds a second
            report(moment(round_index))
    lines = stream.getvalue().splitlines()
    assert len(lines) == 2
    assert lines[0] == "philly: round 40  day 1.0  3 active  10/40 done  8 rounds/s"


def test_quiet_progress_is_not_even_asked_for() -> None:
    with progress.shown("philly", quiet=True) as report:
        assert report is None


def test_progress_without_a_target_shows_no_target() -> None:
    assert progress.describe(moment(1200, None), 1500.4) == "round 1,200  day 1.0  3 active  10 done  1,500 rounds/s"
