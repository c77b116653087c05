"""The viewer's page and `phasewise view`: what stands on it, and what is said where it cannot be made."""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from large_run import LargeRun, write_large_run
from synthetic_run import RunShape, write_run

from phasewise.bench.cli.boundary import ExitCode
from phasewise.profiling.artefacts.tables import parts_folder
from phasewise.reports.errors import ComparisonError, RunDirectoryError
from phasewise.reports.run_directory import Run, load_run
from phasewise.reports.viewer.jobs import kinds_of
from phasewise.reports.viewer.occupancy import read_occupancy
from phasewise.reports.viewer.page import render_viewer, write_viewer
from phasewise.reports.viewer.timeline import timeline

SMALL = LargeRun(nodes_per_type=(2, 3), gpus_per_node=(4, 2), spare_gpus=1, rounds=70, jobs=50, churn=0.2, shared=0.3)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return write_large_run(tmp_path / "run", SMALL)


def change(folder: Path, **content: Any) -> Run:
    """Return the run with some keys of `run.json` replaced; None takes a key away."""
    file = folder / "run.json"
    changed = json.loads(file.read_text()) | content
    file.write_text(json.dumps({key: value for key, value in changed.items() if value is not None}))
    return load_run(folder)


def rewrite(folder: Path, table: str, **columns: Any) -> Run:
    """Return the run with some columns of a table replaced."""
    path = folder / f"{table}.parquet"
    pq.write_table(pa.table(pq.read_table(path).to_pydict() | columns), path)
    return load_run(folder)


def payload(page: str, name: str) -> Any:
    (text,) = re.findall(rf'<script type="application/json" id="{name}">(.*?)</script>', page, re.DOTALL)
    return json.loads(text)


# -- the cluster -----------------------------------------------------------------------------------------------------


def test_the_recorded_layout_names_every_gpu(folder: Path) -> None:
    cluster = read_occupancy(load_run(folder)).cluster
    assert cluster.worker_types == ["a10", "g2"]
    assert cluster.nodes_per_type == [2, 4]
    assert cluster.gpus_per_node.tolist() == [4, 4, 2, 2, 2, 1]


def test_without_a_layout_the_scenario_says_how_many_gpus_a_type_has(folder: Path) -> None:
    gpus = {"v100": 7, "k80": 8, "none": 0}
    scenario = {"cluster": {"gpus": gpus, "gpus_per_node": {"v100": 2, "k80": 4}}}
    cluster = read_occupancy(change(folder, layout=None, scenario=scenario)).cluster
    assert cluster.worker_types == ["k80", "v100"]
    assert cluster.gpus_per_node.tolist() == [4, 4, 2, 2, 2, 1]
    assert cluster.note == ""


def test_without_either_the_gpus_that_were_held_are_shown_and_the_page_says_so(folder: Path) -> None:
    run = change(folder, layout=None)
    cluster = read_occupancy(run).cluster
    assert cluster.gpus_per_node.tolist() == [4, 4, 2, 2, 2, 1]
    assert "does not say which nodes" in cluster.note
    assert cluster.note in render_viewer([run])


@pytest.mark.parametrize(
    "layout",
    [
        {"worker_types": ["a"], "nodes_per_type": [2, 3], "gpus_per_node": [[5, 8]]},
        {"worker_types": ["a"], "nodes_per_type": [2], "gpus_per_node": [[3, 8]]},
        {"worker_types": ["a"], "nodes_per_type": [2], "gpus_per_node": [[2, 0]]},
        {"worker_types": ["a"], "nodes_per_type": [-2], "gpus_per_node": [[-2, 4]]},
        {"worker_types": [], "nodes_per_type": [], "gpus_per_node": []},
        {"worker_types": ["a"], "nodes_per_type": "two"},
    ],
)
def test_a_layout_that_contradicts_itself_is_one_message(folder: Path, layout: dict[str, Any]) -> None:
    with pytest.raises(RunDirectoryError, match=r"run\.json: broken layout of the cluster"):
        read_occupancy(change(folder, layout=layout))


