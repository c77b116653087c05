"""Runs side by side, and on a terminal."""

from __future__ import annotations

import io
import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import numpy as np
import pytest
from rich.console import Console
from synthetic_run import PHASES_US, RunShape, write_run

from phasewise.reports.compare import Comparison, compare_runs
from phasewise.reports.errors import ComparisonError
from phasewise.reports.figures import phase_rows
from phasewise.reports.run_directory import Run, Summary, load_run
from phasewise.reports.terminal import render_comparison, render_summary


def made(folder: Path, **shape: object) -> Run:
    return load_run(write_run(folder, RunShape(**{"rounds": 120, "jobs": 40, **shape})))


def row(comparison: Comparison, table: str, label: str) -> tuple[tuple[float | None, ...], tuple[float | None, ...]]:
    found = next(item for item in getattr(comparison, table) if item.label == label)
    return found.values, found.ratios


def printed(draw: object, *, width: int = 80, encoding: str = "utf-8") -> str:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding, newline="\n")
    draw(Console(file=file, width=width))
    file.flush()
    return file.buffer.getvalue().decode(encoding)


@pytest.fixture
def pair(tmp_path: Path) -> list[Run]:
    return [made(tmp_path / "fast"), made(tmp_path / "slow", solver="cvxpy-fresh:ECOS", lp_factor=6.0)]


def test_phases_are_per_round_and_add_up_to_the_loop(pair: list[Run]) -> None:
    comparison = compare_runs(pair)
    rows = {item.label: item.values for item in comparison.wall_ms}
    assert set(rows) == {*PHASES_US, "other", "total"}
    for index, run in enumerate(pair):
        solve_ms = run.summary.phases["lp_solve"].wall_s / run.summary.rounds * 1e3
        assert rows["lp_solve"][index] == pytest.approx(solve_ms)
        assert sum(values[index] for name, values in rows.items() if name != "total") == pytest.approx(
            rows["total"][index]
        )
    shares = {item.label: item.values for item in comparison.shares}
    assert shares["total"] == pytest.approx((100.0, 100.0))


def test_ratios_are_against_the_first_run(pair: list[Run]) -> None:
    comparison = compare_runs(pair)
    assert row(comparison, "wall_ms", "lp_build")[1] == pytest.approx((1.0, 6.0))
    assert row(comparison, "metrics", "jobs failed")[1] == (None, None)


def test_solver_statistics_are_those_of_the_rounds_with_a_solve(pair: list[Run]) -> None:
    comparison = compare_runs(pair)
    rounds = pair[0].rounds
    solved = rounds.numbers("lp_solved") > 0
    build_ms = 1e3 * rounds.numbers("phase_lp_build_cpu_s")[solved]
    assert row(comparison, "solver", "rounds with a solve")[0][0] == solved.sum()
    assert row(comparison, "solver", "build CPU, median")[0][0] == pytest.approx(np.median(build_ms))
    assert row(comparison, "solver", "build CPU, p95")[0][0] == pytest.approx(np.quantile(build_ms, 0.95))
    assert row(comparison, "solver", "worst gap")[0][0] == pytest.approx(np.nanmax(rounds.numbers("lp_gap")))
    assert row(comparison, "solver", "worst gap")[1] == (None, None)
    assert comparison.rebuilds[0] == {"fresh": solved.sum() - 1, "first": 1}


def test_another_solver_is_the_experiment_and_no_obstacle(pair: list[Run]) -> None:
    comparison = compare_runs(pair)
    assert [item.key for item in comparison.scenario] == ["solver.name"]
    assert comparison.scenario[0].values == ("highs-direct", "cvxpy-fresh:ECOS")
    assert comparison.cautions == ()


def test_other_work_is_not_comparable_and_says_which_keys_differ(tmp_path: Path) -> None:
    other = {"workload": {"rate_per_hour": 5.0, "scale_factors": "single"}}
    comparison = compare_runs([made(tmp_path / "a"), made(tmp_path / "b", seed=8, scenario=other)])
    assert {item.key for item in comparison.scenario} == {
        "seed", "workload.jobs", "workload.rate_per_hour", "workload.trace",
    }  # fmt: skip
    assert len(comparison.cautions) == 1
    assert comparison.cautions[0].startswith("not comparable")
    assert "workload.rate_per_hour" in comparison.cautions[0]


