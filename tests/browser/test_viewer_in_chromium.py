"""The viewer in a real Chromium: it shows what the run's tables hold, answers keys and pointer, and does so quickly."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, cast

import numpy as np
import pyarrow.parquet as pq
import pytest
from chromium import run_in_chromium
from large_run import LargeRun, write_large_run
from yardstick import slowness

from phasewise.reports.run_directory import load_run
from phasewise.reports.viewer.page import write_viewer

pytestmark = [pytest.mark.browser, pytest.mark.thorough]

VIEWS = ("wide-light", "wide-dark", "phone")
SHARED = LargeRun(
    nodes_per_type=(1, 12, 10), gpus_per_node=(2, 8, 4), spare_gpus=1, rounds=150, jobs=600, churn=0.05, shared=0.4
)
WHOLE = LargeRun(
    nodes_per_type=(3, 12), gpus_per_node=(4, 8), spare_gpus=0, rounds=300, jobs=400, seed=3, round_s=400.0
)
MOMENTS_S = sorted({400.0 * at for at in range(300)} | {600.0 * at for at in range(150)})  # starts of rounds of either
FRAMES = (0, 1, 63, 64, 65, 127, 128, 149)


def inspect(*wishes: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what a reader meets on each page; see the script for what can be wished for."""
    wish_file = Path(wishes[0]["page"]).with_suffix(".wishes.json")
    wish_file.write_text(json.dumps([{**wish, "page": str(wish["page"])} for wish in wishes]))
    return cast("list[dict[str, Any]]", run_in_chromium("inspect_viewer.mjs", wish_file))


@dataclass(frozen=True)
class Tables:
    """A run directory's own arrays, to compare frames with."""

    shape: LargeRun
    placements: dict[str, np.ndarray]
    jobs: dict[str, np.ndarray]

    @classmethod
    def read(cls, shape: LargeRun, path: Path) -> Tables:
        def columns(name: str) -> dict[str, np.ndarray]:
            table = pq.read_table(path / name)
            return {column: table.column(column).to_numpy(zero_copy_only=False) for column in table.column_names}

        return cls(shape, columns("placements.parquet"), columns("jobs.parquet"))

    def frame(self, at: int) -> np.ndarray:
        """Return who holds what in a round as rows (gpu, job id, share, since), sorted."""
        p = self.placements
        held = (p["start_round"] <= at) & (p["end_round"] > at)
        first_gpu = np.cumsum(self.shape.node_sizes) - self.shape.node_sizes
        gpu = first_gpu[p["node"][held]] + p["gpu"][held]
        return in_order([gpu, p["job_id"][held], p["share_milli"][held], p["start_round"][held]])

    def waiting(self, at: int) -> set[int]:
        """Return the ids of the jobs that are in the system in a round and hold nothing."""
        now_s = at * 600.0
        there = (self.jobs["arrival_s"] <= now_s) & (self.jobs["completion_s"] > now_s)
        return set(self.jobs["job_id"][there].tolist()) - set(self.frame(at)[:, 1].tolist())


def in_order(columns: Sequence[np.ndarray]) -> np.ndarray:
    rows = np.stack(columns, axis=1)
    return rows[np.lexsort(rows.T[::-1])]


@dataclass(frozen=True)
class Pages:
    """Pages of one run with shared GPUs, and of two runs; with what was met on them."""

    one: dict[str, Any]
    two: dict[str, Any]
    shared: Tables
    whole: Tables
    shared_run: Path


@pytest.fixture(scope="module")
def pages(tmp_path_factory: pytest.TempPathFactory) -> Pages:
    folder = tmp_path_factory.mktemp("viewer")
    shared = write_large_run(folder / "shared", SHARED)
    whole = write_large_run(folder / "whole", WHOLE)
    one = write_viewer([load_run(shared)], folder / "one.html")
    two = write_viewer([load_run(whole), load_run(shared)], folder / "two.html")
    cells = [[0, gpu] for gpu in range(int(SHARED.node_sizes.sum()))]
    seen = inspect(
        {"page": one, "views": VIEWS, "act": VIEWS, "frames": FRAMES, "cells": cells},
        {
            "page": two,
            "views": VIEWS,
            "act": ["wide-light"],
            "frames": (*FRAMES, len(MOMENTS_S) - 75, len(MOMENTS_S) - 1),
        },
    )
    return Pages(
        *seen,
        Tables.read(SHARED, shared),
        Tables.read(WHOLE, whole),
        shared,
    )


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("page", ["one", "two"])
def test_the_page_has_no_errors_and_asks_for_nothing(pages: Pages, page: str, view: str) -> None:
    seen = getattr(pages, page)["views"][view]
    assert seen["problems"] == []
    assert seen["requests"] == []


@pytest.mark.parametrize("view", VIEWS)
@pytest.mark.parametrize("page", ["one", "two"])
def test_nothing_overlaps_and_nothing_overflows_sideways(pages: Pages, page: str, view: str) -> None:
    seen = getattr(pages, page)["views"][view]
    assert seen["overlaps"] == []
    assert seen["cut"] == []
    assert seen["overflow"] <= 0