@pytest.mark.parametrize(("column", "value", "says"), [("node", 6, "nodes 0 to 5"), ("gpu", 4, "GPUs 0 to 3")])
def test_a_gpu_that_the_cluster_does_not_have_is_one_message(folder: Path, column: str, value: int, says: str) -> None:
    rows = pq.read_table(folder / "placements.parquet").column(column).to_pylist()
    nodes = pq.read_table(folder / "placements.parquet").column("node").to_pylist()
    rows[nodes.index(0)] = value
    with pytest.raises(RunDirectoryError, match=says):
        read_occupancy(rewrite(folder, "placements", **{column: rows}))


# -- jobs and rounds -------------------------------------------------------------------------------------------------


def test_a_job_is_there_from_its_arrival_to_its_completion(folder: Path) -> None:
    jobs = len(pq.read_table(folder / "jobs.parquet"))
    arrival, completion = np.full(jobs, 0.0), np.full(jobs, np.nan)
    status = ["active"] * jobs
    arrival[:3], completion[:3] = [0.0, 600.0, 601.0], [600.0, 1200.5, 1e9]
    status[:3] = ["complete"] * 3
    found = read_occupancy(rewrite(folder, "jobs", arrival_s=arrival, completion_s=completion, status=status)).jobs
    assert found.first_round[:4].tolist() == [0, 1, 2, 0]
    assert found.end_round[:4].tolist() == [1, 3, SMALL.rounds, SMALL.rounds]


def test_a_refused_job_never_waits(folder: Path) -> None:
    run = rewrite(folder, "jobs", completion_s=[None] * 50, jct_s=[None] * 50, status=["refused"] * 50)
    placed = set(pq.read_table(folder / "placements.parquet").column("job_id").to_pylist())
    jobs = read_occupancy(run).jobs
    never = [job not in placed for job in jobs.job_id.tolist()]
    assert jobs.end_round[never].tolist() == [0] * sum(never)


def test_a_job_that_never_came_into_the_table_is_shown_without_a_type(folder: Path) -> None:
    table = pq.read_table(folder / "jobs.parquet")
    pq.write_table(table.slice(0, 0), folder / "jobs.parquet")
    occupancy = read_occupancy(load_run(folder))
    placed = set(pq.read_table(folder / "placements.parquet").column("job_id").to_pylist())
    assert occupancy.jobs.job_id.tolist() == sorted(placed)
    assert occupancy.jobs.job_types == ["not recorded"]
    assert "No job that counts was completed." in render_viewer([load_run(folder)])


def test_job_types_beyond_the_colours_are_gathered(folder: Path) -> None:
    (kinds,) = kinds_of([read_occupancy(load_run(folder)).jobs]).of_run  # 26 types
    assert len({kind.colour for kind in kinds}) == len(kinds) == 10
    assert kinds[-1].label == "17 other types"
    assert sum(kind.jobs for kind in kinds) == 50


def test_types_that_differ_in_brackets_only_share_a_colour(folder: Path) -> None:
    names = [f"{'LM' if index % 2 else 'ResNet'} (batch size {index % 24})" for index in range(50)]
    (kinds,) = kinds_of([read_occupancy(rewrite(folder, "jobs", job_type=names)).jobs]).of_run
    assert [(kind.label, kind.jobs) for kind in kinds] == [("LM", 25), ("ResNet", 25)]


def test_a_colour_means_the_same_type_in_both_runs(folder: Path, tmp_path: Path) -> None:
    other = write_large_run(tmp_path / "other", SMALL)
    rewrite(folder, "jobs", job_type=["A"] * 10 + ["B"] * 40)
    rewrite(other, "jobs", job_type=["B"] * 4 + ["C"] * 46)
    jobs = [read_occupancy(load_run(path)).jobs for path in (folder, other)]
    found = kinds_of(jobs)
    first, second = ({kind.label: (kind.colour, kind.jobs) for kind in kinds} for kinds in found.of_run)
    assert first == {"B": ("pink", 40), "C": ("sky", 0), "A": ("green", 10)}
    assert second == {"B": ("pink", 4), "C": ("sky", 46), "A": ("green", 0)}
    for path, run_jobs, index in zip((folder, other), jobs, found.index, strict=True):
        names = pq.read_table(path / "jobs.parquet").column("job_type").to_pylist()
        assert [found.of_run[0][kind].label for kind in index] == names
        assert len(run_jobs.job_id) == len(names)


