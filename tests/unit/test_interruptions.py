"""Ctrl-C: a command shows what it came to until then, says where that is and how to go on, and exits with 130."""

from __future__ import annotations

import json
import shlex
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from small_lists import write_lists

from phasewise.bench.cli.boundary import Interruption

INTERRUPTED = 130
Press = Callable[[int], None]


@pytest.fixture
def ctrl_c(monkeypatch: pytest.MonkeyPatch) -> Press:
    """Return what has SIGINT sent to this process when a command asks for the so many-th time whether it was."""
    asked = Interruption.asked

    def press(times: int) -> None:
        left = iter(range(times - 1, -1, -1))

        def sent(self: Interruption) -> bool:
            if next(left, None) == 0:
                signal.raise_signal(signal.SIGINT)
            return asked(self)

        monkeypatch.setattr(Interruption, "asked", sent)

    monkeypatch.setattr("phasewise.sched.inflation.experiment.BLOCK", 4)  # pods between two questions of a fill
    return press


def test_an_interrupted_run_prints_its_summary_so_far(phasewise: Callable, ctrl_c: Press, tmp_path: Path) -> None:
    out = tmp_path / "run"
    ctrl_c(25)
    said = phasewise("run", "toy", "-q", "--out", out)
    assert said.code == INTERRUPTED
    assert said.err == f"phasewise: interrupted: the results so far are saved in {out}\n"
    heading, *rest = said.out.splitlines()
    assert "interrupted" in heading
    rounds = json.loads((out / "run.json").read_text())["summary"]["rounds"]
    assert 0 < rounds <= 25
    assert rest[1].split()[:2] == ["rounds", str(rounds)]
    assert any(line.startswith("lp_solve") for line in rest)
    assert rest[-1] == f"run directory: {out}"


def test_an_interrupted_run_says_how_to_go_on_from_its_checkpoint_and_that_is_so(
    phasewise: Callable, ctrl_c: Press, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "a run"
    words = ["run", "toy", "-q", "--overwrite", "--set", "output.checkpoint_rounds=8", "--out", str(out)]
    monkeypatch.setattr("sys.argv", ["phasewise", *words])
    ctrl_c(25)
    said = phasewise(*words)
    assert said.code == INTERRUPTED
    saved, _, command = said.err.strip().partition("; to go on from its last checkpoint: ")
    assert saved == f"phasewise: interrupted: the results so far are saved in {out}"
    program, *again = shlex.split(command)
    assert program == "phasewise"
    assert again == [word for word in words if word != "--overwrite"] + ["--resume"]
    ctrl_c(0)
    assert phasewise(*again).code == 0
    assert json.loads((out / "run.json").read_text())["status"] == "complete"


@pytest.mark.parametrize("command", ["run", "inflate", "study"])
def test_under_json_standard_output_is_what_was_computed_and_nothing_else(
    command: str, phasewise: Callable, ctrl_c: Press, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    nodes, pods = write_lists(tmp_path)
    study = tmp_path / "few.toml"
    study.write_text('[study]\nname = "few"\nscenario = "toy"\nkind = "run"\n[grid]\nseed = [0, 1]\n')
    words = {
        "run": ("run", "toy"),
        "inflate": ("inflate", "--nodes", nodes, "--pods", pods, "--placement", "random", "--numpy"),
        "study": ("study", "run", study, "--workers", 1),
    }
    ctrl_c(3 if command != "study" else 1)
    said = phasewise(*words[command], "-q", "--json", "--out", out)
    assert said.code == INTERRUPTED
    record = json.loads(said.out)
    *warnings, told = said.err.splitlines()
    assert told.startswith("phasewise: interrupted: ")
    assert warnings == [] or command == "inflate"  # which warns of pods that no node can take
    if command == "study":
        assert (record["points"], record["done"]) == (2, 0)
    else:
        assert record == json.loads((out / "run.json").read_text())
        assert record["status"] == "interrupted"


def test_an_interrupted_fill_prints_what_it_came_to(phasewise: Callable, ctrl_c: Press, tmp_path: Path) -> None:
    out = tmp_path / "fill"
    nodes, pods = write_lists(tmp_path)
    ctrl_c(4)
    said = phasewise(
        "inflate", "--nodes", nodes, "--pods", pods, "--placement", "random", "--numpy", "-q", "--out", out
    )
    assert said.code == INTERRUPTED
    assert said.err.endswith(f"phasewise: interrupted: the results so far are saved in {out}\n")
    summary = json.loads((out / "run.json").read_text())["summary"]
    (arrived,) = (line for line in said.out.splitlines() if "pods arrived" in line)
    assert f" {summary['arrived_pods']} " in arrived
    assert summary["arrived_pods"] > 0
    assert said.out.splitlines()[-1] == f"inflation: {out}"


def test_an_interrupted_study_prints_its_counts(phasewise: Callable, ctrl_c: Press, tmp_path: Path) -> None:
    study = tmp_path / "few.toml"
    study.write_text('[study]\nname = "few"\nscenario = "toy"\nkind = "run"\n[grid]\nseed = [0, 1]\n')
    ctrl_c(1)
    said = phasewise("study", "run", study, "-q", "--workers", 1, "--out", tmp_path / "study")
    assert said.code == INTERRUPTED
    assert "0 of 2 points done" in said.out
    assert said.err.strip().endswith("the same command continues from there")


@pytest.mark.parametrize(("times", "status"), [(10, "interrupted"), (400, "complete")])
def test_a_profile_that_is_interrupted_in_the_run_or_after_it_has_printed_its_summary_once(
    times: int, status: str, phasewise: Callable, ctrl_c: Press, tmp_path: Path
) -> None:
    ctrl_c(times)
    said = phasewise("profile", "toy", "-q", "--out", tmp_path / "out")
    assert said.code == INTERRUPTED
    assert said.out.count("rounds per CPU s") == 1
    assert json.loads((tmp_path / "out" / "run.json").read_text())["status"] == status
    assert not (tmp_path / "out" / "report.html").exists()


def test_a_run_that_was_interrupted_before_it_began_prints_nothing(
    phasewise: Callable, ctrl_c: Press, tmp_path: Path
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr("phasewise.sched.simulate.simulate", refuse)
        said = phasewise("run", "toy", "-q", "--json", "--out", tmp_path / "out")
    assert (said.code, said.out, said.err) == (INTERRUPTED, "", "phasewise: interrupted: the run had not begun\n")
