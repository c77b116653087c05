"""Every page in letters that are wider, narrower or of another family: nothing is cut, overlaps or runs off it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import pytest
from chromium import run_in_chromium
from large_run import LargeRun, write_large_run
from sample_publication import publication
from synthetic_run import RunShape, write_run

from phasewise.reports.html import write_report
from phasewise.reports.published import write_pages
from phasewise.reports.run_directory import load_run
from phasewise.reports.viewer.page import write_viewer

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

KEPT = Path(__file__).resolve().parents[2] / "docs" / "reports" / "index.html"
PAGES = ("report of two runs", "viewer of one run", "viewer of two runs", "published sample", "published and kept")
VIEWS = [f"{size}, {hand}" for size in ("phone", "tablet", "wide") for hand in ("narrow", "wide", "typewriter")]
DAILY = ("phone, narrow", "phone, wide", "phone, typewriter", "wide, wide")
"""Where there is least room, in every hand, and the widest letters where most is side by side."""
SHARED = LargeRun(
    nodes_per_type=(1, 12, 10), gpus_per_node=(2, 8, 4), spare_gpus=1, rounds=150, jobs=600, churn=0.05, shared=0.4
)
WHOLE = LargeRun(
    nodes_per_type=(3, 12), gpus_per_node=(4, 8), spare_gpus=0, rounds=300, jobs=400, seed=3, round_s=400.0
)

FRAGILE = """<!doctype html>
<meta name="viewport" content="width=device-width">
<style>
body { margin: 0; font: 16px sans-serif; }
p { white-space: nowrap; }
.cut { width: 6em; overflow: hidden; }
.overlapping { display: grid; grid-template-columns: 40px 40px; }
.contained { contain: size; height: 2em; width: 3em; }
.off { position: absolute; left: 0; top: 300px; }
</style>
<body>
<p class="cut">a label that is cut</p>
<p class="overlapping"><b>left of it</b><b>right</b></p>
<p class="contained">by itself</p>
<p class="off">a line that is longer than any phone is wide runs off it at its right end, whatever the font may be</p>
<canvas width="100" height="40"></canvas>
<script>
document.querySelector("canvas").getContext("2d").fillText("a title that is longer than its canvas", 0, 20);
document.documentElement.dataset.ready = "true";
</script>
"""


def inspect(views: Sequence[str], *pages: tuple[Path, str]) -> list[dict[str, Any]]:
    """Return by view what is wrong with the text of each page, given with the attribute that says it is ready."""
    wish_file = pages[0][0].parent / "fonts.wishes.json"
    wish_file.write_text(json.dumps([{"page": str(page), "ready": ready, "views": views} for page, ready in pages]))
    return cast("list[dict[str, Any]]", run_in_chromium("inspect_fonts.mjs", wish_file))


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Path, str]]:
    folder = tmp_path_factory.mktemp("fonts")
    run = load_run(write_run(folder / "run", RunShape(rounds=900, jobs=250)))
    other = load_run(write_run(folder / "other", RunShape(rounds=1, jobs=1, lp=False)))
    shared = load_run(write_large_run(folder / "shared", SHARED))
    whole = load_run(write_large_run(folder / "whole", WHOLE))
    write_pages([publication(), publication("alibaba", "Alibaba scale", heavier=4.0)], folder / "published")
    return [
        (write_report([run, other], folder / "report.html"), "ready"),
        (write_viewer([shared], folder / "one.html"), "viewer"),
        (write_viewer([whole, shared], folder / "two.html"), "viewer"),
        (folder / "published" / "index.html", "ready"),
        (KEPT, "ready"),
    ]


@pytest.fixture(scope="module")
def seen(made: list[tuple[Path, str]]) -> dict[str, dict[str, Any]]:
    return dict(zip(PAGES, inspect(DAILY, *made), strict=True))


@pytest.fixture(scope="module")
def seen_at_night(made: list[tuple[Path, str]]) -> dict[str, dict[str, Any]]:
    return dict(zip(PAGES, inspect([view for view in VIEWS if view not in DAILY], *made), strict=True))


def require_whole(met: dict[str, Any]) -> None:
    assert met["cut"] == []
    assert met["overlaps"] == []
    assert met["off"] == []
    assert met["overflow"] <= 0
    assert met["lines"] > 50
    assert met["written"] > 5  # canvases


@pytest.mark.parametrize("view", DAILY)
@pytest.mark.parametrize("page", PAGES)
def test_no_text_is_cut_overlaps_or_runs_off_the_page(seen: dict[str, dict[str, Any]], page: str, view: str) -> None:
    require_whole(seen[page][view])


@pytest.mark.nightly
@pytest.mark.parametrize("page", PAGES)
def test_neither_does_any_in_the_other_views(seen_at_night: dict[str, dict[str, Any]], page: str) -> None:
    for view, met in seen_at_night[page].items():
        require_whole(met | {"view": view})


def test_a_page_that_depends_on_its_font_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(FRAGILE)
    (met,) = inspect([view for view in VIEWS if view.endswith(", wide")], (page, "ready"))
    for size in ("phone", "tablet", "wide"):
        wide = met[f"{size}, wide"]
        assert set(wide["cut"]) == {
            "a label that is cut",
            "by itself",
            "on a canvas: a title that is longer than its canvas",
        }
        assert wide["overlaps"] == [["left of it", "right"]]
    assert met["phone, wide"]["overflow"] > 0
    assert len(met["phone, wide"]["off"]) == 1
