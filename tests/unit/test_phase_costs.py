"""Shares, costs, exponents and what-if of published reports."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from sample_publication import COSTS_MS, EXPONENTS, around, publication
from synthetic_run import RunShape, write_run

from phasewise.profiling.errors import SampleError
from phasewise.profiling.stats import block_means, mean_interval, ratio_interval
from phasewise.reports.phase_costs import (
    ALL,
    costs,
    cpu_blocks,
    exponents,
    round_ms,
    shares,
    shifts,
    speed_up,
    typical_costs,
    what_if,
)
from phasewise.reports.publication import Figure
from phasewise.reports.published_views import view_of
from phasewise.reports.run_directory import Run, load_run


@pytest.fixture
def run(tmp_path: Path) -> Run:
    return load_run(write_run(tmp_path / "run", RunShape(rounds=200, jobs=20)))


@pytest.mark.parametrize(
    ("share", "times", "expected"),
    [(0.5, 2.0, 4 / 3), (0.5, math.inf, 2.0), (0.0, 10.0, 1.0), (0.9, 10.0, 1 / 0.19), (1.0, math.inf, math.inf)],
)
def test_a_speed_up_follows_amdahl(share: float, times: float, expected: float) -> None:
    assert speed_up(share, times) == pytest.approx(expected)


def test_the_interval_of_a_what_if_is_that_of_the_share() -> None:
    assert what_if(Figure(0.4, 0.5, 0.6), 2.0) == Figure(*(pytest.approx(1 / (1 - s / 2)) for s in (0.4, 0.5, 0.6)))


def test_shares_add_up_and_costs_are_those_of_the_table(run: Run) -> None:
    phases = costs([run.rounds])
    assert sum(phase.share.estimate for phase in phases) == pytest.approx(1.0)
    for phase in phases:
        column = "other_cpu_s" if phase.name == "other" else f"phase_{phase.name}_cpu_s"
        assert phase.cpu_ms.estimate == pytest.approx(1e3 * run.rounds.numbers(column).mean())
        assert phase.cpu_ms.low <= phase.cpu_ms.estimate <= phase.cpu_ms.high
        assert phase.share.low <= phase.share.estimate <= phase.share.high
    assert sum(phase.cpu_ms.estimate for phase in phases) == pytest.approx(round_ms([run.rounds]).estimate)


def test_the_same_runs_give_the_same_intervals(run: Run) -> None:
    assert costs([run.rounds, run.rounds]) == costs([run.rounds, run.rounds])


def test_rounds_of_the_warm_up_do_not_count(run: Run) -> None:
    everything, late = cpu_blocks(run.rounds), cpu_blocks(run.rounds, skip=100)
    assert late["policy"].mean() == pytest.approx(1e3 * run.rounds.numbers("phase_policy_cpu_s")[100:].mean())
    assert late["policy"].mean() != pytest.approx(everything["policy"].mean())
    assert set(typical_costs([run.rounds], 100)) == set(everything)
    assert typical_costs([run.rounds] * 3, 100)["all"].estimate == typical_costs([run.rounds], 100)["all"].estimate


def test_exponents_are_found_again() -> None:
    fits = exponents(publication().growth.sizes)
    for name, exponent in EXPONENTS.items():
        assert fits[name].exponent == pytest.approx(exponent, abs=1e-9)
    assert fits[ALL].exponent_low < fits[ALL].exponent < fits[ALL].exponent_high


def test_a_phase_that_costs_nothing_has_no_exponent() -> None:
    sizes = publication().growth.sizes
    sizes[0].cost_ms["telemetry"] = Figure(0.0, 0.0, 0.0)
    assert exponents(sizes)["telemetry"] is None
    assert exponents(sizes[:2])["policy"] is None
    assert exponents([]) == {}


def test_shares_of_a_size_add_up_without_the_whole() -> None:
    found = shares(publication().growth.sizes[-1])
    assert ALL not in found
    assert sum(found.values()) == pytest.approx(1.0)
    assert max(found, key=found.__getitem__) == "worker_assignment"


def test_next_is_the_phase_with_the_largest_share_and_never_the_rest() -> None:
    names = [row.name for row in view_of(publication()).what_if]
    assert names[:2] == ["worker_assignment", "policy"]
    assert "other" not in names


def test_a_shift_is_the_larger_scale_less_the_smaller() -> None:
    small, large = publication().runs, publication(heavier=4.0).runs
    found = shifts(small.phases, large.phases)
    total = sum(COSTS_MS.values())
    expected = 2.0 / (total + 1.5) - 0.5 / total
    assert found["worker_assignment"].estimate == pytest.approx(expected)
    assert found["policy"].estimate < 0.0
    assert sum(shift.estimate for shift in found.values()) == pytest.approx(0.0, abs=1e-12)
    assert found["policy"].low < found["policy"].estimate < found["policy"].high


def test_block_means_keep_the_mean_and_never_ask_for_more_blocks_than_samples() -> None:
    values = np.arange(40.0)
    assert block_means(values, 20) == pytest.approx(np.arange(0.5, 40.0, 2.0))
    assert block_means(values[:3], 20) == pytest.approx([0.0, 1.0, 2.0])
    with pytest.raises(SampleError, match="at least 1 block"):
        block_means(values, 0)


def test_a_ratio_of_sums_lies_within_its_interval_and_needs_pairs() -> None:
    rng = np.random.default_rng(1)
    whole = rng.lognormal(0.0, 0.2, 50)
    part = 0.3 * whole * rng.lognormal(0.0, 0.05, 50)
    share = ratio_interval(part, whole, np.random.default_rng(0))
    assert share.low < share.estimate < share.high
    assert share.estimate == pytest.approx(part.sum() / whole.sum())
    assert share.low < 0.3 * 1.01
    assert share.high > 0.3 * 0.99
    with pytest.raises(SampleError, match="as many parts as wholes"):
        ratio_interval(part[1:], whole, rng)


def test_a_mean_lies_within_its_interval() -> None:
    base = np.random.default_rng(1).normal(10.0, 1.0, 60)
    mean = mean_interval(base, np.random.default_rng(0))
    assert mean.low < mean.estimate < mean.high
    assert mean.estimate == pytest.approx(base.mean())


def test_a_figure_of_the_sample_is_symmetric() -> None:
    assert around(2.0, 0.5) == Figure(1.0, 2.0, 3.0)
