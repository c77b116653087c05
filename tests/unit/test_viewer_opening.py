"""Where the viewer opens, what its page of a job is made of, and in which order the page carries it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from large_run import LargeRun, write_large_run
from synthetic_run import RunShape, write_run

from phasewise.reports import palette
from phasewise.reports.clipping import said_of, top_of
from phasewise.reports.run_directory import Run, load_run
from phasewise.reports.viewer.details import NUMBERS, WORDS, Details, read_details
from phasewise.reports.viewer.occupancy import read_occupancy
from phasewise.reports.viewer.opening import Opening, busiest
from phasewise.reports.viewer.page import render_viewer
from phasewise.reports.viewer.planes import pack, unpack
from phasewise.reports.viewer.timeline import timeline

SMALL = LargeRun(nodes_per_type=(2, 3), gpus_per_node=(4, 2), spare_gpus=1, rounds=70, jobs=50, churn=0.2, shared=0.3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_large_run(tmp_path / "run", SMALL)


def rewrite(folder: Path, table: str, **columns: Any) -> Run:
    """Return the run with some columns of a table replaced or added."""
    path = folder / f"{table}.parquet"
    pq.write_table(pa.table(pq.read_table(path).to_pydict() | columns), path)
    return load_run(folder)


def opening(*runs: Run) -> Opening:
    return busiest(timeline([read_occupancy(run) for run in runs]), runs)


# -- where it opens --------------------------------------------------------------------------------------------------


def test_a_page_opens_where_most_jobs_wait(folder: Path) -> None:
    queued = np.zeros(SMALL.rounds, np.int64)
    queued[[12, 40, 55]] = [3, 9, 8]
    assert opening(rewrite(folder, "rounds", queued=queued)) == Opening(40, "round 40, where most jobs wait: 9")


def test_of_several_such_rounds_it_is_the_one_with_most_gpus_in_use(folder: Path) -> None:
    used = np.linspace(0.2, 0.1, SMALL.rounds)
    queued = np.zeros(SMALL.rounds, np.int64)
    queued[20:30] = 1
    used[25] = 0.15 + used[20]
    assert opening(rewrite(folder, "rounds", queued=queued, utilization=used)).tick == 25


def test_where_no_job_waits_it_opens_where_most_gpus_are_in_use(folder: Path) -> None:
    used = np.full(SMALL.rounds, 0.5)
    used[33] = 0.75
    found = opening(rewrite(folder, "rounds", queued=np.zeros(SMALL.rounds, np.int64), utilization=used))
    assert found == Opening(33, "round 33, where most GPUs are in use: 75.0\u202f%")


def test_two_runs_open_where_most_jobs_wait_in_both_together(folder: Path, tmp_path: Path) -> None:
    queued = np.zeros(SMALL.rounds, np.int64)
    queued[[10, 20]] = [5, 4]
    one = rewrite(folder, "rounds", queued=queued)
    queued[[10, 20]] = [0, 4]
    two = rewrite(write_large_run(tmp_path / "two", SMALL), "rounds", queued=queued)
    assert opening(one, two) == Opening(20, "3.3\u202fh of simulated time, where most jobs wait: 8")


def test_the_chunk_of_the_opening_stands_before_the_scripts(folder: Path) -> None:
    queued = np.zeros(SMALL.rounds, np.int64)
    queued[66] = 1  # in the second chunk of 64 rounds
    page = render_viewer([rewrite(folder, "rounds", queued=queued)])
    places = [page.index(f'id="r0-{name}"') for name in ("base", "chunk-1", "chunk-0", "jobs")]
    scripts = page.index("const viewerFrames")
    assert places[0] < places[1] < scripts < places[2] < places[3]


# -- what a job's page says ------------------------------------------------------------------------------------------


def details_of(run: Run) -> Details:
    occupancy = read_occupancy(run)
    return read_details(run, occupancy.jobs.job_id, occupancy.held.stays)


def test_details_are_those_of_the_table_and_survive_packing(folder: Path) -> None:
    jobs = SMALL.jobs
    first: list[float | None] = [None, *(10.4 * index for index in range(1, jobs))]
    users = [None, *(f"user {index % 3} é\nx" for index in range(1, jobs))]
    run = rewrite(folder, "jobs", first_start_s=first, user=users, scale_factor=[0.25] * jobs)
    arrays = unpack(pack(details_of(run).arrays()))
    numbers = dict(zip(NUMBERS, arrays, strict=False))
    assert numbers["first_start_s"][:3].tolist() == [0, 11, 22]  # not known; 10.4 s and 20.8 s, rounded, plus 1
    assert set(numbers["scale_factor"].tolist()) == {251}
    assert set(numbers["restarts"].tolist()) == {0}
    words = arrays[len(NUMBERS) + 2 :]
    texts, index = words[2 * WORDS.index("user") : 2 * WORDS.index("user") + 2]
    lines = bytes(texts.tolist()).decode().split("\n")
    assert [lines[at] for at in index[:3]] == ["", "user 1 é x", "user 2 é x"]


def test_details_say_between_which_rounds_a_job_held_gpus(folder: Path) -> None:
    run = load_run(folder)
    found, jobs = details_of(run), read_occupancy(run).jobs
    stays = pq.read_table(folder / "placements.parquet").to_pylist()
    for job, job_id in enumerate(jobs.job_id.tolist()):
        own = [row for row in stays if row["job_id"] == job_id]
        expected = (min(r["start_round"] for r in own), max(r["end_round"] for r in own)) if own else (0, 0)
        assert (found.held_from[job], found.held_to[job]) == expected


def test_a_job_that_is_not_in_the_table_has_no_details(folder: Path) -> None:
    table = pq.read_table(folder / "jobs.parquet")
    pq.write_table(table.slice(0, 0), folder / "jobs.parquet")
    found = details_of(load_run(folder))
    assert len(found.held_to) > 0
    assert not any(values.any() for values in found.numbers.values())
    assert found.words["status"][0] == [""]


def test_half_shares_of_a_team_fill_one_gpu(tmp_path: Path) -> None:
    occupancy = read_occupancy(load_run(write_run(tmp_path / "run", RunShape(rounds=60, jobs=12, teams=2))))
    first = occupancy.held.stays
    of_team = first.job < 2
    assert first.share_milli[of_team].tolist() == [500, 500]
    assert len(set(first.gpu[of_team].tolist())) == 1
    assert occupancy.held.slots_per_gpu[first.gpu[of_team][0]] == 2


# -- what is missing, and what is cut --------------------------------------------------------------------------------


def test_a_run_without_placements_says_why_every_gpu_looks_idle(folder: Path) -> None:
    table = pq.read_table(folder / "placements.parquet")
    pq.write_table(table.slice(0, 0), folder / "placements.parquet")
    assert "No job held a GPU in this run, so every GPU is idle." in render_viewer([load_run(folder)])
    off = (folder / "run.json").read_text().replace('"scenario": {', '"scenario": {"output": {"placements": false}, ')
    (folder / "run.json").write_text(off)
    assert "was not recorded (`output.placements` is false)" in render_viewer([load_run(folder)])


def test_what_an_axis_does_not_show_is_said_with_its_place() -> None:
    line = np.full(200, 2.0)
    line[[7, 9]] = [90.0, 50.0]
    top, hours = top_of(line), np.arange(200) / 10
    assert top == 4.0
    said = "2 points, up to 90.0\u202fms at 0.7\u202fh, are above the top of the chart."
    assert said_of(line, top, "ms", hours) == said
    assert said_of(np.append(line, np.nan), top, "ms") == said.replace(" at 0.7\u202fh", "")
    assert said_of(line, 100.0, "ms", hours) == said_of(line, None, "ms", hours) == ""


# -- colours ---------------------------------------------------------------------------------------------------------


def test_a_job_type_has_its_colour_whatever_else_is_on_the_page() -> None:
    alone = {name: palette.job_type_colours([name])[0] for name in ("LM", "A3C", "ResNet-18")}
    together = palette.job_type_colours(["A3C", "LM", "ResNet-18", "CycleGAN"])
    assert together[:3] == [alone["A3C"], alone["LM"], alone["ResNet-18"]]
    assert palette.job_type_colours(["LM (batch size 10)"]) == [alone["LM"]]


def test_no_two_job_types_share_a_colour_while_there_are_some() -> None:
    names = ["LM (batch size 5)", "LM (batch size 10)", *(f"type {index}" for index in range(7))]
    colours = palette.job_type_colours(names)
    assert len(set(colours)) == len(names) == len(palette.CYCLE) - 1
    assert palette.REST not in colours
