"""The report page: what it says, what it says when there is nothing to show, and how large it gets."""

from __future__ import annotations

import json
import re
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from synthetic_run import RunShape, write_run

from phasewise.reports.clipping import said_of, top_of
from phasewise.reports.compare import compare_runs
from phasewise.reports.errors import ReportWriteError
from phasewise.reports.figures import PIPELINE, bins_of, counted, log_edges, log_histogram, memory_growth
from phasewise.reports.html import write_report
from phasewise.reports.quantities import count, duration, number, percent
from phasewise.reports.run_directory import load_run
from phasewise.sched.scenario.loading import load_scenario
from phasewise.sched.simulate import simulate


def page_of(folder: Path, **shape: object) -> str:
    run = load_run(write_run(folder / "run", RunShape(**{"rounds": 80, "jobs": 30, **shape})))
    return write_report([run], folder / "report.html").read_text(encoding="utf-8")


def charts_of(page: str) -> dict[str, dict[str, object]]:
    payload = re.search(r'<script type="application/json" id="payload">(.*?)</script>', page, re.DOTALL)
    assert payload
    return {chart["key"]: chart for chart in json.loads(payload[1])}


def test_the_page_needs_no_network(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    assert not re.search(r"""(src|href)=["']?(https?:)?//""", page)
    assert "@import" not in page


def test_every_chart_has_axis_titles_and_every_placeholder_its_chart(tmp_path: Path) -> None:
    page = page_of(tmp_path)
    charts = charts_of(page)
    assert set(re.findall(r'data-chart="([^"]+)"', page)) == set(charts)
    for chart in charts.values():
        assert chart["xAxis"]["title"]
        assert chart["yAxis"]["title"]
        assert all(len(series["values"]) == len(chart["x"]) for series in chart["series"])


def test_a_long_run_is_downsampled_and_the_bin_size_is_stated(tmp_path: Path) -> None:
    page = page_of(tmp_path, rounds=20_000, jobs=5_000)
    assert len(page.encode()) < 400_000
    assert "Means over bins of 100 rounds." in page
    assert len(charts_of(page)["r0-time"]["x"]) == 200


def test_the_layers_of_the_time_chart_add_up_to_the_rounds(tmp_path: Path) -> None:
    page = page_of(tmp_path, rounds=1_000)
    run = load_run(tmp_path / "run")
    total_s = sum(phase.wall_s for phase in run.summary.phases.values())
    layers = np.array([series["values"] for series in charts_of(page)["r0-time"]["series"]])
    assert layers.sum(axis=0).mean() == pytest.approx(1e3 * total_s / 1_000, rel=1e-3)


def test_a_run_without_an_lp_says_so_and_draws_no_solver_chart(tmp_path: Path) -> None:
    page = page_of(tmp_path, lp=False)
    assert "No LP was solved in this run" in page
    assert not any("lp" in key or "gap" in key for key in charts_of(page))


def test_a_page_shows_fragmentation_where_jobs_are_bound_to_nodes(tmp_path: Path) -> None:
    at_once = {"stop.rounds": 4, "workload.rate_per_hour": 0.0}
    pages = {}
    for name in ("strided", "best_fit"):
        run = tmp_path / name
        simulate(load_scenario("toy", {**at_once, "placement.name": name}), run)
        pages[name] = write_report([load_run(run)], tmp_path / f"{name}.html").read_text(encoding="utf-8")
    assert "r0-fragmentation" not in charts_of(pages["strided"])
    assert "Nodes used" not in pages["strided"]
    (series,) = charts_of(pages["best_fit"])["r0-fragmentation"]["series"]
    shares = load_run(tmp_path / "best_fit").rounds.numbers("frag_rate")
    assert series["values"] == pytest.approx(100 * shares)
    assert "Nodes used, mean" in pages["best_fit"]


def test_a_page_draws_finish_time_fairness_of_the_jobs_that_count(tmp_path: Path) -> None:
    charts = charts_of(page_of(tmp_path))
    rho = load_run(tmp_path / "run").jobs.numbers("rho")
    chart = charts["r0-rho"]
    assert chart["xAxis"]["title"].startswith("Finish-time fairness")
    assert (chart["x"][0], chart["x"][-1]) == (
        pytest.approx(np.nanmin(rho), rel=1e-3),
        pytest.approx(np.nanmax(rho), rel=1e-3),
    )
    assert (1.0, "isolated share") in [tuple(mark) for mark in chart["marks"]]


def test_a_page_of_a_run_without_fairness_draws_none(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", RunShape(rounds=20, jobs=5))
    pq.write_table(pq.read_table(path / "jobs.parquet").drop_columns(["rho"]), path / "jobs.parquet")
    page = write_report([load_run(path)], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "r0-jct" in charts_of(page)
    assert "r0-rho" not in charts_of(page)


def test_a_run_without_a_completed_job_says_so(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", RunShape(rounds=20, jobs=5, status="stopped"))
    pq.write_table(pq.read_table(path / "jobs.parquet").slice(0, 0), path / "jobs.parquet")
    page = write_report([load_run(path)], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "None of the counted jobs completed" in page
    assert "r0-jct" not in charts_of(page)


def test_a_run_whose_jobs_are_lost_still_shows_where_the_time_went(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", RunShape(rounds=20, jobs=5))
    (path / "jobs.parquet").unlink()
    page = write_report([load_run(path)], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "jobs.parquet is missing" in page
    assert "r0-time" in charts_of(page)


@pytest.mark.parametrize("rounds", [1, 2, 3])
def test_very_short_runs_have_a_page_too(tmp_path: Path, rounds: int) -> None:
    assert "What ran" in page_of(tmp_path, rounds=rounds, jobs=1)


def test_a_run_stopped_before_its_first_round_has_a_page_too(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", RunShape(rounds=2, jobs=1, status="interrupted"))
    for name in ("rounds", "jobs"):
        pq.write_table(pq.read_table(path / f"{name}.parquet").slice(0, 0), path / f"{name}.parquet")
    content = json.loads((path / "run.json").read_text())
    (path / "run.json").write_text(json.dumps(content | {"summary": {}}))
    page = write_report([load_run(path)], tmp_path / "report.html").read_text(encoding="utf-8")
    assert "This run recorded no phases" in page
    assert "The run has no rounds." in page
    assert charts_of(page) == {}


def test_links_are_relative_and_only_to_files_that_exist(tmp_path: Path) -> None:
    path = write_run(tmp_path / "my run", RunShape(rounds=5, jobs=3))
    (path / "pyinstrument.html").write_text("")
    page = write_report([load_run(path)], tmp_path / "pages" / "report.html").read_text(encoding="utf-8")
    assert 'href="../my%20run/pyinstrument.html"' in page
    assert "line_profile.txt" not in page


def test_text_of_a_run_cannot_become_markup(tmp_path: Path) -> None:
    page = page_of(tmp_path, scenario={"name": "<script>alert(1)</script>"})
    assert "<script>alert" not in page


def test_several_runs_lie_on_common_axes_their_jobs_first(tmp_path: Path) -> None:
    runs = [
        load_run(write_run(tmp_path / name, RunShape(rounds=60, jobs=20, solver=solver)))
        for name, solver in (("one", "highs-direct"), ("two", "cvxpy-fresh:SCS"))
    ]
    page = write_report(runs, tmp_path / "report.html").read_text(encoding="utf-8")
    assert "2 runs side by side" in page
    assert "cvxpy-fresh:SCS" in page
    charts = charts_of(page)
    assert list(charts)[:2] == ["jct_share", "jct"]
    for key in ("jct_share", "jct", "rho_share", "round", "usage", "queue", "memory"):
        assert [series["label"] for series in charts[key]["series"]] == ["one", "two"]
    assert page.index('data-chart="jct_share"') < page.index("average JCT") < page.index('data-chart="r0-time"')
    assert charts["r0-time"]["tops"]["cpu"][0] == charts["r1-time"]["tops"]["cpu"][0] > 0.0


def test_a_common_axis_holds_the_jobs_and_the_hours_of_each_run(tmp_path: Path) -> None:
    shapes = {"long": RunShape(rounds=600, jobs=200), "short": RunShape(rounds=60, jobs=30, seed=3)}
    runs = [load_run(write_run(tmp_path / name, shape)) for name, shape in shapes.items()]
    charts = charts_of(write_report(runs, tmp_path / "report.html").read_text(encoding="utf-8"))
    for run, series in zip(runs, charts["jct_share"]["series"], strict=True):
        hours = counted(run, "jct_s") / 3600.0
        at = np.array(charts["jct_share"]["x"]) * (1 + 1e-4)  # the page has five digits
        share = 100.0 * np.searchsorted(hours, at, "right") / len(hours)
        np.testing.assert_allclose(series["values"], share, atol=100.0 * 2 / len(hours))
        assert series["values"][-1] == 100.0
    usage = charts["usage"]
    ends = [run.rounds.numbers("sim_time_s").max() / 3600.0 for run in runs]
    for series, end in zip(usage["series"], ends, strict=True):
        known = [x for x, value in zip(usage["x"], series["values"], strict=True) if value is not None]
        assert known[0] == 0.0
        assert known[-1] == pytest.approx(end, abs=1.1 * usage["x"][1])


def test_a_few_slow_rounds_do_not_flatten_the_others_and_are_told(tmp_path: Path) -> None:
    path = write_run(tmp_path / "run", RunShape(rounds=200, jobs=30))
    table = pq.read_table(path / "rounds.parquet")
    slow = table["phase_policy_s"].to_numpy().copy()
    slow[17] = 3.0
    place = table.schema.get_field_index("phase_policy_s")
    pq.write_table(table.set_column(place, "phase_policy_s", pa.array(slow)), path / "rounds.parquet")
    chart = charts_of(write_report([load_run(path)], tmp_path / "report.html").read_text(encoding="utf-8"))["r0-time"]
    top, said = chart["tops"]["wall"]
    assert 0.0 < top < 100.0
    assert re.fullmatch(r"One point, 3.00\d\Wms, is above the top of the chart\.", said.replace("\u202f", " "))
    assert chart["tops"]["cpu"] == [None, ""]


@pytest.mark.parametrize(
    ("values", "top"),
    [([], None), ([0.0, 0.0], None), ([1.0] * 300 + [3.0], None), ([1.0] * 300 + [9.0], 2.0), ([1.0, np.nan], None)],
)
def test_an_axis_is_cut_only_far_above_the_others(values: list[float], top: float | None) -> None:
    assert top_of(np.array(values)) == top
    assert bool(said_of(np.array(values), top, "ms")) == (top is not None)


def test_a_real_run_gets_a_page_and_can_be_compared(tmp_path: Path) -> None:
    for name in ("one", "two"):
        simulate(load_scenario("toy"), tmp_path / name)
    runs = [load_run(tmp_path / name) for name in ("one", "two")]
    comparison = compare_runs(runs)
    assert comparison.scenario == comparison.environment == ()
    assert {row.label: row.ratios for row in comparison.metrics}["makespan"] == (1.0, 1.0)
    page = write_report(runs[:1], tmp_path / "one" / "report.html").read_text(encoding="utf-8")
    layers = [series["label"] for series in charts_of(page)["r0-time"]["series"]]
    assert layers == [*PIPELINE, "other"]
    assert 'href="trace.json.gz"' in page


def test_a_place_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    run = load_run(write_run(tmp_path / "run", RunShape(rounds=5, jobs=3)))
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportWriteError, match="cannot be written"):
        write_report([run], tmp_path / "file" / "report.html")
    with pytest.raises(ReportWriteError, match="needs at least one run"):
        write_report([], tmp_path / "report.html")


@pytest.mark.parametrize(
    ("rows", "size"), [(0, 1), (1, 1), (300, 1), (301, 2), (1_301, 5), (20_000, 100), (91_000, 500)]
)
def test_bins_have_round_sizes(rows: int, size: int) -> None:
    assert bins_of(rows, 300).size == size


def test_bins_skip_what_does_not_exist() -> None:
    values = np.array([1.0, np.nan, np.nan, np.nan, 5.0])
    bins = bins_of(5, 3)
    np.testing.assert_array_equal(bins.mean(values), [1.0, np.nan, 5.0])
    np.testing.assert_array_equal(bins.largest(values), [1.0, np.nan, 5.0])


@pytest.mark.parametrize("values", [[3.0], [3.0, 3.0], [1e-6, 1e6], [0.1, 0.2, 0.3]])
def test_a_logarithmic_histogram_loses_no_value(values: list[float]) -> None:
    array = np.array(values)
    assert log_histogram(array, log_edges(array, 20)).sum() == len(values)


def test_memory_growth_is_between_medians_and_needs_a_long_run() -> None:
    assert memory_growth(np.full(1_300, 200.0)) is None
    assert memory_growth(np.concatenate([np.full(2_000, 200.0), np.full(2_000, 201.0)])) == pytest.approx(0.005)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (number(None), "–"),
        (number(float("nan")), "–"),
        (number(0.0), "0"),
        (number(9.996), "10.0"),
        (number(0.012345), "0.0123"),
        (number(1234567.8, group=" "), "1 234 568"),
        (number(7), "7"),
        (number(9.91e-11), "9.91e-11"),
        (number(1e-16), "1.00e-16"),
        (number(-0.5), "-0.500"),
        (count(12345, " "), "12 345"),
        (percent(0.4567, group=" "), "45.7 %"),
        (duration(0.0000021, group=" "), "2.10 µs"),
        (duration(0.25, group=" "), "250 ms"),
        (duration(90.0, group=" "), "90.0 s"),
        (duration(36 * 3600.0, group=" "), "36.0 h"),
        (duration(3e-9, group=" "), "0.00300 µs"),
    ],
)
def test_numbers_read_well(text: str, expected: str) -> None:
    assert text == expected