def test_another_machine_makes_times_not_comparable_but_another_commit_does_not(tmp_path: Path) -> None:
    first = made(tmp_path / "a")
    commit = made(tmp_path / "b", environment={"commit": "0" * 40, "dirty": True})
    machine = made(tmp_path / "c", environment={"cpu": "Another CPU"})
    assert compare_runs([first, commit]).cautions == ()
    assert compare_runs([first, machine]).cautions == (
        "times are not comparable: the runs were made in different environments (differing: cpu)",
    )


def test_a_run_that_did_not_complete_is_pointed_out(tmp_path: Path) -> None:
    comparison = compare_runs([made(tmp_path / "a"), made(tmp_path / "b", status="overloaded")])
    assert comparison.cautions[0] == "JCT covers only finished jobs (a lower bound) in runs that did not complete: b"


def test_a_run_that_left_jobs_unfinished_is_pointed_out_and_one_that_did_not_is_not(tmp_path: Path) -> None:
    done, left = (
        replace(run, summary=msgspec.structs.replace(run.summary, censored=censored))
        for run, censored in ((made(tmp_path / "a", status="stopped"), False), (made(tmp_path / "b"), True))
    )
    said = [caution for caution in compare_runs([done, left]).cautions if caution.startswith("JCT covers")]
    assert said == ["JCT covers only finished jobs (a lower bound) in runs that did not complete: b"]


def test_a_mean_over_some_of_the_jobs_is_told_with_its_lower_bound(pair: list[Run]) -> None:
    figures = {"censored": True, "jct_jobs": 12, "window_jobs": 20, "avg_jct_lower_bound_s": 36_000.0}
    run = replace(pair[0], summary=msgspec.structs.replace(pair[0].summary, **figures))
    text = " ".join(printed(lambda console: render_summary(run, console)).split())
    assert (
        "JCT is over 12 of 20 counted jobs; with the unfinished ones at their current age it is at least 10.0 h" in text
    )
    assert row(compare_runs([run, run]), "metrics", "JCT, lower bound")[0] == (10.0, 10.0)


def test_runs_that_were_cut_at_the_same_time_differ_in_no_period(tmp_path: Path) -> None:
    comparison = compare_runs([made(tmp_path / name, status="stopped") for name in "ab"])
    assert comparison.cautions == ("JCT covers only finished jobs (a lower bound) in runs that did not complete: a, b",)


def windowed(folder: Path, window: tuple[int, int] | None, rounds: int = 120, status: str = "complete") -> Run:
    run = made(folder, rounds=rounds, status=status)
    return replace(run, summary=msgspec.structs.replace(run.summary, window=window))


@pytest.mark.parametrize(
    ("one", "other", "told"),
    [
        (((5, 9), 120), ((5, 9), 120, "stopped"), "a: complete with the window 5:9 after 12.0 h; b: stopped"),
        ((None, 120, "stopped"), (None, 240, "stopped"), "a: stopped after 12.0 h; b: stopped after 24.0 h"),
        (((5, 9), 120), ((5, 10), 120), "window 5:9 after 12.0 h; b: complete with the window 5:10 after 12.0 h"),
        (((5, 9), 120), (None, 120), "window 5:9 after 12.0 h; b: complete after 12.0 h"),
        (((5, 9), 120), ((5, 9), 127), "window 5:9 after 12.0 h; b: complete with the window 5:9 after 12.7 h"),
    ],
    ids=["one was cut", "cut at other times", "other windows", "a window and none", "jobs kept arriving for longer"],
)
def test_runs_over_different_periods_are_pointed_out(
    one: tuple[Any, ...], other: tuple[Any, ...], told: str, tmp_path: Path
) -> None:
    cautions = compare_runs([windowed(tmp_path / "a", *one), windowed(tmp_path / "b", *other)]).cautions
    (said,) = (
        caution for caution in cautions if caution.startswith("makespan and utilisation cover different periods")
    )
    assert told in said


@pytest.mark.parametrize(
    ("window", "rounds"), [((5, 9), 126), (None, 240)], ids=["within what any two policies differ by", "all jobs done"]
)
def test_a_makespan_that_is_a_result_is_no_reason_for_a_caution(
    window: tuple[int, int] | None, rounds: int, tmp_path: Path
) -> None:
    assert compare_runs([windowed(tmp_path / "a", window), windowed(tmp_path / "b", window, rounds)]).cautions == ()


def test_runs_of_one_name_are_told_apart_by_their_paths(tmp_path: Path) -> None:
    runs = [made(tmp_path / "x" / "run"), made(tmp_path / "y" / "run")]
    assert compare_runs(runs).names == (str(runs[0].path), str(runs[1].path))


