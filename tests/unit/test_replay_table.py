"""The table of `phasewise solve`: all columns and all figures, whatever the width."""

from __future__ import annotations

import io
from typing import Any

import pytest
from rich.console import Console

from phasewise.bench.cli.replay_table import replay_tables

COLUMNS = ("solver", "rounds", "build", "solve", "total", "p95", "iter", "rebuilds", "max gap", "max viol", "lost",
           "util", "unused", "fail")  # fmt: skip


def figures(solver: str, scale: float, rebuilds: dict[str, int]) -> dict[str, Any]:
    return {
        "solver": solver,
        "rounds": 1234,
        "build_ms_median": 1.25 * scale,
        "solve_ms_median": 2.25 * scale,
        "total_ms_median": 3.25 * scale,
        "total_ms_p95": 4.25 * scale,
        "iterations_median": 5.0 * scale,
        "rebuilds": rebuilds,
        "max_gap": 1.5e-10,
        "max_violation": 2.5e-12,
        "objective_lost_median": 0.125,
        "utilization_median": 0.875,
        "utilization_given_up_median": 0.0625,
        "failures": 17,
    }


def printed(width: int, *rows: dict[str, Any]) -> str:
    output = Console(width=width, file=io.StringIO())
    for table in replay_tables("a.tape", 3, rows, output):
        output.print(table)
    return output.file.getvalue()


@pytest.mark.parametrize("width", [80, 100, 120, 200])
@pytest.mark.parametrize("scale", [1.0, 1000.0, 100_000.0])
@pytest.mark.parametrize("solver", ["auto", "cvxpy-fresh:CLARABEL", "cvxpy-fresh:CLARABEL,highs-direct,structured"])
def test_no_column_is_left_out_and_no_figure_is_cut(width: int, scale: float, solver: str) -> None:
    text = printed(width, figures(solver, scale, {"first": 1, "changed": 123, "stalled": 9}), figures("scs", 1.0, {}))
    heads = " ".join(line for line in text.splitlines() if line.strip().startswith("solver"))
    assert all(column in heads for column in COLUMNS)
    assert "…" not in text
    assert max(map(len, text.splitlines())) <= width
    for value in (1.25, 2.25, 3.25, 4.25):
        assert f"{value * scale:.2f}" in text
    assert f"{5.0 * scale:.0f}" in text
    assert all(cell in text for cell in ("1.5e-10", "2.5e-12", "0.125", "0.875", "0.062", "17"))


def test_with_room_it_is_one_table() -> None:
    assert printed(120, figures("highs-direct", 1.0, {"fresh": 59})).count("solver") == 1
    assert printed(80, figures("highs-direct", 1.0, {"fresh": 59})).count("solver") == 2
