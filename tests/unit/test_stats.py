"""Medians, ratios and fits on samples whose answers are known."""

from __future__ import annotations

import math

import numpy as np
import pytest

from phasewise.profiling.errors import SampleError
from phasewise.profiling.stats import (
    batch_mean_interval,
    fit_power_law,
    median,
    median_interval,
    median_ratio_interval,
    paired_difference,
    quantile,
    t_interval,
)


@pytest.fixture
def rng() -> np.random.Generator:
    return np.random.default_rng(7)


def test_the_median_lies_in_the_middle() -> None:
    assert median([3.0, 1.0, 2.0]) == 2.0
    assert median([4.0, 1.0, 2.0, 3.0]) == 2.5


def test_a_quantile_lies_between_its_neighbours() -> None:
    assert quantile([1.0, 2.0, 3.0, 4.0, 5.0], 0.25) == 2.0
    assert quantile([0.0, 1.0], 0.95) == 0.95


def test_the_interval_of_equal_samples_is_a_point(rng: np.random.Generator) -> None:
    assert median_interval([2.0] * 9, rng) == (2.0, 2.0, 2.0)


def test_the_same_generator_gives_the_same_interval() -> None:
    samples = np.random.default_rng(0).lognormal(size=48)
    first, second = (median_interval(samples, np.random.default_rng(1)) for _ in range(2))
    assert first == second
    assert first != median_interval(samples, np.random.default_rng(2))


def test_the_interval_of_a_median_covers_the_truth_about_as_often_as_it_says(rng: np.random.Generator) -> None:
    covered = 0
    for _ in range(300):
        low, _, high = median_interval(rng.normal(10.0, 1.0, size=40), rng, level=0.9, resamples=400)
        covered += low <= 10.0 <= high
    assert 0.84 <= covered / 300 <= 0.97


def test_a_constant_factor_is_found_whatever_disturbs_both_sides_of_a_pair(rng: np.random.Generator) -> None:
    base = rng.lognormal(0.0, 2.0, size=48)  # samples of a very noisy machine
    head = base * 1.1 * rng.lognormal(0.0, 0.01, size=48)
    low, ratio, high = median_ratio_interval(head, base, rng)
    assert ratio == pytest.approx(1.1, rel=0.01)
    assert low <= ratio <= high
    assert high - low < 0.02


def test_a_ratio_says_head_over_base(rng: np.random.Generator) -> None:
    assert median_ratio_interval([2.0, 4.0, 6.0], [1.0, 2.0, 3.0], rng).estimate == pytest.approx(2.0)


def test_an_exact_power_law_is_found_exactly() -> None:
    x = np.array([10.0, 100.0, 1000.0, 10000.0])
    fit = fit_power_law(x, 0.5 * x**1.5)
    assert fit.coefficient == pytest.approx(0.5)
    assert fit.exponent == pytest.approx(1.5)
    assert fit.exponent_high - fit.exponent_low == pytest.approx(0.0, abs=1e-12)
    assert fit.r_squared == pytest.approx(1.0)
    assert fit.at(400.0) == pytest.approx(4000.0)


def test_the_interval_of_an_exponent_is_that_of_the_textbook() -> None:
    x, y = np.exp([0.0, 1.0, 2.0]), np.exp([0.0, 1.5, 2.0])
    fit = fit_power_law(x, y)
    # By hand: slope 1, residuals (-1/6, 1/3, -1/6), standard error sqrt(1/12), t(0.975; 1) = 12.7062.
    assert fit.exponent == pytest.approx(1.0)
    assert fit.exponent_high - 1.0 == pytest.approx(12.7062 * math.sqrt(1 / 12), rel=1e-5)
    assert 1.0 - fit.exponent_low == pytest.approx(fit.exponent_high - 1.0)


def test_a_flat_line_is_a_power_law_of_exponent_zero() -> None:
    fit = fit_power_law([1.0, 2.0, 4.0], [3.0, 3.0, 3.0])
    assert fit.exponent == pytest.approx(0.0, abs=1e-15)
    assert fit.coefficient == pytest.approx(3.0)


@pytest.mark.parametrize(
    ("samples", "named"),
    [
        ([], r"shape \(0,\)"),
        ([[1.0, 2.0]], r"shape \(1, 2\)"),
        ([1.0, math.nan], r"samples\[1\] is nan"),
        ([math.inf], r"samples\[0\] is inf"),
    ],
)
def test_samples_without_a_median_are_refused(samples: list[float], named: str) -> None:
    with pytest.raises(SampleError, match=named):
        median(samples)