@pytest.mark.parametrize("page", ["one", "two"])
def test_every_chart_is_drawn_and_every_axis_has_a_title(pages: Pages, page: str) -> None:
    seen = getattr(pages, page)["views"]["wide-light"]
    phases = ["phases0", "phases1"][: 1 if page == "one" else 2]
    time, jct = ["utilisation", "queue", "fragmentation", "moves", *phases], ["jct", "jct_share"]
    names = time + jct if page == "one" else jct + time  # of two runs, completion times come first
    assert seen["charts"] == [[name, 1] for name in names]
    assert all(seen["axes"])


def test_the_theme_follows_the_reader(pages: Pages) -> None:
    views = pages.one["views"]
    assert views["wide-light"]["background"] != views["wide-dark"]["background"]


def test_frames_hold_what_the_placements_hold(pages: Pages) -> None:
    for at, (seen,) in zip(FRAMES, pages.one["frames"], strict=True):
        assert seen["round"] == at
        np.testing.assert_array_equal(in_order(np.array(seen["rows"]).T), pages.shared.frame(at))


def test_the_queue_holds_who_is_there_and_holds_nothing(pages: Pages) -> None:
    for at, (seen,) in zip(FRAMES, pages.one["frames"], strict=True):
        assert set(seen["waiting"]) == pages.shared.waiting(at)


def test_two_runs_are_shown_at_the_same_simulated_time(pages: Pages) -> None:
    for at, (whole, shared) in zip(FRAMES, pages.two["frames"], strict=False):
        rounds = MOMENTS_S[at] // 400, MOMENTS_S[at] // 600  # their rounds are of different length
        assert (whole["round"], shared["round"]) == rounds
        np.testing.assert_array_equal(in_order(np.array(whole["rows"]).T), pages.whole.frame(whole["round"]))
        np.testing.assert_array_equal(in_order(np.array(shared["rows"]).T), pages.shared.frame(shared["round"]))


def test_a_run_that_has_ended_is_empty(pages: Pages) -> None:
    for whole, shared in pages.two["frames"][-2:]:
        assert len(whole["rows"]) == WHOLE.node_sizes.sum()
        assert shared["round"] == -1
        assert shared["rows"] == []


def test_a_gpu_is_drawn_in_the_colours_and_shares_of_its_jobs(pages: Pages) -> None:
    idle, palette = tuple(pages.one["idle"]), pages.one["palette"]
    kinds = {kind["label"]: tuple(palette[kind["colour"]]) for kind in pages.one["kinds"][0]}
    other = tuple(palette["grey"])
    job_type = dict(zip(pages.shared.jobs["job_id"].tolist(), pages.shared.jobs["job_type"].tolist(), strict=True))
    rows, cells = pages.shared.frame(FRAMES[-1]), pages.one["cells"]
    compared = 0
    for gpu, cell in enumerate(cells):
        stays = rows[rows[:, 0] == gpu]
        expected = {kinds.get(job_type[job], other) for job in stays[:, 1].tolist()}
        drawn = [tuple(colour) for colour in cell["colours"]]
        assert set(drawn) - {idle} == expected
        if len(expected) == len(stays):  # no two of one colour, so that each job's part can be measured
            for _, job, share, _ in stays.tolist():
                height = drawn.count(kinds.get(job_type[job], other))
                assert abs(height - len(drawn) * share / 1000) <= 2
            compared += len(stays) > 1
    assert compared > 3


@pytest.mark.parametrize("view", VIEWS)
def test_the_keys_move_through_the_rounds(pages: Pages, view: str) -> None:
    seen = pages.one["views"][view]
    last = SHARED.rounds - 1
    assert seen["keys"] == {
        "End": last,
        "Home": 0,
        "ArrowRight": 1,
        "Shift+ArrowRight": 11,
        "PageDown": 75,
        "ArrowLeft": 74,
    }
    assert seen["playing"] is False  # the second press of the space bar ended what the first began


@pytest.mark.parametrize("view", VIEWS)
def test_a_pointer_reads_out_the_job_its_type_and_since_when(pages: Pages, view: str) -> None:
    tip = pages.one["views"][view]["tip"]
    job = pages.shared.frame(0)[0, 1]
    assert tip.startswith("a10, node 0, GPU 0")
    assert f"job {job} type {job % 26}" in tip
    assert "since round 0 (0.0" in tip


@pytest.mark.parametrize("view", VIEWS)
def test_the_keyboard_reaches_a_gpu_and_marks_its_job(pages: Pages, view: str) -> None:
    seen = pages.one["views"][view]
    on_second = pages.shared.frame(0)
    on_second = on_second[on_second[:, 0] == 1]
    assert seen["spoken"].startswith("a10, node 0, GPU 1. job ")
    assert seen["pinned"]["job"] in on_second[:, 1]


def test_a_pointer_on_a_shared_gpu_reads_out_every_share(pages: Pages) -> None:
    shared = pages.one["views"]["wide-light"]["shared"]
    stays = pages.shared.frame(0)
    stays = stays[stays[:, 0] == shared["gpu"]]
    assert len(stays) > 1
    for _, job, share, _ in stays.tolist():
        assert f"job {job} type {job % 26} · {share / 10:.1f}\u202f% of the GPU" in shared["tip"]


