"""`phasewise gate`, and its self-test, in short: real cases, real planted defects, few samples."""

from __future__ import annotations

import csv
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from phasewise.bench.gate import gate
from phasewise.bench.gate.errors import GateError
from phasewise.bench.gate.limits import Limits, Sampling, load_limits
from phasewise.bench.gate.outcome import GateExit, exit_code
from phasewise.bench.gate.plants import PLANTS
from phasewise.bench.gate.power import recorded_logs, table, verdicts
from phasewise.bench.gate.self_test import COLUMNS, append_samples, compare_copies
from phasewise.bench.gate.verdict import Verdict
from phasewise.profiling.errors import OutputError, RecordError

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


def test_verdicts_are_told_before_call_stacks_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sampling takes minutes: whoever ends it has what was measured."""
    told: list[tuple[object, str]] = []

    def interrupted(*_: object) -> None:
        assert told == [(["judged"], "base")]
        raise KeyboardInterrupt

    monkeypatch.setattr(gate, "checkout", Path)
    monkeypatch.setattr(gate, "resolve", lambda *_: "base")
    monkeypatch.setattr(gate, "both", lambda *_: nullcontext((None, None)))
    monkeypatch.setattr(gate.Bench, "judge", lambda *_: ["judged"])
    monkeypatch.setattr(gate, "places", interrupted)
    with pytest.raises(KeyboardInterrupt):
        gate.run_gate("base", (), ignored, lambda cases, base: told.append((cases, base)))


@pytest.mark.thorough
def test_an_added_rebuild_is_caught_by_its_counter() -> None:
    cases = compare_copies(short(1, 1), PLANTS["rebuild"], 0.0, ignored)
    assert exit_code(cases) is GateExit.SLOWER
    assert ("rebuilds", 1, 2, Verdict.SLOWER) in cases[0].changes


@pytest.mark.alone
def test_a_planted_slowdown_is_caught_by_its_time(tmp_path: Path) -> None:
    plant = replace(PLANTS["solver"], case="solvers/philly/highs-warm")
    cases = compare_copies(short(1, 8), plant, 0.5, ignored)
    assert exit_code(cases) is GateExit.SLOWER
    assert cases[0].changes == []
    append_samples(tmp_path / "samples.csv", (0, "solver", 0.5), cases)
    with (tmp_path / "samples.csv").open() as file:
        rows = list(csv.reader(file))
    assert tuple(rows[0]) == COLUMNS
    assert len(rows) == 1 + 8


def test_samples_that_cannot_be_written_say_where(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="cannot write"):
        append_samples(tmp_path / "no" / "samples.csv", (0, "nothing", 0.0), [])


def test_recorded_samples_of_equal_copies_are_never_slower_and_ten_percent_more_always_is() -> None:
    limits = load_limits()
    recorded = recorded_logs(RECORDED)
    assert {case.split("/")[0] for case in recorded} >= {"engine", "solvers", "placement"}
    for case, logs in recorded.items():
        assert verdicts(logs, limits, 0.0, 5)[Verdict.SLOWER] == 0, case
        assert verdicts(logs, limits, 0.10, 5)[Verdict.SLOWER] == 5, case


def test_a_table_that_is_not_the_self_tests_is_refused(tmp_path: Path) -> None:
    (tmp_path / "other.csv").write_text("a,b\n1,2\n")
    with pytest.raises(GateError, match="not a table of samples"):
        recorded_logs(tmp_path / "other.csv")
    with pytest.raises(RecordError, match="cannot read"):
        recorded_logs(tmp_path / "none.csv")


def test_too_few_pairs_give_no_power(tmp_path: Path) -> None:
    rows = [",".join(map(str, (0, "nothing", 0.0, "engine/toy", 0, k, 0.1, 0.1))) for k in range(12)]
    (tmp_path / "few.csv").write_text("\n".join([",".join(COLUMNS), *rows]) + "\n")
    with pytest.raises(GateError, match="engine/toy has 1 worker pairs; needed: 4"):
        list(table(tmp_path / "few.csv", 1))
