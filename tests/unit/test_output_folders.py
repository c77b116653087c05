"""A run directory belongs to one run for as long as that lives, and what it replaces is not lost by accident."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from phasewise.bench.cli.directories import FolderError, claimed
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import Callbacks, simulate

pytestmark = pytest.mark.thorough

COMMAND = Path(sys.executable).with_name("phasewise")
BAD_INPUT, FAILED, INTERRUPTED = 2, 3, 130
PATIENCE_S = 60.0
LONG = ("philly", "-q", "--window", "50:5000", "--set", "output.chunk_rounds=32", "--set", "output.trace=false")


def status_of(out: Path) -> str:
    return json.loads((out / "run.json").read_text())["status"]


def seed_of(out: Path) -> int:
    return json.loads((out / "run.json").read_text())["scenario"]["seed"]


def names(out: Path) -> set[str]:
    return {entry.name for entry in out.iterdir()}


@contextmanager
def going_on(out: Path, *options: str) -> Iterator[subprocess.Popen[str]]:
    """Start a long run, wait for its first chunk, and kill it at the end of the block where it still goes on."""
    process = subprocess.Popen(
        [COMMAND, "run", *LONG, "--out", out, *options], stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
        preexec_fn=lambda: signal.signal(signal.SIGHUP, signal.SIG_DFL),  # noqa: PLW1509  (nohup ignores it, rightly)
    )  # fmt: skip
    deadline = time.monotonic() + PATIENCE_S
    try:
        while not (out / "rounds.parquet.parts" / "000001.parquet").exists():
            assert process.poll() is None, process.stderr.read()
            assert time.monotonic() < deadline
            time.sleep(0.005)
        yield process
    finally:
        process.kill()
        process.communicate()


def test_of_runs_that_start_together_into_one_folder_exactly_one_gets_it(tmp_path: Path) -> None:
    out = tmp_path / "new" / "same"
    racers = [
        subprocess.Popen(
            [COMMAND, "run", "toy", "--seed", str(seed), "-q", "--out", out],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for seed in range(1, 5)
    ]
    said = [(process.communicate()[1], process.returncode) for process in racers]
    winners = [seed for seed, (_, code) in enumerate(said, start=1) if code == 0]
    assert len(winners) == 1, said
    assert all(code == BAD_INPUT and "name another folder" in err for err, code in said if code)
    assert (status_of(out), seed_of(out)) == ("complete", winners[0])
    assert not [name for name in names(out) if name.startswith(".") or name.endswith(".parts")]


def test_a_run_that_goes_on_is_not_replaced_and_its_folder_is_told_to_be_taken(
    tmp_path: Path, phasewise: Callable
) -> None:
    out = tmp_path / "out"
    with going_on(out) as process:
        for option in ([], ["--overwrite"]):
            said = phasewise("run", "toy", "-q", "--out", out, *option)
            assert said.code == BAD_INPUT
            assert "is taken" in said.err
            assert str(process.pid) in said.err
        process.terminate()
        assert process.wait() == INTERRUPTED
    assert status_of(out) == "interrupted"
    assert seed_of(out) == 0


def test_the_folder_of_a_killed_run_can_be_replaced_and_only_when_asked(tmp_path: Path, phasewise: Callable) -> None:
    out = tmp_path / "out"
    with going_on(out) as process:
        process.kill()
        process.wait()
    refused = phasewise("run", "toy", "-q", "--out", out)
    assert refused.code == BAD_INPUT
    assert "--overwrite" in refused.err
    assert phasewise("run", "toy", "-q", "--out", out, "--overwrite").code == 0
    assert status_of(out) == "complete"


def test_a_closed_terminal_ends_a_run_as_a_signal_to_end_does(tmp_path: Path) -> None:
    with going_on(tmp_path / "out") as process:
        process.send_signal(signal.SIGHUP)
        assert process.wait(PATIENCE_S) == INTERRUPTED
    assert status_of(tmp_path / "out") == "interrupted"


def test_a_run_that_was_told_to_outlive_its_terminal_does(tmp_path: Path) -> None:
    def ignore() -> None:
        signal.signal(signal.SIGHUP, signal.SIG_IGN)

    process = subprocess.Popen(
        [COMMAND, "run", "toy", "-q", "--out", tmp_path / "out"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=ignore,  # noqa: PLW1509  (no thread runs here)
    )
    while process.poll() is None:
        process.send_signal(signal.SIGHUP)
        time.sleep(0.02)
    assert process.returncode == 0
    assert status_of(tmp_path / "out") == "complete"


@pytest.mark.parametrize("instead", [False, True], ids=["removed", "replaced"])
def test_a_folder_that_is_taken_away_from_a_run_ends_it_with_that_message(instead: bool, tmp_path: Path) -> None:
    out = tmp_path / "out"
    with going_on(out) as process:
        out.rename(tmp_path / "elsewhere")
        if instead:
            out.mkdir()
            (out / "notes.txt").write_text("mine")
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == FAILED
    assert "Traceback" not in err
    assert err.count("phasewise: error:") == 1
    assert f"the folder {out} was {'replaced by another one' if instead else 'removed'}" in err
    assert "results so far are saved" not in err
    assert (sorted(names(out)) if out.exists() else []) == (["notes.txt"] if instead else [])


def test_a_part_that_is_lost_fails_the_run_and_keeps_the_other_parts(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with going_on(out, "--rounds", "400") as process:
        (out / "rounds.parquet.parts" / "000001.parquet").unlink()
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == FAILED
    assert "Traceback" not in err
    assert "cannot complete" in err
    assert "000001.parquet" in err
    assert status_of(out) == "failed"
    assert (out / "rounds.parquet.parts" / "000002.parquet").exists()


def test_a_strangers_file_among_the_parts_stays_and_does_no_harm(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with going_on(out, "--rounds", "400") as process:
        for name in ("notes.parquet", "readme.txt"):
            (out / "rounds.parquet.parts" / name).write_text("mine")
        _, err = process.communicate(timeout=PATIENCE_S)
    assert process.returncode == 0, err
    assert status_of(out) == "stopped"
    assert names(out / "rounds.parquet.parts") == {"notes.parquet", "readme.txt"}


def test_a_trace_of_phases_that_cannot_be_written_does_not_fail_a_finished_run(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with going_on(out, "--rounds", "400", "--set", "output.trace=true") as process:
        (out / "trace.json.gz").mkdir()
        _, err = process.communicate(timeout=PATIENCE_S)
    assert (process.returncode, err) == (0, "")
    assert status_of(out) == "stopped"
    assert (out / "rounds.parquet").exists()


def test_it_is_told_as_a_warning(tmp_path: Path) -> None:
    (tmp_path / "trace.json.gz").mkdir()
    told: list[str] = []
    outcome = simulate(load_scenario("toy"), tmp_path, callbacks=Callbacks(notify=told.append))
    assert outcome.status == "complete"
    (message,) = [text for text in told if text.startswith("warning: ")]
    assert "trace.json.gz" in message


def test_a_run_that_does_not_begin_leaves_not_even_the_folders_above(tmp_path: Path, phasewise: Callable) -> None:
    assert phasewise("run", "toy", "-q", "--policy", "fair", "--out", tmp_path / "a" / "b").code == BAD_INPUT
    assert names(tmp_path) == set()


def test_what_a_start_on_a_full_disk_wrote_is_removed(tmp_path: Path) -> None:
    out = tmp_path / "out"

    def start() -> None:
        with claimed(out, "toy", overwrite=False) as path:
            (path / "lines.log").write_text("")
            (path / "rounds.parquet.parts").mkdir()
            raise OSError("full")

    with pytest.raises(OSError, match="full"):
        start()
    assert names(tmp_path) == set()


def test_what_a_run_that_was_killed_at_its_start_left_is_replaced_when_asked(
    tmp_path: Path, phasewise: Callable
) -> None:
    out = tmp_path / "out"
    program = (
        "import os, pathlib\n"
        "from phasewise.bench.cli.directories import claimed\n"
        f"with claimed(pathlib.Path({str(out)!r}), 'toy', overwrite=False) as path:\n"
        "    (path / 'lines.log').write_text('')\n"
        "    os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    assert "lines.log" in names(out)
    refused = phasewise("run", "toy", "-q", "--out", out)
    assert refused.code == BAD_INPUT
    assert "--overwrite" in refused.err
    assert phasewise("run", "toy", "-q", "--out", out, "--overwrite").code == 0


@pytest.mark.parametrize("begun", [False, True])
def test_a_run_comes_back_where_the_one_to_replace_it_was_killed_before_it_began(
    begun: bool, tmp_path: Path, phasewise: Callable
) -> None:
    out = tmp_path / "out"
    assert phasewise("run", "toy", "-q", "--seed", 7, "--out", out).code == 0
    program = (
        "import os, pathlib\n"
        "from phasewise.bench.cli.directories import claimed\n"
        f"with claimed(pathlib.Path({str(out)!r}), 'toy', overwrite=True) as path:\n"
        "    (path / 'lines.log').write_text('')\n"
        f"    {begun} and (path / 'run.json').write_text('new')\n"
        "    os._exit(1)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=False)
    with pytest.raises(FolderError, match="--overwrite"), claimed(out, "toy", overwrite=False):
        pass
    assert ((out / "run.json").read_text() == "new") if begun else (seed_of(out) == 7)
    assert (out / "jobs.parquet").exists() is not begun
    assert not [name for name in names(out) if name.startswith(".phasewise.replaced")]


def test_a_kill_while_a_run_is_put_aside_loses_nothing_of_it(tmp_path: Path, phasewise: Callable) -> None:
    out = tmp_path / "out"
    assert phasewise("run", "toy", "-q", "--seed", 7, "--out", out).code == 0
    complete = names(out)
    for moved in (1, 3, len(complete)):
        program = (
            "import os, pathlib\n"
            "from phasewise.bench.cli.directories import claimed\n"
            "rename, count = pathlib.Path.rename, 0\n"
            "def counted(self, target):\n"
            "    global count\n"
            "    rename(self, target)\n"
            "    count += 1\n"
            f"    count == {moved} and os._exit(1)\n"
            "pathlib.Path.rename = counted\n"
            f"with claimed(pathlib.Path({str(out)!r}), 'toy', overwrite=True): pass\n"
        )
        subprocess.run([sys.executable, "-c", program], check=False)
        assert names(out) != complete
        with pytest.raises(FolderError, match="--overwrite"), claimed(out, "toy", overwrite=False):
            pass
        assert names(out) == complete


def test_a_folder_of_somebody_elses_is_not_even_touched(tmp_path: Path, phasewise: Callable) -> None:
    (tmp_path / "thesis.tex").write_text("three years of work")
    before = tmp_path.stat().st_mtime_ns
    for option in ([], ["--overwrite"]):
        assert phasewise("run", "toy", "-q", "--out", tmp_path, *option).code == BAD_INPUT
    assert tmp_path.stat().st_mtime_ns == before


def test_a_profile_keeps_its_folder_until_its_report_is_written(tmp_path: Path, phasewise: Callable) -> None:
    out = tmp_path / "out"
    process = subprocess.Popen(
        [COMMAND, "profile", "toy", "-q", "--out", out], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    deadline = time.monotonic() + PATIENCE_S
    while not (out / "trace.json.gz").exists():  # the last file of the run that supplies the figures
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.002)
    said = phasewise("run", "toy", "-q", "--out", out, "--overwrite")
    assert process.wait() == 0
    assert (said.code, "is taken" in said.err) == (BAD_INPUT, True)
    assert (out / "report.html").exists()


@pytest.mark.parametrize("name", ["a" * 300, "nested/" + "b" * 300])
def test_a_name_that_is_too_long_for_a_folder_is_one_message(name: str, tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise("run", "toy", "-q", "--out", tmp_path / name)
    assert said.code == BAD_INPUT
    assert said.err.count("phasewise: error:") == 1
    assert "File name too long" in said.err
    assert names(tmp_path) == set()


def test_a_name_that_is_not_text_is_one_message(tmp_path: Path) -> None:
    ended = subprocess.run(
        [os.fsencode(COMMAND), b"run", b"toy", b"-q", b"--out", os.fsencode(tmp_path) + b"/\xff\xfe"],
        capture_output=True,
        check=False,
    )
    assert ended.returncode == BAD_INPUT
    assert ended.stderr.count(b"phasewise: error:") == 1
    assert b"UTF-8" in ended.stderr
    assert b"\\xff\\xfe" in ended.stderr
    assert names(tmp_path) == set()


def test_the_name_of_a_scenario_never_makes_a_folder_elsewhere(
    tmp_path: Path, phasewise: Callable, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("../../up", "a\\u0000b", "..", "x" * 400):
        (tmp_path / "mine.toml").write_text(
            f'name = "{name}"\n[cluster]\ngpus = {{ v100 = 2 }}\n[workload]\njobs = 2\n[policy]\nname = "fifo"\n'
        )
        said = phasewise("run", "mine.toml", "-q", "--rounds", 2)
        assert said.code == 0, said.err
        out = Path(said.out.splitlines()[-1].removeprefix("run directory: "))
        assert out.parent == Path("runs")
        shutil.rmtree(out)
    assert names(tmp_path) == {"mine.toml", "runs"}
