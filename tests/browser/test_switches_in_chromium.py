"""A report in a real Chromium: one switch between CPU and wall for all of it, and a flame graph to search and zoom."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chromium import run_in_chromium
from synthetic_run import RunShape, write_run

from phasewise.profiling.stacks import Folded, write_folded
from phasewise.reports.html import write_report
from phasewise.reports.run_directory import load_run

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

# step 800 ms of CPU, of it solve 300 and numpy's dot 200 in solve; advance 100; in wall time, advance waited for 3 s.
STACKS = Folded(
    samples=90,
    frames=["numpy.core:dot", "phasewise.sched:step", "phasewise.solvers.session:solve", "phasewise.sched:advance"],
    stacks=[[1], [1, 2], [1, 2, 0], [1, 3]],
    cpu_s=[0.2, 0.3, 0.2, 0.1],
    wall_s=[0.2, 0.3, 0.2, 3.3],
)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = write_run(tmp_path_factory.mktemp("switches") / "run", RunShape(rounds=60, jobs=30))
    write_folded(STACKS, path / "stacks.json")
    return run_in_chromium("inspect_switches.mjs", write_report([load_run(path)], path / "report.html"))


def widths(view: dict[str, Any]) -> dict[str, float]:
    return {re.split(r"[ :]", frame["tip"])[0]: frame["width"] for frame in view["frames"]}


def test_nothing_went_wrong(seen: dict[str, Any]) -> None:
    assert seen["problems"] == []


def test_cpu_is_what_a_page_opens_with(seen: dict[str, Any]) -> None:
    first = seen["first"]
    assert (first["time"], first["hash"], first["pressed"], first["shown"]) == ("cpu", "", ["CPU"], ["cpu"])
    assert first["switches"] >= 2  # of the page and of its chart of time, all of one state


def test_one_switch_turns_the_whole_page_and_the_address_keeps_it(seen: dict[str, Any]) -> None:
    for view in ("wall", "reloaded"):
        assert seen[view]["time"] == "wall"
        assert seen[view]["hash"] == "#time=wall"
        assert seen[view]["pressed"] == ["wall"]
        assert seen[view]["shown"] == ["wall"]
    assert seen["elsewhere"]["hash"] == "#r0-ran&time=wall"
    assert seen["elsewhere"]["time"] == "wall"
    assert (seen["back"]["time"], seen["back"]["hash"]) == ("cpu", "#r0-ran")


def test_the_wider_a_frame_the_more_time_it_took(seen: dict[str, Any]) -> None:
    cpu, wall = widths(seen["first"]), widths(seen["wall"])
    assert cpu["all"] == pytest.approx(cpu["step"], abs=1)
    assert cpu["solve"] / cpu["all"] == pytest.approx(5 / 8, abs=0.01)
    assert cpu["dot"] / cpu["all"] == pytest.approx(2 / 8, abs=0.01)
    assert cpu["advance"] / cpu["all"] == pytest.approx(1 / 8, abs=0.01)
    assert wall["advance"] / wall["all"] == pytest.approx(3.3 / 4.0, abs=0.01)
    tip = next(frame["tip"] for frame in seen["first"]["frames"] if frame["tip"].startswith("solve"))
    assert tip.replace("\u202f", " ") == (
        "solve in phasewise.solvers.session: 500 ms of CPU time, 62.5 % of all; 300 ms of it in itself"
    )


def test_a_click_makes_a_frame_as_wide_as_the_page_and_back(seen: dict[str, Any]) -> None:
    whole = widths(seen["first"])["all"]
    zoomed = widths(seen["zoomed"])
    assert zoomed["solve"] == pytest.approx(whole, abs=1)
    assert zoomed["dot"] / whole == pytest.approx(2 / 5, abs=0.01)
    assert "advance" not in zoomed
    assert widths(seen["out"]) == widths(seen["first"])


def test_the_search_marks_what_matches_and_sums_its_time(seen: dict[str, Any]) -> None:
    assert seen["search"]["found"].replace("\u202f", " ") == "25.0 % of the CPU time in what matches"
    assert [frame["tip"].split()[0] for frame in seen["search"]["frames"] if not frame["dim"]] == ["dot"]


def test_a_print_is_on_white_with_its_bars_and_cuts_nothing(seen: dict[str, Any]) -> None:
    printed = seen["printed"]
    assert printed["adjust"] == "exact"
    assert printed["paper"] == "rgb(252, 251, 249)"
    assert printed["wide"] == []
    assert printed["overlapping"] == []
    assert printed["buttons"] == 0


def test_keys_go_from_frame_to_frame(seen: dict[str, Any]) -> None:
    assert seen["keys"]["said"].startswith("advance in phasewise.sched:")
    assert widths(seen["keys"])["advance"] == pytest.approx(widths(seen["first"])["all"], abs=1)
