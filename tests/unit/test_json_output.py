"""`--json`: what a command came to, on standard output, and nothing else there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path


def test_a_run_prints_its_run_json(phasewise: Callable, tmp_path: Path) -> None:
    said = phasewise("run", "toy", "-q", "--jobs", "4", "--json", "--out", tmp_path / "run")
    assert said.code == 0
    assert json.loads(said.out) == json.loads((tmp_path / "run" / "run.json").read_text())
    reported = phasewise("report", tmp_path / "run", "--json")
    assert json.loads(reported.out) == str(tmp_path / "run" / "report.html")
    assert (tmp_path / "run" / "report.html").is_file()


def test_a_fill_prints_its_run_json(phasewise: Callable, tmp_path: Path) -> None:
    out = tmp_path / "fill"
    said = phasewise(
        "inflate", "--nodes", "cluster-h", "--pods", "openb", "--placement", "random", "--load", "0.1", "-q", "--json",
        "--out", out,
    )  # fmt: skip
    assert said.code == 0, said.err
    assert json.loads(said.out) == json.loads((out / "run.json").read_text())


def test_a_replay_says_what_it_replayed(phasewise: Callable, tmp_path: Path) -> None:
    tape = tmp_path / "toy.tape"
    assert phasewise("tape", "toy", "--jobs", "6", "-q", "--out", tape).code == 0
    said = phasewise("solve", tape, "--solver", "highs-direct", "--json", "-")
    (figures,) = json.loads(said.out)
    assert figures["family"] == "max_min"
    assert figures["types"] == 3
    assert 1 <= figures["jobs_median"] <= 6
    assert figures["cold_ms"] > 0.0
