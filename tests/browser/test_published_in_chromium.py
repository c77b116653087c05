"""The published page in a real Chromium: every chart drawn, nothing overlapping, nothing asked of a network."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chromium import run_in_chromium
from sample_publication import publication

from phasewise.reports.published import write_pages

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

ROOT = Path(__file__).resolve().parents[2]
KEPT = ROOT / "docs" / "reports"
VIEWS = ("wide-light", "wide-dark", "phone")
SCALES = ("philly", "alibaba", "million")
CHARTS = {f"{scale}-{what}" for scale in SCALES for what in ("growth", "shares", "whatif", "memory")}


@pytest.fixture(scope="module", params=["sample", "kept"])
def views(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Return what a reader meets, by view: on a page of invented figures, and on the one that is kept."""
    if request.param == "kept":
        return run_in_chromium("inspect_published.mjs", KEPT / "index.html")
    out = tmp_path_factory.mktemp("published")
    larger = [
        publication("alibaba", "Alibaba scale", heavier=4.0),
        publication("million", "A million jobs", heavier=9.0),
    ]
    write_pages([publication(), *larger], out)
    return run_in_chromium("inspect_published.mjs", out / "index.html")


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_has_no_errors_and_asks_for_nothing(views: dict[str, Any], view: str) -> None:
    assert views[view]["problems"] == []
    assert views[view]["requests"] == []
    assert views[view]["broken"] == []


@pytest.mark.parametrize("view", VIEWS)
def test_every_chart_is_drawn(views: dict[str, Any], view: str) -> None:
    charts = {chart["key"]: chart for chart in views[view]["charts"]}
    assert set(charts) == CHARTS
    for chart in charts.values():
        assert chart["width"] > 300, chart
        assert chart["height"] > 200, chart
        assert chart["inked"] > 1000, chart


@pytest.mark.parametrize("view", VIEWS)
def test_no_two_labels_overlap_and_none_is_cut(views: dict[str, Any], view: str) -> None:
    assert views[view]["touching"] == []
    assert views[view]["cut"] == []


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_fits_its_window(views: dict[str, Any], view: str) -> None:
    assert views[view]["overflow"] <= 0


def test_light_and_dark_differ(views: dict[str, Any]) -> None:
    assert views["wide-light"]["background"] != views["wide-dark"]["background"]


def test_the_kept_profiles_ask_for_nothing() -> None:
    pages = sorted(KEPT.glob("*/*.html"))
    assert len(pages) == len(SCALES)
    assert [page.name for page in pages if "https://fonts" in page.read_text(encoding="utf-8")] == []
    assert all(page.stat().st_size < 1_000_000 for page in KEPT.rglob("*") if page.is_file())


def test_every_link_of_the_kept_page_leads_to_a_file() -> None:
    seen = run_in_chromium("inspect_published.mjs", KEPT / "index.html")["wide-light"]["links"]
    files = [link for link in seen if not link.startswith("#")]
    assert files
    assert [link for link in files if not (KEPT / link).is_file()] == []