def test_a_killed_run_is_shown_and_the_page_says_what_is_missing(folder: Path) -> None:
    for name in ("placements", "rounds", "jobs"):
        table = folder / f"{name}.parquet"
        parts_folder(table).mkdir()
        table.rename(parts_folder(table) / "000000.parquet")
    page = render_viewer([change(folder, status="interrupted")])
    assert "This run was killed or is still going on." in page
    assert 'class="status interrupted"' in page


def test_a_run_without_rounds_is_one_message(folder: Path) -> None:
    table = pq.read_table(folder / "rounds.parquet")
    pq.write_table(table.slice(0, 0), folder / "rounds.parquet")
    with pytest.raises(RunDirectoryError, match="no rounds, so there is nothing to view"):
        render_viewer([load_run(folder)])


@pytest.mark.parametrize(
    ("table", "column", "value"),
    [
        ("rounds", "round", 5),
        ("rounds", "sim_time_s", 1e9),
        ("placements", "job_id", -1),
        ("placements", "share_milli", 1 << 16),
        ("placements", "start_round", None),
        ("jobs", "job_id", -3),
    ],
)
def test_a_value_that_cannot_be_is_one_message(folder: Path, table: str, column: str, value: float | None) -> None:
    values = pq.read_table(folder / f"{table}.parquet").column(column).to_pylist()
    values[0] = value
    with pytest.raises(RunDirectoryError, match=f"{table}.parquet: column '{column}'"):
        render_viewer([rewrite(folder, table, **{column: values})])


# -- time ------------------------------------------------------------------------------------------------------------


def test_the_moments_of_one_run_are_its_rounds(folder: Path) -> None:
    clock = timeline([read_occupancy(load_run(folder))])
    assert clock.round_at[0].tolist() == list(range(SMALL.rounds))


def test_two_runs_are_in_step_by_simulated_time(folder: Path, tmp_path: Path) -> None:
    slow = read_occupancy(load_run(folder))
    other = write_run(tmp_path / "other", RunShape(rounds=3, jobs=2))  # rounds of 360 s; those of the first last 600 s
    quick = read_occupancy(load_run(other))
    clock = timeline([slow, quick])
    moments = dict(zip(clock.time_s.tolist(), zip(*map(np.ndarray.tolist, clock.round_at), strict=True), strict=True))
    assert moments[0.0] == (0, 0)
    assert moments[360.0] == (0, 1)
    assert moments[600.0] == (1, 1)
    assert moments[720.0] == (1, 2)
    assert moments[1200.0] == (2, -1)  # the second run ended at 1,080 s


def test_starts_that_differ_by_milliseconds_are_one_moment(folder: Path, tmp_path: Path) -> None:
    other = write_large_run(tmp_path / "other", SMALL)
    drifting = np.arange(SMALL.rounds) * 599.9998
    clock = timeline([read_occupancy(load_run(folder)), read_occupancy(rewrite(other, "rounds", sim_time_s=drifting))])
    assert [at.tolist() for at in clock.round_at] == [list(range(SMALL.rounds))] * 2


def test_no_round_of_a_run_is_lost_where_its_rounds_are_short(folder: Path, tmp_path: Path) -> None:
    other = write_large_run(tmp_path / "other", SMALL)
    uneven = np.cumsum(np.where(np.arange(SMALL.rounds) % 2, 1.0, 600.0))
    clock = timeline([read_occupancy(load_run(folder)), read_occupancy(rewrite(other, "rounds", sim_time_s=uneven))])
    assert [set(at.tolist()) >= set(range(SMALL.rounds)) for at in clock.round_at] == [True, True]


def test_an_axis_is_cut_where_one_round_would_hide_the_others(folder: Path) -> None:
    solve_s = np.full(SMALL.rounds, 0.004)
    plain = rewrite(folder, "rounds", phase_lp_solve_s=solve_s, phase_policy_s=solve_s * 0)
    (chart,) = (c for c in payload(render_viewer([plain]), "payload") if c["key"] == "phases0")
    assert chart["tops"]["wall"] == [pytest.approx(4.24), ""]
    solve_s[0] = 20.0
    page = render_viewer([rewrite(folder, "rounds", phase_lp_solve_s=solve_s, phase_policy_s=solve_s * 0)])
    (chart,) = (c for c in payload(page, "payload") if c["key"] == "phases0")
    top, said = chart["tops"]["wall"]
    assert said == "One point, 20\u202f000\u202fms at 0.0\u202fh, is above the top of the chart."
    assert top < 20_000


