"""Every page in letters that are wider, narrower or of another family: nothing is cut, overlaps or runs off it."""

from __future__ import annotations

import json
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


def inspect(*pages: tuple[Path, str]) -> list[dict[str, Any]]:
    """Return by view what is wrong with the text of each page, given with the attribute that says it is ready."""
    wish_file = pages[0][0].parent / "fonts.wishes.json"
    wish_file.write_text(json.dumps([{"page": str(page), "ready": ready} for page, ready in pages]))
    return cast("list[dict[str, Any]]", run_in_chromium("inspect_fonts.mjs", wish_file, timeout_s=300))


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    folder = tmp_path_factory.mktemp("fonts")
    run = load_run(write_run(folder / "run", RunShape(rounds=900, jobs=250)))
    other = load_run(write_run(folder / "other", RunShape(rounds=1, jobs=1, lp=False)))
    shared = load_run(write_large_run(folder / "shared", SHARED))
    whole = load_run(write_large_run(folder / "whole", WHOLE))
    write_pages([publication(), publication("alibaba", "Alibaba scale", heavier=4.0)], folder / "published")
    met = inspect(
        (write_report([run, other], folder / "report.html"), "ready"),
        (write_viewer([shared], folder / "one.html"), "viewer"),
        (write_viewer([whole, shared], folder / "two.html"), "viewer"),
        (folder / "published" / "index.html", "ready"),
        (KEPT, "ready"),
    )
    return dict(zip(PAGES, met, strict=True))


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("page", PAGES)
def test_no_text_is_cut_overlaps_or_runs_off_the_page(seen: dict[str, dict[str, Any]], page: str, view: str) -> None:
    met = seen[page][view]
    assert met["cut"] == []
    assert met["overlaps"] == []
    assert met["off"] == []
    assert met["overflow"] <= 0
    assert met["lines"] > 50
    assert met["written"] > 5  # canvases


def test_a_page_that_depends_on_its_font_is_found(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text(FRAGILE)
    (met,) = inspect((page, "ready"))
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
