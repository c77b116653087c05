"""A study's page in a real Chromium: drawn wide and narrow, filtered, sorted, every dot a link."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from chromium import run_in_chromium
from sample_study import write_rates

from phasewise.reports import study_page

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

VIEWS = ("wide-light", "wide-dark", "phone")
HOURS = {"max_min_fairness": (22.0, 23.0, 30.0, 160.0), "max_min_fairness_perf": (17.0, 16.0, 18.0, 40.0)}


@pytest.fixture(scope="module")
def page(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the page of sixteen points, four of them overloaded; each but the last has a run."""
    return study_page.write(write_rates(tmp_path_factory.mktemp("browser") / "gavel-fig9", HOURS))


@pytest.fixture(scope="module")
def views(page: Path) -> dict[str, Any]:
    return run_in_chromium("inspect_study.mjs", page)


@pytest.mark.parametrize("view", VIEWS)
def test_the_page_has_no_errors_asks_for_nothing_and_fits(views: dict[str, Any], view: str) -> None:
    assert views[view]["problems"] == []
    assert views[view]["requests"] == []
    assert views[view]["overflow"] <= 0


@pytest.mark.parametrize("view", VIEWS)
def test_every_panel_is_drawn_with_a_link_for_every_run(views: dict[str, Any], view: str) -> None:
    panels = {panel["key"]: panel for panel in views[view]["panels"]}
    assert set(panels) == {"jct-vs-rate-0", "makespan-0"}
    for panel in panels.values():
        assert panel["box"][0] > 250
        assert panel["paths"] >= 8
        assert sorted(panel["dots"]) == [f"points/{index:016x}/run.json" for index in range(15)]
    assert "max_min_fairness_perf, replication" in views[view]["legend"][0]


@pytest.mark.parametrize("view", VIEWS)
def test_a_pointer_over_a_dot_says_which_run_it_opens(views: dict[str, Any], view: str) -> None:
    said = views[view]["readout"]
    assert said.startswith("max_min_fairness, seed 0")
    assert "22\u202fh" in said or "22.0\u202fh" in said
    assert f"opens run.json of {0:016x}" in said


@pytest.mark.parametrize("view", VIEWS)
def test_the_table_has_every_point_and_is_sorted_by_a_click(views: dict[str, Any], view: str) -> None:
    assert len(views[view]["rows"]) == 16
    assert len(views[view]["links"]) == 15
    jct = {
        f"{index:016x}": hours for index, hours in enumerate(h + s for of in HOURS.values() for h in of for s in (0, 1))
    }
    up, down = ([jct[point] for point in order] for order in views[view]["sorted"])
    assert up == sorted(jct.values())
    assert down == sorted(jct.values(), reverse=True)


@pytest.mark.parametrize("view", VIEWS)
def test_a_filter_takes_points_out_of_figures_and_table(views: dict[str, Any], view: str) -> None:
    left = views[view]["filtered"]  # without max_min_fairness
    assert len(left["rows"]) == 8
    assert all("max_min_fairness_perf" in row for row in left["rows"])
    assert {panel["key"]: len(panel["dots"]) for panel in left["panels"]} == {"jct-vs-rate-0": 7, "makespan-0": 7}
    assert left["back"] == 16


def test_light_and_dark_differ(views: dict[str, Any]) -> None:
    assert views["wide-light"]["background"] != views["wide-dark"]["background"]
