"""POP side by side: parts that share out jobs and GPUs, what they come to together, and the files that say so."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner

from phasewise.bench.series.pop import INSTANCES, OWN, Split, bounds, main, measured, part, parts_of
from phasewise.reports.errors import FigureError
from phasewise.reports.figure_files.catalogue import FIGURES
from phasewise.reports.figure_files.sources import read
from phasewise.solvers.families.max_min import MaxMinProblem
from phasewise.solvers.instances import churned_rounds, of_kinds


def problem(jobs: int = 200) -> MaxMinProblem:
    return next(churned_rounds(4, jobs, 1, types=3)).problem


def test_parts_have_every_job_once_and_all_gpus_between_them() -> None:
    whole = problem()
    of = parts_of(whole, 4)
    parts = [part(whole, np.flatnonzero(of == index)) for index in range(4)]
    assert sorted(np.concatenate([each.keys for each in parts])) == sorted(whole.keys)
    assert sum(each.capacity for each in parts) == pytest.approx(whole.capacity)
    for each in parts:  # as many GPUs for each that is asked for
        assert each.capacity / each.scale_factor.sum() == pytest.approx(whole.capacity / whole.scale_factor.sum())
        assert 20 <= each.jobs <= 80


def test_a_job_that_stays_keeps_its_part_and_its_kind() -> None:
    first, second = (each.problem for each in churned_rounds(4, 200, 2, types=3, churn=20))
    stayed = np.isin(first.keys, second.keys)
    there = np.searchsorted(second.keys, first.keys[stayed])
    assert (parts_of(first, 7)[stayed] == parts_of(second, 7)[there]).all()
    before, after = of_kinds(first, first, 5), of_kinds(second, first, 5)
    assert (before.gain[stayed] == after.gain[there]).all()
    assert len(np.unique(before.gain, axis=0)) == 5


def test_kinds_are_spread_over_the_parts() -> None:
    whole = of_kinds(problem(1000), problem(1000), 26)
    of = parts_of(whole, 2)
    assert all(len(np.unique(whole.gain[of == index], axis=0)) == 26 for index in range(2))


def test_the_whole_is_optimal_and_parts_are_feasible_but_less() -> None:
    rounds = [each.problem for each in churned_rounds(4, 300, 3, types=3)]
    proven = bounds(rounds)
    whole = list(measured(INSTANCES[0], OWN, 1, rounds, proven))
    split = list(measured(INSTANCES[0], OWN, 8, rounds, proven))
    assert [each.state for each in whole] == ["cold", "warm"]
    assert [each.rounds for each in whole] == [1, 2]
    assert all(1.0 - 1e-9 <= each.quality <= 1.0 for each in whole)
    assert all(0.3 < each.quality < 0.999 for each in split)
    assert all(each.largest_part_ms < each.cpu_ms for each in split)
    _, x = Split(OWN, 8).solve(rounds[0])
    assert rounds[0].violation(x) <= 1e-12
    assert rounds[0].objective(x) / proven[0] == pytest.approx(split[0].quality, rel=1e-12)


@pytest.mark.thorough
def test_the_series_writes_a_row_a_measurement_and_a_figure_of_them(tmp_path: Path) -> None:
    words = ["--scale", "64", "--rounds", "2", "--ecos-rounds", "0", "--parts", "1", "--parts", "3", "--out"]
    done = CliRunner().invoke(main, [*words, str(tmp_path)], catch_exceptions=False)
    assert done.exit_code == 0
    assert "| 512 x 3, all different | structured | 3 |" in done.output
    records = json.loads((tmp_path / "pop.json").read_text())
    assert len(records) == 3 * 2 * 2  # instances, parts, cold and warm
    with (tmp_path / "pop.csv").open(newline="") as lines:
        assert [row["quality"] for row in csv.DictReader(lines)] == [str(each["quality"]) for each in records]
    assert (tmp_path / "quality-over-time.csv").exists()


def test_the_figure_shows_what_is_missing_over_time(tmp_path: Path) -> None:
    record = {"instance": "i", "solver": "s", "parts": 1, "state": "cold", "cpu_ms": 5.0, "quality": 1.0}
    records = [record | {"parts": 4, "cpu_ms": 2.0, "quality": 0.75}, record]
    (tmp_path / "pop.json").write_text(json.dumps(records))
    wanted = FIGURES["quality-over-time"]
    (panel,) = wanted.make(read([tmp_path / "pop.json"], wanted.made_of, wanted.name)).panels
    (line,) = panel.series
    assert line.x.tolist() == [5.0, 2.0]
    assert line.y == pytest.approx([1e-10, 0.25])
    assert line.n is not None
    assert line.n.tolist() == [1.0, 4.0]
    del records[0]["quality"]
    (tmp_path / "pop.json").write_text(json.dumps(records))
    with pytest.raises(FigureError, match="without quality"):
        wanted.make(read([tmp_path / "pop.json"], wanted.made_of, wanted.name))
