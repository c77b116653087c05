"""Runs by groups: means over seeds, and differences between the same jobs."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import msgspec
import numpy as np
import pytest
from synthetic_run import RunShape, write_run

from phasewise.profiling.stats import paired_difference, t_interval
from phasewise.reports.errors import ComparisonError
from phasewise.reports.groups import Figure, Group, Grouped, grouped
from phasewise.reports.run_directory import Run, load_run

HOUR_S = 3600.0
JCT_H = {"old": {0: 20.0, 1: 40.0, 2: 60.0}, "new": {0: 18.0, 1: 37.5, 2: 58.0}}


def made(folder: Path, policy: str, seed: int, rate: float = 4.0, **figures: object) -> Run:
    """Return a run of a policy with these figures in its summary."""
    scenario = {"policy": {"name": policy}, "seed": seed, "workload": {"rate_per_hour": rate}}
    shape = RunShape(rounds=20, jobs=30, seed=seed, scenario=scenario)
    run = load_run(write_run(folder / f"{policy}-{seed}-{rate}", shape))
    return replace(run, summary=msgspec.structs.replace(run.summary, **figures))


@pytest.fixture
def runs(tmp_path: Path) -> list[Run]:
    return [
        made(tmp_path, policy, seed, avg_jct_s=hours * HOUR_S, censored=False)
        for policy, by_seed in JCT_H.items()
        for seed, hours in by_seed.items()
    ]


def group_of(found: Grouped, name: str) -> Group:
    return next(group for group in found.groups if group.name == name)


def figure_of(group: Group, label: str = "average JCT") -> Figure:
    return next(figure for figure in group.figures if figure.label == label)


def test_a_group_has_the_mean_over_its_seeds_with_students_interval(runs: list[Run]) -> None:
    figure = figure_of(group_of(grouped(runs, "policy"), "old"))
    assert figure.over_seeds.interval == pytest.approx(t_interval([20.0, 40.0, 60.0]))
    assert figure.over_seeds.mean == pytest.approx(40.0)
    assert figure.difference is None


def test_a_difference_is_taken_seed_by_seed_and_is_surer_than_the_means(runs: list[Run]) -> None:
    found = grouped(runs[::-1][3:] + runs[3:], "policy")  # in any order of the seeds
    figure = figure_of(group_of(found, "new"))
    assert figure.difference is not None
    assert figure.difference.interval == pytest.approx(paired_difference([18.0, 37.5, 58.0], [20.0, 40.0, 60.0]))
    assert figure.difference.interval.high < 0.0
    assert figure.over_seeds.interval.high > 60.0


def test_only_seeds_that_both_have_are_paired(runs: list[Run]) -> None:
    figure = figure_of(group_of(grouped(runs[:-1], "policy"), "new"))
    assert len(figure.over_seeds.values) == 2
    assert figure.difference is not None
    assert figure.difference.values == pytest.approx((-2.0, -2.5))


def test_one_seed_has_a_mean_and_a_difference_and_no_interval(runs: list[Run]) -> None:
    figure = figure_of(group_of(grouped([runs[0], runs[3]], "policy"), "new"))
    assert (figure.over_seeds.mean, figure.over_seeds.interval) == (pytest.approx(18.0), None)
    assert figure.difference is not None
    assert (figure.difference.mean, figure.difference.interval) == (pytest.approx(-2.0), None)


def test_runs_that_differ_in_another_key_are_other_points(runs: list[Run], tmp_path: Path) -> None:
    more = [made(tmp_path, "old", seed, rate=6.0, avg_jct_s=1.0) for seed in range(2)]
    found = grouped([*runs, *more], "policy")
    assert [(group.name, group.point["workload.rate_per_hour"]) for group in found.groups] == [
        ("old", "4.0"), ("new", "4.0"), ("old", "6.0"),
    ]  # fmt: skip
    assert group_of(found, "old").seeds == (0, 1, 2)


def test_p99_is_that_of_the_jobs_of_each_run(runs: list[Run]) -> None:
    figure = figure_of(group_of(grouped(runs, "policy"), "old"), "JCT p99")
    expected = []
    for run in runs[:3]:
        first, end = run.summary.window or (0, 10**9)
        ids, jct_s = run.jobs.numbers("job_id"), run.jobs.numbers("jct_s")
        counted = jct_s[(ids >= first) & (ids < end) & ~np.isnan(jct_s)]
        if counted.size:
            expected.append(np.percentile(counted, 99) / HOUR_S)
    assert figure.over_seeds.values == pytest.approx(tuple(expected)) if expected else figure.over_seeds.mean is None


def test_a_mean_with_a_run_that_left_jobs_unfinished_is_told(runs: list[Run]) -> None:
    broken = replace(runs[1], status="overloaded")
    censored = replace(runs[2], summary=msgspec.structs.replace(runs[2].summary, censored=True))
    (caution,) = grouped([runs[0], broken, censored], "policy").cautions
    assert caution.startswith("old: 2 of 3 runs are overloaded or left jobs unfinished")
    assert grouped(runs, "policy").cautions == ()


def test_rows_are_plain_and_valid_json(runs: list[Run]) -> None:
    rows = json.loads(json.dumps(grouped(runs, "policy").rows(), allow_nan=False))
    row = next(row for row in rows if row["policy"] == "new" and row["figure"] == "average JCT")
    assert (row["n"], row["pairs"], row["unit"], row["partial_runs"]) == (3, 3, "h", 0)
    assert row["difference_low"] < row["difference"] < row["difference_high"] < 0.0


def test_a_run_given_twice_is_refused(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"are one run: equal in policy\.name \(old\), seed \(0\)"):
        grouped([runs[0], *runs], "policy")


def test_a_key_that_is_not_there_is_refused_with_those_that_are(runs: list[Run]) -> None:
    with pytest.raises(ComparisonError, match=r"no key 'policies' to group by; allowed: .*placement, policy, solver"):
        grouped(runs, "policies")


def test_the_command_prints_groups_json_and_writes_csv(tmp_path: Path, phasewise: Callable) -> None:
    paths = [made(tmp_path, policy, seed).path for policy in ("old", "new") for seed in range(2)]
    table = tmp_path / "table.csv"
    said = phasewise("compare", *paths, "--group", "policy", "--csv", table)
    assert said.code == 0, said.err
    assert [word for word in ("average JCT", "old", "new", "difference", "95 % interval") if word not in said.out] == []
    content = json.loads(phasewise("compare", *paths, "--group", "policy", "--json").out)
    with table.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [row["figure"] for row in rows] == [row["figure"] for row in content["rows"]]
    assert float(rows[0]["mean"]) == pytest.approx(content["rows"][0]["mean"])


def test_a_plain_comparison_is_json_and_csv_as_well(tmp_path: Path, phasewise: Callable) -> None:
    paths = [made(tmp_path, policy, 0).path for policy in ("old", "new")]
    said = phasewise("compare", *paths, "--json", "--csv", tmp_path / "table.csv")
    assert said.code == 0, said.err
    content = json.loads(said.out)
    with (tmp_path / "table.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["table"] == "metrics"]
    assert [row["label"] for row in rows] == list(content["metrics"])


def test_a_key_that_is_not_there_is_wrong_usage(tmp_path: Path, phasewise: Callable) -> None:
    said = phasewise("compare", made(tmp_path, "old", 0).path, "--group", "colour")
    assert said.code == 2
    assert "no key 'colour' to group by" in said.err