def test_one_run_alone_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(ComparisonError, match="1 run given"):
        compare_runs([made(tmp_path / "a")])


def test_a_comparison_is_valid_json(pair: list[Run]) -> None:
    content = json.loads(json.dumps(compare_runs(pair).as_json(), allow_nan=False))
    assert content["comparable"] is True
    assert content["wall_ms"]["lp_solve"]["unit"] == "ms"
    assert content["metrics"]["makespan"]["ratios"] == [1.0, 1.0]


def test_a_run_without_a_solve_has_no_solver_figures(tmp_path: Path) -> None:
    comparison = compare_runs([made(tmp_path / "a"), made(tmp_path / "b", lp=False)])
    assert row(comparison, "solver", "solve CPU, median")[0][1] is None
    assert comparison.rebuilds[1] == {}


@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_summary_fits_80_columns_and_is_plain_without_a_terminal(pair: list[Run], encoding: str) -> None:
    text = printed(lambda console: render_summary(pair[1], console), encoding=encoding)
    assert max(map(len, text.splitlines())) <= 80
    assert "\x1b" not in text
    assert "…" not in text
    for phase in phase_rows(pair[1].summary):
        line = next(line for line in text.splitlines() if line.startswith(phase.name))
        assert f"{phase.share * 100:.1f} %" in line


def test_an_empty_summary_says_that_there_is_no_phase_table() -> None:
    text = printed(lambda console: render_summary(Summary(), console))
    assert "there is no phase table" in text


def test_a_run_on_nodes_says_which_idle_gpus_are_of_use(pair: list[Run]) -> None:
    use = {
        "frag_rate_mean": 0.0319,
        "fragmented_gpus_mean": 1152.78,
        "occupied_nodes_mean": 347.4,
        "unallocated_gpus_mean": 4776.39,
        "unplaced_mean": 2.5,
    }
    run = replace(pair[0], summary=msgspec.structs.replace(pair[0].summary, **use))
    text = printed(lambda console: render_summary(run, console))
    assert max(map(len, text.splitlines())) <= 80
    for told in ("idle GPUs, mean     4 776", "1 153, 3.2 % of idle", "nodes used, mean    347", "2.50 jobs"):
        assert told in text
    assert row(compare_runs([run, pair[1]]), "metrics", "fragmented of idle, mean")[0] == (pytest.approx(3.19), None)


def test_figures_of_nodes_are_left_out_where_jobs_span_them(pair: list[Run]) -> None:
    assert "fragmented" not in printed(lambda console: render_summary(pair[0], console))
    assert "nodes used, mean" not in {row.label for row in compare_runs(pair).metrics}


def test_markup_in_a_name_is_printed_as_it_is(tmp_path: Path) -> None:
    run = made(tmp_path / "a", scenario={"name": "[bold]x[/]"})
    assert "[bold]x[/]" in printed(lambda console: render_summary(run, console))


def test_a_printed_comparison_names_runs_cautions_and_units(tmp_path: Path) -> None:
    runs = [made(tmp_path / "a"), made(tmp_path / "b", environment={"cpu": "Another CPU"})]
    text = printed(lambda console: render_comparison(compare_runs(runs), console))
    assert "times are not comparable" in text.replace("\n", " ")
    assert max(map(len, text.splitlines())) <= 100
    for label in ("average JCT", "rounds per CPU second", "lp_build", "solve CPU, p95", "models built"):
        assert label in text


def test_a_comparison_of_many_runs_keeps_every_column(tmp_path: Path) -> None:
    run = made(tmp_path / "a")
    text = printed(lambda console: render_comparison(compare_runs([run] * 7), console))
    assert "G/A" in text
    assert "…" not in text


@pytest.mark.parametrize(
    ("rebuilds", "rate", "told"),
    [({"first": 1}, 0.98, "98.0"), ({"fresh": 60}, 0.0, None), ({}, None, None), (None, None, None)],
)
def test_reused_models_are_told_of_solvers_that_keep_one(
    rebuilds: dict[str, int] | None, rate: float | None, told: str | None, tmp_path: Path
) -> None:
    run = made(tmp_path / "run")
    run = replace(run, summary=msgspec.structs.replace(run.summary, lp_rebuilds=rebuilds, lp_reuse_rate=rate))
    comparison = compare_runs([run, run])
    assert row(comparison, "metrics", "models reused")[0] == pytest.approx((98.0, 98.0) if told else (None, None))
    said = printed(lambda console: render_summary(run, console))
    assert ("reused" in said) == (told is not None)
    assert told is None or f"{told} % reused" in said
