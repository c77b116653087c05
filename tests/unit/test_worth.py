"""Where a mean is not one, every place that shows it says so."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import msgspec
import pytest
from rich.console import Console
from synthetic_run import RunShape, write_run

from phasewise.profiling.artefacts.run_json import Drift, LostGpuTime, Slowdown
from phasewise.reports.compare import compare_runs
from phasewise.reports.html import render_page
from phasewise.reports.run_directory import Run, load_run
from phasewise.reports.terminal import render_summary
from phasewise.reports.worth import doubts, drift_text, piles_up

PILING = Drift(share=0.153, low=0.122, high=0.183)
WANDERING = Drift(share=0.02, low=-0.03, high=0.07)
LENGTH = "15.3 % (12.2 to 18.3) of arrivals pile up: JCT measures the length of the run, not the policy"
GROWING = "15.3 % (12.2 to 18.3) of arrivals pile up: the number of active jobs kept growing"
CENSORED = {"censored": True, "jct_jobs": 578, "window_jobs": 1000, "avg_jct_lower_bound_s": 153_000.0}


def with_figures(run: Run, status: str, **figures: object) -> Run:
    return replace(run, status=status, summary=msgspec.structs.replace(run.summary, **figures))  # type: ignore[arg-type]


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return load_run(write_run(tmp_path / "run", RunShape(rounds=40, jobs=30)))


def printed(run: Run, capsys: pytest.CaptureFixture[str]) -> str:
    render_summary(run, Console(width=100))
    return " ".join(capsys.readouterr().out.split())


def page_of(run: Run, folder: Path) -> str:
    return " ".join(render_page([run], folder).replace("\u202f", " ").split())


def test_an_overloaded_run_says_that_its_mean_measures_its_length(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = with_figures(run, "overloaded", drift=PILING, **CENSORED)
    for text in (printed(told, capsys), page_of(told, tmp_path)):
        assert LENGTH in text
        assert (
            "JCT is over 578 of 1 000 counted jobs; with the unfinished ones at their current age it is at least 42.5 h"
            in text
        )
    assert any(caution.endswith(f"{run.path}: 15.3 % (12.2 to 18.3)") for caution in compare_runs([run, told]).cautions)


def test_a_run_that_completed_while_jobs_piled_up_warns_of_it(
    run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    told = with_figures(run, "complete", drift=PILING, censored=False)
    for text in (printed(told, capsys), page_of(told, tmp_path)):
        assert GROWING in text
        assert "beware" not in text or "mean JCT depends on when it is taken" in text
    assert any("15.3 % (12.2 to 18.3)" in caution for caution in compare_runs([told, run]).cautions)


def test_a_mean_that_is_one_has_no_doubts(run: Run, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for drift in (None, WANDERING):
        told = with_figures(run, "complete", drift=drift, censored=False)
        assert doubts("complete", told.summary) == []
        assert "beware" not in printed(told, capsys)
        assert "pile up" not in page_of(told, tmp_path)
    assert compare_runs([run, with_figures(run, "complete", drift=WANDERING)]).cautions == ()


def test_an_overloaded_run_without_a_drift_is_told_as_well(run: Run) -> None:
    old = with_figures(run, "overloaded", drift=None, censored=None)  # as of schema 1
    assert doubts("overloaded", old.summary) == [
        "more work arrives than is completed: JCT measures the length of the run"
    ]


def test_a_window_of_which_nobody_has_arrived_has_no_bound(run: Run) -> None:
    told = with_figures(run, "stopped", censored=True, jct_jobs=0, window_jobs=10, avg_jct_lower_bound_s=None)
    assert doubts("stopped", told.summary) == [
        "the mean JCT is over 0 of 10 counted jobs: none of the others has arrived"
    ]


def test_jobs_pile_up_where_the_whole_interval_says_so() -> None:
    assert piles_up(PILING)
    assert not piles_up(WANDERING)
    assert not piles_up(Drift(share=0.2, low=0.005, high=0.3))
    assert drift_text(WANDERING) == "2.0 % (-3.0 to 7.0)"
    assert drift_text(None) == "–"


def test_the_report_and_the_comparison_show_the_figures_beside_the_mean(run: Run, tmp_path: Path) -> None:
    figures = {
        "slowdown": Slowdown(mean=3.25, p95=7.0, p99=9.5, worst=11.0, jobs=30),
        "jain": 0.91,
        "restarts_per_job": 1.5,
        "moves_per_job": 2.5,
        "offered_load": 0.87,
        "lost_gpu_s": LostGpuTime(migration=3600.0, round_end=7200.0, fragmented=10_800.0, no_work=14_400.0),
    }
    told = with_figures(run, "complete", **figures)
    page = page_of(told, tmp_path)
    for text in ("3.25 / 9.50", "0.910", "1.50 / 2.50", "87.0 %", "10.0 GPU h", "3.00 GPU h idle while jobs waited"):
        assert text in page
    rows = {row.label: row.values[0] for row in compare_runs([told, told]).metrics}
    assert rows["slowdown, p99"] == 9.5
    assert rows["idle, no work"] == pytest.approx(4.0)
    assert rows["offered load"] == pytest.approx(87.0)
