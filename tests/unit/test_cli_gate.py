"""`phasewise gate`, and its self-test, in short: real cases, real planted defects, few samples."""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest

from phasewise.bench.gate.limits import Limits, Sampling, load_limits
from phasewise.bench.gate.outcome import GateExit, exit_code
from phasewise.bench.gate.plants import PLANTS, Plant
from phasewise.bench.gate.self_test import COLUMNS, append_samples, compare_copies
from phasewise.bench.gate.verdict import Verdict, interval_of, judge_time
from phasewise.profiling.errors import OutputError

RECORDED = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "gate-samples.csv"


def short(pairs: int, samples: int) -> Limits:
    return msgspec.structs.replace(load_limits(), sampling=Sampling(pairs, samples, again=0, reason="a test"))


def ignored(_: str) -> None:
    """Take a line of progress."""


def test_a_base_that_is_not_there_is_never_a_pass(phasewise: Callable[..., Any]) -> None:
    said = phasewise("gate", "--base", "no-such-revision", "-q")
    assert said.code == GateExit.NOT_COMPARABLE
    assert said.out == ""
    assert said.err.startswith("phasewise: error: the base 'no-such-revision' is not in the history of this checkout")


def test_a_case_that_the_gate_does_not_have_is_never_a_pass(phasewise: Callable[..., Any]) -> None:
    said = phasewise("gate", "--case", "engine/philly/lop")
    assert said.code == GateExit.NOT_COMPARABLE
    assert "'engine/philly/lop' is not a case of the gate; allowed: engine/philly/loop, " in said.err


def test_an_added_rebuild_is_caught_by_its_counter() -> None:
    cases = compare_copies(short(1, 1), PLANTS["rebuild"], 0.0, ignored)
    assert exit_code(cases) is GateExit.SLOWER
    assert ("rebuilds", 1, 2, Verdict.SLOWER) in cases[0].changes


def test_a_planted_slowdown_is_caught_by_its_time(tmp_path: Path) -> None:
    plant = replace(PLANTS["solver"], case="solvers/philly/highs-warm")
    cases = compare_copies(short(2, 5), plant, 0.5, ignored)
    assert exit_code(cases) is GateExit.SLOWER
    assert cases[0].changes == []
    append_samples(tmp_path / "samples.csv", (0, "solver", 0.5), cases)
    with (tmp_path / "samples.csv").open() as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 1 + 2 * 5


def test_samples_that_cannot_be_written_say_where(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        append_samples(tmp_path / "no" / "samples.csv", (0, "nothing", 0.0), [])


def recorded() -> dict[str, np.ndarray]:
    """Return the logarithms (P, S) of every case, of two copies of the same code on a busy machine of two cores."""
    rows: dict[str, dict[tuple[str, str], list[float]]] = {}
    with RECORDED.open() as file:
        for row in csv.DictReader(file):
            pairs = rows.setdefault(row["case"], {})
            pairs.setdefault((row["run"], row["pair"]), []).append(np.log(float(row["head_s"]) / float(row["base_s"])))
    return {case: np.array(list(pairs.values())) for case, pairs in rows.items()}


def test_recorded_samples_of_equal_copies_are_never_slower_and_ten_percent_more_always_is() -> None:
    band = load_limits().band
    for case, logs in recorded().items():
        for first in range(0, len(logs) - 3, 4):
            four = logs[first : first + 4]
            assert judge_time(interval_of(four, band.level), band) is not Verdict.SLOWER, case
            assert judge_time(interval_of(four + np.log(1.1), band.level), band) is Verdict.SLOWER, case


def test_a_plant_is_put_once_and_the_checkout_is_left_alone() -> None:
    root = Path(__file__).resolve().parents[2]
    assert all("_planted" not in (root / plant.file).read_text() for plant in PLANTS.values())
    assert all(isinstance(plant, Plant) for plant in PLANTS.values())
