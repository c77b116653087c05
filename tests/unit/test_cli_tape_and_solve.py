"""`phasewise tape` and `phasewise solve`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from phasewise.solvers.tapes import Tape

FIELDS = {
    "solver", "rounds", "build_ms_median", "solve_ms_median", "total_ms_median", "total_ms_p95", "iterations_median",
    "rebuilds", "max_gap", "max_violation", "failures",
}  # fmt: skip


@pytest.fixture
def tape(phasewise: Callable[..., Any], tmp_path: Path) -> Path:
    path = tmp_path / "toy.tape"
    said = phasewise("tape", "toy", "--out", path, "--rounds", 40, "-q")
    assert said.code == 0, said.err
    assert said.err == ""
    assert f"tape: {path} (" in said.out
    return path


def test_a_run_is_recorded_as_a_tape_and_nothing_else_is_written(tape: Path) -> None:
    assert len(Tape(tape)) > 1
    assert Tape(tape).origin["policy"] == "max_min_fairness_perf"
    assert [path.name for path in tape.parent.iterdir()] == ["toy.tape"]


def test_the_same_run_gives_the_same_tape(phasewise: Callable[..., Any], tape: Path) -> None:
    other = tape.with_name("again.tape")
    assert phasewise("tape", "toy", "--out", other, "--rounds", 40, "-q").code == 0
    assert other.read_bytes() == tape.read_bytes()


def test_a_tape_is_replayed_on_several_solvers(phasewise: Callable[..., Any], tape: Path) -> None:
    figures = tape.with_name("figures.json")
    said = phasewise("solve", tape, "--solver", "highs-direct", "--solver", "single-type", "--json", figures)
    assert said.code == 0, said.err
    assert "highs-direct" in said.out
    exact, heuristic = json.loads(figures.read_text())
    assert exact.keys() >= FIELDS
    assert exact["solver"] == "highs-direct"
    assert exact["rounds"] == heuristic["rounds"] == len(Tape(tape))
    assert exact["max_gap"] <= 1e-9
    assert exact["failures"] == heuristic["failures"] == 0


def test_what_a_heuristic_gives_up_is_told_against_the_best_bound_of_all(
    phasewise: Callable[..., Any], tape: Path
) -> None:
    figures = tape.with_name("figures.json")
    said = phasewise("solve", tape, "--solver", "single-type", "--solver", "highs-direct", "--json", figures)
    head = next(line for line in said.out.splitlines() if line.strip().startswith("solver"))
    assert "lost" in head
    assert "unused" in head
    heuristic, exact = json.loads(figures.read_text())
    # beside an exact solver the loss is the true one, which its own bound can only overstate
    assert 0.0 < heuristic["objective_lost_median"] <= heuristic["objective_lost_max"] <= heuristic["max_gap"]
    assert exact["objective_lost_max"] <= 1e-9
    assert 0.0 <= heuristic["utilization_given_up_median"] <= heuristic["utilization_given_up_max"] < 1.0
    assert exact["utilization_given_up_median"] is exact["utilization_given_up_max"] is None


def test_alone_a_heuristic_is_told_to_lose_what_its_own_bound_says(phasewise: Callable[..., Any], tape: Path) -> None:
    figures = tape.with_name("figures.json")
    assert phasewise("solve", tape, "--solver", "single-type", "--json", figures).code == 0
    (alone,) = json.loads(figures.read_text())
    assert alone["objective_lost_max"] == pytest.approx(alone["max_gap"], rel=1e-12)


def test_only_so_many_rounds_are_replayed(phasewise: Callable[..., Any], tape: Path) -> None:
    figures = tape.with_name("figures.json")
    assert phasewise("solve", tape, "--solver", "highs-direct", "--rounds", 2, "--json", figures).code == 0
    assert json.loads(figures.read_text())[0]["rounds"] == 2


def test_a_water_filling_run_is_recorded_and_replayed(phasewise: Callable[..., Any], tmp_path: Path) -> None:
    path = tmp_path / "filling.tape"
    policy = "max_min_fairness_water_filling_perf"
    assert phasewise("tape", "toy", "--policy", policy, "--out", path, "--rounds", 20, "-q").code == 0
    assert {problem.family for problem in Tape(path)} == {"lexicographic"}
    assert phasewise("solve", path, "--solver", "water-filling", "--solver", "highs-direct").code == 0


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--solver", "no-such"), "no solver backend 'no-such'"),
        (("--solver", "highs-direct", "--rounds", "0"), "--rounds"),
        (("--solver", "highs-direct", "--solver", "highs-direct"), "named twice"),
        ((), "--solver"),
        (("--solver", "highs-direct", "--json", "no/such/folder.json"), "cannot write"),
    ],
)
def test_bad_usage_is_one_message(
    phasewise: Callable[..., Any], tape: Path, arguments: tuple[str, ...], message: str
) -> None:
    said = phasewise("solve", tape, *arguments)
    assert said.code == 2
    assert message in said.err
    assert said.err.count("\n") == 1


@pytest.mark.parametrize("content", [None, b"", b"something else"])
def test_a_missing_or_foreign_tape_is_one_message(
    phasewise: Callable[..., Any], tmp_path: Path, content: bytes | None
) -> None:
    path = tmp_path / "wrong.tape"
    if content is not None:
        path.write_bytes(content)
    said = phasewise("solve", path, "--solver", "highs-direct")
    assert said.code == 2
    assert str(path) in said.err
    assert said.err.count("\n") == 1


def test_a_tape_that_cannot_be_written_is_told_before_the_run(phasewise: Callable[..., Any], tmp_path: Path) -> None:
    said = phasewise("tape", "toy", "--out", tmp_path / "no" / "such.tape", "-q")
    assert said.code == 2
    assert "cannot write" in said.err
