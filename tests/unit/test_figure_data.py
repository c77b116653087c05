"""What figures show, computed a second time: from tables that are made up, and from what small runs have written."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq
import pytest
from figure_sources import ten_jobs, write_fill
from sample_study import row_of, write_table
from small_runs import Job, run_trace
from synthetic_run import RunShape, write_run

from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files import making
from phasewise.reports.figure_files.catalogue import FIGURES
from phasewise.reports.figure_files.model import Figure, Panel, Series
from phasewise.reports.figure_files.published import laid_over
from phasewise.reports.figure_files.sources import read

HOUR_S = 3600.0
T_OF_2 = 4.302652729911275  # Student's t at 0.975 with two degrees of freedom, from a table


def data(name: str, *paths: Path) -> Figure:
    return FIGURES[name].make(read(paths, FIGURES[name].made_of, name))


def panel(figure: Figure, key: str) -> Panel:
    return next(each for each in figure.panels if each.key == key)


def series(of: Panel, label: str) -> Series:
    return next(each for each in of.series if each.label == label)


def points(rows: Sequence[tuple[Any, ...]], columns: Sequence[str]) -> list[dict[str, Any]]:
    """Return rows of a study's table, numbered."""
    return [{"point": f"{index:016x}", **dict(zip(columns, row, strict=True))} for index, row in enumerate(rows)]


# -- over a study --------------------------------------------------------------------------------------------------

SWEPT = ("policy.name", "workload.rate_per_hour", "seed", "status", "avg_jct_s", "avg_jct_lower_bound_s", "censored")


@pytest.fixture
def swept(tmp_path: Path) -> Path:
    """Return a study of two policies: complete at 1 job/h; at 2 one seed is censored, or overloaded, or failed."""
    rows = [
        ("a", 1.0, seed, "complete", jct * HOUR_S, jct * HOUR_S, False) for seed, jct in enumerate((8.0, 10.0, 15.0))
    ]
    rows += [
        ("a", 2.0, 0, "complete", 20 * HOUR_S, 20 * HOUR_S, False),
        ("a", 2.0, 1, "stopped", 12 * HOUR_S, 40 * HOUR_S, True),
        ("a", 2.0, 2, "complete", 24 * HOUR_S, 24 * HOUR_S, False),
        ("b", 1.0, 0, "complete", 5 * HOUR_S, 5 * HOUR_S, False),
        ("b", 1.0, 1, "failed", None, None, None),
        ("b", 2.0, 0, "complete", 6 * HOUR_S, 6 * HOUR_S, False),
        ("b", 2.0, 1, "overloaded", 30 * HOUR_S, 60 * HOUR_S, True),
    ]
    return write_table(tmp_path / "swept", points(rows, SWEPT))


def test_the_mean_over_seeds_has_a_student_interval(swept: Path) -> None:
    line = series(data("jct-vs-rate", swept).panels[0], "a")
    mean, margin = 11.0, T_OF_2 * np.sqrt(((8 - 11) ** 2 + (10 - 11) ** 2 + (15 - 11) ** 2) / 2) / np.sqrt(3)
    assert line.x[0] == 1.0
    assert line.y[0] == pytest.approx(mean)
    assert (line.low[0], line.high[0]) == pytest.approx((mean - margin, mean + margin))
    assert (line.n[0], line.of[0], line.states()[0]) == (3, 3, "complete")


def test_the_jobs_that_count_are_said_where_the_study_sets_them(swept: Path) -> None:
    assert not any(note.startswith("Means over jobs") for note in data("jct-vs-rate", swept).notes)
    with (swept / "study.toml").open("a") as settings:
        settings.write('[set]\n"stop.window" = [4000, 5000]\n')
    assert "Means over jobs 4,000 to 4,999." in data("jct-vs-rate", swept).notes


def test_a_point_with_an_unfinished_window_is_marked_and_its_value_is_a_bound(swept: Path) -> None:
    line = series(data("jct-vs-rate", swept).panels[0], "a")
    assert line.states()[1] == "censored"
    assert line.y[1] == pytest.approx((20 + 40 + 24) / 3)  # the censored run with the age of its unfinished jobs
    assert np.isnan([line.low[1], line.high[1]]).all()
    assert (line.n[1], line.of[1]) == (2, 3)


