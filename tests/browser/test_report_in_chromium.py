"""The report in a real Chromium: it draws every chart, fits a phone, and shows the run's own numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chromium import run_in_chromium
from synthetic_run import RunShape, write_run

from phasewise.reports.figures import phase_rows
from phasewise.reports.html import write_report
from phasewise.reports.quantities import count, number, percent
from phasewise.reports.run_directory import Run, load_run

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

VIEWS = ("wide-light", "wide-dark", "phone")


def inspect(page: Path) -> dict[str, Any]:
    """Return what a reader meets on the page, by view."""
    return run_in_chromium("inspect_report.mjs", page)


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Run:
    return load_run(write_run(tmp_path_factory.mktemp("browser") / "run", RunShape(rounds=900, jobs=250)))


@pytest.fixture(scope="module")
def views(run: Run) -> dict[str, Any]:
    return inspect(write_report([run], run.path / "report.html"))


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_has_no_errors_and_asks_for_nothing(views: dict[str, Any], view: str) -> None:
    assert views[view]["problems"] == []
    assert views[view]["requests"] == []


@pytest.mark.parametrize("view", VIEWS)
def test_every_chart_is_drawn(views: dict[str, Any], view: str) -> None:
    charts = {chart["key"]: chart for chart in views[view]["charts"]}
    assert {"r0-time", "r0-lp", "r0-jobs", "r0-utilisation", "r0-jct", "r0-jct_share", "r0-memory"} <= set(charts)
    for chart in charts.values():
        width, height = chart["box"]
        assert width > 250, chart
        assert height > 150, chart
        assert chart["inked"] > 1000, chart


@pytest.mark.parametrize("view", VIEWS)
def test_nothing_overflows_sideways(views: dict[str, Any], view: str) -> None:
    assert views[view]["overflow"] <= 0


@pytest.mark.parametrize("view", VIEWS)
def test_the_phase_table_shows_the_numbers_of_the_run(views: dict[str, Any], view: str, run: Run) -> None:
    rounds, total = run.summary.rounds, sum(phase.cpu_s for phase in run.summary.phases.values())
    expected = {
        name: [
            percent(phase.cpu_s / total),
            number(phase.cpu_s / rounds * 1e3),
            number(phase.wall_s / rounds * 1e3),
            number(phase.cpu_s * 1e3),
            number(phase.wall_s * 1e3),
            count(phase.calls if name != "other" else None),
        ]
        for name, phase in run.summary.phases.items()
    }
    assert views[view]["phases"] == expected
    assert list(views[view]["phases"]) == [row.name for row in phase_rows(run.summary)]


@pytest.mark.parametrize("view", VIEWS)
def test_a_pointer_over_a_chart_reads_out_every_layer(views: dict[str, Any], view: str, run: Run) -> None:
    readout = views[view]["readout"]
    assert readout.startswith("Round ")
    assert "sum" in readout
    for name in run.summary.phases:
        assert name in readout


def test_light_and_dark_differ(views: dict[str, Any]) -> None:
    assert views["wide-light"]["background"] != views["wide-dark"]["background"]


def test_a_page_of_two_runs_draws_both(run: Run, tmp_path: Path) -> None:
    other = load_run(write_run(tmp_path / "other", RunShape(rounds=1, jobs=1, lp=False)))
    seen = inspect(write_report([run, other], tmp_path / "report.html"))
    for view in VIEWS:
        assert seen[view]["problems"] == []
        assert seen[view]["overflow"] <= 0
        keys = [chart["key"] for chart in seen[view]["charts"]]
        assert keys[:2] == ["jct_share", "jct"]
        assert {"r0-time", "r1-time", "usage", "round"} <= set(keys)
        assert all(chart["inked"] > 500 for chart in seen[view]["charts"])
