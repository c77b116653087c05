"""`--json`: what a command came to, on standard output, and nothing else there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from small_lists import write_lists
from synthetic_run import RunShape, write_run


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


@pytest.fixture
def runs(tmp_path: Path) -> list[Path]:
    return [write_run(tmp_path / name, RunShape(rounds=60, jobs=20)) for name in ("one", "two")]


def test_a_comparison_prints_the_rows_of_its_tables(phasewise: Callable, runs: list[Path], tmp_path: Path) -> None:
    said = phasewise("compare", *runs, "--json", "--csv", tmp_path / "rows.csv")
    assert (said.code, said.err) == (0, "")
    content = json.loads(said.out)
    assert content["runs"] == ["one", "two"]
    _, *rows = (tmp_path / "rows.csv").read_text().splitlines()
    assert len(rows) > 40
    for table in ("metrics", "cpu_ms", "wall_ms", "shares", "solver"):
        assert content[table]
        for label in content[table]:
            assert any(label in row for row in rows), label


def test_a_report_of_several_runs_prints_its_path_alone(phasewise: Callable, runs: list[Path], tmp_path: Path) -> None:
    said = phasewise("report", *runs, "--out", tmp_path / "both.html", "--json")
    assert (said.code, json.loads(said.out), said.err) == (0, str(tmp_path / "both.html"), "")


def test_progress_and_warnings_leave_standard_output_alone(phasewise: Callable, tmp_path: Path) -> None:
    nodes, pods = write_lists(tmp_path)
    commands = {
        "run": ("run", "toy", "--jobs", "4"),
        "inflate": ("inflate", "--nodes", nodes, "--pods", pods, "--placement", "random", "--numpy"),
    }
    for name, words in commands.items():
        for quiet in ((), ("-q",)):
            out = tmp_path / f"{name}{len(quiet)}"
            said = phasewise(*words, *quiet, "--json", "--out", out)
            assert json.loads(said.out) == json.loads((out / "run.json").read_text())
            assert bool(said.err) == (not quiet or name == "inflate")  # a warning is said in any case


@pytest.mark.parametrize(
    "words",
    [
        ("run", "toy", "--jobs", "none"),
        ("run", "toy", "--policy", "fifa"),
        ("run", "nowhere.toml"),
        ("compare", "nowhere"),
        ("report", "nowhere"),
        ("inflate", "--nodes", "nowhere.csv", "--pods", "openb", "--placement", "fgd", "--out", "fill"),
        ("study", "run", "nowhere.toml"),
        ("study", "status", "nowhere"),
    ],
    ids=" ".join,
)
def test_bad_input_says_one_sentence_on_standard_error_and_nothing_else(
    words: tuple[str, ...], phasewise: Callable, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    said = phasewise(*words, "--json")
    assert (said.code, said.out) == (2, "")
    assert said.err.startswith("phasewise: error: ")
    assert said.err.count("\n") == 1