@pytest.mark.parametrize("view", VIEWS)
def test_the_speed_follows_keys_and_menu_and_the_slider_moves(pages: Pages, view: str) -> None:
    seen = pages.one["views"][view]
    assert seen["speeds"] == [32, 8, 32, 128, 8]
    assert seen["slid"] == 5


def test_the_figures_beside_the_map_are_those_of_the_tables(pages: Pages) -> None:
    seen = pages.one["views"]["wide-light"]
    stays = pages.shared.frame(0)
    first_gpu = np.cumsum([0, 2, 96, 41])
    held = [stays[(stays[:, 0] >= a) & (stays[:, 0] < b), 2].sum() / (b - a) for a, b in itertools.pairwise(first_gpu)]
    assert seen["held"] == [f"{share / 10:.1f}\u202f% held" for share in held]
    waiting = len(pages.shared.waiting(0))
    words = f"{waiting} job{' waits' if waiting == 1 else 's wait'} for {waiting} GPU{'' if waiting == 1 else 's'}."
    running, gpus = len(np.unique(stays[:, 1])), stays[:, 2].sum() / 1000
    assert seen["queue"] == [words if waiting else "No job waits.", f"{running} jobs run on {gpus:g} GPUs."]


def test_controls_have_names_for_those_who_do_not_see_them(pages: Pages) -> None:
    one, two = (seen["views"]["wide-light"] for seen in (pages.one, pages.two))
    used = pq.read_table(pages.shared_run / "rounds.parquet").column("utilization").to_numpy()
    fullest = int(used.argmax())  # as many jobs wait in every round
    assert one["slider"] == ["Round", f"round {fullest} of {SHARED.rounds}, {fullest / 6:.1f}\u202fh"]
    name, value = two["slider"]
    assert name == "Simulated time"
    assert re.fullmatch(r"\d+\.\d\u202fh of simulated time", value)
    assert [label.partition(",")[0] for label, *_ in one["canvases"]] == [
        f"GPUs of type {t}" for t in ("a10", "g2", "g3")
    ]


# -- at full size ----------------------------------------------------------------------------------------------------

LARGE = LargeRun()
VISITS = 5


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, Any], Tables, list[int]]:
    """Return a page of 6,212 GPUs x 5,000 rounds with 10 % churn, and what was met and measured on it."""
    folder = tmp_path_factory.mktemp("large")
    run = write_large_run(folder / "large", LARGE)
    page = write_viewer([load_run(run)], folder / "large.html")
    rng = np.random.default_rng(5)
    frames = sorted(rng.integers(0, LARGE.rounds, 4).tolist())
    times = {"visits": VISITS, "scrubs": rng.integers(0, LARGE.rounds, 25).tolist()}
    (seen,) = inspect({"page": page, "frames": frames, "times": times})
    return page, seen, Tables.read(LARGE, run), frames


def p95_ms(visits: list[dict[str, Any]], clock: str) -> float:
    """Return the 95th percentile over rounds of the least time of all visits to each.

    What else the machine does only adds to a time.
    """
    return float(np.quantile(np.min([visit[clock] for visit in visits], axis=0), 0.95))


def test_a_large_run_has_the_size_it_claims() -> None:
    assert LARGE.node_sizes.sum() == 6212
    assert (LARGE.rounds, LARGE.churn) == (5000, 0.10)


@pytest.mark.alone
def test_a_large_run_shows_its_own_frames(large: tuple[Path, dict[str, Any], Tables, list[int]]) -> None:
    _, seen, tables, frames = large
    for at, (frame,) in zip(frames, seen["frames"], strict=True):
        np.testing.assert_array_equal(in_order(np.array(frame["rows"]).T), tables.frame(at))


@pytest.mark.alone
def test_a_large_run_fits_into_15_megabytes(large: tuple[Path, dict[str, Any], Tables, list[int]]) -> None:
    assert large[0].stat().st_size < 15e6


@pytest.mark.alone
def test_a_large_run_opens_within_two_seconds(large: tuple[Path, dict[str, Any], Tables, list[int]]) -> None:
    assert min(large[1]["opened"]) < 2000 * slowness()


@pytest.mark.alone
def test_a_large_run_shows_any_round_within_50_ms(large: tuple[Path, dict[str, Any], Tables, list[int]]) -> None:
    assert p95_ms(large[1]["screen"], "shown") < 50 * slowness()


@pytest.mark.alone
def test_the_work_for_any_round_of_a_large_run_is_done_within_50_ms(
    large: tuple[Path, dict[str, Any], Tables, list[int]],
) -> None:
    assert p95_ms(large[1]["eager"], "shown") < 50 * slowness()


@pytest.mark.alone
def test_a_large_run_takes_less_than_150_megabytes_of_heap(
    large: tuple[Path, dict[str, Any], Tables, list[int]],
) -> None:
    assert max(large[1]["heap"]) < 150e6
