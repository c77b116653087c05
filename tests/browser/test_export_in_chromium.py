"""Every chart of a page is saved as SVG, PNG and CSV: whole, legible by itself, with the values that were drawn."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

import pytest
from chromium import run_in_chromium
from sample_publication import publication
from sample_study import write_rates
from synthetic_run import RunShape, write_run
from trace_samples import SAMPLES

from phasewise.bench.cli.tracing import described
from phasewise.reports import study_page
from phasewise.reports.figures import phase_rows
from phasewise.reports.html import write_report
from phasewise.reports.published import write_pages
from phasewise.reports.run_directory import load_run
from phasewise.reports.viewer.page import write_viewer

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

SHAPE = RunShape(rounds=60, jobs=30)


def report(folder: Path) -> Path:
    return write_report([load_run(write_run(folder / "run", SHAPE))], folder / "report.html")


def study(folder: Path) -> Path:
    return study_page.write(write_rates(folder / "study", {"max_min_fairness": (22.0, 23.0, 30.0, 160.0)}))


def trace(folder: Path) -> Path:
    file, page = folder / "trace.txt", folder / "trace.html"
    file.write_text(SAMPLES["spot2026"].text)
    overrides = {"workload.trace_format": "spot2026"}
    described(file, {"overrides": overrides}, machines=(None, None), as_json=True, html=page, quiet=True)
    return page


def published(folder: Path) -> Path:
    write_pages([publication(), publication("alibaba", "Alibaba scale", heavier=4.0)], folder)
    return folder / "index.html"


def viewer(folder: Path) -> Path:
    return write_viewer([load_run(write_run(folder / "run", SHAPE))], folder / "viewer.html")


@pytest.fixture(scope="module", params=[report, study, trace, published, viewer], ids=lambda make: make.__name__)
def saved(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    make: Callable[[Path], Path] = request.param
    folder = tmp_path_factory.mktemp("export")
    (folder / "files").mkdir()
    return run_in_chromium("inspect_export.mjs", make(folder), folder / "files")


def of(saved: dict[str, Any], suffix: str) -> list[dict[str, Any]]:
    return [file for file in saved["files"] if file["format"] == suffix]


def test_every_chart_has_three_files_and_nothing_is_asked_of_a_network(saved: dict[str, Any]) -> None:
    assert saved["problems"] == []
    assert saved["requests"] == []
    assert saved["charts"] > 0
    assert [file["format"] for file in saved["files"]] == ["svg", "png", "csv"] * saved["charts"]
    assert len({file["name"] for file in saved["files"]}) == len(saved["files"])


def test_a_vector_picture_needs_nothing_of_the_page(saved: dict[str, Any]) -> None:
    for file in of(saved, "svg"):
        assert not re.search(r"var\(|class=|style=|color-mix|currentcolor", file["text"]), file["name"]
        shapes = [element.tag.rpartition("}")[2] for element in ET.fromstring(file["text"]).iter()]
        assert shapes.count("path") + shapes.count("rect") + shapes.count("circle") > 1, file["name"]
        title = file["label"].removeprefix("Save ").removesuffix(" as SVG")
        assert file["drawn"]["words"][0] == title
        assert file["drawn"]["outside"] == [], file["name"]


def test_a_picture_of_pixels_is_twice_as_large_and_not_empty(saved: dict[str, Any]) -> None:
    for vector, pixels in zip(of(saved, "svg"), of(saved, "png"), strict=True):
        assert pixels["width"] == pytest.approx(2 * vector["drawn"]["width"], abs=2)
        assert pixels["height"] == pytest.approx(2 * vector["drawn"]["height"], abs=2)
        assert pixels["bytes"] > 3000, pixels["name"]


def test_a_table_has_a_head_and_rows_of_its_width(saved: dict[str, Any]) -> None:
    for file in of(saved, "csv"):
        head, *rows = csv.reader(io.StringIO(file["text"]))
        assert len(head) > 1
        assert "" not in head
        assert len(set(head)) == len(head), file["name"]
        assert rows, file["name"]
        assert {len(row) for row in rows} == {len(head)}, file["name"]


def test_a_table_holds_what_was_drawn(tmp_path: Path) -> None:
    (tmp_path / "files").mkdir()
    saved = run_in_chromium("inspect_export.mjs", report(tmp_path), tmp_path / "files")
    run = load_run(tmp_path / "run")
    tables = {file["name"]: list(csv.DictReader(io.StringIO(file["text"]))) for file in of(saved, "csv")}
    (name,) = (name for name in tables if name.endswith("time-per-round-by-phase.csv"))
    wall = [float(row["lp_solve wall (ms)"]) for row in tables[name]]
    assert wall == pytest.approx(1e3 * run.rounds.numbers("phase_lp_solve_s"), rel=1e-4)
    (name,) = (name for name in tables if "share-of-each-phase" in name)
    rows = {row["phase"]: row for row in tables[name]}
    for phase in phase_rows(run.summary):
        assert float(rows[phase.name]["CPU (s)"]) == pytest.approx(phase.cpu_s)