def test_a_chart_of_counts_is_cut_too_and_says_how_many_and_where(folder: Path) -> None:
    moves = np.full(SMALL.rounds, 3)
    moves[10] = 500
    page = render_viewer([rewrite(folder, "rounds", moves=moves)])
    (chart,) = (c for c in payload(page, "payload") if c["key"] == "moves")
    assert chart["yAxis"]["high"] == 6
    assert "One point, 500\u202fjobs at 1.7\u202fh, is above the top of the chart." in page


def test_charts_of_two_runs_show_each_over_its_own_rounds(folder: Path, tmp_path: Path) -> None:
    other = write_run(tmp_path / "other", RunShape(rounds=3, jobs=2))
    page = render_viewer([load_run(folder), load_run(other)])
    charts = {chart["key"]: chart for chart in payload(page, "payload")}
    first, second = charts["utilisation"]["series"]
    assert [first["label"], second["label"]] == ["run", "other"]
    assert None not in first["values"]
    assert [value is None for value in second["values"]] == [at >= 0.3 for at in charts["utilisation"]["x"]]


def test_figures_of_a_round_are_those_of_the_table(folder: Path) -> None:
    (run,) = payload(render_viewer([load_run(folder)]), "viewer")["runs"]
    rounds = pq.read_table(folder / "rounds.parquet").to_pydict()
    assert run["series"]["moves"] == rounds["moves"]
    np.testing.assert_allclose(run["series"]["utilization"], rounds["utilization"], rtol=1e-3)


def test_the_same_run_gives_the_same_page(folder: Path) -> None:
    assert render_viewer([load_run(folder)]) == render_viewer([load_run(folder)])


def test_the_page_refers_to_nothing_outside_itself(folder: Path) -> None:
    page = render_viewer([load_run(folder)])
    assert re.findall(r"(?:src|href)=\"(?!data:,|#)[^\"]*\"|@import|url\((?!#)", page) == []


def test_three_runs_are_too_many(folder: Path) -> None:
    with pytest.raises(ComparisonError, match="one run, or two side by side; 3 were given"):
        write_viewer([load_run(folder)] * 3, folder / "page.html")


# -- the command -----------------------------------------------------------------------------------------------------


def test_the_command_writes_the_page_and_says_where(folder: Path, phasewise: Callable[..., Any]) -> None:
    out = folder / "new folder" / "page.html"
    said = phasewise("view", folder, "--out", out)
    assert (said.code, said.out, said.err) == (ExitCode.DONE, f"viewer: {out}\n", "")
    assert out.read_text() == render_viewer([load_run(folder)])


def test_the_same_directory_twice_gets_two_names(folder: Path) -> None:
    page = render_viewer([load_run(folder), load_run(folder)])
    assert [run["name"] for run in payload(page, "viewer")["runs"]] == ["run (A)", "run (B)"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nowhere", "--out", "page.html"], "nowhere: is missing; a run directory is expected"),
        ([".", "--out", "page.html"], "run.json: no such file"),
        (["run"], "Missing option '--out'"),
        (["--out", "page.html"], "Missing argument 'RUN [RUN]'"),
        (["run", "run", "run", "--out", "page.html"], "3 run directories were given; the viewer shows one, or two"),
        (["run", "--out", "run"], "run: is a folder; the name of an HTML file to write is expected"),
        (["run", "--out", "run/run.json/page.html"], "page.html: the viewer cannot be written"),
    ],
)
def test_wrong_usage_is_one_message_with_exit_code_2(
    folder: Path, phasewise: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, arguments: list[str], says: str
) -> None:
    monkeypatch.chdir(folder.parent)
    said = phasewise("view", *arguments)
    assert said.code == ExitCode.BAD_INPUT
    assert said.err.startswith("phasewise: error: ")
    assert says in said.err
    assert said.err.count("\n") == 1
    assert not Path("page.html").exists()
