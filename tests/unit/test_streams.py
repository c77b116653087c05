"""What is shown is a courtesy: whoever stops reading, or has no room, loses the display and not the run."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

pytestmark = pytest.mark.thorough

COMMAND = Path(sys.executable).with_name("phasewise")
TALKATIVE = ("run", "toy", "--set", "output.debug=true")
FULL = Path("/dev/full")


def shell(line: str, out: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run `phasewise run toy`, talkative, in a line of bash in which ``{run}`` stands for it; exit with its code."""
    run = " ".join([str(COMMAND), *TALKATIVE, *options, "--out", str(out)])
    return subprocess.run(["bash", "-c", line.replace("{run}", run)], capture_output=True, text=True, check=False)


def assert_whole(out: Path) -> None:
    assert json.loads((out / "run.json").read_text())["status"] == "complete"
    assert (out / "rounds.parquet").is_file()
    assert (out / "trace.json.gz").is_file()
    assert not list(out.glob("*.parts"))


@pytest.mark.parametrize(
    "line",
    [
        "{run} 2>&1 | head -n 1; exit ${PIPESTATUS[0]}",
        "{run} 2> >(head -n 1 > /dev/null) > /dev/null",
        "{run} 2>&-",
        "{run} >&-",
        "{run} <&- >&- 2>&-",
        "{run} | true; exit ${PIPESTATUS[0]}",
        "{run} 2>/dev/full",
        "{run} >/dev/full",
        "{run} >/dev/full 2>&1",
        "{run} -q >&- 2>&-",
        "PYTHONIOENCODING=ascii {run}",
        "LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {run}",
    ],
)
def test_a_run_is_saved_whole_and_ends_with_nothing_wrong_wherever_its_output_goes(line: str, tmp_path: Path) -> None:
    if "/dev/full" in line and not FULL.exists():
        pytest.skip("needs the device /dev/full")
    ended = shell(line, tmp_path / "out")
    assert ended.returncode == 0, ended.stderr
    assert "Traceback" not in ended.stderr
    assert_whole(tmp_path / "out")


def test_with_its_streams_closed_a_run_prints_into_none_of_its_files(tmp_path: Path) -> None:
    shell("{run}", tmp_path / "open")
    shell("{run} <&- >&- 2>&-", tmp_path / "closed")
    for name in ("lines.log", "run.json"):
        content = (tmp_path / "closed" / name).read_text()
        assert "phasewise:" not in content
        assert "run directory:" not in content
    kinds = [
        [line.split(" ")[0] for line in (tmp_path / name / "lines.log").read_text().splitlines()]
        for name in ("open", "closed")
    ]
    assert kinds[0] == kinds[1]


@pytest.mark.skipif(not FULL.exists(), reason="needs the device /dev/full")
def test_where_there_is_no_room_for_the_summary_the_place_of_the_run_is_said(tmp_path: Path) -> None:
    ended = shell("{run} -q >/dev/full", tmp_path / "out")
    assert ended.stderr.count("\n") == 1
    assert str(tmp_path / "out") in ended.stderr
    assert "No space left" in ended.stderr


@pytest.mark.parametrize("arguments", [("list", "policies"), ("--help",), ("run", "--help"), ("run", "nowhere")])
@pytest.mark.parametrize("closed", [(1,), (2,), (0, 1, 2)])
def test_no_command_ends_in_a_traceback_where_streams_are_closed(
    arguments: Sequence[str], closed: Sequence[int]
) -> None:
    def close() -> None:
        for number in closed:
            os.close(number)

    ended = subprocess.run([COMMAND, *arguments], capture_output=True, text=True, check=False, preexec_fn=close)
    assert ended.returncode == (2 if "nowhere" in arguments else 0)
    assert "Traceback" not in ended.stderr


def test_an_experiment_survives_a_reader_of_its_summary_that_has_left(tmp_path: Path) -> None:
    (tmp_path / "nodes.csv").write_text("sn,cpu_milli,memory_mib,gpu,model\n" + "a,64000,262144,4,T4\n")
    (tmp_path / "pods.csv").write_text("name,cpu_milli,memory_mib,num_gpu,gpu_milli\n" + "p,1000,1024,1,500\n")
    inflate = f"{COMMAND} inflate --nodes nodes.csv --pods pods.csv --placement fgd --out out"
    ended = subprocess.run(
        ["bash", "-c", f"{inflate} 2>&- | true; exit ${{PIPESTATUS[0]}}"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
    )
    assert ended.returncode == 0, ended.stderr
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == "complete"