def test_overload_and_failure_are_told_apart_and_counted(swept: Path) -> None:
    figure = data("jct-vs-rate", swept)
    line = series(figure.panels[0], "b")
    assert line.states() == ["complete", "overloaded"]
    assert line.y == pytest.approx([5.0, (6 + 60) / 2])
    assert (list(line.n), list(line.of)) == ([1, 1], [2, 2])
    assert np.isnan(line.low[0])  # of one run there is no interval
    assert any(note.startswith("1 points have no mean") for note in figure.notes)
    assert any("Hollow triangles" in note for note in figure.notes)


def test_points_are_grouped_by_all_that_varies_but_seed_and_rate(tmp_path: Path) -> None:
    columns = ("policy.name", "placement.name", "workload.cap", "workload.rate_per_hour", "seed", "status", "avg_jct_s")
    rows = [
        ("p", place, cap, 1.0, seed, "complete", 3600.0) for place in ("x", "y") for cap in (1, 2) for seed in (0, 1)
    ]
    figure = data("jct-vs-rate", write_table(tmp_path / "study", points(rows, columns)))
    assert [each.label for each in figure.panels[0].series] == ["x, cap 1", "x, cap 2", "y, cap 1", "y, cap 2"]
    assert figure.panels[0].series[0].keys == {"placement.name": "x", "workload.cap": "1"}


def test_a_study_that_varies_no_rate_is_refused_with_what_it_varies(tmp_path: Path) -> None:
    rows = points(
        [("a", 0, "complete", 1.0), ("b", 0, "complete", 1.0)], ("policy.name", "seed", "status", "avg_jct_s")
    )
    with pytest.raises(FigureError, match=r"varies no workload\.rate_per_hour.*it varies policy\.name"):
        data("jct-vs-rate", write_table(tmp_path / "study", rows))


def test_over_the_length_of_a_round_runs_without_rounds_are_a_level(tmp_path: Path) -> None:
    columns = ("timing.mechanism", "timing.round_s", "seed", "status", "avg_jct_s")
    rows = [
        ("rounds", length, seed, "complete", (10 + length / 600 + seed) * HOUR_S)
        for length in (60.0, 600.0)
        for seed in (0, 1)
    ]
    rows += [("ideal", 360.0, seed, "complete", (9 + seed) * HOUR_S) for seed in (0, 1)]
    settings = '[study]\nname = "lengths"\nkind = "run"\n[figures]\nx = "timing.round_s"\n'
    (shown,) = data("jct-vs-rate", write_table(tmp_path / "study", points(rows, columns), settings)).panels
    line, level = shown.series
    assert (list(line.x), list(line.y)) == ([1.0, 10.0], pytest.approx([10.6, 11.5]))
    assert (level.label, list(level.x), list(level.y)) == ("lengths, ideal", [1.0, 10.0], [9.5, 9.5])
    assert (shown.x_axis.title, level.look) == ("Length of a round (min)", "line")


def test_what_jct_is_over_has_to_be_varied(tmp_path: Path) -> None:
    settings = '[study]\nname = "s"\nkind = "run"\n[figures]\nx = "timing.round_s"\n'
    rows = points([("a", 1.0, "complete", 1.0)], ("policy.name", "workload.rate_per_hour", "status", "avg_jct_s"))
    with pytest.raises(FigureError, match=r"varies no timing\.round_s"):
        data("jct-vs-rate", write_table(tmp_path / "study", rows, settings))


def test_makespan_cost_and_missed_slos_are_means_by_policy(tmp_path: Path) -> None:
    columns = ("policy.name", "seed", "status", "makespan_s", "cost", "slo_misses")
    rows = [("a", 0, "complete", 3600.0, 5.0, None), ("a", 1, "complete", 7200.0, 7.0, None)]
    rows += [("b", 0, "stopped", 3600.0, 1.0, None)]
    figure = data("makespan", write_table(tmp_path / "study", points(rows, columns)))
    assert [each.key for each in figure.panels] == ["makespan", "cost"]
    (shown,) = panel(figure, "makespan").series
    margin = 12.706204736432095 * np.std([1, 2], ddof=1) / np.sqrt(2)  # Student's t at 0.975 with one degree of freedom
    assert shown.y == pytest.approx([1.5, 1.0])
    assert shown.high[0] == pytest.approx(1.5 + margin)
    assert shown.states() == ["complete", "censored"]
    assert panel(figure, "cost").series[0].y == pytest.approx([6.0, 1.0])
    assert any("Missed SLOs" in note for note in figure.notes)


