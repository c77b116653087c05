"""A study's page: what is on it, without a browser."""

from __future__ import annotations

import json
import re
from html import unescape
from pathlib import Path
from typing import Any

import pytest
from figure_sources import real_study, write_fill
from sample_study import write_table

from phasewise.reports import study_page
from phasewise.reports.errors import FigureError, ReportWriteError
from phasewise.reports.figure_files import making


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a study with run directories, one of which has a report."""
    folder = real_study(tmp_path_factory.mktemp("page") / "study")
    (folder / "points" / "isolated-1" / "report.html").write_text("<html></html>")
    return folder


@pytest.fixture(scope="module")
def page(study: Path) -> str:
    return study_page.write(study).read_text("utf-8")


def payload(page: str) -> dict[str, Any]:
    (text,) = re.findall(r'<script type="application/json" id="payload">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


def test_every_point_stands_in_the_table_with_its_link(page: str) -> None:
    rows = re.findall(r'<tr data-keys="(.*?)">\s*<th data-order="(.*?)">(?:<a href="(.*?)">)?', page)
    # isolated-1 and isolated-2 are one directory here
    assert [(json.loads(unescape(keys)), point, link) for keys, point, link in rows] == [
        ({"policy.name": policy, "workload.rate_per_hour": rate}, f"{policy}-{rate}", f"points/{policy}-{rate}/{file}")
        for policy, file in (("fifo_perf", "run.json"), ("isolated", "report.html"))
        for rate in ("1", "2")
    ]


def test_the_figures_are_those_of_the_files(page: str, study: Path) -> None:
    (shown,) = [figure for figure in payload(page)["figures"] if figure["name"] == "jct-vs-rate"]
    figure = making.prepare("jct-vs-rate", [study])
    for drawn, series in zip(shown["panels"][0]["series"], figure.panels[0].series, strict=True):
        assert drawn["label"] == series.label
        assert drawn["x"] == pytest.approx(series.x)
        assert drawn["y"] == pytest.approx(series.y, rel=1e-5)


def test_every_run_is_a_dot_that_leads_to_it(page: str) -> None:
    figures = {figure["name"]: figure for figure in payload(page)["figures"]}
    for name in ("jct-vs-rate", "makespan"):
        dots = figures[name]["panels"][0]["dots"]
        assert [dot["link"].split("/")[1] for dot in dots] == ["fifo_perf-1", "fifo_perf-2", "isolated-1", "isolated-2"]
        labels = {series["label"] for series in figures[name]["panels"][0]["series"]}
        names = {category["label"] for category in figures[name]["panels"][0]["categories"]}
        assert {dot["label"] for dot in dots} <= labels | names


def test_the_page_asks_for_nothing_and_is_the_same_each_time(page: str, study: Path) -> None:
    assert not re.search(r"""(?:src|href)=["'](?!points/|figures/|data:)""", page)
    assert study_page.write(study).read_text("utf-8") == page


def test_a_figure_that_cannot_be_made_says_why(tmp_path: Path) -> None:
    rows = [{"point": "p0", "policy.name": "a", "seed": 0, "status": "complete", "makespan_s": 3600.0}]
    rows += [{"point": "p1", "policy.name": "<b>", "seed": 0, "status": "failed", "message": "no room: </script>"}]
    page = study_page.write(write_table(tmp_path / "study", rows)).read_text("utf-8")
    assert "none of the points of the study has a run directory yet" in page
    assert "</script>" not in page.partition('id="points"')[2].partition("</table>")[0]
    assert payload(page)["figures"][0]["panels"][0]["categories"][0]["label"] == "a"


def test_the_study_chooses_its_figures(tmp_path: Path) -> None:
    rows = [{"point": "p0", "seed": 0, "status": "complete", "makespan_s": 3600.0}]
    settings = '[study]\nname = "s"\nkind = "run"\n[figures]\nnames = ["makespan", "no-such"]\n'
    page = study_page.write(write_table(tmp_path / "study", rows, settings)).read_text("utf-8")
    assert re.findall(r'<section class="shown" id="(.*?)">', page) == ["makespan", "no-such"]
    assert "there is no figure &#39;no-such&#39;" in page


def test_of_a_large_study_only_what_can_be_read_is_shown(tmp_path: Path) -> None:
    rows = [
        {"point": f"p{rate}", "workload.rate_per_hour": float(rate), "status": "complete", "avg_jct_s": 3600.0}
        for rate in range(1, 31)
    ]
    page = study_page.write(write_table(tmp_path / "study", rows)).read_text("utf-8")
    assert re.findall(r'<section class="shown" id="(.*?)">', page) == ["jct-vs-rate"]


def test_a_point_that_has_not_run_is_worth_nothing(tmp_path: Path) -> None:
    rows = [{"point": "p0", "seed": 0, "status": "complete", "makespan_s": 3600.0}]
    rows += [{"point": "p1", "seed": 1, "status": None, "makespan_s": None}]
    page = study_page.write(write_table(tmp_path / "study", rows)).read_text("utf-8")
    row = page.partition('data-order="p1"')[2].partition("</tr>")[0]
    assert "not run" in row
    assert "complete" not in row


def test_a_study_of_fills_shows_what_placements_leave_unusable(tmp_path: Path) -> None:
    folder = tmp_path / "study"
    rows = []
    for placement in ("fgd", "random"):
        curves = {
            "arrived_load_pct": [0, 1],
            "alloc_pct": [0, 1],
            "frag_pct_of_total": [1, 2],
            "frag_pct_of_idle": [1, 2],
        }
        write_fill(folder / "points" / placement, placement, 1, curves)
        rows.append(
            {"point": placement, "placement.name": placement, "seed": 1, "status": "complete", "alloc_pct": 1.0}
        )
    settings = '[study]\nname = "fgd-fig7"\nkind = "inflate"\n'
    page = study_page.write(write_table(folder, rows, settings)).read_text("utf-8")
    (figure,) = payload(page)["figures"]
    assert figure["name"] == "fragmentation"
    labels = {series["label"] for series in figure["panels"][0]["series"]}
    assert {"fgd", "random", "fgd, paper", "random, paper"} <= labels


def test_what_is_no_study_is_one_message(tmp_path: Path) -> None:
    with pytest.raises(FigureError, match=r"study\.toml: cannot be read"):
        study_page.write(tmp_path)


def test_a_page_that_cannot_be_written_is_one_message(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_page, "PAGE", "no/such/folder.html")
    with pytest.raises(ReportWriteError, match="cannot be written"):
        study_page.write(study)