def test_a_quantile_outside_0_and_1_is_refused() -> None:
    with pytest.raises(SampleError, match=r"not at 95"):
        quantile([1.0], 95)


@pytest.mark.parametrize(
    ("head", "base", "named"),
    [
        ([1.0, 2.0], [1.0], "not 2 and 1"),
        ([1.0, 0.0], [1.0, 1.0], r"head\[1\] is 0\.0"),
        ([1.0], [-1.0], r"base\[0\] is -1\.0"),
    ],
)
def test_pairs_without_a_ratio_are_refused(
    head: list[float], base: list[float], named: str, rng: np.random.Generator
) -> None:
    with pytest.raises(SampleError, match=named):
        median_ratio_interval(head, base, rng)


@pytest.mark.parametrize(
    ("x", "y", "named"),
    [
        ([1.0, 2.0], [1.0, 2.0], "at least 3 points, not 2"),
        ([1.0, 2.0, 3.0], [1.0, 2.0], "not 3 and 2"),
        ([5.0, 5.0, 5.0], [1.0, 2.0, 3.0], "all are 5"),
        ([1.0, 2.0, 3.0], [1.0, -2.0, 3.0], r"y\[1\] is -2"),
    ],
)
def test_points_without_a_power_law_are_refused(x: list[float], y: list[float], named: str) -> None:
    with pytest.raises(SampleError, match=named):
        fit_power_law(x, y)


@pytest.mark.parametrize(
    ("level", "resamples", "named"), [(1.0, 10, "level"), (0.0, 10, "level"), (0.9, 0, "resample")]
)
def test_an_interval_that_cannot_be_drawn_is_refused(
    level: float, resamples: int, named: str, rng: np.random.Generator
) -> None:
    with pytest.raises(SampleError, match=named):
        median_interval([1.0, 2.0], rng, level, resamples)


def test_a_mean_has_the_interval_of_the_tables() -> None:
    low, mean, high = t_interval(
        [1.0, 2.0, 3.0]
    )  # t at 97.5 %, 2 degrees of freedom: 4.3027; standard error 1 / sqrt 3
    assert mean == 2.0
    assert (mean - low, high - mean) == (pytest.approx(4.3027 / 3**0.5, rel=1e-4),) * 2


def test_the_interval_of_a_few_seeds_covers_as_often_as_it_says(rng: np.random.Generator) -> None:
    covered = [low <= 10.0 <= high for low, _, high in (t_interval(rng.normal(10.0, 1.0, 3)) for _ in range(2000))]
    assert np.mean(covered) == pytest.approx(0.95, abs=0.02)


def test_what_both_of_a_pair_share_is_not_in_their_difference(rng: np.random.Generator) -> None:
    seeds = rng.normal(50.0, 20.0, size=5)  # the jobs of a seed: far more than what policies differ by
    low, estimate, high = paired_difference(seeds + 1.0 + rng.normal(0.0, 0.1, 5), seeds)
    assert low <= 1.0 <= high
    assert estimate == pytest.approx(1.0, abs=0.3)
    assert high - low < 1.0


def test_batch_means_cover_where_neighbours_are_alike_and_single_samples_do_not(rng: np.random.Generator) -> None:
    covered = {"batches": 0, "samples": 0}
    for _ in range(400):
        noise = rng.normal(size=1000)
        values = np.empty(1000)
        last = 0.0
        for index in range(1000):
            last = values[index] = 0.9 * last + noise[index]  # a sample tells of the next ten or twenty
        for name, (low, _, high) in (("batches", batch_mean_interval(values)), ("samples", t_interval(values))):
            covered[name] += low <= 0.0 <= high
    assert covered["batches"] / 400 > 0.9
    assert covered["samples"] / 400 < 0.5


def test_batches_of_unequal_length_leave_the_mean_as_it_is() -> None:
    values = np.arange(25.0) ** 2
    assert batch_mean_interval(values, batches=10).estimate == pytest.approx(values.mean())


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: t_interval([1.0]), "at least 2 samples, not 1"),
        (lambda: t_interval([1.0, math.nan]), r"samples\[1\] is nan"),
        (lambda: paired_difference([1.0, 2.0], [1.0]), "as many head as base samples, not 2 and 1"),
        (lambda: batch_mean_interval([1.0] * 19), "10 batches need at least 2 samples each, not 19"),
        (lambda: batch_mean_interval([1.0] * 19, batches=1), "1 batches need"),
    ],
)
def test_an_interval_that_cannot_be_is_refused(call: object, message: str) -> None:
    with pytest.raises(SampleError, match=message):
        call()  # type: ignore[operator]
