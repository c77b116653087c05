"""A differential flame graph in a real Chromium: width, colours by verdict, zoom, search, keys."""

from __future__ import annotations

import re
from typing import Any

import pytest
from chromium import run_in_chromium
from synthetic_run import RunShape, write_run

from phasewise.profiling.stack_changes import stack_changes
from phasewise.profiling.stacks import Folded, write_folded
from phasewise.reports.flame_changes import drawn
from phasewise.reports.gate_page import GatePage, GateRow, write_page
from phasewise.reports.html import write_report
from phasewise.reports.run_directory import load_run

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

FRAMES = ["phasewise.sched:step", "phasewise.solvers.session:solve", "numpy:dot", "phasewise.sched:new"]
SIDES = {"old": [1.2, 1.2, 1.6, 0.0], "new": [1.2, 1.2, 0.4, 1.2]}  # seconds of 100 rounds


def folded(side: str) -> Folded:
    stacks, cpu_s = [[0], [0, 1], [0, 1, 2], [0, 3]], SIDES[side]
    return Folded(samples=1000, frames=FRAMES, stacks=stacks, cpu_s=cpu_s, wall_s=cpu_s, tick_s=0.004, times=100)


@pytest.fixture(scope="module")
def seen(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("changes")
    runs = []
    for name in SIDES:
        path = write_run(folder / name, RunShape(rounds=60, jobs=30))
        write_folded(folded(name), path / "stacks.json")
        runs.append(load_run(path))
    return run_in_chromium("inspect_flame_changes.mjs", write_report(runs, folder / "both.html"))


@pytest.fixture(scope="module")
def gate(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    path = tmp_path_factory.mktemp("gate") / "gate.html"
    place = drawn(stack_changes([folded("old")], [folded("new")]), ("base", "head"), "solvers/philly/x", "a walk")
    row = GateRow("solvers/philly/x", 1.05, 1.1, 1.2, "slower", ["iterations"])
    write_page(GatePage("The gate, against b", "slower", "slower than at b", "Example CPU", [row], [place]), path)
    return run_in_chromium("inspect_flame_changes.mjs", path)


def by_name(view: dict[str, Any]) -> dict[str, dict[str, Any]]:
    return {re.split(r"[ :]", frame["tip"])[0]: frame for frame in view["frames"]}


def test_nothing_went_wrong(seen: dict[str, Any], gate: dict[str, Any]) -> None:
    assert seen["problems"] == []
    assert gate["problems"] == []


def test_the_page_of_the_gate_has_the_same_graph(seen: dict[str, Any], gate: dict[str, Any]) -> None:
    labels = {frame["label"] for frame in gate["after"]["frames"]}
    assert {"▲ new", "▼ dot"} <= labels
    assert by_name(gate["after"])["new"]["width"] == pytest.approx(by_name(seen["after"])["new"]["width"], abs=1)


def test_both_sides_are_as_wide_as_the_page(seen: dict[str, Any]) -> None:
    before, after = by_name(seen["before"]), by_name(seen["after"])
    assert before["all"]["width"] == pytest.approx(after["all"]["width"], abs=1)
    assert after["new"]["width"] / after["all"]["width"] == pytest.approx(1.2 / 4.0, abs=0.01)
    assert before["dot"]["width"] / before["all"]["width"] == pytest.approx(1.6 / 4.0, abs=0.01)
    assert "new" not in before  # it took nothing there


def test_what_moved_has_a_sign_and_a_colour_and_noise_has_neither(seen: dict[str, Any]) -> None:
    frames = by_name(seen["after"])
    assert frames["new"]["label"] == "▲ new"
    assert frames["dot"]["label"] == "▼ dot"
    assert frames["all"]["label"] == "all"
    assert len({frames[name]["fill"] for name in ("new", "dot", "all")}) == 3
    tip = frames["new"]["tip"].replace("\u202f", " ")
    assert re.fullmatch(r"new in phasewise.sched: 0 → 12 ms of CPU time, \+12 ms \([\d.]+ to [\d.]+\): slower", tip)
    assert "noise" in frames["all"]["tip"]


def test_search_and_keys_work_as_in_every_flame_graph(seen: dict[str, Any]) -> None:
    assert seen["search"]["found"].replace("\u202f", " ") == "30.0 % of the CPU time of new in what matches"
    assert [frame["tip"].split()[0] for frame in seen["search"]["frames"] if not frame["dim"]] == ["new"]
    zoomed = by_name(seen["keys"])
    assert seen["keys"]["said"].startswith("solve in phasewise.solvers.session:")
    assert zoomed["solve"]["width"] == pytest.approx(by_name(seen["after"])["all"]["width"], abs=1)