# -- over runs -----------------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def ran(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return ten_jobs(tmp_path_factory.mktemp("ran") / "ten")


@pytest.fixture(scope="module")
def cut_short(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return the run directory of the same kind that ends before most of its jobs do."""
    jobs = [Job(20.0 * 3600, 0.0) for _ in range(6)]
    return run_trace(tmp_path_factory.mktemp("cut") / "short", jobs, {"v100": 2}, {"stop.rounds": 15}).out


def columns_of(run: Path, *names: str) -> list[np.ndarray]:
    table = pq.read_table(run / "jobs.parquet").to_pydict()
    return [np.array([np.nan if each is None else each for each in table[name]], dtype=float) for name in names]


def test_jct_is_split_by_work_at_four_fifths_of_all_jobs(ran: Path) -> None:
    figure = data("jct-cdf", ran)
    jct, ideal = columns_of(ran, "jct_s", "ideal_s")
    split = np.quantile(ideal, 0.8)
    for key, mask in (("short", ideal <= split), ("long", ideal > split)):
        (curve,) = panel(figure, key).series
        for x, y in zip(curve.x, curve.y, strict=True):
            assert y == pytest.approx(100 * np.mean(jct[mask] / HOUR_S <= x + 1e-12))
        assert curve.x == pytest.approx(np.unique(jct[mask] / HOUR_S))
        assert set(curve.of) == {mask.sum()}


def test_jobs_that_were_not_complete_keep_the_curve_below_the_top(cut_short: Path) -> None:
    figure = data("jct-cdf", cut_short)
    jct, _ = columns_of(cut_short, "jct_s", "ideal_s")
    done = np.isfinite(jct).sum()
    assert 0 < done < 6
    (curve,) = panel(figure, "short").series
    assert curve.y[-1] == pytest.approx(100 * done / 6)
    assert (curve.n[0], curve.of[0]) == (done, 6)
    assert any("lower bound" in note for note in figure.notes)


def test_waits_are_shown_by_size_and_count_who_never_started(ran: Path, cut_short: Path) -> None:
    figure = data("wait-cdf", ran)
    assert [each.key for each in figure.panels] == ["1 GPU", "2 to 4 GPUs"]
    queued, demand = columns_of(ran, "queued_s", "demand_milli")
    (curve,) = panel(figure, "1 GPU").series
    assert curve.x == pytest.approx(np.unique(queued[demand == 1000]) / HOUR_S)
    assert curve.y[-1] == 100.0
    (curve,) = data("wait-cdf", cut_short).panels[0].series
    queued, _ = columns_of(cut_short, "queued_s", "demand_milli")
    assert np.isnan(queued).any()
    assert curve.y[-1] == pytest.approx(100 * np.isfinite(queued).sum() / 6)


def test_fairness_says_the_worst_and_the_share_above_one(ran: Path) -> None:
    (curve,) = data("rho-cdf", ran).panels[0].series
    (rho,) = columns_of(ran, "rho")
    assert curve.x == pytest.approx(np.unique(rho))
    summary = json.loads((ran / "run.json").read_text())["summary"]["rho"]
    assert curve.note == f"worst {summary['worst']:.2f}, {100 * summary['share_above_1']:.1f} % above 1"


def test_runs_of_a_study_are_pooled_over_seeds(ran: Path, tmp_path: Path) -> None:
    folder = tmp_path / "study"
    (folder / "points").mkdir(parents=True)
    for point in ("aa", "bb"):
        (folder / "points" / point).symlink_to(ran)
    write_table(
        folder, [row_of(folder, point, {"policy.name": "p", "seed": index}) for index, point in enumerate(("aa", "bb"))]
    )
    (one,) = panel(data("jct-cdf", ran), "short").series
    (both,) = panel(data("jct-cdf", folder), "short").series
    assert (list(both.x), list(both.y)) == (list(one.x), list(one.y))
    assert both.of[0] == 2 * one.of[0]


def test_use_over_time_weighs_rounds_by_their_length(ran: Path) -> None:
    figure = data("usage", ran)
    rounds = pq.read_table(ran / "rounds.parquet").to_pydict()
    assert len(rounds["round"]) <= 200  # so that each round is a point
    used = panel(figure, "utilization").series[0]
    assert used.x == pytest.approx(np.array(rounds["sim_time_s"]) / HOUR_S)
    assert used.y == pytest.approx(100 * np.array(rounds["utilization"]))
    assert panel(figure, "queued").series[0].y == pytest.approx(rounds["queued"])
    assert panel(figure, "active").series[0].y == pytest.approx(rounds["active"])


def test_bins_of_many_rounds_keep_the_mean_over_time(tmp_path: Path) -> None:
    run = write_run(tmp_path / "long", RunShape(rounds=1234))
    used = data("usage", run).panels[0].series[0]
    table = pq.read_table(run / "rounds.parquet").to_pydict()
    assert len(used.x) <= 200
    size = np.full(len(used.x), 10.0)
    size[-1] = 1234 - 10 * (len(size) - 1)
    assert np.average(used.y, weights=size) == pytest.approx(100 * np.mean(table["utilization"]))


def test_gpu_time_is_split_to_the_last_second(ran: Path) -> None:
    figure = data("lost-time", ran)
    summary = json.loads((ran / "run.json").read_text())["summary"]
    offered = 2 * summary["sim_time_s"]
    lost = summary["lost_gpu_s"]
    shown = {each.label: each.y[0] for each in figure.panels[0].series}
    (held,) = columns_of(ran, "gpu_s")
    assert shown["steps"] == pytest.approx(100 * summary["goodput"] * held.sum() / offered)
    assert shown.get("unfinished round", 0.0) == pytest.approx(100 * lost["round_end"] / offered)
    assert sum(shown.values()) == pytest.approx(100.0)


def test_a_round_costs_what_its_phases_cost(tmp_path: Path) -> None:
    run = write_run(tmp_path / "run", RunShape(rounds=900))
    (shown,) = data("round-cost", run).panels
    table = pq.read_table(run / "rounds.parquet").to_pydict()
    active, cost = np.array(table["active"]), np.array(table["phase_policy_cpu_s"])
    line = series(shown, "policy")
    assert (line.x[0], line.n[0]) == (1.0, (active == 1).sum())
    assert line.y[0] == pytest.approx(1e3 * cost[active == 1].mean())
    assert 890 < sum(line.n) <= 900  # bins of fewer than five rounds are left out
    parts = sum(np.nan_to_num(each.y) for each in shown.series if each.label != "all phases")
    assert series(shown, "all phases").y == pytest.approx(parts)


# -- over fills and replays ----------------------------------------------------------------------------------------


def test_fills_are_means_over_seeds_at_the_loads_that_all_reached(tmp_path: Path) -> None:
    loads = {7: (1.0, 3.0, 8.0), 8: (2.0, 5.0)}
    fills = [
        write_fill(
            tmp_path / str(seed),
            "fgd",
            seed,
            {
                "arrived_load_pct": range(len(lost)),
                "alloc_pct": [10.0 * each for each in range(len(lost))],
                "frag_pct_of_total": lost,
                "frag_pct_of_idle": lost,
            },
        )
        for seed, lost in loads.items()
    ]
    figure = data("fragmentation", *fills)
    assert [each.key for each in figure.panels] == ["frag_idle", "frag_total", "unallocated"]
    (line,) = panel(figure, "frag_total").series
    assert (list(line.x), list(line.y), list(line.n)) == ([0, 1], [1.5, 4.0], [2, 2])
    assert list(panel(figure, "unallocated").series[0].y) == [100.0, 90.0]
    assert any("without occupied_nodes" in note for note in figure.notes)


def test_replays_are_lines_over_jobs_cold_and_warm(tmp_path: Path) -> None:
    for jobs in (100, 1700):
        record = {"solver": "s", "family": "max_min", "rounds": 9, "jobs_median": jobs, "total_ms_median": jobs / 100}
        content = [record | {"cold_ms": jobs / 10, "max_gap": 0.0}]
        (tmp_path / f"{jobs}.json").write_text(json.dumps(content))
    figure = data("solve-time", tmp_path / "1700.json", tmp_path / "100.json")
    time = panel(figure, "time")
    assert (list(series(time, "s").x), list(series(time, "s").y)) == ([100, 1700], [1.0, 17.0])
    assert list(series(time, "s, cold").y) == [10.0, 170.0]
    assert list(panel(figure, "gap").series[0].y) == [1e-16, 1e-16]


def test_published_solve_times_lie_over_every_replay_unless_told_otherwise(tmp_path: Path) -> None:
    record = {
        "solver": "s",
        "family": "max_min",
        "rounds": 9,
        "jobs_median": 100,
        "total_ms_median": 1.0,
        "max_gap": 0.0,
    }
    file = tmp_path / "replay.json"
    file.write_text(json.dumps([record]))
    figure = making.prepare("solve-time", [file])
    published = {
        each.label: (list(each.x), list(each.y)) for each in panel(figure, "time").series if each.source != "ours"
    }
    assert published["max_min with pairs, whole (Gavel), paper"] == ([1024.0], [296_000.0])
    assert published["max_min, in 16 parts, paper"] == ([32_768.0], [300.0])
    assert [each.source for each in panel(figure, "gap").series] == ["ours"]
    assert any("on other machines" in note for note in figure.notes)
    making.make("solve-time", [file], tmp_path / "bare", overlays=["none"], drawn=False)
    assert "paper" not in (tmp_path / "bare" / "solve-time.csv").read_text()


def test_a_replay_that_does_not_say_its_jobs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "old.json").write_text(json.dumps([{"solver": "s", "total_ms_median": 1.0}]))
    with pytest.raises(FigureError, match="no jobs_median"):
        data("solve-time", tmp_path / "old.json")


# -- published curves ----------------------------------------------------------------------------------------------


def test_a_published_curve_has_our_colour_our_kind_of_interval_and_its_traps(swept: Path) -> None:
    figure = laid_over(data("jct-vs-rate", swept), ["gavel-fig9"])
    curve = series(figure.panels[0], "max_min_fairness_perf, replication")
    at = list(curve.x).index(0.4)
    assert (curve.y[at], curve.n[at]) == (17.7547, 3)
    assert curve.high[at] - curve.y[at] == pytest.approx(T_OF_2 * 0.7603 / np.sqrt(2))  # population deviation of three
    paper = series(figure.panels[0], "max_min_fairness_perf, paper")
    assert paper.states()[list(paper.x).index(6.5)] == "axis limit"
    assert any("survivors only" in note for note in figure.notes)


def test_overlays_come_from_the_name_of_the_study(swept: Path) -> None:
    settings = swept / "study.toml"
    assert len(making.prepare("jct-vs-rate", [swept]).panels[0].series) == 2
    settings.write_text('[study]\nname = "gavel-fig10-to-the-end"\nkind = "run"\n')
    sources = {each.source for each in making.prepare("jct-vs-rate", [swept]).panels[0].series}
    assert sources == {"ours", "paper", "replication"}


def test_a_study_may_name_its_overlays_and_a_wrong_one_is_refused(swept: Path) -> None:
    settings = swept / "study.toml"
    settings.write_text('[study]\nname = "mine"\noverlay = ["gavel-fig11", "fgd-fig7"]\n')
    labels = {each.label for each in making.prepare("jct-vs-rate", [swept]).panels[0].series}
    assert "finish_time_fairness, paper" in labels
    settings.write_text('[study]\nname = "mine"\noverlay = "gavel-fig99"\n')
    with pytest.raises(FigureError, match="no such published figure"):
        making.prepare("jct-vs-rate", [swept])


def test_a_curve_of_another_figure_is_refused(swept: Path) -> None:
    with pytest.raises(FigureError, match=r"belongs to the figure fragmentation.*allowed: gavel-fig9"):
        laid_over(data("jct-vs-rate", swept), ["fgd-fig7"])
    with pytest.raises(FigureError, match="did you mean 'gavel-fig9'"):
        laid_over(data("jct-vs-rate", swept), ["gavel-fig-9"])


def test_the_csv_of_one_figure_lies_over_another(swept: Path, tmp_path: Path) -> None:
    before = tmp_path / "before.csv"
    figure = data("jct-vs-rate", swept)
    before.write_text(making.table(figure))
    (line,) = [each for each in laid_over(figure, [str(before)]).panels[0].series if each.label == "a, before"]
    assert line.y == pytest.approx(series(figure.panels[0], "a").y)
    assert line.colour == series(figure.panels[0], "a").colour
